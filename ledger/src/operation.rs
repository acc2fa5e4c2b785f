//! Operations: everything a member can ask of the ledger, one structure each.
//!
//! What each needs and refuses is said here; [`crate::execute()`] does it.

use crate::allowance::AllowanceSetting;
use crate::avoided::AvoidedBurden;
use crate::committee::CommitteeVote;
use crate::description::Description;
use crate::factor::Quality;
use crate::factor::{Factor, FactorRef};
use crate::footprint::{DimensionSet, EvidenceTier, Footprint, GwpSet};
use crate::governance::{Proposal, ProposalVote};
use crate::id::{ContentHash, LotId, MemberId, OrderId};
use crate::keys::{PublicKey, Signature};
use crate::limit::LimitList;
use crate::order::OrderTerms;
use crate::quantity::{CommitIndex, Milligrams, Minor, Quantity, Timestamp, Unit};
use crate::restatement::{Restatement, RestatementDecision};
use crate::transformation::{Completion, Transformation};
use alloc::{boxed::Box, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// One operation. The order of variants is part of the format; new ones are added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// An organisation admits a machine or meter.
    Enrol(Enrolment),
    /// A member's owner (or its organisation's) replaces its signing key.
    RotateKey(KeyRotation),
    /// An organisation ends the membership of one of its machines or meters.
    Revoke(Revocation),
    /// A publisher publishes one version of a factor set.
    PublishFactors(FactorPublication),
    /// An organisation named for a currency issues money to an organisation.
    IssueMoney(MoneyIssue),
    /// An organisation gives money of its own back to the issuer.
    RedeemMoney(MoneyRedemption),
    /// A meter books what its register counted.
    SubmitReading(Reading),
    /// An organisation explains why a meter's register starts again elsewhere.
    ResetRegister(RegisterReset),
    /// A machine brings in something made outside the ledger.
    DeclareLot(LotDeclaration),
    /// A machine hands a lot, or part of it, to another member.
    TransferLot(LotTransfer),
    /// A machine makes lots into lots, without an order.
    Transform(Transformation),
    /// A machine books a lot, or part of it, out of the ledger.
    SinkLot(LotSink),
    /// A machine orders a service of another.
    PlaceOrder(OrderTerms),
    /// The provider takes the order on.
    AcceptOrder(OrderStep),
    /// The provider declines the order.
    RejectOrder(OrderStep),
    /// The buyer withdraws the order (freely before acceptance, for the cancel fee after it).
    CancelOrder(OrderStep),
    /// The provider begins.
    StartOrder(OrderStep),
    /// The provider reports what was made and what it took.
    CompleteOrder(Completion),
    /// The buyer, or the confirming machine, takes delivery: lots and money change hands.
    ConfirmOrder(OrderStep),
    /// An authority votes for a change of its committee.
    VoteCommittee(CommitteeVote),
    /// Who booked a source corrects it.
    Restate(Restatement),
    /// An auditor countersigns or refuses a material restatement, or who asked for it withdraws it.
    DecideRestatement(RestatementDecision),
    /// What a lot or an order saves elsewhere is recorded beside it.
    RecordAvoided(AvoidedBurden),
    /// An organisation sets the limits of its own machines.
    SetLimits(LimitList),
    /// An authority proposes something to the others.
    Propose(Box<Proposal>),
    /// An authority votes on a proposal.
    VoteProposal(ProposalVote),
    /// Somebody says what a machine can do, and where it or a meter stands.
    Describe(Box<Description>),
    /// An owner brings the end of a replaced signing key forward.
    EndKey(KeyEnd),
    /// An owner key takes another one's place.
    ReplaceOwnerKey(OwnerKeyReplacement),
    /// An organisation takes the lots of a machine that it has revoked.
    TakeOverLots(LotTakeover),
    /// An organisation gives money to another one.
    TransferMoney(MoneyTransfer),
    /// An organisation sets what its machines may spend.
    SetAllowance(AllowanceSetting),
}

/// What kind of member is enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enrolled {
    /// A machine: orders, offers services, owns lots.
    Machine,
    /// A meter: signs readings, and nothing else.
    Meter(MeterKind),
}

/// What a meter counts, for whom, and by which factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterKind {
    /// The machine that owns what the meter books; of the same organisation.
    pub host: MemberId,
    /// The product a reading makes a lot of, e.g. `electricity`. At most 64 bytes.
    pub product: String,
    /// What one unit of the register is.
    pub unit: Unit,
    /// The code of the grid zone's or contract's factor; readings may not choose another.
    pub factor_code: String,
    /// Where the register stands at enrolment.
    pub register: u64,
    /// Where the register starts again from 0, if that is known: one above the largest number that it
    /// shows. Above `register`.
    pub register_end: Option<u64>,
}

