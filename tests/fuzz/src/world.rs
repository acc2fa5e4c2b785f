//! Two honest machines among arbitrary others: the fuzzer says what happens, a step at a time, and
//! everything the machines do is held against what they must never do.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use kerbholz_consensus::{
    Action, Auditor, AuthorityIndex, Block, BlockRef, CertifiedCommits, Checkpoint, Commit,
    Committee, Consensus, Draft, Event, HaltReason, Instant, Now, Offence, Parameters, Recovery,
    Round, Statement, Timer, Timestamp, Vote,
};

use crate::{committee, signer};

/// How many machines are honest; the other authorities are the fuzzer's.
const MACHINES: u16 = 2;
const STEPS_MAX: usize = 160;

/// The committee, and what happens.
#[derive(Arbitrary, Debug)]
pub struct Plan {
    n: u8,
    gc_depth: u8,
    steps: Vec<Step>,
}

/// One thing that happens to one of the machines, or to both.
#[derive(Arbitrary, Debug)]
enum Step {
    /// All authorities of the fuzzer but the absent ones sign a block of the next round on what
    /// there is, and both machines get them.
    Round {
        absent: u8,
        late: u8,
    },
    /// An authority of the fuzzer signs a block: of which round, on which parents, for whom.
    Sign {
        author: u8,
        round: u8,
        without: u8,
        choice: u8,
        payload: u8,
        to: u8,
    },
    /// A block that was signed some time ago arrives, once more or for the first time.
    Deliver {
        to: u8,
        from: u8,
        back: u8,
    },
    /// What a machine signed reaches the other one.
    Exchange {
        from: u8,
    },
    /// Time passes and timers fire.
    Wait {
        ms: u16,
    },
    /// A timer fires although nobody set it.
    Spurious {
        to: u8,
        fetch: bool,
    },
    /// A client brings payload.
    Offer {
        to: u8,
        bytes: u8,
    },
    /// What was committed is executed, and may close the epoch.
    Execute {
        to: u8,
        outcome: u8,
    },
    /// What was asked for is answered, in part, and with something else.
    Answer {
        to: u8,
        without: u8,
        extra: u8,
    },
    /// It is not.
    Fail {
        to: u8,
    },
    /// A run of commits that the others certify.
    Certify {
        to: u8,
        length: u8,
    },
    /// Somebody says what it knows of a machine that lost its log, or does not answer.
    Own {
        to: u8,
        from: u8,
        commit: u8,
        fails: bool,
    },
    Connect {
        to: u8,
        peer: u8,
        has: u8,
        round: u16,
        commit: u16,
    },
    Disconnect {
        to: u8,
        peer: u8,
    },
    /// The power goes; what was not durable may be gone.
    Crash {
        to: u8,
        kept: u8,
    },
    /// The disk is gone.
    Lose {
        to: u8,
    },
}

/// An execution that went wrong.
const WRONG: u8 = u8::MAX;
/// An execution that closes the epoch.
const CLOSES: u8 = u8::MAX - 1;

/// One machine, its disk, and what it has said.
struct Node {
    own: AuthorityIndex,
    machine: Consensus,
    log: Vec<Block>,
    log_durable: usize,
    own_last: Option<Block>,
    commits: Vec<Commit>,
    checkpoint: Option<Checkpoint>,
    executed: u64,
    asked: BTreeMap<AuthorityIndex, Vec<BlockRef>>,
    asked_commits: BTreeMap<AuthorityIndex, u64>,
    timers: BTreeMap<Timer, u64>,
    signed: BTreeMap<Round, Block>,
    ordered: BTreeSet<BlockRef>,
    auditor: Auditor,
    halted: bool,
    /// Whether the log was lost, and nothing was signed since.
    lost_log: bool,
    asked_own: BTreeSet<AuthorityIndex>,
    /// Whether the commit that closes the epoch was executed, and whether the epoch is over.
    closing: bool,
    closed: bool,
}

