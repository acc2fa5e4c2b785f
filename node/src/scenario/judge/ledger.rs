//! What only a ledger can say: what was delivered, what was sunk, what became of the orders.

use super::words::{amount, whole};
use super::{Bench, Finding, Unjudged, within};
use crate::measure::Ratio;
use crate::scenario::check::OrderCheck;
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::ContentHash;
use kerbholz_ledger::order::OrderState;
use kerbholz_ledger::quantity::Minor;

impl Bench<'_> {
    fn product(&self, variant: &str) -> Result<&Footprint, Unjudged> {
        let product = self.played(variant)?.product.as_ref();
        product.ok_or_else(|| Unjudged(format!("{variant} was not played")))
    }

    pub(super) fn delivered(
        &self,
        variant: &str,
        bounds: (Option<Ratio>, Option<Ratio>),
        dimension: Dimension,
    ) -> Finding {
        let undeclared = || {
            let dimension = dimension.name();
            Unjudged(format!("{dimension} is not declared for what {variant} delivers"))
        };
        let value = self.product(variant)?.declared(dimension).ok_or_else(undeclared)?;
        let value = whole(value);
        let because = format!("{variant} delivers {}", amount(value, dimension));
        Ok((within(value, bounds)?, because, None))
    }

    pub(super) fn undeclared(&self, variant: &str, dimension: Dimension) -> Finding {
        let product = self.product(variant)?;
        let known = amount(whole(product.get(dimension)), dimension);
        Ok(match product.declared(dimension) {
            Some(_) => (false, format!("{variant} declares {}: {known}", dimension.name()), None),
            None => {
                let dimension = dimension.name();
                (
                    true,
                    format!("{variant}: {dimension} not declared, {known} are known of it"),
                    None,
                )
            }
        })
    }

    /// Sources = what was delivered + what left the ledger, in every dimension.
    pub(super) fn conserved(&self, variants: &[String]) -> Finding {
        let mut because = Vec::new();
        let mut holds = true;
        for variant in variants {
            let booked = self.played(variant)?;
            let not_played = || Unjudged(format!("{variant} was not played"));
            let carried = booked.carried.as_ref().ok_or_else(not_played)?;
            let overflow = || Unjudged("the sum does not fit".to_owned());
            let sources = booked.total().ok_or_else(overflow)?;
            let differs =
                |dimension: &&Dimension| sources.get(**dimension) != carried.get(**dimension);
            let wrong: Vec<&str> =
                Dimension::ALL.iter().filter(differs).map(|dimension| dimension.name()).collect();
            holds &= wrong.is_empty();
            let climate = amount(whole(sources.get(Dimension::Climate)), Dimension::Climate);
            because.push(if wrong.is_empty() {
                format!("{variant}: {climate} booked, delivered or sunk, to the last unit")
            } else {
                format!("{variant}: what was booked is not what is carried in {}", wrong.join(", "))
            });
        }
        Ok((holds, because.join("; "), None))
    }

    pub(super) fn order(&self, check: &OrderCheck) -> Finding {
        let (order, variant) = (&check.order, &check.variant);
        let not_played = || Unjudged(format!("order {order} of {variant} was not played"));
        let fact = self.played(variant)?.orders.get(order).ok_or_else(not_played)?;
        let mut facts = Facts { holds: true, because: Vec::new() };
        if let Some(state) = check.state {
            facts.found("is", &state_name(state), &state_name(fact.state));
        }
        if let Some(by) = &check.confirmed_by {
            let found = fact.confirmed_by.as_deref().unwrap_or("nobody");
            facts.found("was confirmed by", by, found);
        }
        if let Some((minor, currency)) = &check.paid {
            let money = |minor: Minor, currency: &str| {
                format!("{}.{:02} {currency}", minor.get() / 100, minor.get() % 100)
            };
            facts.found("was paid", &money(*minor, currency), &money(fact.paid, &fact.currency));
        }
        if let Some(serves) = &check.serves {
            facts.found("serves", serves, fact.serves.as_deref().unwrap_or("none"));
        }
        if let Some(document) = &check.specification {
            let hash = |hash: Option<ContentHash>| hash.map_or("none".into(), |h| h.to_string());
            let expected = self.scenario.documents.get(document).map(|document| document.hash);
            facts.found("was specified by", &hash(expected), &hash(fact.specification));
        }
        Ok((facts.holds, format!("{order} {}", facts.because.join(", ")), None))
    }
}

/// What was found of an order, beside what was expected.
struct Facts {
    holds: bool,
    because: Vec<String>,
}

impl Facts {
    fn found(&mut self, what: &str, expected: &str, found: &str) {
        self.holds &= expected == found;
        self.because.push(if expected == found {
            format!("{what} {found}")
        } else {
            format!("{what} {found}, not {expected}")
        });
    }
}

fn state_name(state: OrderState) -> String {
    format!("{state:?}").to_lowercase()
}
