//! One machine, and all other authorities played by this file: signed, verified blocks round after
//! round, and answers to what the machine asks for. Shared by the test of memory and the benchmark.

use std::collections::BTreeMap;
use std::time::{Duration, Instant as Clock};

use kerbholz_consensus::{
    Action, AuthorityIndex, Block, BlockRef, CommitDigest, Committee, CommitteeConfig, Consensus,
    Draft, Event, Instant, NetworkId, Now, Parameters, Recovery, Round, Signer, Statement, Timer,
    Timestamp, Vote,
};

/// What `f` of the others do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faulty {
    /// Nothing.
    None,
    /// They are silent.
    Mute,
    /// They sign two blocks a round, one for each half of the others.
    Equivocating,
}

/// How long a round takes.
const ROUND_MS: u64 = 200;
/// How many rounds a block may be asked for after it was made.
const KEPT_ROUNDS: u64 = 8;

/// The machine of authority 0 among `n`.
pub struct Network {
    committee: Committee,
    signers: Vec<Signer>,
    machine: Consensus,
    faulty: Faulty,
    /// The newest block of each of the others, and its twin.
    newest: Vec<[BlockRef; 2]>,
    /// The machine's own, which may be a round ahead.
    own: BTreeMap<Round, BlockRef>,
    kept: BTreeMap<BlockRef, Block>,
    round: u64,
    /// Work of the machine: calls that accepted blocks, and calls that made one of its own.
    pub accepting: Work,
    pub making: Work,
    /// How many commits and checkpoints there were, and how many blocks were ordered.
    pub commits: u64,
    pub ordered: u64,
    pub checkpoints: u64,
    /// What everybody executed, and votes for in the next round.
    executed: Vec<Statement>,
    fetches: Vec<(AuthorityIndex, Vec<BlockRef>)>,
    timers: BTreeMap<Timer, Instant>,
}

/// Calls of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    pub time: Duration,
    pub blocks: u64,
}

/// The signer of authority `index`.
pub fn signer(index: u16) -> Signer {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&index.to_le_bytes());
    Signer::from_seed(&seed)
}

/// A committee of `n` with the keys of [`signer`].
pub fn committee(n: u16) -> Committee {
    Committee::new(CommitteeConfig {
        network: NetworkId([1; 32]),
        epoch: 0,
        authorities: (0..n).map(|index| signer(index).public_key()).collect(),
        gc_depth: Committee::GC_DEPTH,
        previous: CommitDigest::NONE,
    })
    .unwrap()
}

impl Network {
    pub fn new(n: u16, faulty: Faulty) -> Self {
        let committee = committee(n);
        let now = Now { monotonic: Instant(0), wall: Timestamp(0) };
        let (parameters, recovery) = (Parameters::lan(), Recovery::default());
        let (machine, _) =
            Consensus::recover(now, parameters, committee.clone(), signer(0), recovery).unwrap();
        let mut network = Self {
            signers: (0..n).map(signer).collect(),
            machine,
            faulty,
            newest: committee.genesis().iter().map(|genesis| [*genesis; 2]).collect(),
            own: BTreeMap::from([(Round::GENESIS, committee.genesis()[0])]),
            kept: BTreeMap::new(),
            round: 0,
            accepting: Work::default(),
            making: Work::default(),
            commits: 0,
            ordered: 0,
            checkpoints: 0,
            executed: Vec::new(),
            fetches: Vec::new(),
            timers: BTreeMap::new(),
            committee,
        };
        for peer in network.committee.authorities().skip(1) {
            let (has_of_ours, own_round) = (Round::GENESIS, Round::GENESIS);
            let event = Event::PeerConnected { peer, has_of_ours, own_round, commit: 0 };
            network.handle(event);
        }
        network
    }

    fn now(&self) -> Now {
        let ms = self.round * ROUND_MS;
        Now { monotonic: Instant(ms), wall: Timestamp(1_000_000 + ms) }
    }

    /// Plays so many rounds.
    pub fn rounds(&mut self, rounds: u64) {
        for _ in 0..rounds {
            self.play();
        }
    }

