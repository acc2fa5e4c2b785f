//! Plays a variant: each step is signed by the machine or meter that takes it, and waited for.

use super::DemoError;
use super::cast::{Cast, MeterPost};
use super::screen::Screen;
use super::stories::{MeterName, Place, Stories, Story};
use super::timing::Timing;
use crate::scenario::{
    Action, Activity, Declaration, Order as OrderPlan, Output, Portion, Reading, Sink, Step,
    Variant,
};
use kerbholz_client::order::{Order, Work};
use kerbholz_client::session::now;
use kerbholz_client::{Applied, Machine, Session};
use kerbholz_ledger::factor::FactorRef;
use kerbholz_ledger::footprint::EvidenceTier;
use kerbholz_ledger::id::{ContentHash, LotId, OrderId, TransactionId};
use kerbholz_ledger::operation::{
    DeclaredFootprint, Evidence, LotDeclaration, LotSink, Operation, OrderStep,
    Portion as LedgerPortion, Reading as LedgerReading,
};
use kerbholz_ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_ledger::rows::LotRow;
use kerbholz_ledger::transformation::Outcome;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What all players share.
pub struct Stage {
    cast: Cast,
    timing: Timing,
    screen: Screen,
    /// What is played.
    pub stories: Arc<Stories>,
    /// The newest commit that any player has seen.
    seen: AtomicU64,
    /// Steps done; `usize::MAX` when all variants have ended.
    steps: watch::Sender<usize>,
    /// Whether the lots of sources are kept as they were made: where nobody replays.
    keeps_births: bool,
}

impl Stage {
    /// A stage with everybody on it.
    pub fn new(cast: Cast, timing: Timing, screen: Screen, stories: Arc<Stories>) -> Self {
        let seen = AtomicU64::new(cast.commit.get());
        let (steps, _) = watch::channel(0);
        Self { cast, timing, screen, stories, seen, steps, keeps_births: false }
    }

    /// The same, where players keep the lots of sources as they were made.
    pub const fn keeping_births(mut self) -> Self {
        self.keeps_births = true;
        self
    }

    /// The newest commit that any player has seen.
    pub fn seen(&self) -> CommitIndex {
        CommitIndex::new(self.seen.load(Ordering::Acquire))
    }

    /// Steps done, to wait for.
    pub fn steps(&self) -> watch::Receiver<usize> {
        self.steps.subscribe()
    }

    /// Says that all variants have ended.
    pub fn finish(&self) {
        self.steps.send_replace(usize::MAX);
    }

    /// Somebody's session, to ask with.
    pub fn any_session(&self) -> Option<&Session> {
        self.cast.machines.values().next().map(|machine| &**machine)
    }

    /// A source's lot as it was made, where that is kept.
    async fn born(
        &self,
        session: &Session,
        lot: LotId,
        what: &str,
    ) -> Result<Option<(LotId, LotRow)>, DemoError> {
        if !self.keeps_births {
            return Ok(None);
        }
        let row = session.lot(lot).await.map_err(DemoError::step(what))?;
        Ok(Some((lot, row)))
    }

    fn done(&self) {
        self.steps.send_modify(|steps| *steps = steps.saturating_add(1));
        self.screen.tick();
    }

    /// Submits, waits for finality, measures; everybody who acts after sees it.
    async fn submit(
        &self,
        session: &Session,
        operations: Vec<Operation>,
        what: &str,
    ) -> Result<Applied, DemoError> {
        session.catch_up_with(self.seen());
        let phase = self.timing.phase();
        let applied = session.submit(operations).await.map_err(DemoError::step(what))?;
        self.timing.record(phase, applied.finality);
        self.seen.fetch_max(applied.row.commit.get(), Ordering::AcqRel);
        Ok(applied)
    }
}

/// What a step made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// A lot from outside the ledger.
    Source(LotId),
    /// An order, completed.
    Order(OrderId),
    /// Nothing: a sink.
    Nothing,
}

