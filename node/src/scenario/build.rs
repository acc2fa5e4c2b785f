//! From the file as written to a [`Scenario`]: resolves every name and checks every rule.

use super::error::{Reason, ScenarioError, Text};
use super::factors::FactorFile;
use super::flow::place_orders;
use super::measure::{evaluate, is_unit};
use super::names::{Names, find};
use super::raw;
use super::step::Builder;
use super::{Avoided, Figure, Machine, Meter, Organisation, Scenario, Variant};
use kerbholz_ledger::footprint::EvidenceTier;
use kerbholz_ledger::quantity::Unit;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

impl Scenario {
    /// Reads a scenario file whose factors are in `factors`.
    ///
    /// # Errors
    /// [`ScenarioError`] with the first line that is wrong, and why.
    pub fn parse(file: &str, text: &str, factors: &FactorFile) -> Result<Self, ScenarioError> {
        let text = Text { file, text };
        let raw: raw::File = text.parse()?;
        find(&text, "source", &raw.sources, &raw.study)?;
        let machines = machines(&text, &raw)?;
        let meters = meters(&text, &raw, &machines, factors)?;
        let figures = figures(&text, &raw.figures, &raw)?;
        let names = Names {
            text,
            factors,
            machines: &machines,
            meters: &meters,
            figures: figures.clone(),
            used: RefCell::new(BTreeSet::new()),
        };
        let variants = variants(names, &raw)?;
        let expectations = super::expectation::build(&text, &raw.expectations, &variants)?;
        let organisation =
            |raw: raw::Organisation| Organisation { title: raw.title, role: raw.role };
        Ok(Self {
            title: raw.title,
            question: raw.question,
            functional_unit: raw.functional_unit,
            study: raw.study.into_inner(),
            sources: raw.sources,
            figures,
            organisations: raw
                .organisations
                .into_iter()
                .map(|(name, raw)| (name.into_inner(), organisation(raw)))
                .collect(),
            machines,
            meters,
            variants,
            expectations,
        })
    }
}

fn machines(text: &Text<'_>, raw: &raw::File) -> Result<BTreeMap<String, Machine>, ScenarioError> {
    let organisations: BTreeMap<_, _> =
        raw.organisations.keys().map(|name| (name.get_ref().clone(), ())).collect();
    let machine = |(name, machine): (&raw::Name, &raw::Machine)| {
        find(text, "organisation", &organisations, &machine.organisation)?;
        let organisation = machine.organisation.get_ref().clone();
        let (place, does) = (machine.place.clone(), machine.does.clone());
        Ok((name.get_ref().clone(), Machine { organisation, place, does }))
    };
    raw.machines.iter().map(machine).collect()
}

fn meters(
    text: &Text<'_>,
    raw: &raw::File,
    machines: &BTreeMap<String, Machine>,
    factors: &FactorFile,
) -> Result<BTreeMap<String, Meter>, ScenarioError> {
    let meter = |(name, meter): (&raw::Name, &raw::Meter)| {
        find(text, "machine", machines, &meter.machine)?;
        let code = meter.factor.get_ref().clone();
        let span = meter.factor.span();
        let Some(factor) = factors.get(&code) else {
            let hint = format!(": the factor file {} does not have it", factors.name);
            return Err(text.error(&span, Reason::Unknown { kind: "factor", name: code, hint }));
        };
        if factor.reference.unit != Unit::Joule {
            let found = factor.reference.unit.symbol().to_owned();
            let wanted = Unit::Joule.symbol().to_owned();
            return Err(text.error(&span, Reason::Unit { text: code, found, wanted }));
        }
        let machine = meter.machine.get_ref().clone();
        Ok((name.get_ref().clone(), Meter { machine, factor: code }))
    };
    raw.meters.iter().map(meter).collect()
}

fn figures(
    text: &Text<'_>,
    table: &raw::Table<raw::Figure>,
    file: &raw::File,
) -> Result<BTreeMap<String, Figure>, ScenarioError> {
    let figure = |(name, raw): (&raw::Name, &raw::Figure)| {
        let source = raw.source.as_ref().ok_or_else(|| {
            text.error(&name.span(), Reason::MissingCitation(name.get_ref().clone()))
        })?;
        find(text, "source", &file.sources, source)?;
        if is_unit(name.get_ref()) {
            let reason = format!("a figure cannot be called `{}`: that is a unit", name.get_ref());
            return Err(text.error(&name.span(), Reason::Rule(reason)));
        }
        let value = evaluate(raw.value.get_ref(), |_| None)
            .map_err(|reason| text.error(&raw.value.span(), reason))?;
        let figure = Figure {
            text: raw.value.get_ref().clone(),
            measure: value.measure,
            source: source.get_ref().clone(),
            standing: raw.standing.into(),
            note: raw.note.clone(),
        };
        Ok((name.get_ref().clone(), figure))
    };
    table.iter().map(figure).collect()
}

