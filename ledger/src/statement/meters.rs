//! What became of what meters counted: drawn by work, expensed as base load, or not claimed by anybody.

use super::{Books, add_up_error as overflow};
use crate::footprint::Footprint;
use crate::id::{LotId, MemberId};
use crate::operation::SinkKind;
use crate::query;
use crate::rows::{LotRow, Origin, Read, ReadError, Taken};
use alloc::{collections::BTreeMap, string::String, vec::Vec};

/// A meter's account: `counted = drawn + base load + booked out + unclaimed`, in its own unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterStatement {
    /// What it counts.
    pub product: String,
    /// The machine that owns what it counts.
    pub host: MemberId,
    /// How many readings there are.
    pub readings: u64,
    /// All that was counted.
    pub counted: u128,
    /// By work, the host's or, where it was handed on, anybody's.
    pub drawn: u128,
    /// Booked out as base load: it runs, and no work pays for it.
    pub base_load: u128,
    /// Booked out in another way.
    pub booked_out: u128,
    /// What nobody has claimed yet.
    pub unclaimed: u128,
    /// What all of it carried.
    pub footprint: Footprint,
    /// What the base load carried.
    pub base_load_footprint: Footprint,
    /// What is not claimed carries.
    pub unclaimed_footprint: Footprint,
}

pub(super) fn add_up(
    state: &dyn Read,
    books: &Books,
) -> Result<BTreeMap<MemberId, MeterStatement>, ReadError> {
    let mut meters: BTreeMap<MemberId, MeterStatement> = BTreeMap::new();
    let mut metered: BTreeMap<LotId, MemberId> = BTreeMap::new();
    // A part has a higher place than what it is a part of.
    let mut lots: Vec<(&LotId, &LotRow)> = books.lots.iter().collect();
    lots.sort_by_key(|(_, lot)| lot.sequence);
    for (id, lot) in lots {
        let meter = match &lot.origin {
            Origin::Reading { meter, .. } => Some(*meter),
            Origin::Part { lot } => metered.get(lot).copied(),
            Origin::Declared { .. } | Origin::Made { .. } => None,
        };
        let Some(meter) = meter else { continue };
        metered.insert(*id, meter);
        let account = meters.entry(meter).or_insert_with(|| empty(lot));
        account.unclaimed = add(account.unclaimed, lot.quantity.amount)?;
        account.unclaimed_footprint =
            account.unclaimed_footprint.checked_add(&lot.footprint).map_err(overflow)?;
        if matches!(lot.origin, Origin::Reading { .. }) {
            account.readings += 1;
            account.counted = add(account.counted, lot.original)?;
            let whole = query::whole(state, *id, lot)?;
            account.footprint = account.footprint.checked_add(&whole).map_err(overflow)?;
        }
    }
    for taken in books.transformations.values().flat_map(|row| &row.inputs) {
        if let Some(account) = account(&mut meters, &metered, taken) {
            account.drawn = add(account.drawn, taken.portion.quantity.amount)?;
        }
    }
    for sink in &books.sinks {
        let Some(account) = account(&mut meters, &metered, &sink.taken) else { continue };
        let amount = sink.taken.portion.quantity.amount;
        if sink.kind == SinkKind::BaseLoad {
            account.base_load = add(account.base_load, amount)?;
            let sum = account.base_load_footprint.checked_add(&sink.taken.footprint);
            account.base_load_footprint = sum.map_err(overflow)?;
        } else {
            account.booked_out = add(account.booked_out, amount)?;
        }
    }
    Ok(meters)
}

/// The account of the meter that counted what was taken, if one did.
fn account<'a>(
    meters: &'a mut BTreeMap<MemberId, MeterStatement>,
    metered: &BTreeMap<LotId, MemberId>,
    taken: &Taken,
) -> Option<&'a mut MeterStatement> {
    meters.get_mut(metered.get(&taken.portion.lot)?)
}

fn empty(lot: &LotRow) -> MeterStatement {
    MeterStatement {
        product: lot.product.clone(),
        host: lot.owner,
        readings: 0,
        counted: 0,
        drawn: 0,
        base_load: 0,
        booked_out: 0,
        unclaimed: 0,
        footprint: Footprint::ZERO,
        base_load_footprint: Footprint::ZERO,
        unclaimed_footprint: Footprint::ZERO,
    }
}

fn add(sum: u128, amount: u64) -> Result<u128, ReadError> {
    sum.checked_add(u128::from(amount)).ok_or(overflow(crate::footprint::Overflow))
}
