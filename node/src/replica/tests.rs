//! A network of one authority, whose every call decides something. Whole networks are in
//! `tests/epochs.rs` and `tests/lost.rs`.

mod epochs;
mod lost;
mod peers;
mod world;

use super::*;
use kerbholz_client::ledger::id::NetworkId;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::quantity::Timestamp;
use kerbholz_client::ledger::transaction::{Envelope, Transaction};
use kerbholz_consensus::{
    Checkpoint, CommitDigest, Committee, CommitteeConfig, Instant, Parameters, Recovery, Signer,
    Statement, Timer,
};

fn at(ms: u64) -> Now {
    Now { monotonic: Instant(ms), wall: kerbholz_consensus::Timestamp(1_000_000 + ms) }
}

fn replica(recovery: Recovery) -> (Replica, Vec<Action>) {
    replica_of(Parameters::test(), recovery)
}

fn replica_of(parameters: Parameters, recovery: Recovery) -> (Replica, Vec<Action>) {
    let signer = Signer::from_seed(&[1; 32]);
    let committee = Committee::new(CommitteeConfig {
        network: kerbholz_consensus::NetworkId([2; 32]),
        epoch: 0,
        authorities: vec![signer.public_key()],
        gc_depth: Committee::GC_DEPTH,
        previous: CommitDigest::NONE,
    });
    let committee = committee.unwrap();
    let (machine, first) =
        Machine::recover(at(0), parameters.clone(), committee, Some(&signer), recovery).unwrap();
    let mut replica = Replica {
        signer,
        parameters,
        machine,
        mempool: Mempool::default(),
        greetings: BTreeMap::new(),
        collected: Round::GENESIS,
        stopped: false,
        uncertified: BTreeMap::new(),
        lost_log: false,
        sign_after: None,
    };
    let first = replica.settle(at(0), first);
    (replica, first)
}

/// A signed transaction that nobody will execute; `number` makes it another one.
fn transaction(number: u64) -> Transaction {
    let key = Keypair::from_seed(&[3; 32]);
    let envelope = Envelope {
        version: 1,
        network: NetworkId::new([2; 32]),
        signer: key.public(),
        created_at: Timestamp::new(number),
        expires_at: Timestamp::new(number + 1),
        operations: vec![],
    };
    envelope.sign(&key)
}

fn submit(replica: &mut Replica, ms: u64, number: u64) -> (Result<(), NotTaken>, Vec<Action>) {
    replica.submit(at(ms), &transaction(number))
}

fn payload_of(blocks: &[Block]) -> Vec<Vec<u8>> {
    blocks.iter().flat_map(|block| block.payload().map(<[u8]>::to_vec)).collect()
}

fn persisted(actions: &[Action]) -> Vec<Block> {
    let block = |action: &Action| match action {
        Action::Persist { block, .. } => Some(block.clone()),
        _ => None,
    };
    actions.iter().filter_map(block).collect()
}

/// Until whatever waits is in a block.
fn advance(replica: &mut Replica, from_ms: u64) -> Vec<Action> {
    let timer = |ms| replica.handle(at(from_ms + ms), Event::Timer(Timer::Proposal));
    (1..9).flat_map(timer).collect()
}

fn done(transaction: &Transaction) -> Done {
    let transactions = vec![transaction.id()];
    Done::Commit(Executed {
        index: 1,
        time: Timestamp::ZERO,
        leader: Round(100),
        log_root: [0; 32],
        state_digest: [0; 32],
        vote: false,
        closes: false,
        transactions,
    })
}

#[test]
fn what_consensus_wants_is_done_even_if_it_refuses_the_transaction() {
    // Room for one transaction, and time between two blocks.
    let parameters = Parameters {
        delta_ms: 5_000,
        round_delay_min_ms: 10_000,
        queue_items_max: 1,
        ..Parameters::test()
    };
    let (mut replica, _) = replica_of(parameters, Recovery::default());
    submit(&mut replica, 10, 1).0.unwrap();
    let (taken, actions) = submit(&mut replica, 20_000, 2);
    assert_eq!((taken, replica.waiting()), (Err(NotTaken::Full), 1));
    let payload = payload_of(&persisted(&actions));
    assert_eq!(payload, [transaction(1).bytes()], "the block that was due meanwhile");
    submit(&mut replica, 20_001, 2).0.unwrap();
}

