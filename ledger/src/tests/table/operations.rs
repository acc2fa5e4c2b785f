//! From the words of a line to the operation it asks for: what is not said is the ordinary case.

use super::super::world::*;
use super::{Line, Table};
use crate::avoided::{AvoidedBurden, Beside};
use crate::committee::{Candidate, CommitteeChange, CommitteeVote};
use crate::factor::Impact;
use crate::footprint::{Dimension, DimensionSet, EvidenceTier, Footprint, GwpSet};
use crate::id::{ContentHash, TransformationId};
use crate::keys::{PublicKey, Signature};
use crate::limit::{LIMITS_MAX, Limit, LimitAction, LimitList, LimitScope};
use crate::operation::*;
use crate::order::{CarbonPrice, FailureBearer, OrderTerms, Settlement};
use crate::quantity::{
    CommitIndex, Epoch, Milligrams, Milliseconds, Minor, Quantity, Timestamp, Unit,
};
use crate::query;
use crate::restatement::{Correction, Restatement, RestatementDecision, Source};
use crate::rows::Origin;
use crate::transformation::*;
use std::string::{String, ToString};
use std::vec::Vec;

/// `120g`, `3kWh`, `10pc`.
pub fn quantity(text: &str) -> Quantity {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let amount: u64 = text[..digits].parse().expect("an amount");
    let (factor, unit) = match &text[digits..] {
        "mg" => (1, Unit::Milligram),
        "g" => (1000, Unit::Milligram),
        "kg" => (1_000_000, Unit::Milligram),
        "J" => (1, Unit::Joule),
        "kWh" => (3_600_000, Unit::Joule),
        "pc" => (1, Unit::Piece),
        "ml" => (1, Unit::Millilitre),
        "mm" => (1, Unit::Millimetre),
        "s" => (1, Unit::Second),
        "kgm" => (1, Unit::KilogramMetre),
        other => panic!("no unit: {other}"),
    };
    Quantity::new(amount * factor, unit)
}

pub fn evidence(text: &str) -> Evidence {
    Evidence { hash: ContentHash::of(b"proof"), media_type: text.into(), location: None }
}

/// A text as long as a number says, or the text itself.
pub(super) fn text(word: &str) -> String {
    word.strip_prefix("long").map_or_else(
        || word.trim_matches('"').to_string(),
        |length| "x".repeat(length.parse().expect("a length")),
    )
}

pub(super) fn list(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.split(',').filter(|item| !item.is_empty()).map(|item| item.split(':').collect())
}

impl Table {
    fn portions(&self, text: &str) -> Vec<Portion> {
        let portion =
            |item: Vec<&str>| Portion { lot: self.lot_named(item[0]), quantity: quantity(item[1]) };
        list(text).map(portion).collect()
    }
    pub(super) fn at(&self, line: &Line<'_>, word: &str, default: i64) -> Timestamp {
        let offset = line.get(word).map_or(default, |text| text.parse().expect("an offset"));
        Timestamp::new(self.world.time.saturating_add_signed(offset))
    }