    fn play(&mut self) {
        self.round += 1;
        let faulty = match self.faulty {
            Faulty::None => 0,
            _ => self.committee.faulty_max(),
        };
        let n = self.committee.size();
        let mut made = Vec::new();
        for author in 1..n {
            let is_faulty = author >= n - faulty;
            match self.faulty {
                Faulty::Mute if is_faulty => (),
                Faulty::Equivocating if is_faulty => {
                    made.push([self.sign(author, 0), self.sign(author, 1)]);
                }
                _ => {
                    let block = self.sign(author, author % 2);
                    made.push([block.clone(), block]);
                }
            }
        }
        // All have voted.
        self.executed.clear();
        for twins in &made {
            let author = twins[0].author();
            self.newest[author.position()] = [twins[0].reference(), twins[1].reference()];
            for twin in twins {
                self.kept.insert(twin.reference(), twin.clone());
            }
            let block = twins[0].clone();
            self.handle(Event::BlockReceived { from: author, block });
        }
        self.fire();
        while let Some((from, references)) = self.fetches.pop() {
            let blocks = references.iter().filter_map(|wanted| self.kept.get(wanted).cloned());
            let event = Event::FetchAnswered { from, blocks: blocks.collect() };
            self.handle(event);
        }
        let oldest = Round(self.round.saturating_sub(KEPT_ROUNDS));
        self.kept.retain(|reference, _| reference.round >= oldest);
        self.own.retain(|round, _| *round >= oldest);
    }

    /// A block of this round on the newest blocks of all, seeing this one of each pair of twins.
    fn sign(&mut self, author: usize, side: usize) -> Block {
        let below = Round(self.round - 1);
        let own = self.newest[author][side];
        let mut parents = vec![own];
        parents.extend(self.own.get(&below));
        for (other, newest) in self.newest.iter().enumerate().skip(1) {
            if other != author && newest[side].round == below {
                parents.push(newest[side]);
            }
        }
        let signer = &self.signers[author];
        let vote = |statement: &Statement| Vote::sign(*statement, &self.committee, signer);
        let draft = Draft {
            round: Round(self.round),
            timestamp: Timestamp(self.now().wall.0 + side as u64),
            parents,
            // Somebody always has something to do: nobody rests.
            work: true,
            // A payload in a slot that nobody fills twice, now and then.
            payload: (author == 1 && self.round > 1 && self.round.is_multiple_of(4))
                .then(|| self.round.to_le_bytes().to_vec())
                .into_iter()
                .collect(),
            votes: self.executed.iter().map(vote).collect(),
        };
        let author = AuthorityIndex(author as u16);
        draft.sign(&self.committee, author, signer).unwrap()
    }

    /// Lets the timers fire that are due before the next round.
    fn fire(&mut self) {
        for timer in [Timer::Fetch, Timer::Proposal] {
            let next = Instant((self.round + 1) * ROUND_MS);
            if self.timers.get(&timer).is_some_and(|at| *at < next) {
                self.timers.remove(&timer);
                let event = Event::Timer(timer);
                let now = Now { monotonic: Instant(next.0 - 1), ..self.now() };
                self.call(now, event);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.call(self.now(), event);
    }

    fn call(&mut self, now: Now, event: Event) {
        let begin = Clock::now();
        let actions = self.machine.handle(now, event);
        let time = begin.elapsed();
        let (mut accepted, mut own, mut executed) = (0, 0, Vec::new());
        for action in actions {
            match action {
                Action::Persist { durable: true, .. } => own += 1,
                Action::Persist { .. } => accepted += 1,
                Action::Broadcast(block) => {
                    self.own.insert(block.round(), block.reference());
                    self.kept.insert(block.reference(), block);
                }
                Action::Fetch { from, references, .. } => self.fetches.push((from, references)),
                Action::SetTimer { timer, at } => drop(self.timers.insert(timer, at)),
                Action::Commit(commit) => {
                    self.commits += 1;
                    self.ordered += commit.blocks().len() as u64;
                    executed.push(commit);
                }
                Action::Checkpoint(_) => self.checkpoints += 1,
                Action::Halt(reason) => panic!("{reason:?}"),
                _ => (),
            }
        }
        let work = if own > 0 { &mut self.making } else { &mut self.accepting };
        work.time += time;
        work.blocks += accepted + own;
        for commit in executed {
            let (index, vote) = (commit.index(), commit.has_payload());
            let (log_root, state_digest, commit_digest) = ([6; 32], [7; 32], commit.digest());
            if vote {
                let statement = Statement { index, commit_digest, log_root, state_digest };
                self.executed.push(statement);
            }
            self.handle(Event::Executed { index, log_root, state_digest, vote, closes: false });
        }
    }
}
