//! Lots, followed through a replay: every footprint that they have had, and what their receipts are
//! made of. The state alone knows the first and the present one.

use crate::audit::{Observer, Replay};
use crate::index::{self, Covered};
use kerbholz_consensus::{Checkpoint, Commit};
use kerbholz_ledger::codec;
use kerbholz_ledger::execute::{Effects, Executed};
use kerbholz_ledger::footprint::Footprint;
use kerbholz_ledger::id::{LotId, TransactionId};
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::quantity::{Epoch, Timestamp};
use kerbholz_ledger::rows::{LotRow, Table, Write, key};
use kerbholz_ledger::transaction::UnverifiedTransaction;
use std::collections::BTreeMap;

/// Which lots: those of a product of this name, and those whose id begins with it, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which(pub String);

impl Which {
    /// Fewer digits of an id may be a word.
    const DIGITS_MIN: usize = 6;

    /// Whether an id begins like this.
    pub fn begins(id: LotId, name: &str) -> bool {
        name.len() >= Self::DIGITS_MIN && id.to_string().starts_with(&name.to_ascii_lowercase())
    }

    fn is(&self, id: LotId, row: &LotRow) -> bool {
        row.product == self.0 || Self::begins(id, &self.0)
    }
}

/// A footprint that a whole lot has had, from a commit on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The time of the commit.
    pub at: Timestamp,
    /// The footprint.
    pub footprint: Footprint,
}

/// Follows lots; whoever watches the replay goes on watching.
pub struct Follower<'o> {
    watch: &'o mut dyn Observer,
    which: Which,
    found: Found,
}

/// What was found on the way.
#[derive(Default)]
struct Found {
    lots: BTreeMap<LotId, Vec<Version>>,
    /// Rows of [`crate::index`].
    rows: Vec<Write>,
    /// Epoch that has ended, and its last commit.
    ended: Option<(Epoch, u64)>,
    newest: Option<Checkpoint>,
}

/// A replayed ledger in which lots were followed.
pub struct Followed {
    /// The state, with the rows that receipts are made of.
    pub state: Memory,
    /// The lots, in the order of their ids, with their footprints, oldest first.
    pub lots: BTreeMap<LotId, Vec<Version>>,
}

impl<'o> Follower<'o> {
    /// Follows these; `watch` is told of everything, too.
    pub fn new(which: Which, watch: &'o mut dyn Observer) -> Self {
        Self { watch, which, found: Found::default() }
    }

    /// What was found, in the replay that was followed.
    pub fn finish(self, replayed: Replay) -> Followed {
        let Found { lots, mut rows, newest, .. } = self.found;
        if let Some(checkpoint) = newest {
            let place = usize::try_from(checkpoint.statement.index).unwrap_or(usize::MAX);
            let leaves = replayed.outcomes.get(place).map_or(0, |outcome| outcome.leaves);
            rows.push(index::covered_write(&Covered { checkpoint, leaves }));
        }
        let mut state = replayed.state;
        state.apply(&rows);
        Followed { state, lots }
    }
}

impl Observer for Follower<'_> {
    fn executed(&mut self, effects: &Effects) {
        self.watch.executed(effects);
    }

    fn advanced(&mut self, bytes: u64) {
        self.watch.advanced(bytes);
    }

    fn ordered(&mut self, commit: &Commit, effects: &Effects) {
        let payload: Vec<&[u8]> = commit.payload().map(|(_, bytes)| bytes).collect();
        self.found.commit(&self.which, Timestamp::new(commit.time().0), &payload, effects);
        self.watch.ordered(commit, effects);
    }

    fn certified(&mut self, checkpoint: &Checkpoint) {
        if let Some((epoch, commit)) = self.found.ended
            && checkpoint.statement.index == commit
        {
            self.found.rows.push(index::closing_write(epoch, checkpoint));
        }
        self.found.newest = Some(checkpoint.clone());
        self.watch.certified(checkpoint);
    }
}

impl Found {
    fn commit(&mut self, which: &Which, at: Timestamp, payload: &[&[u8]], effects: &Effects) {
        for executed in &effects.executed {
            let made = made_by(executed).filter(|(id, row)| which.is(*id, row));
            let made: Vec<LotId> = made.map(|(id, _)| id).collect();
            if made.is_empty() {
                continue;
            }
            self.lots.extend(made.into_iter().map(|id| (id, Vec::new())));
            let bytes = payload.iter().find(|bytes| is(bytes, executed.id));
            self.rows.push(index::receivable_write(executed, bytes.copied()));
        }
        for (id, versions) in &mut self.lots {
            let known = versions.last().map(|version| &version.footprint);
            if let Some(footprint) = whole(effects, *id).filter(|now| Some(now) != known) {
                // Time may stand still between two commits that are dated alike.
                versions.push(Version { at, footprint });
            }
        }
        self.end_of_epoch(effects);
    }

    fn end_of_epoch(&mut self, effects: &Effects) {
        let Some(next) = &effects.next_committee else { return };
        let row = kerbholz_ledger::rows::committee_key(next.epoch);
        let decides = |done: &&Executed| done.writes.iter().any(|write| *write.key == row);
        let vote = effects.executed.iter().find(decides);
        self.rows.extend(vote.map(|vote| index::receivable_write(vote, None)));
        self.rows.extend(index::ended_write(effects));
        let epoch = next.epoch.checked_sub(Epoch::new(1));
        self.ended = epoch.map(|epoch| (epoch, effects.commit.get()));
    }
}

/// The lots that an entry of the log has made.
fn made_by(executed: &Executed) -> impl Iterator<Item = (LotId, LotRow)> {
    let rows = executed.writes.iter().filter_map(|write| {
        let (table, id) = write.key.split_first()?;
        let id = LotId::new(id.try_into().ok()?);
        let value = write.value.as_ref().filter(|_| *table == Table::Lot as u8)?;
        Some((id, codec::decode_trusted::<LotRow>(value).ok()?))
    });
    rows.filter(|(_, row)| row.transaction == executed.id)
}

fn is(bytes: &[u8], id: TransactionId) -> bool {
    let decoded = UnverifiedTransaction::decode(bytes).ok();
    let verified = decoded.and_then(|transaction| transaction.verify().ok());
    verified.is_some_and(|transaction| transaction.id() == id)
}

/// The footprint of the whole lot after a commit, if the commit wrote it.
fn whole(effects: &Effects, id: LotId) -> Option<Footprint> {
    let written = |key: &[u8]| {
        let place = effects.writes.binary_search_by(|write| (*write.key).cmp(key)).ok()?;
        effects.writes.get(place)?.value.as_deref()
    };
    if let Some(bytes) = written(&key(Table::Whole, &[id.as_bytes()])) {
        return codec::decode_trusted(bytes).ok();
    }
    let row: LotRow = codec::decode_trusted(written(&key(Table::Lot, &[id.as_bytes()]))?).ok()?;
    // Once something was taken, what the lot's own row has is only what remains.
    (row.uses == 0).then_some(row.footprint)
}

/// What following a history without consensus comes to, for tests.
#[cfg(test)]
pub fn followed(which: &Which, history: &[(Timestamp, Effects)], state: &Memory) -> Followed {
    let mut found = Found::default();
    for (at, effects) in history {
        found.commit(which, *at, &[], effects);
    }
    Followed { state: state.clone(), lots: found.lots }
}
