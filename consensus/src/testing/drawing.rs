//! A language for DAGs: `1: A B C D | 2: A>ABC B>ABC B'>ABD`.
//!
//! A round, or several (`3-7`), then its blocks, each with its parents. `A` leads round 1, `B` round
//! 2 and so on around the committee. `B'` is a second block of B. A parent is of the round before, or
//! of the round behind its letter (`C1`); the newest own block is added where none is named. Without
//! `>` a block has every first block of the round before. `B@250` is signed at that time; otherwise
//! round 3 is signed at 3000, and second blocks a little later.
//!
//! [`shapes`] reads a document of such drawings, each with what is expected of it.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    block::{Block, Draft},
    committee::Committee,
    testing::{committee_with, draft, own_first, signer},
    types::{AuthorityIndex, BlockRef, Round, Timestamp},
};

/// A drawn DAG: the blocks parents first, and their names.
pub(crate) struct Drawing {
    pub committee: Committee,
    pub blocks: Vec<Block>,
    names: BTreeMap<String, BlockRef>,
}

impl Drawing {
    pub(crate) fn new(committee: &Committee, text: &str) -> Self {
        let mut drawing =
            Self { committee: committee.clone(), blocks: Vec::new(), names: BTreeMap::new() };
        for author in committee.authorities() {
            let name = format!("{}0", drawing.letter(author));
            drawing.names.insert(name, committee.genesis()[author.position()]);
        }
        for line in text.split(['|', '\n']).filter(|line| !line.trim().is_empty()) {
            let (rounds, blocks) = line.split_once(':').expect("a round and its blocks");
            let (first, last) = rounds.split_once('-').unwrap_or((rounds, rounds));
            let number = |text: &str| text.trim().parse::<u64>().expect("a round");
            for round in number(first)..=number(last) {
                blocks.split_whitespace().for_each(|text| drawing.add(round, text));
            }
        }
        drawing
    }

    fn add(&mut self, round: u64, text: &str) {
        let (name, parents) = text.split_once('>').map_or((text, None), |(n, p)| (n, Some(p)));
        let (name, time) = name.split_once('@').map_or((name, None), |(n, t)| (n, Some(t)));
        let author = self.author(name.chars().next().expect("a letter"));
        let mut parents: Vec<BlockRef> = match parents {
            Some(parents) => split_names(parents)
                .map(|parent| self.named(&with_round(parent, round - 1)))
                .collect(),
            None => self
                .committee
                .authorities()
                .filter_map(|author| self.first(author, round - 1))
                .collect(),
        };
        if parents.iter().all(|parent| parent.author != author) {
            parents.extend((0..round).rev().find_map(|below| self.first(author, below)));
        }
        let parents = own_first(author.0, &parents);
        let twin = name.len() as u64 - 1;
        let time = time.map_or(round * 1_000 + twin, |time| time.parse().expect("a time"));
        let draft = Draft { timestamp: Timestamp(time), ..draft(round, &parents, &[]) };
        let made = draft.sign(&self.committee, author, &signer(author.0));
        let made = made.unwrap_or_else(|fault| panic!("{text} of round {round}: {fault}"));
        self.names.insert(with_round(name, round), made.reference());
        self.blocks.push(made);
    }

    /// The first block of this author in this round, if one was drawn.
    fn first(&self, author: AuthorityIndex, round: u64) -> Option<BlockRef> {
        self.names.get(&format!("{}{round}", self.letter(author))).copied()
    }

    /// The block drawn as `A` of round 1 is named `A1`, its twin `A'1`.
    pub(crate) fn named(&self, name: &str) -> BlockRef {
        *self.names.get(name).unwrap_or_else(|| panic!("no block {name} was drawn"))
    }

    pub(crate) fn name(&self, reference: &BlockRef) -> String {
        let found = self.names.iter().find(|(_, named)| *named == reference);
        found.expect("a drawn block").0.clone()
    }

    fn author(&self, letter: char) -> AuthorityIndex {
        self.committee.leader(Round(u64::from(u32::from(letter) - u32::from('A')) + 1))
    }

    fn letter(&self, author: AuthorityIndex) -> char {
        ('A'..).find(|letter| self.author(*letter) == author).expect("a letter")
    }
}

/// `AB'C1` is `A`, `B'`, `C1`.
fn split_names(text: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<usize> =
        text.char_indices().filter(|(_, c)| c.is_ascii_uppercase()).map(|(at, _)| at).collect();
    starts.push(text.len());
    (1..starts.len()).map(move |i| &text[starts[i - 1]..starts[i]])
}

fn with_round(name: &str, round: u64) -> String {
    if name.ends_with(|c: char| c.is_ascii_digit()) {
        name.to_string()
    } else {
        format!("{name}{round}")
    }
}

/// A drawing with a name and what is expected of it.
pub(crate) struct Shape {
    pub name: String,
    pub drawing: Drawing,
    /// The lines that begin with `=`.
    pub expected: Vec<String>,
}

/// The shapes of a document: a heading of the third level, and below it, indented, settings (`n = 5`,
/// `collection depth = 8`), the rounds, and what is expected. Everything else is for readers.
pub(crate) fn shapes(document: &str) -> Vec<Shape> {
    document.split("\n### ").skip(1).map(shape).collect()
}

fn shape(section: &str) -> Shape {
    let (name, text) = section.split_once('\n').expect("a heading");
    let (mut n, mut gc_depth) = (4, Committee::GC_DEPTH);
    let (mut rounds, mut expected) = (String::new(), Vec::new());
    for line in text.lines().filter_map(|line| line.strip_prefix("    ")) {
        let value = || line.rsplit(' ').next().and_then(|v| v.parse().ok()).expect("a number");
        match line {
            line if line.starts_with("n = ") => n = value(),
            line if line.starts_with("collection depth = ") => gc_depth = value(),
            line if line.starts_with('=') => expected.push(line[1..].trim().to_owned()),
            line => rounds = rounds + line + "\n",
        }
    }
    assert!(!expected.is_empty(), "{name}: nothing is expected");
    let drawing = Drawing::new(&committee_with(n, gc_depth), &rounds);
    Shape { name: name.to_owned(), drawing, expected }
}
