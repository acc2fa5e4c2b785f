//! What an authority that lost its log must learn before it signs again (§8.5).
//!
//! Without its newest block it could sign a second one of a round. `2f + 1` others say which is the
//! newest block by it that they know. Such a block is signed, so nobody can invent one. Any that a
//! decision rests on is in the history of a quorum, hence known to `n - 2f - 1` honest others at
//! least, and one of these is among any `2f + 1` of the `n - 1`.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    authority_set::AuthoritySet,
    committee::Committee,
    parameters::Parameters,
    types::{AuthorityIndex, Instant, Round},
};

/// For how many pauses more answers than are needed are waited for.
const PATIENCE_PAUSES: u64 = 5;

/// Who was asked, and what they said.
#[derive(Debug)]
pub(crate) struct LostLog {
    faulty_max: usize,
    /// How many others must have answered.
    answers_needed: usize,
    pause_ms: u64,
    /// The newest commit of each that answered.
    answers: BTreeMap<AuthorityIndex, u64>,
    in_flight: AuthoritySet,
    /// Who failed is not asked again before.
    due: BTreeMap<AuthorityIndex, Instant>,
    sign_after: Option<Round>,
    /// Nobody else can say anything: it takes the operator.
    alone: bool,
    /// Since when enough have answered.
    enough: Option<Instant>,
}

impl LostLog {
    /// Asks until `2f + 1` others have answered, or all if there are fewer. Without faults to
    /// tolerate all must: a single one may have our newest block, and none lies.
    /// Whoever was `asked` before has yet to answer.
    pub fn new(
        committee: &Committee,
        parameters: &Parameters,
        sign_after: Option<Round>,
        asked: AuthoritySet,
    ) -> Self {
        let faulty_max = committee.faulty_max();
        Self {
            faulty_max,
            answers_needed: committee.answers_after_loss(),
            pause_ms: 4 * parameters.delta_ms,
            answers: BTreeMap::new(),
            in_flight: asked,
            due: BTreeMap::new(),
            sign_after,
            alone: committee.size() == 1,
            enough: None,
        }
    }

    /// Whom to ask now.
    pub fn poll(&mut self, now: Instant, connected: AuthoritySet) -> Vec<AuthorityIndex> {
        let peers: Vec<_> = self
            .open(connected)
            .filter(|peer| self.due.get(peer).is_none_or(|due| *due <= now))
            .collect();
        for peer in &peers {
            self.in_flight.insert(*peer);
        }
        peers
    }

    /// When to [`poll`](Self::poll).
    pub fn due_at(&self, now: Instant, connected: AuthoritySet) -> Option<Instant> {
        let open = self.open(connected);
        let open = open.map(|peer| self.due.get(&peer).copied().unwrap_or_default()).min();
        open.into_iter().chain(self.patience_ends().filter(|ends| *ends > now)).min()
    }

    /// Until when answers that are under way are waited for, though there are enough: each can
    /// only make it safer.
    fn patience_ends(&self) -> Option<Instant> {
        let ends = self.enough?.plus_ms(PATIENCE_PAUSES * self.pause_ms);
        (!self.in_flight.is_empty()).then_some(ends)
    }

    fn open(&self, connected: AuthoritySet) -> impl Iterator<Item = AuthorityIndex> {
        connected
            .iter()
            .filter(|peer| !self.answers.contains_key(peer) && !self.in_flight.contains(*peer))
    }

    /// A peer that was asked answered.
    pub fn answered(&mut self, from: AuthorityIndex, commit: u64, now: Instant) {
        if self.in_flight.contains(from) {
            self.in_flight.remove(from);
            self.answers.insert(from, commit);
        }
        if self.answers.len() >= self.answers_needed {
            self.enough.get_or_insert(now);
        }
    }

    /// A peer did not answer, or is gone.
    pub fn failed(&mut self, from: AuthorityIndex, now: Instant) {
        if self.in_flight.contains(from) {
            self.in_flight.remove(from);
            self.due.insert(from, now.plus_ms(self.pause_ms));
        }
    }

    /// The first round to sign, once enough is known and our commits have come as far as those of
    /// at least one honest peer had. `newest` is the newest own block known.
    ///
    /// If nobody knows any, there is none to be feared, and round 1 needs everybody who is new in
    /// an epoch. Otherwise one round is left out, for a block that reached few before the loss;
    /// but not when all others are honest by assumption and all have answered.
    pub fn sign_from(&self, newest: Round, commit: u64, now: Instant) -> Option<Round> {
        if let Some(sign_after) = self.sign_after {
            return Some(sign_after.max(newest).plus(1));
        }
        let mut commits: Vec<u64> = self.answers.values().copied().collect();
        commits.sort_unstable_by(|a, b| b.cmp(a));
        let target = commits.get(self.faulty_max).copied().unwrap_or_default();
        let waits = self.patience_ends().is_some_and(|ends| now < ends);
        if self.alone || commits.len() < self.answers_needed || commit < target || waits {
            return None;
        }
        let margin = if newest == Round::GENESIS || self.faulty_max == 0 { 1 } else { 2 };
        Some(newest.plus(margin))
    }
}
