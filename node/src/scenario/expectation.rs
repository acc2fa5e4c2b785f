//! What a study expects, as checks over what the ledger booked. [`super::judge`] judges them.

use super::error::{Reason, ScenarioError, Text};
use super::factors::dimension;
use super::measure::{Ratio, evaluate};
use super::raw::{self, Name};
use super::{Stage, Tag, Variant};
use kerbholz_ledger::footprint::Dimension;
use std::collections::BTreeMap;

/// One finding of the study, and how to see whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Its short name.
    pub id: String,
    /// The finding, in words.
    pub says: String,
    /// How the words were made into a check; may be empty.
    pub note: String,
    /// The dimension it is about.
    pub dimension: Dimension,
    /// The check.
    pub check: Check,
}

/// A check over footprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// In each of these variants, these parts make up a share of the whole within bounds.
    Share {
        /// The variants.
        variants: Vec<String>,
        /// The parts, added up.
        part: Vec<Part>,
        /// At least this share.
        at_least: Option<Ratio>,
        /// At most this share.
        at_most: Option<Ratio>,
    },
    /// One is within bounds a multiple of the other.
    Ratio {
        /// The one.
        of: Operand,
        /// The other.
        over: Operand,
        /// At least this many times.
        at_least: Option<Ratio>,
        /// At most this many times.
        at_most: Option<Ratio>,
    },
    /// Every one of the first is greater than every one of the second.
    Above {
        /// The greater ones.
        above: Vec<Operand>,
        /// The smaller ones.
        below: Vec<Operand>,
    },
    /// The greatest is at most so many times the smallest.
    SameOrder {
        /// What is compared.
        among: Vec<Operand>,
        /// So many times.
        within: Ratio,
    },
    /// One is a given multiple of the other, up to a tolerance.
    Proportional {
        /// The one.
        of: Operand,
        /// The other.
        over: Operand,
        /// The multiple.
        by: Ratio,
        /// Largest relative difference.
        tolerance: Ratio,
    },
    /// One is further above the other in the expectation's dimension than in this one.
    Further {
        /// The one.
        of: Operand,
        /// The other.
        over: Operand,
        /// The dimension to compare with.
        than_in: Dimension,
    },
}

/// Part of a variant's footprint: of a stage, of a component, of both, or all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Only this stage.
    pub stage: Option<Stage>,
    /// Only this component.
    pub component: Option<String>,
}

impl Part {
    /// Whether what is counted under a tag belongs to it.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.stage.is_none_or(|stage| stage == tag.stage)
            && (self.component.is_none() || self.component == tag.component)
    }
}

/// A figure that a check compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The variant.
    pub variant: String,
    /// Which part of its footprint.
    pub part: Part,
    /// Its avoided burden instead.
    pub avoided: bool,
    /// Divided by this (for example years of use).
    pub per: Ratio,
}

/// Builds the expectations of a file over its variants.
pub(super) fn build(
    text: &Text<'_>,
    raw: &[raw::Expectation],
    variants: &[Variant],
) -> Result<Vec<Expectation>, ScenarioError> {
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
    fn expectation(&self, raw: &raw::Expectation) -> Result<Expectation, ScenarioError> {
        let dimension = match &raw.dimension {
            None => Dimension::Climate,
            Some(name) => dimension(self.text, name)?,
        };
        Ok(Expectation {
            id: raw.id.get_ref().clone(),
            says: raw.says.clone(),
            note: raw.note.clone(),
            dimension,
            check: self.check(raw)?,
        })
    }

    fn check(&self, raw: &raw::Expectation) -> Result<Check, ScenarioError> {
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
                let than_in = dimension(self.text, self.need(raw, &raw.than_in, "than_in")?)?;
                Ok(Check::Further { of, over, than_in })
            }
            _ => {
                let hint =
                    ": there is share, ratio, above, same-order, proportional, further".to_owned();
                let name = raw.check.get_ref().clone();
                Err(self.error(&raw.check, Reason::Unknown { kind: "check", name, hint }))
            }
        }
    }

    fn bounds(
        &self,
        raw: &raw::Expectation,
    ) -> Result<(Option<Ratio>, Option<Ratio>), ScenarioError> {
        let at_least = raw.at_least.as_ref().map(|bound| self.plain(bound)).transpose()?;
        let at_most = raw.at_most.as_ref().map(|bound| self.plain(bound)).transpose()?;
        if at_least.is_none() && at_most.is_none() {
            let reason = "say `at_least`, `at_most` or both".to_owned();
            return Err(self.error(&raw.id, Reason::Rule(reason)));
        }
        Ok((at_least, at_most))
    }

    fn variant_names(&self, raw: &raw::Expectation) -> Result<Vec<String>, ScenarioError> {
        let names = self.need(raw, &raw.variants, "variants")?;
        names.iter().map(|name| self.variant(name)).collect()
    }

    fn parts(&self, raw: &raw::Expectation) -> Result<Vec<Part>, ScenarioError> {
        let parts = self.need(raw, &raw.part, "part")?;
        let part = |part: &raw::Part| self.part(&raw.id, part.stage, part.component.as_ref());
        parts.iter().map(part).collect()
    }

    fn operands(
        &self,
        raw: &raw::Expectation,
        operands: &Option<Vec<raw::Operand>>,
        called: &str,
    ) -> Result<Vec<Operand>, ScenarioError> {
        let operands = self.need(raw, operands, called)?;
        operands.iter().map(|operand| self.one_operand(raw, operand)).collect()
    }

    fn operand(
        &self,
        raw: &raw::Expectation,
        operand: &Option<raw::Operand>,
        called: &str,
    ) -> Result<Operand, ScenarioError> {
        self.one_operand(raw, self.need(raw, operand, called)?)
    }

    fn one_operand(
        &self,
        raw: &raw::Expectation,
        operand: &raw::Operand,
    ) -> Result<Operand, ScenarioError> {
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

    fn variant(&self, name: &Name) -> Result<String, ScenarioError> {
        super::names::find(self.text, "variant", &self.variants, name)
            .map(|variant| variant.id.clone())
    }

    /// A part; a component that no variant has is a slip of the pen.
    fn part(
        &self,
        at: &Name,
        stage: Option<Stage>,
        component: Option<&String>,
    ) -> Result<Part, ScenarioError> {
        let part = Part { stage, component: component.cloned() };
        let mut tags = self.variants.values().flat_map(|variant| &variant.steps);
        if tags.any(|step| step.tag.as_ref().is_some_and(|tag| part.contains(tag))) {
            return Ok(part);
        }
        let name = component.cloned().unwrap_or_else(|| format!("{stage:?}").to_lowercase());
        let hint = ": no step of any variant books it".to_owned();
        Err(self.error(at, Reason::Unknown { kind: "part", name, hint }))
    }

    fn plain(&self, name: &Name) -> Result<Ratio, ScenarioError> {
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
    ) -> Result<&'r T, ScenarioError> {
        field.as_ref().ok_or_else(|| {
            let check = raw.check.get_ref();
            let reason = Reason::Rule(format!("a check `{check}` needs `{called}`"));
            self.error(&raw.id, reason)
        })
    }

    fn error(&self, at: &Name, reason: Reason) -> ScenarioError {
        self.text.error(&at.span(), reason)
    }
}
