//! Whether others know blocks of ours that we do not have: then our log is an old copy (§8.5).
//!
//! A machine that has just started makes no block before it was told how far its peers have its
//! own: all peers without whom there is no progress anyway, or those who speak in time. Who claims
//! more than there is gets asked. The answer is a signed block, which nobody can invent; a claim
//! that brings none costs its peer's one wait and nothing more.

use alloc::collections::BTreeMap;

use crate::{
    authority_set::AuthoritySet,
    committee::Committee,
    parameters::Parameters,
    types::{AuthorityIndex, Instant},
};

/// For how many Δ further greetings, and the answer to a claim, are waited for.
const PATIENCE_DELTAS: u64 = 8;

/// Who has said how far it has our blocks, and who was asked for them.
#[derive(Debug)]
pub(crate) struct OwnCheck {
    /// How many others are to greet before the first block.
    greetings_needed: usize,
    patience_ms: u64,
    greeted: AuthoritySet,
    /// When the first one greeted.
    since: Option<Instant>,
    /// Whom a question is under way to, and until when its answer is waited for.
    asked: BTreeMap<AuthorityIndex, Instant>,
    /// Whose answer was waited for once.
    heeded: AuthoritySet,
    /// Whether a block was made, or may be.
    begun: bool,
}

impl OwnCheck {
    /// Waits for the greetings of all others but `f`: without them no round can be completed.
    pub fn new(committee: &Committee, parameters: &Parameters) -> Self {
        Self {
            greetings_needed: committee.quorum().saturating_sub(1),
            patience_ms: PATIENCE_DELTAS * parameters.delta_ms,
            greeted: AuthoritySet::EMPTY,
            since: None,
            asked: BTreeMap::new(),
            heeded: AuthoritySet::EMPTY,
            begun: false,
        }
    }

    /// A peer greets; `claims` says whether it claims a block of ours that is not here. Says
    /// whether it is to be asked for it.
    pub fn greeted(&mut self, peer: AuthorityIndex, claims: bool, now: Instant) -> bool {
        self.greeted.insert(peer);
        self.since.get_or_insert(now);
        if !claims || self.asked.contains_key(&peer) {
            return false;
        }
        // Who claims again and again is asked again, and waited for no more.
        let patience_ms = if self.heeded.insert(peer) { self.patience_ms } else { 0 };
        self.asked.insert(peer, now.plus_ms(patience_ms));
        true
    }

    /// A question was answered, or will not be.
    pub fn ended(&mut self, peer: AuthorityIndex) {
        self.asked.remove(&peer);
    }

    /// Whom a question is under way to.
    pub fn asked(&self) -> AuthoritySet {
        self.asked.keys().copied().collect()
    }

    /// The first block is made, or others have vouched for what there is.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// Whether anything may have been signed since the start.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether a new block has to wait.
    pub fn waits(&self, now: Instant) -> bool {
        self.asked.values().any(|until| *until > now)
            || !self.is_greeted() && self.greeting_ends().is_none_or(|ends| ends > now)
    }

    /// When the next of the waits is over, if time alone ends it.
    pub fn due_at(&self, now: Instant) -> Option<Instant> {
        let greeting = self.greeting_ends().filter(|_| !self.is_greeted());
        self.asked.values().copied().chain(greeting).filter(|at| *at > now).min()
    }

    fn is_greeted(&self) -> bool {
        self.begun || self.greeted.len() >= self.greetings_needed
    }

    fn greeting_ends(&self) -> Option<Instant> {
        Some(self.since?.plus_ms(self.patience_ms))
    }
}
