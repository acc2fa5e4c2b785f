//! What authorities decide by vote, besides their committee: proposing, voting, and how it stands.

use super::{Applied, Session};
use crate::error::ClientError;
use kerbholz_ledger::committee::AUTHORITIES_MAX;
use kerbholz_ledger::factor::Impact;
use kerbholz_ledger::governance::{Action, OPEN_MAX, Proposal, ProposalVote};
use kerbholz_ledger::id::ProposalId;
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::limit::Limit;
use kerbholz_ledger::operation::Operation;
use kerbholz_ledger::quantity::Timestamp;
use kerbholz_ledger::rows::{
    ActivationRow, CurrencyRow, ProposalRow, Row, Table, UpkeepRow, ended_proposal_key, key,
    limits_key, proposal_key,
};

/// Most proposals that are open at once.
const PROPOSALS_MAX: usize = AUTHORITIES_MAX * OPEN_MAX;
/// Most currencies that are listed.
const CURRENCIES_MAX: usize = 10_000;

/// A proposal and what became of it so far.
pub type Proposed = (ProposalId, ProposalRow);

/// What governance has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The version of the protocol by which the newest commit was executed.
    pub version: u32,
    /// The newest activation of a version, of the past or to come.
    pub activation: Option<ActivationRow>,
    /// From which change on a restatement needs an auditor.
    pub materiality: Vec<Impact>,
    /// The network's limits.
    pub limits: Vec<Limit>,
    /// Who books what authorities use, by which periods.
    pub upkeep: Option<UpkeepRow>,
    /// The currencies by their codes.
    pub currencies: Vec<(String, CurrencyRow)>,
}

impl Session {
    /// Proposes something with an authority's key, which approves it at once. The session is
    /// another's, as for [`Session::vote`].
    ///
    /// # Errors
    /// See [`Session::submit_signed`].
    pub async fn propose(
        &self,
        authority: &Keypair,
        action: Action,
        reason: &str,
        open_until: Timestamp,
    ) -> Result<(ProposalId, Applied), ClientError> {
        let proposal = Proposal { action, reason: reason.to_owned(), open_until };
        let operation = Operation::Propose(Box::new(proposal));
        let applied = self.submit_signed(&self.sign_with(authority, vec![operation])).await?;
        Ok((ProposalId::of(applied.id, 0), applied))
    }

    /// Votes on a proposal with an authority's key.
    ///
    /// # Errors
    /// See [`Session::submit_signed`].
    pub async fn vote_on(
        &self,
        authority: &Keypair,
        proposal: ProposalId,
        approve: bool,
    ) -> Result<Applied, ClientError> {
        let vote = Operation::VoteProposal(ProposalVote { proposal, approve });
        self.submit_signed(&self.sign_with(authority, vec![vote])).await
    }

    /// A proposal, open or ended not long ago.
    ///
    /// # Errors
    /// [`ClientError::Unknown`] when there is none of this id (any more).
    pub async fn proposal(&self, id: ProposalId) -> Result<ProposalRow, ClientError> {
        let row = self.row(proposal_key(id)).await?;
        row.ok_or(ClientError::Unknown("proposal"))
    }

    /// What can be voted on, the earliest end first.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn open_proposals(&self) -> Result<Vec<Proposed>, ClientError> {
        let marks = self.scan_all(key(Table::ProposalDeadline, &[]), PROPOSALS_MAX).await?;
        let id = |(mark, _): Row| mark.last_chunk::<32>().map(|id| ProposalId::new(*id));
        let ids = marks.into_iter().map(id).collect::<Option<Vec<_>>>();
        self.proposed(ids.ok_or(ClientError::BadAnswer)?).await
    }

    /// The latest proposals that have ended, the latest first: at most so many.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn ended_proposals(&self, most: u64) -> Result<Vec<Proposed>, ClientError> {
        let count: u64 = self.row(key(Table::ProposalCount, &[])).await?.unwrap_or(0);
        let numbers = (count.saturating_sub(most)..count).rev();
        let ids = self.rows(numbers.map(ended_proposal_key).collect()).await?;
        self.proposed(ids.into_iter().flatten().collect()).await
    }

    /// Those of the proposals that are still there.
    async fn proposed(&self, ids: Vec<ProposalId>) -> Result<Vec<Proposed>, ClientError> {
        let rows = self.rows(ids.iter().map(|id| proposal_key(*id)).collect()).await?;
        Ok(ids.into_iter().zip(rows).filter_map(|(id, row)| Some((id, row?))).collect())
    }

    /// What governance has set.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn rules(&self) -> Result<Rules, ClientError> {
        Ok(Rules {
            version: self.ledger().await?.version,
            activation: self.row(key(Table::Activation, &[])).await?,
            materiality: self.row(key(Table::Accounting, &[])).await?.unwrap_or_default(),
            limits: self.row(limits_key(None)).await?.unwrap_or_default(),
            upkeep: self.row(key(Table::Upkeep, &[])).await?,
            currencies: self.currencies().await?,
        })
    }

    /// The currencies by their codes.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn currencies(&self) -> Result<Vec<(String, CurrencyRow)>, ClientError> {
        let rows = self.scan_all(key(Table::Currency, &[]), CURRENCIES_MAX).await?;
        let currency = |(code, row): Row| {
            let code = String::from_utf8(code).map_err(|_| ClientError::BadAnswer)?;
            let row = kerbholz_ledger::codec::decode_trusted(&row);
            Ok((code, row.map_err(|_| ClientError::BadAnswer)?))
        };
        rows.into_iter().map(currency).collect()
    }
}