    pub(super) fn operation(&self, verb: &str, line: &Line<'_>) -> Operation {
        let step = OrderStep { order: self.order_named(line.name) };
        match verb {
            "enrol" => self.enrol(line),
            "rotate" => self.rotate(line),
            "revoke" => Operation::Revoke(Revocation {
                member: member(line.name),
                from: self.commit_at(line, "from"),
                reason: text(line.or("reason", "sold")),
            }),
            "publish" => publication(line),
            "issue" => Operation::IssueMoney(MoneyIssue {
                currency: text(line.or("currency", "EUR")),
                to: member(line.or("to", "rail")),
                amount: Minor::new(line.number("amount", 1000)),
            }),
            "redeem" => Operation::RedeemMoney(MoneyRedemption {
                currency: text(line.or("currency", "EUR")),
                amount: Minor::new(line.number("amount", 1000)),
            }),
            "reading" => self.reading(line),
            "reset" => Operation::ResetRegister(RegisterReset {
                meter: member(line.name),
                register_from: line.number("from", 0),
                register_to: line.number("to", 0),
                reason: ResetReason::Replaced,
            }),
            "declare" => self.declare(line),
            "transfer" => Operation::TransferLot(LotTransfer {
                portion: self.portions(line.or("of", ""))[0],
                to: member(line.or("to", "press")),
            }),
            "sink" => Operation::SinkLot(LotSink {
                portion: self.portions(line.or("of", ""))[0],
                kind: match line.or("kind", "consumed") {
                    "landfill" => SinkKind::Landfilled,
                    "base" => SinkKind::BaseLoad,
                    "upkeep" => SinkKind::Upkeep,
                    _ => SinkKind::Consumed,
                },
            }),
            "transform" => Operation::Transform(self.transformation(line)),
            "place" => self.place(line),
            "accept" => Operation::AcceptOrder(step),
            "reject" => Operation::RejectOrder(step),
            "cancel" => Operation::CancelOrder(step),
            "start" => Operation::StartOrder(step),
            "complete" => Operation::CompleteOrder(Completion {
                order: step.order,
                outcome: match line.or("outcome", "complete") {
                    "complete" => Outcome::Complete,
                    "partial" => Outcome::Partial,
                    _ => Outcome::Failed,
                },
                transformation: self.transformation(line),
            }),
            "confirm" => Operation::ConfirmOrder(step),
            "vote" => Operation::VoteCommittee(self.vote(line)),
            _ => self.correction(verb, line),
        }
    }

    /// What keeps the books right.
    fn correction(&self, verb: &str, line: &Line<'_>) -> Operation {
        match verb {
            "restate" => Operation::Restate(self.restatement(line)),
            "decide" => Operation::DecideRestatement(RestatementDecision {
                restatement: self.restatement_named(line.name),
                approve: line.or("approve", "yes") == "yes",
            }),
            "avoid" => Operation::RecordAvoided(AvoidedBurden {
                beside: match line.get("order") {
                    Some(order) => Beside::Order(self.order_named(order)),
                    None => Beside::Lot(self.lot_named(line.or("lot", ""))),
                },
                what: text(line.or("what", "virgin powder")),
                factor: factor_ref(line.or("factor", "powder")),
                amount: quantity(line.or("amount", "1kg")),
                evidence: line.get("evidence").map(|word| evidence(&text(word))),
            }),
            "limits" => Operation::SetLimits(LimitList { limits: limits(line) }),
            other => {
                let operation = self.governing(other, line).or_else(|| self.membering(other, line));
                operation.unwrap_or_else(|| panic!("no such verb: {other}"))
            }
        }
    }

    /// `lot=powder factor=grid`, `lot=x imported=default` or `made=part activity=0 amount=1kgm`.
    fn restatement(&self, line: &Line<'_>) -> Restatement {
        let factor = factor_ref(line.or("factor", "powder"));
        let source = match line.get("made") {
            None => Source::Lot(self.lot_named(line.or("lot", ""))),
            Some(made) => Source::Activity {
                transformation: self.maker_of(made),
                activity: line.number("activity", 0) as u32,
            },
        };
        let correction = match (line.get("imported"), line.get("amount")) {
            (Some(how), _) => Correction::Imported(std::boxed::Box::new(imported(how))),
            (None, Some(amount)) => Correction::Amount { amount: quantity(amount), factor },
            (None, None) => Correction::Factor(factor),
        };
        Restatement {
            source,
            correction,
            reason: text(line.or("reason", "misread")),
            evidence: line.get("evidence").map(|word| evidence(&text(word))),
        }
    }

    fn maker_of(&self, lot: &str) -> TransformationId {
        let row = query::lot(&self.world.state, self.lot_named(lot)).expect("lot");
        match row.map(|row| row.origin) {
            Some(Origin::Made { transformation, .. }) => transformation,
            _ => TransformationId::new([9; 32]),
        }
    }

