//! A ledger of three epochs on disk, of which one authority asks another, and what it asks.

use std::sync::{Arc, LazyLock, Mutex};

use arbitrary::Arbitrary;
use kerbholz_consensus::{
    AuthorityIndex, Block, BlockDigest, BlockRef, Checkpoint, Commit, CommitHeader, Committee,
    CommitteeConfig, Draft, Round, Statement, Timestamp, Vote,
};
use kerbholz_node::executor::SharedStorage;
use kerbholz_node::fetch::FetchRequest;
use kerbholz_node::storage::{DiskStorage, LedgerEntry, Storage, StoredCommit};

use crate::files::folder;
use crate::{committee, signer};

/// Who asks.
pub const OWN: AuthorityIndex = AuthorityIndex(0);
/// Who is asked.
pub const OTHER: AuthorityIndex = AuthorityIndex(1);
const AUTHORITIES: u16 = 4;
const EPOCHS: usize = 3;
const ROUNDS: u64 = 6;

/// One epoch: a commit for each round, the last of them certified.
pub struct Epoch {
    /// Its authorities, the same in all.
    pub committee: Committee,
    /// The blocks of each round, from 1 on.
    pub rounds: Vec<Vec<Block>>,
    /// The commit of each round.
    pub commits: Vec<Commit>,
    checkpoint: Checkpoint,
}

/// The epochs, and the storage with their ledger: one closed segment for each but the last.
pub struct Ledger {
    /// In order.
    pub epochs: Vec<Epoch>,
    /// On disk.
    pub storage: SharedStorage,
}

/// The ledger of all runs.
pub static LEDGER: LazyLock<Ledger> = LazyLock::new(Ledger::write);

/// A block that somebody made, or one that nobody did.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Pick {
    epoch: u8,
    round: u8,
    author: u8,
    made_up: bool,
}

/// A question.
#[derive(Arbitrary, Debug)]
pub enum Question {
    Blocks(Vec<Pick>),
    Chains(Vec<Pick>, u8),
    Commits(u64),
    Own(u64),
    /// Whatever somebody may send.
    Bytes(Vec<u8>),
}

impl Ledger {
    fn write() -> Self {
        let genesis = committee(AUTHORITIES, Committee::GC_DEPTH_MIN);
        let mut epochs = vec![Epoch::begin(genesis.clone(), 0)];
        while let (true, Some(before)) = (epochs.len() < EPOCHS, epochs.last()) {
            let last = before.commits.last().expect("a commit");
            let config = CommitteeConfig {
                epoch: epochs.len() as u64,
                previous: last.digest(),
                ..genesis.config().clone()
            };
            let next = Epoch::begin(Committee::new(config).expect("a committee"), last.index());
            epochs.push(next);
        }
        let (folder, key) = (folder("fetch"), signer(OWN.0).public_key());
        let mut storage = DiskStorage::open(&folder, genesis.config(), key).expect("a storage");
        for epoch in &epochs {
            let mut entries = Vec::new();
            if epoch.committee.config().epoch > 0 {
                entries.push(LedgerEntry::Epoch(epoch.committee.config().clone()));
            }
            let commits = epoch.commits.iter().map(StoredCommit::from).map(LedgerEntry::Commit);
            entries.extend(commits);
            entries.push(LedgerEntry::Checkpoint(epoch.checkpoint.clone()));
            storage.append_ledger(&entries).expect("a ledger in order");
        }
        Self { epochs, storage: Arc::new(Mutex::new(Box::new(storage))) }
    }

    /// The headers of all commits after this one.
    pub fn headers_after(&self, after: u64) -> impl Iterator<Item = &CommitHeader> {
        let commits = self.epochs.iter().flat_map(|epoch| &epoch.commits);
        commits.filter(move |commit| commit.index() > after).map(Commit::header)
    }
}

impl Epoch {
    fn begin(committee: Committee, base: u64) -> Self {
        let mut rounds: Vec<Vec<Block>> = Vec::new();
        let mut commits: Vec<Commit> = Vec::new();
        for round in 1..=ROUNDS {
            let below = match rounds.last() {
                Some(blocks) => blocks.iter().map(Block::reference).collect(),
                None => committee.genesis().to_vec(),
            };
            let sign = |author: AuthorityIndex| {
                let mut parents = below.clone();
                parents.sort_by_key(|parent| (parent.author != author, parent.author));
                // The first round carries none.
                let payload = if round == 1 { vec![] } else { vec![vec![round as u8; 9]] };
                let draft = Draft { round: Round(round), parents, payload, ..Draft::default() };
                draft.sign(&committee, author, &signer(author.0)).expect("a block")
            };
            let mut blocks: Vec<Block> = committee.authorities().map(sign).collect();
            rounds.push(blocks.clone());
            blocks.sort_by_key(Block::reference);
            let listed: Vec<BlockRef> = blocks.iter().map(Block::reference).collect();
            let header = CommitHeader {
                index: base + round,
                previous: commits.last().map_or(committee.config().previous, Commit::digest),
                leader: *listed.last().expect("a block"),
                time: Timestamp(base + round),
                blocks: listed,
                silenced: vec![],
            };
            commits.push(Commit::new(header, blocks, &committee).expect("a commit"));
        }
        let last = commits.last().expect("a commit");
        let statement = Statement {
            index: last.index(),
            commit_digest: last.digest(),
            log_root: [3; 32],
            state_digest: [4; 32],
        };
        let sign = |author: AuthorityIndex| {
            (author, Vote::sign(statement, &committee, &signer(author.0)).signature)
        };
        let signatures = committee.authorities().map(sign).collect();
        Self { checkpoint: Checkpoint { statement, signatures }, committee, rounds, commits }
    }
}

impl Pick {
    /// The block, if somebody made it.
    pub fn block(self) -> Option<&'static Block> {
        let epoch = &LEDGER.epochs[usize::from(self.epoch) % EPOCHS];
        let blocks = &epoch.rounds[usize::from(self.round) % epoch.rounds.len()];
        blocks.get(usize::from(self.author) % blocks.len()).filter(|_| !self.made_up)
    }

    fn reference(self) -> BlockRef {
        let made_up = || BlockRef {
            round: Round(self.round.into()),
            author: AuthorityIndex(self.author.into()),
            digest: BlockDigest([self.epoch; 32]),
        };
        self.block().map_or_else(made_up, Block::reference)
    }
}

impl Question {
    /// As a request; `None` if the bytes are none.
    pub fn request(&self) -> Option<FetchRequest> {
        let references = |picks: &[Pick]| picks.iter().map(|pick| pick.reference()).collect();
        Some(match self {
            Self::Blocks(picks) => FetchRequest::new(references(picks), None),
            Self::Chains(picks, above) => {
                FetchRequest::new(references(picks), Some(Round((*above).into())))
            }
            Self::Commits(after) => FetchRequest::Commits { after: *after },
            Self::Own(epoch) => FetchRequest::Own { epoch: *epoch },
            Self::Bytes(bytes) => FetchRequest::decode(bytes).ok()?,
        })
    }
}
