//! Catches up by certified commits (§6.5): asks for them, collects their blocks, yields them in order.
//!
//! Nothing here judges a commit: a quorum has. What is bounded: the headers held, the blocks held
//! for them in bytes, and the blocks asked for. Whoever has nothing, or nothing new, is followed by
//! the next peer, with pauses once everybody was asked.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec,
    vec::Vec,
};

use crate::{
    authority_set::AuthoritySet,
    block::{BLOCK_BYTES_MAX, Block},
    certificate::CertifiedCommits,
    commit::CommitHeader,
    committee::Committee,
    dag::Dag,
    linear::Head,
    parameters::Parameters,
    suspended::Suspended,
    types::{AuthorityIndex, BlockRef, CommitDigest, Instant},
};

/// Below so many held headers more are asked for.
const HEADERS_LOW: usize = 256;
/// After so many Δ without a commit a node that is only a little behind asks, too.
const STALL_DELTAS: u64 = 20;
/// After so many Δ without an answer another peer is asked.
const PATIENCE_DELTAS: u64 = 20;
/// After so many Δ in a closing epoch its checkpoint is asked for.
const CLOSING_DELTAS: u64 = 4;

/// Why commits are asked for at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An authority that follows the streams: only when it is behind.
    Behind,
    /// A follower, which has nothing else: always.
    Follow,
    /// The epoch closes at this commit, and only its checkpoint is missing.
    Close(u64),
}

/// Two certified commits that cannot both be: more than `f` authorities are faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction;

/// Blocks of certified commits: `None` until they are here.
pub(crate) type Blocks = BTreeMap<BlockRef, Option<Block>>;

/// Certified commits on their way to being applied, and who is asked for more.
#[derive(Debug)]
pub(crate) struct CatchUp {
    faulty_max: usize,
    /// How many commits behind the network a node trusts its streams to bring it to the tip.
    margin: u64,
    delta_ms: u64,
    heartbeat_ms: u64,
    bytes_max: usize,
    /// The newest commit each authority is known to have.
    claims: Vec<u64>,
    /// Certified and not applied, ascending without gaps.
    headers: VecDeque<CommitHeader>,
    /// Digest of the last of them.
    tail_digest: CommitDigest,
    /// Blocks of the first headers that are not in the DAG.
    blocks: Blocks,
    missing: usize,
    bytes: usize,
    /// Up to which header, and which of its blocks, blocks are asked for.
    planned: (usize, usize),
    /// Who was asked and has not answered, since when.
    asked: BTreeMap<AuthorityIndex, Instant>,
    asked_last: Option<AuthorityIndex>,
    failures: u32,
    /// Nobody is asked before.
    due: Instant,
    /// When a commit was last made or a certified block last came.
    progress: Instant,
}

impl CatchUp {
    pub fn new(committee: &Committee, parameters: &Parameters, now: Instant) -> Self {
        Self {
            faulty_max: committee.faulty_max(),
            margin: committee.gc_depth() / 2,
            delta_ms: parameters.delta_ms,
            heartbeat_ms: parameters.heartbeat_ms,
            bytes_max: parameters.catch_up_bytes_max,
            claims: vec![0; committee.size()],
            headers: VecDeque::new(),
            tail_digest: CommitDigest::NONE,
            blocks: BTreeMap::new(),
            missing: 0,
            bytes: 0,
            planned: (0, 0),
            asked: BTreeMap::new(),
            asked_last: None,
            failures: 0,
            due: now,
            progress: now,
        }
    }

    /// Whether certified commits wait to be applied: then nothing newer is decided or proposed.
    pub fn is_applying(&self) -> bool {
        !self.headers.is_empty()
    }

    /// A peer says, or its votes show, that it has executed this commit.
    pub fn claim(&mut self, peer: AuthorityIndex, index: u64) {
        if let Some(claim) = self.claims.get_mut(peer.position()) {
            *claim = index.max(*claim);
        }
    }

    /// The newest commit that at least one honest authority has.
    pub fn network(&self) -> u64 {
        let mut claims = self.claims.clone();
        claims.sort_unstable_by(|a, b| b.cmp(a));
        claims.get(self.faulty_max).copied().unwrap_or_default()
    }

    /// A commit was made, by whichever way.
    pub fn committed(&mut self, now: Instant) {
        self.progress = now;
    }

    /// Whether nothing was committed for long, though an idle network commits now and then.
    pub fn is_stalled(&self, now: Instant) -> bool {
        now >= self.stalls_at()
    }

