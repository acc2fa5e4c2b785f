//! Expectations as they are written, turned into checks.

use super::check::{Check, Expectation, Operand, OrderCheck, Part};
use super::raw::{self, Name};
use super::step::price;
use super::{Stage, Variant};
use crate::factors::{dimension_named, impact, unknown_dimension};
use crate::measure::{Ratio, evaluate};
use crate::written::{Problem, Reason, Text};
use kerbholz_ledger::footprint::Dimension;
use std::collections::BTreeMap;

/// Builds the expectations of a file over its variants.
pub(super) fn build(
    text: &Text<'_>,
    raw: &[raw::Expectation],
    variants: &[Variant],
) -> Result<Vec<Expectation>, Problem> {
    let variants = variants.iter().map(|variant| (variant.id.clone(), variant)).collect();
    let builder = Builder { text, variants };
    let mut seen: Vec<&str> = Vec::new();
    let mut built = Vec::new();
    for raw in raw {
        if seen.contains(&raw.id.get_ref().as_str()) {
            let name = raw.id.get_ref().clone();
            let duplicate = Reason::Duplicate { kind: "expectation", name };
            return Err(text.error(&raw.id.span(), duplicate));
        }
        seen.push(raw.id.get_ref());
        built.push(builder.expectation(raw)?);
    }
    Ok(built)
}

struct Builder<'a> {
    text: &'a Text<'a>,
    variants: BTreeMap<String, &'a Variant>,
}

