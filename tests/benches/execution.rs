//! What executing orders costs, beside the physical limit that replay is held to: checking their
//! signatures. Both run in one process over the same transactions, so that their ratio travels.
//!
//! `cargo bench -p tests --bench execution` prints both times for one whole order: five transactions,
//! from placed to settled, with two inputs, a product and a waste lot; then both for a completion with
//! three inputs, two activities and two outputs, and their ratio; the longest of the commits that
//! work off the restatement of a source with 100,000 lots downstream; and what it takes to explain
//! a lot with 10,000 lots upstream.
#![expect(clippy::unwrap_used, reason = "a benchmark ends where something is missing")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kerbholz_client::ledger::execute::{self, Commit, Item, execute};
use kerbholz_client::ledger::explain::{View, explain};
use kerbholz_client::ledger::factor::{Factor, FactorRef, Impact, Quality, Standing};
use kerbholz_client::ledger::footprint::{Dimension, DimensionSet, GwpSet};
use kerbholz_client::ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
};
use kerbholz_client::ledger::id::{FactorSetId, LotId, MemberId, NetworkId, OrderId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::operation::{
    DeclaredFootprint, Enrolled, Enrolment, FactorPublication, KEY_PROOF_DOMAIN, LotDeclaration,
    LotTransfer, MoneyIssue, Operation, OrderStep, Portion, key_proof_message,
};
use kerbholz_client::ledger::quantity::{
    CommitIndex, Milligrams, Milliseconds, Minor, Quantity, Timestamp, Unit,
};
use kerbholz_client::ledger::restatement::{Correction, Restatement, Source};
use kerbholz_client::ledger::transaction::{
    Envelope, OPERATIONS_MAX, TRANSACTION_VERSION, Transaction, UnverifiedTransaction,
};
use kerbholz_client::ledger::transformation::{
    Activity, AllocationRule, Output, OutputRole, Transformation,
};
use kerbholz_client::order::{Order, Work, grams, pieces, watt_hours};
use kerbholz_client::session::now;
use std::time::{Duration, Instant};

/// Orders in one measured commit.
const ORDERS: usize = 100;
/// Transactions of one order.
const STEPS: usize = 5;

struct World {
    network: NetworkId,
    state: Memory,
    commit: u64,
    serial: u64,
    time: Timestamp,
}

fn key(name: &str) -> Keypair {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Keypair::from_seed(&seed)
}

fn id(name: &str) -> MemberId {
    MemberId::of(&key(name).public())
}

fn member(name: &str) -> GenesisMember {
    let public = key(name).public();
    GenesisMember { name: name.into(), owner_key: public, signing_key: public }
}

fn factor(code: &str, unit: Unit) -> Factor {
    let impact = |dimension| Impact { dimension, value: 1_234_567 };
    Factor {
        code: code.into(),
        reference: Quantity::new(1_000, unit),
        impacts: vec![impact(Dimension::Energy), impact(Dimension::Climate)],
        declared: DimensionSet::of(&[Dimension::Energy, Dimension::Climate]),
        gwp_set: GwpSet::Ar6,
        quality: Quality { technology: 1, geography: 2, time: 3 },
        region: "DE".into(),
        valid_from: Timestamp::ZERO,
        valid_until: Timestamp::new(u64::MAX),
        source: "made up for this benchmark".into(),
        licence: "none".into(),
        standing: Standing::Verified,
    }
}

impl World {
    /// Two companies with a machine each, money, a factor set and two large lots.
    fn new() -> (Self, [LotId; 2]) {
        let time = now();
        let genesis = Genesis {
            version: GENESIS_VERSION,
            name: "bench".into(),
            created_at: time,
            authorities: vec![GenesisAuthority { name: "one".into(), key: key("one").public() }],
            organisations: vec![member("bank"), member("maker")],
            publishers: vec![member("agency")],
            auditors: Vec::new(),
            currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "bank".into() }],
            accounting: Accounting::default(),
        };
        let mut state = Memory::default();
        state.apply(&execute::genesis(&genesis).unwrap().writes);
        let mut world = Self { network: genesis.network(), state, commit: 0, serial: 0, time };
        let enrol = |organisation: &str, name: &str| {
            let proof = key_proof_message(world.network, id(organisation));
            Operation::Enrol(Enrolment {
                name: name.into(),
                kind: Enrolled::Machine,
                owner_key: key(name).public(),
                signing_key: key(name).public(),
                key_proof: key(name).sign(KEY_PROOF_DOMAIN, &proof),
                owner_proof: key(name).sign(KEY_PROOF_DOMAIN, &proof),
            })
        };
        let (press, printer) = (enrol("bank", "press"), enrol("maker", "printer"));
        let money =
            MoneyIssue { currency: "EUR".into(), to: id("bank"), amount: Minor::new(1 << 40) };
        let mut better = factor("better powder", Unit::Milligram);
        better.impacts[1].value *= 2;
        let factors =
            vec![better, factor("energy", Unit::Joule), factor("powder", Unit::Milligram)];
        let set = FactorPublication { name: "set".into(), version: 1, factors };
        world.apply("bank", vec![press, Operation::IssueMoney(money)]);
        world.apply("maker", vec![printer]);
        world.apply("agency", vec![Operation::PublishFactors(set)]);
        let lot = |code: &str, quantity: Quantity, mass| {
            let set = FactorSetId::of(id("agency"), "set", 1);
            let footprint = DeclaredFootprint::Factor(FactorRef { set, code: code.into() });
            let product = code.to_owned();
            Operation::DeclareLot(LotDeclaration {
                product,
                quantity,
                mass,
                footprint,
                evidence: None,
            })
        };
        let powder = grams(1_000_000_000);
        let declared = world.apply(
            "printer",
            vec![
                lot("powder", powder, Milligrams::new(powder.amount)),
                lot("energy", Quantity::new(1 << 50, Unit::Joule), Milligrams::ZERO),
            ],
        );
        (world, [0, 1].map(|operation| LotId::of(declared.id(), operation, 0)))
    }

    fn sign(&mut self, by: &str, operations: Vec<Operation>) -> Transaction {
        // No two transactions may be equal, or the second would be a repetition.
        self.serial += 1;
        let expires_at = self.time.saturating_add(Milliseconds::new(1_000_000 + self.serial));
        let (network, signer, created_at) = (self.network, key(by).public(), self.time);
        let version = TRANSACTION_VERSION;
        Envelope { version, network, signer, created_at, expires_at, operations }.sign(&key(by))
    }

    fn next(&self, transactions: &[Transaction]) -> Commit {
        let items = transactions.iter().cloned().map(Item::Transaction).collect();
        Commit { index: CommitIndex::new(self.commit + 1), time: self.time, items }
    }

    fn apply(&mut self, by: &str, operations: Vec<Operation>) -> Transaction {
        let transaction = self.sign(by, operations);
        self.commit(&transaction);
        transaction
    }

    fn commit(&mut self, transaction: &Transaction) {
        let effects = execute(&self.next(std::slice::from_ref(transaction)), &self.state).unwrap();
        assert_eq!(effects.executed[0].result, Ok(()));
        self.state.apply(&effects.writes);
        self.commit += 1;
    }

    /// A lot of the printer's, in milligrams.
    fn declare(&mut self, code: &str, quantity: Quantity) -> LotId {
        let set = FactorSetId::of(id("agency"), "set", 1);
        let declaration = LotDeclaration {
            product: code.to_owned(),
            quantity,
            mass: Milligrams::new(quantity.amount),
            footprint: DeclaredFootprint::Factor(FactorRef { set, code: code.into() }),
            evidence: None,
        };
        let declared = self.apply("printer", vec![Operation::DeclareLot(declaration)]);
        LotId::of(declared.id(), 0, 0)
    }

    /// The five transactions of one order.
    fn order(&mut self, [powder, energy]: [LotId; 2]) -> [Transaction; STEPS] {
        let order = Order::of("bracket", pieces(1)).from(id("printer")).price("EUR", 100);
        let placed = self.sign("press", vec![Operation::PlaceOrder(order.terms())]);
        let order = OrderId::of(placed.id(), 0);
        let work = Work::finished()
            .used(powder, grams(120))
            .used(energy, watt_hours(100))
            .made("bracket", pieces(1), Milligrams::new(100_000))
            .wasted("spent", Quantity::new(20_000, Unit::Milligram), Milligrams::new(20_000))
            .period(self.time, self.time);
        let step = OrderStep { order };
        [
            placed,
            self.sign("printer", vec![Operation::AcceptOrder(step)]),
            self.sign("printer", vec![Operation::StartOrder(step)]),
            self.sign("printer", vec![Operation::CompleteOrder(work.completion(order))]),
            self.sign("press", vec![Operation::ConfirmOrder(step)]),
        ]
    }
}

