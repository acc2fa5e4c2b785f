//! A step as it is written, turned into a step that can be played. Orders are in [`order`].

use super::flow::{Lot, Stock};
use super::names::Names;
use super::raw::{self, Name};
use super::{Action, Booking, Declaration, Output, Portion, Reading, Sink, Step, Tag};
use crate::measure::Evaluated;
use crate::written::{Problem, Reason, Span};
use kerbholz_ledger::footprint::EvidenceTier;
use kerbholz_ledger::quantity::{Milligrams, Quantity, Unit};
use kerbholz_ledger::transformation::OutputRole;
use std::collections::BTreeSet;

mod order;

pub(super) use order::price;

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
    pub fn step(&mut self, raw: &raw::Step, span: &Span) -> Result<Step, Problem> {
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
        let (line, column) = self.names.text.place(name.span().start);
        Ok(Step {
            line,
            column,
            tag: self.tag(raw, name, &action)?,
            sources: self.names.cited(&figures),
            tier: self.tier(&action, &figures, name)?,
            books: books(raw, self.names, &action),
            action,
        })
    }

    fn declare(
        &mut self,
        raw: &raw::Step,
        lot: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<Action, Problem> {
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
    ) -> Result<Action, Problem> {
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
    ) -> Result<Action, Problem> {
        let kind = need(self, &raw.kind, "kind", lot)?;
        let (portion, owner) = self.portion(lot, figures)?;
        self.take(&portion, &lot.span())?;
        Ok(Action::Sink(Sink { machine: owner, portion, kind: *kind.get_ref() }))
    }

    /// What the step's footprint counts under; a step that books some must say.
    fn tag(&self, raw: &raw::Step, name: &Name, action: &Action) -> Result<Option<Tag>, Problem> {
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
                let stages = "material, processing, transport, disposal or service";
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
    ) -> Result<EvidenceTier, Problem> {
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
    ) -> Result<(Portion, String), Problem> {
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
    ) -> Result<Milligrams, Problem> {
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
    fn called(&self, name: &Name) -> Result<String, Problem> {
        if (1..=NAME_MAX).contains(&name.get_ref().len()) {
            return Ok(name.get_ref().clone());
        }
        let reason = format!("a name has at least one and at most {NAME_MAX} bytes");
        Err(self.error(&name.span(), Reason::Rule(reason)))
    }

    fn amount(&self, name: &Name, figures: &mut BTreeSet<String>) -> Result<Evaluated, Problem> {
        let value = self.names.amount(name)?;
        figures.extend(value.figures.iter().cloned());
        Ok(value)
    }

    fn quantity(&self, name: &Name, figures: &mut BTreeSet<String>) -> Result<Quantity, Problem> {
        let value = self.amount(name, figures)?;
        value.quantity().map_err(|reason| self.error(&name.span(), reason))
    }

    fn add(&mut self, name: &Name, lot: Lot) -> Result<(), Problem> {
        let added = self.stock.add(name.get_ref(), lot);
        added.map_err(|reason| self.error(&name.span(), reason))
    }

    fn take(&mut self, portion: &Portion, span: &Span) -> Result<u64, Problem> {
        let taken = self.stock.take(portion);
        taken.map_err(|reason| self.error(span, reason))
    }

    fn unit_error(&self, name: &Name, found: Unit, wanted: Unit) -> Problem {
        let (found, wanted) = (found.symbol().to_owned(), wanted.symbol().to_owned());
        self.error(&name.span(), Reason::Unit { text: name.get_ref().clone(), found, wanted })
    }

    fn error(&self, span: &Span, reason: Reason) -> Problem {
        self.names.error(span, reason)
    }
}

/// What a step books, as it is written.
fn books(raw: &raw::Step, names: &Names<'_>, action: &Action) -> Vec<Booking> {
    let written = |name: &Option<Name>| name.as_ref().map(|name| name.get_ref().clone());
    let factor = |code: &str, amount: Option<String>| {
        amount.map(|amount| Booking::Factor { code: code.to_owned(), amount })
    };
    let waste = |(output, built): (&raw::Output, &Output)| {
        let written = output.mass.as_ref().unwrap_or(&output.quantity).get_ref();
        // What is left over is what it came to.
        let rest = || format!("{} mg", built.mass.get());
        Booking::Waste(if written == order::REST { rest() } else { written.clone() })
    };
    match action {
        Action::Declare(lot) => {
            // A factor per mass counts the lot's mass.
            let unit = names.factors.get(&lot.factor).map(|factor| factor.reference.unit);
            let by_mass = unit.is_some_and(|unit| unit != lot.quantity.unit);
            let amount = if by_mass { written(&raw.mass) } else { written(&raw.quantity) };
            factor(&lot.factor, amount).into_iter().collect()
        }
        Action::Read(reading) => {
            let meter = names.meters.get(&reading.meter);
            let booking = meter.and_then(|meter| factor(&meter.factor, written(&raw.quantity)));
            booking.into_iter().collect()
        }
        Action::Order(order) => {
            let activities = raw.activities.iter().flatten().map(|activity| Booking::Factor {
                code: activity.factor.get_ref().clone(),
                amount: activity.amount.get_ref().clone(),
            });
            let outputs = raw.outputs.iter().flatten();
            let built = |output: &raw::Output| {
                let of = order.outputs.iter().find(|built| built.lot == *output.lot.get_ref());
                of.filter(|built| built.role == OutputRole::Waste).cloned()
            };
            let outputs: Vec<(&raw::Output, Output)> =
                outputs.filter_map(|output| Some((output, built(output)?))).collect();
            let wastes = outputs.iter().map(|(output, built)| waste((output, built)));
            activities.chain(wastes).collect()
        }
        Action::Sink(_) => Vec::new(),
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
) -> Result<&'r T, Problem> {
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
            "requires",
            "specification",
            "confirmer",
            "outcome",
            "failure",
            "product",
            "quantity",
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
            ("requires", self.requires.is_some()),
            ("specification", self.specification.is_some()),
            ("confirmer", self.confirmer.is_some()),
            ("outcome", self.outcome.is_some()),
            ("failure", self.failure.is_some()),
            ("kind", self.kind.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, is_there)| is_there.then_some(field))
        .collect()
    }
}