/// `Enrol`: signed by the organisation's signing or owner key. Refused when a key is known, weak (see
/// [`PublicKey::is_weak`]), or the signing key does not prove itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// What for people. 1 to 64 bytes.
    pub name: String,
    /// What kind of member.
    pub kind: Enrolled,
    /// The key that changes things; kept safe.
    pub owner_key: PublicKey,
    /// The key that works daily; may equal the owner key.
    pub signing_key: PublicKey,
    /// The signing key's signature over network and organisation ([`key_proof_message`] in
    /// [`KEY_PROOF_DOMAIN`]): nobody enrols a key that is not theirs.
    pub key_proof: Signature,
    /// The owner key's signature over the same; equal to the other where one key is both.
    pub owner_proof: Signature,
}

/// Domain of the proof that a new key belongs to who enrols or rotates to it.
pub const KEY_PROOF_DOMAIN: &str = "kerbholz/key-proof/1";

/// What a new signing key signs: the network, and the member that will answer for it (the
/// organisation at enrolment, the member itself at rotation).
pub fn key_proof_message(network: crate::id::NetworkId, answerable: MemberId) -> Vec<u8> {
    [network.as_bytes().as_slice(), answerable.as_bytes()].concat()
}

/// `RotateKey`: signed by the member's owner key or its organisation's owner key. The new key works
/// at once, the old one until the commit named, so that nothing in between is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotation {
    /// Whose key.
    pub member: MemberId,
    /// The new signing key.
    pub signing_key: PublicKey,
    /// The first commit at which the old key no longer works; not in the past.
    pub old_key_until: CommitIndex,
    /// The new key's signature over network and member.
    pub key_proof: Signature,
}

/// `Revoke`: signed by the organisation's signing or owner key. A later revocation may bring the end
/// forward, never put it off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose membership ends.
    pub member: MemberId,
    /// The first commit at which it no longer holds; not in the past.
    pub from: CommitIndex,
    /// Why. At most 256 bytes.
    pub reason: String,
}

/// `EndKey`: signed by the owner key of the key's member, or by its organisation's owner key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEnd {
    /// A signing key that was replaced, and may still work.
    pub key: PublicKey,
    /// The first commit at which it no longer works; not in the past, and before the one that stands.
    pub from: CommitIndex,
}

/// `ReplaceOwnerKey`: signed by the member's present owner key, or by its organisation's owner key. By
/// vote, too, for members that were admitted by vote. The old key changes nothing any more from then
/// on; a key that was owner and signing key in one goes on signing until it is rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerKeyReplacement {
    /// Whose.
    pub member: MemberId,
    /// The new owner key.
    pub owner_key: PublicKey,
    /// The new key's signature over network and member ([`key_proof_message`]).
    pub key_proof: Signature,
}

/// Most lots that are taken over at once.
pub const TAKEOVER_MAX: usize = 64;

/// `TakeOverLots`: signed by the organisation's signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotTakeover {
    /// A machine of the organisation, revoked.
    pub machine: MemberId,
    /// Lots of it, none of them held; 1 to [`TAKEOVER_MAX`], none twice.
    pub lots: Vec<LotId>,
}

/// `TransferMoney`: signed by the signing key of the organisation that gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyTransfer {
    /// The currency.
    pub currency: String,
    /// The organisation that receives it; another one.
    pub to: MemberId,
    /// How much of the available balance; not zero.
    pub amount: Minor,
    /// What for. At most [`MEMO_MAX`] bytes, may be empty.
    pub memo: String,
}

/// Most bytes of what a transfer is for.
pub const MEMO_MAX: usize = 128;

/// `PublishFactors`: signed by a publisher. Name and version are used once, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorPublication {
    /// The set's name. 1 to 64 bytes.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The factors, ascending by code, none twice; at least one.
    pub factors: Vec<Factor>,
}

/// `IssueMoney`: signed by the signing key of the currency's issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyIssue {
    /// ISO 4217 code or a consortium's own. 1 to 16 bytes.
    pub currency: String,
    /// The organisation that receives it.
    pub to: MemberId,
    /// How much; not zero.
    pub amount: Minor,
}

/// `RedeemMoney`: signed by the signing key of the organisation that gives it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyRedemption {
    /// The currency.
    pub currency: String,
    /// How much of the available balance; not zero.
    pub amount: Minor,
}

