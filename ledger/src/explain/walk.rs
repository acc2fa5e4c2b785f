//! The way back from a lot to its sources.

use super::{Explanation, Inflow, Place, View, What};
use crate::factor::FactorRef;
use crate::footprint::{Dimension, EvidenceTier, Footprint, Overflow, in_proportion};
use crate::id::{LotId, TransformationId};
use crate::operation::Evidence;
use crate::query;
use crate::rows::{
    BookedRow, LotRow, MADE_OF_NOTHING, Origin, Read, ReadError, Table, TransformationRow,
    booked_key, key, read,
};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

/// Explains the whole of a lot, with what was taken of it since; `None` when there is no such lot.
///
/// At most `lots_max` lots are opened, those nearest to the lot in the order of flows first. What
/// was not opened is a source like any other: the shares still add up, and a further explanation
/// can begin there.
///
/// # Errors
/// [`ReadError`] when the storage fails or the state does not add up.
pub fn explain(
    state: &dyn Read,
    lot: LotId,
    view: View,
    lots_max: usize,
) -> Result<Option<Explanation>, ReadError> {
    let Some(row) = query::lot(state, lot)? else { return Ok(None) };
    let mut walk = Walk {
        state,
        view,
        places: Vec::new(),
        open: BTreeMap::new(),
        lots: BTreeMap::new(),
        transformations: BTreeMap::new(),
        standings: BTreeMap::new(),
    };
    let (whole, sequence) = (walk.whole(lot, &row)?, row.sequence);
    walk.put(What::Lot(lot, Box::new(row)), &whole, Some(sequence));
    walk.receive(0, &whole)?;
    let mut opened = 0;
    while let Some((sequence, place)) = walk.open.pop_last() {
        let is_lot = walk.places.get(place).is_some_and(|at| matches!(at.what, What::Lot(..)));
        if is_lot && opened >= lots_max.max(1) {
            break;
        }
        opened += usize::from(is_lot);
        walk.open(sequence, place)?;
    }
    Ok(Some(Explanation { places: walk.places, opened }))
}

/// What is known so far.
struct Walk<'a> {
    state: &'a dyn Read,
    view: View,
    places: Vec<Place>,
    /// Places that were not opened yet, by their place in the order of flows.
    open: BTreeMap<u64, usize>,
    lots: BTreeMap<LotId, usize>,
    transformations: BTreeMap<TransformationId, usize>,
    /// What a factor makes of the evidence, so that each is read once.
    standings: BTreeMap<FactorRef, Option<crate::factor::Standing>>,
}

fn damaged(text: &str) -> ReadError {
    ReadError(alloc::format!("an explanation does not add up: {text}"))
}

impl From<Overflow> for ReadError {
    fn from(_: Overflow) -> Self {
        damaged("a sum does not fit")
    }
}

