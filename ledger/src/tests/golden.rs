//! Formats frozen by bytes: what changes one of these is a new version of the format.
//! `docs/formats.md` describes the layouts.

use super::codec::{envelope, one_of_each};
use super::table::{Table, check_in};
use super::world::*;
use crate::codec;
use crate::execute::{Item, effects_digest};
use crate::id::{ContentHash, FactorSetId, LotId, MemberId, OrderId, TransformationId};
use crate::log::empty_root;
use crate::operation::{LotSink, MoneyIssue, Operation, OrderStep, Portion, SinkKind};
use crate::quantity::{Minor, Quantity, Unit};
use crate::query;
use crate::receipt::Proof;
use crate::transaction::Transaction;
use std::string::{String, ToString};

/// A short transaction: one lot booked out, one order accepted.
fn small() -> Transaction {
    let sink = LotSink {
        portion: Portion {
            lot: LotId::new([0xaa; 32]),
            quantity: Quantity::new(1000, Unit::Milligram),
        },
        kind: SinkKind::Consumed,
    };
    let step = OrderStep { order: OrderId::new([0xbb; 32]) };
    envelope(std::vec![Operation::SinkLot(sink), Operation::AcceptOrder(step)])
        .sign(&keypair("printer"))
}

/// Joins the pieces of a vector, which are on a line of their own with their meaning.
fn joined(pieces: &[(&str, &str)]) -> String {
    pieces.iter().map(|(bytes, _)| *bytes).collect()
}

