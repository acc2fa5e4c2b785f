//! Clients: they give transactions, wait for them to be final, and give again what a crash lost.

use super::{EPOCH_MS, Happening, MEMBER, World, authority::Authority, keypair};
use kerbholz_client::{
    consensus::Block,
    ledger::{
        id::{MemberId, NetworkId, TransactionId},
        keys::Keypair,
        operation::{MoneyIssue, Operation},
        quantity::{Minor, Timestamp},
        transaction::{Envelope, TRANSACTION_VERSION, Transaction, UnverifiedTransaction},
    },
};
use kerbholz_node::mempool::NotTaken;
use std::collections::{BTreeMap, BTreeSet};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// A transaction that clients gave.
pub struct Given {
    /// The transaction.
    pub transaction: Transaction,
    /// Whether it cannot be refused.
    pub applies: bool,
    /// At which nodes it waits, as far as they said so and did not crash since.
    holders: BTreeSet<usize>,
    /// Whose durable blocks hold it: no crash of those loses it any more.
    logged: BTreeSet<usize>,
    /// When a client heard that it is final.
    pub final_ms: Option<u64>,
    /// When it was given first.
    pub given_ms: u64,
}

/// All clients.
pub struct Clients {
    network: NetworkId,
    key: Keypair,
    given: Vec<Given>,
    numbers: BTreeMap<TransactionId, usize>,
}

impl Clients {
    pub(super) fn new(network: NetworkId) -> Self {
        let key = keypair(MEMBER, 0);
        Self { network, key, given: Vec::new(), numbers: BTreeMap::new() }
    }

    /// Every transaction so far.
    pub fn given(&self) -> &[Given] {
        &self.given
    }

    /// One unit of money for the bank: each transaction that is executed shows in the books.
    fn money(&mut self, now_ms: u64) -> usize {
        let issue = MoneyIssue {
            currency: "EUR".into(),
            to: MemberId::of(&self.key.public()),
            amount: Minor::new(1),
        };
        let key = self.key.clone();
        self.sign(now_ms, &key, Operation::IssueMoney(issue), true)
    }

    /// An authority's vote. It may come too late, and be refused.
    pub(super) fn ballot(&mut self, now_ms: u64, key: &Keypair, vote: Operation) -> usize {
        self.sign(now_ms, key, vote, false)
    }

    fn sign(&mut self, now_ms: u64, key: &Keypair, operation: Operation, applies: bool) -> usize {
        let number = self.given.len();
        let created = EPOCH_MS - 12 * HOUR_MS + number as u64;
        let envelope = Envelope {
            version: TRANSACTION_VERSION,
            network: self.network,
            signer: key.public(),
            created_at: Timestamp::new(created),
            expires_at: Timestamp::new(created + 24 * HOUR_MS),
            operations: vec![operation],
        };
        let transaction = envelope.sign(key);
        self.numbers.insert(transaction.id(), number);
        self.given.push(Given {
            transaction,
            applies,
            holders: BTreeSet::new(),
            logged: BTreeSet::new(),
            final_ms: None,
            given_ms: now_ms,
        });
        number
    }

    /// A block of an authority is durable: its transactions survive any crash of it.
    pub(super) fn logged(&mut self, node: usize, block: &Block) {
        for item in block.payload() {
            let id = UnverifiedTransaction::decode(item).ok().map(|known| known.id());
            if let Some(number) = id.and_then(|id| self.numbers.get(&id)) {
                self.given[*number].logged.insert(node);
            }
        }
    }

    /// Transactions are final, as a node says.
    pub(super) fn executed(&mut self, node: usize, now_ms: u64, transactions: &[TransactionId]) {
        for id in transactions {
            if let Some(number) = self.numbers.get(id) {
                let given = &mut self.given[*number];
                given.holders.remove(&node);
                given.final_ms.get_or_insert(now_ms);
            }
        }
    }