impl Walk<'_> {
    /// What an entry was first booked with, where that is asked for and a restatement has come to it.
    fn booked(&self, entry: &[u8]) -> Result<Option<BookedRow>, ReadError> {
        match self.view {
            View::AsBooked => read(self.state, &booked_key(entry)),
            View::AsRestated => Ok(None),
        }
    }

    fn booked_lot(&self, id: LotId) -> Result<Option<Footprint>, ReadError> {
        if self.view == View::AsRestated {
            return Ok(None);
        }
        let row = self.booked(&key(Table::Lot, &[id.as_bytes()]))?;
        Ok(row.and_then(|row| row.footprints.into_iter().next()))
    }

    fn whole(&self, id: LotId, row: &LotRow) -> Result<Footprint, ReadError> {
        match self.booked_lot(id)? {
            Some(booked) => Ok(booked),
            None => query::whole(self.state, id, row),
        }
    }

    fn put(&mut self, what: What, sets_of: &Footprint, sequence: Option<u64>) -> usize {
        let place = self.places.len();
        let share = sets_of.emptied();
        self.places.push(Place { what, share, from: Vec::new(), tier: None });
        if let Some(sequence) = sequence {
            self.open.insert(sequence, place);
        }
        place
    }

    fn put_lot(&mut self, id: LotId, row: LotRow) -> Result<usize, ReadError> {
        let sets = self.booked_lot(id)?.unwrap_or_else(|| row.footprint.clone());
        let sequence = row.sequence;
        let place = self.put(What::Lot(id, Box::new(row)), &sets, Some(sequence));
        self.lots.insert(id, place);
        Ok(place)
    }

    /// The place of a lot, found before or read now.
    fn lot(&mut self, id: LotId, below: u64) -> Result<usize, ReadError> {
        if let Some(place) = self.lots.get(&id) {
            return Ok(*place);
        }
        let row = query::lot(self.state, id)?;
        let row = row.ok_or_else(|| damaged(&alloc::format!("lot {id} is missing")))?;
        if row.sequence >= below {
            return Err(damaged(&alloc::format!("lot {id} flows backwards")));
        }
        self.put_lot(id, row)
    }

    fn transformation(&mut self, id: TransformationId, below: u64) -> Result<usize, ReadError> {
        if let Some(place) = self.transformations.get(&id) {
            return Ok(*place);
        }
        let row = query::transformation(self.state, id)?;
        let missing = || damaged(&alloc::format!("transformation {id} is missing"));
        let row = row.ok_or_else(missing)?;
        if row.sequence >= below {
            return Err(damaged(&alloc::format!("transformation {id} flows backwards")));
        }
        let (sequence, sets) = (row.sequence, sets_of(&row));
        let place = self.put(What::Transformation(id, Box::new(row)), &sets, Some(sequence));
        self.transformations.insert(id, place);
        Ok(place)
    }

    /// Adds to what came through a place.
    fn receive(&mut self, place: usize, share: &Footprint) -> Result<(), ReadError> {
        let at = self.places.get_mut(place).ok_or_else(|| damaged("a place is missing"))?;
        at.share = at.share.shifted_by(share)?;
        Ok(())
    }

    /// Makes room for so many flows, each of which is large.
    fn flows_into(&mut self, place: usize, count: usize) -> Result<(), ReadError> {
        let at = self.places.get_mut(place).ok_or_else(|| damaged("a place is missing"))?;
        at.from.reserve_exact(count);
        Ok(())
    }

    /// A flow between two places.
    fn flow(&mut self, from: usize, to: usize, share: Footprint) -> Result<(), ReadError> {
        self.receive(from, &share)?;
        let at = self.places.get_mut(to).ok_or_else(|| damaged("a place is missing"))?;
        at.from.push(Inflow { place: from, share });
        Ok(())
    }

    /// Goes on from a place whose share is complete: everything that takes of it was opened before.
    fn open(&mut self, sequence: u64, place: usize) -> Result<(), ReadError> {
        let at = self.places.get_mut(place).ok_or_else(|| damaged("a place is missing"))?;
        let share = at.share.clone();
        // Taken out, so that it need not be copied, and put back below.
        let what = core::mem::replace(&mut at.what, What::InTransit { of: place });
        match &what {
            What::Lot(id, row) => self.open_lot(sequence, place, (*id, row), share)?,
            What::Transformation(id, row) => {
                self.open_transformation(sequence, place, (*id, row), &share)?;
            }
            What::Activity { .. } | What::Waste { .. } | What::InTransit { .. } => {}
        }
        let at = self.places.get_mut(place).ok_or_else(|| damaged("a place is missing"))?;
        at.what = what;
        Ok(())
    }

    fn open_lot(
        &mut self,
        sequence: u64,
        place: usize,
        (id, row): (LotId, &LotRow),
        share: Footprint,
    ) -> Result<(), ReadError> {
        let from = match &row.origin {
            Origin::Part { lot } => self.lot(*lot, sequence)?,
            Origin::Made { transformation, .. } => {
                self.transformation(*transformation, sequence)?
            }
            Origin::Reading { .. } | Origin::Declared { .. } => {
                let tier = self.tier_of_lot(id, row)?;
                self.set_tier(place, tier);
                return Ok(());
            }
        };
        self.flows_into(place, 1)?;
        self.flow(from, place, share)
    }

    fn open_transformation(
        &mut self,
        sequence: u64,
        place: usize,
        (id, row): (TransformationId, &TransformationRow),
        share: &Footprint,
    ) -> Result<(), ReadError> {
        let booked = self.booked(&key(Table::Transformation, &[id.as_bytes()]))?;
        let mut parts = booked.map_or_else(|| row.footprints(), |booked| booked.footprints);
        if row.waste > 0 {
            let mut waste = Footprint::ZERO;
            waste.set(Dimension::Waste, i128::try_from(row.waste).map_err(|_| Overflow)?);
            parts.push(waste);
        }
        let unsettled = share_out(share, &mut parts);
        self.flows_into(place, parts.len())?;
        let mut parts = parts.into_iter();
        for (taken, part) in row.inputs.iter().zip(&mut parts) {
            let from = self.lot(taken.portion.lot, sequence)?;
            self.flow(from, place, part)?;
        }
        for (activity, (booked, part)) in row.activities.iter().zip(&mut parts).enumerate() {
            let evidence = booked.activity.evidence.as_ref();
            let tier = self.tier(&booked.footprint, Some(&booked.activity.factor), evidence)?;
            let from = self.put(What::Activity { of: place, activity }, &part, None);
            self.set_tier(from, tier);
            self.flow(from, place, part)?;
        }
        for part in parts {
            let from = self.put(What::Waste { of: place }, &part, None);
            self.set_tier(from, rule(row.evidence.as_ref()));
            self.flow(from, place, part)?;
        }
        if !unsettled.is_zero() {
            let from = self.put(What::InTransit { of: place }, &unsettled, None);
            self.flow(from, place, unsettled)?;
        }
        Ok(())
    }

    fn set_tier(&mut self, place: usize, tier: EvidenceTier) {
        if let Some(at) = self.places.get_mut(place) {
            at.tier = Some(tier);
        }
    }

    fn tier_of_lot(&mut self, id: LotId, row: &LotRow) -> Result<EvidenceTier, ReadError> {
        // A factor says by itself what it books as, unless it is not the one that was booked by.
        let known =
            matches!(row.origin, Origin::Reading { .. } | Origin::Declared { factor: Some(_), .. });
        let whole = match (self.view, known) {
            (View::AsRestated, true) => Footprint::ZERO,
            _ => self.whole(id, row)?,
        };
        match &row.origin {
            Origin::Reading { by_host: false, factor, .. } => {
                self.weigh(&whole, Some(factor), EvidenceTier::Measured)
            }
            Origin::Reading { factor, evidence, .. } => {
                self.tier(&whole, Some(factor), evidence.as_ref())
            }
            Origin::Declared { factor, evidence } => {
                self.tier(&whole, factor.as_ref(), evidence.as_ref())
            }
            Origin::Made { .. } | Origin::Part { .. } => Ok(EvidenceTier::Default),
        }
    }

    fn tier(
        &mut self,
        booked: &Footprint,
        factor: Option<&FactorRef>,
        evidence: Option<&Evidence>,
    ) -> Result<EvidenceTier, ReadError> {
        self.weigh(booked, factor, rule(evidence))
    }

    /// The tier that a source booked its climate in; where it has none, the one it would have.
    fn weigh(
        &mut self,
        booked: &Footprint,
        factor: Option<&FactorRef>,
        activity: EvidenceTier,
    ) -> Result<EvidenceTier, ReadError> {
        let tiers = [
            (Dimension::ClimateMeasured, EvidenceTier::Measured),
            (Dimension::ClimateDerived, EvidenceTier::Derived),
            (Dimension::ClimateDefault, EvidenceTier::Default),
        ];
        if let Some((_, tier)) = tiers.iter().find(|(one, _)| booked.get(*one) != 0) {
            return Ok(*tier);
        }
        let Some(factor) = factor else { return Ok(activity) };
        let standing = match self.standings.get(factor) {
            Some(standing) => *standing,
            None => {
                let standing = query::factor(self.state, factor)?.map(|factor| factor.standing);
                self.standings.insert(factor.clone(), standing);
                standing
            }
        };
        Ok(standing.map_or(EvidenceTier::Default, |standing| standing.tier(activity)))
    }
}

