//! From what storage found to what consensus starts from.

use kerbholz_consensus::{Committee, Recovery};

use super::{InvalidRecord, RawBlock, Recovered, Storage, StorageError};

/// Why there is nothing consensus could start from.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// Storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A record reads well but its content is not valid for this committee.
    #[error("{0}; was the data directory made for this network?")]
    Invalid(#[from] InvalidRecord),
    /// A commit that the ledger reaches beyond is not there.
    #[error("commit {0} is missing from the ledger, which reaches beyond it")]
    CommitMissing(u64),
}

/// Reads the newest commits, as many as consensus needs, and verifies everything again: signatures,
/// payloads, and that the blocks of a commit are the ones it lists.
///
/// # Errors
///
/// [`RecoveryError`]; the node must not sign anything then.
pub fn recovery(
    storage: &dyn Storage,
    found: &Recovered,
    committee: &Committee,
) -> Result<Recovery, RecoveryError> {
    let mut commits = Vec::new();
    let mut enough = None;
    for index in (1..=found.last_commit).rev() {
        let stored = storage.commit(index)?.ok_or(RecoveryError::CommitMissing(index))?;
        let leader = stored.header().leader.round;
        let enough =
            *enough.get_or_insert_with(|| Recovery::commits_above(leader, committee.gc_depth()));
        if leader <= enough && !commits.is_empty() {
            break;
        }
        commits.push(stored.verify(committee)?);
    }
    commits.reverse();
    let mut blocks = Vec::with_capacity(found.blocks.len());
    for block in &found.blocks {
        let raw = RawBlock { reference: block.reference, bytes: block.bytes.clone() };
        match raw.verify(committee) {
            Ok(block) => blocks.push(block),
            Err(error) if block.own => return Err(error.into()),
            // Another authority's block is fetched again if it is needed.
            Err(error) => tracing::warn!(%error, "a logged block is dropped"),
        }
    }
    let own_last = found.own_last.as_ref().map(|block| block.verify(committee)).transpose()?;
    let checkpoint = found.checkpoint.clone();
    Ok(Recovery { commits, blocks, own_last, checkpoint, ..Recovery::default() })
}

#[cfg(test)]
mod tests;
