//! The machine: events in, actions out, in one call (§8).
//!
//! [`Consensus`] owns the parts and is the only place where they meet: `admission` takes blocks
//! in, `ordering` commits them, `proposing` makes own ones, `catching_up` applies what a quorum
//! certified, `returning` follows a lost log, `closing` ends an epoch. It never waits and never
//! fails: what a peer does wrong becomes an action.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use thiserror::Error;

use crate::{
    authority_set::AuthoritySet,
    block::Block,
    catch_up::CatchUp,
    checkpoint::{Statement, Vote},
    committee::Committee,
    dag::Dag,
    event::{Action, Event, HaltReason, Now, RefusalReason, Timer},
    keys::{PublicKey, Signer},
    linear::Head,
    lost_log::LostLog,
    own_check::OwnCheck,
    pacemaker::Pacemaker,
    parameters::{ParameterError, Parameters},
    queue::Queue,
    relay::Relay,
    suspended::Suspended,
    sync::{Asking, Fetcher},
    tally::{Finding, Tally},
    types::{AuthorityIndex, BlockRef, CommitDigest, Instant, Round},
};

mod admission;
mod catching_up;
mod closing;
mod ordering;
mod proposing;
mod recovering;
mod returning;
mod status;

pub use status::Status;

/// How many of the highest rounds are the present.
const PRESENT_ROUNDS: u64 = 3;

/// What the machine may still do.
#[derive(Debug)]
enum Mode {
    /// Everything.
    Live,
    /// Follow until it is known from which round on to sign (§8.5).
    Lost(LostLog),
    /// Follow the others' decisions, sign nothing.
    Following,
    /// Nothing.
    Halted,
    /// Nothing: the epoch is over.
    Closed,
}

impl Mode {
    fn is_over(&self) -> bool {
        matches!(self, Self::Halted | Self::Closed)
    }
}

/// An empty commit gets a vote when its index is a multiple of this, so that runs of empty commits
/// are certified too (§7).
const EMPTY_VOTE_EVERY: u64 = 16;
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
    own_check: OwnCheck,
    dag: Dag,
    head: Head,
    /// The slot the commit rule is at.
    next_slot: Round,
    suspended: Suspended,
    fetcher: Fetcher,
    catch_up: CatchUp,
    relay: Relay,
    pacemaker: Pacemaker,
    queue: Queue,
    tally: Tally,
    /// Commits with payload that were not executed yet.
    awaiting: BTreeSet<u64>,
    /// Index of the commit that closed the epoch before.
    base: u64,
    /// Index of the newest executed commit, or of the newest there was at the start.
    executed: u64,
    /// The commit that closes the epoch, once it was executed.
    closing: Option<u64>,
    /// The newest own block others told of, after the log was lost.
    own_told: Option<BlockRef>,
    /// Own blocks below this round may turn up: they are from before the log was lost.
    signed_from: Round,
    /// Rounds above the collection round in which an author is known to have made two blocks.
    twins: Vec<BTreeSet<Round>>,
    /// Through which round little is taken of each author, because it made two blocks of one.
    shunned_through: Vec<Round>,
    /// The newest block of each such author that was not taken.
    unheard: BTreeMap<AuthorityIndex, Block>,
    /// Digests of the newest commits by index, to vote on.
    digests: BTreeMap<u64, CommitDigest>,
    timers: [Option<Instant>; 2],
    actions: Vec<Action>,
}

