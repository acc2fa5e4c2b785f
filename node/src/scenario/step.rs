//! A step as it is written, turned into a step that can be played. Orders are in [`order`].

use super::error::{Reason, ScenarioError, Span};
use super::flow::{Lot, Stock};
use super::measure::Evaluated;
use super::names::Names;
use super::raw::{self, Name};
use super::{Action, Declaration, Output, Portion, Reading, Sink, Step, Tag};
use kerbholz_ledger::footprint::EvidenceTier;
use kerbholz_ledger::quantity::{Milligrams, Quantity, Unit};
use kerbholz_ledger::transformation::OutputRole;
use std::collections::BTreeSet;

mod order;

/// Builds one variant's steps, in order, over the stock they leave.
pub(super) struct Builder<'n, 'a> {
    names: &'n Names<'a>,
    /// What is there after the steps so far.
    pub stock: Stock,
    orders: BTreeSet<String>,
}

impl<'n, 'a> Builder<'n, 'a> {
    /// Nothing done yet.
    pub fn new(names: &'n Names<'a>) -> Self {
        Self { names, stock: Stock::default(), orders: BTreeSet::new() }
    }

    /// The next step.
    pub fn step(&mut self, raw: &raw::Step, span: &Span) -> Result<Step, ScenarioError> {
        let kinds = [&raw.declare, &raw.read, &raw.order, &raw.sink];
        let mut kinds = kinds
            .into_iter()
            .zip(KINDS)
            .filter_map(|(name, kind)| name.as_ref().map(|name| (name, kind)));
        let (Some((name, (kind, allowed))), None) = (kinds.next(), kinds.next()) else {
            let reason = "a step is one of `declare`, `read`, `order` or `sink`".to_owned();
            return Err(self.error(span, Reason::Rule(reason)));
        };
        if let Some(field) = raw.fields().into_iter().find(|field| !allowed.contains(field)) {
            let reason = format!("`{field}` does not belong to a `{kind}`");
            return Err(self.error(&name.span(), Reason::Rule(reason)));
        }
        let mut figures = BTreeSet::new();
        let action = match *kind {
            "declare" => self.declare(raw, name, &mut figures),
            "read" => self.read(raw, name, &mut figures),
            "order" => self.order(raw, name, &mut figures),
            _ => self.sink(raw, name, &mut figures),
        }?;
        Ok(Step {
            line: self.names.text.line(name.span().start),
            tag: self.tag(raw, name, &action)?,
            sources: self.names.cited(&figures),
            tier: self.tier(&action, &figures, name)?,
            action,
        })
    }

