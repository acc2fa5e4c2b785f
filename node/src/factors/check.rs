//! From a factor as written to a factor that the ledger takes. Everything that is wrong with it is
//! said, each where it stands, not only the first thing.

use super::impact::{dimension_named, impact, unknown_dimension};
use super::sheet::{CLIMATE_TTW, CLIMATE_WTT, Cell, FIELDS, Record};
use crate::measure::{Ratio, evaluate};
use crate::written::{Problem, Reason, Span, Text};
use kerbholz_ledger::factor::{DERIVED_DIMENSIONS, Factor, Impact, Quality, Standing};
use kerbholz_ledger::footprint::{Dimension, DimensionSet, GwpSet};
use kerbholz_ledger::quantity::{Quantity, Timestamp};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Longest texts of a factor on the ledger, in bytes.
const TEXTS_MAX: &[(&str, usize)] = &[("code", 64), ("region", 64), ("licence", 128)];
/// Longest citation on the ledger, in bytes: source, its number there, year, parts, address.
const SOURCE_MAX: usize = 512;

/// Checks factors one by one, and collects what is wrong.
pub(super) struct Checker<'c, 't> {
    /// The file.
    pub text: &'c Text<'t>,
    /// What was found so far.
    pub problems: &'c mut Vec<Problem>,
}

/// The impact of a dimension, exactly, and where it is written.
type Impacts = BTreeMap<Dimension, (Ratio, Span)>;

impl Checker<'_, '_> {
    /// The factor, unless something is wrong with it.
    pub fn factor(&mut self, record: &Record) -> Option<Factor> {
        let before = self.problems.len();
        self.missing(record);
        self.lengths(record);
        let impacts = self.impacts(record);
        self.parts_fit(&impacts);
        let scaled = self.field(record, "per", per).zip(Some(&impacts));
        let scaled = scaled.and_then(|(per, impacts)| self.scaled(record, per, impacts));
        let quality = ["technology", "geography", "time"].map(|of| self.field(record, of, rating));
        let gwp_set = self.field(record, "gwp", report);
        let standing = self.field(record, "standing", standing);
        let valid_from = self.field(record, "valid_from", midnight);
        let valid_until = self.field(record, "valid_until", midnight);
        self.ends_after_it_begins(record, valid_from, valid_until);
        let source = self.source(record);
        if self.problems.len() > before {
            return None;
        }
        let (reference, scaled) = scaled?;
        let [technology, geography, time] = quality;
        let text = |name| record.text(name).unwrap_or_default().to_owned();
        let declared: Vec<Dimension> = impacts.keys().copied().collect();
        Some(Factor {
            code: text("code"),
            reference,
            // A declared zero needs no impact.
            impacts: scaled.into_iter().filter(|impact| impact.value != 0).collect(),
            declared: DimensionSet::of(&declared),
            gwp_set: gwp_set?,
            quality: Quality { technology: technology?, geography: geography?, time: time? },
            region: text("region"),
            valid_from: valid_from?,
            valid_until: valid_until?,
            source,
            licence: text("licence"),
            standing: standing?,
        })
    }

    fn say(&mut self, span: &Span, reason: Reason) {
        self.problems.push(self.text.error(span, reason));
    }

    fn missing(&mut self, record: &Record) {
        let code = record.text("code").unwrap_or("a factor");
        for (field, help) in FIELDS {
            if !help.is_empty() && !record.fields.contains_key(field) {
                let reason = format!("`{code}` has no `{field}`: write {help}");
                self.say(record.begin(), Reason::Rule(reason));
            }
        }
        let climate_parts = record.fields.contains_key(CLIMATE_TTW);
        if record.impacts.is_empty() && !climate_parts {
            let reason = format!(
                "`{code}` declares no dimension: say at least what it adds to one, e.g. climate"
            );
            self.say(record.begin(), Reason::Rule(reason));
        }
    }

    fn lengths(&mut self, record: &Record) {
        for (field, most) in TEXTS_MAX {
            if let Some(cell) = record.fields.get(field).filter(|cell| cell.text.len() > *most) {
                let (length, span) = (cell.text.len(), cell.span.clone());
                let reason =
                    format!("its {field} has {length} bytes; the ledger keeps at most {most}");
                self.say(&span, Reason::Rule(reason));
            }
        }
    }

    /// What a field says, where it says something that can be understood.
    fn field<T>(
        &mut self,
        record: &Record,
        name: &str,
        read: fn(&str) -> Result<T, Reason>,
    ) -> Option<T> {
        let cell = record.fields.get(name)?;
        read(&cell.text).map_err(|reason| self.say(&cell.span, reason)).ok()
    }

