//! The language of the rule tables: one line is one transaction in a commit of its own.
//!
//! ```text
//! place    o1 by=press to=printer amount=10pc price=1000  -> ok
//! accept   o1 by=mill                                     -> not_provider
//! lot      powder                                         -> 880000 mg of printer
//! ```
//!
//! First the verb, then the name of what comes to be, then what differs from the ordinary case. The
//! answer is `ok`, a rejection's name, or what a looking verb sees.

use super::world::*;
use crate::execute::{Effects, Item};
use crate::footprint::{Dimension, DimensionSet, EvidenceTier, Footprint, GwpSet};
use crate::id::{ContentHash, LotId, OrderId};
use crate::keys::{PublicKey, Signature};
use crate::operation::*;
use crate::order::{CarbonPrice, FailureBearer, OrderTerms, Settlement};
use crate::quantity::{CommitIndex, Milligrams, Milliseconds, Minor, Quantity, Timestamp, Unit};
use crate::query;
use crate::rejection::Code;
use crate::transaction::Envelope;
use crate::transformation::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// Runs a table in a world where somebody of every kind is enrolled; returns the refusals it saw.
pub fn check(table: &str) -> BTreeSet<Code> {
    check_in(&mut Table::new(World::new()), table)
}

pub fn check_in(table: &mut Table, text: &str) -> BTreeSet<Code> {
    let mut seen = BTreeSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            continue;
        }
        let (asked, expected) = line.split_once("->").expect("a line needs an arrow");
        let answer = table.line(asked.trim());
        assert_eq!(answer, expected.trim(), "\nin the line: {line}\n");
        seen.extend(Code::from_name(&answer));
    }
    seen
}

pub struct Table {
    pub world: World,
    pub lots: BTreeMap<String, LotId>,
    pub orders: BTreeMap<String, OrderId>,
    last: Option<Item>,
    /// What the last transaction did.
    pub effects: Option<Effects>,
}

/// The words of a line.
struct Line<'a> {
    name: &'a str,
    words: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn read(asked: &'a str) -> (&'a str, Self) {
        let mut words = asked.split_whitespace();
        let verb = words.next().expect("a verb");
        let mut line = Line { name: "", words: BTreeMap::new() };
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => _ = line.words.insert(key, value),
                None => line.name = word,
            }
        }
        (verb, line)
    }

    fn get(&self, word: &str) -> Option<&str> {
        self.words.get(word).copied()
    }

    fn or<'b>(&'b self, word: &str, default: &'b str) -> &'b str {
        self.get(word).unwrap_or(default)
    }

    fn number(&self, word: &str, default: u64) -> u64 {
        self.get(word).map_or(default, |text| text.parse().expect("a number"))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }
}

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

fn evidence(text: &str) -> Evidence {
    Evidence { hash: ContentHash::of(b"proof"), media_type: text.into(), location: None }
}

/// A text as long as a number says, or the text itself.
fn text(word: &str) -> String {
    word.strip_prefix("long").map_or_else(
        || word.trim_matches('"').to_string(),
        |length| "x".repeat(length.parse().expect("a length")),
    )
}

fn list(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.split(',').filter(|item| !item.is_empty()).map(|item| item.split(':').collect())
}

impl Table {
    pub fn new(world: World) -> Self {
        Self { world, lots: BTreeMap::new(), orders: BTreeMap::new(), last: None, effects: None }
    }

    pub fn lot_named(&self, name: &str) -> LotId {
        self.lots.get(name).copied().unwrap_or(LotId::new([9; 32]))
    }

    fn order_named(&self, name: &str) -> OrderId {
        self.orders.get(name).copied().unwrap_or(OrderId::new([9; 32]))
    }

    fn portions(&self, text: &str) -> Vec<Portion> {
        let portion = |item: Vec<&str>| Portion {
            lot: self.lot_named(item[0]),
            amount: quantity(item[1]).amount,
        };
        list(text).map(portion).collect()
    }

    fn at(&self, line: &Line<'_>, word: &str, default: i64) -> Timestamp {
        let offset = line.get(word).map_or(default, |text| text.parse().expect("an offset"));
        Timestamp::new(self.world.time.saturating_add_signed(offset))
    }

    /// The operation that a line asks for.
    pub fn asked(&self, asked: &str) -> Operation {
        let (verb, line) = Line::read(asked);
        self.operation(verb, &line)
    }

    fn line(&mut self, asked: &str) -> String {
        let (verb, line) = Line::read(asked);
        match verb {
            "wait" => {
                format!("{} executed", self.world.wait(line.number("ms", STEP)).executed.len())
            }
            "again" => {
                let item = self.last.clone().expect("a transaction before");
                verdict(&self.world.commit(std::vec![item]))
            }
            "lot" => self.see_lot(line.name),
            "order" => self.see_order(line.name),
            "account" => {
                let of = member(line.name);
                let row = query::account(&self.world.state, of, "EUR").expect("account");
                format!("{} available, {} held", row.available.get(), row.held.get())
            }
            "footprint" => self.see_footprint(line.name, line.or("of", "Climate")),
            "stock" => {
                let lots = query::lots_of(&self.world.state, member(line.name), None, 99);
                let ids = lots.expect("lots").ids;
                let name = |id| self.lots.iter().find(|(_, lot)| **lot == id);
                let names = ids.into_iter().filter_map(name).map(|(name, _)| name.as_str());
                let names: BTreeSet<_> = names.collect();
                names.into_iter().collect::<Vec<_>>().join(" ")
            }
            _ => self.submit(verb, &line),
        }
    }

