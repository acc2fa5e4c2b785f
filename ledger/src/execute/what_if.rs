//! What the books would say under other factors: everything that was booked by a factor is booked anew
//! by the one of the same code, by the code that booked it, and the differences go their way to the
//! end. On an overlay: the state stays as it is.

use super::overlay::Overlay;
use super::restatements::{Found, apply, rebooked};
use super::wave::work_off;
use super::work::{Checked, Moment, Refusal, Totals, Work};
use crate::balance::each;
use crate::factor::{Factor, FactorRef};
use crate::footprint::Footprint;
use crate::id::{LotId, TransactionId, TransformationId};
use crate::query;
use crate::rejection::Code;
use crate::restatement::{Correction, Restatement, Source};
use crate::rows::{LotRow, Origin, Read, ReadError, Table, TransformationRow, key};
use alloc::{boxed::Box, collections::BTreeSet, string::String, vec::Vec};
use core::cell::Cell;

/// The books under other factors, beside as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// Everything that sources booked in.
    pub sources: Difference,
    /// Everything in stock.
    pub stock: Difference,
    /// Everything booked out.
    pub sinks: Difference,
    /// The whole of each lot that changes, in the order of flows.
    pub lots: Vec<LotDifference>,
    /// How many sources were booked by another factor.
    pub replaced: u64,
    /// The sources that stay as they are, and why.
    pub kept: Vec<Kept>,
}

/// A footprint as it is, and as it would be. Restatements that are on their way have arrived in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// As it is.
    pub is: Footprint,
    /// As it would be.
    pub would_be: Footprint,
}

/// A lot that would carry something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotDifference {
    /// The lot.
    pub lot: LotId,
    /// What it is.
    pub product: String,
    /// The footprint of the whole of it.
    pub whole: Difference,
}

/// A source that could not be booked by another factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The source.
    pub source: Source,
    /// What it is: the product of the lot, or the activity.
    pub what: String,
    /// The code of its factor; `None` for a supplier's own figures.
    pub code: Option<String>,
    /// Why it stays.
    pub why: KeptBecause,
    /// What it booked, and still does.
    pub footprint: Footprint,
}

/// Why a source stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptBecause {
    /// No factor has this code.
    NoSuchCode,
    /// A supplier gave its own figures: there is no factor to replace.
    Imported,
    /// The rules of booking refuse the factor: its unit is another, it did not hold then, it is too large.
    Refused(Code),
}

/// Computes the books under other factors: each stands for the factors of its code in all published sets.
///
/// # Errors
/// [`ReadError`] when the storage fails, or sums do not fit.
pub fn what_if(state: &dyn Read, factors: &[Factor]) -> Result<WhatIf, ReadError> {
    let ledger = query::ledger(state)?;
    let encoder = Cell::default();
    let mut settled = Work {
        state: Overlay::new(state, &encoder),
        totals: Totals::of(&ledger),
        events: Vec::new(),
        next_committee: None,
        moment: Moment {
            version: ledger.version,
            network: ledger.network,
            epoch: ledger.epoch,
            commit: ledger.commit,
            time: ledger.time,
            transaction: TransactionId::new([0; 32]),
            operation: 0,
        },
    };
    refusals_are_errors(work_off(&mut settled, usize::MAX))?;
    let before = settled.totals.clone();
    let mut work = Work {
        state: Overlay::new(&settled.state, &encoder),
        totals: before.clone(),
        events: Vec::new(),
        next_committee: None,
        moment: settled.moment,
    };
    let mut replacing =
        Replacing { factors, published: BTreeSet::new(), replaced: 0, kept: Vec::new() };
    each(&settled.state, Table::Lot, |id, lot: LotRow| {
        let id = <[u8; 32]>::try_from(id).map_err(|_| ReadError("a lot's key".into()))?;
        replacing.lot(&mut work, LotId::new(id), lot)
    })?;
    each(&settled.state, Table::Transformation, |id, row: TransformationRow| {
        let id =
            <[u8; 32]>::try_from(id).map_err(|_| ReadError("a transformation's key".into()))?;
        replacing.activities(&mut work, TransformationId::new(id), &row)
    })?;
    refusals_are_errors(work_off(&mut work, usize::MAX))?;
    let lots = changed(&settled.state, &work.state)?;
    let after = work.totals.clone();
    Ok(WhatIf {
        sources: Difference { is: before.sources, would_be: after.sources },
        stock: Difference { is: before.stock, would_be: after.stock },
        sinks: Difference { is: before.sinks, would_be: after.sinks },
        lots,
        replaced: replacing.replaced,
        kept: replacing.kept,
    })
}

