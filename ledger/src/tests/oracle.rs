//! The books from the log alone: what every lot must carry, by the transactions that were not
//! refused and nothing else. Written apart from execution: it keeps no flows and passes no
//! differences on. It remembers what happened in order, and after a restatement it begins again from
//! the start, as if the source had been right all along.

use super::world::{HOUR, MATERIAL, keypair, member};
use crate::execute::{Commit, Effects, Item};
use crate::factor::{Factor, FactorRef, Quality, Standing};
use crate::footprint::{DIMENSIONS, Dimension, EvidenceTier, Footprint, GwpSet};
use crate::id::{FactorSetId, LotId, MemberId, RestatementId, TransactionId, TransformationId};
use crate::keys::PublicKey;
use crate::operation::{
    DeclaredFootprint, Enrolled, MeterKind, Operation, Portion, Reading, SinkKind,
};
use crate::quantity::{Milligrams, Quantity, Unit};
use crate::restatement::{Correction, Restatement, Source};
use crate::transaction::Transaction;
use crate::transformation::{Activity, OutputRole, Transformation};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;

/// Components, and as bits the undeclared dimensions and the assessment reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub of: [i128; DIMENSIONS],
    pub undeclared: u32,
    pub reports: u8,
}

fn bits(footprint: &Footprint) -> (u32, u8) {
    let undeclared = footprint.undeclared.iter().map(|dimension| 1 << dimension as u32).sum();
    let reports = [GwpSet::Unstated, GwpSet::Ar5, GwpSet::Ar6];
    let reports = reports.into_iter().filter(|set| footprint.gwp_sets.contains(*set));
    (undeclared, reports.map(|set| 1 << set as u8).sum())
}

impl Values {
    pub fn read(footprint: &Footprint) -> Self {
        let (undeclared, reports) = bits(footprint);
        Self { of: *footprint.values(), undeclared, reports }
    }

    fn add(&mut self, other: &Self) {
        for (sum, value) in self.of.iter_mut().zip(other.of) {
            *sum += value;
        }
        self.undeclared |= other.undeclared;
        self.reports |= other.reports;
    }

    fn subtract(&mut self, other: &Self) {
        for (sum, value) in self.of.iter_mut().zip(other.of) {
            *sum -= value;
        }
    }

    fn book(factor: &Factor, amount: Quantity, mass: Milligrams, tier: EvidenceTier) -> Self {
        let mut values = Self { undeclared: (1 << DIMENSIONS) - 1, ..Self::default() };
        values.reports = 1 << factor.gwp_set as u8;
        for dimension in factor.declared.iter() {
            values.undeclared &= !(1 << dimension as u32);
        }
        let (amount_of, reference) =
            (i128::from(amount.amount), i128::from(factor.reference.amount));
        for impact in &factor.impacts {
            let product = impact.value * amount_of;
            let (mut value, rest) = (product.div_euclid(reference), product.rem_euclid(reference));
            if 2 * rest > reference || (2 * rest == reference && value % 2 != 0) {
                value += 1;
            }
            values.of[impact.dimension as usize] = value;
        }
        let weak = matches!(factor.standing, Standing::Unverified | Standing::Proxy);
        values.judge(if weak { EvidenceTier::Default } else { tier }, factor.quality);
        for (known, dimension, value) in [
            (amount.unit == Unit::Joule, Dimension::Energy, amount.amount),
            (mass.get() > 0, Dimension::Material, mass.get()),
        ] {
            if known && values.undeclared & (1 << dimension as u32) != 0 {
                values.undeclared &= !(1 << dimension as u32);
                values.of[dimension as usize] = i128::from(value);
            }
        }
        values
    }

    /// Tier and ratings of the climate figure.
    fn judge(&mut self, tier: EvidenceTier, quality: Quality) {
        use Dimension::*;
        let climate = self.of[Climate as usize];
        let tiers = [ClimateMeasured, ClimateDerived, ClimateDefault];
        for (index, dimension) in tiers.into_iter().enumerate() {
            self.undeclared &= !(1 << dimension as u32);
            self.of[dimension as usize] = if tier as usize == index { climate } else { 0 };
        }
        for (dimension, rating) in [
            (ClimateByTechnologyRating, quality.technology),
            (ClimateByGeographyRating, quality.geography),
            (ClimateByTimeRating, quality.time),
        ] {
            self.undeclared &= !(1 << dimension as u32);
            self.undeclared |= u32::from(rating == 0) << dimension as u32;
            self.of[dimension as usize] = climate * i128::from(rating);
        }
    }