    fn vote(&self, line: &Line<'_>) -> CommitteeVote {
        let key = |name: &str| keypair(name).public();
        let add = line.get("add").map(|name| CommitteeChange::Add(self.candidate(line, name)));
        let remove = line.get("remove").map(|name| CommitteeChange::Remove(key(name)));
        let replace = line.get("replace").map(|names| {
            let (old, new) = names.split_once(':').expect("old:new");
            CommitteeChange::Replace { key: key(old), by: self.candidate(line, new) }
        });
        let current = query::ledger(&self.world.state).expect("ledger").epoch;
        CommitteeVote {
            epoch: Epoch::new(line.number("epoch", current.get())),
            change: add.or(remove).or(replace),
        }
    }

    fn candidate(&self, line: &Line<'_>, name: &str) -> Candidate {
        let network = match line.get("proven_for") {
            Some(_) => crate::id::NetworkId::new([7; 32]),
            None => self.world.network,
        };
        let address = |word: &str| text(word);
        let addresses = line.or("at", "/dns4/somewhere").split(',').filter(|word| *word != "none");
        let called = text(line.or("called", name));
        let addresses = addresses.map(address).collect();
        let mut candidate = Candidate::new(network, called, addresses, &keypair(name));
        match line.get("bent") {
            Some("name") => candidate.name.push('!'),
            Some("addresses") => candidate.addresses.push("/dns4/elsewhere".into()),
            // The neutral point: whatever is signed, this signature fits.
            Some("weak") => {
                let mut neutral = [0; 64];
                neutral[0] = 1;
                candidate.key = PublicKey::new(*neutral.first_chunk().expect("32 bytes"));
                candidate.proof = Signature::new(neutral);
            }
            _ => {}
        }
        candidate
    }

    pub(super) fn commit_at(&self, line: &Line<'_>, word: &str) -> CommitIndex {
        let offset: i64 = line.or(word, "0").parse().expect("an offset");
        CommitIndex::new((self.world.commit + 1).saturating_add_signed(offset))
    }

    fn enrol(&self, line: &Line<'_>) -> Operation {
        let kind = match line.get("host") {
            None => Enrolled::Machine,
            Some(host) => Enrolled::Meter(meter_kind(host)),
        };
        let organisation = line.or("by", "maker");
        let operation = enrolment(self.world.network, organisation, line.name, kind);
        let Operation::Enrol(mut enrolment) = operation else { unreachable!() };
        enrolment.name = text(line.or("called", line.name));
        if let Some(other) = line.get("owner_key") {
            enrolment.owner_key = owner_of(other).public();
        }
        // The neutral point: whatever is signed, this signature fits.
        let mut neutral = [0; 64];
        neutral[0] = 1;
        let weak = PublicKey::new(*neutral.first_chunk().expect("32 bytes"));
        match line.get("weak") {
            Some("owner") => {
                enrolment.owner_key = weak;
                enrolment.owner_proof = Signature::new(neutral);
            }
            Some(_) => {
                enrolment.signing_key = weak;
                enrolment.key_proof = Signature::new(neutral);
            }
            None => {}
        }
        match line.get("forged") {
            Some("owner") => enrolment.owner_proof = Signature::new([1; 64]),
            Some(_) => enrolment.key_proof = Signature::new([1; 64]),
            None => {}
        }
        Operation::Enrol(enrolment)
    }

    fn rotate(&self, line: &Line<'_>) -> Operation {
        let new = keypair(line.or("new", "new"));
        let proven = member(line.or("proven_for", line.name));
        let message = key_proof_message(self.world.network, proven);
        Operation::RotateKey(KeyRotation {
            member: member(line.name),
            signing_key: new.public(),
            old_key_until: self.commit_at(line, "until"),
            key_proof: new.sign(KEY_PROOF_DOMAIN, &message),
        })
    }

    fn reading(&self, line: &Line<'_>) -> Operation {
        Operation::SubmitReading(Reading {
            meter: member(
                line.or("of", if line.or("by", "") == "gauge" { "gauge" } else { "meter" }),
            ),
            overflowed: line.has("overflowed"),
            evidence: line.get("evidence").map(|word| evidence(&text(word))),
            register_from: line.number("from", 0),
            register_to: line.number("to", 0),
            from: self.at(line, "begin", -(STEP as i64)),
            to: self.at(line, "end", 0),
            factor: factor_ref(line.or("factor", "grid")),
        })
    }

