//! Blocks that are signed properly and meant badly.

use kerbholz_client::session::now;
use kerbholz_consensus::{
    AuthorityIndex, Block, BlockDigest, BlockRef, Committee, Draft, Round, Signer, Timestamp,
};
use std::collections::{BTreeMap, VecDeque};

/// How far above everybody a far-future block is: where others would have to keep it for ever.
const FAR: u64 = 1 << 40;
/// Over how many rounds above everybody the kept ones spread.
const NEAR: u64 = 5_000;
/// How many blocks a bomb has below its tip.
const BOMB: usize = 200;
/// The payload of what is meant to be kept: as much as a block holds.
const HEAVY_ITEMS: usize = 8;
const ITEM_BYTES: usize = 63 << 10;
/// How many blocks it remembers, to answer with.
const REMEMBERED: usize = 2 * BOMB;
/// How many rounds of the others' blocks it remembers.
const ROUNDS: usize = 8;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trick {
    /// A block of the round that is due, if it is a good time: shown to one peer, and not to the rest.
    Withheld,
    /// Or one of three of that round.
    Twin,
    /// A block of a round that nobody will reach.
    FarFuture,
    /// A block on parents that do not exist, small.
    FakeParents,
    /// The same, as large as a block may be.
    HeavyFakeParents,
    /// The tip of a chain of those.
    Bomb,
    /// A block of its own that somebody asked for, such as those below a tip.
    Answer,
    /// No block at all.
    Noise,
}

/// What comes after what; twins between all of it, as rounds pass.
const ORDER: [Trick; 16] = [
    Trick::FarFuture,
    Trick::FakeParents,
    Trick::FakeParents,
    Trick::Noise,
    Trick::FakeParents,
    Trick::FarFuture,
    Trick::HeavyFakeParents,
    Trick::FakeParents,
    Trick::FarFuture,
    Trick::Bomb,
    Trick::FakeParents,
    Trick::FakeParents,
    Trick::FarFuture,
    Trick::FakeParents,
    Trick::FarFuture,
    Trick::FakeParents,
];

/// Makes blocks.
pub(super) struct Forge {
    committee: Committee,
    own: AuthorityIndex,
    signer: Signer,
    /// The newest rounds of the others.
    rounds: BTreeMap<Round, BTreeMap<AuthorityIndex, BlockRef>>,
    last: BlockRef,
    twins: Vec<Vec<u8>>,
    bomb: VecDeque<Block>,
    remembered: BTreeMap<BlockRef, Vec<u8>>,
    order: VecDeque<BlockRef>,
    step: u64,
    is_double: bool,
}

impl Forge {
    pub(super) fn new(committee: Committee, own: AuthorityIndex, seed: &[u8; 32]) -> Self {
        let genesis = committee.genesis().iter().map(|block| (block.author, *block));
        let (own_genesis, others) = genesis.partition(|(author, _)| *author == own);
        let (own_genesis, others): (BTreeMap<_, _>, BTreeMap<_, _>) = (own_genesis, others);
        let last = own_genesis[&own];
        Self {
            committee,
            own,
            signer: Signer::from_seed(seed),
            rounds: BTreeMap::from([(Round::GENESIS, others)]),
            last,
            twins: Vec::new(),
            bomb: VecDeque::new(),
            remembered: BTreeMap::new(),
            order: VecDeque::new(),
            step: 0,
            is_double: false,
        }
    }

    /// Notes a block of another.
    pub(super) fn note(&mut self, block: &Block) {
        if block.author() != self.own {
            self.rounds.entry(block.round()).or_default().insert(block.author(), block.reference());
        }
        while self.rounds.len() > ROUNDS {
            self.rounds.pop_first();
        }
    }

    /// A block that it made, for who asks.
    pub(super) fn block(&self, reference: &BlockRef) -> Option<&[u8]> {
        self.remembered.get(reference).map(Vec::as_slice)
    }

