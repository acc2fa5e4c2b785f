//! Rejections: the ledger's answers of no. Replicated, stable, one code each.
//!
//! The number of a code never changes and is never used again; new codes are added at the end of
//! their family. Operations are checked in order and the first one refused decides; within one the
//! checks run from who signs over what it names to what it would change, entries of a list in
//! order. The first rule broken is the answer. `docs/rejections.md` lists all codes.

use alloc::string::String;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Declares the codes once: number, name and sentence.
macro_rules! rejections {
    ($($number:literal $name:ident = $code:literal, $sentence:literal;)*) => {
        /// Why the ledger refused a transaction.
        ///
        /// Encoded as its number, in text as its name: neither depends on what other codes there
        /// are, so that a log entry keeps its digest when codes are added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $sentence] $name,)*
        }

        impl Code {
            /// All codes, ascending by number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable number.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// The stable name, for programs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What happened and what to do, for people.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

rejections! {
    // The envelope.
    1 Malformed = "malformed", "The bytes are not a canonical transaction: encode it with the SDK of this version.";
    2 TooLarge = "too_large", "The transaction is larger than 64 KiB: split it.";
    3 UnknownVersion = "unknown_version", "The transaction format's version is not known here: use an SDK of this network's version.";
    4 BadSignature = "bad_signature", "The signature does not belong to the signer and these bytes: sign again with the right key.";
    5 WrongNetwork = "wrong_network", "The transaction is for another network: check the genesis file.";
    6 TooManyOperations = "too_many_operations", "A transaction has 1 to 64 operations: split it.";
    7 LifetimeTooLong = "lifetime_too_long", "A transaction expires after its creation, at most 24 hours later: set expires_at accordingly.";
    8 NotYetValid = "not_yet_valid", "The transaction was created in the future: set the clock of the machine.";
    9 Expired = "expired", "The transaction expired before it was ordered: sign and submit it again.";
    10 UnknownSigner = "unknown_signer", "The signing key belongs to no member and no authority: have your organisation enrol it.";
    11 RevokedSigner = "revoked_signer", "The member or its key is revoked: ask your organisation.";
    12 WrongSigner = "wrong_signer", "This member or this key may not do this: sign with the key of who may.";

    // Anything.
    20 FieldInvalid = "field_invalid", "A text is empty or too long, or a list is too long or not sorted: see the operation's description.";
    21 ZeroAmount = "zero_amount", "An amount is zero where something must be there: leave the entry out.";
    22 UnitMismatch = "unit_mismatch", "A quantity is not in the unit that is asked for: convert it to that base unit.";
    23 Overflow = "overflow", "A sum or product does not fit the ledger's integers: use smaller amounts.";
    24 PeriodInvalid = "period_invalid", "A period ends before it begins or in the future, or overlaps one already booked: correct its times.";

    // Members.
    30 UnknownMember = "unknown_member", "There is no such member: check the id.";
    31 KeyInUse = "key_in_use", "The key belongs to a member or an authority already: make a new one.";
    32 BadKeyProof = "bad_key_proof", "The new key has not signed for this member or authority: sign the key proof with the new key.";
    33 NotInOrganisation = "not_in_organisation", "The member belongs to another organisation: ask that one.";
    34 CommitInPast = "commit_in_past", "The commit named has passed: name a later one.";
    35 WrongKind = "wrong_kind", "The member is of another kind than is needed here: check the id.";
    36 RevokedMember = "revoked_member", "The member's membership has ended: name another.";

    // Factors.
    40 UnknownFactor = "unknown_factor", "There is no such factor in that set: check set and code.";
    41 FactorSetExists = "factor_set_exists", "This name and version are published already, and immutable: publish a new version.";
    42 FactorInvalid = "factor_invalid", "A factor contradicts itself: see the description of its fields.";
    43 FactorNotValidThen = "factor_not_valid_then", "The factor does not hold for the whole period: use the version that does.";
    44 WrongFactor = "wrong_factor", "The meter's zone or contract names another factor: use that one.";
    45 OffsetAsReduction = "offset_as_reduction", "A negative climate figure is an offset, not a footprint: leave it out and record it beside, as an avoided burden; what plants took up is biogenic uptake.";

    // Meters.
    50 RegisterGap = "register_gap", "The reading does not start where the register stood: send the missing reading first.";
    51 RegisterNotAhead = "register_not_ahead", "The register does not go up: has this reading been booked already?";
    52 RegisterEnd = "register_end", "The register cannot have come there: its enrolment must state where it ends, and it overflows only to less than before.";

    // Lots.
    60 UnknownLot = "unknown_lot", "There is no such lot: check the id.";
    61 NotOwner = "not_owner", "The lot belongs to another member: ask its owner.";
    62 LotHeld = "lot_held", "The lot is held for an order: use it for that order, or wait until the order ends.";
    63 NotEnough = "not_enough", "More is taken than there is: check the lot's remaining quantity.";
    64 LotTwice = "lot_twice", "A lot is named twice in one transformation: name it once, with the sum.";
    65 MassMismatch = "mass_mismatch", "The mass of a milligram lot is its amount, and energy and services have none: correct it.";
    66 MassImbalance = "mass_imbalance", "Mass in and mass out differ by more than the tolerance: is a waste lot missing?";
    67 NoAllocation = "no_allocation", "No output has an allocation weight: the footprint must go somewhere.";
    68 MissingDimension = "missing_dimension", "A dimension that the order requires is not declared: use factors that declare it.";
    69 ImportInvalid = "import_invalid", "The imported footprint contradicts itself or lacks its evidence: see its description.";
    70 ProductMismatch = "product_mismatch", "The outputs are not the product ordered: name product and unit as in the terms.";
    71 NotOperator = "not_operator", "Only organisations that run authorities, as the genesis names them, book upkeep: use another kind of sink.";
    72 UpkeepInvalid = "upkeep_invalid", "Upkeep is what a meter read within one accounting period: read it at the period's end, or use another kind of sink.";

    // Orders.
    80 UnknownOrder = "unknown_order", "There is no such order: check the id.";
    81 WrongState = "wrong_state", "The order is not in the state this step needs: look at it again.";
    82 NotProvider = "not_provider", "Only the order's provider may do this.";
    83 NotBuyer = "not_buyer", "Only the order's buyer (or its confirming machine) may do this.";
    84 TermsInvalid = "terms_invalid", "The terms contradict themselves: see the description of their fields.";
    85 DeadlinePassed = "deadline_passed", "The deadline has passed: place a new order.";
    86 WrongQuantity = "wrong_quantity", "The quantity made is not what the outcome says: complete is all, partial is less, failed is none.";
    87 CapExceeded = "cap_exceeded", "The footprint is above the order's cap: complete it as failed, or agree on a new order.";
    88 ParentInvalid = "parent_invalid", "The parent order is not one that this machine provides and has not finished.";
    89 LimitExceeded = "limit_exceeded", "The completion goes above a limit of the organisation or the network: complete it as failed, or in the next period.";

    // Money.
    90 UnknownCurrency = "unknown_currency", "No organisation may issue this currency: check its code.";
    91 NotIssuer = "not_issuer", "Another organisation issues this currency.";
    92 InsufficientFunds = "insufficient_funds", "The account has less available than is needed: add money, or wait for holds to end.";

    // Limits.
    95 LimitInvalid = "limit_invalid", "The limits contradict themselves: at most 16, ascending by name, with a period or an amount, none negative.";

    // The committee.
    100 WrongEpoch = "wrong_epoch", "The vote is not for the current epoch: look at the committee as it is now, and vote again.";
    101 EpochClosed = "epoch_closed", "The committee was changed by an earlier vote of the same commit: vote again in the new epoch.";
    102 UnknownAuthority = "unknown_authority", "No authority of the current committee has this key: check the committee.";
    103 NameInUse = "name_in_use", "Another authority of the committee has this name: choose another one.";
    104 CommitteeSize = "committee_size", "A committee has 1 to 128 authorities: add one before removing the last, or remove one first.";
    105 VoteUnchanged = "vote_unchanged", "The authority's vote stands exactly like this already: nothing is left to do.";

    // Restatements.
    110 UnknownRestatement = "unknown_restatement", "There is no such restatement: check the id.";
    111 NotASource = "not_a_source", "Only sources are restated: name a reading's or a declared lot, or an activity of a transformation.";
    112 NotYourSource = "not_your_source", "Another member booked this source: ask that one, or its organisation, to restate it.";
    113 CorrectionInvalid = "correction_invalid", "The correction does not fit the source: a reading takes a factor, a declared lot a factor or an imported footprint, an activity a factor and an amount.";
    114 RestatementUnchanged = "restatement_unchanged", "The correction comes to what is booked already: nothing is left to do.";
    115 RestatementDecided = "restatement_decided", "The restatement does not wait any more: look at what became of it.";

    // Governance.
    140 UnknownProposal = "unknown_proposal", "There is no such proposal, or it ended long ago: check the id.";
    141 ProposalEnded = "proposal_ended", "The proposal is not open any more: look at what became of it.";
    142 TooManyProposals = "too_many_proposals", "The authority has four open proposals already: wait until one ends.";
    143 OpenTimeInvalid = "open_time_invalid", "A proposal is open for one minute to 90 days: name another end.";
    144 NameTaken = "name_taken", "Another organisation has this name: choose another one.";
    145 RulesInvalid = "rules_invalid", "Thresholds ascend by dimension, none negative, and need an auditor; operators are named once, where the genesis sets an accounting period: correct them.";
    146 VersionInvalid = "version_invalid", "This version of the protocol is active already, or was: name a later one.";
    147 ActionUnchanged = "action_unchanged", "It is like this already: nothing is left to do.";

    // Keys and revoked machines.
    150 KeyNotReplaced = "key_not_replaced", "The key is nobody's, or in use without an end: rotate to another one first.";
    151 NotRevoked = "not_revoked", "The machine is still a member and owns its lots itself: let it transfer them, or revoke it.";

    // Allowances.
    160 OrderAboveAllowance = "order_above_allowance", "The order is above what the organisation lets this machine order at once: order less, or ask the organisation for a larger allowance.";
    161 PeriodAboveAllowance = "period_above_allowance", "With the order, the machine is above its allowance for the period: wait for the next one, or ask the organisation for a larger allowance.";
    162 CurrencyNotAllowed = "currency_not_allowed", "The machine's allowance names no such currency: order in another one, or ask the organisation to allow it.";
    163 PredictionMissing = "prediction_missing", "The machine's climate allowance needs to know what the order may come to: give it a predicted footprint or a cap.";
    164 AllowanceInvalid = "allowance_invalid", "The allowance contradicts itself: it has a period, at most 16 currencies ascending by code, and nothing negative.";
    165 TransferToSelf = "transfer_to_self", "The money is there already: name another organisation.";
}

impl Code {
    /// The code of a number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// The code of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.serialize_str(self.name())
        } else {
            to.serialize_u16(self.number())
        }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = if from.is_human_readable() {
            Self::from_name(&String::deserialize(from)?)
        } else {
            Self::from_number(u16::deserialize(from)?)
        };
        code.ok_or_else(|| D::Error::custom("no rejection code known to this version"))
    }
}

/// A refusal: the code, and which operation of the transaction it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} (operation {operation}): {}", code.name(), code.sentence())]
pub struct Rejection {
    /// Why.
    pub code: Code,
    /// Index of the operation refused; 0 when the envelope itself is.
    pub operation: u32,
}
