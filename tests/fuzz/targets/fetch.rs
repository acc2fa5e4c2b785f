//! One authority asks another, whatever either of them sends: an honest answer is believed, and of
//! any other only what was asked for.
#![no_main]

use arbitrary::Arbitrary;
use kerbholz_consensus::{Block, Event};
use kerbholz_fuzz::canonical;
use kerbholz_fuzz::exchange::{LEDGER, OTHER, OWN, Pick, Question};
use kerbholz_node::fetch::{Asked, FetchAnswer, FetchRequest, OwnNewest};

#[derive(Arbitrary, Debug)]
struct Case {
    /// In which epoch the asker is.
    epoch: u8,
    question: Question,
    answer: Answer,
}

#[derive(Arbitrary, Debug)]
enum Answer {
    /// What the storage has.
    Honest,
    /// That, changed.
    Changed { at: u16, mask: u8, cut: u8 },
    /// What it has for another question.
    To(Question),
    /// Blocks that somebody made.
    Blocks(Vec<Pick>),
    /// A newest block, which may be anybody's.
    Own { commit: u64, block: Option<Pick> },
    /// Whatever somebody may send.
    Bytes(Vec<u8>),
    /// None.
    Failed,
}

/// The storage's answer, whose bytes are its only ones.
fn honest(request: &FetchRequest) -> Vec<u8> {
    let answer = request.answer(&LEDGER.storage).expect("a sound storage");
    let bytes = answer.encode();
    assert_eq!(FetchAnswer::decode(&bytes), Ok(answer));
    bytes
}

fn answer(answer: &Answer, request: &FetchRequest) -> Option<Vec<u8>> {
    let bytes = |block: &Block| block.bytes().to_vec();
    Some(match answer {
        Answer::Honest => honest(request),
        Answer::Changed { at, mask, cut } => {
            let mut bytes = honest(request);
            bytes.truncate(bytes.len().saturating_sub((*cut).into()));
            let at = usize::from(*at) % bytes.len().max(1);
            bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= mask);
            bytes
        }
        Answer::To(question) => honest(&question.request()?),
        Answer::Blocks(picks) => {
            let blocks = picks.iter().filter_map(|pick| pick.block());
            FetchAnswer::Blocks(blocks.map(bytes).collect()).encode()
        }
        Answer::Own { commit, block } => {
            let block = block.and_then(Pick::block).map(bytes);
            FetchAnswer::Own(Some(OwnNewest { commit: *commit, block })).encode()
        }
        Answer::Bytes(bytes) => {
            canonical(bytes, FetchAnswer::decode, FetchAnswer::encode);
            bytes.clone()
        }
        Answer::Failed => return None,
    })
}

/// Whether an answer was believed; if so, it is what was asked for.
fn check(request: &FetchRequest, event: Event) -> bool {
    match (request, event) {
        (FetchRequest::Blocks(asked), Event::FetchAnswered { blocks, .. }) => {
            assert!(blocks.iter().all(|block| asked.contains(&block.reference())));
            true
        }
        (FetchRequest::Chains { references, .. }, Event::FetchAnswered { blocks, .. }) => {
            let mut expected = references.clone();
            for block in blocks {
                assert!(expected.contains(&block.reference()));
                expected.extend(block.parents().first());
            }
            true
        }
        (FetchRequest::Commits { after }, Event::CommitsAnswered { commits, .. }) => {
            // Nobody here can sign another one.
            let mut headers = LEDGER.headers_after(*after);
            assert!(commits.headers().iter().all(|header| headers.next() == Some(header)));
            true
        }
        (FetchRequest::Own { .. }, Event::OwnAnswered { newest, .. }) => {
            assert!(newest.is_none_or(|block| block.author() == OWN));
            true
        }
        (FetchRequest::Blocks(_) | FetchRequest::Chains { .. }, Event::FetchFailed { .. })
        | (FetchRequest::Commits { .. }, Event::CommitsFailed { .. })
        | (FetchRequest::Own { .. }, Event::OwnFailed { .. }) => false,
        (_, event) => panic!("{event:?} for {request:?}"),
    }
}

libfuzzer_sys::fuzz_target!(|case: Case| {
    let Some(request) = case.question.request() else { return };
    // Longer questions are refused before anybody looks for answers.
    let Some(request) = canonical(&request.encode(), FetchRequest::decode, FetchRequest::encode)
    else {
        return;
    };
    let epoch = &LEDGER.epochs[usize::from(case.epoch) % LEDGER.epochs.len()];
    let committee = epoch.committee.clone();
    let own = Some(OWN);
    let asked = Asked { committee, own, from: OTHER, request: request.clone() };
    let is_believed = check(&request, asked.event(answer(&case.answer, &request).as_deref()));
    if let (Answer::Honest, FetchRequest::Commits { after }) = (&case.answer, &request) {
        let mut own = epoch.commits.iter().map(|commit| commit.index());
        assert_eq!(is_believed, own.any(|index| Some(index) == after.checked_add(1)));
    }
});
