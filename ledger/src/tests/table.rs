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

mod governing;
mod membering;
mod operations;

pub use operations::evidence;

use super::world::*;
use crate::committee::CommitteeChange;
use crate::execute::{Effects, Item};
use crate::footprint::Dimension;
use crate::id::{LotId, OrderId, ProposalId, RestatementId};
use crate::keys::PublicKey;
use crate::limit::Flag;
use crate::operation::Operation;
use crate::query;
use crate::rejection::Code;
use crate::transaction::Envelope;
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
    pub restatements: BTreeMap<String, RestatementId>,
    pub proposals: BTreeMap<String, ProposalId>,
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

impl Table {
    pub fn new(world: World) -> Self {
        let (lots, orders) = (BTreeMap::new(), BTreeMap::new());
        let (restatements, proposals) = (BTreeMap::new(), BTreeMap::new());
        Self { world, lots, orders, restatements, proposals, last: None, effects: None }
    }

    pub fn lot_named(&self, name: &str) -> LotId {
        self.lots.get(name).copied().unwrap_or(LotId::new([9; 32]))
    }

    fn order_named(&self, name: &str) -> OrderId {
        self.orders.get(name).copied().unwrap_or(OrderId::new([9; 32]))
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
            "committee" => self.see_committee(),
            "proposals" => self.see_proposals(),
            "proposal" => self.see_proposal(line.name),
            "open" => self.see_open(),
            "member" => self.see_member(line.name),
            "spent" => self.see_spent(line.name),
            "find" => self.see_found(&line),
            "footprint" => self.see_footprint(line.name, line.or("of", "Climate")),
            "whole" => self.see_whole(line.name, &line),
            "restatement" => {
                let id = self.restatement_named(line.name);
                let row = query::restatement(&self.world.state, id).expect("restatement");
                format!("{:?}", row.expect("a restatement").state).to_lowercase()
            }
            "transit" => {
                let ledger = query::ledger(&self.world.state).expect("ledger");
                ledger.in_transit.get(Dimension::Climate).to_string()
            }
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

    /// What the whole lot was booked with, or what it carries as restated.
    fn see_whole(&self, name: &str, line: &Line<'_>) -> String {
        let lot = query::lot_flows(&self.world.state, self.lot_named(name)).expect("flows");
        let lot = lot.expect("a lot");
        let footprint = if line.has("booked") { lot.as_booked } else { lot.as_restated };
        footprint.declared(Dimension::Climate).map_or("not declared".into(), |it| it.to_string())
    }

    fn restatement_named(&self, name: &str) -> RestatementId {
        self.restatements.get(name).copied().unwrap_or(RestatementId::new([9; 32]))
    }

    fn see_committee(&self) -> String {
        let row = query::committee(&self.world.state).expect("committee");
        let names: Vec<_> = row.authorities.iter().map(|one| one.name.as_str()).collect();
        format!("{} in epoch {}", names.join(" "), row.epoch.get())
    }

    fn see_proposals(&self) -> String {
        let row = query::committee(&self.world.state).expect("committee");
        let name = |key: &PublicKey| {
            let authority = row.authorities.iter().find(|one| one.key == *key).expect("authority");
            authority.name.as_str()
        };
        let proposals = query::proposals(&self.world.state, &row).expect("proposals");
        let shown = proposals.iter().map(|proposal| {
            let by: Vec<_> = proposal.votes.iter().map(name).collect();
            let what = match &proposal.change {
                CommitteeChange::Add(candidate) => format!("add {}", candidate.name),
                CommitteeChange::Remove(key) => format!("remove {}", name(key)),
                CommitteeChange::Replace { key, by } => {
                    format!("replace {}:{}", name(key), by.name)
                }
            };
            format!("{what} by {}", by.join(" "))
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    fn see_order(&self, name: &str) -> String {
        let order = query::order(&self.world.state, self.order_named(name)).expect("order");
        let order = order.expect("an order");
        let state = format!("{:?}", order.state).to_lowercase();
        let paid = order.paid.map_or(String::new(), |paid| format!(", paid {}", paid.get()));
        let flags = order.flags.iter().map(|flag| match flag {
            Flag::AboveLimit { limit, found, .. } => format!(", above {} at {found}", limit.name),
            Flag::Undeclared { limit, .. } => format!(", {} undeclared", limit.name),
            Flag::MixedReports => ", mixed reports".into(),
        });
        format!("{state}{paid}{}", flags.collect::<String>())
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
        } else if verb == "restate" {
            self.restatements.insert(line.name.into(), RestatementId::of(id, 0));
        } else if verb == "propose" {
            self.proposals.insert(line.name.into(), ProposalId::of(id, 0));
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
}

/// The tables that a refused transaction may change.
/// What a refused transaction changes, too.
pub const BOOKKEEPING: &[crate::rows::Table] = &[
    crate::rows::Table::Ledger,
    crate::rows::Table::Transaction,
    crate::rows::Table::LogNode,
    crate::rows::Table::UpkeepCount,
];