    /// A node lost its disk, or its place: which transactions have nowhere to wait any more.
    pub(super) fn left(&mut self, node: usize) -> Vec<usize> {
        let mut lost = self.crashed(node);
        for (number, given) in self.given.iter_mut().enumerate() {
            let was_logged = given.logged.remove(&node);
            let safe = !given.holders.is_empty() || !given.logged.is_empty();
            if was_logged && given.final_ms.is_none() && !safe {
                lost.push(number);
            }
        }
        lost
    }

    /// A node crashed: which transactions have nowhere to wait any more.
    pub(super) fn crashed(&mut self, node: usize) -> Vec<usize> {
        let mut lost = Vec::new();
        for (number, given) in self.given.iter_mut().enumerate() {
            let was_here = given.holders.remove(&node);
            let safe = !given.holders.is_empty() || !given.logged.is_empty();
            if was_here && given.final_ms.is_none() && !safe {
                lost.push(number);
            }
        }
        lost
    }
}

impl World {
    /// A new transaction, to one authority or to two.
    pub(super) fn load(&mut self) {
        let (least, most) = self.plan.load_ms;
        let pause_ms = self.random.between(least, most);
        if self.now_ms + pause_ms < self.plan.busy_until_ms {
            self.after(pause_ms, Happening::Load);
        }
        let number = self.clients.money(self.now_ms);
        self.tally.transactions += 1;
        if self.now_ms >= self.plan.wake_ms {
            return self.submit_to_member(number);
        }
        self.submit_anywhere(number);
        if self.random.permille(100) {
            self.submit_anywhere(number);
        }
    }

    pub(super) fn resubmit(&mut self, number: usize) {
        let given = &self.clients.given[number];
        if given.final_ms.is_none() && given.holders.is_empty() && given.logged.is_empty() {
            self.tally.resubmitted += 1;
            self.submit_anywhere(number);
        }
    }

    /// To whoever is up, and not known to be faulty: what the others let wait is ordered late.
    fn submit_anywhere(&mut self, number: usize) {
        let is_up = |(node, authority): &(usize, &Authority)| {
            authority.running.is_some() && !self.oracle.is_accused(*node)
        };
        let up: Vec<usize> = self.honest().filter(is_up).map(|(node, _)| node).collect();
        if up.is_empty() {
            return self.after(500, Happening::Resubmit { number });
        }
        let node = up[self.random.below(up.len())];
        self.submit(node, number);
    }

    /// To a member of the newest committee that knows it is one: how fast the others answer is
    /// what is measured, and not how long a client looks for somebody who takes its transaction.
    fn submit_to_member(&mut self, number: usize) {
        let newest = self.oracle.epochs() - 1;
        let is_member = |(node, authority): (usize, &Authority)| {
            let committee = authority.running.as_ref()?.replica().committee();
            let is_member = committee.index_of(&self.keys[node]).is_some();
            let is_trusted = !self.oracle.is_accused(node);
            (is_member && is_trusted && committee.config().epoch == newest).then_some(node)
        };
        let members: Vec<usize> = self.honest().filter_map(is_member).collect();
        if members.is_empty() {
            return self.submit_anywhere(number);
        }
        let node = members[self.random.below(members.len())];
        self.submit(node, number);
    }

    fn submit(&mut self, node: usize, number: usize) {
        let transaction = self.clients.given[number].transaction.clone();
        let (now_ms, id) = (self.now_ms, transaction.id());
        self.trace.note(now_ms, node, "is given", &[number as u64], id.as_bytes(), || number);
        let Some(authority) = self.authority_mut(node) else { return };
        let Some((taken, actions)) = authority.submit(now_ms, &transaction) else { return };
        match taken {
            Ok(()) | Err(NotTaken::Waiting) => {
                self.clients.given[number].holders.insert(node);
            }
            Err(NotTaken::Full) => self.after(1_000, Happening::Resubmit { number }),
        }
        self.perform(node, actions);
    }
}
