//! The footprint: an additive vector of exact integers, one component per dimension, with the set
//! of dimensions that something upstream did not declare.
//!
//! `docs/footprint.md` explains what is counted; the arithmetic is here and in
//! [`crate::factor`] (a factor times an amount).

mod rounding;

pub(crate) use rounding::{in_proportion, mul_div_floor, mul_div_half_even};

use alloc::vec::Vec;
use rounding::largest_remainder;
use serde::{Deserialize, Serialize};

/// A result that does not fit the integers the ledger keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amount does not fit the ledger's integers: split it into smaller amounts")]
pub struct Overflow;

/// Declares the dimensions once: order (part of the format), name and unit.
macro_rules! dimensions {
    ($($(#[$meta:meta])* $name:ident = $text:literal, $unit:literal;)*) => {
        /// One component of a footprint. The order is part of the format; adding one is a new
        /// version of the protocol.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Dimension { $($(#[$meta])* $name,)* }

        impl Dimension {
            /// All of them, in the order of the format.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name for tables and files.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The unit of its integers.
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)* }
            }
        }
    };
}

dimensions! {
    /// Final energy, cumulative.
    Energy = "energy", "J";
    /// Of it from renewable sources.
    RenewableEnergy = "renewable energy", "J";
    /// Input mass, cumulative.
    Material = "material", "mg";
    /// Of it recycled.
    RecycledMaterial = "recycled material", "mg";
    /// Water taken.
    Water = "water", "mL";
    /// Waste made.
    Waste = "waste", "mg";
    /// Of it electrical and electronic.
    ElectronicWaste = "e-waste", "mg";
    /// Global warming potential over 100 years, excluding biogenic uptake.
    Climate = "climate", "ng CO2e";
    /// Of climate: fossil.
    ClimateFossil = "climate, fossil", "ng CO2e";
    /// Of climate: land-use change.
    ClimateLandUse = "climate, land-use change", "ng CO2e";
    /// Of climate: aircraft, without radiative forcing.
    ClimateAircraft = "climate, aircraft", "ng CO2e";
    /// Carbon dioxide taken up by plants: zero or negative, never netted into climate.
    BiogenicUptake = "biogenic uptake", "ng CO2e";
    /// Fossil carbon in the product itself.
    FossilCarbonContent = "fossil carbon content", "ng C";
    /// Biogenic carbon in the product itself.
    BiogenicCarbonContent = "biogenic carbon content", "ng C";
    /// Abiotic depletion of elements, CML 2001.
    AbioticDepletion = "abiotic depletion", "ng Sb-eq";
    /// Human toxicity, CML 2001.
    HumanToxicity = "human toxicity", "ng 1,4-DCB-eq";
    /// Acidification, CML 2001.
    Acidification = "acidification", "ng SO2-eq";
    /// Of climate: from sources of tier measured.
    ClimateMeasured = "climate, measured", "ng CO2e";
    /// Of climate: from sources of tier derived.
    ClimateDerived = "climate, derived", "ng CO2e";
    /// Of climate: from sources of tier default.
    ClimateDefault = "climate, default", "ng CO2e";
    /// Climate times the rating of its technology (1 best to 5): divided by climate, the average.
    ClimateByTechnologyRating = "climate x technology rating", "ng CO2e";
    /// Climate times the rating of its geography.
    ClimateByGeographyRating = "climate x geography rating", "ng CO2e";
    /// Climate times the rating of its time.
    ClimateByTimeRating = "climate x time rating", "ng CO2e";
}

/// How many dimensions there are.
pub const DIMENSIONS: usize = Dimension::ALL.len();

/// A set of dimensions, one bit each in the order of [`Dimension::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DimensionSet(u32);

impl DimensionSet {
    /// No dimension.
    pub const EMPTY: Self = Self(0);
    /// Every dimension.
    pub const ALL: Self = Self((1 << DIMENSIONS) - 1);

    /// The set of these.
    pub const fn of(dimensions: &[Dimension]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < dimensions.len() {
            bits |= 1 << dimensions[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// Whether a dimension is in it.
    pub const fn contains(self, dimension: Dimension) -> bool {
        self.0 & (1 << dimension as u32) != 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in none of them, of all dimensions that exist.
    pub const fn complement(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }

    /// Whether only bits of dimensions that exist are set.
    pub const fn is_valid(self) -> bool {
        self.0 & !Self::ALL.0 == 0
    }

    /// Its members, in order.
    pub fn iter(self) -> impl Iterator<Item = Dimension> {
        Dimension::ALL.iter().copied().filter(move |dimension| self.contains(*dimension))
    }
}

/// The IPCC assessment report whose warming potentials a figure uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GwpSet {
    /// The source does not say.
    Unstated,
    /// Fifth assessment report (2013).
    Ar5,
    /// Sixth assessment report (2021).
    Ar6,
}

/// Which assessment reports have gone into a footprint; more than one is a mixture, and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GwpSets(u8);

impl GwpSets {
    /// Just this one.
    pub const fn only(set: GwpSet) -> Self {
        Self(1 << set as u8)
    }

    /// What is in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this one is in it.
    pub const fn contains(self, set: GwpSet) -> bool {
        self.0 & (1 << set as u8) != 0
    }

    /// Whether figures by more than one report have been added up.
    pub const fn is_mixed(self) -> bool {
        self.0.count_ones() > 1
    }
}

/// How well the activity behind a source is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceTier {
    /// Signed by a meter whose key is not the machine's.
    Measured,
    /// Computed from declared activity with evidence, by a published factor.
    Derived,
    /// No primary data.
    Default,
}

/// An additive footprint. Every component is an exact integer in its dimension's unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    values: [i128; DIMENSIONS],
    /// Dimensions that something in its history left undeclared: their value is a lower bound.
    pub undeclared: DimensionSet,
    /// The assessment reports behind its climate figures.
    pub gwp_sets: GwpSets,
}

impl Default for Footprint {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Footprint {
    /// Nothing, with everything declared.
    pub const ZERO: Self =
        Self { values: [0; DIMENSIONS], undeclared: DimensionSet::EMPTY, gwp_sets: GwpSets(0) };

