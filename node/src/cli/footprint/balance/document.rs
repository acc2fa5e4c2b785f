//! The books for programs: all dimensions, exact, in every view.

use super::super::super::error::CliError;
use super::super::super::view;
use super::{Shown, in_time};
use kerbholz_client::ledger::rows::ReadError;
use kerbholz_client::ledger::statement::Statement;
use serde_json::{Value, json};

impl Shown<'_> {
    /// Everything there is in a statement.
    pub(super) fn json(&mut self, of: &Statement) -> Result<Value, CliError> {
        let balance = &of.balance;
        let routes = balance.routes.iter().map(
            |(kind, footprint)| json!({ "kind": kind, "footprint": view::footprint(footprint) }),
        );
        let open = of.open.iter().map(|(dimension, open)| {
            let climate = open.climate.to_string();
            json!({ "dimension": dimension.name(), "sources": open.sources, "climate_ng": climate })
        });
        Ok(json!({
            "sources": view::footprint(&balance.sources), "stock": view::footprint(&balance.stock),
            "sinks": view::footprint(&balance.sinks), "routes": routes.collect::<Vec<_>>(),
            "in_transit": view::footprint(&balance.in_transit), "lots": balance.lots,
            "period_ms": self.length.get(), "flows": self.flow_documents(of)?,
            "stock_by_organisation": self.stock_documents(of)?,
            "products": self.product_documents(of)?, "meters": self.meter_documents(of)?,
            "sources_counted": of.sources, "not_declared": open.collect::<Vec<_>>(),
            "accuracy": self.accuracy_documents(of)?, "upkeep": Self::upkeep_documents(of),
        }))
    }

    fn flow_documents(&mut self, of: &Statement) -> Result<Vec<Value>, ReadError> {
        let mut documents = Vec::new();
        for ((organisation, period), flows) in in_time(of) {
            documents.push(json!({
                "organisation": self.names.member(organisation)?, "from": self.begin(period),
                "booked_in": view::footprint(&flows.booked_in),
                "received": view::footprint(&flows.received),
                "handed_over": view::footprint(&flows.handed_over),
                "booked_out": view::footprint(&flows.booked_out),
            }));
        }
        Ok(documents)
    }

    fn stock_documents(&mut self, of: &Statement) -> Result<Vec<Value>, ReadError> {
        let mut documents = Vec::new();
        for (organisation, footprint) in &of.stock {
            let name = self.names.member(*organisation)?;
            documents
                .push(json!({ "organisation": name, "footprint": view::footprint(footprint) }));
        }
        Ok(documents)
    }

    fn product_documents(&mut self, of: &Statement) -> Result<Vec<Value>, ReadError> {
        let mut documents = Vec::new();
        for (key, entered) in &of.products {
            documents.push(json!({
                "product": key.product, "unit": key.unit.symbol(), "made": key.made,
                "organisation": self.names.member(key.organisation)?,
                "from": self.begin(key.period), "lots": entered.lots,
                "quantity": entered.quantity.to_string(),
                "mass_mg": entered.mass_mg.to_string(),
                "footprint": view::footprint(&entered.footprint),
            }));
        }
        Ok(documents)
    }

    fn meter_documents(&mut self, of: &Statement) -> Result<Vec<Value>, ReadError> {
        let mut documents = Vec::new();
        for (meter, account) in &of.meters {
            documents.push(json!({
                "meter": self.names.member(*meter)?, "host": self.names.machine(account.host)?,
                "product": account.product, "readings": account.readings,
                "counted": account.counted.to_string(), "drawn": account.drawn.to_string(),
                "base_load": account.base_load.to_string(),
                "booked_out": account.booked_out.to_string(),
                "unclaimed": account.unclaimed.to_string(),
                "footprint": view::footprint(&account.footprint),
                "base_load_footprint": view::footprint(&account.base_load_footprint),
                "unclaimed_footprint": view::footprint(&account.unclaimed_footprint),
            }));
        }
        Ok(documents)
    }

    fn accuracy_documents(&mut self, of: &Statement) -> Result<Vec<Value>, ReadError> {
        let mut documents = Vec::new();
        for (provider, account) in &of.accuracy {
            documents.push(json!({
                "provider": self.names.machine(*provider)?, "orders": account.orders,
                "unpredicted": account.unpredicted, "failed": account.failed,
                "predicted_climate_ng": account.predicted.to_string(),
                "realised_climate_ng": account.realised.to_string(),
                "missed_by_ng": account.missed_by.to_string(),
                "within_a_tenth": account.within_a_tenth,
            }));
        }
        Ok(documents)
    }
}
