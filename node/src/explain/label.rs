//! Names for what an explanation goes through: members, steps, sources and their factors.

use kerbholz_ledger::explain::{Explanation, Place, View, What};
use kerbholz_ledger::factor::{FactorRef, Standing};
use kerbholz_ledger::footprint::{Dimension, EvidenceTier};
use kerbholz_ledger::id::{MemberId, TransformationId};
use kerbholz_ledger::quantity::{Quantity, Unit};
use kerbholz_ledger::query;
use kerbholz_ledger::restatement::{RestatementState, Source};
use kerbholz_ledger::rows::{
    LotRow, Origin, Read, ReadError, RestatementRow, Table, TransformationRow, booked_key, key,
    read,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The kind of source of what lies beyond the bound.
pub(super) const NOT_OPENED: &str = "not opened";

/// A source, as people know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// What it is: a product, an activity, waste.
    pub what: String,
    /// Its kind: `material`, `energy`, `transport`, `service`, `process`, `waste`, `in transit` or
    /// `not opened`.
    pub kind: &'static str,
    /// The lot or transformation that it stands with.
    pub id: String,
    /// How much of it there is; of a lot the whole, of which this lot may have taken a part.
    pub amount: Option<Amount>,
    /// Who booked it.
    pub by: String,
    /// Whose machine that is.
    pub organisation: String,
    /// How well it is known.
    pub tier: Option<EvidenceTier>,
    /// By which factor; `None` for a supplier's own figures, for waste, and for what is not opened.
    pub factor: Option<FactorLabel>,
    /// What it does not declare.
    pub undeclared: Vec<&'static str>,
    /// How it was first booked, where a restatement has changed tier or factor.
    pub as_booked: Option<FirstBooked>,
}

/// What a source was known by when it was booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstBooked {
    /// How well.
    pub tier: Option<EvidenceTier>,
    /// By which factor.
    pub factor: Option<FactorLabel>,
}

impl Label {
    /// What it is, with its factor where there is one.
    pub fn name(&self) -> String {
        match &self.factor {
            Some(factor) => format!("{} ({})", self.what, factor.code),
            None => self.what.clone(),
        }
    }

    /// How well it is known, or was when it was booked.
    pub fn tier_in(&self, view: View) -> Option<EvidenceTier> {
        self.first(view).map_or(self.tier, |first| first.tier)
    }

    /// By which factor it is booked, or first was.
    pub fn factor_in(&self, view: View) -> Option<&FactorLabel> {
        self.first(view).map_or(self.factor.as_ref(), |first| first.factor.as_ref())
    }

    fn first(&self, view: View) -> Option<&FirstBooked> {
        self.as_booked.as_ref().filter(|_| view == View::AsBooked)
    }

    /// Remembers how it was first booked, if that was otherwise.
    pub(super) fn was(&mut self, first: Self) {
        if (first.tier, &first.factor) != (self.tier, &self.factor) {
            self.as_booked = Some(FirstBooked { tier: first.tier, factor: first.factor });
        }
    }
}

/// A quantity for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub amount: u64,
    /// Of which base unit.
    pub unit: &'static str,
}

impl From<Quantity> for Amount {
    fn from(quantity: Quantity) -> Self {
        Self { amount: quantity.amount, unit: quantity.unit.symbol() }
    }
}

/// A factor, as its publisher describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactorLabel {
    /// Its code.
    pub code: String,
    /// The set and version.
    pub set: String,
    /// Where it applies.
    pub region: String,
    /// How far it can be relied on.
    pub standing: Option<Standing>,
    /// The citation.
    pub source: String,
}

/// Reads names, each row once.
pub struct Names<'a> {
    state: &'a dyn Read,
    /// A member's name and its organisation.
    members: BTreeMap<MemberId, (String, MemberId)>,
    factors: BTreeMap<FactorRef, FactorLabel>,
    /// What transformations made, of the lots that are explained.
    products: BTreeMap<TransformationId, String>,
}

impl<'a> Names<'a> {
    /// Of what is in this state.
    pub fn new(state: &'a dyn Read) -> Self {
        let (members, factors, products) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { state, members, factors, products }
    }

