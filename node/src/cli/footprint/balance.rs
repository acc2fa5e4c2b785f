//! `kerbholz footprint balance`: the books added up, checked, and set out by organisation, period,
//! product, meter, evidence and provider. The sums are [`kerbholz_client::ledger::statement`]'s.

mod document;
mod figures;
mod upkeep;

use super::super::amount;
use super::super::context::Context;
use super::super::error::CliError;
use super::super::find::Members;
use super::super::output::{Output, Report, table};
use super::super::view;
use super::books::{self, CopyArgs};
use super::explain::dimension;
use super::tree::share;
use clap::Args;
use figures::{intensity, percent_of, total_quantity, unit_of};
use kerbholz_client::ledger::footprint::{Dimension, Footprint};
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::quantity::{Milliseconds, Timestamp, Unit};
use kerbholz_client::ledger::rows::{MemberKind, ReadError};
use kerbholz_client::ledger::statement::{Entered, Flows, ProductKey, Statement, statement};
use kerbholz_node::explain::Names;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is shown.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  kerbholz footprint balance\n  kerbholz footprint balance --by energy \
    --period 7d --organisation printworks\n  kerbholz footprint balance --data copy/data --genesis genesis.json"
)]
pub struct BalanceArgs {
    /// The dimension of all tables but the first, as `kerbholz footprint` names it
    #[arg(long, value_name = "DIMENSION", default_value = "climate", value_parser = dimension)]
    by: Dimension,
    /// Length of a period; the first began with the year 1970. 0s: one period, all time
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = amount::span)]
    period: Duration,
    /// Only this organisation's products, meters and periods
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Only this product
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    #[command(flatten)]
    copy: CopyArgs,
}

/// Adds the books up.
pub async fn run(
    context: &Context,
    args: BalanceArgs,
    output: &Output,
) -> Result<Report, CliError> {
    let state = books::state(context, &args.copy, output).await?;
    let length = Milliseconds::new(u64::try_from(args.period.as_millis()).unwrap_or(u64::MAX));
    let statement = statement(&state, length)?;
    let only = args.organisation.as_ref().map(|name| {
        let members = Members::of(&state)?;
        Ok::<_, CliError>(members.find(name, &[MemberKind::Organisation])?.0)
    });
    let only = only.transpose()?;
    if let Some(name) = args.product.as_ref().filter(|name| !is_known(&statement, name)) {
        return Err(CliError::no_such("product", name, "kerbholz footprint balance"));
    }
    let names = Names::new(&state);
    let mut shown = Shown { state: &state, names, length, only, args: &args };
    let json = shown.json(&statement)?;
    Ok(Report::new(shown.text(&statement)?, json))
}

struct Shown<'a> {
    state: &'a Memory,
    names: Names<'a>,
    length: Milliseconds,
    /// The only organisation that is shown.
    only: Option<MemberId>,
    args: &'a BalanceArgs,
}

/// Whether there ever was a lot of this product.
fn is_known(statement: &Statement, product: &str) -> bool {
    statement.products.keys().any(|key| key.product == product)
}