    /// From when on that is so, if nothing is committed before.
    pub fn stalls_at(&self) -> Instant {
        self.progress.plus_ms(2 * self.heartbeat_ms + 1)
    }

    /// A peer is gone, and with it what it was asked.
    pub fn disconnect(&mut self, peer: AuthorityIndex) {
        self.asked.remove(&peer);
    }

    /// Whom to ask now for what is above which commit. One at a time, unless it takes long.
    pub fn poll(
        &mut self,
        now: Instant,
        head: &Head,
        purpose: Purpose,
        connected: AuthoritySet,
    ) -> Option<(AuthorityIndex, u64)> {
        if self.due_at(head, purpose, connected).is_none_or(|due| due > now) {
            return None;
        }
        let after = self.after(head, purpose);
        let peer = self.candidate(connected, after)?;
        self.asked_last = Some(peer);
        self.asked.insert(peer, now);
        Some((peer, after))
    }

    /// When to [`poll`](Self::poll), as far as is known now.
    pub fn due_at(
        &self,
        head: &Head,
        purpose: Purpose,
        connected: AuthoritySet,
    ) -> Option<Instant> {
        let after = self.after(head, purpose);
        if self.headers.len() >= HEADERS_LOW || self.candidate(connected, after).is_none() {
            return None;
        }
        let stalled = self.progress.plus_ms(STALL_DELTAS * self.delta_ms);
        let wanted = match purpose {
            Purpose::Follow => self.due,
            Purpose::Close(_) => self.progress.plus_ms(CLOSING_DELTAS * self.delta_ms),
            Purpose::Behind if self.network() > after.saturating_add(self.margin) => self.due,
            Purpose::Behind if self.claims.iter().any(|claim| *claim > after) => stalled,
            Purpose::Behind => return None,
        };
        let patience = |asked: &Instant| asked.plus_ms(PATIENCE_DELTAS * self.delta_ms);
        let busy = self.asked.values().map(patience).max();
        Some(wanted.max(self.due).max(busy.unwrap_or_default()))
    }

    fn after(&self, head: &Head, purpose: Purpose) -> u64 {
        match purpose {
            Purpose::Close(index) => index.saturating_sub(1),
            _ => self.headers.back().map_or(head.index, |last| last.index),
        }
    }

    /// The peer after the one asked last; one that claims to have more before any other, until a
    /// question brought nothing: who claims what it cannot show would be asked for ever.
    fn candidate(&self, connected: AuthoritySet, after: u64) -> Option<AuthorityIndex> {
        let free = |peer: &AuthorityIndex| !self.asked.contains_key(peer);
        let has_more = |peer: &AuthorityIndex| {
            self.claims.get(peer.position()).is_some_and(|claim| *claim > after)
        };
        let last = self.asked_last;
        let order = || {
            let later = connected.iter().filter(move |peer| Some(*peer) > last);
            later.chain(connected.iter().filter(move |peer| Some(*peer) <= last)).filter(free)
        };
        let trusted = if self.failures == 0 { order().find(has_more) } else { None };
        trusted.or_else(|| order().next())
    }

