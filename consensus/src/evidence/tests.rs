//! What convicts an author, and what does not.

use proptest::prelude::*;

use super::*;
use crate::{
    block::Draft,
    testing::{block, committee, draft, first_round, own_first, signer},
    types::Timestamp,
};

fn twins() -> (Block, Block) {
    let committee = committee(4);
    let one = first_round(&committee)[1].clone();
    let draft =
        Draft { timestamp: Timestamp(9), ..draft(1, &own_first(1, committee.genesis()), &[]) };
    (one, draft.sign(&committee, AuthorityIndex(1), &signer(1)).unwrap())
}

#[test]
fn two_blocks_of_one_round_convict_their_author() {
    let (one, other) = twins();
    let evidence = Evidence::new(&one, &other).unwrap();
    assert_eq!(Evidence::new(&other, &one).unwrap(), evidence, "one pair, one piece of evidence");
    assert_eq!((evidence.author(), evidence.round()), (AuthorityIndex(1), Round(1)));
    assert_eq!(evidence.verify(&committee(4)), Ok(()));
    let bytes = evidence.encode();
    assert_eq!(hex::encode(&bytes), include_str!("golden_evidence.txt").trim_end());
    assert_eq!(Evidence::decode(&bytes), Ok(evidence));
}

#[test]
fn anything_else_convicts_nobody() {
    let committee = committee(4);
    let (one, other) = twins();
    assert_eq!(Evidence::new(&one, &one), None);
    let first = first_round(&committee);
    assert_eq!(Evidence::new(&one, &first[2]), None, "two authors");
    let parents: Vec<_> = first.iter().map(Block::reference).collect();
    let next = block(&committee, 1, 2, &own_first(1, &parents), &[]);
    assert_eq!(Evidence::new(&one, &next), None, "two rounds");
    let good = Evidence::new(&one, &other).unwrap();
    let verdict = |bend: &dyn Fn(&mut Evidence)| {
        let mut evidence = good.clone();
        bend(&mut evidence);
        evidence.verify(&committee).unwrap_err()
    };
    assert_eq!(verdict(&|e| e.second = e.first.clone()), EvidenceError::NotOrdered);
    let swap = |e: &mut Evidence| core::mem::swap(&mut e.first, &mut e.second);
    assert_eq!(verdict(&swap), EvidenceError::NotOrdered);
    let forged = EvidenceError::Fault(Fault::BadSignature);
    assert_eq!(verdict(&|e| e.first.signature = e.second.signature), forged);
    let slots = |e: &mut Evidence| e.second.header = next.header().clone();
    assert!(matches!(verdict(&slots), EvidenceError::DifferentSlots { .. }));
    let wrong = good.verify(&crate::testing::committee(5));
    let domain = committee.domain();
    assert_eq!(wrong, Err(EvidenceError::Fault(Fault::WrongDomain(domain))));
}

/// The largest headers there are must fit.
#[test]
fn evidence_against_the_largest_headers_fits() {
    let committee = committee(128);
    let parents: Vec<_> = first_round(&committee).iter().map(Block::reference).collect();
    let statement = crate::Statement {
        index: u64::MAX / 2,
        commit_digest: crate::CommitDigest([0xff; 32]),
        log_root: [0xff; 32],
        state_digest: [0xff; 32],
    };
    let vote = |index| crate::Statement { index: statement.index + index, ..statement };
    let made = |timestamp| {
        let votes = (0..8).map(|i| crate::Vote::sign(vote(i), &committee, &signer(1))).collect();
        let parents = own_first(1, &parents);
        let draft = Draft { timestamp: Timestamp(timestamp), votes, ..draft(2, &parents, &[]) };
        draft.sign(&committee, AuthorityIndex(1), &signer(1)).unwrap()
    };
    let evidence = Evidence::new(&made(u64::MAX), &made(u64::MAX - 1)).unwrap();
    // Rounds of a far future take eight bytes more each.
    assert!(evidence.encode().len() + 2 * 128 * 8 < Evidence::BYTES_MAX);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        if let Ok(evidence) = Evidence::decode(&bytes) {
            prop_assert!(evidence.verify(&committee(4)).is_err());
        }
    }

    #[test]
    fn a_changed_byte_convicts_nobody(at in 0usize..2_000, change in 1u8..) {
        let (one, other) = twins();
        let mut bytes = Evidence::new(&one, &other).unwrap().encode();
        let at = at % bytes.len();
        bytes[at] ^= change;
        if let Ok(evidence) = Evidence::decode(&bytes) {
            prop_assert!(evidence.verify(&committee(4)).is_err());
        }
    }
}
