//! From a storage to a replica and its executor: what a node and a simulated one start with.

use super::Replica;
use crate::executor::{ExecuteError, Executor, SharedStorage, lock};
use crate::storage::{self, EpochStart, Recovered};
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::rows::ReadError;
use kerbholz_consensus::{Action, Consensus, Now, Parameters, RecoveryError, Signer};

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
            report(&found);
            let newest = storage::recovery(&**storage, &found)?;
            (found, newest)
        };
        let EpochStart { committee, recovery, .. } = newest;
        let members = committee.clone();
        let executor = Executor::open(storage.clone(), members, genesis, found.applied_commit)?;
        let logged = recovery.blocks.clone();
        let (consensus, first) = Consensus::recover(now, parameters, committee, signer, recovery)?;
        let (mut replica, mut first) = Replica::recover(now, consensus, first, &logged);
        // What was executed last, before anything newer: so that consensus votes for it again.
        if let Some(last) = executor.last_done()? {
            first.extend(replica.executed(now, last));
        }
        Ok(Self { replica, executor, first })
    }
}

fn report(found: &Recovered) {
    for damage in &found.lost {
        let path = damage.path.display();
        tracing::warn!(%path, offset = damage.offset, what = damage.what, "dropped a torn record");
    }
    if let Some(reason) = &found.rebuild {
        tracing::warn!(reason, "rebuilding the state from the ledger segments");
    }
    tracing::info!(commit = found.last_commit, blocks = found.blocks.len(), "opened the storage");
}