/// `SubmitReading`: signed by the meter's own key, or by its host machine's. Books the register's
/// difference as a lot of the meter's product, owned by its host. Only what the meter signed is
/// measured; what the machine signed for it is derived with evidence, and default without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The meter.
    pub meter: MemberId,
    /// Must equal the last accepted register: the register is a chain, every unit is booked once.
    pub register_from: u64,
    /// The new register: above `register_from`, or below it when it overflowed.
    pub register_to: u64,
    /// Whether the register passed its end, which the meter's enrolment states, and went on from 0.
    pub overflowed: bool,
    /// Begin of the period; not before the end of the last one.
    pub from: Timestamp,
    /// End of the period; after its begin, and not in the future.
    pub to: Timestamp,
    /// The factor, of the meter's code, valid for the whole period.
    pub factor: FactorRef,
    /// Proof, for a reading that the host machine signs.
    pub evidence: Option<Evidence>,
}

/// Why a register starts elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// The meter was replaced.
    Replaced,
    /// The register overflowed, and the meter's enrolment does not state where. (A reading says so
    /// itself where it does, and counts on.)
    Overflowed,
}

/// `ResetRegister`: signed by the meter's organisation; the step stays visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterReset {
    /// The meter.
    pub meter: MemberId,
    /// Must equal the last accepted register.
    pub register_from: u64,
    /// Where the register stands now.
    pub register_to: u64,
    /// Why.
    pub reason: ResetReason,
}

/// Proof outside the ledger, by hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// BLAKE3 of the document.
    pub hash: ContentHash,
    /// Its media type, e.g. `application/pdf`. At most 64 bytes.
    pub media_type: String,
    /// Where it can be fetched, if anywhere. At most 256 bytes.
    pub location: Option<String>,
}

/// Where a declared lot's footprint comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredFootprint {
    /// Factor times quantity. The factor's unit must be the lot's unit, or milligrams (then the
    /// lot's mass counts).
    Factor(FactorRef),
    /// A supplier's product footprint for the whole lot, with its document as evidence.
    Imported(Box<ImportedFootprint>),
}

/// A product footprint made elsewhere (for example a PACT v3 document).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedFootprint {
    /// Values for the whole lot; tiers and ratings are booked by the ledger, and must be zero.
    pub footprint: Footprint,
    /// The dimensions the document declares.
    pub declared: DimensionSet,
    /// The assessment report behind its climate figure.
    pub gwp_set: GwpSet,
    /// Its data-quality ratings.
    pub quality: Quality,
    /// Derived when the document says so and is attached as evidence, else default.
    pub tier: EvidenceTier,
}

/// `DeclareLot`: signed by the machine that will own it. Derived with evidence, default without.
///
/// Where the factor or document does not declare them, the ledger books what it knows itself: the
/// lot's mass as [`crate::footprint::Dimension::Material`], and for a factor per joule the amount as
/// [`crate::footprint::Dimension::Energy`] (in readings and activities as well). One source books at
/// most 2^90 of any dimension's unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotDeclaration {
    /// What it is. 1 to 64 bytes.
    pub product: String,
    /// How much; not zero.
    pub quantity: Quantity,
    /// Its mass; equals the amount where the unit is milligram; zero for energy and services.
    pub mass: Milligrams,
    /// Its footprint.
    pub footprint: DeclaredFootprint,
    /// Proof of the amount or of the footprint.
    pub evidence: Option<Evidence>,
}

/// A lot and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// The lot.
    pub lot: LotId,
    /// How much of it, in its own unit; not zero, not more than there is.
    pub quantity: Quantity,
}

/// `TransferLot`: signed by the owner, a machine or organisation. The receiver gets a new lot with the
/// share of the footprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotTransfer {
    /// What.
    pub portion: Portion,
    /// To whom: a machine or organisation.
    pub to: MemberId,
}

/// What became of a lot that leaves the ledger. What its treatment costs is a transformation with a
/// direct activity before it, so that the footprint of waste includes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    /// Used up by its owner.
    Consumed,
    /// Became scrap.
    Scrapped,
    /// Disposed of; nobody says how.
    Disposed,
    /// Given to recycling outside the ledger.
    RecycledOut,
    /// Sold or handed on outside the ledger.
    Exported,
    /// Energy that no order drew: expensed, so that it shows.
    BaseLoad,
    /// Disposed of in a landfill.
    Landfilled,
    /// Disposed of by burning, without use of the heat.
    Incinerated,
    /// Disposed of by burning for heat or power.
    EnergyRecovered,
    /// Disposed of by chemical or biological treatment.
    Treated,
    /// What the authorities of this ledger used: only of a meter's reading within one accounting
    /// period, by a machine of an organisation that runs authorities ([`crate::upkeep`]).
    Upkeep,
}

/// `SinkLot`: signed by the owner, a machine or organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotSink {
    /// What.
    pub portion: Portion,
    /// What became of it.
    pub kind: SinkKind,
}

/// A step that needs to name only the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStep {
    /// The order.
    pub order: OrderId,
}