/// The shorter of many runs: what else the machine does only makes runs longer.
fn shortest(runs: usize, mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    (0..runs).map(time).min().unwrap_or_default()
}

/// A completion with three inputs, two activities and two outputs, beside checking its signature.
fn completions(_: &mut Criterion) {
    let (mut world, [powder, energy]) = World::new();
    let more = world.declare("powder", grams(1_000_000_000));
    let mut completions = Vec::new();
    for _ in 0..ORDERS {
        let [placed, accepted, started, completed, _] = world.order([powder, energy]);
        for transaction in [&placed, &accepted, &started] {
            world.commit(transaction);
        }
        let Operation::CompleteOrder(completion) = &completed.envelope().operations[0] else {
            unreachable!("the fourth step completes");
        };
        let mut completion = completion.clone();
        let made = &mut completion.transformation;
        made.inputs.push(Portion { lot: more, quantity: grams(20) });
        made.outputs[0].mass = Milligrams::new(120_000);
        for (name, code, amount) in [
            ("melting", "energy", watt_hours(5)),
            ("binder", "powder", Quantity::new(1_000, Unit::Milligram)),
        ] {
            let set = FactorSetId::of(id("agency"), "set", 1);
            let factor = FactorRef { set, code: code.into() };
            made.activities.push(Activity { name: name.into(), factor, amount, evidence: None });
        }
        completions.push(world.sign("printer", vec![Operation::CompleteOrder(completion)]));
    }
    let commit = world.next(&completions);
    let effects = execute(&commit, &world.state).unwrap();
    assert!(effects.executed.iter().all(|executed| executed.result == Ok(())));
    let bytes: Vec<Vec<u8>> = completions.iter().map(Transaction::bytes).collect();
    let decoded: Vec<_> =
        bytes.iter().map(|bytes| UnverifiedTransaction::decode(bytes).unwrap()).collect();
    let checking = shortest(50, || {
        for one in &decoded {
            one.clone().verify().unwrap();
        }
    }) / ORDERS as u32;
    let executing = shortest(50, || drop(execute(&commit, &world.state).unwrap())) / ORDERS as u32;
    println!(
        "completion with 3 inputs, 2 activities, 2 outputs: {executing:?}; its signature: \
         {checking:?}; ratio {:.2}",
        executing.as_secs_f64() / checking.as_secs_f64()
    );
}

