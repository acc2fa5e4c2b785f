//! A language for DAGs: `1: A B C D | 2: A>ABC B>ABC B'>ABD`.
//!
//! A round, then its blocks, each with its parents. `A` leads round 1, `B` round 2 and so on around
//! the committee. `B'` is a second block of B. A parent is of the round before, or of the round
//! behind its letter (`C1`). Without `>` a block has every first block of the round before.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    block::{Block, Draft},
    committee::Committee,
    testing::{block, draft, own_first, signer},
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
        for line in text.split('|') {
            let (round, blocks) = line.split_once(':').expect("a round and its blocks");
            let round = round.trim().parse().expect("a round");
            for text in blocks.split_whitespace() {
                drawing.add(round, text);
            }
        }
        drawing
    }

    fn add(&mut self, round: u64, text: &str) {
        let (name, parents) = text.split_once('>').map_or((text, None), |(n, p)| (n, Some(p)));
        let author = self.author(name.chars().next().expect("a letter"));
        let parents: Vec<BlockRef> = match parents {
            Some(parents) => split_names(parents)
                .map(|parent| self.named(&with_round(parent, round - 1)))
                .collect(),
            None => self
                .committee
                .authorities()
                .filter_map(|author| {
                    self.names.get(&format!("{}{}", self.letter(author), round - 1)).copied()
                })
                .collect(),
        };
        let parents = own_first(author.0, &parents);
        let twin = name.len() as u64 - 1;
        let made = if twin == 0 {
            block(&self.committee, author.0, round, &parents, &[])
        } else {
            let timestamp = Timestamp(round * 1_000 + twin);
            let draft = Draft { timestamp, ..draft(round, &parents, &[]) };
            draft.sign(&self.committee, author, &signer(author.0)).unwrap()
        };
        self.names.insert(with_round(name, round), made.reference());
        self.blocks.push(made);
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