#[test]
fn returned_payload_is_offered_again_after_what_came_with_it() {
    let (mut replica, _) = replica(Recovery::default());
    replica.mempool.take(&transaction(1), &transaction(1).bytes()).unwrap();
    let marker = Action::SetTimer { timer: Timer::Fetch, at: Instant(99) };
    let items = vec![transaction(1).bytes(), transaction(2).bytes()];
    let actions = vec![Action::PayloadReturned(items), marker.clone()];
    let mut actions = replica.settle(at(10), actions);
    assert_eq!(actions.remove(0), marker);
    assert!(!persisted(&actions).is_empty(), "a block of the first round: {actions:?}");
    actions.extend(advance(&mut replica, 10));
    let payload = payload_of(&persisted(&actions));
    assert_eq!(payload, [transaction(1).bytes()], "the other one does not wait here");
}

#[test]
fn a_block_is_not_forgotten_before_what_it_carries_is_in_another() {
    let (mut replica, mut actions) = replica(Recovery::default());
    let (taken, more) = submit(&mut replica, 10, 1);
    taken.unwrap();
    actions.extend(more);
    actions.extend(advance(&mut replica, 10));
    let blocks = persisted(&actions);
    let carrier = blocks.iter().find(|block| block.payload().len() == 1).unwrap().round();
    // Another commit is executed, so late that the block could never be committed any more.
    replica.executed(at(50), done(&transaction(2))).unwrap();
    replica.certified(1);
    assert_eq!(replica.forget_through(), carrier.minus(1));
    let returned = vec![Action::PayloadReturned(vec![transaction(1).bytes()])];
    let mut again = replica.settle(at(60), returned);
    again.extend(advance(&mut replica, 60));
    assert_eq!(payload_of(&persisted(&again)), [transaction(1).bytes()]);
    assert!(replica.forget_through() > carrier, "a newer block carries it");
    replica.executed(at(70), done(&transaction(1))).unwrap();
    assert_eq!(replica.forget_through(), Round(100 - 60), "by collection alone");
}

#[test]
fn a_block_is_not_forgotten_before_others_can_do_without() {
    // Who is one commit behind needs what we decided it by, and cannot catch up to it yet.
    let (mut replica, _) = replica(Recovery::default());
    replica.executed(at(50), done(&transaction(1))).unwrap();
    assert_eq!(replica.forget_through(), Round::GENESIS);
    let statement = Statement {
        index: 1,
        commit_digest: CommitDigest([0; 32]),
        log_root: [0; 32],
        state_digest: [0; 32],
    };
    let checkpoint = Action::Checkpoint(Checkpoint { statement, signatures: Vec::new() });
    assert_eq!(replica.settle(at(60), vec![checkpoint.clone()]), [checkpoint]);
    assert_eq!(replica.forget_through(), Round(100 - 60));
}

#[test]
fn what_a_full_queue_refused_is_offered_with_the_next_commit() {
    let parameters = Parameters {
        delta_ms: 5_000,
        round_delay_min_ms: 10_000,
        queue_items_max: 1,
        ..Parameters::test()
    };
    let (mut replica, _) = replica_of(parameters, Recovery::default());
    submit(&mut replica, 10, 1).0.unwrap();
    // The block of another transaction fell out of the DAG while the queue was full.
    replica.mempool.take(&transaction(2), &transaction(2).bytes()).unwrap();
    replica.settle(at(20), vec![Action::PayloadReturned(vec![transaction(2).bytes()])]);
    assert_eq!(replica.waiting(), 2);
    let actions = replica.handle(at(20_000), Event::Timer(Timer::Proposal));
    assert_eq!(payload_of(&persisted(&actions)), [transaction(1).bytes()]);
    let actions = replica.executed(at(40_000), done(&transaction(1))).unwrap();
    let more = replica.handle(at(60_000), Event::Timer(Timer::Proposal));
    let blocks = [persisted(&actions), persisted(&more)].concat();
    assert_eq!(payload_of(&blocks), [transaction(2).bytes()]);
}
