//! The SDK's connection against real nodes: other authorities, restarts, deadlines.

use std::time::Duration;

use kerbholz_client::connection::{Connection, ConnectionConfig, ConnectionError, Timeouts};
use kerbholz_client::wire::Protocol;

use super::support::*;
use crate::network::*;

const MEMBER: [u8; 32] = [100; 32];

fn client_config(committee: &Committee) -> ConnectionConfig {
    let config = ConnectionConfig::new(MEMBER, NETWORK, committee.authorities.clone());
    let (first, longest) = (Duration::from_millis(10), Duration::from_millis(100));
    ConnectionConfig { delays: RedialDelays { first, longest }, ..config }
}

fn connect(committee: &Committee) -> Connection {
    Connection::open(client_config(committee)).unwrap()
}

/// Serves requests and subscriptions until dropped. Answers carry the node's name; events count
/// upwards from what the subscriber says it has.
async fn serve(node: &mut Node, name: &str) {
    loop {
        match node.event().await {
            NetworkEvent::Api { bytes, reply, .. } => {
                reply.send([name.as_bytes(), b" heard ", &bytes].concat()).unwrap();
            }
            NetworkEvent::Subscribe { bytes, mut sink, .. } => {
                let seen: u64 = String::from_utf8(bytes).unwrap().parse().unwrap();
                for number in seen + 1..=seen + 3 {
                    sink.send(number.to_string().into_bytes().into()).unwrap();
                }
            }
            _ => {}
        }
    }
}

/// The position in the events above: the number of the last one.
fn position(last: Option<&[u8]>) -> Vec<u8> {
    last.unwrap_or(b"0").to_vec()
}

#[tokio::test]
async fn a_request_goes_to_the_next_authority_when_the_first_is_down() {
    let committee = Committee::new(3);
    let mut second = committee.start(1).await;
    let connection = connect(&committee);
    let test = async {
        let answer = connection.request(b"order".to_vec()).await.unwrap();
        assert_eq!((answer.authority, answer.bytes), (1, b"second heard order".to_vec()));
        let answer = connection.request_preferring(2, b"again".to_vec()).await.unwrap();
        assert_eq!((answer.authority, answer.bytes), (1, b"second heard again".to_vec()));
        assert_eq!(connection.connected(), [1]);
    };
    tokio::select! {
        () = within("the answers", test) => {}
        () = serve(&mut second, "second") => {}
    }
}

#[tokio::test]
async fn a_request_goes_to_the_next_authority_when_the_first_will_not_answer() {
    let committee = Committee::new(2);
    let (mut first, mut second) = (committee.start(0).await, committee.start(1).await);
    let connection = connect(&committee);
    within("connections", connection.wait_connected(2)).await.unwrap();
    // The first takes requests and drops them, as a node does that is stopping.
    let refuse = async {
        loop {
            drop(first.event().await);
        }
    };
    let test = connection.request_preferring(0, b"order".to_vec());
    tokio::select! {
        answer = within("the answer", test) => assert_eq!(answer.unwrap().authority, 1),
        () = serve(&mut second, "second") => {}
        () = refuse => {}
    }
}

#[tokio::test]
async fn a_client_survives_the_restart_of_its_authority() {
    let committee = Committee::new(1);
    let connection = connect(&committee);
    for _ in 0..3 {
        let mut node = committee.start(0).await;
        tokio::select! {
            answer = within("the answer", connection.request_at(0, b"order".to_vec())) => {
                assert_eq!(answer.unwrap().bytes, b"node heard order");
            }
            () = serve(&mut node, "node") => {}
        }
        node.crash().await;
    }
}

