//! From a storage to a replica and its executor: what a node and a simulated one start with.

use super::{Machine, Replica};
use crate::executor::{ExecuteError, Executor, SharedStorage, lock};
use crate::mempool::{Mempool, NotTaken};
use crate::storage::{self, EpochStart, Recovered};
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::rows::ReadError;
use kerbholz_client::ledger::transaction::UnverifiedTransaction;
use kerbholz_consensus::{
    Action, AuthorityIndex, Block, Committee, Now, Parameters, PublicKey, Recovery, RecoveryError,
    Round, Signer,
};
use std::collections::BTreeMap;

/// Who starts, and how.
#[derive(Debug)]
pub struct Start<'a> {
    /// What the network agreed on.
    pub genesis: &'a Genesis,
    /// The authority's key.
    pub signer: Signer,
    /// Pacing and bounds.
    pub parameters: Parameters,
    /// The operator's word that this key has signed nothing above this round of the present epoch:
    /// then a lost log is not asked about (§8.5).
    pub sign_after: Option<Round>,
}

/// Why a storage is nothing to start from.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What the data directory holds is not what consensus could start from.
    #[error(transparent)]
    Recovery(#[from] storage::RecoveryError),
    /// The state, or the ledger segments it is made from.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The same, as consensus sees it.
    #[error(transparent)]
    Consensus(#[from] RecoveryError),
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Execute(error.into())
    }
}

/// A replica that has started.
pub struct Opened {
    /// The replica.
    pub replica: Replica,
    /// The executor, whose state is that of the ledger.
    pub executor: Executor,
    /// What is to be performed first.
    pub first: Vec<Action>,
}

impl Opened {
    /// Brings the state up to the ledger, and consensus to where it was.
    ///
    /// # Errors
    /// [`OpenError`]; nothing may be signed then.
    pub fn open(now: Now, storage: &SharedStorage, start: Start<'_>) -> Result<Self, OpenError> {
        let Start { genesis, signer, parameters, sign_after } = start;
        let (found, newest) = {
            let mut storage = lock(storage);
            let found = storage.recover();
            let newest = storage::recovery(&**storage, &found)?;
            (found, newest)
        };
        report(&found);
        let EpochStart { committee, recovery, before } = newest;
        let members = committee.clone();
        let executor = Executor::open(storage.clone(), members, genesis, found.applied_commit)?;
        let recovery = Recovery { sign_after, ..recovery };
        let lost_log = recovery.lost_log;
        if lost_log {
            report_lost(genesis, &committee, &signer.public_key(), sign_after);
        }
        let own = committee.index_of(&signer.public_key());
        let mempool = waiting(&executor, &before, &recovery.blocks, own)?;
        let (machine, first) =
            Machine::recover(now, parameters.clone(), committee, &signer, recovery)?;
        let mut replica = Replica {
            signer,
            parameters,
            machine,
            mempool,
            greetings: BTreeMap::new(),
            collected: Round::GENESIS,
            uncertified: BTreeMap::new(),
            lost_log,
        };
        let mut first = replica.settle(now, first);
        // What was executed last, before anything newer: so that consensus votes for it again.
        if let Some(last) = executor.last_done()? {
            first.extend(replica.executed(now, last)?);
        }
        first.extend(replica.offer_again(now));
        Ok(Self { replica, executor, first })
    }
}

/// What own blocks carry that no stored commit holds: it is waited for again. What those of the
/// epoch before carry is offered again, since no commit ever will hold them.
fn waiting(
    executor: &Executor,
    before: &[Block],
    logged: &[Block],
    own: Option<AuthorityIndex>,
) -> Result<Mempool, ReadError> {
    let left_behind = before.iter().map(|block| (block, None));
    let logged = logged.iter().filter(|block| Some(block.author()) == own);
    let logged = logged.map(|block| (block, Some(block.round())));
    let mut mempool = Mempool::default();
    for (block, round) in left_behind.chain(logged) {
        for item in block.payload() {
            let known = UnverifiedTransaction::decode(item).ok().map(UnverifiedTransaction::verify);
            let Some(Ok(known)) = known else { continue };
            let id = known.id();
            // What finds no place is still ordered, if its block is.
            if executor.is_final(id)? || mempool.take(&known, item) == Err(NotTaken::Full) {
                continue;
            }
            match round {
                Some(round) => mempool.in_block(&id, round),
                None => mempool.hold(&id),
            }
        }
    }
    Ok(mempool)
}

fn report(found: &Recovered) {
    for damage in &found.lost {
        let path = damage.path.display();
        tracing::warn!(%path, offset = damage.offset, what = damage.what, "dropped a torn record");
    }
    if let Some(reason) = &found.rebuild {
        tracing::warn!(reason, "rebuilding the state from the ledger segments");
    }
    tracing::info!(
        commit = found.last_commit,
        epoch = found.epochs.last().map_or(0, storage::Epoch::number),
        blocks = found.blocks.len(),
        "opened the storage"
    );
}

/// Says what an authority without its log waits for, and from whom.
fn report_lost(
    genesis: &Genesis,
    committee: &Committee,
    own: &PublicKey,
    sign_after: Option<Round>,
) {
    if committee.index_of(own).is_none() {
        return;
    }
    if let Some(round) = sign_after {
        tracing::warn!(
            round = round.0,
            "the log of this authority was lost; it signs above this round, by its operator's word"
        );
        return;
    }
    let name = |key: PublicKey| {
        let mut authorities = genesis.authorities.iter();
        let known = authorities.find(|authority| *authority.key.as_bytes() == key.0);
        known.map_or_else(|| key.to_string(), |authority| authority.name.clone())
    };
    let others = committee.authorities().filter_map(|index| committee.key(index));
    let others: Vec<String> = others.filter(|key| key != own).map(name).collect();
    let needed = committee.answers_after_loss();
    tracing::warn!(
        "the log of this authority was lost, and with it what it has signed: it signs nothing until \
         {needed} of {} have told it. If so many are gone for ever, and you know a round above which \
         it has signed nothing: kerbholz node --sign-after-round ROUND",
        others.join(", ")
    );
}
