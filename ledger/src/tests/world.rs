//! A small network in memory, with somebody of every kind in it. Whatever is committed is judged by
//! the trial balance and by adding up what the commit itself says it booked.

use crate::balance;
use crate::execute::{Commit, Effects, Item, RESTATEMENT_STEPS_MAX, execute_with, genesis};
use crate::factor::{Factor, FactorRef, Impact, Quality, Standing};
use crate::footprint::{Dimension, DimensionSet, Footprint, GwpSet};
use crate::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
    UpkeepRules,
};
use crate::id::{FactorSetId, MemberId, NetworkId};
use crate::keys::Keypair;
use crate::limit::Limit;
use crate::memory::Memory;
use crate::operation::{
    Enrolled, Enrolment, FactorPublication, KEY_PROOF_DOMAIN, MeterKind, Operation,
    key_proof_message,
};
use crate::quantity::{CommitIndex, Milliseconds, Quantity, Timestamp, Unit};
use crate::query;
use crate::receipt::Proof;
use crate::restatement::RestatementState;
use crate::rows::{LotRow, Origin, RestatementRow, Table, TransformationRow, Write};
use crate::transaction::{Envelope, TRANSACTION_VERSION, Transaction};
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

pub const BEGIN: u64 = 1_700_000_000_000;
pub const STEP: u64 = 1000;
pub const HOUR: u64 = 3_600_000;
/// The climate difference up to which a restatement needs no auditor: 2 kg CO2e.
pub const MATERIAL: i128 = 2_000_000_000_000;

/// The key pair of a name: the same in every run.
pub fn keypair(name: &str) -> Keypair {
    Keypair::from_seed(blake3::hash(name.as_bytes()).as_bytes())
}

pub fn owner_of(name: &str) -> Keypair {
    keypair(&std::format!("{name} owner"))
}

pub fn member(name: &str) -> MemberId {
    MemberId::of(&owner_of(name).public())
}

pub fn base_set() -> FactorSetId {
    FactorSetId::of(member("agency"), "base", 1)
}

pub fn factor_ref(code: &str) -> FactorRef {
    FactorRef { set: base_set(), code: code.into() }
}

pub fn second_ref(code: &str) -> FactorRef {
    FactorRef { set: FactorSetId::of(member("agency"), "base", 2), code: code.into() }
}

/// A factor that is consistent.
pub fn factor(code: &str, reference: Quantity, impacts: &[(Dimension, i128)]) -> Factor {
    let impact = |one: &(Dimension, i128)| Impact { dimension: one.0, value: one.1 };
    let mut sorted: Vec<Impact> = impacts.iter().map(impact).collect();
    sorted.sort_by_key(|impact| impact.dimension);
    Factor {
        code: code.into(),
        reference,
        impacts: sorted,
        declared: DimensionSet::of(&impacts.iter().map(|(one, _)| *one).collect::<Vec<_>>()),
        gwp_set: GwpSet::Ar6,
        quality: Quality { technology: 1, geography: 2, time: 3 },
        region: "DE".into(),
        valid_from: Timestamp::new(BEGIN - 1000 * HOUR),
        valid_until: Timestamp::new(BEGIN + 1000 * HOUR),
        source: "made up for a test".into(),
        licence: "none".into(),
        standing: Standing::Verified,
    }
}

/// The factors that every world has.
pub fn factors() -> Vec<Factor> {
    let kilogram = Quantity::new(1_000_000, Unit::Milligram);
    let climate = Dimension::Climate;
    let grid = [(climate, 400_000_000_000), (Dimension::Water, 1500)];
    let mut old = factor("old", kilogram, &[(climate, 1)]);
    old.valid_until = Timestamp::new(BEGIN - 1);
    let mut proxy = factor("proxy", kilogram, &[(climate, 7_000_000_000_000)]);
    proxy.standing = Standing::Proxy;
    let huge = factor("huge", Quantity::new(1, Unit::Milligram), &[(climate, i128::MAX)]);
    let powder = [
        (Dimension::Energy, 90_000_000),
        (Dimension::Water, 12_000),
        (climate, 8_000_000_000_001),
        (Dimension::ClimateFossil, 7_000_000_000_000),
        (Dimension::BiogenicUptake, -13),
    ];
    let haul = [(climate, 100_000_000_000), (Dimension::Water, 0)];
    std::vec![
        factor("bare", kilogram, &[]),
        factor("grid", Quantity::new(3_600_000, Unit::Joule), &grid),
        factor("haul", Quantity::new(1_000_000, Unit::KilogramMetre), &haul),
        huge,
        factor("large", Quantity::new(1, Unit::Milligram), &[(climate, 1 << 90)]),
        old,
        factor("powder", kilogram, &powder),
        proxy,
    ]
}