impl Builder<'_> {
    fn expectation(&self, raw: &raw::Expectation) -> Result<Expectation, Problem> {
        let dimension = match &raw.dimension {
            None => Dimension::Climate,
            Some(name) => self.dimension(name)?,
        };
        Ok(Expectation {
            id: raw.id.get_ref().clone(),
            says: raw.says.clone(),
            note: raw.note.clone(),
            study: raw.study.as_ref().map(|study| self.plain(study)).transpose()?,
            check: self.check(raw, dimension)?,
            dimension,
        })
    }

    fn check(&self, raw: &raw::Expectation, dimension: Dimension) -> Result<Check, Problem> {
        let of_over =
            || Ok((self.operand(raw, &raw.of, "of")?, self.operand(raw, &raw.over, "over")?));
        match raw.check.get_ref().as_str() {
            "share" => {
                let (at_least, at_most) = self.bounds(raw)?;
                Ok(Check::Share {
                    variants: self.variant_names(raw)?,
                    part: self.parts(raw)?,
                    at_least,
                    at_most,
                })
            }
            "ratio" => {
                let ((of, over), (at_least, at_most)) = (of_over()?, self.bounds(raw)?);
                Ok(Check::Ratio { of, over, at_least, at_most })
            }
            "above" => Ok(Check::Above {
                above: self.operands(raw, &raw.above, "above")?,
                below: self.operands(raw, &raw.below, "below")?,
            }),
            "same-order" => Ok(Check::SameOrder {
                among: self.operands(raw, &raw.among, "among")?,
                within: self.plain(self.need(raw, &raw.within, "within")?)?,
            }),
            "proportional" => {
                let (of, over) = of_over()?;
                let by = self.plain(self.need(raw, &raw.by, "by")?)?;
                let tolerance = self.plain(self.need(raw, &raw.tolerance, "tolerance")?)?;
                Ok(Check::Proportional { of, over, by, tolerance })
            }
            "further" => {
                let (of, over) = of_over()?;
                let than_in = self.dimension(self.need(raw, &raw.than_in, "than_in")?)?;
                Ok(Check::Further { of, over, than_in })
            }
            "amount" => {
                let (at_least, at_most) = self.amounts(raw, dimension)?;
                Ok(Check::Amount { of: self.operand(raw, &raw.of, "of")?, at_least, at_most })
            }
            "delivered" => {
                let (at_least, at_most) = self.amounts(raw, dimension)?;
                let variant = self.variant(self.need(raw, &raw.variant, "variant")?)?;
                Ok(Check::Delivered { variant, at_least, at_most })
            }
            "undeclared" => {
                let variant = self.variant(self.need(raw, &raw.variant, "variant")?)?;
                Ok(Check::Undeclared { variant })
            }
            "conserved" => Ok(Check::Conserved { variants: self.variant_names(raw)? }),
            "order" => Ok(Check::Order(self.order(raw)?)),
            _ => {
                let hint = ": there is share, ratio, above, same-order, proportional, further, \
                            amount, delivered, undeclared, conserved, order"
                    .to_owned();
                let name = raw.check.get_ref().clone();
                Err(self.error(&raw.check, Reason::Unknown { kind: "check", name, hint }))
            }
        }
    }

    fn dimension(&self, name: &Name) -> Result<Dimension, Problem> {
        dimension_named(name.get_ref())
            .ok_or_else(|| self.error(name, unknown_dimension(name.get_ref())))
    }

    fn bounds(&self, raw: &raw::Expectation) -> Result<(Option<Ratio>, Option<Ratio>), Problem> {
        let at_least = raw.at_least.as_ref().map(|bound| self.plain(bound)).transpose()?;
        let at_most = raw.at_most.as_ref().map(|bound| self.plain(bound)).transpose()?;
        if at_least.is_none() && at_most.is_none() {
            let reason = "say `at_least`, `at_most` or both".to_owned();
            return Err(self.error(&raw.id, Reason::Rule(reason)));
        }
        Ok((at_least, at_most))
    }

    /// Bounds in the dimension's unit.
    fn amounts(
        &self,
        raw: &raw::Expectation,
        dimension: Dimension,
    ) -> Result<(Option<Ratio>, Option<Ratio>), Problem> {
        let amount = |bound: &Name| {
            impact(dimension, bound.get_ref()).map_err(|reason| self.error(bound, reason))
        };
        let at_least = raw.at_least.as_ref().map(amount).transpose()?;
        let at_most = raw.at_most.as_ref().map(amount).transpose()?;
        if at_least.is_none() && at_most.is_none() {
            let reason = "say `at_least`, `at_most` or both".to_owned();
            return Err(self.error(&raw.id, Reason::Rule(reason)));
        }
        Ok((at_least, at_most))
    }

    fn order(&self, raw: &raw::Expectation) -> Result<OrderCheck, Problem> {
        let variant = self.variant(self.need(raw, &raw.variant, "variant")?)?;
        let of = self.variants.get(&variant);
        let order = |name: &Name| {
            let found = of.and_then(|of| of.order(name.get_ref()));
            found.map(|order| order.name.clone()).ok_or_else(|| {
                let hint = format!(": {variant} has no such order");
                let name_text = name.get_ref().clone();
                self.error(name, Reason::Unknown { kind: "order", name: name_text, hint })
            })
        };
        let paid = raw
            .paid
            .as_ref()
            .map(|paid| price(paid.get_ref()).map_err(|reason| self.error(paid, reason)));
        let text = |name: &Option<Name>| name.as_ref().map(|name| name.get_ref().clone());
        Ok(OrderCheck {
            order: order(self.need(raw, &raw.order, "order")?)?,
            state: raw.state,
            confirmed_by: text(&raw.confirmed_by),
            paid: paid.transpose()?,
            serves: raw.serves.as_ref().map(order).transpose()?,
            specification: text(&raw.specification),
            variant,
        })
    }

    fn variant_names(&self, raw: &raw::Expectation) -> Result<Vec<String>, Problem> {
        let names = self.need(raw, &raw.variants, "variants")?;
        names.iter().map(|name| self.variant(name)).collect()
    }

    fn parts(&self, raw: &raw::Expectation) -> Result<Vec<Part>, Problem> {
        let parts = self.need(raw, &raw.part, "part")?;
        let part = |part: &raw::Part| self.part(&raw.id, part.stage, part.component.as_ref());
        parts.iter().map(part).collect()
    }

    fn operands(
        &self,
        raw: &raw::Expectation,
        operands: &Option<Vec<raw::Operand>>,
        called: &str,
    ) -> Result<Vec<Operand>, Problem> {
        let operands = self.need(raw, operands, called)?;
        operands.iter().map(|operand| self.one_operand(raw, operand)).collect()
    }

    fn operand(
        &self,
        raw: &raw::Expectation,
        operand: &Option<raw::Operand>,
        called: &str,
    ) -> Result<Operand, Problem> {
        self.one_operand(raw, self.need(raw, operand, called)?)
    }

    fn one_operand(
        &self,
        raw: &raw::Expectation,
        operand: &raw::Operand,
    ) -> Result<Operand, Problem> {
        let variant = self.variant(&operand.variant)?;
        let avoids = self.variants.get(&variant).is_some_and(|variant| variant.avoided.is_some());
        if operand.avoided && !avoids {
            let reason = format!("variant `{variant}` avoids nothing");
            return Err(self.error(&operand.variant, Reason::Rule(reason)));
        }
        let per = operand.per.as_ref().map(|per| self.plain(per)).transpose()?;
        Ok(Operand {
            variant,
            part: self.part(&raw.id, operand.stage, operand.component.as_ref())?,
            avoided: operand.avoided,
            per: per.unwrap_or(Ratio::ONE),
        })
    }

    fn variant(&self, name: &Name) -> Result<String, Problem> {
        super::names::find(self.text, "variant", &self.variants, name)
            .map(|variant| variant.id.clone())
    }

    /// A part; a component that no variant has is a slip of the pen.
    fn part(
        &self,
        at: &Name,
        stage: Option<Stage>,
        component: Option<&String>,
    ) -> Result<Part, Problem> {
        let part = Part { stage, component: component.cloned() };
        let mut tags = self.variants.values().flat_map(|variant| &variant.steps);
        if tags.any(|step| step.tag.as_ref().is_some_and(|tag| part.contains(tag))) {
            return Ok(part);
        }
        let name = component
            .cloned()
            .unwrap_or_else(|| stage.map(|stage| stage.to_string()).unwrap_or_default());
        let hint = ": no step of any variant books it".to_owned();
        Err(self.error(at, Reason::Unknown { kind: "part", name, hint }))
    }

    fn plain(&self, name: &Name) -> Result<Ratio, Problem> {
        let value =
            evaluate(name.get_ref(), |_| None).map_err(|reason| self.error(name, reason))?;
        let positive = value.measure.plain().filter(|ratio| ratio.numerator() > 0);
        positive.ok_or_else(|| {
            let why = "a number above zero without unit, or a share in %, is needed".to_owned();
            self.error(name, Reason::Amount { text: name.get_ref().clone(), why })
        })
    }

    fn need<'r, T>(
        &self,
        raw: &raw::Expectation,
        field: &'r Option<T>,
        called: &str,
    ) -> Result<&'r T, Problem> {
        field.as_ref().ok_or_else(|| {
            let check = raw.check.get_ref();
            let reason = Reason::Rule(format!("a check `{check}` needs `{called}`"));
            self.error(&raw.id, reason)
        })
    }

    fn error(&self, at: &Name, reason: Reason) -> Problem {
        self.text.error(&at.span(), reason)
    }
}
