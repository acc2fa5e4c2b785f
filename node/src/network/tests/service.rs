//! What others ask of a node: fetches, requests, subscriptions; and those who ask too much.

use kerbholz_client::wire::Protocol;
use kerbholz_client::wire::exchange::{self, ExchangeError, Status};
use libp2p::futures::{AsyncReadExt, AsyncWriteExt};

use super::support::*;
use crate::network::*;

/// A seed that no committee of these tests contains.
const STRANGER: [u8; 32] = [200; 32];

async fn alone(limits: NetworkLimits) -> Node {
    let mut committee = Committee::new(1);
    committee.limits = limits;
    committee.start(0).await
}

async fn visitor(node: &Node) -> Stranger {
    Stranger::connect(STRANGER, node.key, node.address()).await
}

fn faults(node: &Node, peer: PeerKey) -> u64 {
    node.handle.stats().peers.get(&peer).map_or(0, |peer| peer.faults)
}

#[tokio::test]
async fn a_fetch_is_answered_by_the_driver() {
    let committee = Committee::new(2);
    let mut nodes = committee.mesh().await;
    let (mut second, first) = (nodes.remove(1), nodes.remove(0));
    let answer = vec![5; Protocol::Fetch.answer_max()];
    let (fetched, ()) = tokio::join!(first.handle.fetch(second.key, b"which"), async {
        let (from, bytes, reply) = second.request().await;
        assert_eq!((from, bytes.as_slice()), (first.key, b"which".as_slice()));
        reply.send(answer.clone()).unwrap();
    });
    assert_eq!(fetched.unwrap(), answer);
    // A driver that has no answer says so at once instead of letting the deadline pass.
    let (refused, ()) = tokio::join!(first.handle.fetch(second.key, b"which"), async {
        drop(second.request().await);
    });
    let unavailable = ExchangeError::Refused(Status::Unavailable);
    assert_eq!(refused.unwrap_err().to_string(), unavailable.to_string());

    let stranger = PeerKey::of_seed(&STRANGER);
    let unknown = first.handle.fetch(stranger, b"which").await;
    assert!(matches!(unknown, Err(FetchError::Unknown(key)) if key == stranger));
    second.crash().await;
    let mut first = first;
    first.down().await;
    let gone = first.handle.fetch(committee.key(1), b"which").await.unwrap_err();
    assert!(!matches!(gone, FetchError::Timeout), "{gone}");
}

#[tokio::test]
async fn a_stranger_gets_neither_blocks_nor_fetches() {
    let mut node = alone(NetworkLimits { faults_max: 3, ..NetworkLimits::default() }).await;
    let stranger = visitor(&node).await;
    // First what it may do.
    let mut stream = stranger.open(Protocol::Api).await.unwrap();
    let (answer, ()) = tokio::join!(exchange::ask(&mut stream, Protocol::Api, b"hello"), async {
        let (from, bytes, reply) = node.request().await;
        assert_eq!((from, bytes.as_slice()), (stranger.key, b"hello".as_slice()));
        reply.send(b"welcome".to_vec()).unwrap();
    });
    assert_eq!(answer.unwrap(), b"welcome");
    // Then what it may not: no hello, no answer, and in the end no connection.
    for (protocol, count) in [(Protocol::Blocks, 1), (Protocol::Fetch, 2), (Protocol::Blocks, 3)] {
        // The last one may find the connection closed already.
        if let Ok(mut stream) = stranger.open(protocol).await {
            let mut bytes = Vec::new();
            let _ = within("the refusal", stream.read_to_end(&mut bytes)).await;
            assert!(bytes.is_empty(), "{protocol}");
        }
        until("the count", || node.handle.stats().streams_refused == count).await;
        assert_eq!(faults(&node, stranger.key), count);
    }
    within("the disconnection", stranger.closed).await.unwrap();
}

