//! The judge: it restates what must hold with headers and plain sets, and shares no code with what
//! it judges. It sees what every honest authority does, and remembers across crashes.
//!
//! [`rule`] is the commit rule, `order` what a commit must contain. Of the code under test it uses
//! types, the leader schedule, and digests.

mod order;
pub mod rule;

use crate::simulator::tally::Tally;
use kerbholz_client::consensus::{
    AuthorityIndex, Block, BlockDigest, BlockRef, Checkpoint, Commit, CommitDigest, Committee,
    Offence, Parameters, Round, Status,
};
use kerbholz_node::replica::Executed;
use order::Order;
use rule::Verdict;
use std::collections::{BTreeMap, BTreeSet};

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
    committee: Committee,
    liars: BTreeSet<usize>,
    /// Every block an honest authority accepted.
    blocks: BTreeMap<BlockRef, Block>,
    /// When each honest authority made its block of a round.
    made_ms: BTreeMap<(Round, AuthorityIndex), u64>,
    /// What each honest authority let others see of a round.
    signed: BTreeMap<(usize, Round), BlockDigest>,
    order: Order,
    digests: Vec<CommitDigest>,
    /// The next commit of each authority.
    next: BTreeMap<usize, u64>,
    /// The newest commit each authority said it executed.
    executed: BTreeMap<usize, u64>,
    results: BTreeMap<u64, ([u8; 32], [u8; 32])>,
    checkpoints: BTreeSet<u64>,
    accused: BTreeSet<AuthorityIndex>,
    most_suspended: u64,
    violations: Vec<Violation>,
}

