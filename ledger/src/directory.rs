//! The directory of members: who there is, by organisation, kind, service and name.

use crate::id::MemberId;
use crate::quantity::CommitIndex;
use crate::rows::{
    MemberKind, MemberRow, Read, ReadError, Table, key, member_key, name_prefix_key, read,
    service_key,
};
use alloc::{string::String, vec::Vec};

/// Whom one looks for: everything that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberFilter {
    /// Machines and meters of this organisation, and itself.
    pub organisation: Option<MemberId>,
    /// Members of this kind.
    pub kind: Option<MemberKind>,
    /// Machines whose description names this service.
    pub service: Option<String>,
    /// What the name begins with; may be empty.
    pub name: String,
    /// Those whose membership has ended, too.
    pub ended: bool,
}

/// Members that were found, and from where to look on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPage {
    /// The members.
    pub members: Vec<(MemberId, MemberRow)>,
    /// Where to continue; none where nothing is left.
    pub next: Option<Vec<u8>>,
}

impl MemberFilter {
    /// What the keys begin with under which they are listed, ascending: the index that leaves the
    /// fewest.
    pub fn prefixes(&self) -> Vec<Vec<u8>> {
        const KINDS: [MemberKind; 5] = [
            MemberKind::Organisation,
            MemberKind::Machine,
            MemberKind::Meter,
            MemberKind::Publisher,
            MemberKind::Auditor,
        ];
        match (&self.service, self.organisation, self.kind) {
            (Some(service), _, _) => alloc::vec![service_key(service, None)],
            (None, Some(organisation), _) => alloc::vec![
                member_key(organisation),
                key(Table::MemberByOrganisation, &[organisation.as_bytes()]),
            ],
            (None, None, Some(kind)) => alloc::vec![name_prefix_key(kind, &self.name)],
            (None, None, None) if self.name.is_empty() => alloc::vec![key(Table::Member, &[])],
            (None, None, None) => {
                KINDS.iter().map(|kind| name_prefix_key(*kind, &self.name)).collect()
            }
        }
    }

    /// Whether a member that is listed there is one of them, its end apart.
    pub fn fits(&self, row: &MemberRow) -> bool {
        self.organisation.is_none_or(|organisation| row.organisation == organisation)
            && self.kind.is_none_or(|kind| row.kind == kind)
            && row.name.starts_with(&self.name)
    }
}

/// The member that the key of an index names.
pub fn listed(key: &[u8]) -> Option<MemberId> {
    key.last_chunk::<32>().map(|id| MemberId::new(*id))
}

/// Whether a membership holds at no commit after this one, its own or its organisation's.
pub fn has_ended(row: &MemberRow, organisation: Option<&MemberRow>, commit: CommitIndex) -> bool {
    let ended = |row: &MemberRow| row.revoked_from.is_some_and(|from| from <= commit);
    ended(row) || organisation.is_some_and(ended)
}

/// Finds members: at most so many, after the place where another page ended.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn find_members(
    state: &dyn Read,
    filter: &MemberFilter,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<MemberPage, ReadError> {
    let commit = crate::query::ledger(state)?.commit;
    let (mut members, mut last) = (Vec::new(), None);
    for prefix in filter.prefixes() {
        let behind = |key: &[u8]| [key, &[0]].concat();
        let mut from = after.map(behind).unwrap_or_default().max(prefix.clone());
        loop {
            let rows = state.scan(&prefix, &from, limit.max(1))?;
            let Some((end, _)) = rows.last() else { break };
            from = behind(end);
            for (key, _) in rows {
                let Some(id) = listed(&key) else { continue };
                let Some(row) = read::<MemberRow>(state, &member_key(id))? else { continue };
                let organisation = read(state, &member_key(row.organisation))?;
                let there = filter.ended || !has_ended(&row, organisation.as_ref(), commit);
                if !there || !filter.fits(&row) {
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
