//! Where a command reads the books: from the network, or from a copy of an authority's data.

use super::super::audit::replayed;
use super::super::context::Context;
use super::super::error::CliError;
use super::super::find::{self, Members};
use super::super::output::Output;
use clap::Args;
use kerbholz_client::Session;
use kerbholz_client::ledger::factor::FactorRef;
use kerbholz_client::ledger::id::{LotId, MemberId, TransformationId};
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::rows::{
    LotRow, MemberKind, MemberRow, Origin, Read, RestatementRow, Table, TransformationRow, Write,
    booked_key, key, read,
};
use kerbholz_client::ledger::{codec, query};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Most rows of one table that are fetched.
const ROWS_MAX: usize = 200_000;
/// How often the books are fetched anew because the ledger went on meanwhile.
const ATTEMPTS: usize = 5;
/// Everything that the books are added up from.
const TABLES: &[Table] = &[
    Table::Member,
    Table::Meter,
    Table::FactorSet,
    Table::Factor,
    Table::Currency,
    Table::Account,
    Table::Lot,
    Table::Transformation,
    Table::Sink,
    Table::Order,
    Table::Product,
    Table::Use,
    Table::Whole,
    Table::Work,
    Table::Booked,
    Table::Upkeep,
    Table::UpkeepCount,
    Table::UpkeepSink,
];

/// Whether the network is asked, or a copy read.
#[derive(Args)]
pub struct CopyArgs {
    /// Read no network: replay this copy of an authority's data directory
    #[arg(long, value_name = "DIR", requires = "genesis")]
    pub data: Option<PathBuf>,
    /// The genesis file of the network that the copy is from
    #[arg(long, value_name = "FILE", requires = "data")]
    pub genesis: Option<PathBuf>,
}

impl CopyArgs {
    /// The state that the copy replays to, if there is one.
    pub fn replay(&self, output: &Output) -> Result<Option<Memory>, CliError> {
        match (&self.data, &self.genesis) {
            (Some(data), Some(genesis)) => Ok(Some(replayed(data, genesis, output)?.state)),
            _ => Ok(None),
        }
    }
}

/// The books as they are after one commit: from a copy where one is named, else from the network.
pub async fn state(
    context: &Context,
    copy: &CopyArgs,
    output: &Output,
) -> Result<Memory, CliError> {
    if let Some(state) = copy.replay(output)? {
        return Ok(state);
    }
    let session = context.reader()?;
    let ledger_key = key(Table::Ledger, &[]);
    for _ in 0..ATTEMPTS {
        let before = session.ledger().await?;
        let mut writes = Vec::new();
        for table in TABLES {
            let prefix = key(*table, &[]);
            let rows = session.scan_all(prefix.clone(), ROWS_MAX).await?;
            if rows.len() >= ROWS_MAX {
                return Err(CliError::Usage(format!(
                    "the ledger has too many rows to fetch them: take a copy of an authority's data and \
                     name it with --data and --genesis (more than {ROWS_MAX} in one table)"
                )));
            }
            writes.extend(rows.into_iter().map(|(rest, value)| Write {
                key: [prefix.as_slice(), &rest].concat().into(),
                value: Some(value.into()),
            }));
        }
        let after = session.ledger().await?;
        // Heartbeats make commits, too; what counts is that nothing was booked.
        if before.log_leaves == after.log_leaves {
            let mut state = Memory::default();
            state.apply(&writes);
            let value = Some(codec::encode(&after).into());
            state.apply(&[Write { key: ledger_key.clone().into(), value }]);
            return Ok(state);
        }
    }
    Err(CliError::Other(
        "the ledger went on while it was read, again and again: try once more, or take a copy of an \
         authority's data and name it with --data and --genesis"
            .into(),
    ))
}

/// A lot in a state: by its id or the beginning of one, or by its product.
pub fn lot_in(state: &Memory, owner: Option<&str>, text: &str) -> Result<LotId, CliError> {
    let table = Table::Lot as u8;
    let lower = text.to_ascii_lowercase();
    let lots = state.rows().filter(|(key, _)| key.first() == Some(&table));
    let mut named: Option<(u64, LotId)> = None;
    let mut begun = Vec::new();
    for (key, value) in lots {
        let Some(id) = key.get(1..).and_then(|id| <[u8; 32]>::try_from(id).ok()) else { continue };
        let id = LotId::new(id);
        if lower.len() >= 6 && id.to_string().starts_with(&lower) {
            begun.push(id);
        }
        let row: LotRow = decoded(value)?;
        if row.product != text {
            continue;
        }
        let by = query::member(state, row.owner)?;
        let fits = owner.is_none_or(|owner| by.is_some_and(|row| row.name == owner));
        if fits && named.is_none_or(|(sequence, _)| row.sequence < sequence) {
            named = Some((row.sequence, id));
        }
    }
    match (named, begun.as_slice()) {
        (Some((_, id)), _) => Ok(id),
        (None, [id]) => Ok(*id),
        (None, []) => Err(CliError::no_such("lot", text, "kerbholz lot list")),
        (None, _) => Err(CliError::Usage(format!("{text:?} begins several ids: give more digits"))),
    }
}

