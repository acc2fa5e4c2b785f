//! Bugs that other implementations had, one test each, as far as no other test holds it already: the
//! table in `docs/assurance.md` names the test of every one.

use alloc::{vec, vec::Vec};

use crate::{
    Action, AuthorityIndex, Base, Block, BlockRef, Consensus, Draft, Event, Fault, Instant, Now,
    Parameters, Recovery, Round, Timer, Timestamp,
    dag::Dag,
    linear::{Head, apply, linearise},
    rule::{self, Decision},
    testing::{
        Random, block, committee, committee_with, draft, first_round, greet, order, own_first,
        random::random_dag, signer,
    },
};

fn at(ms: u64) -> Now {
    Now { monotonic: Instant(ms), wall: Timestamp(1_000_000 + ms) }
}

fn machine(own: u16, recovery: Recovery) -> (Consensus, Vec<Action>) {
    Consensus::recover(at(0), Parameters::lan(), committee(4), signer(own), recovery).unwrap()
}

fn received(block: &Block) -> Event {
    Event::BlockReceived { from: block.author(), block: block.clone() }
}

/// Two parents by one author are two votes by one block.
#[test]
fn a_block_has_one_parent_per_author() {
    let committee = committee(4);
    let first = first_round(&committee);
    let twin = Draft { timestamp: Timestamp(9), ..draft(1, first[1].parents(), &[]) };
    let twin = twin.sign(&committee, AuthorityIndex(1), &signer(1)).unwrap();
    let mut parents: Vec<BlockRef> = first.iter().map(Block::reference).collect();
    parents.insert(2, twin.reference());
    for swapped in [false, true] {
        if swapped {
            parents.swap(1, 2);
        }
        let both = draft(2, &parents, &[]).sign(&committee, AuthorityIndex(0), &signer(0));
        assert_eq!(both.unwrap_err(), Fault::ParentsUnordered);
    }
}

#[test]
fn parents_of_round_zero_are_the_genesis_blocks_of_this_committee() {
    let committee = committee(4);
    let others = committee_with(4, 61);
    let sign = |parents: &[BlockRef]| {
        let signed = draft(1, parents, &[]).sign(&committee, AuthorityIndex(0), &signer(0));
        signed.map(|_| ())
    };
    assert_eq!(sign(committee.genesis()), Ok(()));
    assert_eq!(sign(others.genesis()), Err(Fault::UnknownGenesis));
    let mut one_false = committee.genesis().to_vec();
    one_false[3] = others.genesis()[3];
    assert_eq!(sign(&one_false), Err(Fault::UnknownGenesis));
}

/// Wherever a schedule begins anew, two leaders of one round would be two commits of one round.
#[test]
fn a_round_has_one_leader_and_at_most_one_commit() {
    for seed in 0..40 {
        let committee = committee(4 + seed as u16 % 4);
        let commits = order(&committee, &random_dag(&committee, 16, &mut Random(seed)));
        let leaders: Vec<BlockRef> = commits.iter().map(|commit| commit.leader()).collect();
        assert!(leaders.windows(2).all(|pair| pair[0].round < pair[1].round), "seed {seed}");
        assert!(leaders.iter().all(|leader| leader.author == committee.leader(leader.round)));
    }
}

/// The own block is the last of a quorum: the next round begins, and its timer is armed.
#[test]
fn an_own_block_that_completes_a_quorum_arms_the_timer_of_the_next_round() {
    let (mut machine, _) = machine(0, Recovery::default());
    greet(&mut machine, at(0));
    let first = first_round(&committee(4));
    machine.handle(at(1), received(&first[2]));
    machine.handle(at(2), received(&first[3]));
    assert_eq!(machine.status().round, Round(1));
    let actions = machine.handle(at(1_000), Event::PayloadOffered(vec![vec![1]]));
    assert!(actions.iter().any(|action| matches!(action, Action::Broadcast(_))), "{actions:?}");
    assert_eq!(machine.status().round, Round(2));
    let armed = actions.iter().rev().find_map(|action| match action {
        Action::SetTimer { timer: Timer::Proposal, at } => Some(at.0),
        _ => None,
    });
    let latest = 1_000 + Parameters::lan().leader_timeout_ms();
    assert!(armed.is_some_and(|at| at > 1_000 && at <= latest), "{armed:?}");
}

/// A block that was durable but not sent when the power went: its author must send it, since it can
/// sign no other for that round.
#[test]
fn a_restarted_authority_sends_its_last_block_again() {
    let (mut machine_before, _) = machine(0, Recovery::default());
    greet(&mut machine_before, at(0));
    let actions = machine_before.handle(at(1), Event::PayloadOffered(vec![vec![1]]));
    let own = actions.iter().find_map(|action| match action {
        Action::Persist { block, durable: true } => Some(block.clone()),
        _ => None,
    });
    let own = own.expect("an own block");
    let recovery =
        Recovery { blocks: vec![own.clone()], own_last: Some(own.clone()), ..Recovery::default() };
    let (mut machine, mut all) = machine(0, recovery);
    for (has_of_ours, own_round) in [(Round(0), Round(0)), (own.round(), Round(1))] {
        let peer = AuthorityIndex(2);
        let event = Event::PeerConnected { peer, has_of_ours, own_round, commit: 0 };
        let actions = machine.handle(at(2), event);
        let stream = Action::Stream { to: peer, after: has_of_ours };
        assert!(actions.contains(&stream), "{actions:?}");
    }
    all.extend(machine.handle(at(1_000), Event::PayloadOffered(vec![vec![2]])));
    let again =
        |action: &Action| matches!(action, Action::Broadcast(b) if b.round() <= own.round());
    assert!(!all.iter().any(again), "it signs its last round once more: {all:?}");
    let known = machine.own_round();
    assert_eq!(known, own.round(), "what the stream sends is in the log it was recovered from");
}

