//! Whether the authorities' ledgers keep every word that clients were given.

use super::load::Book;
use super::{Staff, until};
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::quantity::Minor;
use kerbholz_client::ledger::rows::{CurrencyRow, LedgerRow, Table, TransactionRow, key};
use kerbholz_client::session::now;
use kerbholz_client::{ClientError, Session};
use std::time::Duration;

/// How many rows are read at once.
const ROWS: usize = 64;

/// A session with one authority and no other.
pub fn only(staff: &Staff, authority: usize) -> Session {
    let others: Vec<usize> = staff.all().into_iter().filter(|one| *one != authority).collect();
    // A stranger's key: reading needs no membership.
    let stranger = Keypair::from_seed(&[u8::try_from(authority).unwrap() + 1; 32]);
    Session::open(&staff.network_without(&others), &stranger).unwrap()
}

/// What an authority's ledger comes to, but for the commits in which nothing happened.
async fn sum(session: &Session) -> Result<(u64, [u8; 32], [u8; 32]), ClientError> {
    let row: LedgerRow = session.row(key(Table::Ledger, &[])).await?.unwrap();
    Ok((row.log_leaves, *row.log_root.as_bytes(), *row.state_digest.as_bytes()))
}

/// Waits until some authorities hold the same ledger; how long that took. Nobody may be submitting.
async fn level(staff: &Staff, some: &[usize]) -> Duration {
    let sessions: Vec<Session> = some.iter().map(|one| only(staff, *one)).collect();
    until("all authorities hold the same ledger", async || {
        let mut sums = Vec::new();
        for session in &sessions {
            sums.push(sum(session).await.ok());
        }
        sums[0].is_some() && sums.iter().all(|sum| *sum == sums[0])
    })
    .await
}

/// The last commit that an authority has executed.
pub async fn commit(staff: &Staff, authority: usize) -> u64 {
    only(staff, authority).info().await.unwrap().commit.get()
}

/// The last commit that an authority has executed, and the highest round it knows; `None` if it does
/// not answer.
pub async fn standing(staff: &Staff, authority: usize) -> Option<(u64, u64)> {
    let info = only(staff, authority).info().await.ok()?;
    Some((info.commit.get(), info.round))
}

/// Waits until some authorities have executed a commit.
pub async fn reach(staff: &Staff, some: &[usize], commit: u64) {
    for authority in some {
        let session = only(staff, *authority);
        until("an authority catches up", async || {
            session.info().await.is_ok_and(|info| info.commit.get() >= commit)
        })
        .await;
    }
}

/// How far the time of an authority's last commit is from this machine's clock.
pub async fn ledger_clock_off(staff: &Staff, authority: usize) -> Duration {
    let info = only(staff, authority).info().await.unwrap();
    Duration::from_millis(now().get().abs_diff(info.commit_time.get()))
}

/// Judges a network whose authorities are all honest, see [`close_among`].
pub async fn close(staff: Staff, book: Book) {
    let all = staff.all();
    close_among(staff, &all, book).await;
}

/// The honest authorities hold the same ledger, with every acknowledged transaction as it was acknowledged,
/// and exactly the money that these and the unacknowledged ones it executed issued; and an auditor
/// who replays the blocks finds the same.
pub async fn close_among(mut staff: Staff, honest: &[usize], book: Book) {
    level(&staff, honest).await;
    for authority in honest {
        let session = only(&staff, *authority);
        let ids: Vec<&TransactionId> = book.signed.keys().collect();
        let mut rows: Vec<Option<TransactionRow>> = Vec::new();
        for ids in ids.chunks(ROWS) {
            let keys = ids.iter().map(|id| key(Table::Transaction, &[id.as_bytes()])).collect();
            rows.extend(session.rows(keys).await.unwrap());
        }
        let mut applied = 0;
        for ((id, cents), row) in book.signed.iter().zip(&rows) {
            if let Some(acknowledged) = book.acknowledged.get(id) {
                assert_eq!(row.as_ref(), Some(acknowledged), "{id} at authority {authority}");
            }
            applied += row.as_ref().map_or(0, |row| row.result.map_or(0, |()| *cents));
        }
        let euro: CurrencyRow =
            session.row(key(Table::Currency, &[b"EUR"])).await.unwrap().unwrap();
        assert_eq!(euro.issued, Minor::new(applied), "each once, at authority {authority}");
    }
    assert!(!book.acknowledged.is_empty(), "a drill without a transaction shows nothing");
    staff.audit(honest);
}
