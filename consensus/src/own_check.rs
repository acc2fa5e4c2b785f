//! Whether others know blocks of ours that we do not have: then our log is an old copy (§8.5).
//!
//! A machine that has just started makes no block before it was told how far its peers have its
//! own: all peers without whom there is no progress anyway, or those who speak in time. Who claims
//! more than there is gets asked, and asked again if the question fails. The answer is a signed
//! block, which nobody can invent; a claim that brings none costs its peer's one wait and nothing
//! more.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    authority_set::AuthoritySet,
    committee::Committee,
    parameters::Parameters,
    types::{AuthorityIndex, Instant},
};

/// For how many Δ further greetings, and the answer to a claim, are waited for.
const PATIENCE_DELTAS: u64 = 8;
/// After how many Δ a question that failed is asked again.
const PAUSE_DELTAS: u64 = 2;

/// What a peer claims to have of ours, until it has answered or its time is over.
#[derive(Debug)]
struct Claim {
    /// How long new blocks wait for it.
    until: Instant,
    /// When to ask again; `None` while a question is under way.
    again: Option<Instant>,
}

/// Who has said how far it has our blocks, and who was asked for them.
#[derive(Debug)]
pub(crate) struct OwnCheck {
    /// How many others are to greet before the first block.
    greetings_needed: usize,
    patience_ms: u64,
    pause_ms: u64,
    greeted: AuthoritySet,
    /// When the first one greeted.
    since: Option<Instant>,
    claims: BTreeMap<AuthorityIndex, Claim>,
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
            pause_ms: PAUSE_DELTAS * parameters.delta_ms,
            greeted: AuthoritySet::EMPTY,
            since: None,
            claims: BTreeMap::new(),
            heeded: AuthoritySet::EMPTY,
            begun: false,
        }
    }

    /// A peer greets; `claims` says whether it claims a block of ours that is not here. Says
    /// whether it is to be asked for it.
    pub fn greeted(&mut self, peer: AuthorityIndex, claims: bool, now: Instant) -> bool {
        self.greeted.insert(peer);
        self.since.get_or_insert(now);
        if !claims {
            self.claims.remove(&peer);
            return false;
        }
        // Who claims again and again is asked again, and waited for no more.
        let patience_ms = if self.heeded.insert(peer) { self.patience_ms } else { 0 };
        let new = Claim { until: now.plus_ms(patience_ms), again: Some(now) };
        self.claims.entry(peer).or_insert(new).again.take().is_some()
    }

    /// A question was answered.
    pub fn answered(&mut self, peer: AuthorityIndex) {
        self.claims.remove(&peer);
    }

    /// A question will not be answered, or its peer is gone.
    pub fn failed(&mut self, peer: AuthorityIndex, now: Instant) {
        if let Some(claim) = self.claims.get_mut(&peer) {
            claim.again.get_or_insert(now.plus_ms(self.pause_ms));
        }
    }

    /// Whom to ask again now.
    pub fn poll(&mut self, now: Instant, connected: AuthoritySet) -> Vec<AuthorityIndex> {
        self.claims.retain(|_, claim| claim.again.is_none() || claim.until > now);
        let is_due = |claim: &Claim| claim.again.is_some_and(|at| at <= now);
        let open = self.claims.iter_mut();
        open.filter(|(peer, claim)| connected.contains(**peer) && is_due(claim))
            .map(|(peer, claim)| {
                claim.again = None;
                *peer
            })
            .collect()
    }

    /// Whom a question is under way to.
    pub fn asked(&self) -> AuthoritySet {
        let asked = self.claims.iter().filter(|(_, claim)| claim.again.is_none());
        asked.map(|(peer, _)| *peer).collect()
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
        self.claims.values().any(|claim| claim.until > now)
            || !self.is_greeted() && self.greeting_ends().is_none_or(|ends| ends > now)
    }

    /// When the next of the waits is over, if time alone ends it, or to [`poll`](Self::poll).
    pub fn due_at(&self, now: Instant) -> Option<Instant> {
        let greeting = self.greeting_ends().filter(|_| !self.is_greeted());
        let claims = self.claims.values().flat_map(|claim| [Some(claim.until), claim.again]);
        claims.chain([greeting]).flatten().filter(|at| *at > now).min()
    }

    fn is_greeted(&self) -> bool {
        self.begun || self.greeted.len() >= self.greetings_needed
    }

    fn greeting_ends(&self) -> Option<Instant> {
        Some(self.since?.plus_ms(self.patience_ms))
    }
}
