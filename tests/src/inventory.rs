//! A life-cycle inventory out of the ledger: random lots, made by the real code, and beside them the
//! processes that an LCA calculator needs to come to the same footprints by its own way.
//!
//! The processes say only what was done: amounts taken, activities, outputs and their weights, and
//! the figures of the factors. Nothing in them was computed by the ledger, except what each lot is
//! expected to carry.
#![expect(clippy::expect_used, reason = "what it makes itself is sound, or the comparison ends")]

use crate::simulator::random::Random;
use kerbholz_client::ledger::execute::{self, Commit, Item, execute};
use kerbholz_client::ledger::factor::{
    DERIVED_DIMENSIONS, Factor, FactorRef, Impact, Quality, Standing,
};
use kerbholz_client::ledger::footprint::{DIMENSIONS, Dimension, DimensionSet, GwpSet};
use kerbholz_client::ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisMember,
};
use kerbholz_client::ledger::id::{FactorSetId, LotId, MemberId, NetworkId, TransactionId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::operation::{
    DeclaredFootprint, Enrolled, Enrolment, FactorPublication, KEY_PROOF_DOMAIN, LotDeclaration,
    LotTransfer, Operation, Portion, key_proof_message,
};
use kerbholz_client::ledger::quantity::{CommitIndex, Milligrams, Quantity, Timestamp, Unit};
use kerbholz_client::ledger::query;
use kerbholz_client::ledger::transaction::{Envelope, TRANSACTION_VERSION};
use kerbholz_client::ledger::transformation::{
    Activity, AllocationRule, Output, OutputRole, Transformation,
};
use serde_json::{Value, json};

/// So much of a lot is taken at least, in milligrams: a footprint is whole units, and only of large
/// amounts is what rounding loses below the twelfth digit.
const LEAST: u64 = 100_000_000_000_000_000;
/// So much is brought in at once.
const MUCH: u64 = 2_000_000_000_000_000_000;
/// The factors: all but the last per milligram, the last per joule.
const FACTORS: usize = 6;

/// An exact amount: a numerator and a denominator.
pub type Amount = (u128, u128);

/// How a lot came to be: what one calculator's process takes in and gives off.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// How much it makes, in milligrams.
    pub makes: u64,
    /// Lots, by their number, and how much of them.
    pub lots: Vec<(usize, Amount)>,
    /// Factors, by their number, and how much of their unit.
    pub factors: Vec<(usize, Amount)>,
    /// What it gives off itself: masses and energy that no factor declares.
    pub flows: Vec<(Dimension, Amount)>,
    /// What the ledger booked on the whole lot.
    pub booked: [i128; DIMENSIONS],
}

/// Lots and factors.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// What a unit of each factor stands for.
    pub factors: Vec<[i128; DIMENSIONS]>,
    /// The lots, each after those that it is made of.
    pub processes: Vec<Process>,
}

impl Inventory {
    /// Random lots.
    pub fn random(seed: u64, lots: usize) -> Self {
        let mut random = Random::of(seed, "inventory");
        let factors: Vec<Factor> = (0..FACTORS).map(|at| factor(&mut random, at)).collect();
        let mut books = Books::new(factors);
        while books.lots.len() < lots {
            let (many, few) = (books.lots.len() > 20, books.free().count() < 8);
            match random.below(10) {
                _ if few => books.declare(&mut random),
                0 | 1 => books.declare(&mut random),
                2 | 3 if many => books.part(&mut random),
                _ => books.transform(&mut random),
            }
        }
        books.processes.truncate(lots);
        Self { factors: books.factors.iter().map(per_unit).collect(), processes: books.processes }
    }

    /// The footprints by substitution in floating point, from the first lot to the last.
    pub fn substituted(&self) -> Vec<[f64; DIMENSIONS]> {
        let ratio = |(numerator, denominator): Amount| numerator as f64 / denominator as f64;
        let mut solved: Vec<[f64; DIMENSIONS]> = Vec::new();
        for process in &self.processes {
            let mut sum = [0.0; DIMENSIONS];
            for (lot, amount) in &process.lots {
                let share = ratio(*amount) / self.processes[*lot].makes as f64;
                sum.iter_mut().zip(solved[*lot]).for_each(|(sum, value)| *sum += share * value);
            }
            for (factor, amount) in &process.factors {
                let values = self.factors[*factor];
                let add = |(sum, value): (&mut f64, i128)| *sum += ratio(*amount) * value as f64;
                sum.iter_mut().zip(values).for_each(add);
            }
            for (dimension, amount) in &process.flows {
                sum[*dimension as usize] += ratio(*amount);
            }
            solved.push(sum);
        }
        solved
    }

