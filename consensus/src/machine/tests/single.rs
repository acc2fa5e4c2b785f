//! One machine and what it is told: what it makes, takes in, asks for and passes on.

use super::*;

/// §5.1: a round is left only with an own block in it, even when a quorum of others is there.
#[test]
fn an_authority_makes_a_block_in_every_round_it_passes() {
    let mut machine = machine(0);
    greet(&mut machine, NOW);
    let mut made = Vec::new();
    for first in &first_round(&committee(4))[1..] {
        for action in machine.handle(NOW, received(first.author().0, first)) {
            made.extend(matches!(&action, Action::Broadcast(_)).then_some(action));
        }
    }
    let [Action::Broadcast(own)] = &made[..] else { panic!("{made:?}") };
    assert_eq!((own.round(), machine.status().round), (Round(1), Round(2)));
}

#[test]
fn an_equivocation_is_reported_with_both_blocks() {
    let mut machine = machine(0);
    let first = first_round(&committee(4))[1].clone();
    let twin = crate::Draft {
        timestamp: crate::Timestamp(9),
        ..draft(1, &own_first(1, committee(4).genesis()), &[])
    };
    let twin = twin.sign(&committee(4), AuthorityIndex(1), &signer(1)).unwrap();
    machine.handle(NOW, received(1, &first));
    let actions = machine.handle(NOW, received(2, &twin));
    let offence = Offence::Equivocation { first, second: twin.clone() };
    let fault = Action::Fault { authority: AuthorityIndex(1), offence };
    assert!(actions.contains(&fault), "{actions:?}");
    assert!(!machine.knows(&twin.reference()), "an unasked twin is dropped");
}

/// A block that a valid block builds on is never refused: not even a twin.
#[test]
fn a_twin_that_is_asked_for_is_accepted() {
    let committee = committee(4);
    let mut machine = machine(0);
    let mut first: Vec<Block> = first_round(&committee);
    let twin = crate::Draft {
        timestamp: crate::Timestamp(9),
        ..draft(1, &own_first(1, committee.genesis()), &[])
    };
    let twin = twin.sign(&committee, AuthorityIndex(1), &signer(1)).unwrap();
    for known in &first[1..] {
        machine.handle(NOW, received(known.author().0, known));
    }
    first[1] = twin.clone();
    let parents: Vec<BlockRef> = first[1..].iter().map(Block::reference).collect();
    let child = block(&committee, 2, 2, &own_first(2, &parents), &[]);
    machine.handle(NOW, received(2, &child));
    assert!(!machine.dag.contains(&child.reference()), "it waits for the twin");
    let blocks = vec![twin.clone()];
    machine.handle(NOW, Event::FetchAnswered { from: AuthorityIndex(2), blocks });
    assert!(machine.dag.contains(&twin.reference()) && machine.dag.contains(&child.reference()));
}

#[test]
fn a_missing_parent_is_asked_of_who_must_have_it() {
    let committee = committee(4);
    let mut machine = machine(0);
    let connect = |peer| Event::PeerConnected {
        peer: AuthorityIndex(peer),
        has_of_ours: Round::GENESIS,
        own_round: Round(2),
        commit: 0,
    };
    (1..4).for_each(|peer| drop(machine.handle(NOW, connect(peer))));
    let first: Vec<BlockRef> = first_round(&committee).iter().map(Block::reference).collect();
    let child = block(&committee, 2, 2, &own_first(2, &first[1..]), &[]);
    let actions = machine.handle(NOW, received(3, &child));
    let at = Instant(5 + Parameters::lan().fetch_delay_ms);
    assert!(actions.contains(&Action::SetTimer { timer: Timer::Fetch, at }), "{actions:?}");
    let later = Now { monotonic: at, ..NOW };
    let actions = machine.handle(later, Event::Timer(Timer::Fetch));
    let asked: Vec<_> =
        actions.iter().filter(|action| matches!(action, Action::Fetch { .. })).collect();
    let expected = Action::Fetch {
        from: AuthorityIndex(2),
        references: first[1..].to_vec(),
        chains_above: None,
    };
    assert_eq!(asked, [&expected], "the author of the referencing block has its parents");
}

#[test]
fn the_blocks_of_an_author_are_pushed_to_who_had_to_ask_for_one() {
    let pushed = |asked: bool| {
        let committee = committee(4);
        let mut machine = machine(0);
        for peer in 1..4 {
            let connected = Event::PeerConnected {
                peer: AuthorityIndex(peer),
                has_of_ours: Round::GENESIS,
                own_round: Round(1),
                commit: 0,
            };
            machine.handle(NOW, connected);
        }
        let first = first_round(&committee);
        machine.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
        for known in &first[1..] {
            machine.handle(NOW, received(known.author().0, known));
        }
        if asked {
            let (by, references) = (AuthorityIndex(1), vec![first[2].reference()]);
            machine.handle(NOW, Event::BlocksAsked { by, references });
        }
        let parents: Vec<BlockRef> = first[1..].iter().map(Block::reference).collect();
        let mut actions = Vec::new();
        for author in 1..4 {
            let next = block(&committee, author, 2, &own_first(author, &parents), &[]);
            actions.extend(machine.handle(NOW, received(author, &next)));
        }
        // It goes along with the block that builds on it.
        for after_ms in [1_000, 2_000] {
            let later = Now { monotonic: NOW.monotonic.plus_ms(after_ms), ..NOW };
            actions.extend(machine.handle(later, Event::Timer(Timer::Proposal)));
        }
        let made = actions.iter().filter(|action| matches!(action, Action::Broadcast(_)));
        assert_eq!(made.count(), 2);
        let next = block(&committee, 2, 2, &own_first(2, &parents), &[]);
        actions.contains(&Action::Send { to: AuthorityIndex(1), blocks: vec![next] })
    };
    assert!(pushed(true) && !pushed(false));
}

