//! Receipts: what they show offline, and each way in which one can be wrong.

use super::table::{Table as Names, check_in};
use super::world::*;
use crate::execute::{Effects, Item};
use crate::footprint::Dimension;
use crate::id::{Digest, TransactionId};
use crate::operation::{DeclaredFootprint, LotDeclaration, Operation};
use crate::quantity::{Milligrams, Quantity, Unit};
use crate::receipt::{PROOF_BYTES_MAX, Proof, ProofError};
use crate::rejection::{Code, Rejection};
use crate::transaction::{OPERATIONS_MAX, TRANSACTION_BYTES_MAX, Transaction};
use crate::transformation::FAN_MAX;
use std::vec::Vec;

fn declaration() -> Operation {
    Operation::DeclareLot(LotDeclaration {
        product: "powder".into(),
        quantity: Quantity::new(1_000_000, Unit::Milligram),
        mass: Milligrams::new(1_000_000),
        footprint: DeclaredFootprint::Factor(factor_ref("powder")),
        evidence: None,
    })
}

/// A proof of a declared lot, the log's root, and the transaction.
fn proof() -> (Proof, Digest, Transaction) {
    let mut world = World::new();
    let transaction = world.sign(&keypair("printer"), std::vec![declaration()]);
    let effects = world.commit(std::vec![Item::Transaction(transaction.clone())]);
    // Later transactions do not spoil a proof of the log as it was, nor one of the log as it is.
    world.apply("printer", std::vec![declaration()]);
    let executed = effects.executed[0].clone();
    let bytes = Some(transaction.bytes());
    let proof = Proof::of(&world.state, executed, bytes, effects.log_leaves).expect("proof");
    (proof, effects.log_root, transaction)
}

#[test]
fn a_receipt_shows_the_footprint_of_a_lot_offline() {
    let (proof, root, transaction) = proof();
    let decoded = Proof::decode(&proof.encode()).expect("decode");
    assert_eq!(decoded, proof);
    assert_eq!(decoded.log_root(), Ok(root));
    let id = crate::id::LotId::of(transaction.id(), 0, 0);
    let lot = decoded.lot(id).expect("rows").expect("the lot");
    assert_eq!(lot.footprint.get(Dimension::Climate), 8_000_000_000_001);
    assert_eq!(decoded.orders(), Ok(Vec::new()));
    assert!(decoded.transformations().expect("rows").is_empty());
}

#[test]
fn a_receipt_shows_an_order_and_what_it_took() {
    let mut names = Names::new(World::new());
    check_in(
        &mut names,
        "declare powder by=printer       -> ok
         place   o by=press              -> ok
         accept  o by=printer            -> ok
         start   o by=printer            -> ok",
    );
    let order = names.orders["o"];
    let before = names.world.state.clone();
    check_in(&mut names, "complete o by=printer in=powder:125g out=bracket:10pc:125g -> ok");
    let effects: Effects = names.effects.clone().expect("effects");
    assert_ne!(before, names.world.state);
    let executed = effects.executed[0].clone();
    let proof = Proof::of(&names.world.state, executed, None, effects.log_leaves).expect("proof");
    assert_eq!(proof.log_root(), Ok(effects.log_root));
    let row = proof.order(order).expect("rows").expect("the order");
    let completed = row.completed.expect("completed");
    assert_eq!(completed.footprint.get(Dimension::Climate), 1_000_000_000_000);
    let (id, transformation) = &proof.transformations().expect("rows")[0];
    assert_eq!(*id, completed.transformation);
    assert_eq!(transformation.inputs[0].mass, Milligrams::new(125_000));
}

