//! Emission factors: published, versioned, immutable; impacts per reference amount.

use crate::footprint::{
    Dimension, DimensionSet, EvidenceTier, Footprint, GwpSet, GwpSets, Overflow, mul_div_half_even,
};
use crate::id::FactorSetId;
use crate::quantity::{Milligrams, Quantity, Timestamp, Unit};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// How far a factor's figure can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Read in the source itself.
    Verified,
    /// Quoted by somebody else.
    Quoted,
    /// From memory or an unchecked source: books as [`EvidenceTier::Default`].
    Unverified,
    /// Stands in for something else: books as [`EvidenceTier::Default`].
    Proxy,
}

impl Standing {
    /// The tier that a use of such a factor books as: the activity's, or default.
    pub const fn tier(self, activity: EvidenceTier) -> EvidenceTier {
        match self {
            Self::Verified | Self::Quoted => activity,
            Self::Unverified | Self::Proxy => EvidenceTier::Default,
        }
    }
}

/// Data-quality ratings, 1 (best) to 5; 0 where there is none. What is not rated is not rated well:
/// the average rating of everything that it goes into is not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// How well the technology matches.
    pub technology: u8,
    /// How well the geography matches.
    pub geography: u8,
    /// How well the time matches.
    pub time: u8,
}

/// What a reference amount adds to one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    /// The dimension.
    pub dimension: Dimension,
    /// How much, in the dimension's unit, per reference amount.
    pub value: i128,
}

/// A factor: what a reference amount of some activity or product costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// Its name in the set, e.g. `electricity.DE`. At most 64 bytes.
    pub code: String,
    /// The amount the impacts are per.
    pub reference: Quantity,
    /// The impacts, ascending by dimension, none twice, none of the dimensions that the ledger
    /// derives itself (evidence tiers and quality ratings).
    pub impacts: Vec<Impact>,
    /// The dimensions it declares; a dimension declared without an impact is a declared zero.
    pub declared: DimensionSet,
    /// The assessment report behind its climate impact.
    pub gwp_set: GwpSet,
    /// Data-quality ratings.
    pub quality: Quality,
    /// Where it applies: ISO 3166 code or a name. At most 64 bytes.
    pub region: String,
    /// First moment it may be used for.
    pub valid_from: Timestamp,
    /// First moment it may no longer be used for.
    pub valid_until: Timestamp,
    /// Citation. At most 512 bytes.
    pub source: String,
    /// Licence of the figure. At most 128 bytes.
    pub licence: String,
    /// How far the figure can be relied on.
    pub standing: Standing,
}

/// Names a factor in one version of one set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FactorRef {
    /// The set.
    pub set: FactorSetId,
    /// The code in the set.
    pub code: String,
}

impl core::fmt::Display for FactorRef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} of set {}", self.code, self.set.short())
    }
}

/// The dimensions that the ledger itself derives from climate; no factor may set or omit them.
pub const DERIVED_DIMENSIONS: DimensionSet = DimensionSet::of(&[
    Dimension::ClimateMeasured,
    Dimension::ClimateDerived,
    Dimension::ClimateDefault,
    Dimension::ClimateByTechnologyRating,
    Dimension::ClimateByGeographyRating,
    Dimension::ClimateByTimeRating,
]);

impl Factor {
    /// The footprint of `amount` base units of the factor's reference unit: every impact times
    /// amount by reference, rounded half to even; climate also into its evidence tier and times its
    /// ratings; what is not declared joins the undeclared set.
    ///
    /// A factor that is unverified or a proxy books as default whatever the activity's tier.
    ///
    /// # Errors
    /// [`Overflow`] when a component does not fit.
    pub fn apply(&self, amount: u64, tier: EvidenceTier) -> Result<Footprint, Overflow> {
        let mut footprint = Footprint::ZERO;
        footprint.undeclared = self.declared.union(DERIVED_DIMENSIONS).complement();
        footprint.gwp_sets = GwpSets::only(self.gwp_set);
        for impact in &self.impacts {
            let value = mul_div_half_even(impact.value, amount, self.reference.amount)?;
            footprint.set(impact.dimension, value);
        }
        footprint.book_climate(self.tier(tier), self.quality)?;
        Ok(footprint)
    }

    /// What it is applied to for a lot: the lot's amount, or its mass when the factor is per mass. (A
    /// lot without mass is not covered by a factor per mass: the units differ.)
    pub fn applies_to(&self, quantity: Quantity, mass: Milligrams) -> Quantity {
        if self.reference.unit == Unit::Milligram && mass > Milligrams::ZERO {
            Quantity::new(mass.get(), Unit::Milligram)
        } else {
            quantity
        }
    }

    /// The tier that a use of this factor books as: the activity's, or default.
    pub const fn tier(&self, activity: EvidenceTier) -> EvidenceTier {
        self.standing.tier(activity)
    }
}

impl Footprint {
    /// Enters this footprint's climate in its evidence tier and times its ratings; where there is
    /// no rating, the product joins the undeclared set.
    ///
    /// # Errors
    /// [`Overflow`] when a product does not fit.
    pub fn book_climate(&mut self, tier: EvidenceTier, quality: Quality) -> Result<(), Overflow> {
        let climate = self.get(Dimension::Climate);
        self.set(
            match tier {
                EvidenceTier::Measured => Dimension::ClimateMeasured,
                EvidenceTier::Derived => Dimension::ClimateDerived,
                EvidenceTier::Default => Dimension::ClimateDefault,
            },
            climate,
        );
        for (dimension, rating) in [
            (Dimension::ClimateByTechnologyRating, quality.technology),
            (Dimension::ClimateByGeographyRating, quality.geography),
            (Dimension::ClimateByTimeRating, quality.time),
        ] {
            self.set(dimension, climate.checked_mul(i128::from(rating)).ok_or(Overflow)?);
            if rating == 0 {
                self.undeclared = self.undeclared.union(DimensionSet::of(&[dimension]));
            }
        }
        Ok(())
    }
}

/// Whether thresholds ascend by dimension, none of them negative.
pub fn is_valid_materiality(thresholds: &[Impact]) -> bool {
    thresholds.windows(2).all(|pair| pair[0].dimension < pair[1].dimension)
        && thresholds.iter().all(|threshold| threshold.value >= 0)
}
