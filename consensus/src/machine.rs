//! The machine: events in, actions out, in one call (§8).
//!
//! [`Consensus`] owns the parts and is the only place where they meet: `admission` takes blocks
//! in, `ordering` commits them, `proposing` makes own ones. It never waits and never fails:
//! what a peer does wrong becomes an action.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use thiserror::Error;

use crate::{
    block::Block,
    checkpoint::{Statement, Vote},
    committee::Committee,
    dag::Dag,
    event::{Action, Event, HaltReason, Now, RefusalReason, Timer},
    keys::{PublicKey, Signer},
    linear::Head,
    pacemaker::Pacemaker,
    parameters::{ParameterError, Parameters},
    queue::Queue,
    relay::Relay,
    suspended::Suspended,
    sync::Fetcher,
    tally::{Finding, Tally},
    types::{AuthorityIndex, BlockRef, CommitDigest, Instant, Round},
};

mod admission;
mod ordering;
mod proposing;
mod recovering;
mod status;

pub use status::Status;

/// What the machine may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Everything.
    Live,
    /// Follow the others' decisions, sign nothing.
    Following,
    /// Nothing.
    Halted,
}

/// Who a follower is: no authority has this index.
const NOBODY: AuthorityIndex = AuthorityIndex(u16::MAX);

/// Why a machine cannot start.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// The signer is not in the committee.
    #[error("the signing key {0} belongs to no authority of the committee; check the key file")]
    WrongKey(PublicKey),
    /// The parameters contradict each other.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// The stored commits have a gap or do not follow from each other.
    #[error("commit {0} does not follow from the one stored before it; restore the ledger")]
    BrokenChain(u64),
    /// A stored commit needs a block that no stored commit has.
    #[error("block {0} is missing from the stored commits; restore the ledger or hand back more")]
    MissingBlock(BlockRef),
}

/// One authority's consensus, as a pure state machine.
///
/// The caller performs the returned actions one after the other. Equal events at equal times give
/// equal actions.
#[derive(Debug)]
pub struct Consensus {
    committee: Committee,
    parameters: Parameters,
    /// [`NOBODY`] without a signer.
    own: AuthorityIndex,
    signer: Option<Signer>,
    mode: Mode,
    dag: Dag,
    head: Head,
    /// The slot the commit rule is at.
    next_slot: Round,
    suspended: Suspended,
    fetcher: Fetcher,
    relay: Relay,
    pacemaker: Pacemaker,
    queue: Queue,
    tally: Tally,
    /// Commits with payload that were not executed yet.
    awaiting: BTreeSet<u64>,
    /// Digests of the newest commits by index, to vote on.
    digests: BTreeMap<u64, CommitDigest>,
    timers: [Option<Instant>; 2],
    actions: Vec<Action>,
}