    /// The component of a dimension, in its unit.
    pub const fn get(&self, dimension: Dimension) -> i128 {
        self.values[dimension as usize]
    }

    /// The component, or `None` where it is not declared: what every view shows.
    pub const fn declared(&self, dimension: Dimension) -> Option<i128> {
        if self.undeclared.contains(dimension) { None } else { Some(self.get(dimension)) }
    }

    /// All components, in the order of [`Dimension::ALL`].
    pub const fn values(&self) -> &[i128; DIMENSIONS] {
        &self.values
    }

    /// Sets a component.
    pub const fn set(&mut self, dimension: Dimension, value: i128) {
        self.values[dimension as usize] = value;
    }

    /// Nothing, with the sets of this footprint.
    pub const fn emptied(&self) -> Self {
        Self { values: [0; DIMENSIONS], undeclared: self.undeclared, gwp_sets: self.gwp_sets }
    }

    /// Whether every component is zero.
    pub fn is_zero(&self) -> bool {
        self.values.iter().all(|value| *value == 0)
    }

    /// The sum: components add, the undeclared sets and the report sets unite.
    ///
    /// # Errors
    /// [`Overflow`] when a component does not fit.
    pub fn checked_add(&self, other: &Self) -> Result<Self, Overflow> {
        let values = self.combine(other, i128::checked_add)?;
        Ok(Self {
            values,
            undeclared: self.undeclared.union(other.undeclared),
            gwp_sets: self.gwp_sets.union(other.gwp_sets),
        })
    }

    /// What remains when `other` is taken away: components subtract, the sets of `self` stay.
    ///
    /// # Errors
    /// [`Overflow`] when a component does not fit.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, Overflow> {
        let values = self.combine(other, i128::checked_sub)?;
        Ok(Self { values, undeclared: self.undeclared, gwp_sets: self.gwp_sets })
    }

    fn combine(
        &self,
        other: &Self,
        operation: impl Fn(i128, i128) -> Option<i128>,
    ) -> Result<[i128; DIMENSIONS], Overflow> {
        let mut values = [0; DIMENSIONS];
        for (index, value) in values.iter_mut().enumerate() {
            *value = operation(self.values[index], other.values[index]).ok_or(Overflow)?;
        }
        Ok(values)
    }

    /// The share of this footprint that goes with `part` of a stock of `whole`:
    /// `floor(F * part / whole)` per component. Taking all takes all, so nothing is lost to rounding.
    ///
    /// # Errors
    /// [`Overflow`] when `whole` is zero or `part` exceeds it (callers check the stock first).
    pub fn share(&self, part: u64, whole: u64) -> Result<Self, Overflow> {
        if whole == 0 || part > whole {
            return Err(Overflow);
        }
        if part == whole {
            return Ok(self.clone());
        }
        let mut share = self.emptied();
        for (value, share) in self.values.iter().zip(&mut share.values) {
            if *value != 0 {
                *share = mul_div_floor(*value, part, whole)?;
            }
        }
        Ok(share)
    }

    /// Splits this footprint over weights by the largest-remainder method: every part gets the
    /// floor of its share, and the units left over go to the largest remainders, ties by order.
    /// The parts add up to the whole exactly.
    ///
    /// # Errors
    /// [`Overflow`] when there is no weight above zero.
    pub fn allocate(&self, weights: &[u64]) -> Result<Vec<Self>, Overflow> {
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        if total == 0 {
            return Err(Overflow);
        }
        let nothing = Self { undeclared: self.undeclared, gwp_sets: self.gwp_sets, ..Self::ZERO };
        let mut parts = alloc::vec![nothing; weights.len()];
        // As a rule one output has weight, and waste has none.
        let mut heirs = weights.iter().zip(&mut parts).filter(|(weight, _)| **weight > 0);
        if let (Some((_, heir)), None) = (heirs.next(), heirs.next()) {
            heir.values = self.values;
            return Ok(parts);
        }
        let weights = weights.iter().map(|weight| u128::from(*weight));
        for (index, value) in self.values.iter().enumerate().filter(|(_, value)| **value != 0) {
            let shares = largest_remainder(*value, weights.clone(), total)?;
            for (part, share) in parts.iter_mut().zip(shares) {
                part.values[index] = share;
            }
        }
        Ok(parts)
    }
}

impl Footprint {
    /// This footprint after a change: the components add, the sets are the change's. A change is a
    /// footprint that holds differences, and the sets as they shall be.
    ///
    /// # Errors
    /// [`Overflow`] when a component does not fit.
    pub fn changed_by(&self, change: &Self) -> Result<Self, Overflow> {
        let values = self.combine(change, i128::checked_add)?;
        Ok(Self { values, undeclared: change.undeclared, gwp_sets: change.gwp_sets })
    }

    /// This footprint with a change's components added; its own sets stay.
    ///
    /// # Errors
    /// [`Overflow`] when a component does not fit.
    pub fn shifted_by(&self, change: &Self) -> Result<Self, Overflow> {
        let values = self.combine(change, i128::checked_add)?;
        Ok(Self { values, undeclared: self.undeclared, gwp_sets: self.gwp_sets })
    }

    /// Whether the sets of undeclared dimensions and of assessment reports are those of another.
    pub fn has_sets_of(&self, other: &Self) -> bool {
        self.undeclared == other.undeclared && self.gwp_sets == other.gwp_sets
    }
}