/// The same codes with other figures: less or more of this, other dimensions, another report.
pub fn second_version() -> Operation {
    let mut factors = factors();
    for (index, factor) in factors.iter_mut().enumerate() {
        for impact in factor.impacts.iter_mut().filter(|impact| impact.value < 1 << 80) {
            impact.value = impact.value * [1, 3][index % 2] / 2;
        }
        factor.gwp_set = GwpSet::Ar5;
        factor.quality.geography = (index % 3) as u8;
        if index % 2 == 0 {
            factor.declared = factor.declared.union(DimensionSet::of(&[Dimension::Acidification]));
        }
    }
    Operation::PublishFactors(FactorPublication { name: "base".into(), version: 2, factors })
}

fn genesis_member(name: &str) -> GenesisMember {
    GenesisMember {
        name: name.into(),
        owner_key: owner_of(name).public(),
        signing_key: keypair(name).public(),
    }
}

pub fn genesis_file() -> Genesis {
    Genesis {
        version: GENESIS_VERSION,
        name: "tally".into(),
        created_at: Timestamp::new(BEGIN),
        authorities: std::vec![GenesisAuthority {
            name: "a".into(),
            key: keypair("authority").public()
        }],
        organisations: ["bank", "maker", "rail"].map(genesis_member).to_vec(),
        publishers: std::vec![genesis_member("agency")],
        auditors: std::vec![genesis_member("auditor")],
        accounting: Accounting {
            materiality: std::vec![Impact { dimension: Dimension::Climate, value: MATERIAL }],
            limits: Vec::new(),
            upkeep: UpkeepRules {
                period: Milliseconds::new(HOUR),
                operators: std::vec!["maker".into()],
            },
        },
        currencies: std::vec![GenesisCurrency { code: "EUR".into(), issuer: "bank".into() }],
    }
}

pub fn enrolment(network: NetworkId, organisation: &str, name: &str, kind: Enrolled) -> Operation {
    let message = key_proof_message(network, member(organisation));
    Operation::Enrol(Enrolment {
        name: name.into(),
        kind,
        owner_key: owner_of(name).public(),
        signing_key: keypair(name).public(),
        key_proof: keypair(name).sign(KEY_PROOF_DOMAIN, &message),
        owner_proof: owner_of(name).sign(KEY_PROOF_DOMAIN, &message),
    })
}

pub fn meter_kind(host: &str) -> MeterKind {
    MeterKind {
        host: member(host),
        product: "electricity".into(),
        unit: Unit::Joule,
        factor_code: "grid".into(),
        register: 0,
        register_end: Some(1_000_000_000_000),
    }
}

#[derive(Clone)]
pub struct World {
    pub state: Memory,
    pub network: NetworkId,
    pub commit: u64,
    pub time: u64,
    /// Steps of restatements that a commit takes.
    pub steps: usize,
    /// Every commit by [`World::commit`], with what it did.
    pub log: Vec<(Commit, Effects)>,
    nonce: u64,
}

impl World {
    /// Genesis only.
    pub fn empty() -> Self {
        Self::of(&genesis_file())
    }

    /// Genesis only, with these authorities.
    pub fn of_authorities(names: &[&str]) -> Self {
        let authority =
            |name: &&str| GenesisAuthority { name: (*name).into(), key: keypair(name).public() };
        let authorities = names.iter().map(authority).collect();
        Self::of(&Genesis { authorities, ..genesis_file() })
    }

    pub fn of(file: &Genesis) -> Self {
        let effects = genesis(file).expect("genesis");
        let mut state = Memory::default();
        state.apply(&effects.writes);
        Self {
            state,
            network: file.network(),
            commit: 0,
            time: BEGIN,
            steps: RESTATEMENT_STEPS_MAX,
            log: Vec::new(),
            nonce: 0,
        }
    }

    /// Machines, meters, factors and money, too.
    pub fn new() -> Self {
        Self::peopled(Self::empty())
    }

    /// The same, with limits of the network.
    pub fn limited(limits: Vec<Limit>) -> Self {
        let mut file = genesis_file();
        file.accounting.limits = limits;
        Self::peopled(Self::of(&file))
    }

    fn peopled(mut world: Self) -> Self {
        for (organisation, name) in
            [("maker", "printer"), ("maker", "mill"), ("rail", "press"), ("rail", "box")]
        {
            let enrol = enrolment(world.network, organisation, name, Enrolled::Machine);
            world.apply(organisation, std::vec![enrol]);
        }
        for (organisation, name, host) in
            [("maker", "meter", "printer"), ("rail", "gauge", "press")]
        {
            let mut kind = meter_kind(host);
            if name == "gauge" {
                kind.register_end = Some(6_000_000);
            }
            let kind = Enrolled::Meter(kind);
            let enrol = enrolment(world.network, organisation, name, kind);
            world.apply(organisation, std::vec![enrol]);
        }
        let publication = FactorPublication { name: "base".into(), version: 1, factors: factors() };
        world.apply("agency", std::vec![Operation::PublishFactors(publication)]);
        world
    }

    pub fn sign(&mut self, key: &Keypair, operations: Vec<Operation>) -> Transaction {
        self.nonce += 1;
        Envelope {
            version: TRANSACTION_VERSION,
            network: self.network,
            signer: key.public(),
            // Created in the past by so much that no two transactions are equal.
            created_at: Timestamp::new(self.time - 10 * HOUR + self.nonce),
            expires_at: Timestamp::new(self.time + 10 * HOUR),
            operations,
        }
        .sign(key)
    }