impl Consensus {
    /// Takes in what happened and says what to do, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        if self.mode == Mode::Halted {
            return refuse_all(event);
        }
        match event {
            Event::BlockReceived { from, block } => self.receive(now, from, block),
            Event::FetchAnswered { from, blocks } => self.answered(now, from, blocks),
            Event::FetchFailed { from } => self.fetcher.finish(from, now.monotonic),
            Event::Timer(timer) => self.timers[timer as usize] = None,
            Event::PayloadOffered(items) => self.offered(items),
            // Nothing was asked that these could answer.
            Event::CommitsAnswered { .. }
            | Event::CommitsFailed { .. }
            | Event::OwnAnswered { .. }
            | Event::OwnFailed { .. } => (),
            Event::PeerConnected { peer, has_of_ours, own_round, .. } => {
                self.connected(now, peer, has_of_ours, own_round);
            }
            Event::PeerDisconnected { peer } => self.fetcher.disconnect(peer, now.monotonic),
            Event::Executed { index, log_root, state_digest, vote, .. } => {
                self.executed(index, log_root, state_digest, vote);
            }
        }
        self.step(now);
        core::mem::take(&mut self.actions)
    }

    /// Everything that follows from what is known: commits, an own block, requests, timers.
    fn step(&mut self, now: Now) {
        self.commit_decided();
        self.propose(now);
        self.poll_fetcher(now.monotonic);
        self.arm(Timer::Fetch, self.fetcher.next_poll());
    }

    fn poll_fetcher(&mut self, now: Instant) {
        if self.mode == Mode::Halted || self.fetcher.next_poll().is_none_or(|at| at > now) {
            return;
        }
        for (from, references) in self.fetcher.poll(now) {
            self.actions.push(Action::Fetch { from, references });
        }
    }

    fn arm(&mut self, timer: Timer, at: Option<Instant>) {
        let Some(at) = at.filter(|_| self.mode != Mode::Halted) else { return };
        if self.timers[timer as usize] != Some(at) {
            self.timers[timer as usize] = Some(at);
            self.actions.push(Action::SetTimer { timer, at });
        }
    }

    fn offered(&mut self, items: Vec<Vec<u8>>) {
        let refused = if self.mode == Mode::Live {
            self.queue.offer(items)
        } else {
            items.into_iter().map(|item| (item, RefusalReason::Halted)).collect()
        };
        if !refused.is_empty() {
            self.actions.push(Action::PayloadRefused(refused));
        }
    }

    fn connected(&mut self, now: Now, peer: AuthorityIndex, has_of_ours: Round, own_round: Round) {
        if peer == self.own || peer.position() >= self.committee.size() {
            return;
        }
        self.pacemaker.note_reached(peer, own_round);
        self.fetcher.connect(peer, now.monotonic);
        self.actions.push(Action::Stream { to: peer, after: has_of_ours });
    }

    fn executed(&mut self, index: u64, log_root: [u8; 32], state_digest: [u8; 32], vote: bool) {
        self.awaiting.remove(&index);
        let Some(commit_digest) = self.digests.get(&index).copied() else { return };
        let statement = Statement { index, commit_digest, log_root, state_digest };
        if let Some(signer) = self.signer.as_ref().filter(|_| vote && self.mode == Mode::Live) {
            self.tally.cast(Vote::sign(statement, &self.committee, signer));
        }
        let findings = self.tally.executed(statement);
        self.report(findings);
    }

    fn report(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            match finding {
                Finding::Checkpoint(checkpoint) => {
                    self.digests = self.digests.split_off(&checkpoint.statement.index);
                    self.actions.push(Action::Checkpoint(checkpoint));
                }
                Finding::Offence(authority, offence) => {
                    self.actions.push(Action::Fault { authority, offence });
                }
                Finding::Diverged(checkpoint, executed) => {
                    let (checkpoint, executed) = (Box::new(checkpoint), Box::new(executed));
                    self.halt(HaltReason::StateDiverged { checkpoint, executed });
                }
            }
        }
    }

    fn halt(&mut self, reason: HaltReason) {
        self.mode = match reason {
            HaltReason::ForeignOwnBlock(_) => Mode::Following,
            _ => Mode::Halted,
        };
        self.actions.push(Action::Halt(reason));
        let refused = self.queue.clear();
        if !refused.is_empty() {
            self.actions.push(Action::PayloadRefused(refused));
        }
    }

    /// Counts a block's checkpoint votes, whatever becomes of the block.
    fn note_votes(&mut self, block: &Block) {
        for vote in &block.header().votes {
            let findings = self.tally.note(block.author(), *vote);
            self.report(findings);
        }
    }
}

/// A halted node still says no to its clients.
fn refuse_all(event: Event) -> Vec<Action> {
    match event {
        Event::PayloadOffered(items) if !items.is_empty() => {
            let refused = items.into_iter().map(|item| (item, RefusalReason::Halted));
            alloc::vec![Action::PayloadRefused(refused.collect())]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