    fn see_lot(&self, name: &str) -> String {
        let Some(lot) = query::lot(&self.world.state, self.lot_named(name)).expect("lot") else {
            return "nothing".into();
        };
        let owner = query::member(&self.world.state, lot.owner).expect("owner").expect("owner");
        let held = if lot.held_for.is_some() { ", held" } else { "" };
        format!("{} of {}{held}", lot.quantity, owner.name)
    }

    fn see_footprint(&self, name: &str, of: &str) -> String {
        let lot = query::lot(&self.world.state, self.lot_named(name)).expect("lot").expect("lot");
        let named = |dimension: &&Dimension| format!("{dimension:?}") == of;
        let dimension = Dimension::ALL.iter().find(named).expect("a dimension");
        lot.footprint.declared(*dimension).map_or("not declared".into(), |value| value.to_string())
    }

    fn see_order(&self, name: &str) -> String {
        let order = query::order(&self.world.state, self.order_named(name)).expect("order");
        let order = order.expect("an order");
        let state = format!("{:?}", order.state).to_lowercase();
        order.paid.map_or(state.clone(), |paid| format!("{state}, paid {}", paid.get()))
    }

    fn submit(&mut self, verb: &str, line: &Line<'_>) -> String {
        let by = line.or("by", if verb == "enrol" { "maker" } else { "printer" });
        let key = match line.or("key", "signing") {
            "signing" => keypair(by),
            "owner" => owner_of(by),
            other => keypair(other),
        };
        let count = line.number("operations", 1);
        let operations = (0..count).map(|_| self.operation(verb, line)).collect();
        let mut transaction = self.world.sign(&key, operations);
        if ["envelope", "network", "created", "expires"].iter().any(|word| line.has(word)) {
            transaction = self.bend(line, transaction.envelope().clone()).sign(&key);
        }
        let id = transaction.id();
        let bytes = transaction.bytes();
        let item = match line.get("bytes") {
            None => Item::decode(&bytes),
            Some("cut") => Item::decode(&bytes[..bytes.len() - 1]),
            Some("forged") => {
                let mut bytes = bytes;
                *bytes.last_mut().expect("bytes") ^= 1;
                Item::decode(&bytes)
            }
            Some("long") => Item::decode(&std::vec![1; 64 * 1024 + 1]),
            Some(other) => Item::decode(&[other.parse().expect("a version")]),
        };
        self.last = Some(item.clone());
        let before = rows_without(&self.world.state, BOOKKEEPING);
        let effects = self.world.commit(std::vec![item]);
        let answer = verdict(&effects);
        let deadlines = effects.executed.len() > 1;
        self.effects = Some(effects);
        if answer != "ok" {
            let after = rows_without(&self.world.state, BOOKKEEPING);
            assert!(before == after || deadlines, "{verb} was refused, but changed something");
        } else if verb == "place" {
            self.orders.insert(line.name.into(), OrderId::of(id, 0));
            self.name_lots(id, line.or("as", ""));
        } else {
            self.name_lots(id, line.or("as", line.name));
        }
        answer
    }

    fn name_lots(&mut self, id: crate::id::TransactionId, names: &str) {
        for (index, name) in names.split(',').enumerate().filter(|(_, name)| !name.is_empty()) {
            self.lots.insert(name.into(), LotId::of(id, 0, index as u32));
        }
    }

    fn bend(&self, line: &Line<'_>, mut envelope: Envelope) -> Envelope {
        envelope.version = line.number("envelope", 1) as u8;
        if line.has("network") {
            envelope.network = crate::id::NetworkId::new([7; 32]);
        }
        envelope.created_at = self.at(line, "created", -(HOUR as i64));
        envelope.expires_at = self.at(line, "expires", HOUR as i64);
        envelope
    }

    fn operation(&self, verb: &str, line: &Line<'_>) -> Operation {
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
                kind: SinkKind::Consumed,
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
            other => panic!("no such verb: {other}"),
        }
    }

    fn commit_at(&self, line: &Line<'_>, word: &str) -> CommitIndex {
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
            Some("owner") => enrolment.owner_key = weak,
            Some(_) => {
                enrolment.signing_key = weak;
                enrolment.key_proof = Signature::new(neutral);
            }
            None => {}
        }
        if line.has("forged") {
            enrolment.key_proof = Signature::new([1; 64]);
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

/// The tables that a refused transaction may change.
const BOOKKEEPING: &[crate::rows::Table] =
    &[crate::rows::Table::Ledger, crate::rows::Table::Transaction, crate::rows::Table::LogNode];

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
