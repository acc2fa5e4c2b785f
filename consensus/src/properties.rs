//! What holds of the machine whatever arrives in whatever order: random DAGs with up to `f` faulty
//! authorities, delivered to the machine of another one by streams that lose, repeat and reorder, and
//! by honest answers to what it asks for (§11).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use proptest::prelude::*;

use crate::{
    Action, AuthorityIndex, Block, BlockRef, Commit, Committee, Consensus, Event, Instant, Now,
    Parameters, Recovery, Round, Timer, Timestamp, UnverifiedBlock,
    testing::{Random, committee_with, order, random::random_dag_without, signer},
};

/// The authority whose machine is tested: silent in the random DAGs.
const OWN: AuthorityIndex = AuthorityIndex(1);

/// One machine, and the peers as it sees them.
#[derive(Clone)]
struct Bench {
    /// What the peers have.
    known: BTreeMap<BlockRef, Block>,
    now: u64,
    timers: BTreeMap<Timer, u64>,
    asked: Vec<(AuthorityIndex, Vec<BlockRef>)>,
    commits: Vec<Commit>,
    /// Every event so far, and every action, to be compared.
    events: Vec<(u64, Event)>,
    actions: Vec<Action>,
}

fn at(ms: u64) -> Now {
    Now { monotonic: Instant(ms), wall: Timestamp(1_700_000_000_000 + ms) }
}

fn machine(committee: &Committee) -> (Consensus, Vec<Action>) {
    let parameters = Parameters::lan();
    let recovery = Recovery::default();
    Consensus::recover(at(0), parameters, committee.clone(), signer(OWN.0), recovery).unwrap()
}

impl Bench {
    fn start(committee: &Committee, blocks: &[Block]) -> (Self, Consensus) {
        let (mut machine, actions) = machine(committee);
        let known = blocks.iter().map(|block| (block.reference(), block.clone())).collect();
        let mut bench = Self {
            known,
            now: 0,
            timers: BTreeMap::new(),
            asked: Vec::new(),
            commits: Vec::new(),
            events: Vec::new(),
            actions: Vec::new(),
        };
        bench.note(actions);
        for peer in committee.authorities().filter(|peer| *peer != OWN) {
            let (has_of_ours, own_round) = (Round::GENESIS, Round::GENESIS);
            bench.handle(
                &mut machine,
                Event::PeerConnected { peer, has_of_ours, own_round, commit: 0 },
            );
        }
        (bench, machine)
    }

    fn handle(&mut self, machine: &mut Consensus, event: Event) {
        self.events.push((self.now, event.clone()));
        let actions = machine.handle(at(self.now), event);
        self.note(actions);
    }

    fn note(&mut self, actions: Vec<Action>) {
        for action in &actions {
            match action {
                Action::Fetch { from, references, .. } => {
                    self.asked.push((*from, references.clone()))
                }
                Action::SetTimer { timer, at } => drop(self.timers.insert(*timer, at.0)),
                Action::Commit(commit) => self.commits.push(commit.clone()),
                _ => (),
            }
        }
        self.actions.extend(actions);
    }

    /// One of the things that can happen next: an answer, a failure, or a timer.
    fn happen(&mut self, machine: &mut Consensus, random: &mut Random) -> bool {
        if !self.asked.is_empty() {
            let (from, references) = self.asked.swap_remove(random.below(self.asked.len()));
            let wanted = references.iter().filter_map(|wanted| self.known.get(wanted));
            let blocks = wanted.filter(|_| !random.chance(5)).cloned().collect();
            let failed = random.chance(5);
            let event = Event::FetchAnswered { from, blocks };
            self.handle(machine, if failed { Event::FetchFailed { from } } else { event });
            return true;
        }
        let Some((timer, at)) = self
            .timers
            .iter()
            .map(|(timer, at)| (*timer, *at))
            .min_by_key(|(timer, at)| (*at, *timer))
        else {
            return false;
        };
        self.timers.remove(&timer);
        self.now = self.now.max(at);
        self.handle(machine, Event::Timer(timer));
        true
    }

    /// Delivers all blocks in a random order, some twice and some never, and answers what is asked.
    fn run(&mut self, machine: &mut Consensus, blocks: &[Block], random: &mut Random) {
        let mut arriving: Vec<&Block> =
            blocks.iter().chain(blocks).filter(|_| random.chance(55)).collect();
        // Streams are nearly in order: a window is shuffled, not the whole.
        arriving.sort_by_key(|block| block.round());
        for window in arriving.chunks_mut(12) {
            random.shuffle(window);
        }
        for block in arriving {
            let from = AuthorityIndex(random.below(machine_size(machine)) as u16);
            self.handle(machine, Event::BlockReceived { from, block: block.clone() });
            self.now += random.next() % 10;
            while random.chance(40) && self.happen(machine, random) {}
        }
        for _ in 0..400 {
            self.happen(machine, random);
        }
    }
}

fn machine_size(machine: &Consensus) -> usize {
    machine.committee().size()
}

fn digests(commits: &[Commit]) -> Vec<crate::CommitDigest> {
    commits.iter().map(Commit::digest).collect()
}

