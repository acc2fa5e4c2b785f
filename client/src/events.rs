//! What happens on the ledger, as a stream that survives the loss of an authority.

use crate::connection::{Connection, Subscription as Stream};
use crate::error::ClientError;
use crate::protocol::Subscription;
use kerbholz_ledger::codec;
use kerbholz_ledger::execute::Event;

/// Most bytes of an encoded event.
pub const EVENT_BYTES_MAX: usize = 64 << 10;

/// Events in the order of the ledger, each once, from the place asked for.
pub struct Events {
    stream: Stream,
    from: Subscription,
}

impl Events {
    pub(crate) fn new(connection: &Connection, from: Subscription) -> Self {
        let mut resume = from;
        let stream = connection.subscribe(move |last| {
            if let Some(event) = last.and_then(|bytes| decode(bytes).ok()) {
                resume = after(resume, &event);
            }
            codec::encode(&resume)
        });
        Self { stream, from }
    }

    /// Waits for the next event. May be dropped and called again without losing one.
    ///
    /// # Errors
    /// [`ClientError::Connection`] each time no authority served the stream for half a minute (it
    /// keeps trying: calling again is the right thing to do), [`ClientError::BadAnswer`] when an
    /// authority sent something else.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        let event = decode(&self.stream.next().await?.bytes)?;
        self.from = after(self.from, &event);
        Ok(event)
    }

    /// Where to resume after the last event that was returned: keep it to continue later.
    pub const fn position(&self) -> Subscription {
        self.from
    }
}

fn decode(bytes: &[u8]) -> Result<Event, ClientError> {
    codec::decode::<Event, EVENT_BYTES_MAX>(bytes).map_err(|_| ClientError::BadAnswer)
}

fn after(from: Subscription, event: &Event) -> Subscription {
    Subscription { commit: event.commit, index: event.index.saturating_add(1), ..from }
}