/// The network.
pub struct World {
    committee: Committee,
    parameters: Parameters,
    nodes: Vec<Node>,
    /// Every block of the fuzzer, in the order of signing, and of the machines.
    blocks: Vec<Block>,
    now: u64,
    /// Authorities that signed two blocks of one round.
    liars: BTreeSet<AuthorityIndex>,
    /// Whether a machine executed something wrongly.
    damaged: bool,
    /// The commit that closes the epoch.
    closing: Option<u64>,
    slots: BTreeMap<(Round, AuthorityIndex), Vec<BlockRef>>,
}

impl World {
    /// Carries out a plan.
    pub fn run(plan: &Plan) {
        let n = MACHINES + u16::from(plan.n) % 6;
        let committee = committee(n, 8 + u16::from(plan.gc_depth) % 16);
        let parameters = Parameters::test();
        let mut world = Self {
            nodes: Vec::new(),
            blocks: Vec::new(),
            now: 1,
            liars: BTreeSet::new(),
            damaged: false,
            closing: None,
            slots: BTreeMap::new(),
            committee,
            parameters,
        };
        for genesis in world.committee.genesis() {
            world.slots.insert((genesis.round, genesis.author), vec![*genesis]);
        }
        for own in 0..MACHINES {
            world.start(own);
        }
        for step in plan.steps.iter().take(STEPS_MAX) {
            world.step(step);
        }
        world.assert_agreement();
    }

    fn at(&self) -> Now {
        Now { monotonic: Instant(self.now), wall: Timestamp(1_000_000 + self.now) }
    }

    fn start(&mut self, own: u16) {
        let (machine, actions) = self.recover(own, Recovery::default());
        self.nodes.push(Node {
            own: AuthorityIndex(own),
            machine,
            log: Vec::new(),
            log_durable: 0,
            own_last: None,
            commits: Vec::new(),
            checkpoint: None,
            executed: 0,
            asked: BTreeMap::new(),
            asked_commits: BTreeMap::new(),
            timers: BTreeMap::new(),
            signed: BTreeMap::new(),
            ordered: BTreeSet::new(),
            auditor: Auditor::new(self.committee.clone()),
            halted: false,
            lost_log: false,
            asked_own: BTreeSet::new(),
            closing: false,
            closed: false,
        });
        self.perform(usize::from(own), actions);
        for peer in self.committee.authorities() {
            self.connect(usize::from(own), peer, Round::GENESIS, Round::GENESIS, 0);
        }
    }

    fn recover(&self, own: u16, recovery: Recovery) -> (Consensus, Vec<Action>) {
        let (parameters, committee) = (self.parameters.clone(), self.committee.clone());
        Consensus::recover(self.at(), parameters, committee, signer(own), recovery)
            .expect("what a machine stored brings it back")
    }

    fn connect(&mut self, to: usize, peer: AuthorityIndex, has: Round, round: Round, commit: u64) {
        // What was asked over an earlier connection is lost with it.
        self.nodes[to].asked.remove(&peer);
        self.nodes[to].asked_commits.remove(&peer);
        self.nodes[to].asked_own.remove(&peer);
        let event = Event::PeerConnected { peer, has_of_ours: has, own_round: round, commit };
        self.handle(to, event);
    }

    fn handle(&mut self, to: usize, event: Event) {
        let now = self.at();
        let actions = self.nodes[to].machine.handle(now, event);
        self.perform(to, actions);
        self.assert_bounds(to);
    }