/// The deliveries are worth something: commits, requests, lost answers, and twins taken in.
#[test]
fn deliveries_show_what_can_happen() {
    let mut counts = [0; 4];
    for seed in 0..12 {
        let committee = committee_with(7, 60);
        let random = &mut Random(seed);
        let blocks = random_dag_without(&committee, Some(OWN), 16, random);
        let (mut bench, mut machine) = Bench::start(&committee, &blocks);
        bench.run(&mut machine, &blocks, random);
        let fetches = bench.actions.iter().filter(|action| matches!(action, Action::Fetch { .. }));
        let failed = bench.events.iter().filter(|(_, e)| matches!(e, Event::FetchFailed { .. }));
        let ordered = || bench.commits.iter().flat_map(|commit| commit.blocks());
        let slots: BTreeSet<(Round, AuthorityIndex)> =
            ordered().map(|block| (block.round(), block.author())).collect();
        counts[0] += bench.commits.len();
        counts[1] += fetches.count();
        counts[2] += failed.count();
        counts[3] += ordered().count() - slots.len();
    }
    assert!(counts.iter().all(|count| *count > 10), "commits, fetches, failures, twins {counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is lost, repeated or late, and in whatever order the rest comes: what is committed is
    /// what the DAG alone says. Nothing that was asked for stays away, and every commit is in order.
    #[test]
    fn the_order_of_arrival_decides_nothing(seed in any::<u64>(), n in 4u16..=10) {
        let committee = committee_with(n, 60);
        let random = &mut Random(seed);
        let blocks = random_dag_without(&committee, Some(OWN), 16, random);
        let (mut bench, mut machine) = Bench::start(&committee, &blocks);
        bench.run(&mut machine, &blocks, random);
        let by_the_dag = digests(&order(&committee, &blocks));
        let ours = digests(&bench.commits);
        // Its own blocks can only tell it more.
        let common = by_the_dag.len().min(ours.len());
        prop_assert_eq!(&ours[..common], &by_the_dag[..common]);
        for (commit, index) in bench.commits.iter().zip(1..) {
            prop_assert_eq!(commit.index(), index);
        }
        prop_assert_eq!(machine.status().blocks_suspended, 0);
    }

    /// Hearing the same again changes nothing: no action but a timer, and no other state.
    #[test]
    fn hearing_again_changes_nothing(seed in any::<u64>(), n in 4u16..=7) {
        let committee = committee_with(n, 8);
        let random = &mut Random(seed);
        let blocks = random_dag_without(&committee, Some(OWN), 14, random);
        let (mut bench, mut machine) = Bench::start(&committee, &blocks);
        let mut heard: Vec<Block> = Vec::new();
        for block in &blocks {
            let event = Event::BlockReceived { from: block.author(), block: block.clone() };
            bench.handle(&mut machine, event);
            heard.extend(machine.knows(&block.reference()).then(|| block.clone()));
            let before = machine.status();
            let again = heard[random.below(heard.len())].clone();
            // What is below the collection round by now is unknown again, and dropped.
            let from = block.author();
            let mut actions =
                machine.handle(at(bench.now), Event::BlockReceived { from, block: again });
            for timer in [Timer::Proposal, Timer::Fetch] {
                actions.extend(machine.handle(at(bench.now), Event::Timer(timer)));
            }
            actions.retain(|action| !matches!(action, Action::SetTimer { .. }));
            prop_assert_eq!(actions, Vec::new());
            prop_assert_eq!(machine.status(), before);
        }
    }

    /// Equal events at equal times give equal actions.
    #[test]
    fn replaying_the_events_gives_the_actions(seed in any::<u64>(), n in 4u16..=7) {
        let committee = committee_with(n, 8);
        let random = &mut Random(seed);
        let blocks = random_dag_without(&committee, Some(OWN), 12, random);
        let (mut bench, mut first) = Bench::start(&committee, &blocks);
        bench.run(&mut first, &blocks, random);
        let (mut second, mut actions) = machine(&committee);
        for (now, event) in bench.events {
            actions.extend(second.handle(at(now), event));
        }
        prop_assert_eq!(bench.actions, actions);
    }

    /// The verdict on bytes is a function of the bytes and the committee: whatever a node has seen,
    /// however its parents are dated, and whoever asks.
    #[test]
    fn validity_is_free_of_context(seed in any::<u64>(), n in 4u16..=7) {
        let committee = committee_with(n, 8);
        let random = &mut Random(seed);
        let blocks = random_dag_without(&committee, Some(OWN), 14, random);
        let mut bytes: Vec<Vec<u8>> = blocks.iter().map(|block| block.bytes().to_vec()).collect();
        // Every other one is bent somewhere.
        for bent in bytes.iter_mut().skip(1).step_by(2) {
            let place = random.below(bent.len());
            bent[place] ^= 1 << random.below(8);
        }
        let verdicts = |committee: &Committee| -> Vec<_> {
            let verdict = |bytes: &Vec<u8>| {
                UnverifiedBlock::decode(bytes).and_then(|block| block.verify(committee))
            };
            bytes.iter().map(|bytes| verdict(bytes).map(|block| block.reference())).collect()
        };
        let before = verdicts(&committee);
        prop_assert!(before.iter().step_by(2).all(Result::is_ok), "a valid block is refused");
        prop_assert!(before.iter().skip(1).step_by(2).all(Result::is_err));
        let (mut bench, mut machine) = Bench::start(&committee, &blocks);
        bench.run(&mut machine, &blocks, random);
        prop_assert_eq!(before, verdicts(machine.committee()));
        // And what is valid is taken in as soon as it is asked for.
        let status = machine.status();
        prop_assert_eq!((status.blocks_suspended, status.blocks_wanted), (0, 0));
    }
}
