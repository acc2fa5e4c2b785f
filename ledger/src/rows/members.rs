//! Members, their keys and meters, and the factors that publishers publish.

use crate::factor::Factor;
use crate::id::MemberId;
use crate::keys::PublicKey;
use crate::operation::MeterKind;
use crate::quantity::{CommitIndex, Timestamp};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// A company.
    Organisation,
    /// A machine of a company.
    Machine,
    /// A meter of a company.
    Meter,
    /// A publisher of factors.
    Publisher,
    /// An auditor: countersigns restatements.
    Auditor,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// Its organisation; itself for organisations, publishers and auditors.
    pub organisation: MemberId,
    /// The key that changes things.
    pub owner_key: PublicKey,
    /// The key that works daily.
    pub signing_key: PublicKey,
    /// The first commit at which it is no longer a member, if its end was decided.
    pub revoked_from: Option<CommitIndex>,
}

/// Which of a member's keys a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// The owner key, not used for signing daily.
    Owner,
    /// The signing key.
    Signing,
    /// One key for both.
    Both,
    /// An owner key that was replaced: it may do nothing any more, and is not used again.
    Former,
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The member.
    pub member: MemberId,
    /// Which of its keys.
    pub role: KeyRole,
    /// The first commit at which it no longer works for signing, if it was replaced.
    pub until: Option<CommitIndex>,
}

/// A meter's register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterRow {
    /// What it counts, and for whom; `register` is where it stood at enrolment.
    pub kind: MeterKind,
    /// Where the register stands.
    pub register: u64,
    /// End of the last period booked; time zero before the first.
    pub read_until: Timestamp,
    /// Readings booked.
    pub readings: u64,
    /// Resets explained.
    pub resets: u64,
    /// How often it was read through the end of its register.
    pub overflows: u64,
}

/// A published version of a factor set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorSetRow {
    /// Who published it.
    pub publisher: MemberId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// How many factors it has.
    pub factors: u32,
}

/// A factor row is the factor itself.
pub type FactorRow = Factor;
