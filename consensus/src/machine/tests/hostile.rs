//! What a hostile authority can make others keep (§8.4).

use super::*;
use crate::{BlockDigest, Draft, testing::greet};

/// A block of authority 1 on parents that nobody has, one of endlessly many.
fn fabricated(committee: &Committee, round: u64, number: u64) -> Block {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    let parent = |author: u16| BlockRef {
        round: Round(round - 1),
        author: AuthorityIndex(author),
        digest: BlockDigest(digest),
    };
    let parents = own_first(1, &[0, 1, 2, 3].map(parent));
    let draft = Draft { timestamp: crate::Timestamp(number), ..draft(round, &parents, &[]) };
    draft.sign(committee, AuthorityIndex(1), &signer(1)).unwrap()
}

/// Rounds of a far future, twins, and parents that do not exist: what is kept of them stops growing,
/// and so do the reports.
#[test]
fn memory_is_flat_whatever_one_authority_sends() {
    let mut world = World::with_committee(committee_with(4, 8), Parameters::test(), 1);
    let committee = world.committees[0].clone();
    let mut random = crate::testing::Random(4);
    let mut kept = Vec::new();
    for step in 0..40u64 {
        for number in 0..40 {
            let tip = world.nodes[0].as_ref().unwrap().status().round.0;
            let ahead = [1, 3, 100, 400, 1_000_000][random.below(5)] + random.next() % 8;
            let bomb = fabricated(&committee, tip + ahead, step * 1_000 + number);
            world.handle(0, received(1, &bomb));
        }
        let text = format!("step {step}");
        world.offer(0, text.as_bytes());
        world.run_for(100);
        let machine = world.nodes[0].as_ref().unwrap();
        let status = machine.status();
        let reported: usize = machine.twins.iter().map(BTreeSet::len).sum();
        assert!(reported <= 64 && status.blocks_accepted < 300, "{status:?}");
        kept.push((status.blocks_suspended, status.blocks_wanted));
    }
    let (suspended, wanted) = kept[10];
    assert!(kept[11..].iter().all(|k| k.0 <= suspended + 20 && k.1 <= wanted + 80), "{kept:?}");
    world.run_for(1_000);
    world.assert_agreement();
    assert_eq!(world.committed_by(b"step 39"), 4, "the others go on");
    let reports = world.offences.iter().map(|(_, offence)| match offence {
        Offence::Equivocation { first, .. } => first.round(),
        offence @ Offence::Divergence { .. } => panic!("{offence:?}"),
    });
    let reports: Vec<Round> = reports.collect();
    let distinct: BTreeSet<Round> = reports.iter().copied().collect();
    assert!(!reports.is_empty() && reports.len() == distinct.len(), "one report per round");
}

/// A liar shows each of us other parts of its chain. Who sends one of its blocks has everything behind
/// it, also what was asked of everybody in vain before.
#[test]
fn who_sends_a_block_is_asked_for_what_lies_behind_it() {
    let committee = committee(4);
    let mut node = machine(0);
    greet(&mut node, NOW);
    let first = first_round(&committee);
    first[1..].iter().for_each(|block| drop(node.handle(NOW, received(block.author().0, block))));
    let others = first[2..].iter().map(Block::reference);
    let mut chain = vec![first[1].clone()];
    for round in 2..6 {
        let previous = chain.last().unwrap().reference();
        let below = others.clone().map(|it| BlockRef { round: Round(round - 1), ..it });
        let parents: Vec<BlockRef> = [previous].into_iter().chain(below).collect();
        chain.push(block(&committee, 1, round, &parents, &[]));
    }
    let (missing, shown) = (chain[1].reference(), &chain[2]);
    let asked = |actions: &[Action], from: u16, reference: BlockRef| {
        actions.iter().any(|action| {
            matches!(action, Action::Fetch { from: peer, references, .. }
                if peer.0 == from && references.contains(&reference))
        })
    };
    // Whoever is asked has nothing, until 2 is asked for this block.
    let (mut now, between) = (NOW, chain[3].reference());
    let mut ask_until_two_is_asked = |node: &mut Consensus| {
        for _ in 0..40 {
            now.monotonic = node.timers[Timer::Fetch as usize].unwrap();
            let actions = node.handle(now, Event::Timer(Timer::Fetch));
            if asked(&actions, 2, between) {
                break;
            }
            for action in actions {
                if let Action::Fetch { from, .. } = action {
                    node.handle(now, Event::FetchAnswered { from, blocks: Vec::new() });
                }
            }
        }
        now
    };
    node.handle(NOW, received(1, shown));
    let now = ask_until_two_is_asked(&mut node);
    node.handle(now, received(2, &chain[4]));
    let now = ask_until_two_is_asked(&mut node);
    let answer = Event::FetchAnswered { from: AuthorityIndex(2), blocks: vec![chain[3].clone()] };
    let actions = node.handle(now, answer);
    assert!(asked(&actions, 2, missing), "{actions:?}");
}