    fn declare(&self, line: &Line<'_>) -> Operation {
        let quantity = quantity(line.or("amount", "1kg"));
        let default = if quantity.unit == Unit::Milligram { quantity.amount } else { 0 };
        Operation::DeclareLot(LotDeclaration {
            product: text(line.or("product", "powder")),
            quantity,
            mass: Milligrams::new(
                line.get("mass").map_or(default, |mass| self::quantity(mass).amount),
            ),
            footprint: match line.get("imported") {
                None => DeclaredFootprint::Factor(factor_ref(line.or("factor", "powder"))),
                Some(how) => DeclaredFootprint::Imported(std::boxed::Box::new(imported(how))),
            },
            evidence: line.get("evidence").map(|word| evidence(&text(word))),
        })
    }

    fn transformation(&self, line: &Line<'_>) -> Transformation {
        let activity = |item: Vec<&str>| Activity {
            name: text(item[0]),
            factor: factor_ref(item[2]),
            amount: quantity(item[1]),
            evidence: None,
        };
        Transformation {
            inputs: self.portions(line.or("in", "")),
            activities: list(line.or("does", "")).map(activity).collect(),
            outputs: list(line.or("out", "")).map(output).collect(),
            allocation: AllocationRule::Physical,
            exempted_ppm: line.number("exempted", 0) as u32,
            mass_tolerance_ppm: line.number("tolerance", 0) as u32,
            from: self.at(line, "begin", 0),
            to: self.at(line, "end", 0),
            evidence: None,
        }
    }

    fn place(&self, line: &Line<'_>) -> Operation {
        let price = line.number("price", 0);
        let currency: String = text(line.or("currency", "EUR"));
        let optional = |word| line.get(word).map(|text| text.parse::<i128>().expect("a number"));
        let required = line.get("required").map(|_| DimensionSet::of(&[Dimension::Water]));
        Operation::PlaceOrder(OrderTerms {
            provider: member(line.or("to", "printer")),
            service: text(line.or("service", "sintering")),
            specification: None,
            product: text(line.or("product", "bracket")),
            quantity: quantity(line.or("amount", "10pc")),
            settlement: if line.has("external") {
                Settlement::External { currency }
            } else {
                Settlement::Account { currency }
            },
            price: Minor::new(price),
            hold: Minor::new(line.number("hold", price)),
            cancel_fee: Minor::new(line.number("fee", 0)),
            carbon_price: line
                .get("carbon")
                .map(|text| CarbonPrice { per_kilogram: Minor::new(text.parse().expect("price")) }),
            predicted_climate: optional("predicted"),
            climate_cap: optional("cap"),
            required: required.unwrap_or(DimensionSet::EMPTY),
            mass_tolerance_ppm: line.number("tolerance", 1_000_000) as u32,
            accept_by: self.at(line, "accept_by", HOUR as i64),
            deliver_by: self.at(line, "deliver_by", 2 * HOUR as i64),
            confirm_within: Milliseconds::new(line.number("confirm", HOUR)),
            failure: match line.or("failure", "provider") {
                "buyer" => FailureBearer::Buyer,
                _ => FailureBearer::Provider,
            },
            provided: self.portions(line.or("gives", "")),
            parent: line.get("parent").map(|name| self.order_named(name)),
            confirmer: line.get("confirmer").map(member),
        })
    }
}

