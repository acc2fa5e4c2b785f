//! Authorities among themselves: start order, frame order, restart, strangers, ports.

use std::time::Duration;

use kerbholz_client::wire::Protocol;

use super::support::*;
use crate::network::*;

#[tokio::test]
async fn a_mesh_comes_up_whoever_starts_first() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let committee = Committee::new(4);
        let mut nodes = Vec::new();
        for index in order {
            nodes.push(committee.start(index).await);
        }
        for node in &mut nodes {
            let mut up = Vec::new();
            for _ in 0..3 {
                up.push(node.up().await.0);
            }
            up.push(node.key);
            up.sort_unstable();
            let mut all: Vec<_> = (0..4).map(|index| committee.key(index)).collect();
            all.sort_unstable();
            assert_eq!(up, all, "{order:?}");
        }
        // One connection per pair, and everyone counts three.
        for node in &nodes {
            assert_eq!(node.handle.stats().connections, 3);
        }
    }
}

#[tokio::test]
async fn frames_arrive_once_and_in_order() {
    let committee = Committee::new(2);
    let mut nodes = committee.mesh().await;
    let (peer, sizes) = (nodes[1].key, [1, 100_000, 3, 1 << 20, 77]);
    for (index, size) in sizes.iter().enumerate() {
        nodes[0].send(peer, &vec![index as u8; *size]);
    }
    for (index, size) in sizes.iter().enumerate() {
        let (from, bytes) = nodes[1].frame().await;
        assert_eq!(from, committee.key(0));
        assert_eq!((bytes.len(), bytes[0]), (*size, index as u8));
    }
    let expected: usize = sizes.iter().map(|size| size + 4).sum();
    let stats = nodes[1].handle.stats();
    // The hello of the other direction was received, too.
    assert_eq!(stats.peers[&committee.key(0)].bytes_received, expected as u64 + 4);
}

#[tokio::test]
async fn a_restarted_peer_says_from_where_to_resume() {
    let committee = Committee::new(2);
    // Once the dialling side crashes, once the other.
    for crashing in 0..2 {
        let mut nodes = committee.mesh().await;
        let crashed = nodes.remove(crashing);
        let mut other = nodes.remove(0);
        let key = crashed.key;
        crashed.crash().await;
        assert_eq!(other.down().await, key);
        assert_eq!(other.handle.send(key, [1].into()), Err(PushError::Closed));

        let mut config = committee.config(crashing);
        config.resume.insert(other.key, b"round 42".to_vec());
        let (handle, events) = Network::start(config).await.unwrap();
        let mut restarted = Node { key, handle, events };
        assert_eq!(other.up().await, (key, b"round 42".to_vec()));
        other.send(key, b"round 43");
        restarted.up().await;
        assert_eq!(restarted.frame().await, (other.key, b"round 43".to_vec()));
        within("the end", restarted.handle.shutdown()).await;
        within("the end", other.handle.shutdown()).await;
    }
}

#[tokio::test]
async fn a_position_set_later_is_told_to_the_next_stream() {
    let committee = Committee::new(2);
    let mut nodes = committee.mesh().await;
    let (mut second, mut first) = (nodes.remove(1), nodes.remove(0));
    second.handle.set_resume(first.key, b"round 7".to_vec()).unwrap();
    let too_long = vec![0; Protocol::Blocks.answer_max() + 1];
    assert_eq!(second.handle.set_resume(first.key, too_long), Err(PushError::TooLarge));
    // More than the queue holds at once: the stream is given up and opened anew.
    let frame: std::sync::Arc<[u8]> = vec![0; Protocol::Blocks.request_max()].into();
    let mut sent = 0;
    while first.handle.send(second.key, frame.clone()).is_ok() {
        sent += 1;
        assert!(sent < 1000, "the queue must be bounded");
    }
    assert_eq!(first.down().await, second.key);
    assert_eq!(first.handle.stats().queues_overflowed, 1);
    // The receiver takes what still arrives, and the sender continues where it is told to: not
    // before it knows, or a frame could overtake those that the position asks for.
    let reopened = async {
        loop {
            tokio::select! {
                () = until("the new stream", || first.events.signals.len() == 1) => break,
                _ = second.frame() => {}
            }
        }
    };
    within("the new stream", reopened).await;
    assert_eq!(first.handle.send(second.key, [0].into()), Err(PushError::Closed));
    assert_eq!(first.up().await, (second.key, b"round 7".to_vec()));
    first.send(second.key, b"round 8");
    let last = async { while second.frame().await.1 != b"round 8" {} };
    within("round 8", last).await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let committee = Committee::new(2);
    let node = committee.start(0).await;
    let error = Network::start(committee.config(0)).await.err().unwrap();
    assert!(matches!(&error, NetworkError::PortInUse { address } if *address == node.address()));
    assert!(
        error.to_string().ends_with("is in use; stop the other process or choose another port")
    );
    within("the end", node.handle.shutdown()).await;
    // And it is free again afterwards.
    committee.start(0).await.crash().await;
}