/// Of an author known to make two blocks a round only what others build on is taken.
#[test]
fn a_known_equivocator_is_heard_only_through_others() {
    let committee = committee(4);
    let mut node = machine(0);
    let first = first_round(&committee);
    for block in &first[1..] {
        node.handle(NOW, received(block.author().0, block));
    }
    let twin = Draft { timestamp: crate::Timestamp(9), ..draft(1, first[1].parents(), &[]) };
    let twin = twin.sign(&committee, AuthorityIndex(1), &signer(1)).unwrap();
    node.handle(NOW, received(1, &twin));
    let refs: Vec<BlockRef> = first[1..].iter().map(Block::reference).collect();
    let second: Vec<Block> =
        (1..4).map(|a| block(&committee, a, 2, &own_first(a, &refs), &[])).collect();
    for block in &second {
        node.handle(NOW, received(block.author().0, block));
    }
    assert!(!node.knows(&second[0].reference()) && node.knows(&second[1].reference()));
    // A network that stands still may need even this author. Its stream brings nothing again.
    let mut still = machine(0);
    for block in first[1..].iter().chain([&twin, &second[0]]) {
        still.handle(NOW, received(block.author().0, block));
    }
    assert!(!still.knows(&second[0].reference()));
    let due = still.timers[Timer::Fetch as usize].unwrap();
    still.handle(Now { monotonic: due, ..NOW }, Event::Timer(Timer::Fetch));
    assert!(still.knows(&second[0].reference()) && !still.knows(&twin.reference()));
    let mut stalled = machine(0);
    for block in first[1..].iter().chain([&twin]) {
        stalled.handle(NOW, received(block.author().0, block));
    }
    let later = Now { monotonic: Instant(60_000), ..NOW };
    stalled.handle(later, received(1, &second[0]));
    assert!(stalled.knows(&second[0].reference()) && !stalled.knows(&twin.reference()));
    let refs: Vec<BlockRef> = second.iter().map(Block::reference).collect();
    let child = block(&committee, 2, 3, &own_first(2, &refs), &[]);
    node.handle(NOW, received(2, &child));
    let blocks = vec![second[0].clone()];
    node.handle(NOW, Event::FetchAnswered { from: AuthorityIndex(2), blocks });
    assert!(node.dag.contains(&second[0].reference()) && node.dag.contains(&child.reference()));
}

/// §7: votes on empty commits certify an idle network's ledger, and make no commit come sooner.
#[test]
fn votes_on_empty_commits_wake_nobody() {
    let mut world = World::new(4, Parameters::lan(), 3);
    world.run_for(1_200_000);
    let commits = world.disks[0].commits.len();
    assert!((70..=130).contains(&commits), "{commits} commits in twenty idle minutes");
    let newest = world.disks[0].checkpoints.last().unwrap().statement.index;
    assert!(newest + 32 > commits as u64 && newest.is_multiple_of(16), "{newest} of {commits}");
}