/// A source whose lot went into 100,000 others is restated.
fn restatement(_: &mut Criterion) {
    const LOTS: u64 = 100_000;
    let (mut world, _) = World::new();
    let lot = world.declare("powder", Quantity::new(2 * LOTS, Unit::Milligram));
    let part = LotTransfer {
        portion: Portion { lot, quantity: Quantity::new(1, Unit::Milligram) },
        to: id("printer"),
    };
    for taken in (0..LOTS).step_by(OPERATIONS_MAX) {
        let count = usize::try_from(LOTS - taken).unwrap().min(OPERATIONS_MAX);
        world.apply("printer", vec![Operation::TransferLot(part.clone()); count]);
    }
    let set = FactorSetId::of(id("agency"), "set", 1);
    let correction = Correction::Factor(FactorRef { set, code: "better powder".into() });
    let (source, reason) = (Source::Lot(lot), "better known".to_owned());
    let restatement = Restatement { source, correction, reason, evidence: None };
    let asked = world.sign("printer", vec![Operation::Restate(restatement)]);
    let mut commit = world.next(std::slice::from_ref(&asked));
    let (mut commits, mut longest) = (0, Duration::ZERO);
    loop {
        let begin = Instant::now();
        let effects = execute(&commit, &world.state).unwrap();
        longest = longest.max(begin.elapsed());
        if effects.executed.is_empty() {
            break;
        }
        commits += 1;
        world.state.apply(&effects.writes);
        world.commit += 1;
        commit = world.next(&[]);
    }
    println!("restatement with {LOTS} lots downstream: {commits} commits, the longest {longest:?}");
}