    /// A request brought nothing: the next peer is asked, with a pause once all were.
    pub fn failed(&mut self, from: AuthorityIndex, now: Instant, connected: AuthoritySet) {
        if self.asked.remove(&from).is_none() {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let peers = u32::try_from(connected.len().max(1)).unwrap_or(1);
        let rounds = self.failures / peers;
        if rounds > 0 {
            self.due = now.plus_ms((2 * self.delta_ms) << rounds.min(4));
        }
    }

    /// Takes in what is new of an answer. One that holds nothing new is a failure.
    ///
    /// # Errors
    /// [`Contradiction`] when it does not continue what is here.
    pub fn answered(
        &mut self,
        from: AuthorityIndex,
        commits: CertifiedCommits,
        head: &Head,
        now: Instant,
        connected: AuthoritySet,
    ) -> Result<(), Contradiction> {
        self.claim(from, commits.last());
        let tail = self
            .headers
            .back()
            .map_or((head.index, head.digest), |last| (last.index, self.tail_digest));
        let last = commits.checkpoint().statement;
        if last.index == tail.0 && last.commit_digest != tail.1 {
            return Err(Contradiction);
        }
        let (headers, _) = commits.into_parts();
        let mut new = headers.into_iter().filter(|header| header.index > tail.0).peekable();
        match new.peek() {
            Some(first) if first.index == tail.0 + 1 => {
                if first.previous != tail.1 {
                    return Err(Contradiction);
                }
                self.headers.extend(new);
                self.tail_digest = last.commit_digest;
                self.asked.remove(&from);
                self.failures = 0;
                self.progress = now;
            }
            _ => self.failed(from, now, connected),
        }
        Ok(())
    }

    /// Which blocks to ask for now; those that wait elsewhere are taken from there.
    pub fn plan(&mut self, dag: &Dag, suspended: &Suspended) -> Vec<BlockRef> {
        let mut wanted = Vec::new();
        while let Some(header) = self.headers.get(self.planned.0) {
            let Some(reference) = header.blocks.get(self.planned.1).copied() else {
                self.planned = (self.planned.0 + 1, 0);
                continue;
            };
            // What is asked for may be of the largest size. The first commit must come, however
            // large it is.
            let missing_bytes = self.missing.saturating_add(1).saturating_mul(BLOCK_BYTES_MAX);
            let held = if self.planned.0 == 0 { 0 } else { self.bytes };
            if held.saturating_add(missing_bytes) > self.bytes_max {
                break;
            }
            self.planned.1 += 1;
            if dag.contains(&reference) || self.blocks.contains_key(&reference) {
                continue;
            }
            let waiting = suspended.get(&reference).cloned();
            match &waiting {
                Some(block) => self.bytes += block.bytes().len(),
                None => {
                    self.missing += 1;
                    wanted.push(reference);
                }
            }
            self.blocks.insert(reference, waiting);
        }
        wanted
    }

    /// Whether a certified commit waits for this block.
    pub fn needs(&self, reference: &BlockRef) -> bool {
        matches!(self.blocks.get(reference), Some(None))
    }

    /// Whether a certified commit has this block already.
    pub fn holds(&self, reference: &BlockRef) -> bool {
        matches!(self.blocks.get(reference), Some(Some(_)))
    }

    /// Keeps a block that a certified commit waits for; says whether one does.
    pub fn take(&mut self, block: &Block, now: Instant) -> bool {
        let Some(place @ None) = self.blocks.get_mut(&block.reference()) else { return false };
        *place = Some(block.clone());
        self.missing -= 1;
        self.bytes += block.bytes().len();
        self.progress = now;
        true
    }

    /// The next certified commit when all of its blocks are here, with those that are not in the
    /// DAG, in its order.
    pub fn next(&mut self, dag: &Dag) -> Option<(CommitHeader, Vec<Block>)> {
        let first = self.headers.front()?;
        let is_here = |block: &&BlockRef| dag.contains(block) || self.holds(block);
        if self.planned.0 == 0 || !first.blocks.iter().all(|block| is_here(&block)) {
            return None;
        }
        let header = self.headers.pop_front()?;
        self.planned.0 -= 1;
        let mut blocks = Vec::new();
        for reference in &header.blocks {
            match self.blocks.remove(reference) {
                Some(Some(block)) => {
                    self.bytes -= block.bytes().len();
                    blocks.push(block);
                }
                Some(None) => self.missing -= 1,
                None => (),
            }
        }
        Some((header, blocks))
    }

    /// Lets go of everything when no block came for a heartbeat, and returns it: the streams may
    /// do better, and other peers are asked afterwards.
    pub fn give_up(&mut self, now: Instant, dag: &Dag) -> Blocks {
        let Some(first) = self.headers.front() else { return Blocks::new() };
        if now < self.progress.plus_ms(self.heartbeat_ms) {
            return Blocks::new();
        }
        let is_here = |block: &BlockRef| dag.contains(block) || self.holds(block);
        let complete = first.blocks.iter().all(is_here);
        self.progress = now;
        if complete {
            // It waits for execution, not for blocks.
            return Blocks::new();
        }
        self.due = now.plus_ms(2 * self.delta_ms);
        self.clear()
    }

    /// Forgets every header and block; returns the blocks that were held or asked for.
    pub fn clear(&mut self) -> Blocks {
        self.headers.clear();
        (self.missing, self.bytes, self.planned) = (0, 0, (0, 0));
        core::mem::take(&mut self.blocks)
    }

    /// When to see whether to [`give_up`](Self::give_up).
    pub fn patience_ends(&self) -> Option<Instant> {
        self.is_applying().then(|| self.progress.plus_ms(self.heartbeat_ms))
    }
}

#[cfg(test)]
mod tests;
