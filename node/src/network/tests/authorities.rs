//! Who the authorities are changes: somebody joins, somebody is removed, everybody greets anew.

use std::collections::{BTreeMap, BTreeSet};

use super::support::*;
use crate::network::*;

/// Every peer is told the same.
fn told(committee: &Committee, what: &[u8]) -> BTreeMap<PeerKey, Vec<u8>> {
    committee.authorities.iter().map(|other| (other.key, what.to_vec())).collect()
}

impl Committee {
    /// The authorities of these indices.
    fn some(&self, members: &[usize]) -> Vec<Authority> {
        members.iter().map(|index| self.authorities[*index].clone()).collect()
    }

    /// The keys of the first so many, but one.
    fn others(&self, index: usize, size: usize) -> Vec<PeerKey> {
        (0..size).filter(|other| *other != index).map(|other| self.key(other)).collect()
    }

    /// A node that takes these for the authorities.
    async fn start_among(&self, index: usize, members: &[usize], hello: &[u8]) -> Node {
        let authorities = self.some(members);
        let resume = told(self, hello);
        let config = NetworkConfig { authorities, resume, ..self.config(index) };
        let (handle, events) = Network::start(config).await.unwrap();
        Node { key: self.key(index), handle, events }
    }
}

impl Node {
    async fn set(&self, committee: &Committee, members: &[usize], former: &[usize], hello: &[u8]) {
        let authorities = committee.some(members);
        let former: Vec<_> = former.iter().map(|index| committee.key(*index)).collect();
        let resume = told(committee, hello);
        self.handle.set_authorities(&authorities, &former, resume).await.unwrap();
    }

    /// Waits until these peers have said this.
    async fn greeted(&mut self, by: &[PeerKey], hello: &[u8]) {
        let mut waiting: BTreeSet<PeerKey> = by.iter().copied().collect();
        while !waiting.is_empty() {
            match self.event().await {
                NetworkEvent::PeerUp { peer, resume } if *resume == *hello => {
                    waiting.remove(&peer);
                }
                NetworkEvent::PeerUp { .. } | NetworkEvent::PeerDown { .. } => {}
                event => panic!("{event:?} instead of a greeting"),
            }
        }
    }
}

#[tokio::test]
async fn who_joins_is_greeted_by_all_and_everybody_greets_anew() {
    let committee = Committee::new(4);
    let mut nodes = Vec::new();
    for index in 0..3 {
        nodes.push(committee.start_among(index, &[0, 1, 2], b"first").await);
    }
    let mut joining = committee.start_among(3, &[0, 1, 2, 3], b"second").await;
    for (index, node) in nodes.iter_mut().enumerate() {
        node.greeted(&committee.others(index, 3), b"first").await;
    }
    // To them it is a stranger still.
    until("its refusal", || nodes.iter().any(|node| node.handle.stats().streams_refused > 0)).await;
    for node in &nodes {
        assert_eq!(node.handle.send(joining.key, [1].into()), Err(PushError::Closed));
        node.set(&committee, &[0, 1, 2, 3], &[], b"second").await;
    }
    for (index, node) in nodes.iter_mut().enumerate() {
        node.greeted(&committee.others(index, 4), b"second").await;
    }
    joining.greeted(&committee.others(3, 4), b"second").await;
    nodes[0].send(joining.key, b"welcome");
    assert_eq!(joining.frame().await, (nodes[0].key, b"welcome".to_vec()));
    joining.send(nodes[1].key, b"thanks");
    assert_eq!(nodes[1].frame().await, (joining.key, b"thanks".to_vec()));
    assert_eq!(nodes[2].handle.stats().authorities_connected.len(), 3);
}

#[tokio::test]
async fn who_was_removed_is_told_and_answered_and_hears_nothing_else() {
    let mut committee = Committee::new(2);
    // Once it is to be dialled by who knows it no more: it dials itself after a few of these.
    committee.delays.longest = std::time::Duration::from_millis(100);
    // Once the one that dials is removed, once the other.
    for removed in 0..2 {
        let staying = 1 - removed;
        let mut left = committee.start_among(removed, &[0, 1], b"first").await;
        let mut stays = committee.start_among(staying, &[0, 1], b"first").await;
        left.greeted(&[stays.key], b"first").await;
        stays.greeted(&[left.key], b"first").await;
        stays.set(&committee, &[staying], &[removed], b"second").await;
        left.greeted(&[stays.key], b"second").await;
        assert_eq!(stays.handle.send(left.key, [1].into()), Err(PushError::Closed));
        let refused = stays.handle.fetch(left.key, b"?").await;
        assert!(matches!(refused, Err(FetchError::Unknown(_))), "{refused:?}");

        // It does not know yet, and starts again: then it is the one that dials.
        left.crash().await;
        let mut left = committee.start_among(removed, &[0, 1], b"first").await;
        left.greeted(&[stays.key], b"second").await;
        let asking = left.handle.clone();
        let key = stays.key;
        let answer = tokio::spawn(async move { asking.fetch(key, b"why?").await });
        let (from, question, reply) = loop {
            match stays.event().await {
                NetworkEvent::Fetch { from, bytes, reply } => break (from, bytes, reply),
                NetworkEvent::PeerDown { .. } => {}
                event => panic!("{event:?} instead of a fetch"),
            }
        };
        assert_eq!((from, &*question), (left.key, b"why?".as_slice()));
        reply.send(b"a vote".to_vec()).unwrap();
        assert_eq!(within("the answer", answer).await.unwrap().unwrap(), b"a vote");
        left.crash().await;
        stays.crash().await;
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_changes_nothing() {
    let committee = Committee::new(2);
    let mut nodes = committee.mesh().await;
    let handle = nodes[0].handle.clone();
    let twice = committee.some(&[1, 1]);
    let refused = handle.set_authorities(&twice, &[], BTreeMap::new()).await;
    assert!(matches!(refused, Err(NetworkError::DuplicateAuthority(_))));
    let no_key = PeerKey([2; 32]);
    let refused = handle.set_authorities(&[], &[no_key], BTreeMap::new()).await;
    assert!(matches!(refused, Err(NetworkError::Identity(_))));
    nodes[0].send(committee.key(1), b"still here");
    assert_eq!(nodes[1].frame().await.1, b"still here");
}