#[test]
fn a_foreign_copy_of_an_own_block_stops_signing() {
    let mut machine = machine(0);
    greet(&mut machine, NOW);
    machine.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
    assert_eq!(machine.own_round(), Round(1), "the offer made it sign");
    let own = block(&committee(4), 0, 1, &own_first(0, committee(4).genesis()), &[]);
    assert!(!machine.knows(&own.reference()), "another clock, another block");
    let actions = machine.handle(NOW, received(1, &own));
    assert!(actions.contains(&Action::Halt(HaltReason::ForeignOwnBlock(own))), "{actions:?}");
    assert!(!machine.status().signing);
    let waiting = Action::PayloadRefused(vec![(vec![7], RefusalReason::Halted)]);
    assert!(actions.contains(&waiting), "{actions:?}");
    let actions = machine.handle(NOW, Event::PayloadOffered(vec![vec![1]]));
    let refused = Action::PayloadRefused(vec![(vec![1], RefusalReason::Halted)]);
    assert!(actions.contains(&refused), "{actions:?}");
    for other in &first_round(&committee(4))[1..] {
        machine.handle(NOW, received(other.author().0, other));
        assert!(machine.knows(&other.reference()), "it still follows");
    }
}

#[test]
fn a_round_far_ahead_is_dropped_unless_asked_for() {
    let committee = committee(4);
    let mut machine = machine(0);
    let first: Vec<BlockRef> = first_round(&committee).iter().map(Block::reference).collect();
    let round = Parameters::lan().rounds_ahead_max + 1;
    let parent = |author: usize| BlockRef { round: Round(round - 1), ..first[author] };
    let far = block(&committee, 1, round, &[parent(1), parent(2), parent(3)], &[]);
    machine.handle(NOW, received(1, &far));
    assert!(!machine.knows(&far.reference()));
    let parent = |author: usize| BlockRef { round: Round(round - 2), ..first[author] };
    let near = block(&committee, 1, round - 1, &[parent(1), parent(2), parent(3)], &[]);
    machine.handle(NOW, received(1, &near));
    assert!(machine.knows(&near.reference()));
}

/// Whatever a hostile author sends, what is kept of it is bounded.
#[test]
fn waiting_blocks_are_bounded() {
    let committee = committee(4);
    let recovery = crate::Recovery::default();
    let parameters = Parameters::test();
    let bound = parameters.suspended_blocks_max;
    let mut machine =
        Consensus::recover(NOW, parameters, committee.clone(), signer(0), recovery).unwrap().0;
    let first: Vec<BlockRef> = first_round(&committee).iter().map(Block::reference).collect();
    for round in (3..300).rev() {
        let parent = |author: usize| BlockRef { round: Round(round - 1), ..first[author] };
        let bomb = block(&committee, 1, round, &[parent(1), parent(2), parent(3)], &[]);
        machine.handle(NOW, received(1, &bomb));
        let status = machine.status();
        assert!(status.blocks_suspended <= bound, "{status:?}");
        assert!(status.blocks_wanted <= 3 * bound, "{status:?}");
    }
    assert_eq!(machine.status().blocks_suspended, bound);
}

#[test]
fn a_wrong_key_and_broken_commits_are_refused() {
    let recover = |signer, recovery| {
        Consensus::recover(NOW, Parameters::lan(), committee(4), signer, recovery).map(|_| ())
    };
    let stranger = recover(signer(9), crate::Recovery::default());
    assert!(matches!(stranger, Err(RecoveryError::WrongKey(_))));
    let mut world = World::new(4, Parameters::lan(), 1);
    world.offer(0, b"item");
    world.run_for(3_000);
    let mut commits = world.disks[0].commits.clone();
    assert!(commits.len() > 3);
    let recovery = |commits| crate::Recovery { commits, ..crate::Recovery::default() };
    assert!(recover(signer(0), recovery(commits.clone())).is_ok());
    let tail = commits[2..].to_vec();
    assert!(matches!(recover(signer(0), recovery(tail)), Err(RecoveryError::MissingBlock(_))));
    commits.remove(1);
    assert!(matches!(recover(signer(0), recovery(commits)), Err(RecoveryError::BrokenChain(3))));
}

/// §7: a quorum that contradicts our state stops us; a single authority is reported.
#[test]
fn divergence_is_found() {
    let mut world = World::new(4, Parameters::lan(), 8);
    world.offer(0, b"first");
    world.run_for(2_000);
    assert!(world.halts.is_empty());
    world.damaged = Some(2);
    world.offer(0, b"second");
    world.run_for(2_000);
    let halts = &world.halts;
    assert!(matches!(halts[..], [(2, HaltReason::StateDiverged { .. })]), "{halts:?}");
    let reports = world.offences.iter().filter(|(authority, offence)| {
        *authority == AuthorityIndex(2) && matches!(offence, Offence::Divergence { .. })
    });
    assert_eq!(reports.count(), 3, "every other authority reports it");
}