    fn step(&mut self, step: &Step) {
        let machine = |to: u8| usize::from(to) % usize::from(MACHINES);
        match *step {
            Step::Round { absent, late } => self.round(absent, late),
            Step::Sign { author, round, without, choice, payload, to } => {
                let author = self.peer(author);
                let top = self.top();
                let round = Round((top + 1).saturating_sub(u64::from(round) % 6).max(1));
                if let Some(block) = self.sign(author, round, without, choice, payload) {
                    for node in 0..self.nodes.len() {
                        if to >> node & 1 == 1 {
                            self.deliver(node, author, block.clone());
                        }
                    }
                }
            }
            Step::Deliver { to, from, back } => {
                let at = self.blocks.len().checked_sub(1 + usize::from(back));
                if let Some(block) = at.map(|at| self.blocks[at].clone()) {
                    self.deliver(machine(to), self.anybody(from), block);
                }
            }
            Step::Exchange { from } => {
                let from = machine(from);
                let newest = self.nodes[from].signed.values().last().cloned();
                if let Some(block) = newest {
                    self.deliver(1 - from, self.nodes[from].own, block);
                }
            }
            Step::Wait { ms } => self.wait(u64::from(ms)),
            Step::Spurious { to, fetch } => {
                let timer = if fetch { Timer::Fetch } else { Timer::Proposal };
                self.handle(machine(to), Event::Timer(timer));
            }
            Step::Offer { to, bytes } => {
                self.handle(machine(to), Event::PayloadOffered(vec![vec![bytes; bytes.into()]]));
            }
            Step::Execute { to, outcome } => self.execute(machine(to), outcome),
            Step::Answer { to, without, extra } => self.answer(machine(to), without, extra),
            Step::Fail { to } => {
                let to = machine(to);
                if let Some((from, _)) = self.nodes[to].asked.pop_first() {
                    self.handle(to, Event::FetchFailed { from });
                }
                if let Some((from, _)) = self.nodes[to].asked_commits.pop_first() {
                    self.handle(to, Event::CommitsFailed { from });
                }
            }
            Step::Certify { to, length } => self.certify(machine(to), length),
            Step::Own { to, from, commit, fails } => {
                let to = machine(to);
                let from = match self.nodes[to].asked_own.pop_first() {
                    Some(asked) => asked,
                    None => self.anybody(from),
                };
                // Those who answer at all are honest here, and know what was signed.
                let newest = self.nodes[to].signed.values().last().cloned();
                let answer = Event::OwnAnswered { from, commit: commit.into(), newest };
                self.handle(to, if fails { Event::OwnFailed { from } } else { answer });
            }
            Step::Connect { to, peer, has, round, commit } => {
                let (has, round) = (Round(has.into()), Round(round.into()));
                self.connect(machine(to), self.anybody(peer), has, round, commit.into());
            }
            Step::Disconnect { to, peer } => {
                let peer = self.anybody(peer);
                self.nodes[machine(to)].asked.remove(&peer);
                self.nodes[machine(to)].asked_commits.remove(&peer);
                self.nodes[machine(to)].asked_own.remove(&peer);
                self.handle(machine(to), Event::PeerDisconnected { peer });
            }
            Step::Crash { to, kept } => self.crash(machine(to), kept),
            Step::Lose { to } => self.lose(machine(to)),
        }
    }

    /// An authority of the fuzzer, if there is one.
    fn peer(&self, index: u8) -> AuthorityIndex {
        let fuzzers = self.committee.size() as u16 - MACHINES;
        AuthorityIndex(MACHINES + u16::from(index) % fuzzers.max(1))
    }

    /// Anybody, and now and then a stranger.
    fn anybody(&self, index: u8) -> AuthorityIndex {
        if index == u8::MAX {
            return AuthorityIndex(u16::MAX);
        }
        AuthorityIndex(u16::from(index) % (self.committee.size() as u16 + 1))
    }

    fn top(&self) -> u64 {
        self.slots.last_key_value().map_or(0, |((round, _), _)| round.0)
    }

    fn round(&mut self, absent: u8, late: u8) {
        // What the machines signed last goes around first.
        for from in 0..self.nodes.len() {
            self.step(&Step::Exchange { from: from as u8 });
        }
        let round = Round(self.top().max(1));
        for round in [round, round.plus(1)] {
            for author in MACHINES..self.committee.size() as u16 {
                let has_one = self.slots.contains_key(&(round, AuthorityIndex(author)));
                if has_one || absent >> author & 1 == 1 {
                    continue;
                }
                let Some(block) = self.sign(AuthorityIndex(author), round, 0, 0, 0) else {
                    continue;
                };
                for node in 0..self.nodes.len() {
                    if late >> node & 1 == 0 {
                        self.deliver(node, AuthorityIndex(author), block.clone());
                    }
                }
            }
        }
        self.wait(60);
    }

