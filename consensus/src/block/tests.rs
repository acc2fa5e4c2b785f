//! A block's bytes, golden and mutated, and every check of §1.4.

use alloc::{string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    checkpoint::Statement,
    testing::{block, committee, draft, first_round, own_first, signer},
    types::CommitDigest,
};

fn references(blocks: &[Block]) -> Vec<BlockRef> {
    blocks.iter().map(Block::reference).collect()
}

/// A block of round 2 with payload, a vote and the work flag.
fn rich_block() -> Block {
    let committee = committee(4);
    let parents = own_first(2, &references(&first_round(&committee)));
    let statement = Statement {
        index: 5,
        commit_digest: CommitDigest([0xcc; 32]),
        log_root: [0xaa; 32],
        state_digest: [0xbb; 32],
    };
    let votes = vec![Vote::sign(statement, &committee, &signer(2))];
    let draft = Draft { votes, work: true, ..draft(2, &parents, &[b"order", b"accept"]) };
    draft.sign(&committee, AuthorityIndex(2), &signer(2)).unwrap()
}

#[test]
fn a_block_survives_its_bytes() {
    let block = rich_block();
    let again = UnverifiedBlock::decode(block.bytes()).unwrap().verify(&committee(4)).unwrap();
    assert_eq!(again.header(), block.header());
    assert_eq!(again.reference(), block.reference());
    assert_eq!(again.payload().collect::<Vec<_>>(), [&b"order"[..], b"accept"]);
    assert!(again.has_work() && again.has_payload());
}

/// The format is frozen: a change of these bytes is a new version.
#[test]
fn golden_block() {
    let block = rich_block();
    let hex = hex::encode(block.bytes());
    let lines: Vec<String> =
        hex.as_bytes().chunks(80).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect();
    assert_eq!(lines.join("\n"), include_str!("golden_block.txt").trim_end());
    assert_eq!(
        hex::encode(block.reference().digest.0),
        include_str!("golden_block_digest.txt").trim_end()
    );
}

#[test]
fn the_signature_is_no_part_of_the_digest() {
    let block = rich_block();
    let mut bytes = block.bytes().to_vec();
    let at = bytes.windows(64).position(|w| w == block.signature().0).unwrap();
    bytes[at] ^= 1;
    let forged = UnverifiedBlock::decode(&bytes).unwrap();
    assert_eq!(forged.reference(), block.reference());
    assert_eq!(forged.verify(&committee(4)).unwrap_err(), Fault::BadSignature);
}

#[test]
fn trailing_and_over_long_bytes_are_refused() {
    let mut bytes = rich_block().bytes().to_vec();
    bytes.push(0);
    assert_eq!(UnverifiedBlock::decode(&bytes).unwrap_err(), Fault::NotCanonical);
    let bytes = vec![0; BLOCK_BYTES_MAX + 1];
    let fault = Fault::TooLong { bytes: bytes.len(), bytes_max: BLOCK_BYTES_MAX };
    assert_eq!(UnverifiedBlock::decode(&bytes).unwrap_err(), fault);
}

#[test]
fn an_integer_longer_than_it_need_be_is_refused() {
    let block = rich_block();
    let author_at = 1 + 32;
    let mut bytes = block.bytes().to_vec();
    assert_eq!(bytes[author_at], 2);
    bytes.splice(author_at..=author_at, [251, 2, 0]);
    assert_eq!(UnverifiedBlock::decode(&bytes).unwrap_err(), Fault::NotCanonical);
}

