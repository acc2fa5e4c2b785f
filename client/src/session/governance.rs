//! What authorities do with a session: vote on their committee, and see how the votes stand.

use super::{Applied, Session, unexpected};
use crate::committees::Committees;
use crate::error::ClientError;
use crate::protocol::{Answer, Request};
use crate::receipt::ReceiptError;
use kerbholz_ledger::committee::{CommitteeChange, CommitteeVote};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::Operation;
use kerbholz_ledger::quantity::Epoch;
use kerbholz_ledger::query::{self, Proposal};
use kerbholz_ledger::rows::{CommitteeRow, LedgerRow, Table, Write, committee_key, key};

/// Most votes of an epoch: one of each authority.
const VOTES_MAX: usize = kerbholz_ledger::committee::AUTHORITIES_MAX;

impl Session {
    /// The ledger's own row: how far it has come, in which epoch.
    ///
    /// # Errors
    /// [`ClientError::Connection`] and [`ClientError::Refused`].
    pub async fn ledger(&self) -> Result<LedgerRow, ClientError> {
        self.row(key(Table::Ledger, &[])).await?.ok_or(ClientError::BadAnswer)
    }

    /// The committees from the genesis on, each proved by the one before it: nothing of it rests on
    /// the word of the authority that answers. The newest may be missing for the moment between the
    /// vote that decided it and the checkpoint that proves this.
    ///
    /// # Errors
    /// [`ClientError::BadReceipt`] when the end of an epoch does not verify.
    pub async fn committees(&self) -> Result<Committees, ClientError> {
        let genesis = self.network().genesis();
        let mut committees = Committees::of_genesis(genesis).map_err(ReceiptError::from)?;
        loop {
            let from = committees.epoch();
            let ends = match self.call(Request::Epochs { from }).await? {
                Answer::Epochs(ends) => ends,
                other => return Err(unexpected(other)),
            };
            if ends.is_empty() {
                return Ok(committees);
            }
            for end in &ends {
                let epoch = committees.epoch().get();
                let unproved = |source| ReceiptError::EpochEnd { epoch, source };
                committees.advance(end).map_err(unproved)?;
            }
        }
    }

    /// The present committee, as the ledger of the authority that answers has it.
    ///
    /// # Errors
    /// As [`Session::ledger`].
    pub async fn committee(&self) -> Result<CommitteeRow, ClientError> {
        let epoch = self.ledger().await?.epoch;
        self.committee_of(epoch).await
    }

    /// The committee of an epoch.
    ///
    /// # Errors
    /// [`ClientError::Unknown`] when the epoch has not begun.
    pub async fn committee_of(&self, epoch: Epoch) -> Result<CommitteeRow, ClientError> {
        let row = self.row(committee_key(epoch)).await?;
        row.ok_or(ClientError::Unknown("epoch"))
    }

    /// What the authorities of a committee vote for, and who.
    ///
    /// # Errors
    /// As [`Session::ledger`].
    pub async fn proposals(&self, committee: &CommitteeRow) -> Result<Vec<Proposal>, ClientError> {
        let prefix = key(Table::CommitteeVote, &[&committee.epoch.get().to_be_bytes()]);
        let votes = self.scan_all(prefix.clone(), VOTES_MAX).await?;
        let write = |(voter, value): (Vec<u8>, Vec<u8>)| {
            Write::set([prefix.as_slice(), &voter].concat(), value)
        };
        let mut rows = Memory::default();
        rows.apply(&votes.into_iter().map(write).collect::<Vec<_>>());
        query::proposals(&rows, committee).map_err(|_| ClientError::BadAnswer)
    }

    /// Votes with an authority's key, in an epoch; `None` withdraws the vote. The key signs the vote
    /// only: the session is another's, since an authority's key as peer identity is its node's.
    ///
    /// # Errors
    /// See [`Session::submit_signed`].
    pub async fn vote(
        &self,
        authority: &Keypair,
        epoch: Epoch,
        change: Option<CommitteeChange>,
    ) -> Result<Applied, ClientError> {
        let vote = Operation::VoteCommittee(CommitteeVote { epoch, change });
        self.submit_signed(&self.sign_with(authority, vec![vote])).await
    }
}
