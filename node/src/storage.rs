//! Everything a node keeps on disk: *the ledger is a log; everything else can be rebuilt from it.*
//!
//! [`Storage`] is the one trait; [`DiskStorage`] is for nodes, [`MemoryStorage`] for the
//! simulator: it loses on a crash what was not synced. Three parts lie behind it:
//!
//! * the block log (`wal`): accepted blocks until a commit holds them, own ones synced; each epoch
//!   has its own, since rounds and indices begin anew;
//! * the ledger (`segments`): committed blocks, checkpoints and the beginnings of epochs in order,
//!   durable before they are acknowledged; an auditor reads a copy of it with [`SegmentReader`];
//! * the state (`state`): derived rows in sled, rebuilt from the ledger when lost or damaged.
//!
//! Beside them, evidence against authorities is kept (`evidence`).
//!
//! Byte layouts: `docs/formats.md`, "Data directory".

mod append;
mod certified;
mod directory;
mod disk;
mod epoch;
mod error;
mod evidence;
mod frame;
mod memory;
mod recovery;
mod segments;
mod sign_after;
mod state;
#[cfg(test)]
pub(crate) mod testing;
mod wal;
mod watermark;

use std::path::PathBuf;
use std::sync::Arc;

use kerbholz_consensus::{
    AuthorityIndex, Block, BlockDigest, BlockRef, Checkpoint, Commit, CommitHeader, Committee,
    CommitteeConfig, Evidence, Round, UnverifiedBlock,
};
pub use kerbholz_ledger::rows::{Read, Write};

pub use self::directory::{DataDirectory, read_genesis};
pub use self::disk::DiskStorage;
pub use self::epoch::Epoch;
pub use self::error::StorageError;
pub use self::evidence::{EVIDENCE_KEPT, Offender, Offenders};
pub use self::frame::FORMAT_VERSION;
pub use self::memory::{MemoryStorage, Plug};
pub use self::recovery::{EpochStart, RecoveryError, recovery};
pub use self::segments::{Ending, SegmentReader};
pub use self::sign_after::{NoSignAfter, SignAfter};
pub use self::state::STATE_CACHE_BYTES;

/// Reads rows while the writer goes on. Each call sees whole batches; two calls may see two states.
pub type SharedRows = Arc<dyn Read + Send + Sync>;

/// A block as storage keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its name.
    pub reference: BlockRef,
    /// Whether this node made it. Own blocks are durable before an append returns.
    pub own: bool,
    /// The whole block, with its signature.
    pub bytes: Vec<u8>,
}

impl StoredBlock {
    /// What to keep of a valid block.
    pub fn new(block: &Block, own: bool) -> Self {
        Self { reference: block.reference(), own, bytes: block.bytes().to_vec() }
    }
}

/// A block as it was read. Its bytes are those that were written, by their checksum; that they are
/// a valid block, and this one, is for [`UnverifiedBlock`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBlock {
    /// Its name.
    pub reference: BlockRef,
    /// The whole block, with its signature.
    pub bytes: Vec<u8>,
}

impl RawBlock {
    /// Checks the block as if a peer had sent it.
    ///
    /// # Errors
    ///
    /// [`InvalidRecord`] if it is not a valid block of this committee, or not the one it should be.
    pub fn verify(&self, committee: &Committee) -> Result<Block, InvalidRecord> {
        let invalid =
            |why: String| InvalidRecord { what: format!("block {:?}", self.reference), why };
        let block = UnverifiedBlock::decode(&self.bytes)
            .and_then(|block| block.verify(committee))
            .map_err(|fault| invalid(fault.to_string()))?;
        if block.reference() == self.reference {
            Ok(block)
        } else {
            Err(invalid("its content has another digest".into()))
        }
    }
}

/// A commit with its blocks, as it is written and read. The blocks are those its header lists, in
/// that order; nothing else of it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommit {
    header: CommitHeader,
    blocks: Vec<RawBlock>,
}

impl StoredCommit {
    /// Position in the ledger, from 1, without gaps.
    pub fn index(&self) -> u64 {
        self.header.index
    }

    /// Everything but the blocks' contents.
    pub fn header(&self) -> &CommitHeader {
        &self.header
    }

    /// The blocks, in commit order.
    pub fn blocks(&self) -> &[RawBlock] {
        &self.blocks
    }

