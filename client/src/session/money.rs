//! Accounts, statements of them, and allowances.

use super::Session;
use crate::error::ClientError;
use crate::protocol::{StatementEntry, statement_prefix};
use kerbholz_ledger::allowance::Allowance;
use kerbholz_ledger::codec;
use kerbholz_ledger::id::MemberId;
use kerbholz_ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_ledger::rows::{
    AccountRow, SpentRow, Table, TransactionRow, allowance_key, key, spent_key,
};

/// Something that moved an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// In which commit.
    pub commit: CommitIndex,
    /// When.
    pub time: Timestamp,
    /// By what, and what the account was before and after it.
    pub entry: StatementEntry,
}

/// Movements of an account, and from where to read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementPage {
    /// The movements, the oldest first.
    pub movements: Vec<Movement>,
    /// Where to continue; none where nothing is left.
    pub next: Option<Vec<u8>>,
}

impl Session {
    /// An organisation's account in a currency; empty where it never had any.
    ///
    /// # Errors
    /// As [`Session::row`].
    pub async fn account(
        &self,
        organisation: MemberId,
        currency: &str,
    ) -> Result<AccountRow, ClientError> {
        let parts = [organisation.as_bytes().as_slice(), currency.as_bytes()];
        Ok(self.row(key(Table::Account, &parts)).await?.unwrap_or_default())
    }

    /// What moved an organisation's account in a currency: a page of at most so many movements, after
    /// the place where another page ended. The answering node has them from its own execution of the
    /// ledger; they are no part of the state, and not proved.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn statement(
        &self,
        organisation: MemberId,
        currency: &str,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<StatementPage, ClientError> {
        let prefix = statement_prefix(organisation, currency);
        let from = after.map_or_else(|| prefix.clone(), |after| [after, &[0]].concat());
        let rows = self.scan(prefix, from, limit).await?;
        // Pages are bounded by bytes, too: only an empty one is the last.
        let next = rows.last().map(|(key, _)| key.clone());
        let entry = |bytes: &[u8]| codec::decode_trusted(bytes).map_err(|_| ClientError::BadAnswer);
        let entries: Result<Vec<StatementEntry>, _> =
            rows.iter().map(|(_, value)| entry(value)).collect();
        let entries = entries?;
        let key_of =
            |entry: &StatementEntry| key(Table::Transaction, &[entry.transaction.as_bytes()]);
        let rows: Vec<Option<TransactionRow>> =
            self.rows(entries.iter().map(key_of).collect()).await?;
        let movement = |(entry, row): (StatementEntry, Option<TransactionRow>)| {
            let TransactionRow { commit, time, .. } = row.ok_or(ClientError::BadAnswer)?;
            Ok(Movement { commit, time, entry })
        };
        let movements: Result<_, ClientError> =
            entries.into_iter().zip(rows).map(movement).collect();
        Ok(StatementPage { movements: movements?, next })
    }

    /// The allowance that is set for a machine of an organisation, or for all without one of their
    /// own; none where none is set.
    ///
    /// # Errors
    /// As [`Session::row`].
    pub async fn allowance(
        &self,
        organisation: MemberId,
        machine: Option<MemberId>,
    ) -> Result<Option<Allowance>, ClientError> {
        self.row(allowance_key(organisation, machine)).await
    }

    /// What a machine has spent in the period of its last order, if an allowance counts it.
    ///
    /// # Errors
    /// As [`Session::row`].
    pub async fn spent(&self, machine: MemberId) -> Result<Option<SpentRow>, ClientError> {
        self.row(spent_key(machine)).await
    }
}
