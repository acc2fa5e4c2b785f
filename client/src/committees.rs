//! The committees of a network, epoch by epoch, as anybody can follow them from the genesis alone.
//!
//! An epoch ends with the commit in which a quorum of its authorities voted the same change. An
//! [`EpochEnd`] proves that: the vote that decided, its place in the transaction log, and the
//! checkpoint in which a quorum of the epoch's own authorities signed that log. The next committee is
//! among the rows that the vote changed. So each committee vouches for the next one, from the genesis
//! on, and nothing else needs to be believed (`docs/protocol.md`, §10.5).
//!
//! What this cannot show is that an epoch has *not* ended: if a quorum of the keys of a past committee
//! were stolen, they could sign another future from there. Who keeps the newest [`Committees`] they
//! have seen is safe from that, since a commit belongs to the committee of its index.

use crate::network;
use kerbholz_consensus::{Checkpoint, CheckpointError, CommitDigest, Committee, CommitteeError};
use kerbholz_ledger::committee::Authority;
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::id::NetworkId;
use kerbholz_ledger::keys::PublicKey;
use kerbholz_ledger::quantity::Epoch;
use kerbholz_ledger::receipt::{Proof, ProofError};
use kerbholz_ledger::rows::CommitteeRow;
use serde::{Deserialize, Serialize};

/// Proof that an epoch has ended, and of who comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochEnd {
    /// The vote that decided, as an entry of the transaction log, without the transaction itself: its
    /// rows are what counts.
    pub proof: Proof,
    /// The checkpoint of the epoch's last commit.
    pub checkpoint: Checkpoint,
}