#[tokio::test]
async fn an_oversize_request_is_refused_by_its_length_alone() {
    let node = alone(NetworkLimits::default()).await;
    let stranger = visitor(&node).await;
    let table = [(Protocol::Api, Protocol::Api.request_max() + 1), (Protocol::Events, 1 << 31)];
    for (index, (protocol, length)) in table.into_iter().enumerate() {
        let mut stream = stranger.open(protocol).await.unwrap();
        // Only the length is ever sent: whoever waits for the body, waits in vain.
        stream.write_all(&u32::try_from(length).unwrap().to_le_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let answer = within("the refusal", exchange::read_answer(&mut stream, protocol)).await;
        assert!(matches!(answer, Err(ExchangeError::Refused(Status::TooLarge))), "{answer:?}");
        until("the fault", || faults(&node, stranger.key) == 1 + index as u64).await;
    }
}

#[tokio::test]
async fn an_oversize_block_frame_is_a_fault_of_the_authority() {
    let committee = Committee::new(2);
    let mut node = committee.start(0).await;
    // The second authority, gone bad.
    let liar = Stranger::connect(committee.seeds[1], node.key, node.address()).await;
    let mut stream = liar.open(Protocol::Blocks).await.unwrap();
    let mut hello = [1; 4];
    within("the hello", stream.read_exact(&mut hello)).await.unwrap();
    assert_eq!(hello, [0; 4]);
    stream.write_all(b"\x02\0\0\0ok").await.unwrap();
    stream.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(node.frame().await, (liar.key, b"ok".to_vec()));
    let end = within("the end of the stream", stream.read(&mut hello)).await;
    assert!(matches!(end, Ok(0) | Err(_)));
    until("the fault", || faults(&node, liar.key) == 1).await;
}

#[tokio::test]
async fn who_asks_too_much_at_once_is_told_to_wait() {
    let limits = NetworkLimits { requests_per_peer_max: 1, ..NetworkLimits::default() };
    let mut node = alone(limits).await;
    let stranger = visitor(&node).await;
    let mut first = stranger.open(Protocol::Api).await.unwrap();
    exchange::send_request(&mut first, Protocol::Api, b"first").await.unwrap();
    let (_, _, reply) = node.request().await;
    let mut second = stranger.open(Protocol::Api).await.unwrap();
    let refusal = within("the refusal", exchange::read_answer(&mut second, Protocol::Api)).await;
    assert!(matches!(refusal, Err(ExchangeError::Refused(Status::Busy))), "{refusal:?}");
    assert_eq!(node.handle.stats().requests_refused, 1);
    reply.send(b"done".to_vec()).unwrap();
    let answer = within("the answer", exchange::read_answer(&mut first, Protocol::Api)).await;
    assert_eq!(answer.unwrap().unwrap(), b"done");
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_wait() {
    let limits =
        NetworkLimits { requests_per_second: 1, requests_burst: 3, ..NetworkLimits::default() };
    let mut node = alone(limits).await;
    let stranger = visitor(&node).await;
    let mut answered = 0;
    for _ in 0..100 {
        let mut stream = stranger.open(Protocol::Api).await.unwrap();
        let answer = tokio::select! {
            answer = exchange::ask(&mut stream, Protocol::Api, b"?") => answer,
            () = async { loop {
                node.request().await.2.send(Vec::new()).unwrap();
            } } => unreachable!(),
        };
        match answer {
            Ok(_) => answered += 1,
            Err(ExchangeError::Refused(Status::Busy) | ExchangeError::Send(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    // The burst, and at most a few seconds' worth if the machine is slow; but not a hundred.
    assert!((3..100).contains(&answered), "{answered}");
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_sent() {
    let mut node = alone(NetworkLimits::default()).await;
    let stranger = visitor(&node).await;
    let mut stream = stranger.open(Protocol::Api).await.unwrap();
    let (answer, ()) = tokio::join!(exchange::ask(&mut stream, Protocol::Api, b"all"), async {
        let (_, _, reply) = node.request().await;
        let answer = vec![0; reply.bytes_max() + 1];
        assert_eq!(reply.send(answer), Err(PushError::TooLarge));
    });
    assert!(matches!(answer, Err(ExchangeError::Refused(Status::Unavailable))), "{answer:?}");
}

#[tokio::test]
async fn a_slow_subscriber_is_dropped_and_told() {
    let mut node = alone(NetworkLimits::default()).await;
    let stranger = visitor(&node).await;
    let mut stream = stranger.open(Protocol::Events).await.unwrap();
    exchange::send_request(&mut stream, Protocol::Events, b"from 17").await.unwrap();
    let (from, position, mut sink) = node.subscription().await;
    assert_eq!((from, position.as_slice()), (stranger.key, b"from 17".as_slice()));
    // Nobody reads: the queue fills up, and the node does not wait.
    let event = |index: u64| {
        let mut event = vec![0; 100_000];
        event[..8].copy_from_slice(&index.to_le_bytes());
        event
    };
    let mut sent = 0;
    let error = loop {
        match sink.send(event(sent).into()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000, "the queue must be bounded");
    };
    assert_eq!(error, PushError::Overflow);
    assert_eq!(sink.send(event(sent).into()), Err(PushError::Closed));
    // What arrived is a gapless beginning, and the end is explained.
    let mut received = 0;
    let last = loop {
        match within("an event", exchange::read_answer(&mut stream, Protocol::Events)).await {
            Ok(Some(bytes)) if bytes.is_empty() => {}
            Ok(Some(bytes)) => {
                assert_eq!(bytes, event(received));
                received += 1;
            }
            Ok(None) => panic!("the end came without a word"),
            Err(error) => break error,
        }
    };
    assert!(matches!(last, ExchangeError::Refused(Status::Lagged)), "{last}");
    assert!(received <= sent);
    assert_eq!(node.handle.stats().subscribers_dropped, 1);
}

#[tokio::test]
async fn a_subscriber_that_leaves_is_noticed() {
    let mut node = alone(NetworkLimits::default()).await;
    let stranger = visitor(&node).await;
    let mut stream = stranger.open(Protocol::Events).await.unwrap();
    exchange::send_request(&mut stream, Protocol::Events, b"").await.unwrap();
    let (_, _, mut sink) = node.subscription().await;
    sink.send(b"event".to_vec().into()).unwrap();
    let event = within("an event", exchange::read_answer(&mut stream, Protocol::Events)).await;
    assert_eq!(event.unwrap().unwrap(), b"event");
    drop(stream);
    until("the end of the subscription", || sink.is_closed()).await;
}

#[tokio::test]
async fn an_idle_driver_stops_the_reading() {
    let mut committee = Committee::new(2);
    committee.limits.events_max = 2;
    let nodes = committee.mesh().await;
    let before = nodes[1].handle.stats().peers[&nodes[0].key].bytes_received;
    let frame: std::sync::Arc<[u8]> = vec![0; Protocol::Blocks.request_max()].into();
    for _ in 0..7 {
        nodes[0].handle.send(nodes[1].key, frame.clone()).unwrap();
    }
    let received = || {
        let received = nodes[1].handle.stats().peers[&nodes[0].key].bytes_received;
        (received - before) / (frame.len() as u64 + 4)
    };
    // Two events wait, and one reader waits with the third.
    until("three frames", || received() == 3).await;
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(received(), 3);
}

#[tokio::test]
async fn a_flood_of_one_authority_keeps_the_others_waiting_for_few_frames() {
    let mut committee = Committee::new(3);
    committee.limits.frames_waiting_max = 4;
    let mut nodes = committee.mesh().await;
    let flood: std::sync::Arc<[u8]> = vec![0; Protocol::Blocks.request_max()].into();
    let received = |nodes: &[Node], from: usize| {
        nodes[2].handle.stats().peers[&nodes[from].key].bytes_received
    };
    let before = [received(&nodes, 0), received(&nodes, 1)];
    for _ in 0..7 {
        nodes[0].handle.send(nodes[2].key, flood.clone()).unwrap();
    }
    let some = 4 * (flood.len() as u64 + 4);
    until("a flood", || received(&nodes, 0) >= before[0] + some).await;
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    nodes[1].send(nodes[2].key, b"a word");
    until("a word", || received(&nodes, 1) > before[1]).await;
    let mut waited = 0;
    while nodes[2].frame().await.0 == nodes[0].key {
        waited += 1;
    }
    assert!(waited <= 4, "for {waited} frames");
}

#[tokio::test]
async fn a_further_connection_of_a_peer_closes_its_oldest() {
    let limits = NetworkLimits { connections_per_peer_max: 2, ..NetworkLimits::default() };
    let mut node = alone(limits).await;
    let first = visitor(&node).await;
    let second = visitor(&node).await;
    until("two connections", || node.handle.stats().connections == 2).await;
    let third = visitor(&node).await;
    within("the end of the first", first.closed).await.unwrap();
    for visitor in [second, third] {
        let mut stream = visitor.open(Protocol::Api).await.unwrap();
        let (answer, ()) = tokio::join!(exchange::ask(&mut stream, Protocol::Api, b"?"), async {
            node.request().await.2.send(b"!".to_vec()).unwrap();
        });
        assert_eq!(answer.unwrap(), b"!");
    }
    assert_eq!(node.handle.stats().connections_refused, 1);
}

#[tokio::test]
async fn connections_of_strangers_are_limited_and_those_of_authorities_are_not() {
    let mut committee = Committee::new(2);
    committee.limits.connections_max = 1;
    let mut node = committee.start(0).await;
    let _first = visitor(&node).await;
    until("the connection", || node.handle.stats().connections == 1).await;
    let refused = Stranger::connect([201; 32], node.key, node.address()).await;
    within("the refusal", refused.closed).await.unwrap();
    until("the count", || node.handle.stats().connections_refused == 1).await;
    let _other = committee.start(1).await;
    assert_eq!(node.up().await.0, committee.key(1));
    let connected = node.handle.stats().authorities_connected;
    assert_eq!(connected.into_iter().collect::<Vec<_>>(), [committee.key(1)]);
}

#[tokio::test]
async fn answers_that_nobody_takes_do_not_pile_up() {
    let limits = NetworkLimits {
        answer_bytes_in_flight_max: Protocol::Api.answer_max() + 1000,
        ..NetworkLimits::default()
    };
    let mut node = alone(limits).await;
    let stranger = visitor(&node).await;
    let mut streams = Vec::new();
    for length in [Protocol::Api.answer_max(), 1001, 1000] {
        let mut stream = stranger.open(Protocol::Api).await.unwrap();
        exchange::send_request(&mut stream, Protocol::Api, b"all").await.unwrap();
        node.request().await.2.send(vec![1; length]).unwrap();
        streams.push(stream);
    }
    // Nobody takes the first answer, so that there is no room for the second, but for the third.
    let mut answers = Vec::new();
    for stream in streams.iter_mut().rev() {
        let answer = within("an answer", exchange::read_answer(stream, Protocol::Api)).await;
        answers.push(answer.map(|answer| answer.map_or(0, |answer| answer.len())));
    }
    assert!(matches!(answers[0], Ok(1000)), "{answers:?}");
    assert!(matches!(answers[1], Err(ExchangeError::Refused(Status::Busy))), "{answers:?}");
    assert!(matches!(answers[2], Ok(length) if length == Protocol::Api.answer_max()));
}