    /// The next frame to send.
    pub(super) fn next(&mut self) -> (Trick, Vec<u8>) {
        self.step += 1;
        self.join_round();
        if let Some(twin) = self.twins.pop() {
            return (if self.is_double { Trick::Twin } else { Trick::Withheld }, twin);
        }
        let trick = ORDER[self.step as usize % ORDER.len()];
        let top = self.rounds.keys().next_back().map_or(0, |round| round.0);
        let near = Round(top + 3 + self.step.wrapping_mul(31) % NEAR);
        let bytes = match trick {
            Trick::FarFuture => self.on_fakes(Round(top + FAR + self.step), None, 0),
            Trick::FakeParents => self.on_fakes(near, None, 0),
            Trick::HeavyFakeParents => self.on_fakes(near, None, HEAVY_ITEMS),
            Trick::Bomb | Trick::Answer => return (Trick::Bomb, self.tip(top)),
            Trick::Noise | Trick::Twin | Trick::Withheld => vec![self.step as u8; 64],
        };
        (trick, bytes)
    }

    /// Whether it makes three blocks of each round from now on, or one. Who is caught with two is
    /// listened to less: the other tricks go farther without.
    pub(super) fn set_double(&mut self, double: bool) {
        self.is_double = double;
    }

    /// As soon as a quorum has a block in a round, makes one of the next, on its last one. Whichever
    /// arrives where, the others must come to terms with it.
    fn join_round(&mut self) {
        let quorum = self.committee.quorum();
        let ready = self.rounds.iter().rev().find(|(round, blocks)| {
            let own = usize::from(self.last.round == **round);
            **round >= self.last.round && blocks.len() + own >= quorum
        });
        let Some((round, blocks)) = ready else { return };
        let others: Vec<BlockRef> = blocks.values().copied().collect();
        let round = Round(round.0 + 1);
        let twins = if self.is_double { 3 } else { 1 };
        for twin in 0..twins {
            let payload = if round.0 > 1 { vec![vec![twin; 200]] } else { Vec::new() };
            let parents = [&[self.last][..], &others].concat();
            let block = self.sign(round, parents, payload, u64::from(twin));
            self.remember(&block);
            self.twins.push(block.bytes().to_vec());
            if twin + 1 == twins {
                self.last = block.reference();
            }
        }
    }

    /// A block on parents that do not exist, but for the own one if it is given.
    fn on_fakes(&mut self, round: Round, own: Option<BlockRef>, items: usize) -> Vec<u8> {
        let block = self.fake(round, own, items);
        block.bytes().to_vec()
    }

    fn fake(&mut self, round: Round, own: Option<BlockRef>, items: usize) -> Block {
        let below = Round(round.0 - 1);
        let others = self.committee.authorities().filter(|other| *other != self.own);
        let mut parents = vec![own.unwrap_or_else(|| fabricated(below, self.own, self.step))];
        parents.extend(others.map(|other| fabricated(below, other, self.step)));
        self.sign(round, parents, vec![vec![7; ITEM_BYTES]; items], self.step)
    }

    /// The tip of a new chain, or of what is left of the last one.
    fn tip(&mut self, top: u64) -> Vec<u8> {
        if self.bomb.is_empty() {
            let mut below = None;
            for height in 0..BOMB as u64 {
                self.step += 1;
                let block = self.fake(Round(top + 3 + height), below, HEAVY_ITEMS);
                below = Some(block.reference());
                self.remember(&block);
                self.bomb.push_front(block);
            }
        }
        // Every second one: each of those sent lacks the one below it.
        let tip = self.bomb.pop_front();
        self.bomb.pop_front();
        tip.map_or_else(Vec::new, |block| block.bytes().to_vec())
    }

    fn remember(&mut self, block: &Block) {
        self.remembered.insert(block.reference(), block.bytes().to_vec());
        self.order.push_back(block.reference());
        if self.order.len() > REMEMBERED {
            self.order.pop_front().map(|oldest| self.remembered.remove(&oldest));
        }
    }

    #[expect(
        clippy::unwrap_used,
        reason = "these drafts are valid by their bytes: that is the trick"
    )]
    fn sign(&self, round: Round, parents: Vec<BlockRef>, payload: Vec<Vec<u8>>, odd: u64) -> Block {
        let timestamp = Timestamp(now().get() + odd % 16);
        let draft = Draft { round, timestamp, parents, payload, ..Draft::default() };
        draft.sign(&self.committee, self.own, &self.signer).unwrap()
    }
}

/// A reference to a block that nobody made.
fn fabricated(round: Round, author: AuthorityIndex, odd: u64) -> BlockRef {
    let mut digest = [0xfa; 32];
    digest[..8].copy_from_slice(&odd.to_le_bytes());
    digest[8..16].copy_from_slice(&round.0.to_le_bytes());
    BlockRef { round, author, digest: BlockDigest(digest) }
}