#[test]
fn each_way_to_be_wrong_has_its_error() {
    let (good, root, _) = proof();
    let bytes = good.encode();
    assert!(matches!(Proof::decode(&bytes[1..]), Err(ProofError::Decode(_))));
    let with = |change: &dyn Fn(&mut Proof)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad.log_root()
    };
    let of = |proof: &Proof| proof.transaction.clone().expect("bytes");

    let result = with(&|proof| proof.transaction = Some(of(proof)[1..].to_vec()));
    assert!(matches!(result, Err(ProofError::Transaction(_))), "{result:?}");
    let result = with(&|proof| {
        *proof.transaction.as_mut().expect("bytes").last_mut().expect("a byte") ^= 1;
    });
    assert_eq!(result, Err(ProofError::Signature));
    let result = with(&|proof| proof.executed.id = TransactionId::new([1; 32]));
    assert!(matches!(result, Err(ProofError::OtherTransaction { .. })), "{result:?}");
    let result = with(&|proof| proof.executed.leaf += 1);
    assert!(matches!(result, Err(ProofError::OtherLeaf { .. })), "{result:?}");
    let result = with(&|proof| proof.executed.writes.reverse());
    assert_eq!(result, Err(ProofError::Rows));
    // What was refused changed nothing.
    let rejection = Rejection { code: Code::Overflow, operation: 0 };
    let result = with(&|proof| proof.executed.result = Err(rejection));
    assert_eq!(result, Err(ProofError::Rows));
    let result = with(&|proof| _ = proof.inclusion.path.pop());
    assert!(matches!(result, Err(ProofError::Inclusion(_))), "{result:?}");

    // What fits together but was never executed leads to another root.
    let result = with(&|proof| _ = proof.executed.writes.pop());
    assert!(result.is_ok_and(|other| other != root));
    let mut bad = good.clone();
    let write = bad.executed.writes.iter_mut().find(|write| write.key[0] == 9);
    write.expect("a lot").value = Some(std::vec![1].into());
    assert_eq!(bad.lots(), Err(ProofError::Row));
    assert!(bad.log_root().is_ok_and(|other| other != root));
}

#[test]
fn a_refusal_is_proved_like_anything_else() {
    let mut world = World::new();
    let mut bytes = world.sign(&keypair("printer"), std::vec![declaration()]).bytes();
    *bytes.last_mut().expect("bytes") ^= 1;
    let forged = Item::decode(&bytes);
    let effects = world.commit(std::vec![forged]);
    let executed = effects.executed[0].clone();
    let rejection = executed.result.expect_err("refused");
    assert_eq!(rejection.code.name(), "bad_signature");
    let leaves = effects.log_leaves;
    let proof = Proof::of(&world.state, executed, Some(bytes), leaves).expect("proof");
    assert_eq!(proof.log_root(), Ok(effects.log_root));
    let mut other = proof;
    other.transaction = Some(std::vec![1]);
    assert!(matches!(other.log_root(), Err(ProofError::Transaction(_))));
}

/// Many small outputs are what makes the most rows of the fewest bytes.
#[test]
fn the_largest_transaction_still_gets_a_receipt() {
    let mut names = Names::new(World::new());
    check_in(&mut names, "declare l0 amount=18446744073709551615mg -> ok");
    let outputs = std::vec!["p:1pc:0mg"; FAN_MAX].join(",");
    let line = std::format!("transform in=l0:250000000000000000mg tolerance=1000000 out={outputs}");
    let mut operations = Vec::new();
    let mut transaction = None;
    while operations.len() < OPERATIONS_MAX {
        operations.push(names.asked(&line));
        let larger = names.world.sign(&keypair("printer"), operations.clone());
        if larger.bytes().len() > TRANSACTION_BYTES_MAX {
            break;
        }
        transaction = Some(larger);
    }
    let bytes = transaction.expect("a transaction").bytes();
    assert!(bytes.len() > TRANSACTION_BYTES_MAX * 9 / 10);
    let effects = names.world.commit(std::vec![Item::decode(&bytes)]);
    let executed = effects.executed[0].clone();
    assert_eq!(executed.result, Ok(()));
    let leaves = effects.log_leaves;
    let proof = Proof::of(&names.world.state, executed, Some(bytes), leaves).expect("proof");
    let encoded = proof.encode();
    assert!(encoded.len() < PROOF_BYTES_MAX / 2, "{} bytes", encoded.len());
    let decoded = Proof::decode(&encoded).expect("decode");
    assert_eq!(decoded.log_root(), Ok(effects.log_root));
}
