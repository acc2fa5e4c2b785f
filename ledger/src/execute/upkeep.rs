//! The ledger's own footprint: what may be booked as upkeep, and how many transactions share it.

use super::overlay::Overlay;
use super::work::{Checked, Signer, Work, ensure};
use crate::quantity::Timestamp;
use crate::rejection::Code;
use crate::rows::{LotRow, Origin, ReadError, Table, UpkeepRow, key, read, upkeep_count_key};

/// The accounting period in which a lot was used to keep the ledger going: the one its reading is of,
/// if an operator's machine books it.
pub(super) fn period(work: &Work<'_>, signer: &Signer, lot: &LotRow) -> Checked<u64> {
    let rules: Option<UpkeepRow> = read(&work.state, &key(Table::Upkeep, &[]))?;
    let operated = |rules: &UpkeepRow| rules.operators.contains(&signer.row.organisation);
    let rules = rules.filter(operated).ok_or(Code::NotOperator)?;
    let Origin::Reading { from, to, .. } = &lot.origin else {
        return Err(Code::UpkeepInvalid.into());
    };
    let number = rules.number(*from);
    // A period of measuring that ends where the next period begins lies in this one.
    ensure(*to <= rules.begin(number.saturating_add(1)), Code::UpkeepInvalid)?;
    Ok(number)
}

/// Counts the transactions of a commit in its period, for those who share out what was used.
pub(super) fn count(
    state: &mut Overlay<'_>,
    time: Timestamp,
    transactions: u64,
) -> Result<(), ReadError> {
    if transactions == 0 {
        return Ok(());
    }
    let rules: Option<UpkeepRow> = read(state, &key(Table::Upkeep, &[]))?;
    let Some(rules) = rules else { return Ok(()) };
    let key = upkeep_count_key(rules.number(time));
    let so_far: Option<u64> = read(state, &key)?;
    state.put(key, &so_far.unwrap_or(0).saturating_add(transactions));
    Ok(())
}