    /// Signs what the format allows, whatever the protocol says: any round that has parents, any
    /// choice among twins, several blocks of one round.
    fn sign(
        &mut self,
        author: AuthorityIndex,
        round: Round,
        without: u8,
        choice: u8,
        payload: u8,
    ) -> Option<Block> {
        if author.0 < MACHINES || author.position() >= self.committee.size() {
            return None;
        }
        let pick = |slot: &Vec<BlockRef>| slot[usize::from(choice) % slot.len()];
        let own = (0..round.0).rev().find_map(|below| self.slots.get(&(Round(below), author)))?;
        let mut parents = vec![pick(own)];
        for other in self.committee.authorities().filter(|other| *other != author) {
            if without >> other.0 & 1 == 0 {
                parents.extend(self.slots.get(&(round.minus(1), other)).map(pick));
            }
        }
        let statement = Statement {
            index: payload.into(),
            commit_digest: kerbholz_consensus::CommitDigest([payload; 32]),
            log_root: [choice; 32],
            state_digest: [0; 32],
        };
        let vote = || Vote::sign(statement, &self.committee, &signer(author.0));
        let draft = Draft {
            round,
            timestamp: Timestamp(u64::from(payload) * 1_000 + self.now),
            parents,
            votes: (payload > 200).then(vote).into_iter().collect(),
            work: payload % 2 == 1,
            payload: (0..payload % 3).map(|item| vec![item, payload]).collect(),
        };
        let block = draft.sign(&self.committee, author, &signer(author.0)).ok()?;
        self.note(&block);
        Some(block)
    }

    fn note(&mut self, block: &Block) {
        let slot = self.slots.entry((block.round(), block.author())).or_default();
        if !slot.contains(&block.reference()) {
            slot.push(block.reference());
            if slot.len() > 1 {
                self.liars.insert(block.author());
            }
            self.blocks.push(block.clone());
        }
    }

    fn deliver(&mut self, to: usize, from: AuthorityIndex, block: Block) {
        // A foreign copy of an own block stops a machine for good. There is none: nobody has its key.
        self.handle(to, Event::BlockReceived { from, block });
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now + ms;
        for _ in 0..64 {
            let due = self.nodes.iter().enumerate().flat_map(|(node, state)| {
                state.timers.iter().map(move |(timer, at)| (*at, node, *timer))
            });
            let Some((at, node, timer)) = due.min().filter(|(at, ..)| *at <= end) else { break };
            self.now = self.now.max(at);
            self.nodes[node].timers.remove(&timer);
            self.handle(node, Event::Timer(timer));
        }
        self.now = end;
    }

    /// Executes the next commit: as the other machine does, or wrongly. One commit, the same on both,
    /// may close the epoch.
    fn execute(&mut self, to: usize, outcome: u8) {
        let done_elsewhere = self.nodes[1 - to].executed;
        let node = &mut self.nodes[to];
        if node.closing {
            return;
        }
        let Some(commit) = node.commits.get(node.executed as usize) else { return };
        let index = commit.index();
        node.executed += 1;
        self.damaged |= outcome == WRONG;
        if outcome == CLOSES && self.closing.is_none() && index > done_elsewhere {
            self.closing = Some(index);
        }
        node.closing = self.closing == Some(index);
        let event = Event::Executed {
            index,
            log_root: commit.digest().0,
            state_digest: [u8::from(outcome == WRONG); 32],
            vote: commit.has_payload(),
            closes: node.closing,
        };
        self.handle(to, event);
    }

    fn answer(&mut self, to: usize, without: u8, extra: u8) {
        let Some((from, references)) = self.nodes[to].asked.pop_first() else { return };
        let mut blocks: Vec<Block> = Vec::new();
        for (at, wanted) in references.iter().enumerate() {
            if without >> (at % 8) & 1 == 0 {
                let found = self.blocks.iter().find(|block| block.reference() == *wanted);
                blocks.extend(found.cloned());
            }
        }
        let extra = self.blocks.get(usize::from(extra)).filter(|_| extra % 4 == 0);
        // Nobody sends a machine its own block that it has not made: it has made them all.
        blocks.extend(extra.filter(|block| block.author().position() != to).cloned());
        self.handle(to, Event::FetchAnswered { from, blocks });
    }

