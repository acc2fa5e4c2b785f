//! What nodes of the world do for each other besides streams: certified commits, own blocks; and
//! how they go from one epoch into the next.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{Disk, Message, World};
use crate::{
    AuthorityIndex, Block, BlockDigest, BlockRef, CertifiedCommits, Checkpoint, Commit, Committee,
    CommitteeConfig, Event, Recovery, Round, recovery::Base, testing::signer,
};

/// From this index on a peer outside of an epoch's committee is named.
const STRANGERS: u16 = 100;

impl World {
    /// The committee of the epoch a node is in.
    pub(crate) fn committee_of(&self, node: usize) -> &Committee {
        &self.committees[self.disks[node].epoch]
    }

    /// What `viewer` calls `node`.
    pub(super) fn index(&self, viewer: usize, node: usize) -> AuthorityIndex {
        let node = u16::try_from(node).unwrap();
        let member = self.committee_of(viewer).index_of(&signer(node).public_key());
        member.unwrap_or(AuthorityIndex(STRANGERS + node))
    }

    /// Whom `viewer` means.
    pub(super) fn node(&self, viewer: usize, index: AuthorityIndex) -> usize {
        (0..self.nodes.len()).find(|node| self.index(viewer, *node) == index).unwrap()
    }

    pub(super) fn same_epoch(&self, one: usize, other: usize) -> bool {
        self.disks[one].epoch == self.disks[other].epoch
    }

    /// What a disk hands back to the machine.
    pub(super) fn recovery(&self, node: usize) -> Recovery {
        let disk = &self.disks[node];
        let committee = self.committee_of(node);
        let of_epoch = |block: &Block| block.header().domain == committee.domain();
        let commits = disk.commits[disk.base.index as usize..].to_vec();
        Recovery {
            base: disk.base,
            commits: needed(&commits, committee.gc_depth()),
            blocks: disk.log.iter().filter(|block| of_epoch(block)).cloned().collect(),
            own_last: disk.own_last.clone().filter(of_epoch),
            checkpoint: disk.checkpoints.last().cloned(),
            lost_log: disk.lost_log,
            sign_after: self.sign_after,
        }
    }

    /// Empties a disk, as a node does that finds no data directory: it is marked.
    pub(crate) fn wipe(&mut self, node: usize) {
        self.put_back(node, Disk { lost_log: true, ..Disk::default() });
    }

    /// Gives a node another disk: an empty one, or an old copy of its own.
    pub(crate) fn put_back(&mut self, node: usize, disk: Disk) {
        // What reached nobody is as if it had not been made.
        let (epoch, author) = (self.disks[node].epoch, self.index(node, node));
        let reached = |round: Round, digest: BlockDigest| {
            let block = BlockRef { round, author, digest };
            let others = self.nodes.iter().flatten();
            let mut others = others.filter(|other| other.own() != author);
            others.any(|other| other.knows(&block) || round <= other.status().gc_round)
        };
        let mut signed = self.signed.clone();
        signed.retain(|(of_epoch, of_node, round), digest| {
            *of_epoch != epoch || *of_node != node || reached(*round, *digest)
        });
        self.signed = signed;
        let payload = disk.commits.iter().flat_map(|commit| commit.payload());
        let on_disk: BTreeSet<Vec<u8>> = payload.map(|(_, item)| item.to_vec()).collect();
        self.committed_at[node].retain(|item, _| on_disk.contains(item));
        self.disks[node] = disk;
    }

    pub(super) fn serve(&mut self, message: Message) {
        match message {
            Message::FetchCommits { from, to, epoch, after } => {
                self.commit_requests += 1;
                let commits = self.certified(to, epoch, after);
                self.send(Message::Commits { from: to, to: from, epoch, commits });
            }
            Message::Commits { from, to, epoch, commits } => {
                let from = self.index(to, from);
                let event = match commits.filter(|_| self.disks[to].epoch == epoch) {
                    Some(commits) => Event::CommitsAnswered { from, commits },
                    None => Event::CommitsFailed { from },
                };
                self.handle(to, event);
            }
            Message::AskOwn { from, to } => {
                let newest = self.newest_of(to, from);
                let commit = self.disks[to].commits.len() as u64;
                self.send(Message::Own { from: to, to: from, commit, newest });
            }
            Message::Own { from, to, commit, newest } => {
                let from = self.index(to, from);
                self.handle(to, Event::OwnAnswered { from, commit, newest });
            }
            _ => unreachable!("not a question"),
        }
    }

    /// The commits of an epoch above `after`, up to the newest checkpoint within reach.
    fn certified(&self, node: usize, epoch: usize, after: u64) -> Option<CertifiedCommits> {
        let disk = self.nodes[node].is_some().then(|| &self.disks[node])?;
        let committee = self.committees.get(epoch)?;
        if self.refusing == Some(node) || self.commits_at_once == 0 {
            return None;
        }
        let last = after + self.commits_at_once;
        let within = |c: &&Checkpoint| {
            c.statement.index > after && c.statement.index <= last && c.verify(committee).is_ok()
        };
        // If none is so near, the next one.
        let beyond = |c: &&Checkpoint| c.statement.index > last && c.verify(committee).is_ok();
        let mut checkpoints = disk.checkpoints.iter();
        let checkpoint = checkpoints.clone().rfind(within).or_else(|| checkpoints.find(beyond))?;
        let checkpoint = checkpoint.clone();
        let range = after as usize..checkpoint.statement.index as usize;
        let headers = disk.commits[range].iter().map(|commit| commit.header().clone()).collect();
        Some(CertifiedCommits::new(headers, checkpoint, committee).unwrap())
    }

    fn newest_of(&self, node: usize, author: usize) -> Option<Block> {
        let domain = self.committee_of(author).domain();
        let author = self.index(node, author);
        let machine = self.nodes[node].as_ref()?;
        let kept = self.disks[node].kept.values();
        let kept = kept.filter(|block| block.author() == author).chain(machine.newest_of(author));
        let own = kept.filter(|block| block.header().domain == domain);
        own.max_by_key(|block| block.round()).cloned()
    }

    /// The ledger's word: a commit with this item is the last one of its epoch.
    pub(crate) fn closes(&self, commit: &Commit) -> bool {
        commit.payload().any(|(_, item)| item.starts_with(b"close"))
    }

    /// A node is told that its epoch is over: it enters the next one.
    pub(super) fn enter_epoch(&mut self, node: usize, checkpoint: &Checkpoint) {
        let epoch = self.disks[node].epoch;
        let closing = self.disks[node].commits.last().unwrap();
        assert_eq!(closing.digest(), checkpoint.statement.commit_digest, "the last one closes");
        if self.committees.len() == epoch + 1 {
            let config = CommitteeConfig {
                epoch: epoch as u64 + 1,
                authorities: self.next_members.iter().map(|i| signer(*i).public_key()).collect(),
                previous: closing.digest(),
                ..self.committees[epoch].config().clone()
            };
            self.committees.push(Committee::new(config).unwrap());
        }
        let base = Base { index: closing.index(), time: closing.time() };
        let disk = &mut self.disks[node];
        (disk.epoch, disk.base) = (epoch + 1, base);
        self.lives[node] += 1;
        self.start(node);
    }
}

/// No more commits than a recovery needs, so that needing more would show.
fn needed(commits: &[Commit], gc_depth: u64) -> Vec<Commit> {
    let Some(newest) = commits.last() else { return Vec::new() };
    let above = Recovery::commits_above(newest.leader().round, gc_depth);
    let first = commits.iter().position(|commit| commit.leader().round > above).unwrap();
    commits[first..].to_vec()
}