/// Nothing, with the sets of everything that went into a transformation.
fn sets_of(row: &TransformationRow) -> Footprint {
    let mut sets = Footprint::ZERO;
    let activities = row.activities.iter().map(|booked| &booked.footprint);
    for part in row.inputs.iter().map(|taken| &taken.footprint).chain(activities) {
        sets.undeclared = sets.undeclared.union(part.undeclared);
        sets.gwp_sets = sets.gwp_sets.union(part.gwp_sets);
    }
    if row.inputs.is_empty() && row.activities.is_empty() {
        sets.undeclared = MADE_OF_NOTHING;
    }
    sets
}

/// Derived with evidence, default without: what whoever booked it had to show.
const fn rule(evidence: Option<&Evidence>) -> EvidenceTier {
    if evidence.is_some() { EvidenceTier::Derived } else { EvidenceTier::Default }
}

/// Turns parts into their shares of `total`, in proportion, and returns what they cannot account
/// for. The parts keep their sets.
fn share_out(total: &Footprint, parts: &mut [Footprint]) -> Footprint {
    let mut unsettled = Footprint::ZERO;
    let mut column = Vec::with_capacity(parts.len());
    for dimension in Dimension::ALL.iter().copied() {
        let value = total.get(dimension);
        column.clear();
        column.extend(parts.iter().map(|part| part.get(dimension)));
        let shares = if value == 0 { None } else { in_proportion(value, &column) };
        match shares {
            Some(shares) => {
                for (part, share) in parts.iter_mut().zip(shares) {
                    part.set(dimension, share);
                }
            }
            None => {
                unsettled.set(dimension, value);
                parts.iter_mut().for_each(|part| part.set(dimension, 0));
            }
        }
    }
    unsettled
}
