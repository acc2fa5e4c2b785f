//! From what storage found to what consensus starts from.

use kerbholz_consensus::{Base, Block, Committee, Recovery};

use super::{Epoch, InvalidRecord, RawBlock, Recovered, Storage, StorageError};

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
    /// A storage that knows no epoch, not even the first.
    #[error("the storage does not know the first epoch of its network")]
    NoEpoch,
}

/// What consensus starts from, in the newest epoch.
#[derive(Clone, Debug)]
pub struct EpochStart {
    /// The committee of the newest epoch.
    pub committee: Committee,
    /// What consensus is given.
    pub recovery: Recovery,
    /// Own blocks of the epoch before that no commit holds: what of their payload is not final in
    /// the meantime is to be offered again (§10.3).
    pub before: Vec<Block>,
}

/// Reads the newest commits, as many as consensus needs, and verifies everything again: signatures,
/// payloads, and that the blocks of a commit are the ones it lists.
///
/// # Errors
///
/// [`RecoveryError`]; the node must not sign anything then.
pub fn recovery(storage: &dyn Storage, found: &Recovered) -> Result<EpochStart, RecoveryError> {
    let epoch = found.epochs.last().ok_or(RecoveryError::NoEpoch)?;
    let committee = epoch.committee()?;
    let mut commits = Vec::new();
    let mut enough = None;
    for index in (epoch.base + 1..=found.last_commit).rev() {
        let stored = storage.commit(index)?.ok_or(RecoveryError::CommitMissing(index))?;
        let leader = stored.header().leader.round;
        let enough =
            *enough.get_or_insert_with(|| Recovery::commits_above(leader, committee.gc_depth()));
        if leader <= enough && !commits.is_empty() {
            break;
        }
        commits.push(stored.verify(&committee)?);
    }
    commits.reverse();
    let mut blocks = Vec::with_capacity(found.blocks.len());
    for block in &found.blocks {
        let raw = RawBlock { reference: block.reference, bytes: block.bytes.clone() };
        match raw.verify(&committee) {
            Ok(block) => blocks.push(block),
            Err(error) if block.own => return Err(error.into()),
            // Another authority's block is fetched again if it is needed.
            Err(error) => tracing::warn!(%error, "a logged block is dropped"),
        }
    }
    let own_last = found.own_last.as_ref().map(|block| block.verify(&committee)).transpose()?;
    let (checkpoint, lost_log) = (found.checkpoint.clone(), found.lost_log);
    let base = base(storage, epoch)?;
    let recovery =
        Recovery { base, commits, blocks, own_last, checkpoint, lost_log, sign_after: None };
    Ok(EpochStart { committee, recovery, before: before(found)? })
}

/// The commit on which an epoch builds.
fn base(storage: &dyn Storage, epoch: &Epoch) -> Result<Base, RecoveryError> {
    if epoch.base == 0 {
        return Ok(Base::default());
    }
    let closing = storage.commit_header(epoch.base)?;
    let closing = closing.ok_or(RecoveryError::CommitMissing(epoch.base))?;
    Ok(Base { index: closing.index, time: closing.time })
}

/// The own blocks that the end of the epoch before left behind.
fn before(found: &Recovered) -> Result<Vec<Block>, RecoveryError> {
    let Some(before) = found.epochs.iter().rev().nth(1) else { return Ok(Vec::new()) };
    let committee = before.committee()?;
    let blocks = found.own_before.iter().map(|block| block.verify(&committee));
    Ok(blocks.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