    /// As JSON, every number as text.
    pub fn to_json(&self) -> Value {
        let texts = |values: &[i128; DIMENSIONS]| values.map(|value| value.to_string()).to_vec();
        let amount =
            |at: usize, (over, under): Amount| json!([at, over.to_string(), under.to_string()]);
        let process = |process: &Process| {
            let list = |entries: &[(usize, Amount)]| -> Vec<Value> {
                entries.iter().map(|(at, of)| amount(*at, *of)).collect()
            };
            let flows = process.flows.iter().map(|(of, much)| amount(*of as usize, *much));
            json!({
                "makes": process.makes.to_string(), "lots": list(&process.lots),
                "factors": list(&process.factors), "flows": flows.collect::<Vec<_>>(),
                "booked": texts(&process.booked),
            })
        };
        json!({
            "categories": Dimension::ALL.iter().map(|one| one.name()).collect::<Vec<_>>(),
            "factors": self.factors.iter().map(texts).collect::<Vec<_>>(),
            "processes": self.processes.iter().map(process).collect::<Vec<_>>(),
        })
    }
}

/// What one unit of a factor books: without evidence, all climate is of tier default.
fn per_unit(factor: &Factor) -> [i128; DIMENSIONS] {
    let mut values = [0; DIMENSIONS];
    for impact in &factor.impacts {
        values[impact.dimension as usize] = impact.value;
    }
    let climate = values[Dimension::Climate as usize];
    let Quality { technology, geography, time } = factor.quality;
    for (dimension, times) in [
        (Dimension::ClimateDefault, 1),
        (Dimension::ClimateByTechnologyRating, technology),
        (Dimension::ClimateByGeographyRating, geography),
        (Dimension::ClimateByTimeRating, time),
    ] {
        values[dimension as usize] = climate * i128::from(times);
    }
    values
}

/// Figures of every size, in every dimension that a factor may have.
fn factor(random: &mut Random, at: usize) -> Factor {
    let unit = if at + 1 == FACTORS { Unit::Joule } else { Unit::Milligram };
    let known = [Dimension::Energy, Dimension::Material];
    let impacts: Vec<Impact> = Dimension::ALL
        .iter()
        .filter(|one| !DERIVED_DIMENSIONS.contains(**one) && !known.contains(*one))
        .map(|dimension| {
            let value = i128::from(random.between(1_000, 1_000_000));
            let value = match dimension {
                Dimension::Climate => 100 * value + 3_000_000,
                Dimension::BiogenicUptake => -value,
                _ => value,
            };
            Impact { dimension: *dimension, value }
        })
        .collect();
    let declared = impacts.iter().map(|impact| impact.dimension).collect::<Vec<_>>();
    Factor {
        code: format!("factor {at}"),
        reference: Quantity::new(1, unit),
        declared: DimensionSet::of(&declared),
        impacts,
        gwp_set: GwpSet::Ar6,
        quality: Quality { technology: 1, geography: 2, time: 5 },
        region: "random".into(),
        valid_from: Timestamp::ZERO,
        valid_until: Timestamp::new(u64::MAX),
        source: "random figures for a comparison of calculators".into(),
        licence: "none".into(),
        standing: Standing::Verified,
    }
}

/// A ledger with one machine, and what was done on it.
struct Books {
    network: NetworkId,
    state: Memory,
    commit: u64,
    factors: Vec<Factor>,
    lots: Vec<LotId>,
    /// How much of each lot is left.
    left: Vec<u64>,
    processes: Vec<Process>,
}

const TIME: Timestamp = Timestamp::new(1_790_000_000_000);

fn key(name: &str) -> Keypair {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Keypair::from_seed(&seed)
}

fn member(name: &str) -> GenesisMember {
    let public = key(name).public();
    GenesisMember { name: name.into(), owner_key: public, signing_key: public }
}

