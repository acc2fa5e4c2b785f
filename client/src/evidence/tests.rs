//! Accusations of real equivocations, in the first epoch and a later one, and forged ones.

use super::*;
use crate::committees::tests::{STORY, Story, seed};
use kerbholz_consensus::{AuthorityIndex, Block, Committee, Draft, Round, Signer, Timestamp};

/// Two blocks of the first round by the authority of that name.
fn twins(committee: &Committee, name: &str) -> [Block; 2] {
    let signer = Signer::from_seed(&seed(name));
    let author = committee.index_of(&signer.public_key()).unwrap();
    let mut parents = committee.genesis().to_vec();
    parents.sort_by_key(|parent| (parent.author != author, parent.author));
    [1, 2].map(|at| {
        let (parents, timestamp) = (parents.clone(), Timestamp(at));
        let draft = Draft { round: Round(1), timestamp, parents, ..Draft::default() };
        draft.sign(committee, author, &signer).unwrap()
    })
}

/// Against b, an authority of the first epoch.
fn first() -> Accusation {
    let committees = Committees::of_genesis(&STORY.world.genesis).unwrap();
    let [one, other] = twins(committees.current(), "b");
    Accusation { epochs: vec![], evidence: Evidence::new(&one, &other).unwrap() }
}

/// Against e, who has joined later.
fn later() -> Accusation {
    let Story { world, ends, .. } = &*STORY;
    let [one, other] = twins(world.committees.current(), "e");
    Accusation { epochs: ends.clone(), evidence: Evidence::new(&other, &one).unwrap() }
}

#[test]
fn an_equivocation_is_proved_in_every_epoch() {
    for (accusation, name, epoch) in [(first(), "b", 0), (later(), "e", 3)] {
        let decoded = Accusation::decode(&accusation.encode()).unwrap();
        assert_eq!(decoded, accusation);
        let verdict = decoded.verify(&STORY.world.genesis).unwrap();
        assert_eq!((verdict.authority.name.as_str(), verdict.epoch), (name, epoch));
        let [one, other] = verdict.blocks;
        assert_eq!((one.round, one.author), (other.round, other.author));
        assert_ne!(one.digest, other.digest);
    }
}

/// Why a forged accusation proves nothing.
fn verdict(accusation: Accusation, forge: impl FnOnce(&mut Accusation)) -> AccusationError {
    let mut forged = accusation;
    forge(&mut forged);
    forged.verify(&STORY.world.genesis).expect_err("a forged accusation verifies")
}

#[test]
fn nobody_is_accused_by_what_they_did_not_sign() {
    type Forge = fn(&mut Accusation);
    let forgeries: [Forge; 6] = [
        |a| a.evidence.first.header.timestamp = Timestamp(9),
        |a| a.evidence.first.header.author = AuthorityIndex(0),
        |a| a.evidence.first.header.author = AuthorityIndex(u16::MAX),
        |a| a.evidence.second = a.evidence.first.clone(),
        |a| std::mem::swap(&mut a.evidence.first, &mut a.evidence.second),
        |a| a.evidence.first.signature = a.evidence.second.signature,
    ];
    for forge in forgeries {
        for accusation in [first(), later()] {
            let error = verdict(accusation, forge);
            assert!(matches!(error, AccusationError::Evidence { .. }), "{error}");
        }
    }
}

#[test]
fn the_committee_of_the_accused_is_proved_as_well() {
    let missing = verdict(later(), |a| drop(a.epochs.pop()));
    assert!(matches!(missing, AccusationError::Evidence { epoch: 2, .. }), "{missing}");
    let added = verdict(first(), |a| a.epochs.clone_from(&later().epochs));
    assert!(matches!(added, AccusationError::Evidence { epoch: 3, .. }), "{added}");
    let forged = verdict(later(), |a| a.epochs[1].checkpoint.statement.index += 1);
    assert!(matches!(forged, AccusationError::EpochEnd { epoch: 1, .. }), "{forged}");
    let other = Genesis { name: "other".into(), ..STORY.world.genesis.clone() };
    assert!(matches!(first().verify(&other), Err(AccusationError::Evidence { epoch: 0, .. })));
}

#[test]
fn no_byte_can_be_changed_or_be_missing() {
    let bytes = first().encode();
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let verdict = Accusation::decode(&changed).and_then(|a| a.verify(&STORY.world.genesis));
        assert!(verdict.is_err(), "byte {position}");
        assert!(Accusation::decode(&bytes[..position]).is_err(), "cut at {position}");
    }
}

#[test]
fn its_bytes_are_frozen() {
    let expected: String = include_str!("golden.hex").split_whitespace().collect();
    assert_eq!(hex::encode(first().encode()), expected);
}
