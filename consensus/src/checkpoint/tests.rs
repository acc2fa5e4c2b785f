//! What a quorum's word needs, and the golden bytes of checkpoint and commit.

use alloc::{string::ToString, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    commit::CommitHeader,
    testing::{committee, signer},
    types::Timestamp,
};

fn statement() -> Statement {
    Statement {
        index: 300,
        commit_digest: CommitDigest([0xcc; 32]),
        log_root: [0xaa; 32],
        state_digest: [0xbb; 32],
    }
}

fn checkpoint(authorities: &[u16]) -> Checkpoint {
    let sign = |&index: &u16| {
        let vote = Vote::sign(statement(), &committee(4), &signer(index));
        (AuthorityIndex(index), vote.signature)
    };
    Checkpoint { statement: statement(), signatures: authorities.iter().map(sign).collect() }
}

#[test]
fn a_quorum_of_distinct_authorities_is_needed() {
    let verdict = |authorities: &[u16]| checkpoint(authorities).verify(&committee(4));
    assert_eq!(verdict(&[0, 1, 3]), Ok(()));
    assert_eq!(verdict(&[0, 1, 2, 3]), Ok(()));
    assert_eq!(verdict(&[0, 1]), Err(CheckpointError::NoQuorum { found: 2, quorum: 3 }));
    assert_eq!(verdict(&[]), Err(CheckpointError::NoQuorum { found: 0, quorum: 3 }));
    assert_eq!(verdict(&[0, 1, 1]), Err(CheckpointError::Unordered));
    assert_eq!(verdict(&[1, 0, 2]), Err(CheckpointError::Unordered));
    let stranger = AuthorityIndex(4);
    assert_eq!(verdict(&[0, 1, 4]), Err(CheckpointError::UnknownAuthority(stranger)));
}

#[test]
fn every_field_is_signed() {
    let bends: [fn(&mut Checkpoint); 5] = [
        |c| c.statement.index += 1,
        |c| c.statement.commit_digest.0[0] ^= 1,
        |c| c.statement.log_root[31] ^= 1,
        |c| c.statement.state_digest[0] ^= 1,
        |c| c.signatures[0].1.0[40] ^= 1,
    ];
    for bend in bends {
        let mut checkpoint = checkpoint(&[0, 1, 2]);
        bend(&mut checkpoint);
        let verdict = checkpoint.verify(&committee(4));
        assert_eq!(verdict, Err(CheckpointError::BadSignature(AuthorityIndex(0))));
    }
    let other_network = committee(5);
    assert!(checkpoint(&[0, 1, 2, 3]).verify(&other_network).is_err());
}

/// The formats are frozen: a change of these bytes is a new version.
#[test]
fn golden_checkpoint_and_commit() {
    let bytes = checkpoint(&[0, 2]).encode();
    assert_eq!(hex::encode(&bytes), include_str!("golden_checkpoint.txt").trim_end());
    let committee = committee(4);
    let header = CommitHeader {
        index: 1,
        previous: CommitDigest::NONE,
        leader: committee.genesis()[1],
        time: Timestamp(1_700_000_000_000),
        blocks: committee.genesis()[..2].to_vec(),
        silenced: committee.genesis()[..1].to_vec(),
    };
    assert_eq!(hex::encode(header.encode()), include_str!("golden_commit.txt").trim_end());
    assert_eq!(CommitHeader::decode(&header.encode()), Ok(header.clone()));
    assert_eq!(
        header.digest(&committee).to_string(),
        include_str!("golden_commit_digest.txt").trim_end()
    );
}

#[test]
fn what_does_not_end_is_malformed() {
    let bytes = checkpoint(&[0, 1, 2]).encode();
    for length in 0..bytes.len() {
        assert_eq!(Checkpoint::decode(&bytes[..length]), Err(Fault::Malformed), "{length}");
    }
    let too_long = [0; Checkpoint::BYTES_MAX + 1];
    assert!(matches!(Checkpoint::decode(&too_long), Err(Fault::TooLong { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let _ = CommitHeader::decode(&bytes);
        if let Ok(checkpoint) = Checkpoint::decode(&bytes) {
            prop_assert!(checkpoint.verify(&committee(4)).is_err());
        }
    }

    #[test]
    fn a_hostile_count_claims_no_memory(prefix in 0usize..200, count in any::<u64>()) {
        let mut bytes: Vec<u8> = checkpoint(&[0, 1, 2]).encode();
        bytes.truncate(prefix);
        bytes.push(253);
        bytes.extend(count.to_le_bytes());
        let _ = Checkpoint::decode(&bytes);
        let _ = CommitHeader::decode(&bytes);
    }
}