impl Oracle {
    /// Before anything happened.
    pub fn new(committee: Committee, liars: Vec<usize>) -> Self {
        Self {
            now_ms: 0,
            order: Order::new(&committee),
            committee,
            liars: liars.into_iter().collect(),
            blocks: BTreeMap::new(),
            made_ms: BTreeMap::new(),
            signed: BTreeMap::new(),
            digests: Vec::new(),
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

    fn is_honest(&self, authority: AuthorityIndex) -> bool {
        !self.liars.contains(&authority.position())
    }

    /// An authority starts with so many commits stored.
    pub fn opened(&mut self, node: usize, stored: u64) {
        let executed = self.executed.get(&node).copied().unwrap_or_default();
        if stored < executed {
            let what = format!("n{node} executed commit {executed} and has {stored} after a crash");
            self.violated("what was acknowledged is durable", what);
        }
        self.next.insert(node, stored + 1);
    }

    /// An authority accepted a block, or made it.
    pub fn accepted(&mut self, node: usize, block: &Block) {
        let reference = block.reference();
        if reference.author.position() == node {
            self.made_ms.entry((reference.round, reference.author)).or_insert(self.now_ms);
        }
        self.blocks.entry(reference).or_insert_with(|| block.clone());
    }

    /// An authority let somebody see a block of its own.
    pub fn sent(&mut self, node: usize, block: &Block) {
        let reference = block.reference();
        if !self.made_ms.contains_key(&(reference.round, reference.author)) {
            self.violated("durable before sent", format!("n{node} sends {reference}"));
        }
        let earlier = self.signed.insert((node, reference.round), reference.digest);
        if earlier.is_some_and(|earlier| earlier != reference.digest) {
            let what = format!("n{node} signed two blocks of round {}", reference.round);
            self.violated("one signed digest per honest author and round", what);
        }
    }

    /// An authority committed.
    pub fn committed(&mut self, node: usize, commit: &Commit) {
        let index = commit.index();
        let next = self.next.insert(node, index + 1).unwrap_or(1);
        if next != index {
            self.violated("commits come in order", format!("n{node}: {index} instead of {next}"));
        }
        let known = usize::try_from(index - 1).ok().and_then(|at| self.order.log().get(at));
        match known {
            Some(known) if known == commit.header() => {}
            Some(known) => {
                let what = format!("n{node} commits {:?}, another {known:?}", commit.header());
                self.violated("agreement", what);
            }
            None => {
                let previous = self.digests.last().copied().unwrap_or(CommitDigest::NONE);
                match self.order.extend(&self.blocks, commit.leader(), index, previous) {
                    Err(what) => self.violated("a commit is what its leader orders", what),
                    Ok(expected) if expected != *commit.header() => {
                        let what = format!("n{node}: {:?}, not {expected:?}", commit.header());
                        self.violated("a commit is what its leader orders", what);
                    }
                    Ok(_) => self.digests.push(commit.digest()),
                }
            }
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
        let executed = self.executed.entry(node).or_default();
        *executed = done.index.max(*executed);
    }

    /// An authority reports a checkpoint.
    pub fn checkpoint(&mut self, node: usize, checkpoint: &Checkpoint) {
        let statement = &checkpoint.statement;
        let at = usize::try_from(statement.index).ok().and_then(|index| index.checked_sub(1));
        let digest = at.and_then(|at| self.digests.get(at));
        let result = self.results.get(&statement.index);
        let is_true = digest == Some(&statement.commit_digest)
            && result == Some(&(statement.log_root, statement.state_digest));
        let signers: BTreeSet<_> = checkpoint.signatures.iter().map(|(who, _)| *who).collect();
        let is_signed = signers.len() >= self.committee.size() - (self.committee.size() - 1) / 3;
        // The signatures of one checkpoint per commit are enough to see that they are looked at.
        let is_new = self.checkpoints.insert(statement.index);
        if !is_true || !is_signed || is_new && checkpoint.verify(&self.committee).is_err() {
            self.violated("checkpoints are true and signed", format!("n{node}: {statement:?}"));
        }
    }

    /// An authority accuses another.
    pub fn accused(&mut self, node: usize, authority: AuthorityIndex, offence: &Offence) {
        if self.is_honest(authority) {
            let what = format!("n{node} accuses {authority}: {offence:?}");
            self.violated("nobody honest is accused", what);
        }
        if let Offence::Equivocation { first, second } = offence {
            let (first, second) = (first.reference(), second.reference());
            let is_one_slot = first.author == authority
                && second.author == authority
                && first.round == second.round
                && first.digest != second.digest;
            if !is_one_slot {
                self.violated("evidence is evidence", format!("n{node}: {first}, {second}"));
            }
        }
        self.accused.insert(authority);
    }

    /// How an authority stands: everything it keeps has its bound.
    pub fn status(
        &mut self,
        node: usize,
        status: &Status,
        parameters: &Parameters,
        tally: &mut Tally,
    ) {
        let n = self.committee.size();
        let suspended_max = 4 * parameters.suspended_blocks_max * n;
        let rounds = status.round.max(status.quorum_round).0.saturating_sub(status.gc_round.0);
        // An equivocator can have one block for each of the others accepted.
        let per_round = n + self.liars.len() * n;
        let accepted_max = (rounds as usize + 4) * per_round;
        let bounds = [
            ("accepted", status.blocks_accepted, accepted_max),
            ("suspended", status.blocks_suspended, suspended_max),
            ("wanted", status.blocks_wanted, (status.blocks_suspended + 1) * n),
            ("queued", status.queue_items, parameters.queue_items_max),
        ];
        for (what, found, most) in bounds {
            if found > most {
                self.violated("memory is bounded", format!("n{node}: {found} {what} > {most}"));
            }
        }
        let suspended = status.blocks_suspended as u64;
        if suspended > self.most_suspended {
            tally.suspended += suspended - self.most_suspended;
            self.most_suspended = suspended;
        }
    }

    /// The run has ended: judges what only the whole shows.
    pub fn end(&mut self, settled_ms: u64, busy_until_ms: u64, tally: &mut Tally) {
        let verdicts = rule::decide(&self.blocks, &self.committee);
        self.compare_with_rule(&verdicts);
        self.judge_leaders(&verdicts, settled_ms, busy_until_ms, tally);
        self.count(&verdicts, tally);
    }

    /// What was committed is what the rule decides on all blocks that honest authorities accepted.
    fn compare_with_rule(&mut self, verdicts: &[(Round, Verdict)]) {
        let decided = verdicts.iter().take_while(|(_, verdict)| *verdict != Verdict::Undecided);
        let leaders: Vec<BlockRef> = decided.filter_map(|(_, verdict)| verdict.leader()).collect();
        let log: Vec<BlockRef> = self.order.log().iter().map(|commit| commit.leader).collect();
        if !leaders.starts_with(&log) {
            let at = leaders.iter().zip(&log).take_while(|(a, b)| a == b).count();
            let (expected, found) = (leaders.get(at), log.get(at));
            let what = format!("commit {}: rule {expected:?}, log {found:?}", at + 1);
            self.violated("commits are what the rule decides", what);
        }
    }

    /// Every honest leader commits directly once the network behaves and all have caught up: of all
    /// rounds that the first honest authority began after `settled_ms`, and that were three rounds
    /// old before the load ended.
    fn judge_leaders(
        &mut self,
        verdicts: &[(Round, Verdict)],
        settled_ms: u64,
        busy_until_ms: u64,
        tally: &mut Tally,
    ) {
        let mut begun_ms: BTreeMap<Round, u64> = BTreeMap::new();
        for ((round, _), at_ms) in &self.made_ms {
            let begun = begun_ms.entry(*round).or_insert(*at_ms);
            *begun = (*begun).min(*at_ms);
        }
        let verdicts: BTreeMap<Round, Verdict> = verdicts.iter().copied().collect();
        let mut missed = Vec::new();
        for (round, at_ms) in &begun_ms {
            let leader = self.committee.leader(*round);
            let ended = begun_ms.get(&round.plus(3)).is_some_and(|at_ms| *at_ms <= busy_until_ms);
            if *at_ms < settled_ms || !ended || !self.is_honest(leader) {
                continue;
            }
            tally.prompt_slots += 1;
            let verdict = verdicts.get(round);
            if !matches!(verdict, Some(Verdict::Commit { direct: true, .. })) {
                missed.push(format!("round {round} led by {leader} at {at_ms} ms: {verdict:?}"));
            }
        }
        if !missed.is_empty() {
            missed.truncate(4);
            self.violated("honest leaders commit directly", missed.join("; "));
        }
    }

    fn count(&self, verdicts: &[(Round, Verdict)], tally: &mut Tally) {
        for (_, verdict) in verdicts {
            match verdict {
                Verdict::Commit { direct: true, .. } => tally.direct_commits += 1,
                Verdict::Commit { direct: false, .. } => tally.indirect_commits += 1,
                Verdict::Skip { direct: true } => tally.direct_skips += 1,
                Verdict::Skip { direct: false } => tally.indirect_skips += 1,
                Verdict::Undecided => {}
            }
        }
        tally.commits += self.order.log().len() as u64;
        tally.twin_slots += self.order.twin_slots();
        let collected = |block: &&BlockRef| {
            block.round <= self.order.gc_round() && !self.order.is_committed(block)
        };
        tally.collected += self.blocks.keys().filter(collected).count() as u64;
    }
}