fn id(name: &str) -> MemberId {
    MemberId::of(&key(name).public())
}

impl Books {
    fn new(factors: Vec<Factor>) -> Self {
        let genesis = Genesis {
            version: GENESIS_VERSION,
            name: "inventory".into(),
            created_at: TIME,
            authorities: vec![GenesisAuthority { name: "one".into(), key: key("one").public() }],
            organisations: vec![member("maker")],
            publishers: vec![member("agency")],
            auditors: Vec::new(),
            currencies: Vec::new(),
            accounting: Accounting::default(),
        };
        let mut state = Memory::default();
        state.apply(&execute::genesis(&genesis).expect("a valid genesis").writes);
        let (network, processes) = (genesis.network(), Vec::new());
        let (lots, left) = (Vec::new(), Vec::new());
        let mut books = Self { network, state, commit: 0, factors, lots, left, processes };
        let proof = key_proof_message(network, id("maker"));
        let proof = key("machine").sign(KEY_PROOF_DOMAIN, &proof);
        books.apply(
            "maker",
            Operation::Enrol(Enrolment {
                name: "machine".into(),
                kind: Enrolled::Machine,
                owner_key: key("machine").public(),
                signing_key: key("machine").public(),
                key_proof: proof,
                owner_proof: proof,
            }),
        );
        let factors = books.factors.clone();
        let set = FactorPublication { name: "set".into(), version: 1, factors };
        books.apply("agency", Operation::PublishFactors(set));
        books
    }

    fn apply(&mut self, by: &str, operation: Operation) -> TransactionId {
        self.commit += 1;
        let transaction = Envelope {
            version: TRANSACTION_VERSION,
            network: self.network,
            signer: key(by).public(),
            // No two transactions are equal.
            created_at: Timestamp::new(TIME.get() - self.commit),
            expires_at: Timestamp::new(TIME.get() + 1_000),
            operations: vec![operation],
        }
        .sign(&key(by));
        let id = transaction.id();
        let items = vec![Item::Transaction(transaction)];
        let commit = Commit { index: CommitIndex::new(self.commit), time: TIME, items };
        let effects = execute(&commit, &self.state).expect("a sound state");
        assert_eq!(effects.executed[0].result, Ok(()), "refused");
        self.state.apply(&effects.writes);
        id
    }

    /// Enters a lot that came out of a transaction at this place, with what the ledger says of it.
    fn enter(&mut self, transaction: TransactionId, output: usize, mut process: Process) {
        let lot = LotId::of(transaction, 0, u32::try_from(output).expect("few outputs"));
        let row = query::lot(&self.state, lot).expect("a sound state").expect("a new lot");
        process.booked = *row.footprint.values();
        process.makes = row.original;
        self.lots.push(lot);
        self.left.push(row.original);
        self.processes.push(process);
    }

    fn reference(&self, factor: usize) -> FactorRef {
        let set = FactorSetId::of(id("agency"), "set", 1);
        FactorRef { set, code: self.factors[factor].code.clone() }
    }

    fn declare(&mut self, random: &mut Random) {
        let (factor, amount) = (random.below(FACTORS - 1), random.between(MUCH / 2, MUCH));
        let declaration = LotDeclaration {
            product: format!("product {}", random.below(9)),
            quantity: Quantity::new(amount, Unit::Milligram),
            mass: Milligrams::new(amount),
            footprint: DeclaredFootprint::Factor(self.reference(factor)),
            evidence: None,
        };
        let done = self.apply("machine", Operation::DeclareLot(declaration));
        // No factor here declares material: the ledger books the mass.
        let whole = (u128::from(amount), 1);
        let flows = vec![(Dimension::Material, whole)];
        let factors = vec![(factor, whole)];
        self.enter(done, 0, Process { factors, flows, ..Process::default() });
    }

    /// Lots of which enough is left.
    fn free(&self) -> impl Iterator<Item = usize> {
        (0..self.lots.len()).filter(|at| self.left[*at] >= LEAST)
    }

    /// A part of a lot, or all that is left.
    fn take(&mut self, random: &mut Random, lot: usize) -> (Portion, u64) {
        let left = self.left[lot];
        let most = left.min(MUCH);
        let amount = if random.permille(300) { most } else { random.between(LEAST, most) };
        self.left[lot] = left - amount;
        let quantity = Quantity::new(amount, Unit::Milligram);
        (Portion { lot: self.lots[lot], quantity }, amount)
    }