fn decoded<T: DeserializeOwned>(value: &[u8]) -> Result<T, CliError> {
    codec::decode_trusted(value)
        .map_err(|_| CliError::Client(kerbholz_client::ClientError::BadAnswer))
}

/// The rows that explain a lot, fetched step by step from the lot upstream; each once.
pub async fn upstream(session: &Session, lot: LotId, lots_max: usize) -> Result<Memory, CliError> {
    let mut fetched = Fetched { session, state: Memory::default(), known: BTreeSet::new() };
    fetched.get::<()>(vec![key(Table::Whole, &[lot.as_bytes()])], false).await?;
    let mut lots = vec![lot];
    let mut found = 0;
    while !lots.is_empty() {
        found += lots.len();
        if found > lots_max {
            return Err(CliError::Usage(format!(
                "more than {lots_max} lots are upstream of it: raise --lots, or explain a lot further up"
            )));
        }
        let made_by = fetched.lots(&lots).await?;
        lots = fetched.transformations(made_by).await?;
    }
    fetched.names().await?;
    Ok(fetched.state)
}

/// What was fetched so far.
struct Fetched<'a> {
    session: &'a Session,
    state: Memory,
    known: BTreeSet<Vec<u8>>,
}

/// What lots come from: parts from lots, products from transformations.
struct Origins {
    lots: Vec<LotId>,
    transformations: Vec<TransformationId>,
}