    /// The part of these that goes with `part` of `whole`.
    fn part(&self, part: u64, whole: u64) -> Self {
        let mut values = self.clone();
        for value in &mut values.of {
            *value = (*value * i128::from(part)).div_euclid(i128::from(whole));
        }
        values
    }
}

/// What happened to footprint, in order.
enum Entry {
    /// A lot of a reading or declaration.
    Source { lot: LotId, amount: u64, values: Box<Values> },
    /// A part taken as another lot.
    Part { from: LotId, amount: u64, to: LotId },
    /// A part booked out; in an hour's upkeep, where it was.
    Sink { from: LotId, amount: u64, upkeep: Option<u64> },
    Make {
        inputs: Vec<(LotId, u64)>,
        activities: Vec<Values>,
        waste: i128,
        outputs: Vec<(LotId, u64, u64)>,
    },
}

/// Figures that a source was booked with, so that it can be booked again.
#[derive(Clone)]
enum Basis {
    Lot { quantity: Quantity, mass: Milligrams, measured: bool },
    Work { amount: Quantity },
}

/// A source: which entry, which of its activities, by what.
#[derive(Clone)]
struct Booked {
    entry: usize,
    activity: usize,
    basis: Basis,
    first: Values,
}

/// What there is by the log.
#[derive(Default)]
pub struct Books {
    /// What remains of each lot: amount and footprint.
    pub lots: BTreeMap<LotId, (u64, Values)>,
    pub stock: Values,
    pub sinks: Values,
    pub sources: Values,
    /// What each hour took of the ledger's own, and who shares it.
    pub upkeep: BTreeMap<u64, Upkeep>,
}

/// An hour of the ledger itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    pub transactions: u64,
    pub sinks: usize,
    pub total: Values,
}

#[derive(Default)]
pub struct Oracle {
    factors: BTreeMap<FactorRef, Factor>,
    meters: BTreeMap<MemberId, (MeterKind, PublicKey)>,
    entries: Vec<Entry>,
    lots: BTreeMap<LotId, Booked>,
    works: BTreeMap<(TransformationId, u32), Booked>,
    waiting: BTreeMap<RestatementId, Restatement>,
    /// When the lots of readings were read: from, to.
    read: BTreeMap<LotId, (u64, u64)>,
    /// How many transactions, refused or not, each hour had.
    transactions: BTreeMap<u64, u64>,
}

impl Oracle {
    /// Reads a commit: what was asked for, and whether it was refused.
    pub fn commit(&mut self, commit: &Commit, effects: &Effects) {
        for item in &commit.items {
            let Item::Transaction(transaction) = item else { continue };
            let found = effects.executed.iter().find(|executed| executed.id == transaction.id());
            let Some(executed) = found else { continue };
            *self.transactions.entry(commit.time.get() / HOUR).or_default() += 1;
            if executed.result.is_err() {
                continue;
            }
            for (operation, number) in transaction.envelope().operations.iter().zip(0..) {
                self.operation(transaction, number, operation);
            }
        }
    }

    fn operation(&mut self, by: &Transaction, number: u32, operation: &Operation) {
        let id = by.id();
        let lot = |output: usize| LotId::of(id, number, output as u32);
        match operation {
            Operation::PublishFactors(publication) => {
                let set = FactorSetId::of(member("agency"), &publication.name, publication.version);
                for factor in &publication.factors {
                    let reference = FactorRef { set, code: factor.code.clone() };
                    self.factors.insert(reference, factor.clone());
                }
            }
            Operation::Enrol(enrolment) => {
                if let Enrolled::Meter(kind) = &enrolment.kind {
                    let meter = MemberId::of(&enrolment.owner_key);
                    self.meters.insert(meter, (kind.clone(), enrolment.signing_key));
                }
            }
            Operation::SubmitReading(reading) => self.reading(by, lot(0), reading),
            Operation::DeclareLot(declared) => {
                let DeclaredFootprint::Factor(factor) = &declared.footprint else { return };
                let (quantity, mass) = (declared.quantity, declared.mass);
                let basis = Basis::Lot { quantity, mass, measured: false };
                let values = self.book(&basis, factor, declared.evidence.is_some());
                self.source(lot(0), quantity.amount, basis, values);
            }
            Operation::TransferLot(transfer) => self.part(transfer.portion, lot(0)),
            Operation::PlaceOrder(terms) => {
                for (index, portion) in terms.provided.iter().enumerate() {
                    self.part(*portion, lot(index));
                }
            }
            Operation::SinkLot(sink) => {
                let (from, amount) = (sink.portion.lot, sink.portion.quantity.amount);
                let upkeep = (sink.kind == SinkKind::Upkeep).then(|| self.hour(by, from));
                self.entries.push(Entry::Sink { from, amount, upkeep });
            }
            Operation::Transform(made) => self.make(id, number, made),
            Operation::CompleteOrder(done) => self.make(id, number, &done.transformation),
            Operation::Restate(restatement) => {
                if self.is_material(restatement) {
                    self.waiting.insert(RestatementId::of(id, number), restatement.clone());
                } else {
                    self.restate(restatement);
                }
            }
            Operation::DecideRestatement(decision) => {
                let waiting = self.waiting.remove(&decision.restatement).expect("it waited");
                if decision.approve {
                    self.restate(&waiting);
                }
            }
            _ => {}
        }
    }

