//! What a client asks a node, and what the node answers: the bytes inside the frames of
//! [`crate::wire`], in the ledger's canonical encoding.

use crate::committees::EpochEnd;
use crate::evidence::{Accusation, Offender};
use crate::receipt::Receipt;
use kerbholz_ledger::codec::{self, DecodeError};
use kerbholz_ledger::id::{MemberId, OrderId, TransactionId};
use kerbholz_ledger::keys::PublicKey;
use kerbholz_ledger::quantity::{CommitIndex, Epoch, Timestamp};
use kerbholz_ledger::rejection::Code;
use kerbholz_ledger::rows::{AccountRow, Row, TransactionRow};
use serde::{Deserialize, Serialize};

/// Most bytes of an encoded call.
pub const CALL_BYTES_MAX: usize = 128 << 10;
/// Most bytes of an encoded answer.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Most keys of one [`Request::Get`].
pub const KEYS_MAX: usize = 256;
/// Most rows of one [`Answer::Page`].
pub const ROWS_MAX: u32 = 1_000;
/// Longest time a node lets a request wait.
pub const WAIT_MS_MAX: u32 = 8_000;

/// A request, to be answered from a state that includes a given commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The newest commit this client has seen the effects of: a node that is behind it waits until
    /// it has caught up, so that a client reads its own writes at any authority.
    pub after: CommitIndex,
    /// What is asked.
    pub request: Request,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Order and execute this; repeating it is safe.
    Submit {
        /// Canonical bytes of a signed transaction.
        #[serde(with = "serde_bytes")]
        transaction: Vec<u8>,
        /// How long to wait for it to be final, at most [`WAIT_MS_MAX`].
        wait_ms: u32,
    },
    /// What has become of a transaction.
    Transaction {
        /// Which.
        id: TransactionId,
        /// How long to wait for it to be final, at most [`WAIT_MS_MAX`].
        wait_ms: u32,
    },
    /// The rows of these keys (see [`kerbholz_ledger::rows`]).
    Get {
        /// At most [`KEYS_MAX`].
        keys: Vec<Vec<u8>>,
    },
    /// Rows by prefix, ascending.
    Scan {
        /// The prefix.
        prefix: Vec<u8>,
        /// The first key of interest; to continue, the last one seen with a zero byte appended.
        from: Vec<u8>,
        /// At most [`ROWS_MAX`].
        limit: u32,
    },
    /// The proof of a transaction, as soon as a checkpoint covers it.
    Receipt {
        /// Which.
        id: TransactionId,
        /// How long to wait for the checkpoint, at most [`WAIT_MS_MAX`].
        wait_ms: u32,
    },
    /// How the node is.
    Info,
    /// The authorities against which the node has evidence.
    Offenders,
    /// A piece of evidence, with what it takes to verify it.
    Accusation {
        /// Key of the authority.
        key: PublicKey,
        /// Which of those that the node keeps, from 0.
        number: u32,
    },
    /// How epochs ended, and with it who the authorities are.
    Epochs {
        /// From which epoch on.
        from: Epoch,
    },
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The transaction is final.
    Final(TransactionRow),
    /// It is not final (yet).
    Pending,
    /// The values of the keys asked for, in their order: of as many as fit into an answer, at least
    /// one. Ask again for the others.
    Rows(Vec<Option<Vec<u8>>>),
    /// Rows of a scan, as many as fit; only an empty page is the last.
    Page(Vec<Row>),
    /// A receipt.
    Receipt(Box<Receipt>),
    /// How the node is.
    Info(NodeInfo),
    /// Not done.
    Refused(Refusal),
    /// The authorities against which there is evidence, by their keys.
    Offenders(Vec<Offender>),
    /// The evidence; `None` if the node does not keep so much, or the end of an epoch before it is
    /// not provable yet.
    Accusation(Option<Box<Accusation>>),
    /// How the epochs from the one asked for on ended, in order: as many as fit. None if that has not
    /// ended, or it cannot be proved yet.
    Epochs(Vec<EpochEnd>),
}

