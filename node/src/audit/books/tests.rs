//! A commit whose sums were cooked is named, in every place where that can be done.

use super::*;
use kerbholz_ledger::codec;
use kerbholz_ledger::id::{LotId, MemberId, TransactionId};
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::quantity::{CommitIndex, Epoch, Milligrams, Quantity, Timestamp};
use kerbholz_ledger::rows::key;

fn write<T: serde::Serialize>(key: Vec<u8>, row: &T) -> Write {
    Write::set(key, codec::encode(row))
}

fn energy(joules: i128) -> Footprint {
    let mut footprint = Footprint::ZERO;
    footprint.set(Dimension::Energy, joules);
    footprint
}

/// A commit that books in a lot of 10 J with 7 units of footprint, and issues 5 of money.
fn honest() -> Vec<Write> {
    let nobody = MemberId::new([1; 32]);
    let lot = LotRow {
        product: "power".into(),
        quantity: Quantity::new(10, Unit::Joule),
        original: 10,
        mass: Milligrams::ZERO,
        original_mass: Milligrams::ZERO,
        owner: nobody,
        held_for: None,
        footprint: energy(7),
        origin: Origin::Declared { factor: None, evidence: None },
        transaction: TransactionId::new([2; 32]),
        created_at: Timestamp::ZERO,
        sequence: 0,
        uses: 0,
    };
    let ledger = LedgerRow {
        network: kerbholz_ledger::id::NetworkId::new([3; 32]),
        commit: CommitIndex::new(1),
        time: Timestamp::ZERO,
        epoch: Epoch::ZERO,
        version: 1,
        log_leaves: 1,
        log_root: kerbholz_ledger::id::Digest::new([0; 32]),
        state_digest: kerbholz_ledger::id::Digest::new([0; 32]),
        sources: energy(7),
        stock: energy(7),
        sinks: Footprint::ZERO,
        in_transit: Footprint::ZERO,
        sequence: 1,
    };
    let five = Minor::new(5);
    let currency = CurrencyRow {
        issuer: nobody,
        issued: five,
        available: five,
        held: Minor::ZERO,
        redeemed: Minor::ZERO,
    };
    let account = AccountRow { available: five, held: Minor::ZERO };
    let product = ProductRow { booked_in: 10, stock: 10, ..ProductRow::default() };
    vec![
        write(key(Table::Ledger, &[]), &ledger),
        write(key(Table::Currency, &[b"EUR"]), &currency),
        write(key(Table::Account, &[nobody.as_bytes(), b"EUR"]), &account),
        write(key(Table::Lot, &[LotId::new([4; 32]).as_bytes()]), &lot),
        write(key(Table::Product, &[b"power", &[Unit::Joule as u8]]), &product),
    ]
}

fn verdict(writes: Vec<Write>) -> Result<(), BalanceError> {
    let effects = Effects {
        commit: CommitIndex::new(1),
        writes,
        executed: vec![],
        events: vec![],
        log_leaves: 1,
        log_root: kerbholz_ledger::id::Digest::new([0; 32]),
        state_digest: kerbholz_ledger::id::Digest::new([0; 32]),
        next_committee: None,
    };
    Books::default().commit(&Memory::default(), &effects)
}

fn cooked<T: serde::Serialize + DeserializeOwned>(place: usize, cook: fn(&mut T)) -> String {
    let mut writes = honest();
    let mut row: T = codec::decode_trusted(writes[place].value.as_deref().unwrap()).unwrap();
    cook(&mut row);
    writes[place].value = Some(codec::encode(&row).into());
    verdict(writes).unwrap_err().to_string()
}

#[test]
fn honest_books_agree_and_cooked_ones_are_named() {
    verdict(honest()).unwrap();
    for (says, expected) in [
        (cooked::<LedgerRow>(0, |row| row.stock = energy(8)), "stock of energy is 8 J"),
        (cooked::<LedgerRow>(0, |row| row.sinks = energy(1)), "sinks of energy is 1 J"),
        (cooked::<LedgerRow>(0, |row| row.in_transit = energy(1)), "in transit of energy is 1 J"),
        (cooked::<LedgerRow>(0, |row| row.sources = energy(6)), "sources of energy is 6 J"),
        (cooked::<CurrencyRow>(1, |row| row.issued = Minor::new(6)), "issued of EUR is 6"),
        (cooked::<AccountRow>(2, |row| row.held = Minor::new(1)), "held of EUR is 0"),
        (cooked::<LotRow>(3, |row| row.footprint = energy(9)), "stock of energy is 7 J"),
        (cooked::<LotRow>(3, |row| row.original = 11), "booked in of power is 10 J"),
        (cooked::<ProductRow>(4, |row| row.stock = 11), "stock of power is 11 J"),
        (cooked::<ProductRow>(4, |row| row.made = 1), "made of power is 1 J"),
    ] {
        assert!(says.starts_with(expected), "{says}");
    }
}
