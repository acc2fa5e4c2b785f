//! Governance: what the authorities decide for the network by vote, besides their own committee.
//!
//! An authority of the current committee proposes one [`Action`]; those of the committee vote on it.
//! The rules:
//!
//! * Proposing is the proposer's approval. Each authority has one ballot per proposal, which it may
//!   change while the proposal is open.
//! * Only ballots of authorities of the *current* committee count. As soon as a
//!   [quorum](crate::committee::quorum) of it approves, the proposal has passed, and its action is
//!   carried out in that transaction. As soon as so many reject that no quorum can approve any more,
//!   it has failed. At `open_until` the ledger itself ends it as expired.
//! * Every approval is checked as if it were the last one needed: what passes can be carried out.
//! * In the first commit of an epoch the ledger itself judges all open proposals by the new
//!   committee: what has a quorum of it passes, what cannot have one any more fails, and so does
//!   what was proposed by an authority that has left. The rest stays open; ballots of those who left
//!   stay on record and count no more.
//! * Votes that change the committee are a matter of [`crate::committee`].

use crate::codec;
use crate::factor::Impact;
use crate::id::{MemberId, NetworkId, ProposalId};
use crate::keys::{BadSignature, Keypair, PublicKey, Signature};
use crate::limit::LimitList;
use crate::operation::OwnerKeyReplacement;
use crate::quantity::{CommitIndex, Milliseconds, Timestamp};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The protocol version of every genesis.
pub const FIRST_VERSION: u32 = 1;
/// The newest protocol version that this code can execute.
pub const PROTOCOL_VERSION: u32 = 1;
/// Most proposals of one authority that are open at once.
pub const OPEN_MAX: usize = 4;
/// Proposals that have ended and stay in the state; the log has all.
pub const ENDED_KEPT: u64 = 1_024;
/// Shortest time that a proposal is open.
pub const OPEN_MIN: Milliseconds = Milliseconds::new(60 * 1000);
/// Longest time that a proposal is open.
pub const OPEN_FOR_MAX: Milliseconds = Milliseconds::new(90 * 24 * 60 * 60 * 1000);
/// Most bytes of a reason.
pub const REASON_MAX: usize = 256;
/// Most organisations that book what authorities use.
pub const OPERATORS_MAX: usize = 128;

const ADMISSION_PROOF_DOMAIN: &str = "kerbholz/admission-proof/1";

/// `Propose`: signed by the key of an authority of the current committee; its own approval, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What is to happen.
    pub action: Action,
    /// Why. 1 to [`REASON_MAX`] bytes.
    pub reason: String,
    /// When it ends without a decision: [`OPEN_MIN`] to [`OPEN_FOR_MAX`] after the commit's time.
    pub open_until: Timestamp,
}

/// `VoteProposal`: signed by the key of an authority of the current committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalVote {
    /// On what.
    pub proposal: ProposalId,
    /// For it, or against it.
    pub approve: bool,
}

/// What authorities decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Admit an organisation, publisher or auditor.
    Admit(Admission),
    /// End the membership of an organisation (and so of its machines and meters), publisher or
    /// auditor.
    Remove(Removal),
    /// Name the organisation that issues a currency: a new one, or another in the place of the
    /// present one.
    SetIssuer(IssuerChange),
    /// Set the network's limits, in the place of all that it set before. None names a machine.
    SetLimits(LimitList),
    /// Set from which change on a restatement needs an auditor, as
    /// [`Accounting::materiality`](crate::genesis::Accounting::materiality) does at genesis.
    SetMateriality(Vec<Impact>),
    /// Name the organisations whose machines book what authorities use; none twice. Only where the
    /// genesis sets an accounting period.
    SetOperators(Vec<MemberId>),
    /// Activate a version of the protocol.
    Activate(Activation),
    /// Replace the owner key of an organisation, publisher or auditor that has lost its own, or has
    /// had it stolen.
    ReplaceOwnerKey(OwnerKeyReplacement),
}

/// The kinds of member that are admitted by vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmittedKind {
    /// A company.
    Organisation,
    /// A publisher of factors.
    Publisher,
    /// An auditor.
    Auditor,
}

/// Who is to be admitted, and the word of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// What people call it. 1 to 64 bytes; no other organisation has an organisation's name.
    pub name: String,
    /// What it is to be.
    pub kind: AdmittedKind,
    /// The key that changes things; kept safe.
    pub owner_key: PublicKey,
    /// The key that works daily; may equal the owner key.
    pub signing_key: PublicKey,
    /// The owner key's signature over network, kind, name and both keys: nobody is voted in under a
    /// name or a key that is not theirs.
    pub owner_proof: Signature,
    /// The signing key's signature over the same; equal to the other where one key is both.
    pub signing_proof: Signature,
}

impl Admission {
    /// One that proves itself.
    pub fn new(
        network: NetworkId,
        kind: AdmittedKind,
        name: String,
        owner: &Keypair,
        signing: &Keypair,
    ) -> Self {
        let (owner_key, signing_key) = (owner.public(), signing.public());
        let message = codec::encode(&(network, kind, &name, owner_key, signing_key));
        let owner_proof = owner.sign(ADMISSION_PROOF_DOMAIN, &message);
        let signing_proof = signing.sign(ADMISSION_PROOF_DOMAIN, &message);
        Self { name, kind, owner_key, signing_key, owner_proof, signing_proof }
    }

    /// Checks the proofs. Weak keys (see [`PublicKey::is_weak`]) prove nothing.
    ///
    /// # Errors
    /// [`BadSignature`] when one of the keys has not signed exactly this for this network.
    pub fn verify(&self, network: NetworkId) -> Result<(), BadSignature> {
        let (owner, signing) = (self.owner_key, self.signing_key);
        if owner.is_weak() || signing.is_weak() {
            return Err(BadSignature);
        }
        let message = codec::encode(&(network, self.kind, &self.name, owner, signing));
        owner.verify(ADMISSION_PROOF_DOMAIN, &message, &self.owner_proof)?;
        signing.verify(ADMISSION_PROOF_DOMAIN, &message, &self.signing_proof)
    }

    /// The id it will have.
    pub fn member(&self) -> MemberId {
        MemberId::of(&self.owner_key)
    }
}

/// Whose membership is to end, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Whose.
    pub member: MemberId,
    /// The first commit at which it no longer holds; the commit after the one in which the proposal
    /// passes, where that is later.
    pub from: CommitIndex,
}

/// Who is to issue a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerChange {
    /// ISO 4217 code or a consortium's own. 1 to 16 bytes.
    pub currency: String,
    /// The organisation.
    pub issuer: MemberId,
}

/// A version of the protocol and its beginning. Its own rules begin with that commit; software that
/// does not know it stops before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Above the active one.
    pub version: u32,
    /// The first commit that is executed by it: after the one in which the proposal passes.
    pub from: CommitIndex,
}

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// It can be voted on.
    Open,
    /// A quorum approved: its action was carried out.
    Passed,
    /// A quorum could not approve any more, or its proposer left the committee.
    Failed,
    /// Its time was over.
    Expired,
}

/// An authority's vote on a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// The authority's key.
    pub voter: PublicKey,
    /// For it, or against it.
    pub approve: bool,
    /// In which commit.
    pub commit: CommitIndex,
    /// When.
    pub time: Timestamp,
}
