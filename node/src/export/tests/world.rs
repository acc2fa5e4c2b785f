//! A network of one, in memory, in which everything that is exported happens.

use kerbholz_ledger::execute::{self, Commit, Effects, Item};
use kerbholz_ledger::factor::{Factor, FactorRef, Impact, Quality, Standing};
use kerbholz_ledger::footprint::{Dimension, DimensionSet, GwpSet};
use kerbholz_ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
};
use kerbholz_ledger::id::{ContentHash, FactorSetId, LotId, MemberId, OrderId, TransactionId};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::{
    DeclaredFootprint, Enrolled, Enrolment, Evidence, FactorPublication, KEY_PROOF_DOMAIN,
    LotDeclaration, LotSink, LotTransfer, MeterKind, MoneyIssue, Operation, OrderStep, Portion,
    Reading, SinkKind, key_proof_message,
};
use kerbholz_ledger::order::{FailureBearer, OrderTerms, Settlement};
use kerbholz_ledger::quantity::{
    CommitIndex, Milligrams, Milliseconds, Minor, Quantity, Timestamp, Unit,
};
use kerbholz_ledger::restatement::{Correction, Restatement, Source};
use kerbholz_ledger::transaction::{Envelope, TRANSACTION_VERSION, Transaction};
use kerbholz_ledger::transformation::{
    Activity, AllocationRule, Completion, Outcome, Output, OutputRole, Transformation,
};

/// 2026-11-20.
pub const BEGIN: u64 = 1_795_132_800_000;
pub const HOUR: u64 = 3_600_000;
pub const DAY: u64 = 24 * HOUR;

pub fn keypair(name: &str) -> Keypair {
    Keypair::from_seed(ContentHash::of(name.as_bytes()).as_bytes())
}

pub fn member(name: &str) -> MemberId {
    MemberId::of(&keypair(name).public())
}

pub fn factor_ref(version: u32, code: &str) -> FactorRef {
    FactorRef { set: FactorSetId::of(member("agency"), "base", version), code: code.into() }
}

fn factor(code: &str, reference: Quantity, impacts: &[(Dimension, i128)]) -> Factor {
    let impacts =
        impacts.iter().map(|(dimension, value)| Impact { dimension: *dimension, value: *value });
    let mut impacts: Vec<Impact> = impacts.collect();
    impacts.sort_by_key(|impact| impact.dimension);
    let declared: Vec<Dimension> = impacts.iter().map(|impact| impact.dimension).collect();
    Factor {
        code: code.into(),
        reference,
        impacts,
        declared: DimensionSet::of(&declared),
        gwp_set: GwpSet::Ar6,
        quality: Quality { technology: 1, geography: 2, time: 3 },
        region: "DE".into(),
        valid_from: Timestamp::ZERO,
        valid_until: Timestamp::new(u64::MAX),
        source: "made up, \"for a test\"".into(),
        licence: "none".into(),
        standing: Standing::Verified,
    }
}

/// The factors of a version: later ones are higher.
fn factors(version: u32) -> Vec<Factor> {
    let times = i128::from(version);
    let kilogram = Quantity::new(1_000_000, Unit::Milligram);
    let grid = [
        (Dimension::Climate, 380_000_000_000 * times),
        (Dimension::ClimateFossil, 370_000_000_000 * times),
        (Dimension::ClimateLandUse, 0),
        (Dimension::BiogenicUptake, 0),
        (Dimension::FossilCarbonContent, 0),
        (Dimension::BiogenicCarbonContent, 0),
    ];
    let haul = [(Dimension::Climate, 95_020_000_000 * times)];
    let powder = [
        (Dimension::Energy, 90_000_000),
        (Dimension::Water, 12_000),
        (Dimension::Climate, 8_000_000_000_001 * times),
        (Dimension::ClimateFossil, 7_000_000_000_000 * times),
        (Dimension::ClimateLandUse, 500_000_000_000 * times),
        (Dimension::ClimateAircraft, 3 * times),
        (Dimension::BiogenicUptake, -13_000_000_007),
        (Dimension::FossilCarbonContent, 600_000_000_000),
        (Dimension::BiogenicCarbonContent, 5),
    ];
    vec![
        factor("grid", Quantity::new(3_600_000, Unit::Joule), &grid),
        factor("haul", Quantity::new(1_000_000, Unit::KilogramMetre), &haul),
        factor("powder", kilogram, &powder),
    ]
}

pub struct World {
    pub genesis: Genesis,
    pub state: Memory,
    /// What was executed, with the commit's time.
    pub effects: Vec<(Timestamp, Effects)>,
    pub transactions: Vec<Transaction>,
    commit: u64,
    pub now: u64,
}