    /// Checks every block as if a peer had sent it.
    ///
    /// # Errors
    ///
    /// [`InvalidRecord`] names the block that is not valid.
    pub fn verify(&self, committee: &Committee) -> Result<Commit, InvalidRecord> {
        let blocks: Result<_, _> =
            self.blocks.iter().map(|block| block.verify(committee)).collect();
        Commit::new(self.header.clone(), blocks?, committee).map_err(|error| InvalidRecord {
            what: format!("commit {}", self.header.index),
            why: error.to_string(),
        })
    }
}

impl From<&Commit> for StoredCommit {
    fn from(commit: &Commit) -> Self {
        let raw = |block: &Block| RawBlock {
            reference: block.reference(),
            bytes: block.bytes().to_vec(),
        };
        let blocks = commit.blocks().iter().map(raw).collect();
        Self { header: commit.header().clone(), blocks }
    }
}

/// A record whose checksum is right and whose content is not valid: it was written so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} as recorded is not valid: {why}")]
pub struct InvalidRecord {
    /// Which record.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerEntry {
    /// A commit.
    Commit(StoredCommit),
    /// A quorum's signatures under a commit, and with it under every earlier one. Not verified.
    Checkpoint(Checkpoint),
    /// The next epoch begins, on the commit and the checkpoint before (§10.3).
    Epoch(CommitteeConfig),
}

/// How much one answer to [`Storage::certified`] should hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Commits.
    pub commits: usize,
    /// Encoded headers, in bytes.
    pub bytes: usize,
}

/// Bytes that a crash tore or a disk spoilt, and that could be dropped without losing anything that
/// was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where the first bad record began.
    pub offset: u64,
    /// What was wrong.
    pub what: String,
}

/// What a node finds when it starts. What is said by round is of the newest epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Every epoch of the ledger, from 0 on.
    pub epochs: Vec<Epoch>,
    /// Index of the last commit in the ledger, 0 for none. [`Storage::commit`] reads it and those
    /// before it.
    pub last_commit: u64,
    /// The commit that the state stands for; `None` if there is no state. What lies between it and
    /// [`last_commit`](Self::last_commit) must be executed again.
    pub applied_commit: Option<u64>,
    /// Why the state was given up and must be rebuilt from the ledger, if it was.
    pub rebuild: Option<String>,
    /// Accepted blocks of the newest epoch that no commit holds, in the order in which they were
    /// accepted.
    pub blocks: Vec<StoredBlock>,
    /// The newest own block of the newest epoch that was ever acknowledged as durable, committed
    /// or not.
    pub own_last: Option<RawBlock>,
    /// Own blocks of the epoch before that no commit holds and none ever will: their payload is
    /// to be offered again.
    pub own_before: Vec<RawBlock>,
    /// The newest checkpoint of the ledger.
    pub checkpoint: Option<Checkpoint>,
    /// What was dropped. It concerns blocks of others, or what was never acknowledged.
    pub lost: Vec<Damage>,
    /// Whether it is unknown what this node has signed: nothing may be signed before others were
    /// asked (§8.5). It stays so until [`Storage::log_recovered`].
    pub lost_log: bool,
    /// The operator's word that counts for this loss, and for no other one.
    pub sign_after: Option<SignAfter>,
}

/// What a node keeps. Writing needs `&mut self`; reading may go on beside it through
/// [`rows`](Self::rows).
///
/// Rounds and indices mean something only within an epoch: what is asked for by them is answered
/// from the newest epoch. A reference with its digest, or a commit's index, is of any epoch.
///
/// Every method fails with a [`StorageError`] and then has changed nothing. After
/// [`StorageError::Full`] the call may be repeated; after anything else the node should stop.
pub trait Storage: Send {
    /// What was found at the start; the second call gives nothing. [`recovery()`] makes of it what
    /// consensus starts from.
    fn recover(&mut self) -> Recovered;

    /// Appends accepted blocks of the newest epoch to the block log. If own blocks are among them,
    /// they are durable on return, and everything before them.
    fn append_blocks(&mut self, blocks: &[StoredBlock]) -> Result<(), StorageError>;

    /// Appends entries to the ledger, durable on return, and releases the blocks of commits from
    /// the block log. A new epoch begins with an empty block log, all at once or not at all. If it
    /// fails, a part may have been appended: [`last_commit`](Self::last_commit) and
    /// [`epochs`](Self::epochs) say what is in.
    fn append_ledger(&mut self, entries: &[LedgerEntry]) -> Result<(), StorageError>;

    /// Every epoch of the ledger, from 0 on: never empty.
    fn epochs(&self) -> &[Epoch];

