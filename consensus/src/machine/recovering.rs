//! Starts the machine from what storage holds (§8.3).
//!
//! The DAG above the collection round is rebuilt exactly: committed blocks from the commits, the
//! rest from the write-ahead log. Commits that were decided but not stored are decided again, with
//! the same result, because the rule reads nothing but the DAG.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{Consensus, Mode, NOBODY, RecoveryError};
use crate::{
    authority_set::AuthoritySet,
    block::Block,
    catch_up::CatchUp,
    commit::Commit,
    committee::Committee,
    dag::Dag,
    event::{Action, Now},
    keys::Signer,
    linear::Head,
    lost_log::LostLog,
    own_check::OwnCheck,
    pacemaker::Pacemaker,
    parameters::Parameters,
    queue::Queue,
    recovery::{Base, Recovery},
    relay::Relay,
    suspended::Suspended,
    sync::Fetcher,
    tally::Tally,
    types::{AuthorityIndex, BlockRef, Round},
};

impl Consensus {
    /// Starts from storage; an empty [`Recovery`] starts anew. The actions are to be performed
    /// like any others: they re-derive commits that were decided but not stored, and arm timers.
    ///
    /// The stored commits are not repeated. The caller executes those its state lacks and reports
    /// each with [`Event::Executed`](crate::Event::Executed); if the newest executed commit with
    /// payload is above the newest checkpoint it reports it again, so that the vote is cast again.
    ///
    /// # Errors
    /// A [`RecoveryError`] when key, parameters or stored data do not fit.
    pub fn recover(
        now: Now,
        parameters: Parameters,
        committee: Committee,
        signer: Signer,
        recovery: Recovery,
    ) -> Result<(Self, Vec<Action>), RecoveryError> {
        let key = signer.public_key();
        let own = committee.index_of(&key).ok_or(RecoveryError::WrongKey(key))?;
        Self::start(now, parameters, committee, (own, Some(signer)), recovery)
    }

    /// Starts a machine that signs nothing.
    pub(crate) fn follow(
        now: Now,
        parameters: Parameters,
        committee: Committee,
        recovery: Recovery,
    ) -> Result<(Self, Vec<Action>), RecoveryError> {
        Self::start(now, parameters, committee, (NOBODY, None), recovery)
    }

    fn start(
        now: Now,
        parameters: Parameters,
        committee: Committee,
        (own, signer): (AuthorityIndex, Option<Signer>),
        mut recovery: Recovery,
    ) -> Result<(Self, Vec<Action>), RecoveryError> {
        let parameters = parameters.validate()?;
        let is_of_epoch = |block: &Block| block.header().domain == committee.domain();
        recovery.blocks.retain(is_of_epoch);
        recovery.own_last = recovery.own_last.filter(is_of_epoch);
        let head = follow_chain(&committee, recovery.base, &recovery.commits)?;
        let own_last = newest_own(&recovery, own);
        let genesis = committee.genesis().get(own.position()).unwrap_or(&committee.genesis()[0]);
        let own_last_ref = own_last.as_ref().map_or(*genesis, Block::reference);
        let n = committee.size();
        let bounds = (parameters.suspended_blocks_max, parameters.suspended_bytes_max);
        let sign_after = recovery.sign_after;
        let mode = match signer {
            None => Mode::Following,
            Some(_) if recovery.lost_log || sign_after.is_some() => {
                let nobody = AuthoritySet::EMPTY;
                Mode::Lost(LostLog::new(&committee, &parameters, sign_after, nobody))
            }
            Some(_) => Mode::Live,
        };
        let mut machine = Self {
            own,
            signer,
            mode,
            own_check: OwnCheck::new(&committee, &parameters),
            dag: Dag::new(committee.clone()),
            head,
            next_slot: head.leader_round.plus(1),
            suspended: Suspended::new(n, bounds.0, bounds.1),
            fetcher: Fetcher::new(own, &parameters),
            catch_up: CatchUp::new(&committee, &parameters, now.monotonic),
            relay: Relay::new(own, n),
            pacemaker: Pacemaker::new(parameters.clone(), own_last_ref, n, now.monotonic),
            queue: Queue::new(parameters.queue_items_max, parameters.queue_bytes_max),
            tally: Tally::new(committee.clone(), recovery.base.index, recovery.checkpoint.clone()),
            awaiting: BTreeSet::new(),
            base: recovery.base.index,
            executed: head.index,
            closing: None,
            own_told: None,
            signed_from: Round::GENESIS,
            twins: alloc::vec![BTreeSet::new(); n],
            unheard: BTreeMap::new(),
            shunned_through: alloc::vec![Round::GENESIS; n],
            digests: BTreeMap::new(),
            timers: [None; 2],
            actions: Vec::new(),
            committee,
            parameters,
        };
        machine.restore_commits(&recovery.commits)?;
        machine.restore_log(now, recovery);
        if let Some(block) = own_last {
            machine.relay.accepted(&block, own);
        }
        machine.step(now);
        let actions = core::mem::take(&mut machine.actions);
        Ok((machine, actions))
    }

