//! A libp2p behaviour that opens and accepts plain streams of the protocols in [`crate::wire`].
//!
//! `libp2p-stream` does this too, but drops inbound streams while its acceptor does not poll, and
//! libp2p's request-response reads a request before its peer's budget can be checked. Here every
//! negotiated stream reaches the swarm's owner, who decides about it before a byte is read. The
//! number of streams that wait for that is bounded by the multiplexer's limit per connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandlerInEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use tokio::sync::oneshot;

use crate::wire::{Protocol, Protocols};

/// Time to agree on a stream's protocol; a peer that answers nothing is not waited for.
const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection is gone.
    #[error("the connection is closed")]
    Gone,
    /// The peer does not speak the protocol: another network, or another version.
    #[error("the peer does not speak {0} of this network; compare the genesis files and versions")]
    Unsupported(Protocol),
    /// The peer did not answer in time.
    #[error("the peer did not answer within {NEGOTIATION_TIMEOUT:?}")]
    Timeout,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

/// Where the result of [`Streams::open`] goes. When the connection closes first, it is dropped.
pub type OpenReply = oneshot::Sender<Result<Stream, OpenError>>;

/// A stream that a peer opened.
#[derive(Debug)]
pub struct Inbound {
    /// Who opened it.
    pub peer: PeerId,
    /// What it is for.
    pub protocol: Protocol,
    /// The stream; dropping it resets it.
    pub stream: Stream,
}

/// The behaviour. It keeps every connection to a peer for which `keep` says so.
pub struct Streams {
    protocols: Protocols,
    /// Whether peers may open streams: a client accepts none.
    accept: bool,
    keep: Box<dyn Fn(&PeerId) -> bool + Send>,
    queue: VecDeque<ToSwarm<Inbound, Open>>,
}

impl Streams {
    /// For the node: accepts all protocols; who may use which is for the receiver of
    /// [`Inbound`] to decide. Connections to peers that `keep` names stay open when idle.
    pub fn server(protocols: Protocols, keep: impl Fn(&PeerId) -> bool + Send + 'static) -> Self {
        Self { protocols, accept: true, keep: Box::new(keep), queue: VecDeque::new() }
    }

    /// For the client: accepts nothing and keeps its connections.
    #[must_use]
    pub fn client(protocols: Protocols) -> Self {
        Self { protocols, accept: false, keep: Box::new(|_| true), queue: VecDeque::new() }
    }

    /// Asks for a stream on a connection. The swarm has to be polled afterwards.
    pub fn open(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        protocol: Protocol,
        reply: OpenReply,
    ) {
        self.queue.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event: Open { name: self.protocols.name(protocol), protocol, reply },
        });
    }

    fn handler(&self, peer: &PeerId) -> Handler {
        Handler {
            protocols: self.protocols.clone(),
            accept: self.accept,
            keep: (self.keep)(peer),
            queue: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Inbound;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(&peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(&peer))
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        _: ConnectionId,
        (protocol, stream): (Protocol, Stream),
    ) {
        self.queue.push_back(ToSwarm::GenerateEvent(Inbound { peer, protocol, stream }));
    }

    // No waker is kept: both ways into the queue are taken by the task that polls the swarm.
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Inbound, THandlerInEvent<Self>>> {
        self.queue.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// A request to open a stream, on its way to the connection.
#[derive(Debug)]
pub struct Open {
    name: StreamProtocol,
    protocol: Protocol,
    reply: OpenReply,
}

type HandlerEvent = ConnectionHandlerEvent<Upgrade, (Protocol, OpenReply), (Protocol, Stream)>;

/// The part of [`Streams`] that lives on a connection.
pub struct Handler {
    protocols: Protocols,
    accept: bool,
    keep: bool,
    queue: VecDeque<HandlerEvent>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = (Protocol, Stream);
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = (Protocol, OpenReply);

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        let names = if self.accept { self.protocols.names() } else { Vec::new() };
        SubstreamProtocol::new(Upgrade { names }, ()).with_timeout(NEGOTIATION_TIMEOUT)
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep
    }

    // The connection polls its handler after every call below, so no waker is kept here either.
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<HandlerEvent> {
        self.queue.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn on_behaviour_event(&mut self, Open { name, protocol, reply }: Open) {
        let upgrade = Upgrade { names: vec![name] };
        self.queue.push_back(ConnectionHandlerEvent::OutboundSubstreamRequest {
            protocol: SubstreamProtocol::new(upgrade, (protocol, reply))
                .with_timeout(NEGOTIATION_TIMEOUT),
        });
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<Upgrade, Upgrade, (), (Protocol, OpenReply)>,
    ) {
        // A reply whose receiver gave up is dropped, and with it the stream.
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, name),
                info: (),
            }) => {
                if let Some(protocol) = self.protocols.find(&name) {
                    let event = ConnectionHandlerEvent::NotifyBehaviour((protocol, stream));
                    self.queue.push_back(event);
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info: (_, reply),
            }) => {
                let _ = reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError {
                info: (protocol, reply),
                error,
            }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported(protocol),
                    StreamUpgradeError::Io(error) => OpenError::Io(error),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                let _ = reply.send(Err(error));
            }
            _ => {}
        }
    }
}

/// Agrees on a name and hands the stream over as it is.
pub struct Upgrade {
    names: Vec<StreamProtocol>,
}

impl UpgradeInfo for Upgrade {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.names.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}