    /// Index of the last commit in the ledger, 0 for none.
    fn last_commit(&self) -> u64;

    /// Changes rows in one atomic batch that brings the state to this commit. The writes may be
    /// those of several commits, in order; the last one of a key counts. Not durable by itself: the
    /// ledger is the truth.
    fn apply(&mut self, commit: u64, writes: &[Write]) -> Result<(), StorageError>;

    /// Makes the state durable as it is: call it at checkpoints of the state, not at every commit.
    fn sync_state(&mut self) -> Result<(), StorageError>;

    /// Gives up blocks of this round and below that no commit holds.
    fn forget_through(&mut self, round: Round) -> Result<(), StorageError>;

    /// Read access to the rows, to be cloned to whoever serves queries.
    fn rows(&self) -> SharedRows;

    /// The block, committed or not; uncommitted ones of the newest epoch and the one before.
    fn block(&self, reference: &BlockRef) -> Result<Option<Vec<u8>>, StorageError>;

    /// Up to `limit` own blocks of rounds greater than `round`, ascending: what a peer that knows
    /// them up to `round` lacks. Ask again from the last round given. Nothing for a node that is
    /// no authority of the newest epoch.
    fn own_blocks_after(&self, round: Round, limit: usize) -> Result<Vec<RawBlock>, StorageError>;

    /// The newest block by this authority of a round greater than `above`, committed or not: what
    /// is known of an author that has lost its log (§8.5). The search reads only as much of the
    /// ledger as has blocks of such rounds.
    fn newest_of(
        &self,
        author: AuthorityIndex,
        above: Round,
    ) -> Result<Option<RawBlock>, StorageError>;

    /// Marks that it is unknown what this node has signed, because somebody showed it a newer own
    /// block; durable on return (§8.5). What an operator said before is no longer believed.
    fn log_lost(&mut self) -> Result<(), StorageError>;

    /// Marks the same, with the operator's word above what nothing was signed; it goes with the
    /// mark. Durable on return (§8.5).
    fn log_lost_after(&mut self, word: SignAfter) -> Result<(), StorageError>;

    /// Says that the newest own block is durable and was made knowing what was signed before: the
    /// node need not ask others again at its next start (§8.5).
    fn log_recovered(&mut self) -> Result<(), StorageError>;

    /// Keeps evidence against an authority, durable on return, if there is not enough of it (see
    /// [`EVIDENCE_KEPT`]); and counts it. What is known already is neither kept nor counted again.
    fn keep_evidence(&mut self, evidence: &Evidence) -> Result<(), StorageError>;

    /// The authorities against which there is evidence.
    fn offenders(&self) -> &Offenders;

    /// The newest checkpoint of the ledger.
    fn checkpoint(&self) -> Option<&Checkpoint>;

    /// The commit with its blocks.
    fn commit(&self, index: u64) -> Result<Option<StoredCommit>, StorageError>;

    /// The commit's header; its blocks are not read.
    fn commit_header(&self, index: u64) -> Result<Option<CommitHeader>, StorageError>;

    /// The headers of the commits after `after`, up to the farthest one with a checkpoint that lies
    /// within the limits, or up to the first one if that lies beyond; and that checkpoint (§6.5).
    /// Never across the end of an epoch. `None` if the ledger has no later checkpoint.
    fn certified(&self, after: u64, limits: Limits) -> Result<Option<Certified>, StorageError>;
}

/// Consecutive headers, and the checkpoint of the last of them.
pub type Certified = (Vec<CommitHeader>, Checkpoint);

/// Length of a block's reference in records, in bytes.
const REFERENCE_LENGTH: usize = 42;

fn encode_reference(reference: &BlockRef) -> [u8; REFERENCE_LENGTH] {
    let mut out = [0; REFERENCE_LENGTH];
    out[..8].copy_from_slice(&reference.round.0.to_le_bytes());
    out[8..10].copy_from_slice(&reference.author.0.to_le_bytes());
    out[10..].copy_from_slice(&reference.digest.0);
    out
}

fn decode_reference(bytes: &[u8; REFERENCE_LENGTH]) -> BlockRef {
    let mut fields = frame::Fields(bytes);
    // Nothing of this is missing in 42 bytes.
    BlockRef {
        round: Round(fields.u64().unwrap_or_default()),
        author: AuthorityIndex(fields.u16().unwrap_or_default()),
        digest: BlockDigest(fields.array().unwrap_or_default()),
    }
}