/// Each case bends one thing of a valid draft; the verdict names it.
#[test]
fn the_parents_shape_is_held() {
    let committee = committee(4);
    let first = references(&first_round(&committee));
    let genesis = committee.genesis();
    let old = |author: usize| genesis[author];
    type Case = (&'static str, u64, Vec<BlockRef>, Result<(), Fault>);
    let cases: [Case; 12] = [
        ("all", 2, vec![first[0], first[1], first[2], first[3]], Ok(())),
        ("a quorum", 2, vec![first[0], first[2], first[3]], Ok(())),
        ("own one older", 2, vec![old(0), first[1], first[2], first[3]], Ok(())),
        ("none", 2, vec![], Err(Fault::NoOwnParent)),
        ("no own", 2, vec![first[1], first[2], first[3]], Err(Fault::NoOwnParent)),
        (
            "own twice",
            2,
            vec![first[0], first[0], first[1], first[2]],
            Err(Fault::ParentsUnordered),
        ),
        (
            "one twice",
            2,
            vec![first[0], first[1], first[1], first[2]],
            Err(Fault::ParentsUnordered),
        ),
        ("descending", 2, vec![first[0], first[2], first[1]], Err(Fault::ParentsUnordered)),
        (
            "too few",
            2,
            vec![first[0], first[1], old(2)],
            Err(Fault::NoQuorum { found: 2, quorum: 3 }),
        ),
        (
            "same round",
            1,
            vec![first[0], first[1], first[2]],
            Err(Fault::ParentOutOfReach(Round(1))),
        ),
        ("below gc", 62, vec![first[0], first[1]], Err(Fault::ParentOutOfReach(Round(1)))),
        (
            "false genesis",
            1,
            vec![BlockRef { digest: first[0].digest, ..old(0) }, old(1), old(2)],
            Err(Fault::UnknownGenesis),
        ),
    ];
    for (name, round, parents, verdict) in cases {
        let result = draft(round, &parents, &[]).sign(&committee, AuthorityIndex(0), &signer(0));
        assert_eq!(result.map(|_| ()), verdict, "{name}");
    }
}

/// Signs a bent header as its author would, so that only the bent thing is wrong.
fn verdict_on(bend: impl FnOnce(&mut Header, &mut Vec<Vec<u8>>)) -> Option<Fault> {
    let block = rich_block();
    let mut header = block.header().clone();
    let mut payload: Vec<Vec<u8>> = block.payload().map(<[u8]>::to_vec).collect();
    bend(&mut header, &mut payload);
    let signature = signer(2).sign(&signed_message(&header.digest()));
    let payload = payload.iter().map(|item| Bytes(item)).collect();
    let bytes = codec::encode(&Wire { header, signature, payload });
    UnverifiedBlock::decode(&bytes).and_then(|block| block.verify(&committee(4))).err()
}

#[test]
fn every_other_check_is_held() {
    assert_eq!(verdict_on(|_, _| ()), None);
    assert_eq!(verdict_on(|h, _| h.version = 2), Some(Fault::UnknownVersion(2)));
    let domain = Domain([9; 32]);
    assert_eq!(verdict_on(|h, _| h.domain = domain), Some(Fault::WrongDomain(domain)));
    for stranger in [4, 127, 128, u16::MAX] {
        let stranger = AuthorityIndex(stranger);
        let unknown = Some(Fault::UnknownAuthority(stranger));
        assert_eq!(verdict_on(|h, _| h.author = stranger), unknown);
        assert_eq!(verdict_on(|h, _| h.parents[3].author = stranger), unknown);
    }
    let forever = Round(u64::MAX);
    assert_eq!(verdict_on(|h, _| h.round = forever), Some(Fault::RoundOutOfRange(forever)));
    assert_eq!(verdict_on(|h, _| h.flags = 2), Some(Fault::UnknownFlags(2)));
    assert_eq!(verdict_on(|h, _| h.votes.push(h.votes[0])), Some(Fault::VotesUnordered));
    assert_eq!(verdict_on(|h, _| h.votes[0].statement.index = 6), Some(Fault::BadVote));
    assert_eq!(verdict_on(|h, _| h.votes = vec![h.votes[0]; 9]), Some(Fault::TooMany));
    assert_eq!(verdict_on(|h, _| h.parents = vec![h.parents[0]; 129]), Some(Fault::TooMany));
    assert_eq!(verdict_on(|h, _| h.author = AuthorityIndex(1)), Some(Fault::NoOwnParent));
}

#[test]
fn the_payload_is_held_to_the_header_and_the_limits() {
    let wrong = Some(Fault::WrongPayload);
    assert_eq!(verdict_on(|_, p| p[0][0] ^= 1), wrong);
    assert_eq!(verdict_on(|_, p| p.truncate(1)), wrong);
    assert_eq!(verdict_on(|h, _| h.payload_bytes += 1), wrong);
    let committee = committee(4);
    let first = references(&first_round(&committee));
    let with = |round: u64, parents: &[BlockRef], items: Vec<Vec<u8>>| {
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        draft(round, parents, &items).sign(&committee, AuthorityIndex(0), &signer(0)).map(|_| ())
    };
    let limit = Err(Fault::PayloadLimit);
    assert_eq!(with(2, &first, vec![vec![1; ITEM_BYTES_MAX]; 8]), Ok(()));
    assert_eq!(with(2, &first, vec![vec![1; ITEM_BYTES_MAX + 1]]), limit);
    assert_eq!(with(2, &first, vec![vec![1; ITEM_BYTES_MAX]; 9]), limit);
    assert_eq!(with(2, &first, vec![vec![]]), limit);
    assert_eq!(with(2, &first, vec![vec![1]; PAYLOAD_ITEMS_MAX]), Ok(()));
    assert_eq!(with(2, &first, vec![vec![1]; PAYLOAD_ITEMS_MAX + 1]), limit);
    assert_eq!(with(1, committee.genesis(), vec![vec![1]]), limit);
}

/// Another implementation, or a batch, must reach the same verdict: ZIP 215 accepts a
/// non-canonical encoding of R and small-order points, and requires the cofactored equation.
#[test]
fn zip_215_is_the_predicate() {
    let identity = PublicKeyBytes::IDENTITY;
    let verifier = crate::PublicKey(identity).parse().unwrap();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&identity);
    assert!(verifier.verify(b"anything", &Signature(signature)));
    signature[63] = 0xff;
    assert!(!verifier.verify(b"anything", &Signature(signature)), "s must be reduced");
}

struct PublicKeyBytes;

impl PublicKeyBytes {
    /// The neutral element: y = 1.
    const IDENTITY: [u8; 32] = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        if let Ok(block) = UnverifiedBlock::decode(&bytes) {
            prop_assert!(block.verify(&committee(4)).is_err());
        }
    }

    #[test]
    fn a_changed_block_is_refused(at in any::<prop::sample::Index>(), mask in 1u8..=255) {
        let mut bytes = rich_block().bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        let verdict = UnverifiedBlock::decode(&bytes).and_then(|b| b.verify(&committee(4)));
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn any_payload_survives(items in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 1..300), 0..20)) {
        let committee = committee(4);
        let parents = references(&first_round(&committee));
        let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let made = block(&committee, 0, 2, &parents, &slices);
        let again = UnverifiedBlock::decode(made.bytes()).unwrap().verify(&committee).unwrap();
        prop_assert_eq!(again.payload().map(<[u8]>::to_vec).collect::<Vec<_>>(), items);
    }
}