    /// Certifies a piece of the other machine's ledger, as a quorum would that executed it.
    fn certify(&mut self, to: usize, length: u8) {
        let Some((from, after)) = self.nodes[to].asked_commits.pop_first() else { return };
        let other = &self.nodes[1 - to].commits;
        let headers: Vec<_> = other
            .iter()
            .filter(|commit| commit.index() > after)
            .take(usize::from(length) + 1)
            .map(|commit| commit.header().clone())
            .collect();
        let Some(last) = other.get(after as usize + headers.len().max(1) - 1) else {
            return self.handle(to, Event::CommitsFailed { from });
        };
        let statement = Statement {
            index: last.index(),
            commit_digest: last.digest(),
            log_root: last.digest().0,
            state_digest: [0; 32],
        };
        let message = statement.signed_message(&self.committee);
        let signatures = self
            .committee
            .authorities()
            .map(|authority| (authority, signer(authority.0).sign(&message)))
            .collect();
        let checkpoint = Checkpoint { statement, signatures };
        let commits = CertifiedCommits::new(headers, checkpoint, &self.committee)
            .expect("a piece of a ledger, signed by all");
        self.handle(to, Event::CommitsAnswered { from, commits });
    }

    fn crash(&mut self, to: usize, kept: u8) {
        let node = &mut self.nodes[to];
        // What closed the epoch is the executor's to tell again; this world has none.
        if node.halted || node.closing {
            return;
        }
        let unsynced = node.log.len() - node.log_durable;
        node.log.truncate(node.log_durable + unsynced * usize::from(kept) / 255);
        let recovery = Recovery {
            commits: node.commits.clone(),
            blocks: node.log.clone(),
            own_last: node.own_last.clone(),
            checkpoint: node.checkpoint.clone(),
            lost_log: node.lost_log,
            ..Recovery::default()
        };
        self.restart(to, recovery);
    }

    /// Everything is gone but the memory of the others; all is executed once more.
    fn lose(&mut self, to: usize) {
        let node = &mut self.nodes[to];
        if node.halted || node.closing || self.damaged {
            return;
        }
        (node.log, node.log_durable, node.own_last) = (Vec::new(), 0, None);
        (node.commits, node.executed, node.checkpoint) = (Vec::new(), 0, None);
        (node.ordered, node.lost_log) = (BTreeSet::new(), true);
        node.auditor = Auditor::new(self.committee.clone());
        self.restart(to, Recovery { lost_log: true, ..Recovery::default() });
    }

    fn restart(&mut self, to: usize, recovery: Recovery) {
        let node = &mut self.nodes[to];
        let own = node.own;
        node.asked.clear();
        node.asked_commits.clear();
        node.asked_own.clear();
        node.timers.clear();
        let (machine, actions) = self.recover(own.0, recovery);
        self.nodes[to].machine = machine;
        self.perform(to, actions);
        for peer in self.committee.authorities().filter(|peer| *peer != own) {
            self.connect(to, peer, Round::GENESIS, Round::GENESIS, 0);
        }
    }

    fn perform(&mut self, to: usize, actions: Vec<Action>) {
        for action in actions {
            self.perform_one(to, action);
        }
    }