    fn pick(&self, random: &mut Random) -> usize {
        let free: Vec<usize> = self.free().collect();
        // Rather a young one, so that chains grow long.
        let at = random.below(free.len()).max(random.below(free.len()));
        free[at]
    }

    fn part(&mut self, random: &mut Random) {
        let from = self.pick(random);
        let (portion, amount) = self.take(random, from);
        let transfer = LotTransfer { portion, to: id("machine") };
        let done = self.apply("machine", Operation::TransferLot(transfer));
        let lots = vec![(from, (u128::from(amount), 1))];
        self.enter(done, 0, Process { lots, ..Process::default() });
    }

    fn transform(&mut self, random: &mut Random) {
        let mut taken: Vec<(usize, u64)> = Vec::new();
        let mut inputs = Vec::new();
        for _ in 0..random.between(1, 4) {
            let lot = self.pick(random);
            if self.free().count() > 1 && taken.iter().all(|(before, _)| *before != lot) {
                let (portion, amount) = self.take(random, lot);
                inputs.push(portion);
                taken.push((lot, amount));
            }
        }
        let activities: Vec<(usize, u64)> = (0..random.below(3))
            .map(|_| (random.below(FACTORS), random.between(LEAST, MUCH)))
            .collect();
        let mass: u64 = taken.iter().map(|(_, amount)| amount).sum();
        if mass == 0 {
            return;
        }
        let outputs = outputs(random, mass);
        let made = Transformation {
            inputs,
            activities: activities.iter().map(|of| self.activity(*of)).collect(),
            outputs: outputs.clone(),
            allocation: AllocationRule::Physical,
            exempted_ppm: 0,
            mass_tolerance_ppm: 0,
            from: TIME,
            to: TIME,
            evidence: None,
        };
        let done = self.apply("machine", Operation::Transform(made));
        let waste = outputs.iter().filter(|output| output.role == OutputRole::Waste);
        let waste: u128 = waste.map(|output| u128::from(output.mass.get())).sum();
        let weights: u128 = outputs.iter().map(|output| u128::from(output.weight)).sum();
        for (place, output) in outputs.iter().enumerate() {
            let share = |amount: u128| (amount * u128::from(output.weight), weights);
            let lots = taken.iter().map(|(lot, amount)| (*lot, share((*amount).into())));
            let factors = activities.iter().map(|(of, amount)| (*of, share((*amount).into())));
            let energy = activities.iter().filter(|(of, _)| of + 1 == FACTORS);
            let energy = energy.map(|(_, amount)| (Dimension::Energy, share((*amount).into())));
            let flows = energy.chain([(Dimension::Waste, share(waste))]).collect();
            let (lots, factors) = (lots.collect(), factors.collect());
            self.enter(done, place, Process { lots, factors, flows, ..Process::default() });
        }
    }

    fn activity(&self, (factor, amount): (usize, u64)) -> Activity {
        Activity {
            name: "process".into(),
            factor: self.reference(factor),
            amount: Quantity::new(amount, self.factors[factor].reference.unit),
            evidence: None,
        }
    }
}

/// One to three useful outputs, weighed by mass, and often waste, which has no weight.
fn outputs(random: &mut Random, mass: u64) -> Vec<Output> {
    let output = |role, mass: u64| Output {
        product: "made".into(),
        quantity: Quantity::new(mass, Unit::Milligram),
        mass: Milligrams::new(mass),
        role,
        // Tonnes: weights need not be milligrams.
        weight: if role == OutputRole::Waste { 0 } else { mass / 1_000_000_000 },
    };
    let mut left = mass;
    let mut outputs = Vec::new();
    if random.permille(600) {
        let waste = random.between(mass / 50, mass / 5);
        left -= waste;
        outputs.push(output(OutputRole::Waste, waste));
    }
    for _ in 0..random.below(3) {
        let part = random.between(left / 4, left / 2);
        left -= part;
        outputs.push(output(OutputRole::ByProduct, part));
    }
    outputs.insert(0, output(OutputRole::Product, left));
    outputs
}
