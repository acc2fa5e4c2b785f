//! Asking one certain authority: what it alone knows, others may not.

use super::{Session, decode, unexpected};
use crate::error::ClientError;
use crate::evidence::{Accusation, Offender, Verdict};
use crate::protocol::{Answer, Call, Request};
use kerbholz_ledger::keys::PublicKey;
use kerbholz_ledger::quantity::CommitIndex;

impl Session {
    /// The authorities against which a certain authority has evidence.
    ///
    /// # Errors
    /// [`ClientError::Connection`] when it does not answer.
    pub async fn offenders_of(&self, authority: usize) -> Result<Vec<Offender>, ClientError> {
        match self.call_at(authority, Request::Offenders).await? {
            Answer::Offenders(offenders) => Ok(offenders),
            other => Err(unexpected(other)),
        }
    }

    /// A piece of evidence that a certain authority keeps, by its number from 0: verified, and
    /// against whom. `None` if there is none.
    ///
    /// # Errors
    /// [`ClientError::Connection`] when it does not answer, [`ClientError::BadAccusation`] when what
    /// it answers does not verify, [`ClientError::BadAnswer`] when it is against another.
    pub async fn accusation_of(
        &self,
        authority: usize,
        key: PublicKey,
        number: u32,
    ) -> Result<Option<(Accusation, Verdict)>, ClientError> {
        match self.call_at(authority, Request::Accusation { key, number }).await? {
            Answer::Accusation(None) => Ok(None),
            Answer::Accusation(Some(accusation)) => {
                let verdict = accusation.verify(self.network().genesis())?;
                if verdict.authority.key != key {
                    return Err(ClientError::BadAnswer);
                }
                Ok(Some((*accusation, verdict)))
            }
            other => Err(unexpected(other)),
        }
    }

    /// Asks a certain authority.
    pub(super) async fn call_at(
        &self,
        authority: usize,
        request: Request,
    ) -> Result<Answer, ClientError> {
        let call = Call { after: CommitIndex::ZERO, request }.encode();
        let count = self.network().authorities().len();
        let position = (authority + count - self.inner.first % count) % count;
        let answer = self.inner.connection.request_at(position, call).await?;
        decode(&answer.bytes)
    }
}