/// A block whose parents are never found waits until the collection round passes it, and no longer.
#[test]
fn a_block_whose_parents_never_arrive_is_forgotten_with_its_round() {
    let committee = committee_with(7, 8);
    let recovery = Recovery::default();
    let (mut machine, _) =
        Consensus::recover(at(0), Parameters::lan(), committee.clone(), signer(0), recovery)
            .unwrap();
    // An orphan of round 2 builds on a twin that nobody has.
    let first = first_round(&committee);
    let twin = Draft { timestamp: Timestamp(9), ..draft(1, first[1].parents(), &[]) };
    let twin = twin.sign(&committee, AuthorityIndex(1), &signer(1)).unwrap();
    let mut parents: Vec<BlockRef> = first.iter().map(Block::reference).collect();
    parents[1] = twin.reference();
    let orphan = block(&committee, 6, 2, &own_first(6, &parents), &[]);
    machine.handle(at(1), received(&orphan));
    let status = machine.status();
    assert!(status.blocks_suspended == 1 && status.blocks_wanted > 0, "{status:?}");
    // The five others go on without it.
    let mut below: Vec<BlockRef> = committee.genesis().to_vec();
    for round in 1..=13 {
        let made: Vec<Block> = (1..6)
            .map(|author| block(&committee, author, round, &own_first(author, &below), &[]))
            .collect();
        made.iter().for_each(|block| drop(machine.handle(at(round * 1_000), received(block))));
        below = made.iter().map(Block::reference).collect();
    }
    let status = machine.status();
    assert!(status.gc_round >= Round(2), "{status:?}");
    assert_eq!((status.blocks_suspended, status.blocks_wanted), (0, 0), "{status:?}");
    assert!(!machine.knows(&orphan.reference()));
}

/// Validity asks no clock, and compares no two.
#[test]
fn a_block_dated_before_its_parents_is_valid() {
    let committee = committee(4);
    let parents: Vec<BlockRef> = first_round(&committee).iter().map(Block::reference).collect();
    for time in [0, 1, 999, u64::MAX] {
        let dated = Draft { timestamp: Timestamp(time), ..draft(2, &parents, &[]) };
        let dated = dated.sign(&committee, AuthorityIndex(0), &signer(0)).unwrap();
        let again = crate::UnverifiedBlock::decode(dated.bytes()).unwrap();
        assert!(again.verify(&committee).is_ok(), "{time}");
    }
}

/// What a commit holds is fixed by the commits before it: not by what a node has forgotten, or not
/// yet forgotten, when it gets round to it.
#[test]
fn a_commit_is_the_same_before_and_after_collecting() {
    for seed in 0..20 {
        let committee = committee_with(4, 8);
        let blocks = random_dag(&committee, 30, &mut Random(seed));
        let pruned = order(&committee, &blocks);
        assert!(pruned.last().is_some_and(|commit| commit.leader().round > Round(16)));
        let mut dag = Dag::new(committee.clone());
        blocks.iter().for_each(|block| dag.insert(block.clone()));
        let mut head = Head::start(&committee, Base::default());
        let mut all = Vec::new();
        for (_, decision) in rule::decide(&dag, Round(1)) {
            if let Decision::Commit(leader) = decision {
                let commit = linearise(&dag, &head, leader).unwrap();
                apply(&mut dag, &mut head, &commit);
                all.push(commit);
            }
        }
        assert_eq!(all, pruned, "seed {seed}");
    }
}

/// Authorities, rounds and indices that no committee has reach no table.
#[test]
fn no_index_from_outside_reaches_a_table() {
    let far = Round(u64::MAX);
    for stranger in [0, 4, 127, 128, u16::MAX].map(AuthorityIndex) {
        let (mut machine, _) = machine(0, Recovery::default());
        greet(&mut machine, at(0));
        let first = first_round(&committee(4))[1].clone();
        let events = [
            Event::PeerConnected {
                peer: stranger,
                has_of_ours: far,
                own_round: far,
                commit: u64::MAX,
            },
            Event::BlockReceived { from: stranger, block: first.clone() },
            Event::FetchAnswered { from: stranger, blocks: vec![first] },
            Event::FetchFailed { from: stranger },
            Event::CommitsFailed { from: stranger },
            Event::OwnAnswered { from: stranger, commit: u64::MAX, newest: None },
            Event::OwnFailed { from: stranger },
            Event::PeerDisconnected { peer: stranger },
            Event::Executed {
                index: u64::MAX,
                log_root: [0; 32],
                state_digest: [0; 32],
                vote: true,
                closes: false,
            },
            Event::Timer(Timer::Fetch),
        ];
        for event in events {
            let said = machine.handle(at(1), event);
            let halted = said.iter().any(|action| matches!(action, Action::Halt(_)));
            assert!(!halted, "{said:?}");
        }
        let actions = machine.handle(at(2), Event::PayloadOffered(vec![vec![1]]));
        assert!(actions.iter().any(|action| matches!(action, Action::Broadcast(_))), "{stranger}");
    }
}