fn variants(mut names: Names<'_>, raw: &raw::File) -> Result<Vec<Variant>, ScenarioError> {
    let text = names.text;
    let common = names.figures.clone();
    let mut variants: Vec<Variant> = Vec::new();
    let mut templates = BTreeMap::new();
    for raw_variant in &raw.variants {
        let id = raw_variant.id.get_ref().clone();
        let steps = template(&text, raw_variant, &templates)?;
        if templates.insert(id.clone(), steps.clone()).is_some() {
            let duplicate = Reason::Duplicate { kind: "variant", name: id };
            return Err(text.error(&raw_variant.id.span(), duplicate));
        }
        let own = figures(&text, &raw_variant.figures, raw)?;
        names.figures = common.clone();
        names.figures.extend(own.clone());
        variants.push(variant(&names, raw_variant, &steps, own)?);
    }
    let used = names.used.borrow();
    let own = raw.variants.iter().flat_map(|variant| variant.figures.keys());
    match raw.figures.keys().chain(own).find(|name| !used.contains(name.get_ref())) {
        None => Ok(variants),
        Some(name) => {
            let reason = format!("no step names the figure `{}`: remove it", name.get_ref());
            Err(text.error(&name.span(), Reason::Rule(reason)))
        }
    }
}

type Steps = Vec<toml::Spanned<raw::Step>>;

/// The steps of a variant: its own, or those of the variant it is like.
fn template(
    text: &Text<'_>,
    variant: &raw::Variant,
    templates: &BTreeMap<String, Steps>,
) -> Result<Steps, ScenarioError> {
    match &variant.like {
        None => Ok(variant.steps.clone()),
        Some(like) if variant.steps.is_empty() => find(text, "variant", templates, like).cloned(),
        Some(like) => {
            let reason = "a variant that is `like` another has its steps, and none of its own";
            Err(text.error(&like.span(), Reason::Rule(reason.to_owned())))
        }
    }
}

fn variant(
    names: &Names<'_>,
    raw: &raw::Variant,
    steps: &Steps,
    figures: BTreeMap<String, Figure>,
) -> Result<Variant, ScenarioError> {
    let text = names.text;
    let mut builder = Builder::new(names);
    let mut built = steps
        .iter()
        .map(|step| builder.step(step.get_ref(), &step.span()))
        .collect::<Result<Vec<_>, _>>()?;
    place_orders(&mut built).map_err(|(line, reason)| ScenarioError {
        file: text.file.to_owned(),
        line,
        reason,
    })?;
    let product = raw.product.get_ref();
    let delivered = builder.stock.get(product);
    let delivered = delivered.map_err(|reason| text.error(&raw.product.span(), reason))?;
    if delivered.quantity.amount == 0 {
        let reason = Reason::Rule(format!("nothing is left of the product `{product}`"));
        return Err(text.error(&raw.product.span(), reason));
    }
    if let Some((lot, quantity)) = builder.stock.left_over(product) {
        let reason = format!("{quantity} of `{lot}` are left over: use them, or sink them");
        return Err(text.error(&raw.id.span(), Reason::Rule(reason)));
    }
    Ok(Variant {
        id: raw.id.get_ref().clone(),
        title: raw.title.clone(),
        product: product.clone(),
        figures,
        steps: built,
        avoided: raw.avoided.as_ref().map(|avoided| avoid(names, avoided)).transpose()?,
    })
}

fn avoid(names: &Names<'_>, raw: &raw::Avoided) -> Result<Avoided, ScenarioError> {
    let factor = names.factor(&raw.factor)?;
    let value = names.amount(&raw.amount)?;
    let at = |reason| names.error(&raw.amount.span(), reason);
    let amount = value.quantity_in(factor.reference.unit).map_err(at)?;
    let known = names.all_known(&value.figures);
    let tier = if known { EvidenceTier::Derived } else { EvidenceTier::Default };
    let footprint =
        factor.apply(amount, tier).map_err(|overflow| at(Reason::Rule(overflow.to_string())))?;
    Ok(Avoided {
        what: raw.what.clone(),
        factor: raw.factor.get_ref().clone(),
        amount: kerbholz_ledger::quantity::Quantity::new(amount, factor.reference.unit),
        footprint,
    })
}

#[cfg(test)]
mod tests;
