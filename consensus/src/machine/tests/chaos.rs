//! Crashes, lost disks, cuts and ends of epochs in any order (§11).

extern crate std;

use super::*;
use crate::{Auditor, testing::Random};

/// Every ledger passes an audit over all of its epochs.
pub(super) fn audit(world: &World) {
    for disk in &world.disks {
        let mut committees = world.committees.iter();
        let mut auditor = Auditor::new(committees.next().unwrap().clone());
        for commit in &disk.commits {
            auditor.check(commit).unwrap();
            if world.closes(commit) {
                let Some(next) = committees.next() else { break };
                auditor.begin_epoch(next.clone()).unwrap();
            }
        }
    }
}

/// A run of random misfortunes, never more at once than there may be faults.
struct Chaos {
    world: World,
    random: Random,
    down: Vec<usize>,
    away: Vec<usize>,
    number: usize,
    disks_lost: usize,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let committee = committee_with([4, 4, 5, 7][random.below(4)], [8, 20, 60][random.below(3)]);
        let parameters = [Parameters::lan(), Parameters::test()][random.below(2)].clone();
        let mut world = World::with_committee(committee, parameters, seed);
        world.delay_ms = [1..5, 1..60, 10..200][random.below(3)].clone();
        world.commits_at_once = [5, 40, 400][random.below(3)];
        Self { world, random, down: Vec::new(), away: Vec::new(), number: 0, disks_lost: 0 }
    }

    fn work(&mut self) {
        for _ in 0..self.random.below(40) {
            self.number += 1;
            let node = self.random.below(self.world.nodes.len());
            self.world.offer(node, &item(self.number));
            self.world.run_for(self.random.next() % 60);
        }
    }

    fn step(&mut self) {
        self.work();
        let world = &mut self.world;
        let node = self.random.below(world.nodes.len());
        let is_lost = world.disks.iter().any(|disk| disk.lost_log);
        let troubled = self.down.len() + self.away.len();
        let is_free = troubled < world.committees[0].faulty_max()
            && !self.down.contains(&node)
            && !self.away.contains(&node);
        match self.random.below(8) {
            0..3 if is_free => {
                world.crash(node);
                // One that loses its disk counts among the faulty until it is back.
                if !is_lost && troubled == 0 && self.random.chance(50) {
                    world.wipe(node);
                    self.disks_lost += 1;
                }
                self.down.push(node);
            }
            3 if is_free && !is_lost => {
                world.cut(node);
                self.away.push(node);
            }
            4 | 5 => self.recover(),
            6 => world.offer(node, format!("close {}", self.number).as_bytes()),
            _ => world.run_for(self.random.next() % 5_000),
        }
    }

    fn recover(&mut self) {
        self.down.drain(..).for_each(|node| self.world.start(node));
        self.away.clear();
        self.world.heal();
    }
}

/// Requests for commits, disks lost, epochs ended.
fn run(seed: u64) -> [usize; 3] {
    let mut chaos = Chaos::new(seed);
    for _ in 0..12 {
        chaos.step();
    }
    chaos.recover();
    let Chaos { mut world, disks_lost, .. } = chaos;
    world.run_for(60_000);
    let n = world.nodes.len();
    let item = |node: usize| format!("after all {node}").into_bytes();
    for node in 0..n {
        world.offer(node, &item(node));
        world.run_for(50);
    }
    world.run_for(20_000);
    for node in 0..n {
        let all: Vec<_> = world.nodes.iter().flatten().map(Consensus::status).collect();
        assert_eq!(world.committed_by(&item(node)), n, "{node}, seed {seed}: {all:#?}");
    }
    world.assert_agreement();
    audit(&world);
    assert!(world.halts.is_empty() && world.offences.is_empty(), "{:?}, seed {seed}", world.halts);
    [world.commit_requests, disks_lost, world.committees.len() - 1]
}

#[test]
fn whatever_happens_there_is_one_history_and_it_goes_on() {
    // More by hand: `SEEDS=100..200 cargo test --release -p kerbholz-consensus chaos`.
    let seeds = std::env::var("SEEDS").unwrap_or("0..4".into());
    let (from, to) = seeds.split_once("..").unwrap();
    let seeds = from.parse().unwrap()..to.parse().unwrap();
    let mut all = [0; 3];
    for seed in seeds {
        std::println!("seed {seed}");
        let happened = run(seed);
        for (sum, happened) in all.iter_mut().zip(happened) {
            *sum += happened;
        }
    }
    std::println!("requests for commits, disks lost, epochs: {all:?}");
    assert!(all.iter().all(|happened| *happened > 0), "{all:?}");
}