/// A variant that was played, by what it made on the ledger.
#[derive(Clone, Debug)]
pub struct Played {
    /// Which variant.
    pub place: Place,
    /// What each step made, in order.
    pub made: Vec<Made>,
    /// The functional unit's lot.
    pub product: LotId,
    /// The transaction by which it was delivered.
    pub delivery: TransactionId,
    /// The orders by name, and the machine that confirmed each, if one did.
    pub orders: BTreeMap<String, (OrderId, Option<String>)>,
    /// The lots that left the ledger.
    pub sunk: Vec<LotId>,
    /// The lots of the sources as they were made, where the stage keeps them.
    pub born: BTreeMap<LotId, LotRow>,
}

/// Plays the variant at a place.
///
/// # Errors
/// [`DemoError::Step`] names file, line and step.
pub async fn play(stage: &Stage, place: Place) -> Result<Played, DemoError> {
    let (story, variant) = stage.stories.at(place);
    let mut player = Player {
        stage,
        story,
        variant,
        lots: BTreeMap::new(),
        orders: Mutex::new(BTreeMap::new()),
        confirmed: BTreeMap::new(),
        sunk: Vec::new(),
        born: BTreeMap::new(),
        delivery: None,
    };
    let mut made = Vec::with_capacity(variant.steps.len());
    for step in &variant.steps {
        made.push(player.step(step).await?);
        stage.done();
    }
    let lacks = |what: &str| DemoError::Missing(format!("{what} of {}", variant.id));
    let product = *player.lots.get(&variant.product).ok_or_else(|| lacks("the product"))?;
    let delivery = player.delivery.ok_or_else(|| lacks("the delivery"))?;
    let placed = player.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let confirmed_by = |name: &String| player.confirmed.get(name).cloned();
    let orders = placed
        .into_iter()
        .map(|(name, placed)| {
            let by = confirmed_by(&name);
            (name, (placed.order, by))
        })
        .collect();
    Ok(Played { place, made, product, delivery, orders, sunk: player.sunk, born: player.born })
}

/// An order that was placed, and the buyer's lots held for it.
#[derive(Clone, Debug)]
struct Placed {
    order: OrderId,
    held: BTreeMap<String, LotId>,
}

struct Player<'a> {
    stage: &'a Stage,
    story: &'a Story,
    variant: &'a Variant,
    lots: BTreeMap<String, LotId>,
    orders: Mutex<BTreeMap<String, Placed>>,
    confirmed: BTreeMap<String, String>,
    sunk: Vec<LotId>,
    born: BTreeMap<LotId, LotRow>,
    delivery: Option<TransactionId>,
}

