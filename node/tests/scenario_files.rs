//! The shipped scenario files are playable: a ledger in memory takes every step of every variant,
//! and what it books is what an independent sum of factor times amount comes to.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use kerbholz_ledger::balance;
use kerbholz_ledger::execute::{self, Commit, Item};
use kerbholz_ledger::factor::FactorRef;
use kerbholz_ledger::footprint::{Dimension, EvidenceTier, Footprint};
use kerbholz_ledger::genesis::GenesisMember;
use kerbholz_ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency,
};
use kerbholz_ledger::id::{ContentHash, FactorSetId, LotId, MemberId, OrderId, TransactionId};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::{
    self, DeclaredFootprint, Enrolled, Enrolment, Evidence, FactorPublication, KEY_PROOF_DOMAIN,
    LotDeclaration, LotSink, MeterKind, MoneyIssue, Operation, OrderStep, key_proof_message,
};
use kerbholz_ledger::order::{OrderTerms, Settlement};
use kerbholz_ledger::quantity::{CommitIndex, Milliseconds, Minor, Timestamp, Unit};
use kerbholz_ledger::transaction::{Envelope, TRANSACTION_VERSION};
use kerbholz_ledger::transformation::{
    self, AllocationRule, Completion, Outcome, OutputRole, Transformation,
};
use kerbholz_ledger::{execute as run, query};
use kerbholz_node::factors::{DEFAULT, FactorFile};
use kerbholz_node::scenario::{
    Action, Booked, Change, Judgement, Order, OrderFact, Portion, Scenario, Step, Variant, shipped,
};
use std::collections::BTreeMap;

fn key(name: &str) -> Keypair {
    Keypair::from_seed(ContentHash::of(name.as_bytes()).as_bytes())
}

fn id(name: &str) -> MemberId {
    MemberId::of(&key(name).public())
}

/// Who issues the money: the first organisation.
fn issuer(scenario: &Scenario) -> &str {
    scenario.organisations.keys().next().unwrap()
}

/// A network of one, in memory.
struct World {
    state: Memory,
    genesis: Genesis,
    commit: u64,
    now: u64,
}

impl World {
    fn new(scenario: &Scenario, factors: &FactorFile) -> Self {
        let member = |name: &str| GenesisMember {
            name: name.to_owned(),
            owner_key: key(name).public(),
            signing_key: key(name).public(),
        };
        let genesis = Genesis {
            version: GENESIS_VERSION,
            name: "scenarios".to_owned(),
            created_at: Timestamp::new(1_790_000_000_000),
            authorities: vec![GenesisAuthority {
                name: "authority".to_owned(),
                key: key("authority").public(),
            }],
            organisations: scenario.organisations.keys().map(|name| member(name)).collect(),
            publishers: vec![member("publisher")],
            auditors: Vec::new(),
            currencies: vec![GenesisCurrency {
                code: "EUR".to_owned(),
                issuer: issuer(scenario).to_owned(),
            }],
            accounting: Accounting::default(),
        };
        let mut state = Memory::default();
        state.apply(&execute::genesis(&genesis).unwrap().writes);
        let now = genesis.created_at.get();
        let mut world = Self { state, genesis, commit: 0, now };
        world.enrol(scenario);
        let (name, version) = (factors.name.clone(), factors.version);
        let factors = factors.factors.clone();
        let publication = FactorPublication { name, version, factors };
        world.submit("publisher", Operation::PublishFactors(publication));
        for organisation in scenario.organisations.keys() {
            let issue = MoneyIssue {
                currency: "EUR".to_owned(),
                to: id(organisation),
                amount: Minor::new(1_000_000),
            };
            world.submit(issuer(scenario), Operation::IssueMoney(issue));
        }
        world
    }

    fn enrol(&mut self, scenario: &Scenario) {
        for (name, machine) in &scenario.machines {
            self.enrol_one(name, &machine.organisation, Enrolled::Machine);
        }
        for (name, meter) in &scenario.meters {
            let organisation = &scenario.machines[&meter.machine].organisation;
            let kind = Enrolled::Meter(MeterKind {
                host: id(&meter.machine),
                product: "electricity".to_owned(),
                unit: Unit::Joule,
                factor_code: meter.factor.clone(),
                register: 0,
                register_end: None,
            });
            self.enrol_one(name, organisation, kind);
        }
    }

