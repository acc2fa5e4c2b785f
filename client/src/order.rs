//! Orders and completions, written the way a person says them.
//!
//! ```
//! use kerbholz_client::order::{Order, kilograms, pieces};
//! # let printer = kerbholz_client::ledger::id::MemberId::new([0; 32]);
//! let order = Order::of("bracket", pieces(1)).service("laser sintering").from(printer).price("EUR", 25_00);
//! ```

use crate::session::now;
use kerbholz_ledger::factor::FactorRef;
use kerbholz_ledger::footprint::{Dimension, DimensionSet};
use kerbholz_ledger::id::{ContentHash, LotId, MemberId, OrderId};
use kerbholz_ledger::operation::{Evidence, Portion};
use kerbholz_ledger::order::{CarbonPrice, FailureBearer, OrderTerms, Settlement};
use kerbholz_ledger::quantity::{Milligrams, Milliseconds, Minor, Quantity, Timestamp, Unit};
use kerbholz_ledger::transformation::{
    Activity, AllocationRule, Completion, Outcome, Output, OutputRole, Transformation,
};

/// So many pieces.
pub const fn pieces(amount: u64) -> Quantity {
    Quantity::new(amount, Unit::Piece)
}

/// So many grams.
pub const fn grams(amount: u64) -> Quantity {
    Quantity::new(amount.saturating_mul(1_000), Unit::Milligram)
}

/// The mass of so many grams.
pub const fn mass_grams(amount: u64) -> Milligrams {
    Milligrams::new(grams(amount).amount)
}

/// So many kilograms.
pub const fn kilograms(amount: u64) -> Quantity {
    Quantity::new(amount.saturating_mul(1_000_000), Unit::Milligram)
}

/// So many watt-hours.
pub const fn watt_hours(amount: u64) -> Quantity {
    Quantity::new(amount.saturating_mul(3_600), Unit::Joule)
}

const HOUR: Milliseconds = Milliseconds::new(60 * 60 * 1000);
const DAY: Milliseconds = Milliseconds::new(24 * 60 * 60 * 1000);

/// Terms of an order, with defaults that suit a small one: an hour to accept, a day to deliver, a
/// day to confirm, mass balanced to a thousandth, climate declared (many published factors declare
/// no more).
#[derive(Clone, Debug)]
pub struct Order {
    terms: OrderTerms,
}

impl Order {
    /// An order of so much of a product.
    pub fn of(product: &str, quantity: Quantity) -> Self {
        let now = now();
        Self {
            terms: OrderTerms {
                provider: MemberId::new([0; 32]),
                service: product.to_owned(),
                specification: None,
                product: product.to_owned(),
                quantity,
                settlement: Settlement::External { currency: "EUR".to_owned() },
                price: Minor::ZERO,
                hold: Minor::ZERO,
                cancel_fee: Minor::ZERO,
                carbon_price: None,
                predicted_climate: None,
                climate_cap: None,
                required: DimensionSet::of(&[Dimension::Climate]),
                mass_tolerance_ppm: 1_000,
                accept_by: now.saturating_add(HOUR),
                deliver_by: now.saturating_add(DAY),
                confirm_within: DAY,
                failure: FailureBearer::Provider,
                provided: Vec::new(),
                parent: None,
                confirmer: None,
            },
        }
    }

    /// Who is to perform it.
    pub fn from(mut self, provider: MemberId) -> Self {
        self.terms.provider = provider;
        self
    }

    /// What is done.
    pub fn service(mut self, service: &str) -> Self {
        service.clone_into(&mut self.terms.service);
        self
    }

    /// The design file and parameters, by hash.
    pub fn specification(mut self, hash: ContentHash) -> Self {
        self.terms.specification = Some(hash);
        self
    }

    /// The price in minor units, paid from account to account when delivery is confirmed.
    pub fn price(mut self, currency: &str, minor: u64) -> Self {
        self.terms.settlement = Settlement::Account { currency: currency.to_owned() };
        self.terms.price = Minor::new(minor);
        self.terms.hold = Minor::new(minor);
        self
    }

    /// The price in minor units, paid outside the ledger, which only records what is owed.
    pub fn price_outside(mut self, currency: &str, minor: u64) -> Self {
        self.terms.settlement = Settlement::External { currency: currency.to_owned() };
        self.terms.price = Minor::new(minor);
        self.terms.hold = Minor::new(minor);
        self
    }

    /// What is owed when the buyer cancels after acceptance, in minor units; at most the price.
    pub fn cancel_fee(mut self, minor: u64) -> Self {
        self.terms.cancel_fee = Minor::new(minor);
        self
    }

    /// Who keeps the footprint of a failure: the provider, unless agreed otherwise.
    pub fn failure(mut self, bearer: FailureBearer) -> Self {
        self.terms.failure = bearer;
        self
    }

    /// A bonus for every kilogram CO2e below the prediction, a malus for every one above; `hold`
    /// is the most that can be paid.
    pub fn carbon_price(mut self, minor_per_kg: u64, predicted_ng: i128, hold: u64) -> Self {
        self.terms.carbon_price = Some(CarbonPrice { per_kilogram: Minor::new(minor_per_kg) });
        self.terms.predicted_climate = Some(predicted_ng);
        self.terms.hold = Minor::new(hold);
        self
    }

    /// The predicted climate footprint, in ng CO2e.
    pub fn predicted(mut self, climate_ng: i128) -> Self {
        self.terms.predicted_climate = Some(climate_ng);
        self
    }