/// `product=bracket:10pc:CAP:refuse`, `machine=any:MS:CAP:flag`, `organisation=MS:CAP:flag`: caps on
/// climate, named a, b and c in this order.
pub(super) fn limits(line: &Line<'_>) -> Vec<Limit> {
    let words = |word: &str| -> Option<Vec<String>> {
        Some(line.get(word)?.split(':').map(String::from).collect())
    };
    let period = |text: &str| Milliseconds::new(text.parse().expect("milliseconds"));
    let limit = |name: &str, scope, cap: &str, action: &str| Limit {
        name: text(name),
        scope,
        dimension: Dimension::Climate,
        cap: cap.parse().expect("a cap"),
        action: if action == "refuse" { LimitAction::Refuse } else { LimitAction::Flag },
    };
    let mut limits = Vec::new();
    if let Some(of) = words("product") {
        let scope = LimitScope::Product { product: text(&of[0]), per: quantity(&of[1]) };
        limits.push(limit(line.or("called", "a"), scope, &of[2], &of[3]));
    }
    if let Some(of) = words("machine") {
        let machine = (of[0] != "any").then(|| member(&of[0]));
        let scope = LimitScope::Machine { machine, period: period(&of[1]) };
        limits.push(limit("b", scope, &of[2], &of[3]));
    }
    if let Some(of) = words("organisation") {
        let scope = LimitScope::Organisation { period: period(&of[0]) };
        limits.push(limit("c", scope, &of[1], &of[2]));
    }
    if line.has("many") {
        let first = limits.remove(0);
        let named = |number| Limit { name: std::format!("{number:02}"), ..first.clone() };
        limits.extend((0..=LIMITS_MAX).map(named));
    }
    limits
}

/// `part:10pc:100g` is a product of weight 1; `scrap:20g:20g:waste:0` is waste without weight.
fn output(item: Vec<&str>) -> Output {
    Output {
        product: text(item[0]),
        quantity: quantity(item[1]),
        mass: Milligrams::new(quantity(item[2]).amount),
        role: match item.get(3).copied().unwrap_or("product") {
            "product" => OutputRole::Product,
            "byproduct" => OutputRole::ByProduct,
            _ => OutputRole::Waste,
        },
        weight: item.get(4).map_or(1, |weight| weight.parse().expect("a weight")),
    }
}

fn imported(how: &str) -> ImportedFootprint {
    let mut footprint = Footprint::ZERO;
    footprint.set(Dimension::Climate, if how == "negative" { -1 } else { 1000 });
    if how == "undeclared" {
        footprint.set(Dimension::Water, 1);
    }
    ImportedFootprint {
        footprint,
        declared: DimensionSet::of(&[Dimension::Climate]),
        gwp_set: GwpSet::Ar5,
        quality: crate::factor::Quality { technology: 1, geography: 1, time: 1 },
        tier: match how {
            "derived" => EvidenceTier::Derived,
            "measured" => EvidenceTier::Measured,
            _ => EvidenceTier::Default,
        },
    }
}

fn publication(line: &Line<'_>) -> Operation {
    let kilogram = Quantity::new(1_000_000, Unit::Milligram);
    let impacts = [(Dimension::Climate, 10), (Dimension::ClimateFossil, 5)];
    let mut one = factor("one", kilogram, &impacts);
    match line.or("wrong", "") {
        "" => {}
        "reference" => one.reference.amount = 0,
        "order" => one.impacts.reverse(),
        "twice" => one.impacts[1].dimension = Dimension::Climate,
        "derived" => one.impacts[1].dimension = Dimension::ClimateMeasured,
        "undeclared" => one.declared = DimensionSet::EMPTY,
        "negative" => one.impacts[1].value = -1,
        "below" => {
            one.impacts[1] = Impact { dimension: Dimension::Water, value: -1 };
            one.impacts.reverse();
            one.declared = DimensionSet::of(&[Dimension::Climate, Dimension::Water]);
        }
        "uptake" => one.impacts[1].dimension = Dimension::BiogenicUptake,
        "parts" => one.impacts[1].value = 11,
        "rating" => one.quality.time = 6,
        "validity" => one.valid_until = one.valid_from,
        "text" => one.licence = "x".repeat(129),
        other => panic!("nothing wrong is called {other}"),
    }
    if line.or("wrong", "") == "uptake" {
        one.declared = DimensionSet::of(&[Dimension::Climate, Dimension::BiogenicUptake]);
    }
    let mut factors = std::vec![one];
    match line.or("list", "") {
        "empty" => factors.clear(),
        "twice" => factors.push(factors[0].clone()),
        _ => {}
    }
    Operation::PublishFactors(FactorPublication {
        name: text(line.or("name", "more")),
        version: line.number("version", 1) as u32,
        factors,
    })
}