impl Shown<'_> {
    fn text(&mut self, of: &Statement) -> Result<String, CliError> {
        let by = self.args.by.name().to_uppercase();
        let parts = [
            (format!("TRIAL BALANCE, {} lots, every flow followed", of.balance.lots), trial(of)),
            (format!("{by} BY ORGANISATION"), self.organisations(of)?),
            (format!("{by} BY PERIOD"), self.periods(of)?),
            (format!("{by} BY PRODUCT"), self.products(of)?),
            ("WHAT METERS COUNTED".to_owned(), self.meters(of)?),
            ("EVIDENCE FOR CLIMATE, OF WHAT EACH BOOKED IN".to_owned(), self.evidence(of)?),
            (format!("NOT DECLARED, OF {} SOURCES", of.sources), open(of)),
            ("PREDICTIONS".to_owned(), self.accuracy(of)?),
            (format!("{by} OF THE LEDGER ITSELF"), self.upkeep(of)?),
        ];
        let filled = parts.into_iter().filter(|(_, text)| !text.is_empty());
        let parts: Vec<String> = filled.map(|(title, text)| format!("{title}\n{text}")).collect();
        Ok(parts.join("\n\n"))
    }

    /// Whether something of an organisation is asked for.
    fn wanted(&self, organisation: MemberId) -> bool {
        self.only.is_none_or(|only| only == organisation)
    }

    fn figure(&self, footprint: &Footprint) -> String {
        view::declared(footprint, self.args.by)
    }

    fn organisations(&mut self, of: &Statement) -> Result<String, CliError> {
        let mut rows = Vec::new();
        for (organisation, flows) in all_periods(of)? {
            let stock = of.stock.get(&organisation).cloned().unwrap_or_default();
            let rest = flows.net()?.checked_sub(&stock)?;
            let mut row = vec![self.names.member(organisation)?];
            let columns =
                [&flows.booked_in, &flows.received, &flows.handed_over, &flows.booked_out, &stock];
            row.extend(columns.map(|footprint| self.figure(footprint)));
            row.push(view::component(self.args.by, rest.get(self.args.by)));
            rows.push(row);
        }
        let header = [
            "organisation",
            "booked in",
            "received",
            "handed over",
            "booked out",
            "in stock",
            "in transit",
        ];
        Ok(table(&header, rows, &[1, 2, 3, 4, 5, 6]))
    }

    fn periods(&mut self, of: &Statement) -> Result<String, CliError> {
        let mut periods: BTreeMap<u64, Flows> = BTreeMap::new();
        for ((organisation, period), flows) in in_time(of) {
            if self.wanted(organisation) {
                add_flows(periods.entry(period).or_default(), flows)?;
            }
        }
        let mut opening = Footprint::ZERO;
        let mut rows = Vec::new();
        for (period, flows) in &periods {
            let closing = opening.checked_add(&flows.net()?)?;
            let mut row = vec![self.begin(*period)];
            let columns = [
                &opening,
                &flows.booked_in,
                &flows.received,
                &flows.handed_over,
                &flows.booked_out,
                &closing,
            ];
            row.extend(columns.map(|footprint| self.figure(footprint)));
            rows.push(row);
            opening = closing;
        }
        let header =
            ["from", "opening", "booked in", "received", "handed over", "booked out", "closing"];
        Ok(table(&header, rows, &[1, 2, 3, 4, 5, 6]))
    }

    /// When a period begins, or that it is all time.
    fn begin(&self, period: u64) -> String {
        match self.length.get() {
            0 => "the beginning".to_owned(),
            length => view::time(Timestamp::new(period.saturating_mul(length))),
        }
    }

    fn products(&mut self, of: &Statement) -> Result<String, CliError> {
        let mut found: Vec<(&ProductKey, &Entered)> = Vec::new();
        for (key, entered) in &of.products {
            let product = self.args.product.as_ref().is_none_or(|name| *name == key.product);
            if product && self.wanted(key.organisation) {
                found.push((key, entered));
            }
        }
        let by = self.args.by;
        let mut rows = Vec::new();
        for (key, entered) in found {
            let value = entered.footprint.get(by);
            let shown = |value: i128| {
                let mut footprint = entered.footprint.clone();
                footprint.set(by, value);
                view::declared(&footprint, by)
            };
            let (per, unit) = unit_of(key.unit);
            let per_unit = intensity(value, per, entered.quantity);
            let per_kilogram = intensity(value, 1_000_000, entered.mass_mg);
            rows.push(vec![
                key.product.clone(),
                self.names.member(key.organisation)?,
                if key.made { "made" } else { "brought in" }.to_owned(),
                self.begin(key.period),
                total_quantity(entered.quantity, key.unit),
                shown(value),
                per_unit.map_or_else(String::new, |it| format!("{} per {unit}", shown(it))),
                per_kilogram
                    .filter(|_| key.unit != Unit::Milligram)
                    .map_or_else(String::new, shown),
            ]);
        }
        let header = ["product", "by", "how", "from", "quantity", "total", "intensity", "per kg"];
        Ok(table(&header, rows, &[4, 5, 6, 7]))
    }

    fn meters(&mut self, of: &Statement) -> Result<String, CliError> {
        let mut rows = Vec::new();
        for (meter, account) in &of.meters {
            let organisation = self.organisation_of(account.host)?;
            if !self.wanted(organisation) {
                continue;
            }
            let unit = self.unit(of, &account.product, organisation);
            let shown = |amount: u128| total_quantity(amount, unit);
            let base = percent_of(account.base_load, account.counted);
            let unclaimed = percent_of(account.unclaimed, account.counted);
            rows.push(vec![
                self.names.member(*meter)?,
                self.names.machine(account.host)?,
                account.readings.to_string(),
                shown(account.counted),
                shown(account.drawn),
                format!("{} ({base})", shown(account.base_load)),
                shown(account.booked_out),
                format!("{} ({unclaimed})", shown(account.unclaimed)),
                self.figure(
                    &account.base_load_footprint.checked_add(&account.unclaimed_footprint)?,
                ),
            ]);
        }
        if rows.is_empty() {
            return Ok(String::new());
        }
        let both = format!("{} of base and unclaimed", self.args.by.name());
        let header = [
            "meter",
            "of",
            "readings",
            "counted",
            "drawn by work",
            "base load",
            "booked out",
            "unclaimed",
            both.as_str(),
        ];
        Ok(table(&header, rows, &[2, 3, 4, 5, 6, 7, 8]))
    }

    fn organisation_of(&self, machine: MemberId) -> Result<MemberId, ReadError> {
        let row = kerbholz_client::ledger::query::member(self.state, machine)?;
        Ok(row.map_or(machine, |row| row.organisation))
    }

    /// What a metered product is counted in.
    fn unit(&self, of: &Statement, product: &str, organisation: MemberId) -> Unit {
        let mut keys = of.products.keys();
        let found = keys.find(|key| key.product == product && key.organisation == organisation);
        found.map_or(Unit::Joule, |key| key.unit)
    }

    fn evidence(&mut self, of: &Statement) -> Result<String, CliError> {
        let mut all = Footprint::ZERO;
        let mut rows = Vec::new();
        for (organisation, flows) in all_periods(of)? {
            if flows.booked_in.get(Dimension::Climate) != 0 {
                rows.push(tiers(self.names.member(organisation)?, &flows.booked_in));
                all = all.checked_add(&flows.booked_in)?;
            }
        }
        if rows.is_empty() {
            return Ok(String::new());
        }
        rows.push(tiers("all".to_owned(), &all));
        let header = ["organisation", "climate", "measured", "derived", "default"];
        Ok(table(&header, rows, &[1, 2, 3, 4]))
    }

    fn accuracy(&mut self, of: &Statement) -> Result<String, CliError> {
        let mut rows = Vec::new();
        for (provider, account) in &of.accuracy {
            let bias = account.realised.saturating_sub(account.predicted);
            let sign = if bias > 0 { "+" } else { "" };
            let predicted = account.orders > 0;
            let only = |text: String| if predicted { text } else { String::new() };
            rows.push(vec![
                self.names.machine(*provider)?,
                account.orders.to_string(),
                only(view::component(Dimension::Climate, account.predicted)),
                only(view::component(Dimension::Climate, account.realised)),
                only(format!("{sign}{}", share(bias, account.predicted))),
                only(share(account.missed_by, account.predicted)),
                only(format!("{} of {}", account.within_a_tenth, account.orders)),
                account.unpredicted.to_string(),
                account.failed.to_string(),
            ]);
        }
        if rows.is_empty() {
            return Ok(String::new());
        }
        let header = [
            "provider",
            "orders",
            "predicted",
            "realised",
            "bias",
            "missed by",
            "within 10 %",
            "without prediction",
            "failed",
        ];
        Ok(table(&header, rows, &[1, 2, 3, 4, 5, 6, 7, 8]))
    }
}