#[tokio::test]
async fn a_subscription_continues_at_another_authority() {
    let committee = Committee::new(2);
    let connection = connect(&committee);
    let mut events = connection.subscribe(position);
    let mut number = 0;
    // The first authority is gone before the second one starts. Nothing is missed or repeated.
    for authority in 0..2 {
        let mut node = committee.start(authority).await;
        let mut received = 0;
        let test = async {
            while received < 5 {
                let event = events.next().await.unwrap();
                number += 1;
                assert_eq!(event.bytes, number.to_string().into_bytes());
                // What the first had sent before it ended may still be on its way.
                received += usize::from(event.authority == authority);
            }
        };
        tokio::select! {
            () = within("the events", test) => {}
            () = serve(&mut node, "node") => {}
        }
        node.crash().await;
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_with_reasons_and_not_a_hang() {
    let committee = Committee::new(2);
    let overall = Duration::from_millis(300);
    let timeouts = Timeouts { overall, ..Timeouts::default() };
    let connection =
        Connection::open(ConnectionConfig { timeouts, ..client_config(&committee) }).unwrap();
    let error = within("the error", connection.request(b"order".to_vec())).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("no authority answered within "), "{text}");
    for authority in &committee.authorities {
        assert!(text.contains(&authority.key.to_string()), "{text}");
    }
    assert!(text.contains("connection refused"), "{text}");
    // One authority only: only its reasons.
    let error = within("the error", connection.request_at(1, b"x".to_vec())).await.unwrap_err();
    assert!(!error.to_string().contains(&committee.key(0).to_string()), "{error}");
    // A subscription says so, too, and goes on.
    let mut events = connection.subscribe(position);
    for _ in 0..2 {
        let error = within("the error", events.next()).await.unwrap_err();
        assert!(matches!(error, ConnectionError::NoAnswer { .. }), "{error}");
    }
    let mut node = committee.start(0).await;
    let test = async { while events.next().await.is_err() {} };
    tokio::select! {
        () = within("an event", test) => {}
        () = serve(&mut node, "node") => {}
    }
}

#[tokio::test]
async fn an_authority_of_another_network_is_recognised_at_once() {
    let committee = Committee::new(1);
    let _node = committee.start(0).await;
    let config = ConnectionConfig { network: [8; 32], ..client_config(&committee) };
    let connection = Connection::open(config).unwrap();
    let request = connection.request(b"order".to_vec());
    let error = within("the error", request).await.unwrap_err();
    assert!(error.to_string().contains("compare the genesis files"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_host_are_named() {
    let committee = Committee::new(2);
    let _node = committee.start(0).await;
    let mut config = client_config(&committee);
    // The second authority's key at the first one's address, and no such host.
    config.authorities[1].addresses = config.authorities[0].addresses.clone();
    config.authorities[0].addresses = vec!["/dns4/..../tcp/1".parse().unwrap()];
    config.timeouts.overall = Duration::from_millis(300);
    let connection = Connection::open(config).unwrap();
    let request = connection.request(b"order".to_vec());
    let text = within("the error", request).await.unwrap_err().to_string();
    assert!(text.contains("answers as another identity"), "{text}");
    assert!(text.contains("/dns4/..../tcp/1: no such host"), "{text}");
}

#[tokio::test]
async fn an_authority_is_found_by_its_name() {
    let committee = Committee::new(1);
    let mut node = committee.start(0).await;
    let mut config = client_config(&committee);
    let address = config.authorities[0].addresses[0].to_string();
    let named = |host: &str| address.replace("/ip4/127.0.0.1", host).parse().unwrap();
    config.authorities[0].addresses = vec![named("/dns4/...."), named("/dns4/localhost")];
    let connection = Connection::open(config).unwrap();
    tokio::select! {
        answer = within("the answer", connection.request(b"order".to_vec())) => {
            assert_eq!(answer.unwrap().bytes, b"node heard order");
        }
        () = serve(&mut node, "node") => {}
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is_tried() {
    let committee = Committee::new(1);
    let connection = connect(&committee);
    let bytes = Protocol::Api.request_max() + 1;
    let error = connection.request(vec![0; bytes]).await.unwrap_err();
    assert!(matches!(error, ConnectionError::TooLarge { bytes: b, .. } if b == bytes), "{error}");
    let error = connection.request_at(1, Vec::new()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no authority 1; the configuration has 1, counted from 0"
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    let committee = Committee::new(1);
    let broken = |change: &dyn Fn(&mut ConnectionConfig)| {
        let mut config = client_config(&committee);
        change(&mut config);
        Connection::open(config).err().unwrap().to_string()
    };
    assert!(broken(&|config| config.authorities.clear()).starts_with("no authority"));
    assert!(broken(&|config| config.authorities[0].addresses.clear()).contains("has no address"));
    assert!(broken(&|config| config.authorities[0].key.0 = [2; 32]).contains("not an ed25519"));
    let twice = broken(&|config| config.authorities.push(config.authorities[0].clone()));
    assert!(twice.contains("listed twice"), "{twice}");
}

#[tokio::test]
async fn the_connections_end_with_the_last_clone() {
    let committee = Committee::new(1);
    let node = committee.start(0).await;
    let connection = connect(&committee);
    let clone = connection.clone();
    within("the connection", clone.wait_connected(1)).await.unwrap();
    until("the connection", || node.handle.stats().connections == 1).await;
    drop(connection);
    assert_eq!(clone.connected(), [0]);
    drop(clone);
    until("the end of the connection", || node.handle.stats().connections == 0).await;
}
