//! The judge: it restates what must hold with headers and plain sets, and shares no code with what
//! it judges. It sees what every honest authority does, and remembers across crashes.
//!
//! [`rule`] is the commit rule, `order` what a commit must contain, `epoch` all that belongs to one
//! committee, `whole` what only the whole run shows. Of the code under test it uses types, the
//! schedule of leaders, and digests.

mod epoch;
mod order;
pub mod rule;
mod whole;

use crate::simulator::tally::Tally;
use epoch::Epoch;
use kerbholz_client::consensus::{
    AuthorityIndex, Block, BlockDigest, Checkpoint, Commit, Committee, Domain, Evidence, Offence,
    Parameters, PublicKey, Round, Status,
};
use kerbholz_node::replica::Executed;
use std::collections::{BTreeMap, BTreeSet};
pub use whole::Window;

/// Something that must not happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What must hold.
    pub rule: &'static str,
    /// What happened instead.
    pub what: String,
    /// When.
    pub at_ms: u64,
}

/// The judge of one run.
pub struct Oracle {
    now_ms: u64,
    /// The keys of the liars.
    liars: BTreeSet<PublicKey>,
    keys: Vec<PublicKey>,
    /// Honest ones that do not know what they have signed.
    excused: BTreeSet<usize>,
    epochs: Vec<Epoch>,
    /// What each honest authority let others see of a round.
    signed: BTreeMap<(usize, Domain, Round), BlockDigest>,
    /// Who could still tell an authority that lost its disk of its blocks, up to which round.
    keepers: BTreeMap<(usize, Domain), BTreeMap<usize, Round>>,
    /// The next commit of each authority.
    next: BTreeMap<usize, u64>,
    /// The newest commit each authority said it executed.
    executed: BTreeMap<usize, u64>,
    results: BTreeMap<u64, ([u8; 32], [u8; 32])>,
    checkpoints: BTreeSet<u64>,
    accused: BTreeSet<PublicKey>,
    most_suspended: u64,
    violations: Vec<Violation>,
}

impl Oracle {
    /// Before anything happened; `keys` are those of the nodes in order.
    pub fn new(committee: &Committee, keys: &[PublicKey], liars: &[usize]) -> Self {
        Self {
            now_ms: 0,
            liars: liars.iter().map(|node| keys[*node]).collect(),
            keys: keys.to_vec(),
            excused: BTreeSet::new(),
            epochs: vec![Epoch::new(committee, 0, 0, None)],
            signed: BTreeMap::new(),
            keepers: BTreeMap::new(),
            next: BTreeMap::new(),
            executed: BTreeMap::new(),
            results: BTreeMap::new(),
            checkpoints: BTreeSet::new(),
            accused: BTreeSet::new(),
            most_suspended: 0,
            violations: Vec::new(),
        }
    }

    /// Time goes on.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// What was violated so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Something must not have happened.
    pub fn violated(&mut self, rule: &'static str, what: String) {
        self.violations.push(Violation { rule, what, at_ms: self.now_ms });
    }

    /// How many epochs there were.
    pub fn epochs(&self) -> u64 {
        self.epochs.len() as u64
    }

    fn epoch_of(&mut self, domain: Domain) -> Option<&mut Epoch> {
        self.epochs.iter_mut().rev().find(|epoch| epoch.committee.domain() == domain)
    }

    /// An authority starts with so many commits stored; `wiped` if its disk was emptied before.
    pub fn opened(&mut self, node: usize, stored: u64, wiped: bool) {
        let executed = self.executed.get(&node).copied().unwrap_or_default();
        if stored < executed && !wiped {
            let what = format!("n{node} executed commit {executed} and has {stored} after a crash");
            self.violated("what was acknowledged is durable", what);
        }
        if wiped {
            self.executed.remove(&node);
        }
        self.next.insert(node, stored + 1);
    }

    /// An authority is in an epoch that began after the commit `base`. Says whether it is the first.
    pub fn entered(&mut self, node: usize, committee: &Committee, base: u64) -> bool {
        let number = committee.config().epoch;
        let now_ms = self.now_ms;
        self.next.insert(node, base + 1);
        let known = usize::try_from(number).ok().and_then(|number| self.epochs.get_mut(number));
        if let Some(known) = known {
            known.entered_ms = now_ms;
            if known.committee != *committee || known.base != base {
                self.violated("epochs are the same for all", format!("n{node} in {number}"));
            }
            return false;
        }
        let follows = self.epochs.last().is_some_and(|before| {
            number == self.epochs.len() as u64
                && before.closing == Some(base)
                && before.digest(base) == Some(committee.config().previous)
        });
        if !follows {
            let what = format!("n{node} begins epoch {number} after commit {base}");
            self.violated("an epoch begins where the one before was closed", what);
        }
        let time = self.epochs.last().map(|before| before.order.time_at(base - before.base));
        self.epochs.push(Epoch::new(committee, base, now_ms, time));
        true
    }

