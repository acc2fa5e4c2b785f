//! What the machines tell their nodes to do: their disks, what they send, what they commit.

use alloc::vec::Vec;

use super::{Message, World};
use crate::{Action, AuthorityIndex, Block, BlockRef, Commit, Event, Round};

impl World {
    pub(super) fn perform(&mut self, node: usize, actions: Vec<Action>) {
        for action in actions {
            self.perform_one(node, action);
        }
    }

    fn perform_one(&mut self, node: usize, action: Action) {
        match action {
            Action::Persist { block, durable } => {
                let disk = &mut self.disks[node];
                disk.log.push(block.clone());
                disk.kept.insert(block.reference(), block.clone());
                if durable {
                    disk.log_durable = disk.log.len();
                    disk.own_last = Some(block);
                    disk.lost_log = false;
                }
            }
            Action::Broadcast(block) => self.broadcast(node, block),
            Action::Stream { to, after } => {
                let (us, domain) = (self.index(node, node), self.committee_of(node).domain());
                let own = |block: &&Block| {
                    block.author() == us && block.round() > after && block.header().domain == domain
                };
                let kept = self.disks[node].kept.values();
                let blocks: Vec<Block> = kept.filter(own).cloned().collect();
                self.send_blocks(node, to, blocks);
            }
            Action::Send { to, blocks } => {
                self.pushes += blocks.len();
                self.send_blocks(node, to, blocks);
            }
            Action::Fetch { from, references, .. } => {
                self.fetches += references.len();
                let to = self.node(node, from);
                self.send(Message::Fetch { from: node, to, references });
            }
            Action::FetchCommits { from, after } => {
                let (to, epoch) = (self.node(node, from), self.disks[node].epoch);
                self.send(Message::FetchCommits { from: node, to, epoch, after });
            }
            Action::AskOwn { from } => {
                let to = self.node(node, from);
                self.send(Message::AskOwn { from: node, to });
            }
            Action::EpochClosed { checkpoint } => {
                self.epochs_closed[node] += 1;
                self.enter_epoch(node, &checkpoint);
            }
            Action::SetTimer { timer, at } => {
                self.schedule(at.0.max(self.now), Message::Timer { node, timer });
            }
            Action::Commit(commit) => self.commit(node, commit),
            Action::Checkpoint(checkpoint) => {
                checkpoint.verify(self.committee_of(node)).unwrap();
                self.disks[node].checkpoints.push(checkpoint);
            }
            Action::PayloadReturned(items) => self.returned[node].extend(items),
            Action::PayloadRefused(refused) => panic!("refused {refused:?}"),
            Action::Fault { authority, offence } => self.offences.push((authority, offence)),
            Action::LogLost { .. } => {
                self.disks[node].lost_log = true;
                self.logs_lost += 1;
            }
            Action::Halt(reason) => self.halts.push((node, reason)),
        }
    }

    fn send_blocks(&mut self, node: usize, to: AuthorityIndex, blocks: Vec<Block>) {
        let to = self.node(node, to);
        for block in blocks {
            self.send(Message::Block { from: node, to, block });
        }
    }

    /// Persisted before broadcast, and never two blocks of one round, whatever crashes.
    fn broadcast(&mut self, node: usize, block: Block) {
        let disk = &self.disks[node];
        let durable = disk.log_durable.checked_sub(1).map(|last| &disk.log[last]);
        assert_eq!(durable, Some(&block), "broadcast before durable");
        let leader = disk.commits.last().map_or(Round::GENESIS, |commit| commit.leader().round);
        let collected = leader.minus(self.committee_of(node).gc_depth());
        let is_kept = |p: &BlockRef| p.round <= collected || disk.kept.contains_key(p);
        assert!(block.parents().iter().all(is_kept), "a parent is not durable");
        let digest = block.reference().digest;
        let signed = self.signed.insert((disk.epoch, node, block.round()), digest);
        assert!(signed.is_none_or(|earlier| earlier == digest), "an honest node equivocates");
        self.made[node] += 1;
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            if self.nodes[to].is_some() && self.same_epoch(node, to) {
                self.send(Message::Block { from: node, to, block: block.clone() });
            }
        }
    }

    fn commit(&mut self, node: usize, commit: Commit) {
        let disk = &self.disks[node];
        if disk.commits.last().is_some_and(|c| c.index() > disk.base.index && self.closes(c)) {
            // The ledger orders nothing behind the commit that closes an epoch.
            return;
        }
        let next = disk.commits.len() as u64 + 1;
        assert_eq!(commit.index(), next, "commits come in order, each once");
        for (_, item) in commit.payload() {
            let earlier = self.committed_at[node].insert(item.to_vec(), self.now);
            assert!(earlier.is_none(), "payload was committed twice");
        }
        let mut event = self.executed(&commit);
        if let Event::Executed { state_digest, .. } = &mut event
            && self.damaged == Some(node)
        {
            state_digest[0] ^= 1;
        }
        let gc_depth = self.committee_of(node).gc_depth();
        let disk = &mut self.disks[node];
        disk.kept.extend(commit.blocks().iter().map(|block| (block.reference(), block.clone())));
        let collected = commit.leader().round.minus(gc_depth);
        disk.commits.push(commit);
        disk.collect(collected);
        self.schedule(self.now + 1, Message::Executed { node, event });
    }

    /// The execution every node agrees on: hashes of what was committed.
    pub(super) fn executed(&self, commit: &Commit) -> Event {
        Event::Executed {
            index: commit.index(),
            log_root: commit.digest().0,
            state_digest: [7; 32],
            vote: commit.has_payload(),
            closes: self.closes(commit),
        }
    }
}
