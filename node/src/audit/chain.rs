//! The chain of commits, and the checkpoints that vouch for it.

use super::error::Difference;
use kerbholz_consensus::{
    AuditError, Auditor, Checkpoint, CheckpointError, Commit, CommitDigest, Committee,
};
use kerbholz_ledger::execute::Effects;
use kerbholz_ledger::id::TransactionId;

/// What a commit made, as replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The commit.
    pub index: u64,
    /// Its digest.
    pub digest: CommitDigest,
    /// Leaves of the transaction log after it.
    pub leaves: u64,
    /// Root of the transaction log after it.
    pub log_root: [u8; 32],
    /// Digest of the state after it.
    pub state_digest: [u8; 32],
    /// The first transaction that it executed.
    pub first: Option<TransactionId>,
    /// Whether a checkpoint is on exactly this commit.
    pub covered: bool,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            index: 0,
            digest: CommitDigest::NONE,
            leaves: 0,
            log_root: [0; 32],
            state_digest: [0; 32],
            first: None,
            covered: false,
        }
    }
}

/// The commits so far.
pub(super) struct Chain {
    auditor: Auditor,
    /// From genesis on: the outcome of commit `i` is at `i`.
    outcomes: Vec<Outcome>,
    /// The newest commit that a checkpoint is on.
    covered: u64,
}

impl Chain {
    pub(super) fn new(committee: &Committee, genesis: &Effects) -> Self {
        let first = Outcome {
            log_root: *genesis.log_root.as_bytes(),
            state_digest: *genesis.state_digest.as_bytes(),
            ..Outcome::default()
        };
        let auditor = Auditor::new(committee.clone());
        Self { auditor, outcomes: vec![first], covered: 0 }
    }

    /// Index of the last commit.
    pub(super) fn last(&self) -> u64 {
        self.outcomes.last().map_or(0, |outcome| outcome.index)
    }

    /// The newest commit that a checkpoint is on.
    pub(super) fn covered(&self) -> u64 {
        self.covered
    }

    /// Goes on with the commits of the next epoch.
    pub(super) fn begin_epoch(&mut self, committee: &Committee) -> Result<(), Difference> {
        let last = self.last();
        self.auditor
            .begin_epoch(committee.clone())
            .map_err(|error| Difference::at(last, "the next epoch", "one that follows", error))
    }

    /// Checks that a commit continues the chain, and that its leader, its blocks, their order and
    /// its time are those that the rule of agreement gives.
    pub(super) fn follows(&mut self, commit: &Commit) -> Result<(), Difference> {
        let due = self.last() + 1;
        self.auditor.check(commit).map_err(|error| match error {
            AuditError::Index { expected, found } => {
                Difference::at(due, "the commit's index", expected, found)
            }
            AuditError::Previous { expected, found, .. } => {
                Difference::at(due, "the digest of the commit before", expected, found)
            }
            AuditError::Time { expected, found, .. } => {
                Difference::at(due, "the commit's time", expected.0, found.0)
            }
            other => Difference::at(due, "the order of blocks", "the rule's", other),
        })
    }

    /// Up to this round of the DAG the blocks themselves prove the order; above it checkpoints do.
    pub(super) fn decided_through(&self) -> u64 {
        self.auditor.decided_through().0
    }

    /// Keeps what a commit made.
    pub(super) fn executed(&mut self, commit: &Commit, effects: &Effects) {
        self.outcomes.push(Outcome {
            index: commit.index(),
            digest: commit.digest(),
            leaves: effects.log_leaves,
            log_root: *effects.log_root.as_bytes(),
            state_digest: *effects.state_digest.as_bytes(),
            first: effects.executed.first().map(|executed| executed.id),
            covered: false,
        });
    }

    /// Checks a checkpoint against what was replayed.
    pub(super) fn checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        verdict: Result<(), CheckpointError>,
    ) -> Result<(), Difference> {
        let statement = &checkpoint.statement;
        let index = statement.index;
        if let Err(error) = verdict {
            let what = "the checkpoint's signatures";
            return Err(Difference::at(index, what, "those of a quorum", error));
        }
        let (covered, last) = (self.covered, self.last());
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        let outcome = self.outcomes.get_mut(position).filter(|_| index > 0 && index >= covered);
        let Some(outcome) = outcome else {
            let expected = format!("a commit from {covered} to {last}");
            return Err(Difference::at(last, "the checkpoint's commit", expected, index));
        };
        outcome.covered = true;
        let outcome = outcome.clone();
        if outcome.digest != statement.commit_digest {
            let what = "the commit's digest, as signed by a quorum";
            return Err(Difference::at(index, what, statement.commit_digest, outcome.digest));
        }
        for (what, replayed, signed) in [
            ("the root of the transaction log", outcome.log_root, statement.log_root),
            ("the digest of the state", outcome.state_digest, statement.state_digest),
        ] {
            if replayed != signed {
                return Err(self.beyond(covered, index, what, signed, replayed));
            }
        }
        self.covered = index;
        Ok(())
    }

    /// The difference lies in what was executed since the last checkpoint that agreed.
    fn beyond(
        &self,
        agreed: u64,
        index: u64,
        what: &str,
        signed: [u8; 32],
        replayed: [u8; 32],
    ) -> Difference {
        let since = self.outcomes.iter().filter(|outcome| outcome.index > agreed);
        let first =
            since.filter(|outcome| outcome.index <= index).find_map(|outcome| outcome.first);
        let what = format!(
            "{what}, as signed by a quorum (all agreed up to commit {agreed}; the first \
             transaction after it is named)"
        );
        let (signed, replayed) = (hex::encode(signed), hex::encode(replayed));
        Difference { transaction: first, ..Difference::at(index, what, signed, replayed) }
    }

    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }
}