impl World {
    /// Machines `printer` and `mill` with a meter, of `maker`; `press`, of `rail`.
    pub fn new() -> Self {
        let named = |name: &str| GenesisMember {
            name: name.into(),
            owner_key: keypair(name).public(),
            signing_key: keypair(name).public(),
        };
        let genesis = Genesis {
            version: GENESIS_VERSION,
            name: "exports".into(),
            created_at: Timestamp::new(BEGIN),
            authorities: vec![GenesisAuthority {
                name: "a".into(),
                key: keypair("authority").public(),
            }],
            organisations: vec![named("maker"), named("rail")],
            publishers: vec![named("agency")],
            auditors: vec![],
            currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "rail".into() }],
            accounting: Accounting::default(),
        };
        let mut state = Memory::default();
        state.apply(&execute::genesis(&genesis).unwrap().writes);
        let (effects, transactions) = (Vec::new(), Vec::new());
        let mut world = Self { genesis, state, effects, transactions, commit: 0, now: BEGIN };
        for version in [1, 2, 3] {
            let publication =
                FactorPublication { name: "base".into(), version, factors: factors(version) };
            world.run("agency", vec![Operation::PublishFactors(publication)]);
        }
        for (organisation, machine) in [("maker", "printer"), ("maker", "mill"), ("rail", "press")]
        {
            world.enrol(organisation, machine, Enrolled::Machine);
        }
        let meter = MeterKind {
            host: member("printer"),
            product: "electricity".into(),
            unit: Unit::Joule,
            factor_code: "grid".into(),
            register: 0,
            register_end: None,
        };
        world.enrol("maker", "meter", Enrolled::Meter(meter));
        let issue =
            MoneyIssue { currency: "EUR".into(), to: member("rail"), amount: Minor::new(100_000) };
        world.run("rail", vec![Operation::IssueMoney(issue)]);
        world
    }

    fn enrol(&mut self, organisation: &str, name: &str, kind: Enrolled) {
        let message = key_proof_message(self.genesis.network(), member(organisation));
        let key = keypair(name);
        let proof = key.sign(KEY_PROOF_DOMAIN, &message);
        let enrolment = Enrolment {
            name: name.into(),
            kind,
            owner_key: key.public(),
            signing_key: key.public(),
            key_proof: proof,
            owner_proof: proof,
        };
        self.run(organisation, vec![Operation::Enrol(enrolment)]);
    }

    /// Commits a transaction; says whether it was applied.
    pub fn attempt(&mut self, by: &str, operations: Vec<Operation>) -> (TransactionId, bool) {
        self.now += 1_000;
        let envelope = Envelope {
            version: TRANSACTION_VERSION,
            network: self.genesis.network(),
            signer: keypair(by).public(),
            created_at: Timestamp::new(self.now),
            expires_at: Timestamp::new(self.now + HOUR),
            operations,
        };
        let transaction = envelope.sign(&keypair(by));
        self.commit(vec![Item::Transaction(transaction.clone())]);
        let (_, effects) = self.effects.last().unwrap();
        let done = effects.executed.iter().find(|done| done.id == transaction.id()).unwrap();
        let applied = done.result.is_ok();
        let id = transaction.id();
        self.transactions.push(transaction);
        (id, applied)
    }

    pub fn commit(&mut self, items: Vec<Item>) {
        self.commit += 1;
        let time = Timestamp::new(self.now);
        let commit = Commit { index: CommitIndex::new(self.commit), time, items };
        let effects = execute::execute(&commit, &self.state).unwrap();
        self.state.apply(&effects.writes);
        self.effects.push((time, effects));
    }

    pub fn run(&mut self, by: &str, operations: Vec<Operation>) -> TransactionId {
        let (id, applied) = self.attempt(by, operations);
        let (_, effects) = self.effects.last().unwrap();
        assert!(applied, "{:?}", effects.executed);
        id
    }

    pub fn powder(&mut self, kilograms: u64) -> LotId {
        LotId::of(self.run("printer", vec![declare(kilograms * 1_000_000)]), 0, 0)
    }

    pub fn read_meter(&mut self, kilowatt_hours: u64) -> LotId {
        let row = kerbholz_ledger::query::meter(&self.state, member("meter")).unwrap().unwrap();
        let from = row.read_until.max(Timestamp::new(BEGIN));
        self.now = self.now.max(from.get()) + HOUR;
        let reading = Reading {
            meter: member("meter"),
            register_from: row.register,
            register_to: row.register + kilowatt_hours * 3_600_000,
            overflowed: false,
            from,
            to: Timestamp::new(self.now),
            factor: factor_ref(1, "grid"),
            evidence: None,
        };
        LotId::of(self.run("meter", vec![Operation::SubmitReading(reading)]), 0, 0)
    }

    /// The press orders brackets of the printer, which makes them of these and is paid. The bracket
    /// is the first output.
    pub fn order(
        &mut self,
        inputs: &[(LotId, Quantity)],
        outputs: Vec<Output>,
    ) -> (OrderId, LotId) {
        let quantity = outputs.first().unwrap().quantity;
        let placed = self.run("press", vec![Operation::PlaceOrder(self.terms(quantity))]);
        let order = OrderId::of(placed, 0);
        self.run("printer", vec![Operation::AcceptOrder(OrderStep { order })]);
        self.run("printer", vec![Operation::StartOrder(OrderStep { order })]);
        let transformation = self.work(inputs, outputs);
        let completion = Completion { order, outcome: Outcome::Complete, transformation };
        let done = self.run("printer", vec![Operation::CompleteOrder(completion)]);
        self.run("press", vec![Operation::ConfirmOrder(OrderStep { order })]);
        (order, LotId::of(done, 0, 0))
    }

    fn terms(&self, quantity: Quantity) -> OrderTerms {
        OrderTerms {
            provider: member("printer"),
            service: "laser sintering".into(),
            specification: None,
            product: "bracket".into(),
            quantity,
            settlement: Settlement::Account { currency: "EUR".into() },
            price: Minor::new(2_500),
            hold: Minor::new(2_500),
            cancel_fee: Minor::new(500),
            carbon_price: None,
            predicted_climate: Some(3_000_000_000_000),
            climate_cap: None,
            required: DimensionSet::EMPTY,
            mass_tolerance_ppm: 1_000_000,
            accept_by: Timestamp::new(self.now + DAY),
            deliver_by: Timestamp::new(self.now + 2 * DAY),
            confirm_within: Milliseconds::new(DAY),
            failure: FailureBearer::Provider,
            provided: vec![],
            parent: None,
            confirmer: None,
        }
    }

    /// Work with one leg of transport.
    pub fn work(&self, inputs: &[(LotId, Quantity)], outputs: Vec<Output>) -> Transformation {
        let portion =
            |(lot, quantity): &(LotId, Quantity)| Portion { lot: *lot, quantity: *quantity };
        Transformation {
            inputs: inputs.iter().map(portion).collect(),
            activities: vec![Activity {
                name: "transport".into(),
                factor: factor_ref(1, "haul"),
                amount: Quantity::new(1_500_000, Unit::KilogramMetre),
                evidence: Some(evidence()),
            }],
            outputs,
            allocation: AllocationRule::Physical,
            exempted_ppm: 12_500,
            mass_tolerance_ppm: 1_000_000,
            from: Timestamp::new(self.now - 1_000),
            to: Timestamp::new(self.now),
            evidence: None,
        }
    }

    /// Corrects a declared lot or reading by another version of its factor.
    pub fn restate(&mut self, lot: LotId, version: u32, code: &str) {
        let restatement = Restatement {
            source: Source::Lot(lot),
            correction: Correction::Factor(factor_ref(version, code)),
            reason: "better known".into(),
            evidence: Some(evidence()),
        };
        self.run("maker", vec![Operation::Restate(restatement)]);
    }
}