    /// Commits operations that must not be refused.
    pub fn apply(&mut self, by: &str, operations: Vec<Operation>) -> Effects {
        let transaction = self.sign(&keypair(by), operations);
        let effects = self.commit(std::vec![Item::Transaction(transaction)]);
        assert_eq!(effects.executed[0].result, Ok(()), "refused");
        effects
    }

    /// The next commit, one step later.
    pub fn next(&self, items: Vec<Item>) -> Commit {
        Commit {
            index: CommitIndex::new(self.commit + 1),
            time: Timestamp::new(self.time + STEP),
            items,
        }
    }

    pub fn commit(&mut self, items: Vec<Item>) -> Effects {
        let commit = self.next(items);
        let effects = execute_with(&commit, &self.state, self.steps).expect("execute");
        self.judge(&effects);
        self.log.push((commit, effects.clone()));
        self.commit += 1;
        self.time += STEP;
        effects
    }

    /// Lets time pass in an empty commit.
    pub fn wait(&mut self, milliseconds: u64) -> Effects {
        self.time += milliseconds.saturating_sub(STEP);
        self.commit(Vec::new())
    }

    /// Applies effects, and holds everything that must hold after every commit.
    fn judge(&mut self, effects: &Effects) {
        let sorted = effects.writes.windows(2).all(|pair| pair[0].key < pair[1].key);
        assert!(sorted, "writes are not ascending by key");
        let before = query::ledger(&self.state).expect("ledger").sources;
        self.state.apply(&effects.writes);
        let after = query::ledger(&self.state).expect("ledger").sources;
        balance::check(&self.state).expect("balance");
        assert_eq!(after.values(), before.checked_add(&booked(effects)).expect("sum").values());
        for executed in &effects.executed {
            let leaves = effects.log_leaves;
            let proof = Proof::of(&self.state, executed.clone(), None, leaves).expect("prove");
            assert_eq!(proof.log_root(), Ok(effects.log_root));
            if executed.result.is_err() {
                assert!(executed.writes.is_empty(), "a refused transaction changed something");
            }
        }
    }
}

/// What a commit booked in, by its own rows: new lots from outside, activities and waste.
fn booked(effects: &Effects) -> Footprint {
    let mut sum = Footprint::ZERO;
    let mut add = |footprint: &Footprint| sum = sum.checked_add(footprint).expect("sum");
    for executed in &effects.executed {
        let lots: BTreeMap<Vec<u8>, LotRow> = rows(&executed.writes, Table::Lot);
        for lot in lots.values().filter(|lot| lot.transaction == executed.id) {
            if matches!(lot.origin, Origin::Reading { .. } | Origin::Declared { .. }) {
                assert_eq!(lot.quantity.amount, lot.original, "one operation per transaction");
                add(&lot.footprint);
            }
        }
        let made: BTreeMap<_, TransformationRow> = rows(&executed.writes, Table::Transformation);
        // One that was made before and restated now books nothing again.
        for row in made.values().filter(|row| row.transaction == executed.id) {
            row.activities.iter().for_each(|activity| add(&activity.footprint));
            let waste = row.outputs.iter().filter_map(|id| {
                let lot = &lots[id.as_bytes().as_slice()];
                let wasted = matches!(
                    lot.origin,
                    Origin::Made { role: crate::transformation::OutputRole::Waste, .. }
                );
                wasted.then_some(i128::from(lot.mass.get()))
            });
            let mut footprint = Footprint::ZERO;
            footprint.set(Dimension::Waste, waste.sum());
            add(&footprint);
        }
        let restated: BTreeMap<_, RestatementRow> = rows(&executed.writes, Table::Restatement);
        for row in restated.values().filter(|row| row.state == RestatementState::Applied) {
            add(&row.after.footprint.checked_sub(&row.before.footprint).expect("difference"));
        }
    }
    sum
}

/// The rows of a table among writes, by the rest of their keys.
pub fn rows<T: serde::de::DeserializeOwned>(
    writes: &[Write],
    table: Table,
) -> BTreeMap<Vec<u8>, T> {
    let of_table = writes.iter().filter(|write| write.key[0] == table as u8);
    of_table
        .filter_map(|write| {
            let value = write.value.as_ref()?;
            let row = crate::codec::decode_trusted(value).expect("row");
            Some((write.key[1..].to_vec(), row))
        })
        .collect()
}

/// Every row of a state but those of some tables.
pub fn rows_without(state: &Memory, tables: &[Table]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let skip: Vec<u8> = tables.iter().map(|table| *table as u8).collect();
    let rows = state.rows().filter(|(key, _)| !skip.contains(&key[0]));
    rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// The name of what became of something, as the tables write it.
pub fn verdict(effects: &Effects) -> String {
    match effects.executed.last().map(|executed| executed.result) {
        None => "nothing".into(),
        Some(Ok(())) => "ok".into(),
        Some(Err(rejection)) => rejection.code.name().into(),
    }
}
