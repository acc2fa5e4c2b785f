//! The SDK's session against authorities that answer what a script says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kerbholz_client::committees::EpochEnd;
use kerbholz_client::connection::Timeouts;
use kerbholz_client::ledger::execute::Executed;
use kerbholz_client::ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
};
use kerbholz_client::ledger::id::{Digest, TransactionId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::log::Inclusion;
use kerbholz_client::ledger::quantity::{CommitIndex, Epoch, Timestamp};
use kerbholz_client::ledger::receipt::Proof;
use kerbholz_client::ledger::rejection::Code;
use kerbholz_client::ledger::rows::TransactionRow;
use kerbholz_client::protocol::{Answer, Call, Refusal, Request};
use kerbholz_client::receipt::{Receipt, ReceiptError};
use kerbholz_client::{ClientError, Network, Session};
use kerbholz_consensus::{Checkpoint, CommitDigest, Statement};
use kerbholz_node::network::{self, NetworkConfig, NetworkEvent, NetworkHandle};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Two authorities, and what each was asked.
struct Stage {
    session: Session,
    /// The authority that the session asks first is the first of these.
    asked: [Arc<Mutex<Vec<Request>>>; 2],
    _handles: [NetworkHandle; 2],
}

impl Stage {
    fn asked(&self, authority: usize) -> Vec<Request> {
        self.asked[authority].lock().unwrap().clone()
    }
}

fn genesis() -> Genesis {
    let key = |seed: u8| Keypair::from_seed(&[seed; 32]).public();
    let authority = |seed| GenesisAuthority { name: format!("a{seed}"), key: key(seed) };
    let name = "maker".to_owned();
    Genesis {
        version: GENESIS_VERSION,
        name: "test".into(),
        created_at: Timestamp::ZERO,
        authorities: vec![authority(1), authority(2)],
        organisations: vec![GenesisMember { name, owner_key: key(3), signing_key: key(3) }],
        publishers: Vec::new(),
        auditors: Vec::new(),
        currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "maker".into() }],
        accounting: Accounting::default(),
    }
}

/// Puts up the two authorities. A script says what one answers to its n-th request, from 0.
async fn stage(scripts: [fn(usize, &Request) -> Answer; 2]) -> Stage {
    let key = Keypair::from_seed(&[3; 32]);
    // Sessions spread over the authorities by their keys.
    let first = usize::from(key.public().as_bytes()[0]) % 2;
    let id = *genesis().network().as_bytes();
    let mut addresses = BTreeMap::new();
    let mut running = Vec::new();
    for (position, script) in scripts.into_iter().enumerate() {
        let number = (first + position) % 2;
        let seed = [number as u8 + 1; 32];
        let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let config = NetworkConfig::new(seed, id, listen, Vec::new());
        let (handle, mut events) = network::Network::start(config).await.unwrap();
        addresses.insert(genesis().authorities[number].name.clone(), handle.addresses());
        let asked = Arc::new(Mutex::new(Vec::new()));
        running.push((handle, Arc::clone(&asked)));
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let NetworkEvent::Api { bytes, reply, .. } = event else { continue };
                let request = Call::decode(&bytes).unwrap().request;
                let count = asked.lock().unwrap().len();
                let answer = script(count, &request);
                asked.lock().unwrap().push(request);
                reply.send(answer.encode()).unwrap();
            }
        });
    }
    let network = Network::new(genesis(), addresses).unwrap();
    let session = Session::open(&network, &key).unwrap();
    let [(a, asked_a), (b, asked_b)] = running.try_into().map_err(|_| "two").unwrap();
    for (number, asked) in [(first, &asked_a), ((first + 1) % 2, &asked_b)] {
        // Whatever it answers to this: it is connected.
        let _ = session.info_of(number).await;
        asked.lock().unwrap().clear();
    }
    Stage { session, asked: [asked_a, asked_b], _handles: [a, b] }
}

fn row() -> TransactionRow {
    TransactionRow {
        commit: CommitIndex::new(7),
        time: Timestamp::ZERO,
        leaf: 0,
        result: Ok(()),
        effects: Digest::new([0; 32]),
    }
}

#[tokio::test]
async fn an_authority_that_cannot_is_left_for_one_that_can() {
    let behind = |_, _: &Request| Answer::Refused(Refusal::Behind);
    let good = |_, request: &Request| match request {
        Request::Get { keys } => Answer::Rows(vec![None; keys.len()]),
        _ => Answer::Final(row()),
    };
    let stage = stage([behind, good]).await;
    // Reads and submissions alike, and it is remembered who answers.
    let found: Option<TransactionRow> = stage.session.row(vec![1]).await.unwrap();
    assert_eq!(found, None);
    let applied = stage.session.submit(vec![]).await.unwrap();
    assert_eq!((applied.row, stage.session.seen()), (row(), CommitIndex::new(7)));
    assert_eq!((stage.asked(0).len(), stage.asked(1).len()), (1, 2));
}

#[tokio::test]
async fn when_all_refuse_the_reader_is_told_and_the_submitter_waits() {
    let busy_twice = |count, request: &Request| match request {
        Request::Submit { .. } if count >= 2 => Answer::Final(row()),
        _ => Answer::Refused(Refusal::Busy),
    };
    let busy = |_, _: &Request| Answer::Refused(Refusal::Busy);
    let stage = stage([busy_twice, busy]).await;
    stage.session.submit(vec![]).await.unwrap();
    let submissions = stage.asked(0);
    assert!(submissions.len() >= 3 && submissions.windows(2).all(|two| two[0] == two[1]));
    let error = stage.session.row::<TransactionRow>(vec![1]).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(Refusal::Busy)), "{error}");
}