pub fn evidence() -> Evidence {
    let hash = ContentHash::of(b"a delivery note");
    Evidence { hash, media_type: "application/pdf".into(), location: None }
}

pub fn declare(milligrams: u64) -> Operation {
    Operation::DeclareLot(LotDeclaration {
        product: "PA12, \"fine\" powder".into(),
        quantity: Quantity::new(milligrams, Unit::Milligram),
        mass: Milligrams::new(milligrams),
        footprint: DeclaredFootprint::Factor(factor_ref(1, "powder")),
        evidence: Some(evidence()),
    })
}

pub fn output(
    product: &str,
    quantity: Quantity,
    grams: u64,
    role: OutputRole,
    weight: u64,
) -> Output {
    let mass = Milligrams::new(grams * 1_000);
    Output { product: product.into(), quantity, mass, role, weight }
}

pub fn transfer(lot: LotId, quantity: Quantity, to: &str) -> Operation {
    Operation::TransferLot(LotTransfer { portion: Portion { lot, quantity }, to: member(to) })
}

pub fn sink(lot: LotId, quantity: Quantity, kind: SinkKind) -> Operation {
    Operation::SinkLot(LotSink { portion: Portion { lot, quantity }, kind })
}

pub const fn grams(grams: u64) -> Quantity {
    Quantity::new(grams * 1_000, Unit::Milligram)
}

pub const fn pieces(pieces: u64) -> Quantity {
    Quantity::new(pieces, Unit::Piece)
}