    fn enrol_one(&mut self, name: &str, organisation: &str, kind: Enrolled) {
        let own = key(name);
        let proof = key_proof_message(self.genesis.network(), id(organisation));
        let enrolment = Enrolment {
            name: name.to_owned(),
            kind,
            owner_key: own.public(),
            signing_key: own.public(),
            key_proof: own.sign(KEY_PROOF_DOMAIN, &proof),
            owner_proof: own.sign(KEY_PROOF_DOMAIN, &proof),
        };
        self.submit(organisation, Operation::Enrol(enrolment));
    }

    /// Has one operation executed, and insists that it is not refused.
    fn submit(&mut self, signer: &str, operation: Operation) -> TransactionId {
        self.commit += 1;
        self.now += 1_000;
        let created_at = Timestamp::new(self.now);
        let keypair = key(signer);
        let envelope = Envelope {
            version: TRANSACTION_VERSION,
            network: self.genesis.network(),
            signer: keypair.public(),
            created_at,
            expires_at: created_at.saturating_add(Milliseconds::new(60_000)),
            operations: vec![operation.clone()],
        };
        let transaction = envelope.sign(&keypair);
        let id = transaction.id();
        let commit = Commit {
            index: CommitIndex::new(self.commit),
            time: created_at,
            items: vec![Item::Transaction(transaction)],
        };
        let effects = run(&commit, &self.state).unwrap();
        for executed in &effects.executed {
            assert_eq!(executed.result, Ok(()), "{signer}: {operation:?}");
        }
        self.state.apply(&effects.writes);
        id
    }

    fn footprint(&self, lot: LotId) -> Footprint {
        query::lot(&self.state, lot).unwrap().unwrap().footprint
    }
}

/// One variant being played.
struct Player<'a> {
    world: &'a mut World,
    scenario: &'a Scenario,
    factors: &'a FactorFile,
    variant: &'a Variant,
    lots: BTreeMap<String, LotId>,
    orders: BTreeMap<String, (OrderId, BTreeMap<String, LotId>)>,
    /// What the sinks took.
    sunk: Footprint,
    /// What the sources should have booked.
    expected: Footprint,
    /// What became of the orders.
    facts: BTreeMap<String, OrderFact>,
}