    /// An authority accepted a block, or made it.
    pub fn accepted(&mut self, node: usize, block: &Block) {
        let (now_ms, key) = (self.now_ms, self.keys[node]);
        let Some(epoch) = self.epoch_of(block.header().domain) else { return };
        let reference = block.reference();
        if epoch.committee.key(reference.author) == Some(key) {
            epoch.made_ms.entry((reference.round, reference.author)).or_insert(now_ms);
        }
        epoch.blocks.entry(reference).or_insert_with(|| block.clone());
    }

    /// An authority let somebody see a block of its own.
    pub fn sent(&mut self, node: usize, block: &Block) {
        let (reference, domain) = (block.reference(), block.header().domain);
        let is_durable = self
            .epoch_of(domain)
            .is_some_and(|it| it.made_ms.contains_key(&(reference.round, reference.author)));
        if !is_durable {
            self.violated("durable before sent", format!("n{node} sends {reference}"));
        }
        let earlier = self.signed.insert((node, domain, reference.round), reference.digest);
        let is_twin = earlier.is_some_and(|earlier| earlier != reference.digest);
        if is_twin && !self.excuse(node, domain, reference.round) {
            let what = format!("n{node} signed two blocks of round {}", reference.round);
            self.violated("one signed digest per honest author and round", what);
        }
    }

    /// Whether an authority could not know of a block of its own (§8.5): it was given an old copy of
    /// its disk, or lost its disk, and of the other honest ones so few had the block and stayed up
    /// that its `2f + 1` answers need not include one of theirs. From then on it counts as faulty.
    pub fn excuse(&mut self, node: usize, domain: Domain, round: Round) -> bool {
        let Some(keepers) = self.keepers.get(&(node, domain)) else {
            return self.is_excused(node);
        };
        let count = keepers.values().filter(|newest| **newest >= round).count();
        let Some(n) = self.epoch_of(domain).map(|epoch| epoch.committee.size()) else {
            return false;
        };
        if count + 2 * ((n - 1) / 3) + 1 < n {
            self.excused.insert(node);
        }
        self.is_excused(node)
    }

    /// An authority lost its disk, while others could tell it of its blocks in an epoch up to a round.
    pub fn wiped(&mut self, node: usize, told: &[(usize, Domain, Round)]) {
        self.keepers.retain(|(wiped, _), _| *wiped != node);
        for epoch in &self.epochs {
            self.keepers.entry((node, epoch.committee.domain())).or_default();
        }
        for (keeper, domain, newest) in told {
            self.keepers.entry((node, *domain)).or_default().insert(*keeper, *newest);
        }
    }

    /// The power of an authority failed: it may have forgotten others' blocks.
    pub fn crashed(&mut self, node: usize) {
        self.keepers.values_mut().for_each(|keepers| {
            keepers.remove(&node);
        });
    }

    /// An authority was given an old copy of its disk: from now on it counts as faulty.
    pub fn put_back(&mut self, node: usize) {
        self.excused.insert(node);
    }

    /// Whether an authority counts as faulty, since it does not know what it has signed.
    pub fn is_excused(&self, node: usize) -> bool {
        self.excused.contains(&node)
    }

    /// An authority committed, in its present epoch.
    pub fn committed(&mut self, node: usize, domain: Domain, commit: &Commit) {
        let index = commit.index();
        let next = self.next.insert(node, index + 1).unwrap_or(1);
        if next != index {
            self.violated("commits come in order", format!("n{node}: {index} instead of {next}"));
        }
        let verdict = self.epoch_of(domain).map(|epoch| epoch.commit(commit));
        if let Some(Err((rule, what))) = verdict {
            self.violated(rule, format!("n{node}: {what}"));
        }
    }

