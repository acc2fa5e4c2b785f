//! What can go wrong for a client, and what to do about it.

use kerbholz_ledger::id::TransactionId;
use kerbholz_ledger::rejection::Rejection;

use crate::connection::ConnectionError;
use crate::protocol::Refusal;

/// Why a call of the SDK did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The ledger said no; the answer is recorded and final.
    #[error("transaction {id} was rejected: {rejection}")]
    Rejected {
        /// Which transaction.
        id: TransactionId,
        /// Why.
        rejection: Rejection,
    },
    /// A node said no before ordering anything.
    #[error("the authority refused: {0}")]
    Refused(#[from] Refusal),
    /// Nobody could tell in time what became of it. It may still become final: ask for it again by
    /// its id, or submit the same transaction once more; it is never executed twice.
    #[error(
        "no authority could say in time what became of transaction {id}: ask again for it, or \
         submit it again (it is never executed twice)"
    )]
    Undecided {
        /// Which transaction.
        id: TransactionId,
    },
    /// The key belongs to no member.
    #[error("the key belongs to no member of this network: have an organisation enrol it first")]
    NotEnrolled,
    /// What was asked for does not exist (as far as this client's authority knows).
    #[error("there is no such {0}: check the id")]
    Unknown(&'static str),
    /// Something was waited for, and did not happen in time.
    #[error("{0} did not happen in time: wait longer, or look at the order's state")]
    TimedOut(&'static str),
    /// No authority can be reached.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// An authority sent something that makes no sense.
    #[error("an authority answered what was not asked: is it of another version?")]
    BadAnswer,
    /// A receipt that an authority sent does not verify.
    #[error("an authority sent a receipt that does not verify: {0}")]
    BadReceipt(#[from] crate::receipt::ReceiptError),
    /// Evidence that an authority sent does not verify.
    #[error("an authority sent evidence that does not verify: {0}")]
    BadAccusation(#[from] crate::evidence::AccusationError),
}