#[tokio::test]
async fn a_submission_is_repeated_while_it_is_pending_and_not_when_it_is_wrong() {
    let script = |count, _: &Request| match count {
        0 | 1 => Answer::Pending,
        2 => Answer::Final(row()),
        3 => Answer::Refused(Refusal::BadRequest),
        _ => Answer::Refused(Refusal::Rejected(Code::Expired)),
    };
    let stage = stage([script, script]).await;
    stage.session.submit(vec![]).await.unwrap();
    let error = stage.session.submit(vec![]).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(Refusal::BadRequest)), "{error}");
    let error = stage.session.submit(vec![]).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(Refusal::Rejected(Code::Expired))), "{error}");
    assert_eq!((stage.asked(0).len(), stage.asked(1).len()), (5, 2));
}

/// One that takes a transaction and cannot get it ordered, because the others shun it or because it
/// lies, does not keep its client from the others. All are asked for the same.
#[tokio::test]
async fn what_is_pending_is_taken_to_the_next_authority() {
    let pending = |_, _: &Request| Answer::Pending;
    let good = |count, _: &Request| match count {
        0 => Answer::Final(row()),
        1 => Answer::Pending,
        _ => {
            let (proof, checkpoint) = unproved();
            Answer::Receipt(Box::new(Receipt { epochs: Vec::new(), proof, checkpoint }))
        }
    };
    let stage = stage([pending, good]).await;
    let applied = stage.session.submit(vec![]).await.unwrap();
    assert_eq!(applied.row, row());
    assert_eq!((stage.asked(0).len(), stage.asked(1).len()), (1, 1));
    assert!(stage.asked(0) == stage.asked(1), "the same transaction");
    // A receipt as well; who answered last is asked first.
    let error = stage.session.receipt(TransactionId::new([8; 32])).await.unwrap_err();
    assert!(matches!(error, ClientError::BadAnswer), "{error}");
    assert_eq!((stage.asked(0).len(), stage.asked(1).len()), (2, 3));
}

/// Who waits less, or longer, for an answer says so once for all that waits for finality.
#[tokio::test]
async fn what_stays_pending_is_given_up_in_the_time_that_was_given() {
    let pending = |_, _: &Request| Answer::Pending;
    let stage = stage([pending, pending]).await;
    let timeouts = Timeouts { finality: Duration::from_millis(100), ..Timeouts::default() };
    let key = Keypair::from_seed(&[3; 32]);
    let session = Session::open_within(stage.session.network(), &key, timeouts).unwrap();
    let long = Timeouts::default().finality;
    let submitted = tokio::time::timeout(long, session.submit(vec![])).await.unwrap();
    assert!(matches!(submitted, Err(ClientError::Undecided { .. })), "{submitted:?}");
    let receipt = session.receipt(TransactionId::new([8; 32]));
    let receipt = tokio::time::timeout(long, receipt).await.unwrap();
    assert!(matches!(receipt, Err(ClientError::TimedOut(_))));
}

#[tokio::test]
async fn keys_that_did_not_fit_into_an_answer_are_asked_for_again() {
    let one = |_, request: &Request| match request {
        Request::Get { keys } => Answer::Rows(keys.iter().take(1).map(|_| None).collect()),
        _ => Answer::Refused(Refusal::BadRequest),
    };
    let stage = stage([one, one]).await;
    let keys = vec![vec![1], vec![2], vec![3]];
    let rows: Vec<Option<TransactionRow>> = stage.session.rows(keys).await.unwrap();
    assert_eq!(rows, [None, None, None]);
}

/// A proof of transaction 9 that nobody has signed.
fn unproved() -> (Proof, Checkpoint) {
    let (id, writes) = (TransactionId::new([9; 32]), Vec::new());
    let proof = Proof {
        executed: Executed { id, leaf: 0, result: Ok(()), writes },
        transaction: None,
        inclusion: Inclusion { leaf: 0, leaves: 1, path: Vec::new() },
    };
    let statement = Statement {
        index: 1,
        commit_digest: CommitDigest::NONE,
        log_root: [0; 32],
        state_digest: [0; 32],
    };
    (proof, Checkpoint { statement, signatures: Vec::new() })
}

#[tokio::test]
async fn a_committee_is_not_taken_from_an_authoritys_word() {
    let none = |_, _: &Request| Answer::Epochs(Vec::new());
    let stage_of_none = stage([none, none]).await;
    let committees = stage_of_none.session.committees().await.unwrap();
    assert_eq!(committees.row(), &genesis().committee());
    assert_eq!(stage_of_none.asked(0), [Request::Epochs { from: Epoch::ZERO }]);
    let forged = |_, _: &Request| {
        let (proof, checkpoint) = unproved();
        Answer::Epochs(vec![EpochEnd { proof, checkpoint }])
    };
    let error = stage([forged, forged]).await.session.committees().await.unwrap_err();
    assert!(matches!(error, ClientError::BadReceipt(ReceiptError::EpochEnd { epoch: 0, .. })));
}

#[tokio::test]
async fn a_receipt_of_something_else_is_none() {
    let other = |_, _: &Request| {
        let (proof, checkpoint) = unproved();
        Answer::Receipt(Box::new(Receipt { epochs: Vec::new(), proof, checkpoint }))
    };
    let stage = stage([other, other]).await;
    let error = stage.session.receipt(TransactionId::new([8; 32])).await.unwrap_err();
    assert!(matches!(error, ClientError::BadAnswer), "{error}");
    // The same with the right id is at least looked at.
    let error = stage.session.receipt(TransactionId::new([9; 32])).await.unwrap_err();
    assert!(matches!(error, ClientError::BadReceipt(_)), "{error}");
}
