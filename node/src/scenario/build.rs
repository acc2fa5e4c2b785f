//! From the file as written to a [`Scenario`]: resolves every name and checks every rule.

use super::figures::{InForce, figures};
use super::flow::place_orders;
use super::names::{Names, find};
use super::raw;
use super::step::Builder;
use super::{Avoided, Document, Machine, Meter, Organisation, Range, Scenario, Variant};
use crate::factors::FactorFile;
use crate::factors::impact;
use crate::measure::{Ratio, evaluate};
use crate::written::{Problem, Reason, Text};
use kerbholz_ledger::factor::Factor;
use kerbholz_ledger::footprint::{Dimension, EvidenceTier};
use kerbholz_ledger::id::ContentHash;
use kerbholz_ledger::quantity::{Quantity, Unit};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

impl Scenario {
    /// Reads a scenario file whose factors are in `factors`.
    ///
    /// # Errors
    /// [`Problem`] with the first line that is wrong, and why.
    pub fn parse(file: &str, text: &str, factors: &FactorFile) -> Result<Self, Problem> {
        let text = Text { file, text };
        let raw: raw::File = text.parse()?;
        find(&text, "source", &raw.sources, &raw.study)?;
        let machines = machines(&text, &raw)?;
        let meters = meters(&text, &raw, &machines, factors)?;
        let documents = documents(&raw);
        let names = Names {
            text,
            factors,
            machines: &machines,
            meters: &meters,
            documents: &documents,
            figures: BTreeMap::new(),
            used: RefCell::new(BTreeSet::new()),
        };
        let variants = variants(names, &raw)?;
        let expectations = super::expectation::build(&text, &raw.expectations, &variants)?;
        let ranges = ranges(&text, &raw, factors)?;
        let organisation =
            |raw: raw::Organisation| Organisation { title: raw.title, role: raw.role };
        Ok(Self {
            title: raw.title,
            question: raw.question,
            functional_unit: raw.functional_unit,
            study: raw.study.into_inner(),
            ranges,
            sources: raw.sources,
            documents,
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

fn machines(text: &Text<'_>, raw: &raw::File) -> Result<BTreeMap<String, Machine>, Problem> {
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
) -> Result<BTreeMap<String, Meter>, Problem> {
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

/// Documents by name, each with the hash of its content.
fn documents(raw: &raw::File) -> BTreeMap<String, Document> {
    let document = |(name, raw): (&raw::Name, &raw::Document)| {
        let hash = ContentHash::of(raw.content.as_bytes());
        (name.get_ref().clone(), Document { title: raw.title.clone(), hash })
    };
    raw.documents.iter().map(document).collect()
}

/// The ranges of factors, as multiples of the climate impact that the set gives them.
fn ranges(
    text: &Text<'_>,
    raw: &raw::File,
    factors: &FactorFile,
) -> Result<BTreeMap<String, Range<Ratio>>, Problem> {
    let factor = |code: &raw::Name| {
        factors.get(code.get_ref()).ok_or_else(|| {
            let hint = format!(": the factor set {} does not have it", factors.name);
            let name = code.get_ref().clone();
            text.error(&code.span(), Reason::Unknown { kind: "factor", name, hint })
        })
    };
    let range = |(code, raw_range): (&raw::Name, &raw::Range)| {
        find(text, "source", &raw.sources, &raw_range.source)?;
        let own = per_base(factor(code)?);
        let end = |end: &raw::Name| {
            let at = |reason| text.error(&end.span(), reason);
            let value = match (&raw_range.per, factors.get(end.get_ref())) {
                // Another factor of the set says it: no figure is written twice.
                (_, Some(other)) => per_base(other),
                (Some(per), None) => {
                    let value = impact(Dimension::Climate, end.get_ref()).map_err(at)?;
                    let per = evaluate(per.get_ref(), |_| None).and_then(|per| per.quantity());
                    let per = per.map_err(at)?;
                    Ratio::new(i128::from(per.amount), 1)
                        .and_then(|amount| Some((value.checked_div(amount)?, per.unit)))
                }
                (None, None) => {
                    let reason = "name another factor, or say `per` which amount the range is";
                    return Err(at(Reason::Rule(reason.to_owned())));
                }
            };
            let times = value.zip(own).filter(|((_, unit), (_, own))| unit == own);
            let times = times.and_then(|((value, _), (own, _))| value.checked_div(own));
            times.ok_or_else(|| {
                let reason = "it is per another unit, or the factor's own climate impact is none";
                at(Reason::Rule(reason.to_owned()))
            })
        };
        let range = Range {
            low: raw_range.low.get_ref().clone(),
            high: raw_range.high.get_ref().clone(),
            ends: (end(&raw_range.low)?, end(&raw_range.high)?),
            source: raw_range.source.get_ref().clone(),
            standing: raw_range.standing.into(),
            note: raw_range.note.clone(),
        };
        Ok((code.get_ref().clone(), range))
    };
    raw.ranges.iter().map(range).collect()
}

/// The climate impact of one base unit, and the unit.
fn per_base(factor: &Factor) -> Option<(Ratio, Unit)> {
    let climate = factor.impacts.iter().find(|impact| impact.dimension == Dimension::Climate)?;
    let ratio = Ratio::new(climate.value, i128::from(factor.reference.amount))?;
    Some((ratio, factor.reference.unit))
}

fn variants(mut names: Names<'_>, raw: &raw::File) -> Result<Vec<Variant>, Problem> {
    let text = names.text;
    let mut variants: Vec<Variant> = Vec::new();
    let mut templates: BTreeMap<String, Template<'_>> = BTreeMap::new();
    for raw_variant in &raw.variants {
        let id = raw_variant.id.get_ref().clone();
        let template = template(&text, raw, raw_variant, &templates)?;
        names.figures = figures(&text, &template.figures, &raw.sources)?;
        variants.push(variant(&names, raw_variant, template.steps)?);
        if templates.insert(id.clone(), template).is_some() {
            let duplicate = Reason::Duplicate { kind: "variant", name: id };
            return Err(text.error(&raw_variant.id.span(), duplicate));
        }
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

/// What a variant is made of: its own, or what it is like.
struct Template<'r> {
    steps: &'r [toml::Spanned<raw::Step>],
    figures: InForce<'r>,
}

fn template<'r>(
    text: &Text<'_>,
    raw: &'r raw::File,
    variant: &'r raw::Variant,
    templates: &BTreeMap<String, Template<'r>>,
) -> Result<Template<'r>, Problem> {
    let named = |table: &'r raw::Table<raw::Figure>| {
        table.iter().map(|(name, figure)| (name.get_ref().clone(), (name, figure)))
    };
    let mut template = match &variant.like {
        None => Template { steps: &variant.steps, figures: named(&raw.figures).collect() },
        Some(like) if variant.steps.is_empty() => {
            let base = find(text, "variant", templates, like)?;
            Template { steps: base.steps, figures: base.figures.clone() }
        }
        Some(like) => {
            let reason = "a variant that is `like` another has its steps, and none of its own";
            return Err(text.error(&like.span(), Reason::Rule(reason.to_owned())));
        }
    };
    template.figures.extend(named(&variant.figures));
    Ok(template)
}

fn variant(
    names: &Names<'_>,
    raw: &raw::Variant,
    steps: &[toml::Spanned<raw::Step>],
) -> Result<Variant, Problem> {
    let text = names.text;
    let mut builder = Builder::new(names);
    let mut built = steps
        .iter()
        .map(|step| builder.step(step.get_ref(), &step.span()))
        .collect::<Result<Vec<_>, _>>()?;
    place_orders(&mut built).map_err(|((line, column), reason)| {
        let file = text.file.to_owned();
        Problem { file, line, column, reason }
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
        figures: names.figures.clone(),
        steps: built,
        avoided: raw.avoided.as_ref().map(|avoided| avoid(names, avoided)).transpose()?,
    })
}

fn avoid(names: &Names<'_>, raw: &raw::Avoided) -> Result<Avoided, Problem> {
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
        amount: Quantity::new(amount, factor.reference.unit),
        written: raw.amount.get_ref().clone(),
        footprint,
    })
}

#[cfg(test)]
mod tests;
