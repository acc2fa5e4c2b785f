//! From a storage to a replica and its executor: what a node and a simulated one start with.

use super::signing;
use super::{Machine, Replica};
use crate::executor::{ExecuteError, Executor, SharedStorage, lock};
use crate::mempool::{Mempool, NotTaken};
use crate::storage::{self, EpochStart, Recovered};
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::quantity::Epoch;
use kerbholz_client::ledger::query;
use kerbholz_client::ledger::rows::{Read, ReadError};
use kerbholz_client::ledger::transaction::UnverifiedTransaction;
use kerbholz_consensus::{
    Action, AuthorityIndex, Block, Committee, Now, Parameters, Recovery, RecoveryError, Round,
    Signer,
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
    /// The only authority does not know what it has signed.
    #[error(
        "this is the only authority, and the log of what it has signed is gone: put its data folder \
         back, or that of who followed it. Only if its history may begin anew, or you know above \
         which round it has signed nothing: kerbholz authority sign-after EPOCH:ROUND (0:0 to begin anew)"
    )]
    LostAlone,
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
        let Start { genesis, signer, parameters } = start;
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
        let lost_log = recovery.lost_log;
        let sign_after = found.sign_after;
        let word = sign_after.and_then(|word| word.of(committee.config().epoch));
        let recovery = Recovery { sign_after: word, ..recovery };
        let names = names(&*lock(storage).rows(), &committee)?;
        signing::report(&names, &committee, &signer.public_key(), &recovery);
        if signing::is_lost_alone(&committee, &signer.public_key(), &recovery) {
            return Err(OpenError::LostAlone);
        }
        let own = committee.index_of(&signer.public_key());
        let mempool = waiting(&executor, &before, &recovery.blocks, own)?;
        let (machine, first) =
            Machine::recover(now, parameters.clone(), committee, Some(&signer), recovery)?;
        let mut replica = Replica {
            signer,
            parameters,
            machine,
            mempool,
            greetings: BTreeMap::new(),
            collected: Round::GENESIS,
            stopped: false,
            uncertified: BTreeMap::new(),
            lost_log,
            sign_after,
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

/// What the authorities of an epoch are called on the ledger, in order.
fn names(rows: &dyn Read, committee: &Committee) -> Result<Vec<String>, ReadError> {
    let row = query::committee_of(rows, Epoch::new(committee.config().epoch))?;
    Ok(row.into_iter().flat_map(|row| row.authorities).map(|one| one.name).collect())
}
