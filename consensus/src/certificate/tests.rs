//! What certifies a run of commits, and what does not.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    checkpoint::{Statement, Vote},
    testing::{committee, signer},
    types::{AuthorityIndex, CommitDigest, Timestamp},
};

fn headers(count: u64) -> Vec<CommitHeader> {
    let committee = committee(4);
    let mut previous = CommitDigest([5; 32]);
    let mut headers = Vec::new();
    for index in 7..7 + count {
        let header = CommitHeader {
            index,
            previous,
            leader: committee.genesis()[1],
            time: Timestamp(index),
            blocks: committee.genesis()[..2].to_vec(),
            silenced: Vec::new(),
        };
        previous = header.digest(&committee);
        headers.push(header);
    }
    headers
}

fn checkpoint(of: &CommitHeader, authorities: &[u16]) -> Checkpoint {
    let committee = committee(4);
    let statement = Statement {
        index: of.index,
        commit_digest: of.digest(&committee),
        log_root: [1; 32],
        state_digest: [2; 32],
    };
    let sign = |&index: &u16| {
        let vote = Vote::sign(statement, &committee, &signer(index));
        (AuthorityIndex(index), vote.signature)
    };
    Checkpoint { statement, signatures: authorities.iter().map(sign).collect() }
}

#[test]
fn a_chain_that_ends_at_its_checkpoint_is_certified() {
    let headers = headers(3);
    let checkpoint = checkpoint(&headers[2], &[0, 1, 3]);
    let certified = CertifiedCommits::new(headers.clone(), checkpoint, &committee(4)).unwrap();
    assert_eq!((certified.first(), certified.last(), certified.headers()), (7, 9, &headers[..]));
    let bytes = certified.encode();
    assert_eq!(hex::encode(&bytes), include_str!("golden_commits.txt").trim_end());
    assert_eq!(CertifiedCommits::decode(&bytes, &committee(4)), Ok(certified));
}

#[test]
fn whatever_breaks_chain_or_checkpoint_is_named() {
    let good = headers(3);
    let verdict = |headers: Vec<CommitHeader>, checkpoint: Checkpoint| {
        CertifiedCommits::new(headers, checkpoint, &committee(4)).map(|_| ()).unwrap_err()
    };
    let quorum = checkpoint(&good[2], &[0, 1, 2]);
    assert_eq!(verdict(vec![], quorum.clone()), CertificateError::Count(0));
    let many = vec![good[0].clone(); CertifiedCommits::COMMITS_MAX + 1];
    assert_eq!(verdict(many, quorum.clone()), CertificateError::Count(4097));
    let gap = vec![good[0].clone(), good[2].clone()];
    assert_eq!(verdict(gap, quorum.clone()), CertificateError::Broken(9));
    let mut bent = good.clone();
    bent[0].time.0 += 1;
    assert_eq!(verdict(bent, quorum.clone()), CertificateError::Broken(8));
    let mut bent = good.clone();
    bent[2].time.0 += 1;
    let expected = CertificateError::NotTheLast { checkpoint: 9, last: 9 };
    assert_eq!(verdict(bent, quorum.clone()), expected);
    let expected = CertificateError::NotTheLast { checkpoint: 9, last: 8 };
    assert_eq!(verdict(good[..2].to_vec(), quorum), expected);
    let few = CertificateError::Checkpoint(CheckpointError::NoQuorum { found: 2, quorum: 3 });
    assert_eq!(verdict(good.clone(), checkpoint(&good[2], &[0, 1])), few);
    let other =
        CertifiedCommits::new(good.clone(), checkpoint(&good[2], &[0, 1, 2]), &committee(5));
    assert!(other.is_err(), "another committee, another domain");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(CertifiedCommits::decode(&bytes, &committee(4)).is_err());
    }

    #[test]
    fn a_changed_byte_certifies_nothing(at in 0usize..2_000, change in 1u8..) {
        let headers = headers(2);
        let checkpoint = checkpoint(&headers[1], &[0, 1, 2]);
        let good = CertifiedCommits::new(headers, checkpoint, &committee(4)).unwrap();
        let mut bytes = good.encode();
        let at = at % bytes.len();
        bytes[at] ^= change;
        prop_assert!(CertifiedCommits::decode(&bytes, &committee(4)).is_err());
    }
}