impl Fetched<'_> {
    /// Fetches rows that are not there yet, and decodes them where that is asked for.
    async fn get<T: DeserializeOwned>(
        &mut self,
        mut keys: Vec<Vec<u8>>,
        decode: bool,
    ) -> Result<Vec<T>, CliError> {
        keys.retain(|key| self.known.insert(key.clone()));
        let values = self.session.values(&keys).await?;
        let mut rows = Vec::new();
        for (key, value) in keys.into_iter().zip(values) {
            let Some(value) = value else { continue };
            if decode {
                rows.push(decoded(&value)?);
            }
            self.state.apply(&[Write { key: key.into(), value: Some(value.into()) }]);
        }
        Ok(rows)
    }

    async fn lots(&mut self, lots: &[LotId]) -> Result<Origins, CliError> {
        let keys: Vec<Vec<u8>> =
            lots.iter().map(|lot| key(Table::Lot, &[lot.as_bytes()])).collect();
        self.get::<()>(keys.iter().map(|key| booked_key(key)).collect(), false).await?;
        let rows: Vec<LotRow> = self.get(keys, true).await?;
        self.restatements(Table::Lot, lots.iter().map(LotId::as_bytes)).await?;
        let mut from = Origins { lots: Vec::new(), transformations: Vec::new() };
        let (mut members, mut factors) = (Vec::new(), Vec::new());
        for row in rows {
            members.push(row.owner);
            match row.origin {
                Origin::Part { lot } => from.lots.push(lot),
                Origin::Made { transformation, .. } => from.transformations.push(transformation),
                Origin::Reading { factor, .. } | Origin::Declared { factor: Some(factor), .. } => {
                    factors.push(factor);
                }
                Origin::Declared { factor: None, .. } => {}
            }
        }
        // A supplier's own figures say their tier themselves.
        let wholes = lots.iter().map(|lot| key(Table::Whole, &[lot.as_bytes()])).collect();
        self.get::<()>(wholes, false).await?;
        self.members(&members).await?;
        self.factors(&factors).await?;
        Ok(from)
    }

    async fn transformations(&mut self, of: Origins) -> Result<Vec<LotId>, CliError> {
        let made = |id: &TransformationId| key(Table::Transformation, &[id.as_bytes()]);
        let keys: Vec<Vec<u8>> = of.transformations.iter().map(made).collect();
        self.get::<()>(keys.iter().map(|key| booked_key(key)).collect(), false).await?;
        let rows: Vec<TransformationRow> = self.get(keys, true).await?;
        let made = of.transformations.iter().map(TransformationId::as_bytes);
        self.restatements(Table::Transformation, made).await?;
        let mut lots = of.lots;
        let (mut members, mut factors, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            members.push(row.machine);
            orders.extend(row.order.map(|order| key(Table::Order, &[order.as_bytes()])));
            lots.extend(row.inputs.iter().map(|taken| taken.portion.lot));
            factors.extend(row.activities.into_iter().map(|booked| booked.activity.factor));
        }
        self.get::<()>(orders, false).await?;
        self.members(&members).await?;
        self.factors(&factors).await?;
        lots.sort_unstable();
        lots.dedup();
        lots.retain(|lot| !self.known.contains(&key(Table::Lot, &[lot.as_bytes()])));
        Ok(lots)
    }

    /// The restatements of what was restated, which say by what it was first booked.
    async fn restatements(
        &mut self,
        table: Table,
        ids: impl Iterator<Item = &[u8; 32]>,
    ) -> Result<(), CliError> {
        for id in ids {
            let entry = key(table, &[id]);
            if self.state.get(&booked_key(&entry))?.is_none() || !self.is_source(table, &entry)? {
                continue;
            }
            let prefix = key(Table::RestatementOf, &[id]);
            let mut keys = Vec::new();
            for (rest, value) in self.session.scan_all(prefix.clone(), ROWS_MAX).await? {
                keys.push(key(Table::Restatement, &[&rest]));
                let mark = [prefix.as_slice(), &rest].concat().into();
                self.state.apply(&[Write { key: mark, value: Some(value.into()) }]);
            }
            let rows: Vec<RestatementRow> = self.get(keys, true).await?;
            let factors: Vec<_> = rows.into_iter().filter_map(|row| row.before.factor).collect();
            self.factors(&factors).await?;
        }
        Ok(())
    }

    /// Whether an entry can be restated itself, and not only be reached by a restatement.
    fn is_source(&self, table: Table, entry: &[u8]) -> Result<bool, CliError> {
        if table == Table::Transformation {
            let row: Option<TransformationRow> = read(&self.state, entry)?;
            return Ok(row.is_some_and(|row| !row.activities.is_empty()));
        }
        let row: Option<LotRow> = read(&self.state, entry)?;
        let brought =
            |row: LotRow| matches!(row.origin, Origin::Reading { .. } | Origin::Declared { .. });
        Ok(row.is_some_and(brought))
    }

    async fn members(&mut self, members: &[MemberId]) -> Result<(), CliError> {
        let keys = members.iter().map(|id| key(Table::Member, &[id.as_bytes()])).collect();
        self.get::<()>(keys, false).await.map(drop)
    }

    async fn factors(&mut self, factors: &[FactorRef]) -> Result<(), CliError> {
        let row = |of: &FactorRef| key(Table::Factor, &[of.set.as_bytes(), of.code.as_bytes()]);
        let set = |of: &FactorRef| key(Table::FactorSet, &[of.set.as_bytes()]);
        let keys = factors.iter().flat_map(|of| [row(of), set(of)]).collect();
        self.get::<()>(keys, false).await.map(drop)
    }

    /// The organisations of the members that were fetched.
    async fn names(&mut self) -> Result<(), CliError> {
        let table = Table::Member as u8;
        let mut organisations = Vec::new();
        for (_, value) in self.state.rows().filter(|(key, _)| key.first() == Some(&table)) {
            let row: MemberRow = decoded(value)?;
            organisations.push(row.organisation);
        }
        self.members(&organisations).await
    }
}

/// Whose lots a product's name refers to.
pub async fn owner(session: &Session, name: Option<&str>) -> Result<Option<MemberId>, CliError> {
    let kinds = [MemberKind::Machine, MemberKind::Organisation];
    match name {
        Some(name) => Ok(Some(Members::load(session).await?.find(name, &kinds)?.0)),
        None => Ok(None),
    }
}

/// The lot that is meant, and what explains it.
pub async fn explaining(
    context: &Context,
    (text, by): (&str, Option<&str>),
    lots_max: usize,
) -> Result<(LotId, Memory), CliError> {
    let session = context.reader()?;
    let by = owner(&session, by).await?;
    let share = super::Share { lot: text.to_owned(), amount: None };
    let (lot, _) = find::lot(&session, by, None, &share).await?;
    Ok((lot, upstream(&session, lot, lots_max).await?))
}