fn add_flows(sum: &mut Flows, flows: &Flows) -> Result<(), CliError> {
    sum.booked_in = sum.booked_in.checked_add(&flows.booked_in)?;
    sum.received = sum.received.checked_add(&flows.received)?;
    sum.handed_over = sum.handed_over.checked_add(&flows.handed_over)?;
    sum.booked_out = sum.booked_out.checked_add(&flows.booked_out)?;
    Ok(())
}

/// The flows of each organisation over all periods.
fn all_periods(of: &Statement) -> Result<BTreeMap<MemberId, Flows>, CliError> {
    let mut sums: BTreeMap<MemberId, Flows> = BTreeMap::new();
    for ((organisation, _), flows) in &of.flows {
        add_flows(sums.entry(*organisation).or_default(), flows)?;
    }
    Ok(sums)
}

/// The flows, the earliest period first.
fn in_time(of: &Statement) -> Vec<((MemberId, u64), &Flows)> {
    let mut flows: Vec<_> = of.flows.iter().map(|(key, flows)| (*key, flows)).collect();
    flows.sort_by_key(|((organisation, period), _)| (*period, *organisation));
    flows
}

/// Every dimension: sources, stock, sinks, in transit, and what they are off by.
fn trial(of: &Statement) -> String {
    let balance = &of.balance;
    let (mut nothing, mut open) = (Vec::new(), Vec::new());
    let mut rows = Vec::new();
    for dimension in Dimension::ALL.iter().copied() {
        let columns = [&balance.sources, &balance.stock, &balance.sinks, &balance.in_transit]
            .map(|footprint| footprint.get(dimension));
        if columns == [0; 4] {
            let undeclared = of.open.contains_key(&dimension);
            if undeclared { &mut open } else { &mut nothing }.push(dimension.name());
            continue;
        }
        let [sources, stock, sinks, transit] = columns;
        let off = sources.saturating_sub(stock).saturating_sub(sinks).saturating_sub(transit);
        let mut row = vec![dimension.name().to_owned()];
        row.extend(columns.map(|value| view::component(dimension, value)));
        row.push(off.to_string());
        rows.push(row);
    }
    let header = ["dimension", "sources", "stock", "sinks", "in transit", "off by"];
    let mut text = table(&header, rows, &[1, 2, 3, 4, 5]);
    for (title, names) in [("Declared as nothing", nothing), ("Not declared", open)] {
        if !names.is_empty() {
            text.push_str(&format!("\n{title}: {}.", names.join("; ")));
        }
    }
    let climate = |footprint: &Footprint| {
        view::component(Dimension::Climate, footprint.get(Dimension::Climate))
    };
    let routes: Vec<String> = balance
        .routes
        .iter()
        .map(|(kind, footprint)| format!("{} {}", view::sink(*kind), climate(footprint)))
        .collect();
    if !routes.is_empty() {
        text.push_str(&format!("\nSinks, climate: {}.", routes.join(", ")));
    }
    text
}

/// What sources leave open, the most often left open first.
fn open(of: &Statement) -> String {
    let all = of.balance.sources.get(Dimension::Climate);
    let mut open: Vec<_> = of.open.iter().collect();
    open.sort_by_key(|(dimension, open)| (std::cmp::Reverse(open.sources), **dimension));
    let rows = open.into_iter().map(|(dimension, open)| {
        let sources = u128::from(open.sources);
        vec![
            dimension.name().to_owned(),
            open.sources.to_string(),
            percent_of(sources, u128::from(of.sources)),
            share(open.climate, all),
        ]
    });
    let header = ["dimension", "by sources", "share of sources", "share of climate they book"];
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { String::new() } else { table(&header, rows, &[1, 2, 3]) }
}

fn tiers(name: String, footprint: &Footprint) -> Vec<String> {
    let climate = footprint.get(Dimension::Climate);
    let of = |dimension| share(footprint.get(dimension), climate);
    vec![
        name,
        view::component(Dimension::Climate, climate),
        of(Dimension::ClimateMeasured),
        of(Dimension::ClimateDerived),
        of(Dimension::ClimateDefault),
    ]
}