/// Why an [`EpochEnd`] proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EpochEndError {
    /// The checkpoint is not signed by a quorum of the epoch's own authorities.
    #[error("its last checkpoint is not signed by its own committee: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The entry is damaged, or does not belong to its path.
    #[error("the vote that ended it does not prove itself: {0}")]
    Proof(#[from] ProofError),
    /// The entry is not in the log that the checkpoint signs.
    #[error("the vote that ended it is not in the log that its authorities signed")]
    NotInLog,
    /// The transaction is there, though it proves nothing more.
    #[error("it shows a transaction that is not needed: one proof has one form")]
    NotMinimal,
    /// The entry decided no committee.
    #[error("the entry shown as its end decided no committee")]
    NoCommittee,
    /// The committee is not that of the epoch that follows.
    #[error("the committee of epoch {} follows, not that of epoch {}", .expected.get(), .found.get())]
    Epoch {
        /// The epoch that follows.
        expected: Epoch,
        /// The epoch whose committee it is.
        found: Epoch,
    },
    /// The checkpoint is of another commit than the one in which it was decided.
    #[error("it ended with commit {decided_in}, but the checkpoint is of commit {signed}")]
    NotClosing {
        /// The epoch's last commit.
        decided_in: u64,
        /// The commit of the checkpoint.
        signed: u64,
    },
    /// The authorities decided make no committee.
    #[error("what follows is no committee: {0}")]
    Committee(#[from] CommitteeError),
}

/// A committee, and who is in it.
#[derive(Clone, Debug)]
struct Known {
    committee: Committee,
    row: CommitteeRow,
}

/// The committees from the genesis up to some epoch, each proved by the one before it.
#[derive(Clone, Debug)]
pub struct Committees {
    network: NetworkId,
    /// Never empty; the committee of epoch `e` is at `e`.
    known: Vec<Known>,
}

impl Committees {
    /// The committee of the first epoch.
    ///
    /// # Errors
    /// [`CommitteeError`] when the genesis makes no committee.
    pub fn of_genesis(genesis: &Genesis) -> Result<Self, CommitteeError> {
        let first = Known { committee: network::committee(genesis)?, row: genesis.committee() };
        Ok(Self { network: genesis.network(), known: vec![first] })
    }

    /// Adds the next epoch's.
    ///
    /// # Errors
    /// [`EpochEndError`] says why the proof is none; nothing is changed then.
    pub fn advance(&mut self, end: &EpochEnd) -> Result<(), EpochEndError> {
        end.checkpoint.verify(self.current())?;
        if end.proof.transaction.is_some() {
            return Err(EpochEndError::NotMinimal);
        }
        let statement = &end.checkpoint.statement;
        if *end.proof.log_root()?.as_bytes() != statement.log_root {
            return Err(EpochEndError::NotInLog);
        }
        let row = end.proof.committee()?.ok_or(EpochEndError::NoCommittee)?;
        let expected = Epoch::new(self.epoch().get().saturating_add(1));
        if row.epoch != expected {
            return Err(EpochEndError::Epoch { expected, found: row.epoch });
        }
        let (decided_in, signed) = (row.decided_in.get(), statement.index);
        if decided_in != signed {
            return Err(EpochEndError::NotClosing { decided_in, signed });
        }
        self.decided(row, statement.commit_digest)?;
        Ok(())
    }

    /// Adds the next epoch's committee, as somebody who executes the ledger finds it decided in the
    /// commit of that digest.
    ///
    /// # Errors
    /// [`CommitteeError`] when it is none.
    pub fn decided(
        &mut self,
        row: CommitteeRow,
        closing: CommitDigest,
    ) -> Result<(), CommitteeError> {
        let committee = network::next_committee(self.network, &row, closing)?;
        self.known.push(Known { committee, row });
        Ok(())
    }

    /// The newest epoch known.
    pub fn epoch(&self) -> Epoch {
        Epoch::new(self.known.len().saturating_sub(1) as u64)
    }

    /// The newest committee known.
    pub fn current(&self) -> &Committee {
        &self.newest().committee
    }

    /// The authorities of the newest committee known, by their index.
    pub fn authorities(&self) -> &[Authority] {
        &self.newest().row.authorities
    }

    #[expect(clippy::expect_used, reason = "begun with one, and nothing is ever removed")]
    fn newest(&self) -> &Known {
        self.known.last().expect("a first committee")
    }

    /// The newest committee known, as the ledger decided it.
    pub fn row(&self) -> &CommitteeRow {
        &self.newest().row
    }

    /// The committee of an epoch as the ledger decided it, if it is known.
    pub fn row_of(&self, epoch: Epoch) -> Option<&CommitteeRow> {
        Some(&self.known.get(usize::try_from(epoch.get()).ok()?)?.row)
    }

    /// The authority with this key, of whichever epoch; as the newest one that it was in has it.
    pub fn authority(&self, key: PublicKey) -> Option<&Authority> {
        let mut newest_first = self.known.iter().rev().flat_map(|known| &known.row.authorities);
        newest_first.find(|one| one.key == key)
    }

    /// The committee of an epoch, if it is known.
    pub fn of_epoch(&self, epoch: Epoch) -> Option<&Committee> {
        let known = self.known.get(usize::try_from(epoch.get()).ok()?)?;
        Some(&known.committee)
    }

    /// The epoch to which a commit belongs, as far as is known.
    pub fn epoch_of_commit(&self, index: u64) -> Epoch {
        // Ends ascend: each epoch has at least one commit.
        let begun = self.known.iter().take_while(|known| known.row.decided_in.get() < index);
        Epoch::new(begun.count().saturating_sub(1) as u64)
    }

    /// Checks that a checkpoint is signed by a quorum of the committee to which its commit belongs:
    /// not by an earlier one that signs on, nor by a later one that signs anew.
    ///
    /// # Errors
    /// A [`CheckpointError`] says what is wrong.
    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let epoch = self.epoch_of_commit(checkpoint.statement.index);
        checkpoint.verify(self.of_epoch(epoch).unwrap_or(self.current()))
    }
}

#[cfg(test)]
pub(crate) mod tests;
