//! Explaining a lot: from which sources its footprint comes, and on which ways, to the last unit.
//!
//! [`explain`] goes backwards through the recorded flows. What came through an entry is shared out
//! over what went into it, in proportion and by the largest remainder, so that the shares of all
//! sources add up to the lot's footprint exactly, in every dimension. Entries are taken by their place
//! in the order of flows, the latest first: whatever a lot passes on comes from a lower place, so
//! several ways meet before they go on, and each entry is gone through once, however many ways
//! lead to it.

mod entries;
mod walk;

pub use entries::Entry;
pub use walk::explain;

use crate::factor::FactorRef;
use crate::footprint::{Dimension, EvidenceTier, Footprint, in_proportion};
use crate::id::{LotId, TransformationId};
use crate::rows::{LotRow, TransformationRow};
use alloc::{boxed::Box, vec::Vec};

/// Which figures of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// Those that every entry was first booked with.
    AsBooked,
    /// Those that stand now.
    AsRestated,
}

/// Where a lot's footprint comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Every entry that footprint came through, each once; the lot asked for is the first.
    pub places: Vec<Place>,
    /// How many lots were gone through; those beyond the bound are sources that were not opened.
    pub opened: usize,
}

/// An entry that footprint came through, or where it was booked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub what: What,
    /// What of the lot's footprint came through here. The sets of undeclared dimensions and of
    /// assessment reports are the entry's own.
    pub share: Footprint,
    /// From where it came; nothing for a source.
    pub from: Vec<Inflow>,
    /// How well a source is known; `None` for what passes on, and what was not opened.
    pub tier: Option<EvidenceTier>,
}

/// A flow into a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflow {
    /// From which of [`Explanation::places`].
    pub place: usize,
    /// What of the lot's footprint came this way; the sets are those of the flow.
    pub share: Footprint,
}

/// What a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A lot: a source (read or declared), a part of another, or made.
    Lot(LotId, Box<LotRow>),
    /// The making of lots.
    Transformation(TransformationId, Box<TransformationRow>),
    /// An activity of a transformation: a source.
    Activity {
        /// The place of the transformation.
        of: usize,
        /// Which of its activities.
        activity: usize,
    },
    /// The waste of a transformation, which books its mass in as waste: a source.
    Waste {
        /// The place of the transformation.
        of: usize,
    },
    /// What nothing that went into a transformation accounts for: the difference of a restatement
    /// that is still on its way there.
    InTransit {
        /// The place of the transformation.
        of: usize,
    },
}

impl Explanation {
    /// The lot's footprint: that of the whole lot, with everything that was taken of it since.
    pub fn footprint(&self) -> &Footprint {
        // `explain` puts the lot first, and makes no explanation without it.
        self.places.first().map_or(&Footprint::ZERO, |place| &place.share)
    }

    /// The factor of a source; `None` for a supplier's own figures, and where there is none. After a
    /// restatement it is the present one, in both views.
    pub fn factor<'a>(&'a self, place: &'a Place) -> Option<&'a FactorRef> {
        use crate::rows::Origin;
        match &place.what {
            What::Lot(_, lot) => match &lot.origin {
                Origin::Reading { factor, .. } => Some(factor),
                Origin::Declared { factor, .. } => factor.as_ref(),
                Origin::Made { .. } | Origin::Part { .. } => None,
            },
            What::Activity { of, activity } => {
                let made = self.transformation(*of)?;
                Some(&made.activities.get(*activity)?.activity.factor)
            }
            What::Transformation(..) | What::Waste { .. } | What::InTransit { .. } => None,
        }
    }

    /// How a part of what came through a place came in: the flows in their order, each with what of
    /// `value` came that way, in proportion. They add up to `value`, unless nothing came in at all.
    pub fn branches(&self, place: usize, value: i128, dimension: Dimension) -> Vec<(usize, i128)> {
        let flows = self.places.get(place).map_or(&[][..], |place| &place.from);
        let shares: Vec<i128> = flows.iter().map(|flow| flow.share.get(dimension)).collect();
        let parts = in_proportion(value, &shares).unwrap_or(shares);
        flows.iter().map(|flow| flow.place).zip(parts).collect()
    }

    /// The transformation at a place.
    pub fn transformation(&self, place: usize) -> Option<&TransformationRow> {
        match &self.places.get(place)?.what {
            What::Transformation(_, row) => Some(row),
            _ => None,
        }
    }
}