    /// An authority executed a commit and made the outcome durable.
    pub fn executed(&mut self, node: usize, done: &Executed) {
        let result = (done.log_root, done.state_digest);
        let known = *self.results.entry(done.index).or_insert(result);
        if known != result {
            let what = format!("n{node} at commit {}", done.index);
            self.violated("equal state digests", what);
        }
        let at = self.executed.entry(node).or_default();
        *at = done.index.max(*at);
        if let Some(epoch) = self.epochs.iter_mut().rev().find(|it| it.base < done.index) {
            let closing = epoch.closing;
            if done.closes {
                epoch.closing = Some(done.index);
            }
            let is_same = closing
                .is_none_or(|closing| done.index < closing || done.index == closing && done.closes);
            if !is_same {
                let what = format!("n{node}: commit {} after {closing:?}", done.index);
                self.violated("an epoch ends where all end it", what);
            }
        }
    }

    /// An authority reports a checkpoint.
    pub fn checkpoint(&mut self, node: usize, checkpoint: &Checkpoint) {
        let statement = &checkpoint.statement;
        let Some(epoch) = self.epochs.iter().rev().find(|it| it.base < statement.index) else {
            return;
        };
        let n = epoch.committee.size();
        let signers: BTreeSet<_> = checkpoint.signatures.iter().map(|(who, _)| *who).collect();
        let is_true = epoch.digest(statement.index) == Some(statement.commit_digest)
            && self.results.get(&statement.index)
                == Some(&(statement.log_root, statement.state_digest));
        // The signatures of one checkpoint per commit are enough to see that they are looked at.
        let is_new = !self.checkpoints.contains(&statement.index);
        let is_signed = signers.len() >= n - (n - 1) / 3
            && !(is_new && checkpoint.verify(&epoch.committee).is_err());
        self.checkpoints.insert(statement.index);
        if !is_true || !is_signed {
            self.violated("checkpoints are true and signed", format!("n{node}: {statement:?}"));
        }
    }

    /// An authority accuses another, in its present epoch. Says whether it is the first to accuse it.
    pub fn accused(
        &mut self,
        node: usize,
        committee: &Committee,
        authority: AuthorityIndex,
        offence: &Offence,
    ) -> bool {
        let key = committee.key(authority);
        let is_liar = key.is_some_and(|key| self.liars.contains(&key));
        let is_excused = key
            .is_some_and(|key| self.excused.iter().any(|node| self.keys.get(*node) == Some(&key)));
        if !is_liar && !is_excused {
            let what = format!("n{node} accuses {authority}: {offence:?}");
            self.violated("nobody honest is accused", what);
        }
        if matches!(offence, Offence::Equivocation { .. }) {
            // What is kept convinces third parties, from its bytes alone.
            let evidence = offence.evidence().map(|evidence| evidence.encode());
            let read = evidence.and_then(|bytes| Evidence::decode(&bytes).ok());
            if read.is_none_or(|evidence| evidence.verify(committee).is_err()) {
                self.violated("evidence is evidence", format!("n{node}: {offence:?}"));
            }
        }
        key.is_some_and(|key| self.accused.insert(key))
    }

    /// Whether somebody has shown that an authority is faulty: the others let it wait (§6.6).
    pub fn is_accused(&self, node: usize) -> bool {
        self.keys.get(node).is_some_and(|key| self.accused.contains(key))
    }

    /// How an authority stands: everything it keeps has its bound.
    pub fn status(
        &mut self,
        node: usize,
        size: usize,
        status: &Status,
        parameters: &Parameters,
        tally: &mut Tally,
    ) {
        let suspended_max = 4 * parameters.suspended_blocks_max * size;
        let rounds = status.round.max(status.quorum_round).0.saturating_sub(status.gc_round.0);
        // An equivocator can have one block for each of the others accepted.
        let per_round = size + self.liars.len() * size;
        let accepted_max = (rounds as usize + 4) * per_round;
        let bounds = [
            ("accepted", status.blocks_accepted, accepted_max),
            ("suspended", status.blocks_suspended, suspended_max),
            ("wanted", status.blocks_wanted, (status.blocks_suspended + 1) * size),
            ("queued", status.queue_items, parameters.queue_items_max),
        ];
        for (what, found, most) in bounds {
            if found > most && !status.catching_up {
                self.violated("memory is bounded", format!("n{node}: {found} {what} > {most}"));
            }
        }
        let suspended = status.blocks_suspended as u64;
        if suspended > self.most_suspended {
            tally.suspended += suspended - self.most_suspended;
            self.most_suspended = suspended;
        }
    }
}