#[tokio::test]
async fn a_shutdown_sends_what_is_queued() {
    let committee = Committee::new(2);
    let mut nodes = committee.mesh().await;
    let (mut second, first) = (nodes.remove(1), nodes.remove(0));
    let frame: std::sync::Arc<[u8]> = vec![9; 100_000].into();
    for _ in 0..50 {
        first.handle.send(second.key, frame.clone()).unwrap();
    }
    let shutdown = async {
        first.handle.shutdown().await;
        first.handle.shutdown().await; // Once more is harmless.
    };
    // That our stream to it has ended may be known before all of its frames are read.
    let receive = async {
        let (mut frames, mut down) = (0, false);
        while frames < 50 || !down {
            match second.event().await {
                NetworkEvent::Frame { bytes, .. } => {
                    assert_eq!(bytes, *frame);
                    frames += 1;
                }
                NetworkEvent::PeerDown { peer } => down = peer == first.key,
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(frames, 50);
    };
    within("the shutdown", async { tokio::join!(shutdown, receive) }).await;
    // The driver is told that nothing will come any more.
    let mut events = first.events;
    while within("the end of the events", events.recv()).await.is_some() {}
}

/// A power cut closes no connection. Here the peer stays connected and falls silent.
#[tokio::test]
async fn a_silent_authority_is_disconnected() {
    let mut committee = Committee::new(2);
    committee.limits.heartbeat = Duration::from_millis(20);
    committee.limits.silence_max = Duration::from_millis(200);
    let node = committee.start(0).await;
    let silent = Stranger::connect(committee.seeds[1], node.key, node.address()).await;
    let stream = silent.open(Protocol::Blocks).await.unwrap();
    within("the disconnection", silent.closed).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn signs_of_life_keep_an_idle_link_up() {
    let mut committee = Committee::new(2);
    committee.limits.heartbeat = Duration::from_millis(5);
    committee.limits.silence_max = Duration::from_millis(1000);
    let mut nodes = committee.mesh().await;
    let sent = |node: &Node, peer: PeerKey| node.handle.stats().peers[&peer].bytes_sent;
    // Nothing is said for longer than silence is suffered: only signs of life, of four bytes each.
    let peer = nodes[1].key;
    let start = std::time::Instant::now();
    let before = sent(&nodes[0], peer);
    until("signs of life", || {
        sent(&nodes[0], peer) >= before + 40 && start.elapsed() > committee.limits.silence_max
    })
    .await;
    nodes[0].send(peer, b"still here");
    assert_eq!(nodes[1].frame().await.1, b"still here");
    assert_eq!(nodes[0].handle.stats().connections, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mesh_over_quic_exchanges_frames() {
    let mut committee = Committee::new(4);
    // All are held until the last one is known, so they differ.
    let mut held = Vec::new();
    for authority in &mut committee.authorities {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        authority.addresses = vec![format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().unwrap()];
        held.push(socket);
    }
    drop(held);
    let mut nodes = committee.mesh().await;
    for round in 0..20_u8 {
        for node in &nodes {
            for receiver in committee.authorities.iter().filter(|other| other.key != node.key) {
                node.send(receiver.key, &vec![round; 30_000]);
            }
        }
    }
    for node in &mut nodes {
        let mut rounds = std::collections::BTreeMap::<PeerKey, u8>::new();
        for _ in 0..60 {
            let (from, bytes) = node.frame().await;
            let next = rounds.entry(from).or_default();
            assert_eq!((bytes.len(), bytes[0]), (30_000, *next));
            *next += 1;
        }
    }
    // The port of a stopped node is free again, and a port in use is noticed for UDP, too.
    let error = Network::start(committee.config(0)).await.err().unwrap();
    assert!(matches!(error, NetworkError::PortInUse { .. }), "{error}");
    let last = nodes.remove(0);
    last.crash().await;
    committee.start(0).await.crash().await;
}

#[tokio::test]
async fn port_zero_takes_a_free_port_and_reports_it() {
    let committee = Committee::new(1);
    let mut config = committee.config(0);
    config.listen = vec![tcp(0), "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    let (handle, _events) = Network::start(config).await.unwrap();
    let addresses = handle.addresses();
    assert_eq!(addresses.len(), 2);
    assert!(addresses.iter().all(|address| !address.to_string().contains("/0")), "{addresses:?}");
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    type Change = dyn Fn(&mut NetworkConfig);
    let committee = Committee::new(2);
    let broken = async |change: &Change| {
        let mut config = committee.config(0);
        change(&mut config);
        Network::start(config).await.err().unwrap().to_string()
    };
    let cases: [(&Change, &str); 6] = [
        (&|config| config.limits.events_max = 0, "events_max is 0; it must be at least 1"),
        (&|config| config.limits.queue_bytes_max = 1, "queue_bytes_max is 1"),
        (&|config| config.authorities[1].key.0 = [2; 32], "not an ed25519 public key"),
        (&|config| config.authorities.push(config.authorities[1].clone()), "is listed twice"),
        (
            &|config| {
                config.resume.insert(PeerKey([1; 32]), vec![0; 2000]);
            },
            "has 2000 bytes; at most 1024",
        ),
        (
            &|config| config.listen = vec!["/memory/1".parse().unwrap()],
            "cannot listen on /memory/1",
        ),
    ];
    for (change, expected) in cases {
        let text = broken(change).await;
        assert!(text.contains(expected), "{text}");
    }
}