    fn declare(
        &mut self,
        raw: &raw::Step,
        lot: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<Action, ScenarioError> {
        let machine = self.names.machine(need(self, &raw.machine, "machine", lot)?)?;
        let code = need(self, &raw.factor, "factor", lot)?;
        let factor = self.names.factor(code)?;
        let amount = need(self, &raw.quantity, "quantity", lot)?;
        let quantity = self.quantity(amount, figures)?;
        let mass = self.mass(quantity, raw.mass.as_ref(), figures)?;
        if factor.reference.unit != quantity.unit && factor.reference.unit != Unit::Milligram {
            return Err(self.unit_error(amount, quantity.unit, factor.reference.unit));
        }
        let owner = machine.clone();
        self.add(lot, Lot { owner, quantity, mass: mass.get() })?;
        Ok(Action::Declare(Declaration {
            lot: lot.get_ref().clone(),
            machine,
            product: self.called(raw.product.as_ref().unwrap_or(lot))?,
            quantity,
            mass,
            factor: code.get_ref().clone(),
        }))
    }

    fn read(
        &mut self,
        raw: &raw::Step,
        lot: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<Action, ScenarioError> {
        let (meter, of) = self.names.meter(need(self, &raw.meter, "meter", lot)?)?;
        let amount = need(self, &raw.quantity, "quantity", lot)?;
        let value = self.amount(amount, figures)?;
        let joules =
            value.quantity_in(Unit::Joule).map_err(|reason| self.error(&amount.span(), reason))?;
        let quantity = Quantity::new(joules, Unit::Joule);
        self.add(lot, Lot { owner: of.machine.clone(), quantity, mass: 0 })?;
        Ok(Action::Read(Reading { lot: lot.get_ref().clone(), meter, joules }))
    }

    fn sink(
        &mut self,
        raw: &raw::Step,
        lot: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<Action, ScenarioError> {
        let kind = need(self, &raw.kind, "kind", lot)?;
        let (portion, owner) = self.portion(lot, figures)?;
        self.take(&portion, &lot.span())?;
        Ok(Action::Sink(Sink { machine: owner, portion, kind: *kind.get_ref() }))
    }

    /// What the step's footprint counts under; a step that books some must say.
    fn tag(
        &self,
        raw: &raw::Step,
        name: &Name,
        action: &Action,
    ) -> Result<Option<Tag>, ScenarioError> {
        let books = match action {
            Action::Declare(_) | Action::Read(_) => true,
            // The ledger books the mass of what comes out as waste.
            Action::Order(order) => {
                let wastes = |output: &Output| output.role == OutputRole::Waste;
                !order.activities.is_empty() || order.outputs.iter().any(wastes)
            }
            Action::Sink(_) => false,
        };
        match (raw.stage, books) {
            (Some(stage), true) => Ok(Some(Tag { stage, component: raw.component.clone() })),
            (None, false) if raw.component.is_none() => Ok(None),
            (None, true) => {
                let stages = "material, processing, transport or disposal";
                let reason = Reason::Rule(format!("it books footprint: say its `stage`, {stages}"));
                Err(self.error(&name.span(), reason))
            }
            (_, false) => {
                let reason = "it books no footprint of its own: `stage` and `component` count none";
                Err(self.error(&name.span(), Reason::Rule(reason.to_owned())))
            }
        }
    }

    /// How well the step's amounts are known. A default must not look like a measurement: a meter
    /// whose register is made of unverified figures needs a factor that books as default.
    fn tier(
        &self,
        action: &Action,
        figures: &BTreeSet<String>,
        name: &Name,
    ) -> Result<EvidenceTier, ScenarioError> {
        let known = self.names.all_known(figures);
        let Action::Read(reading) = action else {
            return Ok(if known { EvidenceTier::Derived } else { EvidenceTier::Default });
        };
        let meter = self.names.meters.get(&reading.meter);
        let factor = meter.and_then(|meter| self.names.factors.get(&meter.factor));
        let tier = factor.map_or(EvidenceTier::Default, |f| f.tier(EvidenceTier::Measured));
        if tier == EvidenceTier::Measured && !known {
            let reason = format!(
                "the register of `{}` would book an unverified figure as measured: give the meter \
                 a factor whose standing is `proxy`",
                reading.meter
            );
            return Err(self.error(&name.span(), Reason::Rule(reason)));
        }
        Ok(tier)
    }

    /// `lot` (all that is left) or `amount of lot`, and who owns it.
    fn portion(
        &self,
        name: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<(Portion, String), ScenarioError> {
        let span = name.span();
        let (amount, lot) = match name.get_ref().split_once(" of ") {
            Some((amount, lot)) => (Some(amount), lot),
            None => (None, name.get_ref().as_str()),
        };
        let held = self.stock.get(lot).map_err(|reason| self.error(&span, reason))?;
        let quantity = match amount {
            None => held.quantity,
            Some(amount) => {
                let value = self.names.evaluate(amount, &span)?;
                figures.extend(value.figures.iter().cloned());
                value.quantity().map_err(|reason| self.error(&span, reason))?
            }
        };
        Ok((Portion { lot: lot.to_owned(), quantity }, held.owner.clone()))
    }

    /// The mass of a quantity: itself, or what is stated for it; energy and services have none.
    fn mass(
        &self,
        quantity: Quantity,
        stated: Option<&Name>,
        figures: &mut BTreeSet<String>,
    ) -> Result<Milligrams, ScenarioError> {
        match stated {
            None if quantity.unit == Unit::Milligram => Ok(Milligrams::new(quantity.amount)),
            None => Ok(Milligrams::ZERO),
            Some(stated) => {
                let mass = self.quantity(stated, figures)?;
                let fits = mass.unit == Unit::Milligram
                    && (quantity.unit != Unit::Milligram || quantity == mass);
                if fits {
                    Ok(Milligrams::new(mass.amount))
                } else {
                    Err(self.unit_error(stated, mass.unit, Unit::Milligram))
                }
            }
        }
    }

    /// A name as the ledger takes it.
    fn called(&self, name: &Name) -> Result<String, ScenarioError> {
        if (1..=NAME_MAX).contains(&name.get_ref().len()) {
            return Ok(name.get_ref().clone());
        }
        let reason = format!("a name has at least one and at most {NAME_MAX} bytes");
        Err(self.error(&name.span(), Reason::Rule(reason)))
    }

    fn amount(
        &self,
        name: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<Evaluated, ScenarioError> {
        let value = self.names.amount(name)?;
        figures.extend(value.figures.iter().cloned());
        Ok(value)
    }

    fn quantity(
        &self,
        name: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<Quantity, ScenarioError> {
        let value = self.amount(name, figures)?;
        value.quantity().map_err(|reason| self.error(&name.span(), reason))
    }

    fn add(&mut self, name: &Name, lot: Lot) -> Result<(), ScenarioError> {
        let added = self.stock.add(name.get_ref(), lot);
        added.map_err(|reason| self.error(&name.span(), reason))
    }

    fn take(&mut self, portion: &Portion, span: &Span) -> Result<u64, ScenarioError> {
        let taken = self.stock.take(portion);
        taken.map_err(|reason| self.error(span, reason))
    }

    fn unit_error(&self, name: &Name, found: Unit, wanted: Unit) -> ScenarioError {
        let (found, wanted) = (found.symbol().to_owned(), wanted.symbol().to_owned());
        self.error(&name.span(), Reason::Unit { text: name.get_ref().clone(), found, wanted })
    }

    fn error(&self, span: &Span, reason: Reason) -> ScenarioError {
        self.names.error(span, reason)
    }
}

/// Longest name of a product, a service or an activity on the ledger, in bytes.
const NAME_MAX: usize = 64;

/// A field that this kind of step must have.
fn need<'r, T>(
    builder: &Builder<'_, '_>,
    field: &'r Option<T>,
    called: &str,
    step: &Name,
) -> Result<&'r T, ScenarioError> {
    field.as_ref().ok_or_else(|| {
        let reason = Reason::Rule(format!("`{}` has no `{called}`", step.get_ref()));
        builder.error(&step.span(), reason)
    })
}

/// The kinds of step and the fields that belong to each.
const KINDS: &[(&str, &[&str])] = &[
    ("declare", &["machine", "factor", "quantity", "mass", "product"]),
    ("read", &["meter", "quantity"]),
    (
        "order",
        &[
            "buyer",
            "provider",
            "parent",
            "service",
            "inputs",
            "activities",
            "outputs",
            "allocation",
            "price",
            "predicted",
            "mass_tolerance",
        ],
    ),
    ("sink", &["kind"]),
];

impl raw::Step {
    /// The fields that are there and belong to only some kinds of step.
    fn fields(&self) -> Vec<&'static str> {
        [
            ("machine", self.machine.is_some()),
            ("factor", self.factor.is_some()),
            ("quantity", self.quantity.is_some()),
            ("mass", self.mass.is_some()),
            ("product", self.product.is_some()),
            ("meter", self.meter.is_some()),
            ("buyer", self.buyer.is_some()),
            ("provider", self.provider.is_some()),
            ("parent", self.parent.is_some()),
            ("service", self.service.is_some()),
            ("inputs", self.inputs.is_some()),
            ("activities", self.activities.is_some()),
            ("outputs", self.outputs.is_some()),
            ("allocation", self.allocation.is_some()),
            ("price", self.price.is_some()),
            ("predicted", self.predicted.is_some()),
            ("mass_tolerance", self.mass_tolerance.is_some()),
            ("kind", self.kind.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, is_there)| is_there.then_some(field))
        .collect()
    }
}
