//! The finest exact parts of an explanation: each source, at each step where it came in.

use super::{Explanation, Place, What};
use crate::footprint::Footprint;
use crate::rows::Origin;
use alloc::vec::Vec;

/// What a source put into a lot at one step. All entries of an explanation add up to the lot's
/// footprint, and so do their groups by step, by source, by tier or by who booked them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The place of the source.
    pub source: usize,
    /// The place of the transformation where it came in; `None` where the lot was never worked on.
    pub step: Option<usize>,
    /// What of the lot's footprint it is.
    pub share: &'a Footprint,
}

impl Explanation {
    /// All entries, those of the steps nearest to the lot first.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let ends = self.ends();
        let end = |place: usize| ends.get(place).copied().flatten();
        if let (Some(source), Some(root)) = (end(0), self.places.first()) {
            return alloc::vec![Entry { source, step: None, share: &root.share }];
        }
        let mut entries = Vec::new();
        for (index, place) in self.places.iter().enumerate() {
            if end(index).is_some() {
                continue;
            }
            let step = matches!(place.what, What::Transformation(..)).then_some(index);
            for flow in &place.from {
                if let Some(source) = end(flow.place) {
                    entries.push(Entry { source, step, share: &flow.share });
                }
            }
        }
        entries
    }

    /// For each place the source that it is, or is a part of, through however many hands.
    fn ends(&self) -> Vec<Option<usize>> {
        let passes = |place: &Place| {
            let part = matches!(
                &place.what,
                What::Lot(_, lot) if matches!(lot.origin, Origin::Part { .. })
            );
            place.from.first().filter(|_| part).map(|flow| flow.place)
        };
        let mut ends: Vec<Option<usize>> = (0..self.places.len())
            .map(|place| Some(place).filter(|at| self.places[*at].from.is_empty()))
            .collect();
        // From each part along the chain to its end, and back: every place is entered once.
        let mut done: Vec<bool> = ends.iter().map(Option::is_some).collect();
        for start in 0..self.places.len() {
            let (mut chain, mut at) = (Vec::new(), start);
            while !done[at] {
                done[at] = true;
                chain.push(at);
                let Some(next) = passes(&self.places[at]) else { break };
                at = next;
            }
            let end = ends[at];
            chain.into_iter().for_each(|place| ends[place] = end);
        }
        ends
    }
}