fn refusals_are_errors<T>(outcome: Checked<T>) -> Result<T, ReadError> {
    outcome.map_err(|refusal| match refusal {
        Refusal::Storage(error) => error,
        Refusal::Rule(code) => ReadError(alloc::format!("what if: {}", code.name())),
    })
}

/// The lots whose whole differs between two states of the same lots.
fn changed(is: &dyn Read, would_be: &dyn Read) -> Result<Vec<LotDifference>, ReadError> {
    let mut lots = Vec::new();
    each(would_be, Table::Lot, |id, row: LotRow| {
        let id = <[u8; 32]>::try_from(id).map_err(|_| ReadError("a lot's key".into()))?;
        let id = LotId::new(id);
        let was = query::lot(is, id)?.ok_or_else(|| ReadError("a lot is missing".into()))?;
        let whole = Difference {
            is: query::whole(is, id, &was)?,
            would_be: query::whole(would_be, id, &row)?,
        };
        if whole.is != whole.would_be {
            lots.push((row.sequence, LotDifference { lot: id, product: row.product, whole }));
        }
        Ok::<_, ReadError>(())
    })?;
    lots.sort_by_key(|(sequence, _)| *sequence);
    Ok(lots.into_iter().map(|(_, lot)| lot).collect())
}

struct Replacing<'a> {
    factors: &'a [Factor],
    /// The published factors that already stand replaced in the overlay.
    published: BTreeSet<FactorRef>,
    replaced: u64,
    kept: Vec<Kept>,
}

impl Replacing<'_> {
    fn lot(&mut self, work: &mut Work<'_>, id: LotId, lot: LotRow) -> Result<(), ReadError> {
        let (factor, evidence) = match &lot.origin {
            Origin::Reading { factor, evidence, .. } => (Some(factor.clone()), evidence.clone()),
            Origin::Declared { factor, evidence } => (factor.clone(), evidence.clone()),
            Origin::Made { .. } | Origin::Part { .. } => return Ok(()),
        };
        let footprint = refusals_are_errors(work.whole(id, &lot))?;
        let (source, what) = (Source::Lot(id), lot.product.clone());
        self.source(
            work,
            Found::Lot(id, Box::new(lot)),
            (source, what, footprint),
            factor,
            evidence,
        )
    }

    fn activities(
        &mut self,
        work: &mut Work<'_>,
        id: TransformationId,
        row: &TransformationRow,
    ) -> Result<(), ReadError> {
        for (index, booked) in row.activities.iter().enumerate() {
            let activity = u32::try_from(index).map_err(|_| ReadError("an activity".into()))?;
            let source = Source::Activity { transformation: id, activity };
            // As it stands: an activity before it may have been replaced.
            let now = refusals_are_errors(work.transformation(id))?;
            let about = (source, booked.activity.name.clone(), booked.footprint.clone());
            let factor = Some(booked.activity.factor.clone());
            let evidence = booked.activity.evidence.clone();
            self.source(work, Found::Activity(id, Box::new(now), index), about, factor, evidence)?;
        }
        Ok(())
    }

    fn source(
        &mut self,
        work: &mut Work<'_>,
        found: Found,
        (source, what, footprint): (Source, String, Footprint),
        factor: Option<FactorRef>,
        evidence: Option<crate::operation::Evidence>,
    ) -> Result<(), ReadError> {
        let code = factor.as_ref().map(|factor| factor.code.clone());
        let mut keep = |why| {
            self.kept.push(Kept {
                source,
                what: what.clone(),
                code: code.clone(),
                why,
                footprint: footprint.clone(),
            });
            Ok(())
        };
        let Some(factor) = factor else { return keep(KeptBecause::Imported) };
        let Some(new) = self.factors.iter().find(|new| new.code == factor.code) else {
            return keep(KeptBecause::NoSuchCode);
        };
        if !self.published.contains(&factor) {
            let parts = [factor.set.as_bytes().as_slice(), factor.code.as_bytes()];
            work.state.put(key(Table::Factor, &parts), new);
            self.published.insert(factor.clone());
        }
        let correction = Correction::Factor(factor);
        let restatement = Restatement { source, correction, reason: String::new(), evidence };
        match rebooked(work, &found, &restatement) {
            Err(Refusal::Storage(error)) => Err(error),
            Err(Refusal::Rule(why)) => keep(KeptBecause::Refused(why)),
            Ok((before, after)) => {
                self.replaced += 1;
                if before.footprint == after.footprint {
                    return Ok(());
                }
                refusals_are_errors(apply(work, found, &restatement, &before, &after))
            }
        }
    }
}