    /// Rebuilds which blocks above the collection round are committed.
    fn restore_commits(&mut self, commits: &[Commit]) -> Result<(), RecoveryError> {
        self.dag.raise_gc_round(self.head.leader_round.minus(self.committee.gc_depth()));
        for commit in commits {
            self.remember(commit);
            for block in commit.blocks() {
                self.note_votes(block);
                if block.round() <= self.dag.gc_round() {
                    continue;
                }
                if let Some(missing) = self.dag.missing(block).next() {
                    return Err(RecoveryError::MissingBlock(missing));
                }
                self.dag.insert(block.clone());
                self.dag.mark_committed(&block.reference());
            }
        }
        Ok(())
    }

    /// Takes in the write-ahead log, parents first. Nothing of it is persisted again.
    fn restore_log(&mut self, now: Now, recovery: Recovery) {
        let committed: BTreeSet<BlockRef> =
            recovery.commits.iter().flat_map(|c| c.header().blocks.iter().copied()).collect();
        let log = recovery.blocks.into_iter().chain(recovery.own_last);
        let log: BTreeMap<BlockRef, Block> = log.map(|block| (block.reference(), block)).collect();
        let mut too_old = Vec::new();
        for (reference, block) in log {
            self.pacemaker.note_reached(reference.author, reference.round);
            if committed.contains(&reference) {
                continue;
            }
            self.note_votes(&block);
            if reference.round <= self.dag.gc_round() {
                too_old.push(block);
            } else if self.dag.missing(&block).next().is_none() {
                self.relay.accepted(&block, self.own);
                self.dag.insert(block);
            } else {
                let missing = self.dag.missing(&block).collect();
                self.suspend(now.monotonic, self.own, block, missing, true);
            }
        }
        self.return_payload(&too_old);
    }
}

/// Checks that the commits follow from each other; returns where they end.
fn follow_chain(
    committee: &Committee,
    base: Base,
    commits: &[Commit],
) -> Result<Head, RecoveryError> {
    if let Some(first) = commits.first() {
        let begins = first.index() == base.index + 1;
        if first.index() <= base.index
            || begins && first.header().previous != committee.config().previous
        {
            return Err(RecoveryError::BrokenChain(first.index()));
        }
    }
    for pair in commits.windows(2) {
        let follows =
            pair[1].index() == pair[0].index() + 1 && pair[1].header().previous == pair[0].digest();
        if !follows {
            return Err(RecoveryError::BrokenChain(pair[1].index()));
        }
    }
    Ok(commits.last().map_or(Head::start(committee, base), Head::of))
}

/// The newest own block anywhere in what was stored.
fn newest_own(recovery: &Recovery, own: AuthorityIndex) -> Option<Block> {
    let committed = recovery.commits.iter().flat_map(|commit| commit.blocks());
    let all = committed.chain(&recovery.blocks).chain(&recovery.own_last);
    all.filter(|block| block.author() == own).max_by_key(|block| block.round()).cloned()
}
