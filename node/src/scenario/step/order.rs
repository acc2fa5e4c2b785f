//! Orders as they are written: terms, inputs, activities and outputs of one transformation.

use super::{Builder, need};
use crate::factors::{dimension_named, impact, unknown_dimension};
use crate::scenario::flow::Lot;
use crate::scenario::names::find;
use crate::scenario::raw::{self, Name};
use crate::scenario::{Action, Activity, Order, Output};
use crate::written::{Problem, Reason};
use kerbholz_ledger::footprint::{Dimension, DimensionSet};
use kerbholz_ledger::order::FailureBearer;
use kerbholz_ledger::quantity::{Milligrams, Minor, Quantity, Unit};
use kerbholz_ledger::transformation::{AllocationRule, Outcome, OutputRole};
use std::collections::BTreeSet;

/// The quantity of an output that is whatever mass the others leave of the inputs.
pub(super) const REST: &str = "rest";

impl Builder<'_, '_> {
    pub(super) fn order(
        &mut self,
        raw: &raw::Step,
        name: &Name,
        figures: &mut BTreeSet<String>,
    ) -> Result<Action, Problem> {
        if !self.orders.insert(name.get_ref().clone()) {
            let duplicate = Reason::Duplicate { kind: "order", name: name.get_ref().clone() };
            return Err(self.error(&name.span(), duplicate));
        }
        let buyer = self.names.machine(need(self, &raw.buyer, "buyer", name)?)?;
        let provider = self.names.machine(need(self, &raw.provider, "provider", name)?)?;
        if buyer == provider {
            let reason = Reason::Rule(format!("`{buyer}` orders of itself"));
            return Err(self.error(&name.span(), reason));
        }
        let mut terms = Order {
            name: name.get_ref().clone(),
            buyer,
            provider,
            service: self.called(need(self, &raw.service, "service", name)?)?,
            parent: raw.parent.as_ref().map(|parent| parent.get_ref().clone()),
            place: Vec::new(),
            product: String::new(),
            quantity: Quantity::new(0, Unit::Milligram),
            provided: Vec::new(),
            inputs: Vec::new(),
            activities: self.activities(raw, figures)?,
            outputs: Vec::new(),
            allocation: raw
                .allocation
                .as_ref()
                .map_or(AllocationRule::Physical, |rule| *rule.get_ref()),
            price: Minor::ZERO,
            currency: String::new(),
            predicted_climate: self.predicted(raw)?,
            mass_tolerance_ppm: self.tolerance(raw)?,
            required: self.required(raw)?,
            specification: self.specification(raw)?,
            confirmer: raw.confirmer.as_ref().map(|name| self.names.machine(name)).transpose()?,
            outcome: raw.outcome.as_ref().map_or(Outcome::Complete, |outcome| *outcome.get_ref()),
            failure: raw.failure.unwrap_or(FailureBearer::Provider),
        };
        self.ordered(raw, name, &mut terms, figures)?;
        let asked = need(self, &raw.price, "price", name)?;
        (terms.price, terms.currency) =
            price(asked.get_ref()).map_err(|reason| self.error(&asked.span(), reason))?;
        let mass_in = self.inputs(raw, name, &mut terms, figures)?;
        self.outputs(raw, name, &mut terms, mass_in, figures)?;
        Ok(Action::Order(Box::new(terms)))
    }

    /// What was ordered: what the product's output says, or for a failure what the step says.
    fn ordered(
        &self,
        raw: &raw::Step,
        name: &Name,
        terms: &mut Order,
        figures: &mut BTreeSet<String>,
    ) -> Result<(), Problem> {
        let rule = |reason: &str| Err(self.error(&name.span(), Reason::Rule(reason.to_owned())));
        match terms.outcome {
            Outcome::Complete if raw.product.is_some() || raw.quantity.is_some() => rule(
                "what is delivered says the output that is a product: `product` and `quantity` \
                      are for an order that fails",
            ),
            Outcome::Complete => Ok(()),
            Outcome::Partial => {
                rule("a scenario's order is complete or failed: write two orders instead of a part")
            }
            Outcome::Failed => {
                terms.product = self.called(need(self, &raw.product, "product", name)?)?;
                terms.quantity =
                    self.quantity(need(self, &raw.quantity, "quantity", name)?, figures)?;
                Ok(())
            }
        }
    }