/// A lot is explained that 5,000 steps of work made, each of the one before, of a lot of powder and
/// with an activity.
fn explaining(_: &mut Criterion) {
    const STEPS: usize = 5_000;
    let (mut world, _) = World::new();
    let mut lot = world.declare("powder", grams(1));
    let set = FactorSetId::of(id("agency"), "set", 1);
    for _ in 0..STEPS {
        let powder = world.declare("powder", grams(1));
        let factor = FactorRef { set, code: "energy".into() };
        let amount = watt_hours(1);
        let activity = Activity { name: "melting".into(), factor, amount, evidence: None };
        let whole = |lot| Portion { lot, quantity: grams(1) };
        let output = |role, weight| Output {
            product: "powder".into(),
            quantity: grams(1),
            mass: Milligrams::new(1_000),
            role,
            weight,
        };
        let made = world.apply(
            "printer",
            vec![Operation::Transform(Transformation {
                inputs: vec![whole(lot), whole(powder)],
                activities: vec![activity],
                outputs: vec![output(OutputRole::Product, 2), output(OutputRole::ByProduct, 1)],
                allocation: AllocationRule::Physical,
                exempted_ppm: 0,
                mass_tolerance_ppm: 0,
                from: world.time,
                to: world.time,
                evidence: None,
            })],
        );
        lot = LotId::of(made.id(), 0, 0);
    }
    let transaction = world.sign("printer", vec![]);
    let transaction = UnverifiedTransaction::decode(&transaction.bytes()).unwrap();
    let checking = shortest(50, || drop(transaction.clone().verify().unwrap()));
    let whole = explain(&world.state, lot, View::AsRestated, usize::MAX).unwrap().unwrap();
    let (upstream, entries) = (whole.opened - 1, whole.entries().len());
    let taken = shortest(20, || {
        let whole = explain(&world.state, lot, View::AsRestated, usize::MAX).unwrap().unwrap();
        assert_eq!(whole.entries().len(), entries);
    });
    println!(
        "explaining a lot with {upstream} lots upstream, {entries} entries: {taken:?}; a signature: \
         {checking:?}; ratio {:.0}",
        taken.as_secs_f64() / checking.as_secs_f64()
    );
}

fn whole_orders(criterion: &mut Criterion) {
    let (mut world, lots) = World::new();
    let transactions: Vec<Transaction> = (0..ORDERS).flat_map(|_| world.order(lots)).collect();
    let commit = world.next(&transactions);
    let effects = execute(&commit, &world.state).unwrap();
    assert!(effects.executed.iter().all(|executed| executed.result == Ok(())));
    let bytes: Vec<Vec<u8>> = transactions.iter().map(Transaction::bytes).collect();

    let mut group = criterion.benchmark_group("orders");
    group.sample_size(10).throughput(Throughput::Elements(ORDERS as u64));
    group.bench_function("check signatures", |bencher| {
        let decode = || -> Vec<_> {
            bytes.iter().map(|bytes| UnverifiedTransaction::decode(bytes).unwrap()).collect()
        };
        bencher.iter_batched(
            decode,
            |decoded| -> Vec<Transaction> {
                decoded.into_iter().map(|one| one.verify().unwrap()).collect()
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("execute", |bencher| {
        bencher.iter(|| execute(&commit, &world.state).unwrap());
    });
    group.finish();
}

criterion_group!(benches, completions, restatement, explaining, whole_orders);
criterion_main!(benches);
