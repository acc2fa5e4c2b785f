//! What the tests of storage share: a small network's real blocks, commits and checkpoints.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kerbholz_consensus::{
    AuthorityIndex, Block, BlockRef, Checkpoint, Commit, CommitDigest, CommitHeader, Committee,
    CommitteeConfig, Draft, Evidence, NetworkId, PublicKey, Round, Signer, Statement, Timestamp,
    Vote,
};

use super::{LedgerEntry, MemoryStorage, StoredBlock, StoredCommit};

pub(super) const GENESIS: [u8; 32] = [9; 32];
pub(crate) const OWN: AuthorityIndex = AuthorityIndex(0);

/// A committee, a block of every authority for each round, and one commit for each round.
pub(crate) struct World {
    pub(crate) committee: Committee,
    /// Whose signers the authorities are.
    signers: Vec<u16>,
    /// Index, digest and time of the commit it builds on.
    base: (u64, CommitDigest, u64),
    /// By round, from 1, then by author.
    rounds: Vec<Vec<Block>>,
    /// From 1.
    commits: Vec<Commit>,
}

/// Two authorities and twelve rounds.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::new(2, 12))
}

/// The first epoch of the network that these tests open a storage of.
pub(crate) fn genesis() -> &'static CommitteeConfig {
    world().committee.config()
}

/// The key of an authority.
pub(crate) fn key(index: u16) -> PublicKey {
    signer(index).public_key()
}

/// The disk in memory of the authority [`OWN`].
pub(crate) fn memory() -> MemoryStorage {
    MemoryStorage::found(genesis(), key(OWN.0))
}

fn signer(index: u16) -> Signer {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&index.to_le_bytes());
    Signer::from_seed(&seed)
}

impl World {
    pub(crate) fn new(authorities: u16, rounds: u64) -> Self {
        Self::of_epoch(0, (0..authorities).collect(), rounds, (0, CommitDigest::NONE, 0))
    }

    /// The epoch after this one closed with the commit `last`.
    pub(crate) fn next(&self, last: u64, signers: Vec<u16>, rounds: u64) -> Self {
        let closing = self.commit_at(last);
        let base = (last, closing.digest(), closing.time().0);
        Self::of_epoch(self.committee.config().epoch + 1, signers, rounds, base)
    }

    fn of_epoch(
        epoch: u64,
        signers: Vec<u16>,
        rounds: u64,
        base: (u64, CommitDigest, u64),
    ) -> Self {
        let committee = Committee::new(CommitteeConfig {
            network: NetworkId(GENESIS),
            epoch,
            authorities: signers.iter().map(|index| signer(*index).public_key()).collect(),
            gc_depth: Committee::GC_DEPTH_MIN,
            previous: base.1,
        });
        let committee = committee.unwrap();
        let authorities = signers.len() as u16;
        let (blocks, commits) = (Vec::new(), Vec::new());
        let mut world = Self { committee, signers, base, rounds: blocks, commits };
        for round in 1..=rounds {
            let parents = match world.rounds.last() {
                Some(blocks) => blocks.iter().map(Block::reference).collect(),
                None => world.committee.genesis().to_vec(),
            };
            let block = |author| world.sign(author, round, &parents);
            let blocks = (0..authorities).map(block).collect();
            world.rounds.push(blocks);
            world.commit(round);
        }
        world
    }

    /// Evidence that an authority signed two blocks of a round; `number` makes it another pair.
    pub(crate) fn evidence(&self, author: u16, round: u64, number: u64) -> Evidence {
        let block = &self.round(round)[usize::from(author)];
        let twin = self.draft(author, round + 1_000 * number, &block.header().parents);
        let draft = Draft { round: Round(round), ..twin };
        Evidence::new(block, &self.signed(author, draft)).unwrap()
    }

    fn sign(&self, author: u16, round: u64, parents: &[BlockRef]) -> Block {
        self.signed(author, self.draft(author, round, parents))
    }

    fn draft(&self, author: u16, round: u64, parents: &[BlockRef]) -> Draft {
        let mut parents = parents.to_vec();
        parents.sort_by_key(|parent| (parent.author.0 != author, parent.author));
        let item = format!("item of authority {author} in round {round}").into_bytes();
        Draft {
            round: Round(round),
            timestamp: Timestamp(self.base.2 + 1_000 * round),
            parents,
            payload: if round == 1 { vec![] } else { vec![item] },
            ..Draft::default()
        }
    }

    fn signed(&self, author: u16, draft: Draft) -> Block {
        let signer = signer(self.signers[usize::from(author)]);
        draft.sign(&self.committee, AuthorityIndex(author), &signer).unwrap()
    }

    fn commit(&mut self, round: u64) {
        let mut blocks = self.round(round).to_vec();
        blocks.sort_by_key(Block::reference);
        let blocks_listed: Vec<_> = blocks.iter().map(Block::reference).collect();
        let header = CommitHeader {
            index: self.base.0 + round,
            previous: self.commits.last().map_or(self.base.1, Commit::digest),
            leader: *blocks_listed.last().unwrap(),
            time: Timestamp(self.base.2 + 1_000 * round),
            blocks: blocks_listed,
            silenced: vec![],
        };
        self.commits.push(Commit::new(header, blocks, &self.committee).unwrap());
    }

    pub(super) fn round(&self, round: u64) -> &[Block] {
        &self.rounds[round as usize - 1]
    }

    pub(super) fn stored(&self, author: u16, round: u64) -> StoredBlock {
        StoredBlock::new(&self.round(round)[author as usize], AuthorityIndex(author) == OWN)
    }

    pub(crate) fn commit_at(&self, index: u64) -> &Commit {
        &self.commits[(index - self.base.0) as usize - 1]
    }

    pub(crate) fn entry(&self, index: u64) -> LedgerEntry {
        LedgerEntry::Commit(StoredCommit::from(self.commit_at(index)))
    }

    pub(crate) fn checkpoint(&self, index: u64) -> Checkpoint {
        let statement = Statement {
            index,
            commit_digest: self.commit_at(index).digest(),
            log_root: [3; 32],
            state_digest: [4; 32],
        };
        let sign = |index: AuthorityIndex| {
            let signer = signer(self.signers[index.position()]);
            (index, Vote::sign(statement, &self.committee, &signer).signature)
        };
        Checkpoint { statement, signatures: self.committee.authorities().map(sign).collect() }
    }

    /// The entry with which it begins.
    pub(crate) fn beginning(&self) -> LedgerEntry {
        LedgerEntry::Epoch(self.committee.config().clone())
    }

    /// The commits from one index to another, every third followed by its checkpoint.
    pub(crate) fn entries(&self, from: u64, to: u64) -> Vec<LedgerEntry> {
        let mut entries = Vec::new();
        for index in from..=to {
            entries.push(self.entry(index));
            if index % 3 == 0 {
                entries.push(LedgerEntry::Checkpoint(self.checkpoint(index)));
            }
        }
        entries
    }
}

/// Every file below a directory, sorted.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(super) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

pub(super) fn flip(path: &Path, offset: usize, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= mask;
    fs::write(path, bytes).unwrap();
}

pub(super) fn truncate(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}
