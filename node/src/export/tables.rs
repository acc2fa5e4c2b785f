//! The rows of the tables, read from a state: one function for each table.
//!
//! The sums of the tables are those of the books: sources = lots + sinks + in transit, in every
//! dimension. [`Sums`] compares them at every export.

mod flows;
mod lots;
mod orders;
mod sources;

pub(super) use lots::sink_of;

use super::ExportError;
use super::schema::{Cell, Record, Table, dimension_column, word};
use kerbholz_ledger::balance::each;
use kerbholz_ledger::footprint::{DIMENSIONS, Dimension, Footprint, GwpSet};
use kerbholz_ledger::id::{MemberId, TransactionId};
use kerbholz_ledger::quantity::Timestamp;
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{
    LedgerRow, MemberRow, Read, ReadError, Table as Rows, booked_key, key,
};
use std::collections::BTreeMap;

/// Goes through the rows of a table, in the order of the ledger's keys.
///
/// # Errors
/// What `visit` returns, or [`ExportError::Read`].
pub fn read(
    state: &dyn Read,
    table: Table,
    visit: &mut dyn FnMut(Record) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let books = Books::of(state)?;
    match table {
        Table::Lots => lots::lots(&books, visit),
        Table::Flows => flows::flows(&books, visit),
        Table::Sources => sources::sources(&books, visit),
        Table::Sinks => lots::sinks(&books, visit),
        Table::InTransit => lots::in_transit(&books, visit),
        Table::Orders => orders::orders(&books, visit),
        Table::Factors => orders::factors(&books, visit),
    }
}

type Visit<'v> = &'v mut dyn FnMut(Record) -> Result<(), ExportError>;

/// The state, and who everybody is.
pub(super) struct Books<'s> {
    pub(super) state: &'s dyn Read,
    members: BTreeMap<MemberId, (String, MemberId)>,
}

impl<'s> Books<'s> {
    pub(super) fn of(state: &'s dyn Read) -> Result<Self, ReadError> {
        let mut members = BTreeMap::new();
        each(state, Rows::Member, |key, member: MemberRow| {
            members.insert(MemberId::new(id(key)?), (member.name, member.organisation));
            Ok::<_, ReadError>(())
        })?;
        Ok(Self { state, members })
    }

    /// The name of a member.
    pub(super) fn name(&self, member: MemberId) -> &str {
        self.members.get(&member).map_or("", |(name, _)| name)
    }

    /// The organisation of a member; itself where it has none.
    pub(super) fn organisation(&self, member: MemberId) -> MemberId {
        self.members.get(&member).map_or(member, |(_, organisation)| *organisation)
    }

    /// A member, its name, its organisation, that one's name: four cells.
    fn member(&self, member: MemberId) -> [Cell; 4] {
        let organisation = self.organisation(member);
        [
            Cell::text(member),
            Cell::text(self.name(member)),
            Cell::text(organisation),
            Cell::text(self.name(organisation)),
        ]
    }

    /// When a transaction was committed.
    pub(super) fn time(&self, transaction: TransactionId) -> Result<Timestamp, ReadError> {
        let missing = || ReadError(format!("there is no transaction {transaction}"));
        Ok(query::transaction(self.state, transaction)?.ok_or_else(missing)?.time)
    }

    /// Whether a restatement has come to the entry of this key.
    fn restated(&self, entry: &[u8]) -> Result<Cell, ReadError> {
        Ok(Cell::Flag(self.state.get(&booked_key(entry))?.is_some()))
    }

    fn restated_row(&self, table: Rows, id: &[u8]) -> Result<Cell, ReadError> {
        self.restated(&key(table, &[id]))
    }
}

/// The id that a key is.
pub(super) fn id(key: &[u8]) -> Result<[u8; 32], ReadError> {
    key.try_into().map_err(|_| ReadError(format!("key {}", hex::encode(key))))
}

/// What a footprint does not declare, the reports behind it, then its values: the last cells of a row.
fn footprint(footprint: &Footprint) -> impl Iterator<Item = Cell> {
    sets(footprint).into_iter().chain(values(footprint))
}

fn values(footprint: &Footprint) -> impl Iterator<Item = Cell> {
    footprint.values().map(Cell::Wide).into_iter()
}

/// The dimensions that something upstream did not declare, and the assessment reports; words in
/// order, with spaces between.
fn sets(footprint: &Footprint) -> [Cell; 2] {
    let undeclared: Vec<String> = footprint.undeclared.iter().map(|one| word(&one)).collect();
    [Cell::Text(undeclared.join(" ")), Cell::Text(reports(footprint).join(" "))]
}

/// The assessment reports behind a footprint, as words.
pub(super) fn reports(footprint: &Footprint) -> Vec<String> {
    let known = [GwpSet::Unstated, GwpSet::Ar5, GwpSet::Ar6];
    let known = known.into_iter().filter(|set| footprint.gwp_sets.contains(*set));
    known.map(|set| word(&set)).collect()
}

/// A row made of parts.
fn record(at: Option<Timestamp>, parts: impl IntoIterator<Item = Cell>) -> Record {
    Record { at, cells: parts.into_iter().collect() }
}

/// What the tables add up to, per dimension.
#[derive(Default)]
pub struct Sums {
    of: BTreeMap<Table, [i128; DIMENSIONS]>,
}

impl Sums {
    /// Adds a row. The last cells of a row are its footprint. Wrapping sums still differ where they
    /// should: the books' own fit.
    pub fn add(&mut self, table: Table, record: &Record) {
        let sums = self.of.entry(table).or_insert([0; DIMENSIONS]);
        let cells = record.cells.len().saturating_sub(DIMENSIONS);
        for (sum, cell) in sums.iter_mut().zip(record.cells.iter().skip(cells)) {
            if let Cell::Wide(value) = cell {
                *sum = sum.wrapping_add(*value);
            }
        }
    }

    /// Compares with what the ledger says of itself.
    ///
    /// # Errors
    /// [`ExportError::Unbalanced`], naming the first difference.
    pub fn compare(&self, ledger: &LedgerRow) -> Result<(), ExportError> {
        for (table, kept) in [
            (Table::Sources, &ledger.sources),
            (Table::Lots, &ledger.stock),
            (Table::Sinks, &ledger.sinks),
            (Table::InTransit, &ledger.in_transit),
        ] {
            let found = self.of.get(&table).copied().unwrap_or([0; DIMENSIONS]);
            for ((dimension, found), kept) in
                Dimension::ALL.iter().zip(found).zip(kept.values().iter().copied())
            {
                if found != kept {
                    let (table, column) = (table.name(), dimension_column(*dimension));
                    return Err(ExportError::Unbalanced { table, column, found, kept });
                }
            }
        }
        Ok(())
    }
}