    fn reading(&mut self, by: &Transaction, lot: LotId, reading: &Reading) {
        let (kind, key) = &self.meters[&reading.meter];
        let turn = if reading.overflowed { kind.register_end.expect("an end") } else { 0 };
        let amount = turn + reading.register_to - reading.register_from;
        let quantity = Quantity::new(amount, kind.unit);
        let measured = by.envelope().signer == *key;
        let basis = Basis::Lot { quantity, mass: Milligrams::ZERO, measured };
        let values = self.book(&basis, &reading.factor, reading.evidence.is_some());
        self.read.insert(lot, (reading.from.get(), reading.to.get()));
        self.source(lot, amount, basis, values);
    }

    /// The hour of the upkeep that somebody booked: by the operator's machine, of a reading within it.
    fn hour(&self, by: &Transaction, lot: LotId) -> u64 {
        let operator = ["printer", "mill"].map(|name| keypair(name).public());
        assert!(operator.contains(&by.envelope().signer), "no operator books upkeep");
        let (from, to) = self.read[&lot];
        let hour = from / HOUR;
        assert!(to <= (hour + 1) * HOUR, "upkeep of two hours");
        hour
    }

    fn book(&self, basis: &Basis, factor: &FactorRef, proven: bool) -> Values {
        let factor = &self.factors[factor];
        let declared = if proven { EvidenceTier::Derived } else { EvidenceTier::Default };
        match *basis {
            Basis::Work { amount } => Values::book(factor, amount, Milligrams::ZERO, declared),
            Basis::Lot { quantity, mass, measured } => {
                let by_mass = factor.reference.unit == Unit::Milligram && mass.get() > 0;
                let mass_of = Quantity::new(mass.get(), Unit::Milligram);
                let tier = if measured { EvidenceTier::Measured } else { declared };
                Values::book(factor, if by_mass { mass_of } else { quantity }, mass, tier)
            }
        }
    }

    fn source(&mut self, lot: LotId, amount: u64, basis: Basis, values: Values) {
        let (entry, first) = (self.entries.len(), values.clone());
        self.lots.insert(lot, Booked { entry, activity: 0, basis, first });
        self.entries.push(Entry::Source { lot, amount, values: Box::new(values) });
    }

    fn part(&mut self, portion: Portion, to: LotId) {
        let (from, amount) = (portion.lot, portion.quantity.amount);
        self.entries.push(Entry::Part { from, amount, to });
    }

    fn make(&mut self, id: TransactionId, number: u32, made: &Transformation) {
        let transformation = TransformationId::of(id, number);
        let entry = self.entries.len();
        let mut activities = Vec::new();
        for (index, activity) in made.activities.iter().enumerate() {
            let Activity { factor, amount, evidence, .. } = activity;
            let basis = Basis::Work { amount: *amount };
            let first = self.book(&basis, factor, evidence.is_some());
            activities.push(first.clone());
            let booked = Booked { entry, activity: index, basis, first };
            self.works.insert((transformation, index as u32), booked);
        }
        let wasted = made.outputs.iter().filter(|output| output.role == OutputRole::Waste);
        let waste = wasted.map(|output| i128::from(output.mass.get())).sum();
        let outputs = made.outputs.iter().zip(0..);
        let outputs = outputs.map(|(output, place)| {
            (LotId::of(id, number, place), output.quantity.amount, output.weight)
        });
        let inputs = made.inputs.iter().map(|input| (input.lot, input.quantity.amount)).collect();
        let outputs = outputs.collect();
        self.entries.push(Entry::Make { inputs, activities, waste, outputs });
    }

    fn booked(&self, source: Source) -> &Booked {
        match source {
            Source::Lot(lot) => &self.lots[&lot],
            Source::Activity { transformation, activity } => {
                &self.works[&(transformation, activity)]
            }
        }
    }

    fn stands(&self, booked: &Booked) -> &Values {
        match &self.entries[booked.entry] {
            Entry::Source { values, .. } => values,
            Entry::Make { activities, .. } => &activities[booked.activity],
            _ => unreachable!("no source"),
        }
    }

