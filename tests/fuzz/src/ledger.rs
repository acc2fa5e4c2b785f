//! A small ledger: two organisations with a machine each, a publisher, money, and whatever the fuzzer
//! has its members do.

use kerbholz_client::ledger::balance;
use kerbholz_client::ledger::execute::{self, Commit, Item};
use kerbholz_client::ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
};
use kerbholz_client::ledger::governance::PROTOCOL_VERSION;
use kerbholz_client::ledger::id::{MemberId, NetworkId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::operation::{
    Enrolled, Enrolment, KEY_PROOF_DOMAIN, Operation, key_proof_message,
};
use kerbholz_client::ledger::quantity::{CommitIndex, Milliseconds, Timestamp};
use kerbholz_client::ledger::transaction::{Envelope, TRANSACTION_VERSION};

/// Who may sign, by the fuzzer's number: an authority, two organisations, a publisher, two machines.
const NAMES: [&str; 6] = ["one", "bank", "maker", "agency", "press", "printer"];
const BEGIN: Timestamp = Timestamp::new(1_000_000);

/// The state, and what is in it.
pub struct Ledger {
    network: NetworkId,
    state: Memory,
    commit: u64,
}

fn key(name: &str) -> Keypair {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Keypair::from_seed(&seed)
}

/// The member of this name.
pub fn member(name: &str) -> MemberId {
    MemberId::of(&key(name).public())
}

/// The genesis all of this begins with.
pub fn genesis() -> Genesis {
    let member = |name: &str| {
        let public = key(name).public();
        GenesisMember { name: name.into(), owner_key: public, signing_key: public }
    };
    Genesis {
        version: GENESIS_VERSION,
        name: "fuzz".into(),
        created_at: BEGIN,
        authorities: vec![GenesisAuthority { name: "one".into(), key: key("one").public() }],
        organisations: vec![member("bank"), member("maker")],
        publishers: vec![member("agency")],
        auditors: Vec::new(),
        currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "bank".into() }],
        accounting: Accounting::default(),
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// The ledger in which the two machines are enrolled.
    pub fn new() -> Self {
        let genesis = genesis();
        let mut state = Memory::default();
        state.apply(&execute::genesis(&genesis).expect("a valid genesis").writes);
        let mut ledger = Self { network: genesis.network(), state, commit: 0 };
        for (organisation, machine) in [(1, "press"), (2, "printer")] {
            let enrolment = ledger.enrolment(member(NAMES[usize::from(organisation)]), machine);
            ledger.execute(organisation, vec![Operation::Enrol(enrolment)]);
        }
        ledger
    }

    fn enrolment(&self, organisation: MemberId, name: &str) -> Enrolment {
        let proof = key_proof_message(self.network, organisation);
        Enrolment {
            name: name.into(),
            kind: Enrolled::Machine,
            owner_key: key(name).public(),
            signing_key: key(name).public(),
            key_proof: key(name).sign(KEY_PROOF_DOMAIN, &proof),
            owner_proof: key(name).sign(KEY_PROOF_DOMAIN, &proof),
        }
    }

    /// Signs and executes the operations: the outcome is an answer, and the books balance.
    pub fn execute(&mut self, by: u8, operations: Vec<Operation>) {
        let by = key(NAMES[usize::from(by) % NAMES.len()]);
        self.commit += 1;
        // No two transactions are equal, or the second would be a repetition.
        let expires_at = BEGIN.saturating_add(Milliseconds::new(1_000_000 + self.commit));
        let envelope = Envelope {
            version: TRANSACTION_VERSION,
            network: self.network,
            signer: by.public(),
            created_at: BEGIN,
            expires_at,
            operations,
        };
        let commit = Commit {
            index: CommitIndex::new(self.commit),
            time: BEGIN.saturating_add(Milliseconds::new(self.commit)),
            items: vec![Item::Transaction(envelope.sign(&by))],
        };
        // The authority may activate a version that this software does not know: it stops before.
        let version =
            execute::version_of(&self.state, commit.index).expect("the state can be read");
        if version > PROTOCOL_VERSION {
            return;
        }
        let effects = execute::execute(&commit, &self.state).expect("the state can be read");
        assert!(effects.writes.is_sorted_by(|a, b| a.key < b.key));
        for executed in &effects.executed {
            assert!(executed.result.is_ok() || executed.writes.is_empty());
        }
        self.state.apply(&effects.writes);
        balance::check(&self.state).expect("the books balance");
    }
}
