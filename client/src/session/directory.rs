//! Finding members, and what is said of them.

use super::Session;
use crate::error::ClientError;
use kerbholz_ledger::description::Description;
use kerbholz_ledger::directory::{MemberFilter, MemberPage, has_ended, listed};
use kerbholz_ledger::id::MemberId;
use kerbholz_ledger::keys::PublicKey;
use kerbholz_ledger::rows::{KeyRow, MemberRow, Table, description_key, key, member_key};
use std::collections::BTreeMap;

/// Index entries asked for at once.
const ENTRIES: u32 = 200;

impl Session {
    /// Finds members: at most so many, after the place where another page ended.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn find_members(
        &self,
        filter: &MemberFilter,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<MemberPage, ClientError> {
        let commit = self.ledger().await?.commit;
        let behind = |key: &[u8]| [key, &[0]].concat();
        let mut organisations: BTreeMap<MemberId, Option<MemberRow>> = BTreeMap::new();
        let (mut members, mut last) = (Vec::new(), None);
        for prefix in filter.prefixes() {
            let mut from = after.map(behind).unwrap_or_default().max(prefix.clone());
            loop {
                let entries = self.scan(prefix.clone(), from, ENTRIES).await?;
                let Some((end, _)) = entries.last() else { break };
                from = behind(end);
                let ids: Vec<MemberId> =
                    entries.iter().filter_map(|(key, _)| listed(key)).collect();
                let rows: Vec<Option<MemberRow>> =
                    self.rows(ids.iter().map(|id| member_key(*id)).collect()).await?;
                for ((id, row), (key, _)) in ids.into_iter().zip(rows).zip(entries) {
                    let Some(row) = row.filter(|row| filter.fits(row)) else { continue };
                    let of = row.organisation;
                    if let std::collections::btree_map::Entry::Vacant(entry) =
                        organisations.entry(of)
                    {
                        entry.insert(self.row(member_key(of)).await?);
                    }
                    let organisation = organisations.get(&of).and_then(Option::as_ref);
                    if !filter.ended && has_ended(&row, organisation, commit) {
                        continue;
                    }
                    if members.len() == limit {
                        return Ok(MemberPage { members, next: last });
                    }
                    members.push((id, row));
                    last = Some(key);
                }
            }
        }
        Ok(MemberPage { members, next: None })
    }

    /// The member whose key it is, or was.
    ///
    /// # Errors
    /// [`ClientError::Unknown`] when it is nobody's.
    pub async fn member_with_key(
        &self,
        public: &PublicKey,
    ) -> Result<(MemberId, MemberRow), ClientError> {
        let row: Option<KeyRow> = self.row(key(Table::Key, &[public.as_bytes()])).await?;
        let id = row.ok_or(ClientError::Unknown("member"))?.member;
        let row = self.row(member_key(id)).await?;
        Ok((id, row.ok_or(ClientError::Unknown("member"))?))
    }

    /// What is said of a machine or meter, if anything is.
    ///
    /// # Errors
    /// As [`Session::row`].
    pub async fn description(&self, member: MemberId) -> Result<Option<Description>, ClientError> {
        self.row(description_key(member)).await
    }
}