    /// The most climate footprint that is accepted, in ng CO2e.
    pub fn climate_cap(mut self, climate_ng: i128) -> Self {
        self.terms.climate_cap = Some(climate_ng);
        self
    }

    /// The dimensions that must be declared.
    pub fn require(mut self, dimensions: DimensionSet) -> Self {
        self.terms.required = dimensions;
        self
    }

    /// The largest difference of mass in and out, in millionths.
    pub fn mass_tolerance_ppm(mut self, ppm: u32) -> Self {
        self.terms.mass_tolerance_ppm = ppm;
        self
    }

    /// Deadlines: until when to accept and to deliver, and how long to confirm.
    pub fn deadlines(
        mut self,
        accept_by: Timestamp,
        deliver_by: Timestamp,
        confirm_within: Milliseconds,
    ) -> Self {
        self.terms.accept_by = accept_by;
        self.terms.deliver_by = deliver_by;
        self.terms.confirm_within = confirm_within;
        self
    }

    /// A lot of the buyer's that the provider may use.
    pub fn provide(mut self, lot: LotId, quantity: Quantity) -> Self {
        self.terms.provided.push(Portion { lot, quantity });
        self
    }

    /// The order that this one serves.
    pub fn parent(mut self, order: OrderId) -> Self {
        self.terms.parent = Some(order);
        self
    }

    /// A machine whose word confirms delivery.
    pub fn confirmer(mut self, machine: MemberId) -> Self {
        self.terms.confirmer = Some(machine);
        self
    }

    /// The terms as the ledger takes them.
    pub fn terms(self) -> OrderTerms {
        self.terms
    }
}

/// What was done and what it took: the content of a completion.
#[derive(Clone, Debug)]
pub struct Work {
    outcome: Outcome,
    transformation: Transformation,
}

impl Work {
    /// Work that was finished: everything ordered was made.
    pub fn finished() -> Self {
        Self::of(Outcome::Complete)
    }

    /// Work that made a part of what was ordered.
    pub fn partial() -> Self {
        Self::of(Outcome::Partial)
    }

    /// Work that failed: what it took goes to scrap.
    pub fn failed() -> Self {
        Self::of(Outcome::Failed)
    }

    fn of(outcome: Outcome) -> Self {
        let now = now();
        Self {
            outcome,
            transformation: Transformation {
                inputs: Vec::new(),
                activities: Vec::new(),
                outputs: Vec::new(),
                allocation: AllocationRule::Physical,
                exempted_ppm: 0,
                mass_tolerance_ppm: 1_000,
                from: now,
                to: now,
                evidence: None,
            },
        }
    }

    /// Took so much of a lot.
    pub fn used(mut self, lot: LotId, quantity: Quantity) -> Self {
        self.transformation.inputs.push(Portion { lot, quantity });
        self
    }

    /// Did something that a factor accounts for, e.g. a transport leg.
    pub fn did(mut self, name: &str, factor: FactorRef, amount: Quantity) -> Self {
        let name = name.to_owned();
        self.transformation.activities.push(Activity { name, factor, amount, evidence: None });
        self
    }

    /// Did something that a factor accounts for, with proof of the amount.
    pub fn did_with_evidence(
        mut self,
        name: &str,
        factor: FactorRef,
        amount: Quantity,
        evidence: Evidence,
    ) -> Self {
        let (name, evidence) = (name.to_owned(), Some(evidence));
        self.transformation.activities.push(Activity { name, factor, amount, evidence });
        self
    }

    /// Made the product; carries the footprint.
    pub fn made(self, product: &str, quantity: Quantity, mass: Milligrams) -> Self {
        self.output(product, quantity, mass, OutputRole::Product, 1)
    }

    /// Left waste; carries no footprint unless the work failed.
    pub fn wasted(self, product: &str, quantity: Quantity, mass: Milligrams) -> Self {
        let weight = u64::from(matches!(self.outcome, Outcome::Failed));
        self.output(product, quantity, mass, OutputRole::Waste, weight)
    }

    /// Made something, with a weight of one's own choosing.
    pub fn output(
        mut self,
        product: &str,
        quantity: Quantity,
        mass: Milligrams,
        role: OutputRole,
        weight: u64,
    ) -> Self {
        let product = product.to_owned();
        self.transformation.outputs.push(Output { product, quantity, mass, role, weight });
        self
    }

    /// When it was done.
    pub fn period(mut self, from: Timestamp, to: Timestamp) -> Self {
        self.transformation.from = from;
        self.transformation.to = to;
        self
    }

    /// The largest difference of mass in and out, in millionths.
    pub fn mass_tolerance_ppm(mut self, ppm: u32) -> Self {
        self.transformation.mass_tolerance_ppm = ppm;
        self
    }

    /// By which rule the weights were chosen, and what share was cut off, in millionths.
    pub fn allocation(mut self, rule: AllocationRule, exempted_ppm: u32) -> Self {
        self.transformation.allocation = rule;
        self.transformation.exempted_ppm = exempted_ppm;
        self
    }

    /// Proof of the work.
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.transformation.evidence = Some(evidence);
        self
    }

    /// As a transformation without an order.
    pub fn transformation(self) -> Transformation {
        self.transformation
    }

    /// As the completion of an order.
    pub fn completion(self, order: OrderId) -> Completion {
        Completion { order, outcome: self.outcome, transformation: self.transformation }
    }
}
