//! What a node uses: samples of the machine's energy and of the processor's time, the node's share of
//! them, kept by accounting period until its operator books it.
//!
//! The energy is what the processor counts where it does ([`probe`]), else a stated power times the
//! time. The node's share is its part of the processor time that all processes of the machine used
//! meanwhile: so all processes together bear all of the energy, what the machine takes idle included.

pub mod probe;

use crate::config::NodeConfig;
use crate::files::{self, FileError};
use kerbholz_client::session::now;
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::quantity::{Milliseconds, Timestamp};
use kerbholz_ledger::rows::UpkeepRow;
use probe::{Probe, Sample};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;

/// File name of the account in an authority's folder.
pub const UPKEEP_FILE: &str = "upkeep.json";
/// Entries that are kept: more than a year of days.
const KEPT: usize = 400;
/// How often the energy is read, where the accounting period is not shorter still.
const INTERVAL: Duration = Duration::from_secs(60);

/// What an operator states where the processor counts nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerModel {
    /// The machine's mean electrical power, in watts.
    pub watts: u32,
    /// Where the figure is from: a measurement, a data sheet, literature.
    pub source: String,
}

/// How an energy is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The processor's own counters: these zones.
    Counters(Vec<String>),
    /// A stated power times the time: no measurement.
    Model(PowerModel),
}

/// What the node used in an accounting period, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The number of the period.
    pub period: u64,
    /// Since when it was watched.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// What falls to the node, in microjoules, each sample rounded down.
    pub microjoules: u64,
    /// Processor time of the node, in milliseconds.
    pub own_ms: u64,
    /// Processor time of all processes of the machine meanwhile, in milliseconds.
    pub busy_ms: u64,
    /// How the machine's energy is known.
    pub basis: Basis,
}

impl Used {
    /// Whole joules: what a register shows.
    pub const fn joules(&self) -> u64 {
        self.microjoules / 1_000_000
    }
}

/// What a node used, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// By period.
    pub periods: Vec<Used>,
}

impl Account {
    /// Reads the account; an empty one where there is none yet.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let reason = |error: serde_json::Error| error.to_string();
        serde_json::from_str(&files::read_text(path)?)
            .map_err(|error| FileError::Malformed { path: path.into(), reason: reason(error) })
    }

    fn write(&self, path: &Path) -> Result<(), FileError> {
        // Structures of strings and numbers cannot fail to serialise.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        files::write(path, format!("{text}\n").as_bytes(), false)
    }

    /// Adds what was used between two samples, to the period of the later one. Says whether
    /// anything is known of it: without counters there must be a model.
    pub fn add(
        &mut self,
        rules: &UpkeepRow,
        model: Option<&PowerModel>,
        (before, after): (&Sample, &Sample),
    ) -> bool {
        let elapsed = after.at.get().saturating_sub(before.at.get());
        let Some((energy, basis)) = energy(model, before, after, elapsed) else { return false };
        if elapsed == 0 {
            // The clock was set back: the next sample begins anew.
            return true;
        }
        let busy_ms = after.busy_ms.saturating_sub(before.busy_ms);
        let own_ms = after.own_ms.saturating_sub(before.own_ms).min(busy_ms);
        let share = energy.saturating_mul(own_ms.into()).checked_div(busy_ms.into());
        let microjoules = u64::try_from(share.unwrap_or(0)).unwrap_or(u64::MAX);
        let period = rules.number(after.at);
        let follows = |last: &&mut Used| last.period == period && last.basis == basis;
        if let Some(last) = self.periods.last_mut().filter(follows) {
            // Not before its begin, where the clock was set back over it.
            last.to = last.to.max(after.at);
            last.microjoules = last.microjoules.saturating_add(microjoules);
            last.own_ms = last.own_ms.saturating_add(own_ms);
            last.busy_ms = last.busy_ms.saturating_add(busy_ms);
            return true;
        }
        let from = before.at.max(rules.begin(period));
        let used = Used { period, from, to: after.at, microjoules, own_ms, busy_ms, basis };
        self.periods.push(used);
        let surplus = self.periods.len().saturating_sub(KEPT);
        self.periods.drain(..surplus);
        true
    }
}

/// What the whole machine used between two samples, in microjoules.
fn energy(
    model: Option<&PowerModel>,
    before: &Sample,
    after: &Sample,
    elapsed_ms: u64,
) -> Option<(u128, Basis)> {
    let zones = |sample: &Sample| -> Vec<String> {
        sample.counters.iter().map(|counter| counter.zone.clone()).collect()
    };
    let named = zones(after);
    if !named.is_empty() && named == zones(before) {
        let pairs = before.counters.iter().zip(&after.counters);
        return Some((pairs.map(|(from, to)| to.since(from)).sum(), Basis::Counters(named)));
    }
    let model = model?;
    // Watts are microjoules per microsecond.
    let energy = u128::from(model.watts) * u128::from(elapsed_ms) * 1_000;
    Some((energy, Basis::Model(model.clone())))
}

/// Keeps the account of this process, until what is returned is dropped.
pub fn start(genesis: &Genesis, config: &NodeConfig) -> JoinSet<()> {
    let mut keeping = JoinSet::new();
    if let Some(rules) = rules(genesis.accounting.upkeep.period) {
        keeping.spawn(keep(rules, config.energy.clone(), config.upkeep.clone()));
    }
    keeping
}

async fn keep(rules: UpkeepRow, model: Option<PowerModel>, path: PathBuf) {
    let probe = Probe::default();
    if let Err(reason) = probe.counters() {
        let Some(model) = &model else {
            tracing::info!(%reason, "the node's energy is not known; node.toml may state a power");
            return;
        };
        tracing::info!(%reason, watts = model.watts, "the node's energy is modelled");
    }
    let quarter = Duration::from_millis(rules.period.get() / 4).max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval(INTERVAL.min(quarter));
    let mut before: Option<Sample> = None;
    loop {
        ticks.tick().await;
        let after = probe.sample(now());
        if let Some(before) = &before
            && let Err(error) = enter(&rules, model.as_ref(), (before, &after), &path)
        {
            tracing::warn!(%error, "what the node used could not be kept");
        }
        before = Some(after);
    }
}

fn enter(
    rules: &UpkeepRow,
    model: Option<&PowerModel>,
    samples: (&Sample, &Sample),
    path: &Path,
) -> Result<(), FileError> {
    let mut account = Account::read(path)?;
    if account.add(rules, model, samples) { account.write(path) } else { Ok(()) }
}

/// Periods of this length, if it is one.
fn rules(period: Milliseconds) -> Option<UpkeepRow> {
    (period > Milliseconds::ZERO).then(|| UpkeepRow { period, operators: Vec::new() })
}

#[cfg(test)]
mod tests;