/// Why a node does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The transaction would be rejected; it was not ordered.
    #[error("{}: {}", .0.name(), .0.sentence())]
    Rejected(Code),
    /// Too much is waiting here: later, or elsewhere.
    #[error("the authority's queue is full: try again later or at another authority")]
    Busy,
    /// The node has not caught up with the commit the client has seen.
    #[error("the authority is behind: try again later or at another authority")]
    Behind,
    /// The request is not one this version knows, or breaks a limit.
    #[error("the request is malformed or breaks a limit: use an SDK of this network's version")]
    BadRequest,
    /// The node has a problem of its own.
    #[error("the authority has a problem of its own: try another one, and tell its operator")]
    Failed,
}

impl Refusal {
    /// Whether another authority, or this one later, may do what was asked.
    pub const fn is_of_authority(&self) -> bool {
        matches!(self, Self::Busy | Self::Behind | Self::Failed)
    }
}

/// What a node does in the present epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// A member of no committee: it follows the ledger.
    #[default]
    Follows,
    /// It signs blocks.
    Signs,
    /// It does not know what it has signed, and waits for the others to tell it.
    LostLog,
    /// It met a block with its key that it has not made, and signs no more: an operator must look.
    Stopped,
}

impl Duty {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Follows => "follows",
            Self::Signs => "signs",
            Self::LostLog => "lost its log, asks the others",
            Self::Stopped => "stopped: its key is in use elsewhere",
        }
    }
}

/// How a node is, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its authority's name.
    pub name: String,
    /// Version of the software.
    pub version: String,
    /// Last commit executed.
    pub commit: CommitIndex,
    /// Its time.
    pub commit_time: Timestamp,
    /// Commit of the newest checkpoint.
    pub checkpoint: CommitIndex,
    /// The epoch it is in.
    pub epoch: u64,
    /// Highest round of the DAG.
    pub round: u64,
    /// What it does in the epoch.
    pub duty: Duty,
    /// Authorities connected, itself included.
    pub connected: u16,
    /// Transactions waiting to be ordered.
    pub waiting: u64,
    /// Transactions executed since the network began.
    pub transactions: u64,
    /// Bytes sent over the network since the process began.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Processor time of the process, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory of the process, in bytes.
    pub resident_bytes: u64,
}

/// From where a client wants events: everything after a place it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The commit of the last event seen; 0 for all that is kept. What a node no
    /// longer keeps is skipped without a word: it keeps those of the last 100,000 commits, the
    /// ledger itself has all.
    pub commit: CommitIndex,
    /// How many of that commit's events have been seen.
    pub index: u32,
    /// Only events that concern this member as buyer, provider or owner; `None` for all events.
    pub member: Option<MemberId>,
}

/// Keys of a node's rows for statements begin with this byte; see [`statement_key`].
const STATEMENT: u8 = 0xe6;

/// What one entry of the transaction log did to an account. A node keeps them beside the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementEntry {
    /// The transaction, or what stands for a passed deadline.
    pub transaction: TransactionId,
    /// The orders that it changed: mostly one, for which the money was held, or was paid or given
    /// back.
    pub orders: Vec<OrderId>,
    /// The account before it.
    pub before: AccountRow,
    /// The account after it.
    pub after: AccountRow,
}

/// What the keys of all entries of an account begin with.
pub fn statement_prefix(organisation: MemberId, currency: &str) -> Vec<u8> {
    // No currency has a byte 255: it is UTF-8.
    [&[STATEMENT], organisation.as_bytes().as_slice(), currency.as_bytes(), &[u8::MAX]].concat()
}

/// The key of what a leaf of the transaction log did to an account.
pub fn statement_key(organisation: MemberId, currency: &str, leaf: u64) -> Vec<u8> {
    [statement_prefix(organisation, currency).as_slice(), &leaf.to_be_bytes()].concat()
}

impl Call {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when they are too many, malformed or not canonical.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<Self, CALL_BYTES_MAX>(bytes)
    }
}

impl Answer {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when they are too many, malformed or not canonical.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<Self, ANSWER_BYTES_MAX>(bytes)
    }
}