impl Player<'_> {
    fn machine(&self, name: &str) -> Result<&Machine, DemoError> {
        let machine = self.story.scenario.machines.get(name);
        let organisation = machine.map(|machine| machine.organisation.clone()).unwrap_or_default();
        let found = self.stage.cast.machines.get(&(organisation, name.to_owned()));
        found.ok_or_else(|| DemoError::Missing(format!("machine {name}")))
    }

    fn meter(&self, name: &str) -> Result<&Arc<MeterPost>, DemoError> {
        let missing = || DemoError::Missing(format!("meter {name}"));
        let meter = self.story.scenario.meters.get(name).ok_or_else(missing)?;
        let name = MeterName::of(&self.story.scenario, name, meter);
        self.stage.cast.meters.get(&name).ok_or_else(missing)
    }

    fn lot(&self, name: &str) -> Result<LotId, DemoError> {
        let lot = self.lots.get(name).copied();
        lot.ok_or_else(|| DemoError::Missing(format!("lot {name} of {}", self.variant.id)))
    }

    fn placed(&self, name: &str) -> Result<Placed, DemoError> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = orders.get(name).cloned();
        placed.ok_or_else(|| DemoError::Missing(format!("order {name} of {}", self.variant.id)))
    }

    fn factor(&self, code: &str) -> FactorRef {
        FactorRef { set: self.stage.cast.factors, code: code.to_owned() }
    }

    /// The scenario file, where the step's figures are cited.
    fn evidence(&self, step: &Step) -> Option<Evidence> {
        (step.tier == EvidenceTier::Derived).then(|| Evidence {
            hash: self.story.hash,
            media_type: "application/toml".into(),
            location: None,
        })
    }

    async fn step(&mut self, step: &Step) -> Result<Made, DemoError> {
        let at = format!("{}:{} ({})", self.story.file, step.line, self.variant.id);
        match &step.action {
            Action::Declare(declaration) => self.declare(step, declaration, &at).await,
            Action::Read(reading) => self.read(reading, &at).await,
            Action::Order(order) => self.order(step, order, &at).await,
            Action::Sink(sink) => self.sink(sink, &at).await,
        }
    }

    async fn declare(
        &mut self,
        step: &Step,
        declared: &Declaration,
        at: &str,
    ) -> Result<Made, DemoError> {
        let operation = Operation::DeclareLot(LotDeclaration {
            product: declared.product.clone(),
            quantity: declared.quantity,
            mass: declared.mass,
            footprint: DeclaredFootprint::Factor(self.factor(&declared.factor)),
            evidence: self.evidence(step),
        });
        let machine = self.machine(&declared.machine)?;
        let what = format!("{at}: {} declares {}", declared.machine, declared.lot);
        let lot = self.stage.submit(machine, vec![operation], &what).await?.lot(0, 0);
        let born = self.stage.born(machine, lot, &what).await?;
        self.born.extend(born);
        self.lots.insert(declared.lot.clone(), lot);
        Ok(Made::Source(lot))
    }

    async fn read(&mut self, reading: &Reading, at: &str) -> Result<Made, DemoError> {
        let post = self.meter(&reading.meter)?.clone();
        // Other variants may use the same meter: its register is a chain.
        let mut register = post.register.lock().await;
        let (register_from, read_until) = *register;
        let to = now().max(Timestamp::new(read_until.get().saturating_add(1)));
        let from = read_until.max(Timestamp::new(to.get().saturating_sub(60_000)));
        let register_to = register_from.saturating_add(reading.joules);
        let factor = post.factor.clone();
        let operation = LedgerReading {
            meter: post.meter.id(),
            register_from,
            register_to,
            overflowed: false,
            from,
            to,
            factor,
            evidence: None,
        };
        let what = format!("{at}: {} is read", reading.meter);
        let operations = vec![Operation::SubmitReading(operation)];
        let lot = self.stage.submit(&post.meter, operations, &what).await?.lot(0, 0);
        *register = (register_to, to);
        drop(register);
        let born = self.stage.born(&post.meter, lot, &what).await?;
        self.born.extend(born);
        self.lots.insert(reading.lot.clone(), lot);
        Ok(Made::Source(lot))
    }

    async fn sink(&mut self, sink: &Sink, at: &str) -> Result<Made, DemoError> {
        let portion =
            LedgerPortion { lot: self.lot(&sink.portion.lot)?, quantity: sink.portion.quantity };
        let operation = Operation::SinkLot(LotSink { portion, kind: sink.kind });
        let what = format!("{at}: {} books {} out", sink.machine, sink.portion.lot);
        self.stage.submit(self.machine(&sink.machine)?, vec![operation], &what).await?;
        self.sunk.push(portion.lot);
        Ok(Made::Nothing)
    }

    /// Places an order, with what its buyer provides; the provider accepts it and starts.
    async fn place(&self, name: &str, at: &str) -> Result<(), DemoError> {
        let missing = || DemoError::Missing(format!("order {name} of {}", self.variant.id));
        let step = self.variant.order(name).ok_or_else(missing)?;
        let (buyer, provider) = (self.machine(&step.buyer)?, self.machine(&step.provider)?);
        let operation = Operation::PlaceOrder(self.terms(step, provider)?.terms());
        let what = format!("{at}: {} orders {name}", step.buyer);
        let applied = self.stage.submit(buyer, vec![operation], &what).await?;
        let order = applied.order(0);
        let held = step.provided.iter().zip(0..);
        let held = held.map(|(portion, index)| (portion.lot.clone(), applied.lot(0, index)));
        let placed = Placed { order, held: held.collect() };
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), placed);
        let next = OrderStep { order };
        let operations = vec![Operation::AcceptOrder(next), Operation::StartOrder(next)];
        let what = format!("{at}: {} takes {name} on", step.provider);
        self.stage.submit(provider, operations, &what).await?;
        Ok(())
    }

    /// What says what to make: the step's document, or the scenario itself.
    fn specification(&self, step: &OrderPlan) -> Result<ContentHash, DemoError> {
        let Some(name) = &step.specification else { return Ok(self.story.hash) };
        let document = self.story.scenario.documents.get(name);
        let missing = || DemoError::Missing(format!("document {name}"));
        Ok(document.ok_or_else(missing)?.hash)
    }

    fn terms(&self, step: &OrderPlan, provider: &Machine) -> Result<Order, DemoError> {
        let mut order = Order::of(&step.product, step.quantity)
            .service(&step.service)
            .from(provider.id())
            .specification(self.specification(step)?)
            .price(&step.currency, step.price.get())
            .require(step.required)
            .failure(step.failure)
            .mass_tolerance_ppm(step.mass_tolerance_ppm);
        if let Some(confirmer) = &step.confirmer {
            order = order.confirmer(self.machine(confirmer)?.id());
        }
        if let Some(predicted) = step.predicted_climate {
            order = order.predicted(predicted);
        }
        for portion in &step.provided {
            order = order.provide(self.lot(&portion.lot)?, portion.quantity);
        }
        if let Some(parent) = &step.parent {
            order = order.parent(self.placed(parent)?.order);
        }
        Ok(order)
    }

    async fn order(&mut self, step: &Step, order: &OrderPlan, at: &str) -> Result<Made, DemoError> {
        for name in &order.place {
            self.place(name, at).await?;
        }
        let placed = self.placed(&order.name)?;
        let work = self.work(step, order, &placed)?;
        let provider = self.machine(&order.provider)?;
        let what = format!("{at}: {} completes {}", order.provider, order.name);
        let operations = vec![Operation::CompleteOrder(work.completion(placed.order))];
        let completed = self.stage.submit(provider, operations, &what).await?;
        for (output, index) in order.outputs.iter().zip(0..) {
            self.lots.insert(output.lot.clone(), completed.lot(0, index));
        }
        // A failure has settled already.
        if order.outcome == Outcome::Complete {
            let confirmer = order.confirmer.as_ref().unwrap_or(&order.buyer);
            let what = format!("{at}: {confirmer} confirms {}", order.name);
            let operations = vec![Operation::ConfirmOrder(OrderStep { order: placed.order })];
            let confirming = self.machine(confirmer)?;
            let confirmed = self.stage.submit(confirming, operations, &what).await?;
            if order.outputs.iter().any(|output| output.lot == self.variant.product) {
                self.delivery = Some(confirmed.id);
            }
            self.confirmed.insert(order.name.clone(), confirmer.clone());
        }
        Ok(Made::Order(placed.order))
    }

    fn work(&self, step: &Step, order: &OrderPlan, placed: &Placed) -> Result<Work, DemoError> {
        let work = if order.outcome == Outcome::Failed { Work::failed() } else { Work::finished() };
        let mut work =
            work.mass_tolerance_ppm(order.mass_tolerance_ppm).allocation(order.allocation, 0);
        for Portion { lot, quantity } in &order.inputs {
            let held = placed.held.get(lot).copied();
            let lot = held.map_or_else(|| self.lot(lot), Ok)?;
            work = work.used(lot, *quantity);
        }
        let evidence = self.evidence(step);
        for Activity { name, factor, amount } in &order.activities {
            let factor = self.factor(factor);
            work = match &evidence {
                Some(evidence) => work.did_with_evidence(name, factor, *amount, evidence.clone()),
                None => work.did(name, factor, *amount),
            };
        }
        for Output { product, quantity, mass, role, weight, .. } in &order.outputs {
            work = work.output(product, *quantity, *mass, *role, *weight);
        }
        Ok(work)
    }
}
