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
        ("0a92dc4ba2e182c40716359c18de7cd9d9639689cf11cba10352877a71b35353", "network"),
        ("63bceacce35934a65b386417114fdf110c1d2fb33f19a27351452b22b72086b3", "signer"),
        ("fd0068e5cf8b010000", "created: 1_700_000_000_000 ms"),
        ("fd80561cd08b010000", "expires: 1_700_003_600_000 ms"),
        ("02", "two operations"),
        ("0b", "sink a lot"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the lot"),
        ("fbe80301", "1000 mg of it"),
        ("00", "consumed"),
        ("0d", "accept an order"),
        ("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "the order"),
        ("171ee962d5d1ecd065928106aca324c937f5d0ca595e9fc90d96e82a2f05733b", "signature, R"),
        ("dd371ac418fb727e88b6e5d40fa897b3d024c8a7c88848e88baea76fe138d909", "signature, s"),
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
    ("network", "0a92dc4ba2e182c40716359c18de7cd9d9639689cf11cba10352877a71b35353"),
    ("transaction", "afc9a2949db0f6755289323015cd19730bb213c2d82da6ebfdbc76ff84d57113"),
    ("member", "9648fb0d7facb4e09f600c620e03791cd34de8da7bf30a4fc2726bf30e8c594e"),
    ("lot", "d033d456a9ac0d9e7e1f89cf11763879b43d5bfd30de1760e1e9525482bb04a2"),
    ("order", "ac2dbc64fc16521bfa6b3c69c507d0acb8bad935b4f347d5cc0b667ab1521e5b"),
    ("transformation", "557870b1aad7c19d7f40331a5c173ec8b34b80bdd5754ce0dafac817186ba19f"),
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
        "3aa0fa00760c04ab11848c75f47cf282a8002bccd2fac0a9a4dd44cbfbd8c685"
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
    assert_eq!(hex::encode(proof.encode()), expected);
    assert_eq!(
        effects.log_root.to_string(),
        "bb18a03e8b107fc8a2a7f8eed00a41efa5deda4e79c2d374b06b0e35e8b9cdad"
    );
}

const RECEIPT: &[(&str, &str)] = &[
    ("112bd771a4855675f8d96c238edf69420a9e9e97ff15e66cdd0004743fbc059d", "id of the transaction"),
    ("00", "leaf 0"),
    ("00", "applied"),
    ("02", "two rows"),
    ("04", "a key of 4 bytes"),
    ("07455552", "currency EUR"),
    ("0128", "there, 40 bytes"),
    ("9b2029b5745b2a3205e70304a151e8f926ffe8f0f68a28dd4a61e26012609f2d", "issuer"),
    ("fbf401", "issued: 500"),
    ("fbf401", "available: 500"),
    ("0000", "held, redeemed: nothing"),
    ("24", "a key of 36 bytes"),
    ("08b439d3a95c7501e453188501017474ca2ca30548aa80bec698ca38d4f11ab4d4", "account of rail"),
    ("455552", "in EUR"),
    ("0104", "there, 4 bytes"),
    ("fbf401", "available: 500"),
    ("00", "held: nothing"),
    ("01bc", "the transaction, 188 bytes"),
    ("010a92dc4ba2e182c40716359c18de7cd9d9639689cf11cba10352877a71b35353", "version, network"),
    ("ab800c0a6db8f29fe9965f89c12673dedbeb8c2293589f38cc938e1d633925ef", "signer"),
    ("fd0117c0cd8b010000fd00b90ad28b010000", "created, expires"),
    ("0104", "one operation: issue money"),
    ("03455552", "EUR"),
    ("b439d3a95c7501e453188501017474ca2ca30548aa80bec698ca38d4f11ab4d4", "to rail"),
    ("fbf401", "500"),
    (
        "6ce710444a1ecc3fcb181c2852279564037b8cf8cb3f5730c94a60fe4b6860508dd0558d9a50b777d67903b604eebd38f16e4c4043e05b95433e30acf531b403",
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
    assert_eq!(hex::encode(codec::encode(&vote)), joined(VOTE));
    let transaction = table.world.sign(&keypair("authority"), std::vec![vote]);
    let effects = table.world.commit(std::vec![Item::Transaction(transaction)]);
    let writes = &effects.executed[0].writes;
    assert_eq!(hex::encode(codec::encode(writes)), joined(COMMITTEE));
}

const VOTE: &[(&str, &str)] = &[
    ("13", "vote on the committee"),
    ("00", "in epoch 0"),
    ("0100", "for a change: add"),
    ("036e6577", "new"),
    ("66f82d63c3fbc5f6fc773eb5bf7d513d0b406f2348eaa710701dc16e37c42c02", "its key"),
    ("01", "one address"),
    ("0d2f646e73342f6e2f7463702f31", "/dns4/n/tcp/1"),
    ("f1481171dd1d9fe2e9227da0907523b45f90b9e271d3385efde8166fa444598e", "proof, R"),
    ("d690c1890440325fc7215298592ae9af835c9f482183fa138783b1454202e20a", "proof, s"),
];
const COMMITTEE: &[(&str, &str)] = &[
    ("02", "two rows"),
    ("09150000000000000001", "the committee of epoch 1"),
    ("0159", "there, 89 bytes"),
    ("01", "epoch 1"),
    ("01", "decided in commit 1"),
    ("02", "two authorities"),
    ("016175c6dc8d1bfc6b547794717525c03e3fa6a3032289caf360b5cbfe9b293934af", "a and its key"),
    ("00", "addresses of the genesis: none"),
    ("036e657766f82d63c3fbc5f6fc773eb5bf7d513d0b406f2348eaa710701dc16e37c42c02", "new and its key"),
    ("010d2f646e73342f6e2f7463702f31", "one address"),
    (
        "2916000000000000000075c6dc8d1bfc6b547794717525c03e3fa6a3032289caf360b5cbfe9b293934af",
        "the vote in epoch 0 of a",
    ),
    ("0175", "there, 117 bytes"),
    (
        "00036e657766f82d63c3fbc5f6fc773eb5bf7d513d0b406f2348eaa710701dc16e37c42c02",
        "add new, its key",
    ),
    ("010d2f646e73342f6e2f7463702f31", "one address"),
    (
        "f1481171dd1d9fe2e9227da0907523b45f90b9e271d3385efde8166fa444598ed690c1890440325fc7215298592ae9af835c9f482183fa138783b1454202e20a",
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
         place    o2 by=press to=printer                                         -> ok
         wait     ms=3600000                                                     -> 1 executed
         redeem   by=rail amount=9999                                            -> insufficient_funds",
    );
    let ledger = query::ledger(&table.world.state).expect("ledger");
    assert_eq!(
        ledger.state_digest.to_string(),
        "7c8402ba31008e255d4010275ac9b516364b5c163afdec6ea54c1e1263e0bf99"
    );
    assert_eq!(
        ledger.log_root.to_string(),
        "b900d8c946480e14a0051863f06a0d3cb5e2ce883a6ae462a7827322ae2f0980"
    );
}