#[test]
fn a_transaction() {
    let expected = joined(&[
        ("01", "version"),
        ("20a9ebda31ff30de7d84298b57b346fcbb3ae4b31b9179405a9fa0ae27477d703e", "network"),
        ("2063bceacce35934a65b386417114fdf110c1d2fb33f19a27351452b22b72086b3", "signer"),
        ("fd0068e5cf8b010000", "created: 1_700_000_000_000 ms"),
        ("fd80561cd08b010000", "expires: 1_700_003_600_000 ms"),
        ("02", "two operations"),
        ("0b", "sink a lot"),
        ("20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the lot"),
        ("fbe80301", "1000 mg of it"),
        ("00", "consumed"),
        ("0d", "accept an order"),
        ("20bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "the order"),
        ("40bb762e7b9ecec7d4efd0c2092ae6b09342b2f8475cbedb80f0da45408513a69b", "signature, R"),
        ("6fc20019ba7108c21adf6306e1c3539fec84ad9d697145d1d29c130bd9403d0f", "signature, s"),
    ]);
    assert_eq!(hex::encode(small().bytes()), expected);
}

#[test]
fn an_id_of_each_kind() {
    let transaction = small().id();
    let ids = [
        ("network", genesis_file().network().to_string()),
        ("transaction", transaction.to_string()),
        ("member", MemberId::of(&owner_of("printer").public()).to_string()),
        ("lot", LotId::of(transaction, 1, 2).to_string()),
        ("order", OrderId::of(transaction, 1).to_string()),
        ("transformation", TransformationId::of(transaction, 1).to_string()),
        ("factor set", FactorSetId::of(member("agency"), "base", 1).to_string()),
        ("content", ContentHash::of(b"").to_string()),
        ("effects of nothing", effects_digest(&[]).to_string()),
        ("root of an empty log", empty_root().to_string()),
    ];
    let expected = IDS.map(|(name, id)| (name, id.to_string()));
    assert_eq!(ids, expected);
}

const IDS: [(&str, &str); 10] = [
    ("network", "a9ebda31ff30de7d84298b57b346fcbb3ae4b31b9179405a9fa0ae27477d703e"),
    ("transaction", "a3c850233e10f960b5fab9c447adc28f4c3ed71124cf44b16b92e8b10536b74d"),
    ("member", "9648fb0d7facb4e09f600c620e03791cd34de8da7bf30a4fc2726bf30e8c594e"),
    ("lot", "6820b9b8dc74d18fbd444e8c0332010c4ad37c36953091656f5cbd231d997595"),
    ("order", "156ad0ef2fe80b30c012d1c784ceda3946269e476442f66ad89380899c7de480"),
    ("transformation", "8d780368ce1d9abf084d6f3e00bcb916f61054706fa153087ca4c10631cf3c89"),
    ("factor set", "8c9746bf9d811bac2ec2c8596cd026accf281235db5ed3af2dd3ff3444b65f9b"),
    ("content", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    ("effects of nothing", "1bd92b654f8de3a09069b074a87f8134d526c6f8c29b0f7b616d729659dc3569"),
    ("root of an empty log", "2252aa7c7022fec82c871a045cbcb26e765717ef01703caa848b9942ae9cd097"),
];

#[test]
fn one_of_each_operation() {
    let bytes = codec::encode(&one_of_each());
    assert_eq!(
        ContentHash::of(&bytes).to_string(),
        "44a94fdbb68e853359ff7f7b6f31fda63690001d52bf2f1b50a75abfb17196c8"
    );
}

#[test]
fn a_receipt() {
    let mut world = World::empty();
    let issue = Operation::IssueMoney(MoneyIssue {
        currency: "EUR".into(),
        to: member("rail"),
        amount: Minor::new(500),
    });
    let transaction = world.sign(&keypair("bank"), std::vec![issue]);
    let effects = world.commit(std::vec![Item::Transaction(transaction.clone())]);
    let executed = effects.executed[0].clone();
    let proof = Proof::of(&world.state, executed, Some(transaction.bytes()), 1).expect("proof");
    let expected = joined(RECEIPT);
    let root = "8595ffa0cc8ec838fa8fbf9579cbcb9a972a6edece255288834120aa727fac36";
    assert_eq!(
        (hex::encode(proof.encode()), effects.log_root.to_string()),
        (expected, root.to_string())
    );
}

const RECEIPT: &[(&str, &str)] = &[
    ("20081cab9e32f45a8be2af8e6a01cc7b1c58a5ff44826b17e92e8d157aeab552e9", "id of the transaction"),
    ("00", "leaf 0"),
    ("00", "applied"),
    ("02", "two rows"),
    ("04", "a key of 4 bytes"),
    ("07455552", "currency EUR"),
    ("0129", "there, 41 bytes"),
    ("209b2029b5745b2a3205e70304a151e8f926ffe8f0f68a28dd4a61e26012609f2d", "issuer"),
    ("fbf401", "issued: 500"),
    ("fbf401", "available: 500"),
    ("0000", "held, redeemed: nothing"),
    ("24", "a key of 36 bytes"),
    ("08b439d3a95c7501e453188501017474ca2ca30548aa80bec698ca38d4f11ab4d4", "account of rail"),
    ("455552", "in EUR"),
    ("0104", "there, 4 bytes"),
    ("fbf401", "available: 500"),
    ("00", "held: nothing"),
    ("01c0", "the transaction, 192 bytes"),
    ("0120a9ebda31ff30de7d84298b57b346fcbb3ae4b31b9179405a9fa0ae27477d703e", "version, network"),
    ("20ab800c0a6db8f29fe9965f89c12673dedbeb8c2293589f38cc938e1d633925ef", "signer"),
    ("fd0117c0cd8b010000fd00b90ad28b010000", "created, expires"),
    ("0104", "one operation: issue money"),
    ("03455552", "EUR"),
    ("20b439d3a95c7501e453188501017474ca2ca30548aa80bec698ca38d4f11ab4d4", "to rail"),
    ("fbf401", "500"),
    (
        "40fab57bd2f735be3910c5e6cc9e13dcaba34f337764497377de7d3f9bccea5c12fe9ce66d59c28bcf644c1eedeb9c6bccbb4f4a28b78ca93bdb599d6a8b96560a",
        "signature",
    ),
    ("00", "leaf 0"),
    ("01", "of 1"),
    ("00", "nothing beside the way"),
];

/// A vote of the one authority for another, and the rows that it makes: what light clients read.
#[test]
fn a_change_of_committee() {
    let mut table = Table::new(World::empty());
    let vote = table.asked("vote add=new at=/dns4/n/tcp/1");
    let encoded = hex::encode(codec::encode(&vote));
    let transaction = table.world.sign(&keypair("authority"), std::vec![vote]);
    let effects = table.world.commit(std::vec![Item::Transaction(transaction)]);
    let writes = &effects.executed[0].writes;
    let committee = hex::encode(codec::encode(writes));
    assert_eq!((encoded, committee), (joined(VOTE), joined(COMMITTEE)));
}

const VOTE: &[(&str, &str)] = &[
    ("13", "vote on the committee"),
    ("00", "in epoch 0"),
    ("0100", "for a change: add"),
    ("036e6577", "new"),
    ("2066f82d63c3fbc5f6fc773eb5bf7d513d0b406f2348eaa710701dc16e37c42c02", "its key"),
    ("01", "one address"),
    ("0d2f646e73342f6e2f7463702f31", "/dns4/n/tcp/1"),
    ("40b7a8eb550b5749a1a1296741f9df1950c88dfe9f8e8cbb7e4a2dd4f965bce0bc", "proof, R"),
    ("f758fc2c69841b1a4312d627bd7dd5ee25acd24fa466339853e5b27cb530f401", "proof, s"),
];
const COMMITTEE: &[(&str, &str)] = &[
    ("02", "two rows"),
    ("09150000000000000001", "the committee of epoch 1"),
    ("015b", "there, 91 bytes"),
    ("01", "epoch 1"),
    ("01", "decided in commit 1"),
    ("02", "two authorities"),
    ("01612075c6dc8d1bfc6b547794717525c03e3fa6a3032289caf360b5cbfe9b293934af", "a and its key"),
    ("00", "addresses of the genesis: none"),
    (
        "036e65772066f82d63c3fbc5f6fc773eb5bf7d513d0b406f2348eaa710701dc16e37c42c02",
        "new and its key",
    ),
    ("010d2f646e73342f6e2f7463702f31", "one address"),
    (
        "2916000000000000000075c6dc8d1bfc6b547794717525c03e3fa6a3032289caf360b5cbfe9b293934af",
        "the vote in epoch 0 of a",
    ),
    ("0177", "there, 119 bytes"),
    (
        "00036e65772066f82d63c3fbc5f6fc773eb5bf7d513d0b406f2348eaa710701dc16e37c42c02",
        "add new, its key",
    ),
    ("010d2f646e73342f6e2f7463702f31", "one address"),
    (
        "40b7a8eb550b5749a1a1296741f9df1950c88dfe9f8e8cbb7e4a2dd4f965bce0bcf758fc2c69841b1a4312d627bd7dd5ee25acd24fa466339853e5b27cb530f401",
        "proof",
    ),
    ("01", "voted in commit 1"),
];

/// Every row format and every rule is in these two digests.
#[test]
fn a_history() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "issue    by=bank to=rail amount=5000                                    -> ok
         declare  powder by=printer amount=1kg evidence=text/plain               -> ok
         reading  energy by=meter from=0 to=36000000                             -> ok
         declare  theirs by=press imported=default                               -> ok
         place    o1 by=press to=printer price=1000 gives=theirs:1g as=given     -> ok
         accept   o1 by=printer                                                  -> ok
         start    o1 by=printer                                                  -> ok
         complete o1 by=printer in=powder:120g,energy:3kWh,given:1g does=haul:5kgm:haul out=bracket:10pc:101g,scrap:20g:20g:waste:0 as=part,scrap -> ok
         confirm  o1 by=press                                                    -> ok
         sink     by=press of=part:3pc                                           -> ok
         sink     by=printer of=energy:1kWh kind=upkeep                          -> ok
         avoid    by=rail lot=part evidence=text/plain                           -> ok
         limits   by=maker machine=any:3600000:5:flag product=bracket:1pc:5:refuse -> ok
         restate  r1 by=printer lot=powder factor=proxy evidence=text/plain      -> ok
         restate  r2 by=printer made=part amount=7kgm factor=haul                -> ok
         restate  r3 by=maker lot=powder factor=bare                             -> ok
         decide   r3 by=auditor                                                  -> ok
         propose  p1 by=authority admit=forge                                    -> ok
         propose  p2 by=authority issuer=USD:rail                                -> ok
         propose  p3 by=authority version=2 from=999                             -> ok
         propose  p4 by=authority remove=forge                                   -> ok
         describe printer by=maker services=sintering processes=sls watts=6000 at=Hall zone=DE -> ok
         rotate   mill by=maker key=owner until=99 new=m2                        -> ok
         endkey   mill by=maker key=owner from=9                                 -> ok
         ownerkey mill by=maker key=owner new=mo                                 -> ok
         pay      by=rail to=maker amount=7                                      -> ok
         allow    press by=rail eur=900:1000 climate=5:50 period=3600000         -> ok
         place    o2 by=press to=printer price=3 hold=4 predicted=5              -> ok
         wait     ms=3600000                                                     -> 1 executed
         redeem   by=rail amount=9999                                            -> insufficient_funds",
    );
    let ledger = query::ledger(&table.world.state).expect("ledger");
    let digests = [ledger.state_digest.to_string(), ledger.log_root.to_string()];
    assert_eq!(digests, HISTORY.map(String::from));
}

const HISTORY: [&str; 2] = [
    "603378f435422fe03773ee15bad3d4b9e8f1bde6dd2ddaf34df38c25d75be131",
    "e274ed1c66a15cd02d74267d7c197e54708ff92fff3a6de85f0efd33691b594c",
];