    /// The dimensions that must be declared: climate, unless the step names others, or none.
    fn required(&self, raw: &raw::Step) -> Result<DimensionSet, Problem> {
        let Some(names) = &raw.requires else {
            return Ok(DimensionSet::of(&[Dimension::Climate]));
        };
        let mut required = Vec::new();
        for name in names {
            let dimension = dimension_named(name.get_ref());
            let unknown = || self.error(&name.span(), unknown_dimension(name.get_ref()));
            required.push(dimension.ok_or_else(unknown)?);
        }
        Ok(DimensionSet::of(&required))
    }

    fn specification(&self, raw: &raw::Step) -> Result<Option<String>, Problem> {
        let Some(name) = &raw.specification else { return Ok(None) };
        find(&self.names.text, "document", self.names.documents, name)?;
        Ok(Some(name.get_ref().clone()))
    }

    /// Takes the inputs and says their mass.
    fn inputs(
        &mut self,
        raw: &raw::Step,
        name: &Name,
        terms: &mut Order,
        figures: &mut BTreeSet<String>,
    ) -> Result<u64, Problem> {
        let mut mass_in: u64 = 0;
        for input in need(self, &raw.inputs, "inputs", name)? {
            let (portion, owner) = self.portion(input, figures)?;
            if owner == terms.buyer {
                terms.provided.push(portion.clone());
            } else if owner != terms.provider {
                let reason = Reason::Rule(format!(
                    "lot `{}` belongs to `{owner}`, neither to the provider `{}` nor to the buyer \
                     `{}`",
                    portion.lot, terms.provider, terms.buyer
                ));
                return Err(self.error(&input.span(), reason));
            }
            if terms.inputs.iter().any(|input| input.lot == portion.lot) {
                let reason = format!("`{}` goes in twice: take it once", portion.lot);
                return Err(self.error(&input.span(), Reason::Rule(reason)));
            }
            mass_in = mass_in.saturating_add(self.take(&portion, &input.span())?);
            terms.inputs.push(portion);
        }
        Ok(mass_in)
    }

    fn outputs(
        &mut self,
        raw: &raw::Step,
        name: &Name,
        terms: &mut Order,
        mass_in: u64,
        figures: &mut BTreeSet<String>,
    ) -> Result<(), Problem> {
        let raw_outputs = need(self, &raw.outputs, "outputs", name)?;
        let mut mass_out: u64 = 0;
        // What is left over can be said only when the others are known.
        let (rest, stated): (Vec<_>, Vec<_>) =
            raw_outputs.iter().partition(|output| output.quantity.get_ref() == REST);
        for output in stated.iter().chain(&rest) {
            let quantity = if output.quantity.get_ref() == REST {
                Quantity::new(mass_in.saturating_sub(mass_out), Unit::Milligram)
            } else {
                self.quantity(&output.quantity, figures)?
            };
            let mass = self.mass(quantity, output.mass.as_ref(), figures)?;
            mass_out = mass_out.saturating_add(mass.get());
            self.output(output, quantity, mass, terms)?;
        }
        let allowed = u128::from(mass_in) * u128::from(terms.mass_tolerance_ppm) / 1_000_000;
        if u128::from(mass_in.abs_diff(mass_out)) > allowed {
            let tolerance_ppm = terms.mass_tolerance_ppm;
            let reason = Reason::Mass { mass_in, mass_out, tolerance_ppm };
            return Err(self.error(&name.span(), reason));
        }
        let role = |role| move |output: &Output| output.role == role;
        if terms.outcome == Outcome::Failed {
            if !terms.outputs.iter().all(role(OutputRole::Waste)) {
                let reason = "what a failed order leaves is waste: give every output that role";
                return Err(self.error(&name.span(), Reason::Rule(reason.to_owned())));
            }
        } else if !terms.outputs.iter().any(role(OutputRole::Product)) {
            let reason = Reason::Rule("an order delivers a product: no output is one".to_owned());
            return Err(self.error(&name.span(), reason));
        }
        Ok(())
    }

