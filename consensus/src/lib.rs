//! Byzantine-fault-tolerant agreement over a DAG of signed blocks, without input or output.
//!
//! The protocol is written down in `docs/protocol.md`; the code cites its sections as `§3`.
//! A newcomer reads [`types`], [`block`], `rule` (what is final), `linear` (in which order) and
//! [`machine`] (how it moves).
//!
//! The crate owns no clock, no socket, no file and no randomly ordered map: everything it knows
//! arrives as an [`Event`], everything it wants is an [`Action`].
#![no_std]
extern crate alloc;

pub mod audit;
pub mod authority_set;
pub mod block;
mod catch_up;
pub mod certificate;
pub mod checkpoint;
mod codec;
pub mod commit;
pub mod committee;
mod dag;
pub mod event;
pub mod evidence;
pub mod fault;
pub mod follower;
pub mod keys;
mod linear;
mod lost_log;
pub mod machine;
mod own_check;
mod pacemaker;
pub mod parameters;
mod queue;
pub mod recovery;
mod relay;
mod rule;
mod suspended;
mod sync;
mod tally;
pub mod types;

#[cfg(test)]
mod known_bugs;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use audit::{AuditError, Auditor};
pub use authority_set::AuthoritySet;
pub use block::{
    BLOCK_BYTES_MAX, Block, Draft, Header, ITEM_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_ITEMS_MAX,
    UnverifiedBlock,
};
pub use certificate::{CertificateError, CertifiedCommits};
pub use checkpoint::{Checkpoint, CheckpointError, Statement, Vote};
pub use commit::{Commit, CommitError, CommitHeader};
pub use committee::{Committee, CommitteeConfig, CommitteeError};
pub use event::{Action, Event, HaltReason, Now, Offence, RefusalReason, Timer};
pub use evidence::{Evidence, EvidenceError, SignedHeader};
pub use fault::Fault;
pub use follower::Follower;
pub use keys::{PublicKey, Signature, Signer};
pub use machine::{Consensus, RecoveryError, Status};
pub use parameters::{ParameterError, Parameters};
pub use recovery::{Base, Recovery};
pub use types::{
    AuthorityIndex, BlockDigest, BlockRef, CommitDigest, Domain, Instant, NetworkId, Round,
    Timestamp,
};