impl Player<'_> {
    fn factor_ref(&self, code: &str) -> FactorRef {
        let set = FactorSetId::of(id("publisher"), &self.factors.name, self.factors.version);
        FactorRef { set, code: code.to_owned() }
    }

    fn evidence(step: &Step) -> Option<Evidence> {
        (step.tier == EvidenceTier::Derived).then(|| Evidence {
            hash: ContentHash::of(step.sources.join(",").as_bytes()),
            media_type: "application/toml".to_owned(),
            location: None,
        })
    }

    fn expect(&mut self, code: &str, amount: u64, tier: EvidenceTier) {
        let footprint = self.factors.get(code).unwrap().apply(amount, tier).unwrap();
        self.expected = self.expected.checked_add(&footprint).unwrap();
    }

    fn step(&mut self, step: &Step) {
        match &step.action {
            Action::Declare(declared) => {
                let declaration = LotDeclaration {
                    product: declared.product.clone(),
                    quantity: declared.quantity,
                    mass: declared.mass,
                    footprint: DeclaredFootprint::Factor(self.factor_ref(&declared.factor)),
                    evidence: Self::evidence(step),
                };
                let made = self.world.submit(&declared.machine, Operation::DeclareLot(declaration));
                self.lots.insert(declared.lot.clone(), LotId::of(made, 0, 0));
                let unit = self.factors.get(&declared.factor).unwrap().reference.unit;
                let by_mass = unit != declared.quantity.unit;
                let amount = if by_mass { declared.mass.get() } else { declared.quantity.amount };
                self.expect(&declared.factor, amount, step.tier);
            }
            Action::Read(read) => {
                let factor = self.scenario.meters[&read.meter].factor.clone();
                let meter = query::meter(&self.world.state, id(&read.meter)).unwrap().unwrap();
                let reading = operation::Reading {
                    meter: id(&read.meter),
                    overflowed: false,
                    evidence: None,
                    register_from: meter.register,
                    register_to: meter.register + read.joules,
                    from: Timestamp::new(self.world.now),
                    to: Timestamp::new(self.world.now + 1_000),
                    factor: self.factor_ref(&factor),
                };
                let made = self.world.submit(&read.meter, Operation::SubmitReading(reading));
                self.lots.insert(read.lot.clone(), LotId::of(made, 0, 0));
                self.expect(&factor, read.joules, EvidenceTier::Measured);
            }
            Action::Order(order) => self.order(step, order),
            Action::Sink(sink) => {
                let lot = self.lots[&sink.portion.lot];
                self.sunk = self.sunk.checked_add(&self.world.footprint(lot)).unwrap();
                let portion = operation::Portion { lot, quantity: sink.portion.quantity };
                let sunk = LotSink { portion, kind: sink.kind };
                self.world.submit(&sink.machine, Operation::SinkLot(sunk));
            }
        }
    }

    fn portions(
        &self,
        portions: &[Portion],
        held: &BTreeMap<String, LotId>,
    ) -> Vec<operation::Portion> {
        let portion = |portion: &Portion| operation::Portion {
            lot: *held.get(&portion.lot).unwrap_or_else(|| &self.lots[&portion.lot]),
            quantity: portion.quantity,
        };
        portions.iter().map(portion).collect()
    }

    fn place(&mut self, order: &Order) {
        let now = Timestamp::new(self.world.now);
        let later = |seconds: u64| now.saturating_add(Milliseconds::new(seconds * 1_000));
        let terms = OrderTerms {
            provider: id(&order.provider),
            service: order.service.clone(),
            specification: order
                .specification
                .as_ref()
                .map(|name| self.scenario.documents[name].hash),
            product: order.product.clone(),
            quantity: order.quantity,
            settlement: Settlement::Account { currency: order.currency.clone() },
            price: order.price,
            hold: order.price,
            cancel_fee: Minor::ZERO,
            carbon_price: None,
            predicted_climate: order.predicted_climate,
            climate_cap: None,
            required: order.required,
            mass_tolerance_ppm: order.mass_tolerance_ppm,
            accept_by: later(3_600),
            deliver_by: later(7_200),
            confirm_within: Milliseconds::new(3_600_000),
            failure: order.failure,
            provided: self.portions(&order.provided, &BTreeMap::new()),
            parent: order.parent.as_ref().map(|parent| self.orders[parent].0),
            confirmer: order.confirmer.as_deref().map(id),
        };
        let placed = self.world.submit(&order.buyer, Operation::PlaceOrder(terms));
        let provided = order.provided.iter().zip(0..);
        let held =
            provided.map(|(p, index)| (p.lot.clone(), LotId::of(placed, 0, index))).collect();
        let step = OrderStep { order: OrderId::of(placed, 0) };
        self.orders.insert(order.name.clone(), (step.order, held));
        self.world.submit(&order.provider, Operation::AcceptOrder(step));
        self.world.submit(&order.provider, Operation::StartOrder(step));
    }

    fn order(&mut self, step: &Step, order: &Order) {
        for name in &order.place {
            self.place(self.variant.order(name).unwrap());
        }
        let (placed, held) = self.orders[&order.name].clone();
        let activity = |activity: &kerbholz_node::scenario::Activity| transformation::Activity {
            name: activity.name.clone(),
            factor: self.factor_ref(&activity.factor),
            amount: activity.amount,
            evidence: Self::evidence(step),
        };
        let output = |output: &kerbholz_node::scenario::Output| transformation::Output {
            product: output.product.clone(),
            quantity: output.quantity,
            mass: output.mass,
            role: output.role,
            weight: output.weight,
        };
        let now = Timestamp::new(self.world.now);
        let transformation = Transformation {
            inputs: self.portions(&order.inputs, &held),
            activities: order.activities.iter().map(activity).collect(),
            outputs: order.outputs.iter().map(output).collect(),
            allocation: AllocationRule::Physical,
            exempted_ppm: 0,
            mass_tolerance_ppm: order.mass_tolerance_ppm,
            from: now,
            to: now,
            evidence: None,
        };
        let completion = Completion { order: placed, outcome: order.outcome, transformation };
        let done = self.world.submit(&order.provider, Operation::CompleteOrder(completion));
        for (output, index) in order.outputs.iter().zip(0..) {
            self.lots.insert(output.lot.clone(), LotId::of(done, 0, index));
            if output.role == OutputRole::Waste {
                let wasted = i128::from(output.mass.get());
                let sum = self.expected.get(Dimension::Waste) + wasted;
                self.expected.set(Dimension::Waste, sum);
            }
        }
        for activity in &order.activities {
            self.expect(&activity.factor, activity.amount.amount, step.tier);
        }
        let mut confirmed_by = None;
        if order.outcome == Outcome::Complete {
            let confirmer = order.confirmer.as_ref().unwrap_or(&order.buyer);
            let confirm = Operation::ConfirmOrder(OrderStep { order: placed });
            self.world.submit(confirmer, confirm);
            confirmed_by = Some(confirmer.clone());
        }
        let row = query::order(&self.world.state, placed).unwrap().unwrap();
        let fact = OrderFact {
            state: row.state,
            paid: row.paid.unwrap_or_default(),
            currency: order.currency.clone(),
            confirmed_by,
            serves: order.parent.clone().filter(|_| row.terms.parent.is_some()),
            specification: row.terms.specification,
        };
        self.facts.insert(order.name.clone(), fact);
    }
}

