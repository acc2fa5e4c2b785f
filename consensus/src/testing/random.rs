//! Random valid DAGs with up to `f` equivocators.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Random, draft, signer};
use crate::{AuthorityIndex, Block, BlockRef, Committee, Draft, Round, Timestamp};

/// A DAG of some rounds, parents first. At most `f` authors make twins; anybody may miss a round,
/// as long as the next one can have its quorum.
pub(crate) fn random_dag(committee: &Committee, rounds: u64, random: &mut Random) -> Vec<Block> {
    random_dag_without(committee, None, rounds, random)
}

/// The same with one of the `f` faulty authorities silent.
pub(crate) fn random_dag_without(
    committee: &Committee,
    silent: Option<AuthorityIndex>,
    rounds: u64,
    random: &mut Random,
) -> Vec<Block> {
    let others = committee.authorities().filter(|author| Some(*author) != silent);
    let mut authors: Vec<u16> = others.map(|author| author.0).collect();
    let n = authors.len();
    random.shuffle(&mut authors);
    let liars_max = committee.faulty_max() - usize::from(silent.is_some());
    let liars: Vec<u16> = authors[..liars_max].to_vec();
    let absence = [0, 5, 15][random.below(3)];
    let mut blocks: Vec<Block> = Vec::new();
    // The blocks of each author and round: the twins side by side.
    let mut slots: BTreeMap<(u64, u16), Vec<BlockRef>> =
        committee.genesis().iter().map(|g| ((0, g.author.0), alloc::vec![*g])).collect();
    for round in 1..=rounds {
        let mut present = authors.clone();
        random.shuffle(&mut present);
        let spare = n - committee.quorum();
        let absent = (0..spare).filter(|_| random.chance(absence)).count();
        present.truncate(n - absent);
        for author in present {
            let twins = if liars.contains(&author) && random.chance(50) { 2 } else { 1 };
            for twin in 0..twins {
                let Some(parents) = parents(committee, &slots, round, author, random) else {
                    continue;
                };
                let timestamp = Timestamp(round * 1_000 + random.next() % 5_000);
                let payload = [[author as u8, round as u8, twin as u8]];
                let payload: Vec<&[u8]> =
                    payload.iter().map(<[u8; 3]>::as_slice).filter(|_| round > 1).collect();
                let draft = Draft { timestamp, ..draft(round, &parents, &payload) };
                let author = AuthorityIndex(author);
                let made = draft.sign(committee, author, &signer(author.0)).unwrap();
                slots.entry((round, author.0)).or_default().push(made.reference());
                blocks.push(made);
            }
        }
    }
    blocks
}

/// An own block, and of the others a random choice with a quorum in the round below.
fn parents(
    committee: &Committee,
    slots: &BTreeMap<(u64, u16), Vec<BlockRef>>,
    round: u64,
    author: u16,
    random: &mut Random,
) -> Option<Vec<BlockRef>> {
    let mut pick = |round: u64, author: u16| {
        let twins = slots.get(&(round, author))?;
        Some(twins[random.below(twins.len())])
    };
    let own = (0..round).rev().find_map(|below| pick(below, author))?;
    let mut recent: Vec<BlockRef> = committee
        .authorities()
        .filter(|other| other.0 != author)
        .filter_map(|other| pick(round - 1, other.0))
        .collect();
    random.shuffle(&mut recent);
    let own_counts = usize::from(own.round == Round(round - 1));
    let needed = committee.quorum() - own_counts;
    if recent.len() < needed {
        return None;
    }
    let surplus = recent.len() - needed;
    let kept = needed + if surplus == 0 { 0 } else { random.below(surplus + 1) };
    let left_out = recent.split_off(kept);
    let mut parents = recent;
    for other in left_out {
        // An older block instead, now and then.
        if round >= 2 && random.chance(30) {
            let older = slots.get(&(round - 2, other.author.0));
            parents.extend(older.map(|twins| twins[random.below(twins.len())]));
        }
    }
    parents.push(own);
    Some(super::own_first(author, &parents))
}