impl Consensus {
    /// Takes in what happened and says what to do, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        match self.mode {
            Mode::Halted => return refuse_all(event),
            Mode::Closed => return Vec::new(),
            _ => (),
        }
        match event {
            Event::BlockReceived { from, block } => self.receive(now.monotonic, from, block),
            Event::FetchAnswered { from, blocks } => self.answered(now, from, blocks),
            Event::FetchFailed { from } => self.fetcher.finish(from, now.monotonic, 0),
            Event::CommitsAnswered { from, commits } => {
                self.commits_answered(now.monotonic, from, commits);
            }
            Event::CommitsFailed { from } => {
                self.catch_up.failed(from, now.monotonic, self.fetcher.connected());
            }
            Event::OwnAnswered { from, commit, newest } => {
                self.own_answered(now.monotonic, from, commit, newest);
            }
            Event::OwnFailed { from } => self.own_failed(now.monotonic, from),
            Event::BlocksAsked { by, references } => self.asked(by, &references),
            Event::Timer(timer) => self.timers[timer as usize] = None,
            Event::PayloadOffered(items) => self.offered(items),
            Event::PeerConnected { peer, has_of_ours, own_round, commit } => {
                self.catch_up.claim(peer, commit);
                self.connected(now, peer, has_of_ours, own_round);
            }
            Event::PeerDisconnected { peer } => self.disconnected(now.monotonic, peer),
            Event::Executed { index, log_root, state_digest, vote, closes } => {
                self.executed(index, log_root, state_digest, vote, closes);
            }
        }
        self.step(now);
        core::mem::take(&mut self.actions)
    }

    /// Everything that follows from what is known: commits, an own block, requests, timers.
    fn step(&mut self, now: Now) {
        self.hear_all_when_stalled(now.monotonic);
        self.catch_up(now);
        self.commit_decided(now.monotonic);
        self.finish_epoch();
        if self.mode.is_over() {
            return;
        }
        self.return_to_signing(now);
        self.propose(now);
        if self.mode.is_over() {
            return;
        }
        self.poll_fetcher(now.monotonic);
        let due = [
            self.fetcher.next_poll(),
            self.catch_up_due(),
            self.return_due(now.monotonic),
            self.hearing_due(),
        ];
        self.arm(Timer::Fetch, due.into_iter().flatten().min());
    }

    /// Only who lacks a block of the present is not getting it; whoever asks for older ones was
    /// away.
    fn asked(&mut self, by: AuthorityIndex, references: &[BlockRef]) {
        let present = self.dag.highest_round().minus(PRESENT_ROUNDS);
        for reference in references {
            if reference.round >= present && self.dag.contains(reference) {
                self.relay.asked(by, *reference);
            }
        }
    }

    fn poll_fetcher(&mut self, now: Instant) {
        if self.fetcher.next_poll().is_none_or(|at| at > now) {
            return;
        }
        let gc_round = self.dag.gc_round();
        for (from, Asking { references, chains }) in self.fetcher.poll(now) {
            let chains_above = chains.then_some(gc_round);
            self.actions.push(Action::Fetch { from, references, chains_above });
        }
    }

    fn arm(&mut self, timer: Timer, at: Option<Instant>) {
        let Some(at) = at.filter(|_| !self.mode.is_over()) else { return };
        if self.timers[timer as usize] != Some(at) {
            self.timers[timer as usize] = Some(at);
            self.actions.push(Action::SetTimer { timer, at });
        }
    }

    fn offered(&mut self, items: Vec<Vec<u8>>) {
        if self.closing.is_some() {
            return;
        }
        let refused = match self.mode {
            Mode::Live | Mode::Lost(_) => self.queue.offer(items),
            _ => items.into_iter().map(|item| (item, RefusalReason::Halted)).collect(),
        };
        if !refused.is_empty() {
            self.actions.push(Action::PayloadRefused(refused));
        }
    }

    fn connected(&mut self, now: Now, peer: AuthorityIndex, has_of_ours: Round, own_round: Round) {
        let follows = self.own == NOBODY;
        let peers = if follows { AuthoritySet::CAPACITY } else { self.committee.size() };
        if peer == self.own || peer.position() >= peers {
            return;
        }
        self.pacemaker.note_reached(peer, own_round);
        // Whatever was asked before may have been lost with an earlier connection.
        self.disconnected(now.monotonic, peer);
        self.fetcher.connect(peer, now.monotonic);
        if !follows {
            self.greeted(now.monotonic, peer, has_of_ours);
            self.actions.push(Action::Stream { to: peer, after: has_of_ours });
        }
    }

    fn disconnected(&mut self, now: Instant, peer: AuthorityIndex) {
        self.fetcher.disconnect(peer, now);
        self.catch_up.disconnect(peer);
        self.own_failed(now, peer);
    }

    fn executed(
        &mut self,
        index: u64,
        log_root: [u8; 32],
        state_digest: [u8; 32],
        vote: bool,
        closes: bool,
    ) {
        // Only what this machine made, or was handed back to it, can have been executed.
        let newest = self.closing.unwrap_or(self.head.index);
        if index <= self.base || index > newest {
            return;
        }
        self.awaiting.remove(&index);
        self.executed = self.executed.max(index);
        if closes {
            self.close(index);
        }
        let Some(commit_digest) = self.digests.get(&index).copied() else { return };
        let statement = Statement { index, commit_digest, log_root, state_digest };
        // A vote on an empty commit certifies the run of empty ones before it; it hurries nobody.
        let urgent = vote || closes;
        if let (Some(signer), Mode::Live) = (&self.signer, &self.mode)
            && (urgent || index.is_multiple_of(EMPTY_VOTE_EVERY))
        {
            self.tally.cast(Vote::sign(statement, &self.committee, signer), urgent);
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
        if self.mode.is_over() {
            return;
        }
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
            self.catch_up.claim(block.author(), vote.statement.index);
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