    /// Learns what was made in the steps of an explanation.
    pub fn learn(&mut self, of: &Explanation) {
        for place in &of.places {
            let What::Lot(_, lot) = &place.what else { continue };
            if let Origin::Made { transformation, .. } = &lot.origin {
                self.products.entry(*transformation).or_insert_with(|| lot.product.clone());
            }
        }
    }

    fn read_member(&mut self, id: MemberId) -> Result<(String, MemberId), ReadError> {
        if let Some(known) = self.members.get(&id) {
            return Ok(known.clone());
        }
        let row = query::member(self.state, id)?;
        let known = row.map_or_else(|| (id.short(), id), |row| (row.name, row.organisation));
        self.members.insert(id, known.clone());
        Ok(known)
    }

    /// What a member is called.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn member(&mut self, id: MemberId) -> Result<String, ReadError> {
        Ok(self.read_member(id)?.0)
    }

    /// What the organisation of a member is called.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn organisation(&mut self, of: MemberId) -> Result<String, ReadError> {
        let organisation = self.read_member(of)?.1;
        self.member(organisation)
    }

    /// A machine with its organisation.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn machine(&mut self, id: MemberId) -> Result<String, ReadError> {
        let (name, organisation) = self.read_member(id)?;
        if organisation == id {
            return Ok(name);
        }
        Ok(format!("{name} of {}", self.member(organisation)?))
    }

    /// A factor with its set.
    fn factor(&mut self, of: &FactorRef) -> Result<FactorLabel, ReadError> {
        if let Some(known) = self.factors.get(of) {
            return Ok(known.clone());
        }
        let set = query::factor_set(self.state, of.set)?;
        let factor = query::factor(self.state, of)?;
        let standing = factor.as_ref().map(|factor| factor.standing);
        let (region, source) = factor.map(|it| (it.region, it.source)).unwrap_or_default();
        let set = set.map_or_else(|| of.set.short(), |set| format!("{}@{}", set.name, set.version));
        let label = FactorLabel { code: of.code.clone(), set, region, standing, source };
        self.factors.insert(of.clone(), label.clone());
        Ok(label)
    }

    /// What the step of an entry is called.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn stage(&mut self, of: &Explanation, step: Option<usize>) -> Result<String, ReadError> {
        match step.and_then(|at| of.places.get(at)).map(|at| &at.what) {
            Some(What::Transformation(id, row)) => self.step(*id, row),
            _ => Ok("brought in, and not worked on".to_owned()),
        }
    }

    /// What a transformation is called: the service that was ordered, or what was made; and by whom.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn step(
        &mut self,
        id: TransformationId,
        row: &TransformationRow,
    ) -> Result<String, ReadError> {
        let machine = self.member(row.machine)?;
        let order = row.order.map(|id| query::order(self.state, id)).transpose()?.flatten();
        if let Some(order) = order {
            return Ok(format!("{} · {machine}", order.terms.service));
        }
        let product = self.products.get(&id).map_or("own work", String::as_str);
        Ok(format!("{product} · {machine}"))
    }

    /// The restatement that first came to a source.
    fn first_restatement(&self, source: Source) -> Result<Option<RestatementRow>, ReadError> {
        /// More of one source are not looked through.
        const MOST: usize = 1_000;
        let (of, entry) = match source {
            Source::Lot(id) => (*id.as_bytes(), Table::Lot),
            Source::Activity { transformation: id, .. } => (*id.as_bytes(), Table::Transformation),
        };
        // As a rule none has.
        if self.state.get(&booked_key(&key(entry, &[&of])))?.is_none() {
            return Ok(None);
        }
        let prefix = key(Table::RestatementOf, &[&of]);
        let mut first: Option<RestatementRow> = None;
        for (mark, _) in self.state.scan(&prefix, &prefix, MOST)? {
            let id = mark.get(prefix.len()..).unwrap_or_default();
            let row: Option<RestatementRow> = read(self.state, &key(Table::Restatement, &[id]))?;
            let applied = row.filter(|row| {
                row.state == RestatementState::Applied && row.restatement.source == source
            });
            let earlier = |row: &RestatementRow| {
                first.as_ref().is_none_or(|first| row.changed_at < first.changed_at)
            };
            first = applied.filter(earlier).or(first);
        }
        Ok(first)
    }

    /// The factor of a source, in a view.
    fn factor_of(
        &mut self,
        of: &Explanation,
        at: &Place,
        view: View,
    ) -> Result<Option<FactorLabel>, ReadError> {
        let source = match (&at.what, view) {
            (What::Lot(id, _), View::AsBooked) => Some(Source::Lot(*id)),
            (What::Activity { of: step, activity }, View::AsBooked) => {
                let id = match of.places.get(*step).map(|step| &step.what) {
                    Some(What::Transformation(id, _)) => Some(*id),
                    _ => None,
                };
                let activity = u32::try_from(*activity).ok();
                id.zip(activity)
                    .map(|(transformation, activity)| Source::Activity { transformation, activity })
            }
            _ => None,
        };
        let first = source.map(|source| self.first_restatement(source)).transpose()?.flatten();
        let factor = match first {
            Some(first) => first.before.factor,
            None => of.factor(at).cloned(),
        };
        factor.map(|factor| self.factor(&factor)).transpose()
    }

    /// What a source is; with tier and factor as in a view, which is the explanation's.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn source(
        &mut self,
        of: &Explanation,
        place: usize,
        view: View,
    ) -> Result<Label, ReadError> {
        let missing = || ReadError("an explanation names a place that it has not".to_owned());
        let at = of.places.get(place).ok_or_else(missing)?;
        let factor = self.factor_of(of, at, view)?;
        let (what, kind, id, amount, by) = match &at.what {
            What::Lot(id, lot) => {
                let amount = Quantity::new(lot.original, lot.quantity.unit);
                (lot.product.clone(), kind_of_lot(lot), id.to_string(), Some(amount), lot.owner)
            }
            What::Transformation(id, row) => {
                let what = self.step(*id, row)?;
                (what, NOT_OPENED, id.to_string(), None, row.machine)
            }
            What::Activity { of: step, activity } => {
                let row = of.transformation(*step).ok_or_else(missing)?;
                let booked = row.activities.get(*activity).ok_or_else(missing)?;
                let (name, amount) = (booked.activity.name.clone(), booked.activity.amount);
                let id = row.transaction.to_string();
                (name, kind_of_activity(amount.unit), id, Some(amount), row.machine)
            }
            What::Waste { of: step } => {
                let row = of.transformation(*step).ok_or_else(missing)?;
                let amount = u64::try_from(row.waste).unwrap_or(u64::MAX);
                let amount = Some(Quantity::new(amount, Unit::Milligram));
                ("waste".to_owned(), "waste", row.transaction.to_string(), amount, row.machine)
            }
            What::InTransit { of: step } => {
                let row = of.transformation(*step).ok_or_else(missing)?;
                let what = "a restatement on its way".to_owned();
                (what, "in transit", row.transaction.to_string(), None, row.machine)
            }
        };
        Ok(Label {
            what,
            kind,
            id,
            amount: amount.map(Amount::from),
            by: self.machine(by)?,
            organisation: self.organisation(by)?,
            tier: at.tier,
            factor,
            undeclared: at.share.undeclared.iter().map(Dimension::name).collect(),
            as_booked: None,
        })
    }
}

const fn kind_of_lot(lot: &LotRow) -> &'static str {
    match (&lot.origin, lot.quantity.unit) {
        (Origin::Made { .. } | Origin::Part { .. }, _) => NOT_OPENED,
        (_, Unit::Joule) => "energy",
        (_, Unit::KilogramMetre) => "transport",
        (_, Unit::Byte | Unit::Second) => "service",
        (_, Unit::Milligram | Unit::Millilitre | Unit::Piece | Unit::Millimetre) => "material",
    }
}

const fn kind_of_activity(unit: Unit) -> &'static str {
    match unit {
        Unit::Joule => "energy",
        Unit::KilogramMetre => "transport",
        Unit::Byte | Unit::Second => "service",
        Unit::Milligram | Unit::Millilitre | Unit::Piece | Unit::Millimetre => "process",
    }
}
