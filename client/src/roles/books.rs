//! Keeping the books right: restatements and their countersigning, limits, avoided burdens.

use super::Organisation;
use crate::error::ClientError;
use crate::session::Session;
use kerbholz_ledger::avoided::AvoidedBurden;
use kerbholz_ledger::id::RestatementId;
use kerbholz_ledger::limit::{Limit, LimitList};
use kerbholz_ledger::operation::Operation;
use kerbholz_ledger::restatement::{Restatement, RestatementDecision};
use kerbholz_ledger::rows::{RestatementRow, Table, key};

impl Session {
    /// A restatement and what became of it.
    ///
    /// # Errors
    /// [`ClientError::Unknown`], [`ClientError::Connection`] and [`ClientError::Refused`].
    pub async fn restatement(&self, id: RestatementId) -> Result<RestatementRow, ClientError> {
        let row = self.row(key(Table::Restatement, &[id.as_bytes()])).await?;
        row.ok_or(ClientError::Unknown("restatement"))
    }

    /// Corrects a source that this member (or, for an organisation, one of its machines or meters)
    /// booked. Whether it applied at once or waits for an auditor stands in its row.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when another member booked the source.
    pub async fn restate(&self, restatement: Restatement) -> Result<RestatementId, ClientError> {
        let applied = self.submit(vec![Operation::Restate(restatement)]).await?;
        Ok(RestatementId::of(applied.id, 0))
    }

    /// Decides a restatement that waits: an auditor countersigns or refuses, who proposed it takes it
    /// back by refusing.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when it was decided already.
    pub async fn decide(
        &self,
        restatement: RestatementId,
        approve: bool,
    ) -> Result<(), ClientError> {
        let decision = RestatementDecision { restatement, approve };
        self.submit(vec![Operation::DecideRestatement(decision)]).await.map(drop)
    }

    /// Records what a lot or an order saves elsewhere, beside its footprint.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the lot is another's.
    pub async fn record_avoided(&self, burden: AvoidedBurden) -> Result<(), ClientError> {
        self.submit(vec![Operation::RecordAvoided(burden)]).await.map(drop)
    }
}

impl Organisation {
    /// Sets the limits of this organisation's machines, in the place of all it set before.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] when they contradict themselves.
    pub async fn set_limits(&self, mut limits: Vec<Limit>) -> Result<(), ClientError> {
        limits.sort_by(|a, b| a.name.cmp(&b.name));
        self.submit(vec![Operation::SetLimits(LimitList { limits })]).await.map(drop)
    }
}