    /// The impacts as written, exactly.
    fn impacts(&mut self, record: &Record) -> Impacts {
        let mut impacts = Impacts::new();
        for (name, amount) in &record.impacts {
            // `ttw` says: the part of climate that the use itself causes.
            let part = record.fields.get(CLIMATE_TTW).filter(|_| amount.text == "ttw");
            match self.one_impact(name, part.unwrap_or(amount)) {
                Ok((dimension, value)) => {
                    if impacts.insert(dimension, (value, amount.span.clone())).is_some() {
                        let name_text = name.text.clone();
                        let reason = Reason::Duplicate { kind: "impact", name: name_text };
                        self.say(&name.span, reason);
                    }
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        let parts = [CLIMATE_TTW, CLIMATE_WTT].map(|name| record.fields.get(name));
        if let Some(said) = parts.iter().flatten().next() {
            self.climate_of_parts(parts, &said.span.clone(), &mut impacts);
        }
        impacts
    }

    fn one_impact(&self, name: &Cell, amount: &Cell) -> Result<(Dimension, Ratio), Problem> {
        let at = |cell: &Cell, reason| self.text.error(&cell.span, reason);
        let dimension =
            dimension_named(&name.text).ok_or_else(|| at(name, unknown_dimension(&name.text)))?;
        if DERIVED_DIMENSIONS.contains(dimension) {
            let reason = format!("no factor sets `{}`: the ledger derives it", name.text);
            return Err(at(name, Reason::Rule(reason)));
        }
        let value = if amount.text == "0" {
            Ratio::ZERO
        } else {
            impact(dimension, &amount.text)
                .and_then(|value| plausible(dimension, &amount.text, value))
                .map_err(|reason| at(amount, reason))?
        };
        Ok((dimension, value))
    }

    /// Climate as the sum of what the use itself causes and what providing the fuel does.
    fn climate_of_parts(&mut self, parts: [Option<&Cell>; 2], at: &Span, impacts: &mut Impacts) {
        let mut sum = Some(Ratio::ZERO);
        for part in parts {
            let value = part.ok_or_else(|| {
                let reason = "of the parts `ttw` and `wtt` one is missing: climate is their sum";
                self.text.error(at, Reason::Rule(reason.to_owned()))
            });
            let value = value.and_then(|cell| {
                impact(Dimension::Climate, &cell.text)
                    .and_then(|value| plausible(Dimension::Climate, &cell.text, value))
                    .map_err(|reason| self.text.error(&cell.span, reason))
            });
            match value {
                Ok(value) => sum = sum.and_then(|sum| sum.checked_add(value)),
                Err(problem) => {
                    self.problems.push(problem);
                    return;
                }
            }
        }
        let sum = sum.unwrap_or(Ratio::ZERO);
        if impacts.insert(Dimension::Climate, (sum, at.clone())).is_some() {
            let reason = "`climate` is the sum of its parts `ttw` and `wtt`: write no other one";
            self.say(at, Reason::Rule(reason.to_owned()));
        }
    }

    /// What is *of it* is no more than it.
    fn parts_fit(&mut self, impacts: &Impacts) {
        let climate =
            [Dimension::ClimateFossil, Dimension::ClimateLandUse, Dimension::ClimateAircraft];
        let wholes = [
            (Dimension::Climate, climate.as_slice()),
            (Dimension::Energy, &[Dimension::RenewableEnergy]),
            (Dimension::Material, &[Dimension::RecycledMaterial]),
            (Dimension::Waste, &[Dimension::ElectronicWaste]),
        ];
        let value = |dimension: Dimension| impacts.get(&dimension).map(|(value, _)| *value);
        for (whole, parts) in wholes {
            let said = parts.iter().filter_map(|part| impacts.get(part));
            let Some((_, span)) = said.clone().next_back() else { continue };
            let sum = said.map(|(value, _)| *value).try_fold(Ratio::ZERO, Ratio::checked_add);
            let total = value(whole).unwrap_or(Ratio::ZERO);
            let exceeds = sum.is_none_or(|sum| sum.checked_cmp(total).is_none_or(|o| o.is_gt()));
            if exceeds {
                let span = span.clone();
                let reason = format!(
                    "more than the {} it is part of: one of the two is wrong",
                    whole.name()
                );
                self.say(&span, Reason::Rule(reason));
            }
        }
    }

    /// The reference amount and the impacts per it, scaled up together until all are whole: nothing
    /// is rounded.
    fn scaled(
        &mut self,
        record: &Record,
        per: Quantity,
        impacts: &Impacts,
    ) -> Option<(Quantity, Vec<Impact>)> {
        let mut scale: i128 = 1;
        for (value, span) in impacts.values() {
            match lcm(scale, value.denominator()) {
                Some(next) => scale = next,
                None => return self.too_fine(span),
            }
        }
        let reference = i128::from(per.amount).checked_mul(scale);
        let reference = reference.and_then(|amount| u64::try_from(amount).ok());
        let Some(reference) = reference else {
            // The finest of them made the reference too large.
            let finest = impacts.values().max_by_key(|(value, _)| value.denominator());
            let span = finest.map_or_else(|| record.begin().clone(), |(_, span)| span.clone());
            return self.too_fine(&span);
        };
        let mut whole = Vec::new();
        for (dimension, (value, span)) in impacts {
            let value = Ratio::new(scale, 1).and_then(|scale| value.checked_mul(scale));
            match value.and_then(Ratio::whole) {
                Some(value) => whole.push(Impact { dimension: *dimension, value }),
                None => return self.too_fine(span),
            }
        }
        Some((Quantity::new(reference, per.unit), whole))
    }

    fn too_fine<T>(&mut self, span: &Span) -> Option<T> {
        let text = self.text.text.get(span.clone()).unwrap_or_default();
        let why = "it has too many digits to be kept exactly: round it".to_owned();
        let text = text.trim_matches('"').to_owned();
        self.say(span, Reason::Amount { text, why });
        None
    }

    fn ends_after_it_begins(
        &mut self,
        record: &Record,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) {
        let (Some(cell), Some((from, until))) = (record.fields.get("valid_until"), from.zip(until))
        else {
            return;
        };
        if from >= until {
            let begin = record.text("valid_from").unwrap_or_default();
            let end = &cell.text;
            let reason = format!(
                "validity ends ({end}) before it begins ({begin}): `valid_until` is the first day \
                 it no longer holds"
            );
            self.say(&cell.span, Reason::Rule(reason));
        }
    }

    /// The citation as the ledger keeps it: who, where in it, of which year, what it adds up, address.
    fn source(&mut self, record: &Record) -> String {
        let mut words = vec![record.text("source").unwrap_or_default().to_owned()];
        words.extend(record.text("source_id").map(|id| format!("no. {id}")));
        words.extend(record.text("year").map(|year| format!("data of {year}")));
        if let Some((use_itself, fuel)) = record.text(CLIMATE_TTW).zip(record.text(CLIMATE_WTT)) {
            words.push(format!("{use_itself} in use + {fuel} well to tank"));
        }
        words.extend(record.text("url").map(str::to_owned));
        let source = words.join("; ");
        if source.len() > SOURCE_MAX {
            let length = source.len();
            let reason = format!(
                "source, number, year, parts and address have {length} bytes together; the ledger \
                 keeps at most {SOURCE_MAX}: cite more briefly"
            );
            let at = record.fields.get("source").map_or(record.begin(), |cell| &cell.span).clone();
            self.say(&at, Reason::Rule(reason));
        }
        source
    }
}

/// Nothing is negative but the biogenic uptake, which is never positive.
fn plausible(dimension: Dimension, text: &str, value: Ratio) -> Result<Ratio, Reason> {
    let wrong = |why: &str| Reason::Amount { text: text.to_owned(), why: why.to_owned() };
    match (dimension, value.numerator().signum()) {
        (Dimension::BiogenicUptake, 1) => Err(wrong("an uptake is positive: write it below zero")),
        (Dimension::BiogenicUptake, _) | (_, 0 | 1) => Ok(value),
        _ => Err(wrong(
            "it is negative: only the biogenic uptake may be, and what is avoided is no footprint",
        )),
    }
}

fn lcm(a: i128, b: i128) -> Option<i128> {
    // The fraction a/b in lowest terms has the numerator a / gcd.
    a.checked_mul(b)?.checked_div(a.checked_div(Ratio::new(a, b)?.numerator())?)
}

fn per(text: &str) -> Result<Quantity, Reason> {
    let per = evaluate(text, |_| None)?.quantity()?;
    if per.amount == 0 {
        return Err(Reason::Rule("impacts per nothing: name an amount, e.g. 1 kg".to_owned()));
    }
    Ok(per)
}

fn rating(text: &str) -> Result<u8, Reason> {
    let rating = text.parse().ok().filter(|rating| (1..=5).contains(rating));
    rating.ok_or_else(|| {
        let reason = format!("`{text}` is no rating: data quality goes from 1 (best) to 5");
        Reason::Rule(reason)
    })
}

fn standing(text: &str) -> Result<Standing, Reason> {
    let name: StrDeserializer<'_, Error> = text.into_deserializer();
    Standing::deserialize(name).map_err(|_| {
        let hint = ": there is verified, quoted, unverified, proxy".to_owned();
        Reason::Unknown { kind: "standing", name: text.to_owned(), hint }
    })
}

fn report(text: &str) -> Result<GwpSet, Reason> {
    let name: StrDeserializer<'_, Error> = text.into_deserializer();
    GwpSet::deserialize(name).map_err(|_| {
        let hint = ": there is ar5, ar6, and unstated where the source does not say".to_owned();
        Reason::Unknown { kind: "gwp", name: text.to_owned(), hint }
    })
}

/// Midnight UTC at the beginning of a date.
fn midnight(text: &str) -> Result<Timestamp, Reason> {
    let moment = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok();
    let since = moment.and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok());
    let millis = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    millis.map(Timestamp::new).ok_or_else(|| {
        Reason::Rule(format!("`{text}` is no date from 1970 on: write it like 2025-01-01"))
    })
}
