//! The bounds of the mempool, and that nothing leaves it unasked.

use super::*;
use kerbholz_client::ledger::id::NetworkId;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::transaction::Envelope;
use proptest::prelude::*;

/// The transaction of this number by this signer; it expires at the time of its number.
fn transaction(signer: u8, number: u64) -> Transaction {
    let key = Keypair::from_seed(&[signer; 32]);
    let envelope = Envelope {
        version: 1,
        network: NetworkId::new([2; 32]),
        signer: key.public(),
        created_at: Timestamp::ZERO,
        expires_at: Timestamp::new(number),
        operations: vec![],
    };
    envelope.sign(&key)
}

/// Bytes of one's own choice: the mempool does not look at them.
fn take(mempool: &mut Mempool, signer: u8, number: u64, bytes: usize) -> Result<(), NotTaken> {
    let mut content = number.to_le_bytes().to_vec();
    content.resize(bytes.max(8), 0);
    mempool.take(&transaction(signer, number), &content)
}

fn numbers(offered: Vec<Vec<u8>>) -> Vec<u64> {
    let number = |bytes: &Vec<u8>| u64::from_le_bytes(bytes[..8].try_into().unwrap());
    offered.iter().map(number).collect()
}

#[test]
fn a_signer_gets_its_share_and_gets_it_back() {
    let mut mempool = Mempool::default();
    let many = WAITING_PER_SIGNER_MAX as u64;
    for number in 0..many {
        take(&mut mempool, 1, number, 10).unwrap();
    }
    assert_eq!(take(&mut mempool, 1, many, 10), Err(NotTaken::Full));
    assert_eq!(take(&mut mempool, 1, 0, 10), Err(NotTaken::Waiting));
    take(&mut mempool, 2, many, 10).unwrap();
    for _ in 0..2 {
        mempool.release(&transaction(1, 0).id());
    }
    take(&mut mempool, 1, many, 10).unwrap();
    assert_eq!(mempool.len(), WAITING_PER_SIGNER_MAX + 1);
}

#[test]
fn a_signer_gets_so_many_bytes_and_all_signers_so_many() {
    let mut mempool = Mempool::default();
    let large = WAITING_BYTES_PER_SIGNER_MAX / 2;
    let signers = (WAITING_BYTES_MAX / WAITING_BYTES_PER_SIGNER_MAX) as u8;
    for signer in 0..signers {
        take(&mut mempool, signer, 1, large).unwrap();
        take(&mut mempool, signer, 2, large).unwrap();
        assert_eq!(take(&mut mempool, signer, 3, 8), Err(NotTaken::Full));
    }
    assert_eq!(take(&mut mempool, signers, 1, 8), Err(NotTaken::Full), "the whole is full");
    mempool.release(&transaction(0, 2).id());
    take(&mut mempool, signers, 1, large).unwrap();
}

#[test]
fn what_consensus_lost_is_offered_by_arrival_and_once() {
    let mut mempool = Mempool::default();
    for number in [3, 1, 2] {
        take(&mut mempool, 1, number, 8).unwrap();
    }
    assert_eq!(numbers(mempool.offer(9)), [0; 0], "consensus has them all");
    mempool.hold(&transaction(1, 2).id());
    mempool.hold(&transaction(1, 3).id());
    mempool.hold(&transaction(1, 4).id());
    assert!(mempool.holds(&transaction(1, 2).id()) && !mempool.holds(&transaction(1, 1).id()));
    assert_eq!(numbers(mempool.offer(1)), [3]);
    assert_eq!(numbers(mempool.offer(9)), [2]);
    assert_eq!(numbers(mempool.offer(9)), [0; 0]);
    mempool.hold_all();
    mempool.release(&transaction(1, 1).id());
    assert_eq!(numbers(mempool.offer(9)), [3, 2]);
    assert_eq!(mempool.len(), 2, "they wait until they are released");
}

#[test]
fn only_what_consensus_does_not_have_expires() {
    let mut mempool = Mempool::default();
    for number in [5, 6, 7] {
        take(&mut mempool, 1, number, 8).unwrap();
    }
    mempool.hold(&transaction(1, 6).id());
    mempool.hold(&transaction(1, 7).id());
    mempool.expire(Timestamp::new(6));
    let left: Vec<bool> = [5, 6, 7].map(|n| mempool.contains(&transaction(1, n).id())).into();
    assert_eq!(left, [true, false, true]);
}

#[test]
fn a_block_is_kept_for_what_waits_in_no_newer_one() {
    let mut mempool = Mempool::default();
    for number in [1, 2] {
        take(&mut mempool, 1, number, 8).unwrap();
    }
    assert_eq!(mempool.lowest_block(), None);
    let id = |number| transaction(1, number).id();
    mempool.in_block(&id(1), Round(4));
    mempool.in_block(&id(2), Round(5));
    mempool.in_block(&id(9), Round(1));
    assert_eq!(mempool.lowest_block(), Some(Round(4)));
    mempool.in_block(&id(1), Round(7));
    assert_eq!(mempool.lowest_block(), Some(Round(5)));
    mempool.release(&id(2));
    assert_eq!(mempool.lowest_block(), Some(Round(7)));
    mempool.hold_all();
    assert_eq!(mempool.lowest_block(), None, "rounds of another epoch");
}

proptest! {
    /// Whatever is done to it, its books agree with each other, and only a release takes away.
    #[test]
    fn its_books_agree(steps in proptest::collection::vec((0_u8..6, 0_u8..3, 0_u64..8), 0..60)) {
        let mut mempool = Mempool::default();
        let mut model = BTreeSet::new();
        for (step, signer, number) in steps {
            let id = transaction(signer, number).id();
            match step {
                0 | 1 => {
                    let taken = take(&mut mempool, signer, number, 8 + usize::from(signer));
                    prop_assert_eq!(taken.is_ok(), model.insert((signer, number)));
                }
                2 => {
                    mempool.release(&id);
                    model.remove(&(signer, number));
                }
                3 => mempool.hold(&id),
                4 => mempool.in_block(&id, Round(number)),
                _ => {
                    mempool.offer(2);
                }
            }
            prop_assert_eq!(mempool.len(), model.len());
            prop_assert_eq!(mempool.order.len(), model.len());
            let bytes: usize = model.iter().map(|(signer, _)| 8 + usize::from(*signer)).sum();
            prop_assert_eq!(mempool.all, Share { items: model.len(), bytes });
            prop_assert!(mempool.held.iter().all(|place| mempool.order.contains_key(place)));
            let items: usize = mempool.of_signer.values().map(|share| share.items).sum();
            prop_assert_eq!(items, model.len());
        }
    }
}
