//! Writes what each target begins with: the golden vectors, and a few things made here.
//! `seeds FOLDER`: one folder per target, one file per seed. Files are named after their content.

use std::fs;
use std::path::{Path, PathBuf};

use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::factor::FactorRef;
use kerbholz_client::ledger::id::{FactorSetId, OrderId};
use kerbholz_client::ledger::operation::{
    DeclaredFootprint, LotDeclaration, MoneyIssue, Operation, OrderStep,
};
use kerbholz_client::ledger::quantity::{Milligrams, Minor, Quantity, Unit};
use kerbholz_client::order::{Order, pieces};
use kerbholz_fuzz::ledger::{genesis, member};

/// A golden vector of the repository, hexadecimal text.
fn golden(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    hex::decode(text.split_whitespace().collect::<String>()).expect("hexadecimal digits")
}

fn operations() -> Vec<Operation> {
    let terms = Order::of("bracket", pieces(1)).from(member("printer")).price("EUR", 100).terms();
    let order = OrderId::new([1; 32]);
    let step = OrderStep { order };
    let set = FactorSetId::of(member("agency"), "set", 1);
    vec![
        Operation::IssueMoney(MoneyIssue {
            currency: "EUR".into(),
            to: member("bank"),
            amount: Minor::new(1_000),
        }),
        Operation::DeclareLot(LotDeclaration {
            product: "powder".into(),
            quantity: Quantity::new(5, Unit::Milligram),
            mass: Milligrams::new(5),
            footprint: DeclaredFootprint::Factor(FactorRef { set, code: "powder".into() }),
            evidence: None,
        }),
        Operation::PlaceOrder(terms),
        Operation::AcceptOrder(step),
        Operation::StartOrder(step),
        Operation::ConfirmOrder(step),
    ]
}

/// Of a target that takes a number and bytes: `arbitrary` reads numbers from the front.
fn numbered(which: u8, bytes: &[u8]) -> Vec<u8> {
    let mut seed = vec![which];
    seed.extend(bytes);
    seed
}

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: seeds FOLDER"));
    let commit = golden("consensus/src/checkpoint/golden_commit.txt");
    let mut seeds: Vec<(&str, Vec<u8>)> = vec![
        ("block", golden("consensus/src/block/golden_block.txt")),
        ("agreed", numbered(0, &commit)),
        ("agreed", numbered(1, &golden("consensus/src/checkpoint/golden_checkpoint.txt"))),
        ("agreed", numbered(2, &golden("consensus/src/certificate/golden_commits.txt"))),
        ("agreed", numbered(3, &kerbholz_fuzz::committee(4, 60).config().encode())),
        ("evidence", golden("consensus/src/evidence/golden_evidence.txt")),
        ("receipt", golden("client/src/receipt/golden.hex")),
        ("genesis", codec::encode(&genesis())),
        ("genesis", serde_json::to_vec(&genesis()).expect("JSON")),
        ("storage", numbered(1, &golden("node/src/storage/segments/golden_segment.txt"))),
        ("frames", [&[2, 5, 0, 0, 0][..], b"hello", &[0, 0, 0, 0]].concat()),
        ("requests", numbered(4, &codec::encode(&vec![[7u8; 32]; 2]))),
    ];
    for (number, operation) in operations().into_iter().enumerate() {
        let bytes = codec::encode(&vec![operation]);
        seeds.push(("execute", numbered(number as u8, &bytes)));
    }
    for (target, seed) in seeds {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).expect("a folder for the seeds");
        let name = format!("{:08x}", crc32fast::hash(&seed));
        fs::write(folder.join(name), seed).expect("a seed");
    }
}

/// The libraries are instrumented and call a fuzzer, which this program is not.
mod no_fuzzer {
    macro_rules! ignore {
        ($($name:ident)*) => {
            $(#[unsafe(no_mangle)] extern "C" fn $name() {})*
        };
    }
    ignore! {
        __sanitizer_cov_8bit_counters_init __sanitizer_cov_pcs_init __sanitizer_cov_trace_pc_indir
        __sanitizer_cov_trace_switch
        __sanitizer_cov_trace_cmp1 __sanitizer_cov_trace_cmp2
        __sanitizer_cov_trace_cmp4 __sanitizer_cov_trace_cmp8
        __sanitizer_cov_trace_const_cmp1 __sanitizer_cov_trace_const_cmp2
        __sanitizer_cov_trace_const_cmp4 __sanitizer_cov_trace_const_cmp8
    }
}