    fn output(
        &mut self,
        raw: &raw::Output,
        quantity: Quantity,
        mass: Milligrams,
        terms: &mut Order,
    ) -> Result<(), Problem> {
        let failed = terms.outcome == Outcome::Failed;
        let role = raw.role.unwrap_or(OutputRole::Product);
        let to_buyer = match role {
            OutputRole::Product => true,
            _ => failed && terms.failure == FailureBearer::Buyer,
        };
        let owner = if to_buyer { &terms.buyer } else { &terms.provider };
        let owner = owner.clone();
        self.add(&raw.lot, Lot { owner, quantity, mass: mass.get() })?;
        let product = self.called(raw.product.as_ref().unwrap_or(&raw.lot))?;
        if role == OutputRole::Product && !failed {
            if !terms.product.is_empty() {
                let reason = "an order delivers one product: make the other a by_product";
                return Err(self.error(&raw.lot.span(), Reason::Rule(reason.to_owned())));
            }
            (terms.product, terms.quantity) = (product.clone(), quantity);
        }
        let weight = match (raw.weight, role) {
            (Some(weight), _) => weight,
            (None, OutputRole::Product) => 1,
            // What a failure took, its scrap carries.
            (None, OutputRole::Waste) => u64::from(failed),
            (None, OutputRole::ByProduct) => {
                let reason = "a by-product needs a `weight`, and so does the product beside it";
                return Err(self.error(&raw.lot.span(), Reason::Rule(reason.to_owned())));
            }
        };
        let lot = raw.lot.get_ref().clone();
        terms.outputs.push(Output { lot, product, quantity, mass, role, weight });
        Ok(())
    }

    fn activities(
        &self,
        raw: &raw::Step,
        figures: &mut BTreeSet<String>,
    ) -> Result<Vec<Activity>, Problem> {
        let activities = raw.activities.as_deref().unwrap_or_default();
        let activity = |raw: &raw::Activity| {
            let reference = self.names.factor(&raw.factor)?.reference.unit;
            let amount = self.quantity(&raw.amount, figures)?;
            if amount.unit != reference {
                return Err(self.unit_error(&raw.amount, amount.unit, reference));
            }
            let factor = raw.factor.get_ref().clone();
            Ok(Activity { name: self.called(&raw.name)?, factor, amount })
        };
        activities.iter().map(activity).collect()
    }

    fn tolerance(&self, raw: &raw::Step) -> Result<u32, Problem> {
        let Some(tolerance) = &raw.mass_tolerance else { return Ok(0) };
        let value = self.names.amount(tolerance)?;
        value.ppm().map_err(|reason| self.error(&tolerance.span(), reason))
    }

    fn predicted(&self, raw: &raw::Step) -> Result<Option<i128>, Problem> {
        let Some(predicted) = &raw.predicted else { return Ok(None) };
        let value = impact(Dimension::Climate, predicted.get_ref())
            .map_err(|reason| self.error(&predicted.span(), reason))?;
        let unit = Dimension::Climate.unit();
        let not_whole = || Reason::NotWhole { text: predicted.get_ref().clone(), unit };
        value.whole().map(Some).ok_or_else(|| self.error(&predicted.span(), not_whole()))
    }
}

/// `12.50 EUR` in cents.
pub(in crate::scenario) fn price(text: &str) -> Result<(Minor, String), Reason> {
    let parsed = text.split_once(' ').and_then(|(amount, currency)| {
        let (whole, cents) = amount.split_once('.')?;
        let digits =
            cents.len() == 2 && [whole, cents].concat().bytes().all(|b| b.is_ascii_digit());
        let minor = [whole, cents].concat().parse::<u64>().ok().filter(|_| digits)?;
        let named = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        named.then(|| (Minor::new(minor), currency.to_owned()))
    });
    parsed.ok_or_else(|| {
        let why = "a price is written like `12.50 EUR`".to_owned();
        Reason::Amount { text: text.to_owned(), why }
    })
}
