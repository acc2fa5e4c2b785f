//! What the tests share: committees with fixed keys, and blocks made by hand.

pub(crate) mod drawing;
mod order;
pub(crate) mod random;
pub(crate) mod world;

use alloc::vec::Vec;

pub(crate) use order::order;

use crate::{
    block::{Block, Draft},
    committee::{Committee, CommitteeConfig},
    event::{Event, Now},
    keys::Signer,
    machine::Consensus,
    types::{AuthorityIndex, BlockRef, CommitDigest, NetworkId, Round},
};

/// The signer of authority `index`: a seed anybody can write down.
pub(crate) fn signer(index: u16) -> Signer {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&index.to_le_bytes());
    Signer::from_seed(&seed)
}

/// A committee of `n` with the keys of [`signer`].
pub(crate) fn committee(n: u16) -> Committee {
    committee_with(n, Committee::GC_DEPTH)
}

/// The same with another garbage-collection depth.
pub(crate) fn committee_with(n: u16, gc_depth: u16) -> Committee {
    Committee::new(CommitteeConfig {
        network: NetworkId([1; 32]),
        epoch: 0,
        authorities: (0..n).map(|index| signer(index).public_key()).collect(),
        gc_depth,
        previous: CommitDigest::NONE,
    })
    .unwrap()
}

/// A valid block by `author` on these parents, the own one first.
pub(crate) fn block(
    committee: &Committee,
    author: u16,
    round: u64,
    parents: &[BlockRef],
    payload: &[&[u8]],
) -> Block {
    draft(round, parents, payload).sign(committee, AuthorityIndex(author), &signer(author)).unwrap()
}

/// A draft whose timestamp is its round.
pub(crate) fn draft(round: u64, parents: &[BlockRef], payload: &[&[u8]]) -> Draft {
    Draft {
        round: Round(round),
        timestamp: crate::Timestamp(round * 1_000),
        parents: parents.to_vec(),
        payload: payload.iter().map(|item| item.to_vec()).collect(),
        ..Draft::default()
    }
}

/// One round-1 block of every authority.
pub(crate) fn first_round(committee: &Committee) -> Vec<Block> {
    committee
        .authorities()
        .map(|author| {
            let parents = own_first(author.0, committee.genesis());
            block(committee, author.0, 1, &parents, &[])
        })
        .collect()
}

/// The parents in the order a header wants: the author's own first, the others ascending.
pub(crate) fn own_first(author: u16, parents: &[BlockRef]) -> Vec<BlockRef> {
    let mut parents = parents.to_vec();
    parents.sort_by_key(|parent| (parent.author.0 != author, parent.author));
    parents
}

/// Every other authority greets, without a word about blocks: then a machine may make its first.
pub(crate) fn greet(machine: &mut Consensus, now: Now) {
    let own = machine.own();
    for peer in machine.committee().clone().authorities().filter(|peer| *peer != own) {
        let (has_of_ours, own_round) = (Round::GENESIS, Round::GENESIS);
        machine.handle(now, Event::PeerConnected { peer, has_of_ours, own_round, commit: 0 });
    }
}

/// A generator whose stream is written down here (Steele, Lea, Flood, splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True in `percent` of all cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}