    fn corrected(&self, restatement: &Restatement) -> (Basis, Values) {
        let booked = self.booked(restatement.source);
        let proven = restatement.evidence.is_some();
        let (basis, factor) = match &restatement.correction {
            Correction::Factor(factor) => (booked.basis.clone(), factor),
            Correction::Amount { amount, factor } => (Basis::Work { amount: *amount }, factor),
            Correction::Imported(_) => unreachable!("not tried here"),
        };
        let values = self.book(&basis, factor, proven);
        (basis, values)
    }

    fn is_material(&self, restatement: &Restatement) -> bool {
        let (_, values) = self.corrected(restatement);
        let booked = self.booked(restatement.source);
        let climate = |values: &Values| values.of[Dimension::Climate as usize];
        let from = [climate(self.stands(booked)), climate(&booked.first)];
        from.into_iter().any(|from| (climate(&values) - from).abs() > MATERIAL)
    }

    fn restate(&mut self, restatement: &Restatement) {
        let (basis, corrected) = self.corrected(restatement);
        let booked = match restatement.source {
            Source::Lot(lot) => self.lots.get_mut(&lot),
            Source::Activity { transformation, activity } => {
                self.works.get_mut(&(transformation, activity))
            }
        };
        let booked = booked.expect("a source");
        booked.basis = basis;
        match &mut self.entries[booked.entry] {
            Entry::Source { values, .. } => **values = corrected,
            Entry::Make { activities, .. } => activities[booked.activity] = corrected,
            _ => unreachable!("no source"),
        }
    }

    /// Everything again, from the start, with the sources as they stand now.
    pub fn evaluate(&self) -> Books {
        let mut books = Books::default();
        for (hour, transactions) in &self.transactions {
            books.upkeep.entry(*hour).or_default().transactions = *transactions;
        }
        for entry in &self.entries {
            match entry {
                Entry::Source { lot, amount, values } => {
                    books.sources.add(values);
                    books.lots.insert(*lot, (*amount, Values::clone(values)));
                }
                Entry::Part { from, amount, to } => {
                    let taken = books.take(*from, *amount);
                    books.lots.insert(*to, (*amount, taken));
                }
                Entry::Sink { from, amount, upkeep } => {
                    let taken = books.take(*from, *amount);
                    books.sinks.add(&taken);
                    if let Some(hour) = upkeep {
                        let upkeep = books.upkeep.entry(*hour).or_default();
                        upkeep.sinks += 1;
                        upkeep.total.add(&taken);
                    }
                }
                Entry::Make { inputs, activities, waste, outputs } => {
                    books.make(inputs, activities, *waste, outputs);
                }
            }
        }
        for (_, values) in books.lots.values() {
            books.stock.add(values);
        }
        books
    }
}

impl Books {
    fn take(&mut self, from: LotId, amount: u64) -> Values {
        let (left, values) = self.lots.get_mut(&from).expect("a lot");
        let taken = values.part(amount, *left);
        values.subtract(&taken);
        *left -= amount;
        taken
    }

    fn make(
        &mut self,
        inputs: &[(LotId, u64)],
        activities: &[Values],
        waste: i128,
        outputs: &[(LotId, u64, u64)],
    ) {
        let mut booked = Values::default();
        booked.of[Dimension::Waste as usize] = waste;
        activities.iter().for_each(|activity| booked.add(activity));
        let mut total = booked.clone();
        for (lot, amount) in inputs {
            let taken = self.take(*lot, *amount);
            total.add(&taken);
        }
        if inputs.is_empty() && activities.is_empty() {
            total.undeclared = (1 << Dimension::ClimateMeasured as u32) - 1;
        }
        self.sources.add(&booked);
        let weights: i128 = outputs.iter().map(|(_, _, weight)| i128::from(*weight)).sum();
        let mut shares = std::vec![Values { of: [0; DIMENSIONS], ..total.clone() }; outputs.len()];
        for (dimension, whole) in total.of.iter().enumerate() {
            let mut order: Vec<usize> = (0..outputs.len()).collect();
            let product = |index: usize| whole * i128::from(outputs[index].2);
            for (index, share) in shares.iter_mut().enumerate() {
                share.of[dimension] = product(index).div_euclid(weights);
            }
            let given: i128 = shares.iter().map(|share| share.of[dimension]).sum();
            // The largest remainders first; sorting keeps the order of equal ones.
            order.sort_by_key(|index| -product(*index).rem_euclid(weights));
            for index in order.into_iter().take((whole - given) as usize) {
                shares[index].of[dimension] += 1;
            }
        }
        for ((lot, amount, _), share) in outputs.iter().zip(shares) {
            self.lots.insert(*lot, (*amount, share));
        }
    }
}
