//! From what people type to what the ledger knows: members by name, ids by their beginning, lots by
//! their product, factors by their code.

use super::amount::Share;
use super::error::CliError;
use kerbholz_client::Session;
use kerbholz_client::ledger::factor::{Factor, FactorRef};
use kerbholz_client::ledger::id::{
    FactorSetId, LotId, MemberId, OrderId, ProposalId, RestatementId, TransactionId,
};
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::operation::Portion;
use kerbholz_client::ledger::rows::{
    FactorSetRow, LotRow, MemberKind, MemberRow, OrderRow, ReadError, Row, Table, key,
};
use kerbholz_client::ledger::{balance, codec};
use kerbholz_client::protocol::ROWS_MAX;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Fewest digits by which an id may be named.
const DIGITS_MIN: usize = 6;
/// Most rows that a command looks through.
const ROWS_SCANNED_MAX: usize = 100_000;

/// The keys of a table (without the prefix) with their values, ascending.
pub async fn scan_bytes(session: &Session, prefix: Vec<u8>) -> Result<Vec<Row>, CliError> {
    Ok(session.scan_all(prefix, ROWS_SCANNED_MAX).await?)
}

/// The rows of a table whose keys are ids, decoded.
pub async fn scan<T: DeserializeOwned>(
    session: &Session,
    table: Table,
) -> Result<Vec<([u8; 32], T)>, CliError> {
    let bad = || CliError::Client(kerbholz_client::ClientError::BadAnswer);
    let mut rows = Vec::new();
    for (id, value) in scan_bytes(session, key(table, &[])).await? {
        let id = <[u8; 32]>::try_from(id).map_err(|_| bad())?;
        rows.push((id, codec::decode_trusted(&value).map_err(|_| bad())?));
    }
    Ok(rows)
}

/// The ids that an index has under a member or order.
async fn index(session: &Session, table: Table, of: &[u8; 32]) -> Result<Vec<[u8; 32]>, CliError> {
    let rows = scan_bytes(session, key(table, &[of])).await?;
    Ok(rows.into_iter().filter_map(|(id, _)| id.try_into().ok()).collect())
}

/// The orders of a machine (as buyer or provider), or all of them; oldest first.
pub async fn orders_of(
    session: &Session,
    machine: Option<MemberId>,
) -> Result<Vec<(OrderId, OrderRow)>, CliError> {
    let mut orders: Vec<(OrderId, OrderRow)> = match machine {
        None => {
            let rows = scan(session, Table::Order).await?;
            rows.into_iter().map(|(id, row)| (OrderId::new(id), row)).collect()
        }
        Some(machine) => {
            let ids = index(session, Table::OrderByMember, machine.as_bytes()).await?;
            let keys = ids.iter().map(|id| key(Table::Order, &[id])).collect();
            let rows: Vec<Option<OrderRow>> = session.rows(keys).await?;
            let pairs = ids.into_iter().map(OrderId::new).zip(rows);
            pairs.filter_map(|(id, row)| Some((id, row?))).collect()
        }
    };
    orders.sort_by_key(|(id, order)| (order.placed_at, *id));
    Ok(orders)
}

/// Everybody on the ledger, by id.
pub struct Members(BTreeMap<MemberId, MemberRow>);

impl Members {
    /// Asks the ledger for all members.
    pub async fn load(session: &Session) -> Result<Self, CliError> {
        let rows = scan(session, Table::Member).await?;
        Ok(Self(rows.into_iter().map(|(id, row)| (MemberId::new(id), row)).collect()))
    }