#[test]
fn the_ledger_takes_every_step_and_books_what_the_factors_say() {
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap();
    for (file, text) in shipped::SCENARIOS {
        let scenario = Scenario::parse(file, text, &factors).unwrap();
        let mut world = World::new(&scenario, &factors);
        let mut booked_by = scenario.model(&factors, &Change::None).unwrap();
        for variant in &scenario.variants {
            let mut player = Player {
                world: &mut world,
                scenario: &scenario,
                factors: &factors,
                variant,
                lots: BTreeMap::new(),
                orders: BTreeMap::new(),
                sunk: Footprint::ZERO,
                expected: Footprint::ZERO,
                facts: BTreeMap::new(),
            };
            for step in &variant.steps {
                player.step(step);
            }
            let Player { lots, sunk, expected, facts, .. } = player;
            let product = world.footprint(lots[&variant.product]);
            let booked = product.checked_add(&sunk).unwrap();
            for dimension in Dimension::ALL {
                let (ours, theirs) = (expected.get(*dimension), booked.get(*dimension));
                assert_eq!(theirs, ours, "{} of {}", dimension.name(), variant.id);
            }
            // In the two studies everything that is booked goes into what is delivered.
            if !file.contains("/c") {
                assert_eq!(product.undeclared, expected.undeclared, "{}", variant.id);
                assert_eq!(product.gwp_sets, expected.gwp_sets, "{}", variant.id);
            }
            // The file alone computes the same.
            let of = booked_by.get_mut(&variant.id).unwrap();
            let model = of.total().unwrap();
            assert_eq!(model.values(), expected.values(), "{}", variant.id);
            assert_eq!(product.declared(Dimension::HumanToxicity), None);
            assert!(product.get(Dimension::Climate) > 0, "{}", variant.id);
            (of.product, of.carried, of.orders) = (Some(product), Some(booked), facts);
        }
        balance::check(&world.state).unwrap();
        judged(file, &scenario, &booked_by);
    }
}

/// What the short scenarios are there to show, the ledger shows. What the two studies found is another
/// matter: see docs/scenarios/README.md.
fn judged(file: &str, scenario: &Scenario, booked: &BTreeMap<String, Booked>) {
    for verdict in scenario.judge(booked) {
        let shown = verdict.outcome == Judgement::Holds;
        assert!(shown || !file.contains("/c"), "{}: {}", verdict.id, verdict.because);
    }
}
