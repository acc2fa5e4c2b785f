//! Where a subscriber is in the stream of events, and what comes next for it. Pure.
//!
//! Events lie in rows by commit. A place is a commit and how many of its events were seen, so it
//! means the same at every authority, whatever that one has executed so far.

use crate::index;
use kerbholz_client::ledger::execute::{Event, EventBody};
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::rows::{Read, ReadError};
use kerbholz_client::protocol::Subscription;

/// Commits whose events are read at once for a subscriber.
const COMMITS_AT_ONCE: usize = 32;

/// A subscriber's place in the stream.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    commit: u64,
    index: u32,
    member: Option<MemberId>,
}

impl Feed {
    pub(super) const fn new(from: Subscription) -> Self {
        Self { commit: from.commit.get(), index: from.index, member: from.member }
    }

    /// The next events for this subscriber, perhaps none that concern it; `None` when there are no
    /// more yet. `reached` is a commit whose rows were there before this call.
    pub(super) fn next(
        &mut self,
        rows: &dyn Read,
        reached: u64,
    ) -> Result<Option<Vec<Event>>, ReadError> {
        let mut events = index::events(rows, self.commit, COMMITS_AT_ONCE)?;
        let Some(last) = events.last().map(|last| last.commit.get()) else {
            // Nothing up to there: what is executed meanwhile comes behind it.
            if self.commit <= reached {
                (self.commit, self.index) = (reached.saturating_add(1), 0);
            }
            return Ok(None);
        };
        let seen = |event: &Event| event.commit.get() == self.commit && event.index < self.index;
        events.retain(|event| !seen(event) && concerns(event, self.member));
        (self.commit, self.index) = (last.saturating_add(1), 0);
        Ok(Some(events))
    }
}

fn concerns(event: &Event, member: Option<MemberId>) -> bool {
    let Some(member) = member else { return true };
    match &event.body {
        EventBody::Final { .. } | EventBody::Proposal { .. } => false,
        EventBody::Order { buyer, provider, .. } => *buyer == member || *provider == member,
        EventBody::Lot { owner, .. } | EventBody::LotRestated { owner, .. } => *owner == member,
        EventBody::Restatement { by, .. } => *by == member,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_client::ledger::execute::Effects;
    use kerbholz_client::ledger::id::{Digest, LotId, TransactionId};
    use kerbholz_client::ledger::memory::Memory;
    use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
    use std::collections::BTreeMap;

    fn member(number: u8) -> MemberId {
        MemberId::new([number; 32])
    }

    /// A commit in which each of these owners gets a lot.
    fn commit(rows: &mut Memory, commit: u64, owners: &[u8]) {
        let event = |(index, owner): (usize, &u8)| Event {
            commit: CommitIndex::new(commit),
            index: index as u32,
            time: Timestamp::new(commit),
            transaction: TransactionId::new([0; 32]),
            body: EventBody::Lot { lot: LotId::new([index as u8; 32]), owner: member(*owner) },
        };
        let effects = Effects {
            commit: CommitIndex::new(commit),
            writes: vec![],
            executed: vec![],
            events: owners.iter().enumerate().map(event).collect(),
            log_leaves: 0,
            log_root: Digest::new([0; 32]),
            state_digest: Digest::new([0; 32]),
            next_committee: None,
        };
        let writes = index::writes(rows, &effects, &BTreeMap::new()).unwrap();
        rows.apply(&writes);
    }

    fn feed(commit: u64, index: u32, of: Option<u8>) -> Feed {
        let commit = CommitIndex::new(commit);
        Feed::new(Subscription { commit, index, member: of.map(member) })
    }

    /// All there is so far, as (commit, index).
    fn drain(feed: &mut Feed, rows: &Memory, reached: u64) -> Vec<(u64, u32)> {
        let mut all = Vec::new();
        while let Some(events) = feed.next(rows, reached).unwrap() {
            all.extend(events.iter().map(|event| (event.commit.get(), event.index)));
        }
        all
    }

    #[test]
    fn it_resumes_exactly_where_it_stood() {
        let mut rows = Memory::default();
        commit(&mut rows, 3, &[1, 2, 1]);
        commit(&mut rows, 5, &[2]);
        let everything = [(3, 0), (3, 1), (3, 2), (5, 0)];
        // ((commit, events of it seen), member, what comes)
        type Place = (u64, u32);
        let table: [(Place, Option<u8>, &[Place]); 9] = [
            ((0, 0), None, &everything),
            ((0, 7), None, &everything),
            ((3, 0), None, &everything),
            ((3, 2), None, &everything[2..]),
            ((3, 3), None, &everything[3..]),
            ((4, 9), None, &everything[3..]),
            ((5, 1), None, &[]),
            ((0, 0), Some(1), &[(3, 0), (3, 2)]),
            ((3, 1), Some(2), &[(3, 1), (5, 0)]),
        ];
        for ((commit, index), member, expected) in table {
            let found = drain(&mut feed(commit, index, member), &rows, 6);
            assert_eq!(found, expected, "from {commit}/{index} of {member:?}");
        }
    }

    #[test]
    fn nothing_is_lost_or_repeated_while_commits_arrive() {
        let mut rows = Memory::default();
        let mut feed = feed(0, 0, None);
        assert_eq!(drain(&mut feed, &rows, 4), []);
        // Applied, though its progress was not published yet.
        commit(&mut rows, 5, &[1]);
        assert_eq!(drain(&mut feed, &rows, 4), [(5, 0)]);
        assert_eq!(drain(&mut feed, &rows, 5), []);
        for number in 6..100 {
            commit(&mut rows, number, &[1, 2]);
        }
        let all = drain(&mut feed, &rows, 99);
        let expected: Vec<_> = (6..100).flat_map(|commit| [(commit, 0), (commit, 1)]).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_node_that_is_behind_waits_for_the_place_to_come() {
        let mut rows = Memory::default();
        let mut feed = feed(9, 1, None);
        assert_eq!(drain(&mut feed, &rows, 4), []);
        commit(&mut rows, 8, &[1]);
        assert_eq!(drain(&mut feed, &rows, 8), []);
        commit(&mut rows, 9, &[1, 2]);
        assert_eq!(drain(&mut feed, &rows, 9), [(9, 1)]);
    }
}
