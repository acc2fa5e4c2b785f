//! The bytes of requests and answers, and what is believed of an answer.

use super::*;
use crate::storage::testing::{self, world};
use crate::storage::{LedgerEntry, Storage};
use kerbholz_consensus::{BlockDigest, Round};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

const FROM: AuthorityIndex = AuthorityIndex(1);

fn reference(round: u64) -> BlockRef {
    BlockRef {
        round: Round(round),
        author: AuthorityIndex(3),
        digest: BlockDigest([round as u8; 32]),
    }
}

/// A storage with the first eight commits of the world; its checkpoints are of the third and sixth.
fn storage() -> SharedStorage {
    let mut storage = testing::memory();
    storage.append_ledger(&world().entries(1, 8)).unwrap();
    Arc::new(Mutex::new(Box::new(storage)))
}

fn asked(request: FetchRequest) -> Asked {
    Asked { committee: world().committee.clone(), own: Some(testing::OWN), from: FROM, request }
}

/// What consensus is told when this request gets this answer.
fn event(request: FetchRequest, answer: &FetchAnswer) -> String {
    let event = asked(request).event(Some(&answer.encode()));
    match event {
        Event::FetchAnswered { from: FROM, blocks } => format!("{} blocks", blocks.len()),
        Event::FetchFailed { from: FROM } => "no blocks".into(),
        Event::CommitsAnswered { from: FROM, commits } => {
            format!("commits {} to {}", commits.first(), commits.last())
        }
        Event::CommitsFailed { from: FROM } => "no commits".into(),
        Event::OwnAnswered { from: FROM, commit, newest } => {
            let round = newest.map(|block| block.round().0);
            format!("round {round:?} at commit {commit}")
        }
        Event::OwnFailed { from: FROM } => "no word".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_bytes_of_requests_and_answers_are_these() {
    let digest = "09".repeat(32);
    let requests = [
        (FetchRequest::Blocks(vec![reference(9)]), format!("00010903{digest}")),
        (FetchRequest::Commits { after: 513 }, "01fb0102".into()),
        (FetchRequest::Own { epoch: 2 }, "0202".into()),
        (
            FetchRequest::Chains { references: vec![reference(9)], above: Round(5) },
            format!("03010903{digest}05"),
        ),
    ];
    for (request, bytes) in requests {
        assert_eq!(hex::encode(request.encode()), bytes, "{request:?}");
        assert_eq!(FetchRequest::decode(&request.encode()), Ok(request));
    }
    let newest = OwnNewest { commit: 7, block: Some(vec![1, 2]) };
    let answers = [
        (FetchAnswer::Blocks(vec![vec![1, 2, 3], vec![]]), "00020301020300"),
        (FetchAnswer::Commits(None), "0100"),
        (FetchAnswer::Own(None), "0200"),
        (FetchAnswer::Own(Some(newest)), "02010701020102"),
    ];
    for (answer, bytes) in answers {
        assert_eq!(hex::encode(answer.encode()), bytes, "{answer:?}");
        assert_eq!(FetchAnswer::decode(&answer.encode()), Ok(answer));
    }
    // Headers and checkpoint as in the ledger, one behind the other.
    let header = world().commit_at(1).header().clone();
    let answer = FetchAnswer::Commits(Some((vec![header.clone()], world().checkpoint(1))));
    let parts =
        ["010101", &hex::encode(header.encode()), &hex::encode(world().checkpoint(1).encode())];
    assert_eq!(hex::encode(answer.encode()), parts.concat());
}

#[test]
fn a_request_may_ask_for_so_many_and_no_more() {
    let max = Parameters::lan().fetch_references_max as u64;
    let most = FetchRequest::Blocks((1..=max).map(reference).collect());
    assert_eq!(FetchRequest::decode(&most.encode()), Ok(most));
    let more = FetchRequest::Blocks((0..=max).map(reference).collect());
    assert_eq!(FetchRequest::decode(&more.encode()), Err(DecodeError::Malformed));
}

#[test]
fn storage_answers_with_what_it_has() {
    let storage = storage();
    let blocks = |round: u64| world().commit_at(round).header().blocks.clone();
    let wanted = [blocks(2), vec![reference(2)], blocks(12), blocks(8)].concat();
    let request = FetchRequest::Blocks(wanted);
    let answer = request.answer(&storage).unwrap();
    assert_eq!(event(request, &answer), "4 blocks", "of the second and the eighth commit");

    // The end of a chain of the eighth commit, and what its author made since the third round.
    let end = *blocks(8).first().unwrap();
    let chain = |above| FetchRequest::Chains { references: vec![end], above: Round(above) };
    for (above, expected) in [(end.round.0 - 1, "1 blocks"), (end.round.0 - 4, "4 blocks")] {
        let answer = chain(above).answer(&storage).unwrap();
        assert_eq!(event(chain(above), &answer), expected);
        let plain = FetchRequest::Blocks(vec![end]);
        assert_eq!(
            event(plain, &answer),
            if above + 1 == end.round.0 { "1 blocks" } else { "no blocks" }
        );
    }

    for (after, expected) in [(0, "commits 1 to 6"), (5, "commits 6 to 6"), (6, "no commits")] {
        let request = FetchRequest::Commits { after };
        let answer = request.answer(&storage).unwrap();
        assert_eq!(event(request, &answer), expected);
    }
}

#[test]
fn an_answer_is_what_was_asked_for_or_none() {
    let block = |author: usize, round: u64| {
        let blocks = world().commit_at(round).blocks();
        let mut blocks = blocks.iter().filter(|block| usize::from(block.author().0) == author);
        blocks.next().unwrap().clone()
    };
    let bytes = |author, round| block(author, round).bytes().to_vec();
    let blocks = |round| FetchRequest::Blocks(vec![block(1, round).reference()]);
    let commits = |from: u64, to: u64, checkpoint: u64| {
        let headers = (from..=to).map(|index| world().commit_at(index).header().clone());
        FetchAnswer::Commits(Some((headers.collect(), world().checkpoint(checkpoint))))
    };
    let chain = |round| FetchRequest::Chains {
        references: vec![block(1, round).reference()],
        above: Round(1),
    };
    let own = |commit, block| FetchAnswer::Own(Some(OwnNewest { commit, block }));
    let after = |after| FetchRequest::Commits { after };
    let mine = FetchRequest::Own { epoch: 0 };
    let other = testing::World::new(3, 2);
    let foreign = other.commit_at(2).blocks()[0].bytes().to_vec();
    let table = [
        (blocks(3), FetchAnswer::Blocks(vec![bytes(1, 3)]), "1 blocks"),
        (blocks(3), FetchAnswer::Blocks(vec![]), "0 blocks"),
        (blocks(3), FetchAnswer::Blocks(vec![bytes(1, 4)]), "no blocks"),
        (blocks(3), FetchAnswer::Blocks(vec![foreign.clone()]), "no blocks"),
        (blocks(3), FetchAnswer::Blocks(vec![vec![0; 9]]), "no blocks"),
        (blocks(3), FetchAnswer::Own(None), "no blocks"),
        (chain(4), FetchAnswer::Blocks(vec![bytes(1, 4), bytes(1, 3)]), "2 blocks"),
        (chain(4), FetchAnswer::Blocks(vec![bytes(1, 3), bytes(1, 4)]), "no blocks"),
        (chain(4), FetchAnswer::Blocks(vec![bytes(1, 4), bytes(0, 3)]), "no blocks"),
        (after(2), commits(3, 5, 5), "commits 3 to 5"),
        (after(1), commits(3, 5, 5), "no commits"),
        (after(2), commits(3, 5, 6), "no commits"),
        (after(2), commits(3, 2, 6), "no commits"),
        (after(2), FetchAnswer::Commits(None), "no commits"),
        (after(2), FetchAnswer::Blocks(vec![]), "no commits"),
        (mine.clone(), own(4, Some(bytes(0, 3))), "round Some(3) at commit 4"),
        (mine.clone(), own(4, None), "round None at commit 4"),
        (mine.clone(), own(4, Some(bytes(1, 3))), "no word"),
        (mine.clone(), own(4, Some(foreign)), "no word"),
        (mine.clone(), FetchAnswer::Own(None), "no word"),
        (mine, commits(3, 5, 5), "no word"),
    ];
    for (request, answer, expected) in table {
        assert_eq!(event(request.clone(), &answer), expected, "{request:?} {answer:?}");
    }
    assert!(matches!(asked(after(2)).event(None), Event::CommitsFailed { from: FROM }));
    assert!(matches!(asked(after(2)).event(Some(&[7])), Event::CommitsFailed { from: FROM }));
}

#[test]
fn an_answer_ends_with_its_epoch() {
    let storage = storage();
    let next = world().next(9, vec![1, 0], 4);
    let mut entries = world().entries(9, 9);
    entries.push(next.beginning());
    entries.extend(next.entries(10, 12));
    lock(&storage).append_ledger(&entries).unwrap();
    let answer = |after| FetchRequest::Commits { after }.answer(&storage).unwrap();
    assert_eq!(event(FetchRequest::Commits { after: 7 }, &answer(7)), "commits 8 to 9");
    // Whoever has all of its epoch is in the next one, and knows its committee.
    let asked = Asked { committee: next.committee, ..asked(FetchRequest::Commits { after: 9 }) };
    let event = asked.event(Some(&answer(9).encode()));
    assert!(matches!(event, Event::CommitsAnswered { commits, .. } if commits.first() == 10));
    assert!(matches!(lock(&storage).checkpoint(), Some(newest) if newest.statement.index == 12));
    assert!(matches!(entries[1], LedgerEntry::Checkpoint(_)));
}

proptest! {
    #[test]
    fn any_bytes_decode_to_something_canonical_or_to_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        if let Ok(request) = FetchRequest::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes.clone());
        }
        if let Ok(answer) = FetchAnswer::decode(&bytes) {
            prop_assert_eq!(answer.encode(), bytes);
        }
    }

    #[test]
    fn changed_answers_are_understood_or_none(at in 0_usize..2_000, mask in 1_u8..) {
        let request = FetchRequest::Commits { after: 0 };
        let mut bytes = request.answer(&storage()).unwrap().encode();
        let at = at % bytes.len();
        bytes[at] ^= mask;
        // Every byte is under a digest, a signature, or the form of the answer.
        let event = asked(request).event(Some(&bytes));
        prop_assert!(matches!(event, Event::CommitsFailed { .. }), "{:?}", event);
    }
}
