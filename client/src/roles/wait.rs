//! What a machine waits for: the next step of an order, the next order.

use super::Machine;
use crate::error::ClientError;
use crate::events::Events;
use crate::protocol::Subscription;
use kerbholz_ledger::execute::EventBody;
use kerbholz_ledger::id::OrderId;
use kerbholz_ledger::order::OrderState;
use kerbholz_ledger::quantity::CommitIndex;
use kerbholz_ledger::rows::OrderRow;
use std::time::Duration;

impl Machine {
    /// What concerns this machine, from a place on.
    pub fn my_events(&self, commit: CommitIndex) -> Events {
        self.events(Subscription { commit, index: 0, member: Some(self.id) })
    }

    /// Waits until an order of this machine's, as buyer or provider, is in a state (or a later or
    /// final one), and answers with the order.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] when it is not in time.
    pub async fn wait_for(
        &self,
        order: OrderId,
        state: OrderState,
        within: Duration,
    ) -> Result<OrderRow, ClientError> {
        let mut events = self.my_events(self.seen());
        let wait = async {
            loop {
                match self.order(order).await {
                    Ok(row) if row.state >= state || row.state.is_final() => return Ok(row),
                    Ok(_) | Err(ClientError::Unknown(_)) => {}
                    Err(error) => return Err(error),
                }
                let event = events.next().await?;
                self.catch_up_with(event.commit);
            }
        };
        tokio::time::timeout(within, wait)
            .await
            .unwrap_or(Err(ClientError::TimedOut("the order's next step")))
    }

    /// Waits for the next order placed with this machine, from a place on.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] when there is none in time.
    pub async fn next_order(
        &self,
        events: &mut Events,
        within: Duration,
    ) -> Result<OrderId, ClientError> {
        let wait = async {
            loop {
                let event = events.next().await?;
                self.catch_up_with(event.commit);
                if let EventBody::Order { order, state: OrderState::Placed, provider, .. } =
                    event.body
                    && provider == self.id
                {
                    return Ok(order);
                }
            }
        };
        tokio::time::timeout(within, wait).await.unwrap_or(Err(ClientError::TimedOut("an order")))
    }
}