    fn perform_one(&mut self, to: usize, action: Action) {
        let gc_depth = self.committee.gc_depth();
        let faulty_max = self.committee.faulty_max();
        let few_liars = self.liars.len() <= faulty_max;
        let node = &mut self.nodes[to];
        assert!(!node.halted || matches!(action, Action::PayloadRefused(_)), "{action:?}");
        assert!(!node.closed, "after the epoch: {action:?}");
        match action {
            Action::Persist { block, durable } => {
                node.log.push(block.clone());
                if durable {
                    node.log_durable = node.log.len();
                    node.own_last = Some(block);
                    node.lost_log = false;
                }
            }
            Action::Broadcast(block) => {
                assert_eq!(node.own_last.as_ref(), Some(&block), "sent before it is durable");
                let last = node.signed.last_key_value();
                assert!(last.is_none_or(|(round, _)| *round < block.round()), "signed twice");
                node.signed.insert(block.round(), block.clone());
                self.note(&block);
            }
            Action::Stream { to: peer, .. } | Action::Send { to: peer, .. } => {
                assert!(peer != node.own && peer.position() < self.committee.size());
            }
            Action::Fetch { from, references, .. } => {
                assert!(from != node.own && !references.is_empty());
                assert!(references.len() <= self.parameters.fetch_references_max);
                assert!(node.asked.insert(from, references).is_none(), "two fetches at once");
            }
            Action::FetchCommits { from, after } => {
                assert!(from != node.own);
                node.asked_commits.insert(from, after);
            }
            Action::AskOwn { from } => {
                assert!(from != node.own);
                assert!(node.asked_own.insert(from), "asked twice");
            }
            Action::EpochClosed { checkpoint } => {
                assert!(node.closing && Some(checkpoint.statement.index) == self.closing);
                assert_eq!(checkpoint.verify(&self.committee), Ok(()));
                node.closed = true;
            }
            Action::SetTimer { timer, at } => drop(node.timers.insert(timer, at.0)),
            Action::Commit(commit) => {
                assert!(!node.closing, "a commit beyond the one that closes the epoch");
                assert_eq!(commit.index(), node.commits.len() as u64 + 1, "out of order");
                if let Some(last) = node.commits.last() {
                    assert_eq!(commit.header().previous, last.digest());
                    assert!(commit.leader().round > last.leader().round);
                    assert!(commit.time() >= last.time());
                    let gc_round = last.leader().round.minus(gc_depth);
                    let blocks = &commit.header().blocks;
                    assert!(blocks.iter().all(|block| block.round > gc_round));
                }
                for block in &commit.header().blocks {
                    assert!(node.ordered.insert(*block), "ordered twice");
                }
                if few_liars {
                    assert_eq!(node.auditor.check(&commit), Ok(()));
                }
                node.commits.push(commit);
            }
            Action::Checkpoint(checkpoint) => {
                assert_eq!(checkpoint.verify(&self.committee), Ok(()));
                node.checkpoint = Some(checkpoint);
            }
            // A machine that executed wrongly contradicts the other one, and says so.
            Action::Fault { offence: Offence::Divergence { .. }, .. } if self.damaged => (),
            Action::Fault { authority, .. } => assert!(authority.0 >= MACHINES, "{authority}"),
            Action::Halt(reason) => {
                node.halted = true;
                let is_contradiction = matches!(reason, HaltReason::Contradiction { .. });
                assert!(!(is_contradiction && few_liars), "{reason:?}");
                assert!(!matches!(reason, HaltReason::ForeignOwnBlock(_)), "{reason:?}");
            }
            _ => (),
        }
    }

    /// What a machine keeps is bounded by the parameters, whatever the others send.
    fn assert_bounds(&self, to: usize) {
        let status = self.nodes[to].machine.status();
        let n = self.committee.size();
        // Asked-for blocks have four times the bound of the others, which come on top.
        let suspended_max = n * 5 * self.parameters.suspended_blocks_max;
        assert!(status.blocks_suspended <= suspended_max, "{status:?}");
        assert!(status.blocks_wanted <= suspended_max * n, "{status:?}");
        assert!(status.queue_items <= self.parameters.queue_items_max, "{status:?}");
        assert!(status.own_round <= status.round && status.leader_round <= status.quorum_round);
    }

    /// With at most f liars the ledgers are prefixes of one another.
    fn assert_agreement(&self) {
        if self.liars.len() > self.committee.faulty_max() {
            return;
        }
        let [one, other] = &self.nodes[..] else { return };
        for (one, other) in one.commits.iter().zip(&other.commits) {
            assert_eq!(one.header(), other.header());
        }
    }
}
