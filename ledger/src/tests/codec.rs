//! Canonical, bounded decoding: what is encoded comes back, what is altered is refused or means
//! something else, and no bytes make it panic or reserve memory.

use super::table::Table;
use super::world::*;
use crate::codec::{self, DecodeError};
use crate::operation::Operation;
use crate::quantity::Timestamp;
use crate::receipt::Proof;
use crate::rejection::Code;
use crate::rows::OrderRow;
use crate::transaction::{Envelope, TRANSACTION_BYTES_MAX, UnverifiedTransaction};
use proptest::prelude::*;
use std::vec::Vec;

/// One operation of each kind, with something in every field.
pub fn one_of_each() -> Vec<Operation> {
    let table = Table::new(World::empty());
    [
        "enrol    meter host=printer",
        "rotate   printer",
        "revoke   printer",
        "publish  version=7",
        "issue    amount=500",
        "redeem   amount=400",
        "reading  from=1000 to=2000",
        "reset    meter from=2000 to=3",
        "declare  amount=5kg imported=derived evidence=text/plain",
        "transfer of=a:1kg",
        "transform in=a:1kg,b:3kWh does=haul:5kgm:haul out=part:1pc:900g,chips:100g:100g:waste:0",
        "sink     of=a:1g",
        "place    price=100 hold=200 fee=5 carbon=3 predicted=70 cap=90 required=1 gives=a:1g parent=o confirmer=box",
        "accept   o",
        "reject   o",
        "cancel   o",
        "start    o",
        "complete o outcome=partial in=a:1kg out=part:1pc:1kg",
        "confirm  o",
        "vote     replace=authority:new epoch=3",
        "restate  made=a activity=2 amount=7kgm factor=haul evidence=text/plain",
        "decide   r approve=no",
        "avoid    lot=a evidence=text/plain",
        "limits   product=bracket:1pc:5:refuse machine=printer:60000:6:flag organisation=60000:7:flag",
    ]
    .map(|line| table.asked(line))
    .to_vec()
}

/// An envelope that is the same in every run.
pub fn envelope(operations: Vec<Operation>) -> Envelope {
    Envelope {
        version: 1,
        network: genesis_file().network(),
        signer: keypair("printer").public(),
        created_at: Timestamp::new(BEGIN),
        expires_at: Timestamp::new(BEGIN + HOUR),
        operations,
    }
}

fn signed() -> Vec<u8> {
    envelope(one_of_each()).sign(&keypair("printer")).bytes()
}

#[test]
fn every_operation_comes_back_as_it_was() {
    for operation in one_of_each() {
        let bytes = codec::encode(&operation);
        let decoded = codec::decode::<Operation, 4096>(&bytes);
        assert_eq!(decoded, Ok(operation.clone()));
        let json = serde_json::to_string(&operation).expect("json");
        assert_eq!(serde_json::from_str::<Operation>(&json).expect("json"), operation);
    }
    let decoded = UnverifiedTransaction::decode(&signed()).expect("decode");
    assert!(decoded.verify().is_ok());
}

#[test]
fn a_code_is_its_number_in_bytes_and_its_name_in_text() {
    for code in Code::ALL.iter().copied() {
        let bytes = codec::encode(&code);
        assert_eq!(bytes, codec::encode(&code.number()));
        assert_eq!(codec::decode::<Code, 4>(&bytes), Ok(code));
        let json = serde_json::to_string(&code).expect("json");
        assert_eq!(json, std::format!("\"{}\"", code.name()));
        assert_eq!(serde_json::from_str::<Code>(&json).expect("json"), code);
    }
    let numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "numbers ascend");
    assert!(codec::decode::<Code, 4>(&[0]).is_err());
    assert!(serde_json::from_str::<Code>("\"no_such_code\"").is_err());
}

#[test]
fn more_bytes_than_allowed_are_not_even_looked_at() {
    let long = std::vec![0; TRANSACTION_BYTES_MAX + 1];
    let expected = DecodeError::TooLong { actual: 65_537, limit: 65_536 };
    assert_eq!(UnverifiedTransaction::decode(&long), Err(expected));
}

#[test]
fn a_length_that_is_not_there_reserves_nothing() {
    let mut bytes = signed();
    // Version, network and signer with their lengths, and twice nine bytes of time stand before the count of operations.
    let count = 1 + 33 + 33 + 18;
    assert_eq!(usize::from(bytes[count]), one_of_each().len());
    for length in [u64::MAX, u64::MAX / 2, 1 << 40, 1 << 24] {
        bytes.truncate(count);
        bytes.push(253);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 64]);
        assert_eq!(UnverifiedTransaction::decode(&bytes), Err(DecodeError::Malformed));
    }
}

#[test]
fn another_form_of_the_same_value_is_refused() {
    let mut bytes = codec::encode(&7_u64);
    assert_eq!(bytes, [7]);
    // The same number in three bytes.
    bytes = std::vec![251, 7, 0];
    assert_eq!(codec::decode::<u64, 8>(&bytes), Err(DecodeError::NotCanonical));
    assert_eq!(codec::decode::<u64, 8>(&[7, 0]), Err(DecodeError::Malformed));
    assert_eq!(codec::decode::<u64, 8>(&[]), Err(DecodeError::Malformed));
}

/// Decoding answers; what it accepts is canonical.
fn holds(bytes: &[u8]) {
    if let Ok(decoded) = UnverifiedTransaction::decode(bytes) {
        assert_eq!(codec::encode(&decoded), bytes);
    }
    if let Ok(decoded) = Proof::decode(bytes) {
        assert_eq!(decoded.encode(), bytes);
        let _ = (decoded.log_root(), decoded.lots(), decoded.orders());
    }
    let _ = codec::decode_trusted::<OrderRow>(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        holds(&bytes);
    }

    #[test]
    fn altered_transactions_are_answered(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cut in any::<Option<u16>>(),
        tail in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let good = signed();
        let mut bytes = good.clone();
        for (place, value) in changes {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        bytes.truncate(cut.map_or(usize::MAX, usize::from));
        bytes.extend(tail);
        holds(&bytes);
        if bytes != good {
            let verified = UnverifiedTransaction::decode(&bytes).map(UnverifiedTransaction::verify);
            prop_assert!(!matches!(verified, Ok(Ok(_))), "an altered transaction verifies");
        }
    }
}