    /// Everybody in a state.
    pub fn of(state: &Memory) -> Result<Self, ReadError> {
        let mut members = BTreeMap::new();
        balance::each(state, Table::Member, |id, row: MemberRow| {
            let known = id.try_into().map(MemberId::new);
            members.extend(known.into_iter().map(|id: MemberId| (id, row.clone())));
            Ok::<_, ReadError>(())
        })?;
        Ok(Self(members))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (MemberId, &MemberRow)> {
        self.0.iter().map(|(id, row)| (*id, row))
    }

    /// What people call a member.
    pub fn name(&self, id: MemberId) -> String {
        self.0.get(&id).map_or_else(|| id.short(), |row| row.name.clone())
    }

    /// The member of one of these kinds with this name or id.
    pub fn find(
        &self,
        text: &str,
        kinds: &[MemberKind],
    ) -> Result<(MemberId, &MemberRow), CliError> {
        let fits = |row: &MemberRow| kinds.contains(&row.kind);
        let all = || self.iter().filter(|(_, row)| fits(row));
        let named: Vec<_> = all().filter(|(_, row)| row.name == text).collect();
        let digits = text.len() >= DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = if named.is_empty() && digits {
            let lower = text.to_ascii_lowercase();
            all().filter(|(id, _)| id.to_string().starts_with(&lower)).collect()
        } else {
            named
        };
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(CliError::no_such("member", text, "kerbholz machine list")),
            several => {
                let ids: Vec<String> = several.iter().map(|(id, _)| id.to_string()).collect();
                let ids = ids.join("\n  ");
                Err(CliError::Usage(format!("{text:?} names several: use an id:\n  {ids}")))
            }
        }
    }

    /// A machine by name or id.
    pub fn machine(&self, text: &str) -> Result<MemberId, CliError> {
        Ok(self.find(text, &[MemberKind::Machine])?.0)
    }
}

/// The id in a table that begins with these digits.
async fn id_in(
    session: &Session,
    table: Table,
    text: &str,
    kind: &'static str,
    list: &str,
) -> Result<[u8; 32], CliError> {
    let lower = text.trim().to_ascii_lowercase();
    let whole = lower.len() - lower.len() % 2;
    let is_hex = lower.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(DIGITS_MIN..=64).contains(&lower.len()) {
        let digits = DIGITS_MIN;
        return Err(CliError::Usage(format!(
            "{text:?} is no {kind}: give its id, or {digits} or more of its first digits; see `{list}`"
        )));
    }
    let bytes = hex::decode(&lower[..whole]).unwrap_or_default();
    if let Ok(id) = <[u8; 32]>::try_from(bytes.as_slice()) {
        return Ok(id);
    }
    let prefix = key(table, &[&bytes]);
    let rows = session.scan(prefix.clone(), prefix, ROWS_MAX).await?;
    let ids = rows.iter().filter_map(|(key, _)| key.get(1..).and_then(|id| id.try_into().ok()));
    let found: Vec<[u8; 32]> =
        ids.filter(|id: &[u8; 32]| hex::encode(id).starts_with(&lower)).collect();
    match found.as_slice() {
        [id] => Ok(*id),
        [] => Err(CliError::no_such(kind, text, list)),
        _ => Err(CliError::Usage(format!("{text:?} begins several ids: give more digits"))),
    }
}

/// The order that is meant: `latest` of this machine (or of all), an id or the beginning of one.
pub async fn order(
    session: &Session,
    machine: Option<MemberId>,
    text: &str,
) -> Result<(OrderId, OrderRow), CliError> {
    if text == "latest" {
        let newest = orders_of(session, machine).await?.pop();
        return newest.ok_or_else(|| CliError::Usage("there is no order yet".into()));
    }
    let id = id_in(session, Table::Order, text, "order", "kerbholz order list").await?;
    let id = OrderId::new(id);
    Ok((id, session.order(id).await?))
}

/// The transaction with this id or beginning of one.
pub async fn transaction(session: &Session, text: &str) -> Result<TransactionId, CliError> {
    let id = id_in(session, Table::Transaction, text, "transaction", "kerbholz order show ORDER");
    Ok(TransactionId::new(id.await?))
}

/// The proposal with this id or beginning of one.
pub async fn proposal(session: &Session, text: &str) -> Result<ProposalId, CliError> {
    let list = "kerbholz proposal list";
    let id = id_in(session, Table::Proposal, text, "proposal", list);
    Ok(ProposalId::new(id.await?))
}

