//! Authorities among themselves: start order, frame order, restart, strangers, ports.

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
    // The receiver takes what still arrives, and the sender continues where it is told to.
    let resumed = async {
        loop {
            tokio::select! {
                up = first.up() => break up,
                _ = second.frame() => {}
            }
        }
    };
    assert_eq!(within("the new stream", resumed).await, (second.key, b"round 7".to_vec()));
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