/// The restatement with this id or beginning of one.
pub async fn restatement(session: &Session, text: &str) -> Result<RestatementId, CliError> {
    let list = "kerbholz restatement list";
    let id = id_in(session, Table::Restatement, text, "restatement", list);
    Ok(RestatementId::new(id.await?))
}

/// The lot that is meant: an id, the beginning of one, or a product, which means the oldest lot of
/// it that this owner may use and that has enough.
pub async fn lot(
    session: &Session,
    owner: Option<MemberId>,
    for_order: Option<(OrderId, &OrderRow)>,
    share: &Share,
) -> Result<(LotId, LotRow), CliError> {
    let mut candidates = Vec::new();
    if let Some((_, order)) = for_order {
        for id in &order.provided {
            candidates.push((*id, session.lot(*id).await?));
        }
    }
    if let Some(owner) = owner {
        let free = |row: &LotRow| row.held_for.is_none();
        let own = session.lots_of(owner).await?;
        candidates.extend(own.into_iter().filter(|(_, row)| free(row)));
    }
    let of_product: Vec<_> =
        candidates.into_iter().filter(|(_, row)| row.product == share.lot).collect();
    if of_product.is_empty() {
        let id = id_in(session, Table::Lot, &share.lot, "lot", "kerbholz lot list").await?;
        let id = LotId::new(id);
        return Ok((id, session.lot(id).await?));
    }
    let enough = |row: &LotRow| {
        let wanted = share.amount.unwrap_or(row.quantity);
        row.quantity.unit == wanted.unit && row.quantity.amount >= wanted.amount
    };
    of_product.into_iter().find(|(_, row)| enough(row)).ok_or_else(|| {
        let product = &share.lot;
        CliError::Usage(format!("no lot of {product:?} has so much: see `kerbholz lot list`"))
    })
}

/// A lot and how much of it, in its own unit.
pub async fn portion(
    session: &Session,
    owner: Option<MemberId>,
    for_order: Option<(OrderId, &OrderRow)>,
    share: &Share,
) -> Result<Portion, CliError> {
    let (lot, row) = lot(session, owner, for_order, share).await?;
    let amount = share.amount.unwrap_or(row.quantity);
    if amount.unit != row.quantity.unit {
        let (product, unit) = (&row.product, row.quantity.unit);
        return Err(CliError::Usage(format!(
            "{product:?} is counted in {unit}, not {}",
            amount.unit
        )));
    }
    Ok(Portion { lot, quantity: amount })
}

/// The published factor of this code, in the newest version that has it. Where sets of several
/// publishers have it, `SET@VERSION:CODE` says which.
pub async fn factor(session: &Session, text: &str) -> Result<(FactorRef, Factor), CliError> {
    let (wanted, code) = match text.split_once(':') {
        Some((set, code)) => (Some(set), code),
        None => (None, text),
    };
    let mut sets = scan::<FactorSetRow>(session, Table::FactorSet).await?;
    sets.sort_by_key(|(_, set)| std::cmp::Reverse(set.version));
    let mut found: Vec<(FactorRef, Factor, FactorSetRow)> = Vec::new();
    for (id, set) in sets {
        let label = format!("{}@{}", set.name, set.version);
        let older = |(_, _, newer): &(FactorRef, Factor, FactorSetRow)| {
            newer.publisher == set.publisher && newer.name == set.name
        };
        if wanted.is_some_and(|wanted| wanted != label) || found.iter().any(older) {
            continue;
        }
        let row = session.row(key(Table::Factor, &[&id, code.as_bytes()])).await?;
        if let Some(factor) = row {
            let reference = FactorRef { set: FactorSetId::new(id), code: code.to_owned() };
            found.push((reference, factor, set));
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some((reference, factor, _)), true) => Ok((reference, factor)),
        (None, _) => Err(CliError::no_such("factor", text, "kerbholz factor list")),
        (Some((_, _, set)), false) => Err(CliError::Usage(format!(
            "several sets have the factor {code:?}: write for example \"{}@{}:{code}\"",
            set.name, set.version
        ))),
    }
}
