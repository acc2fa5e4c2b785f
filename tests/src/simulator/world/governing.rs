//! Governance: the authorities vote for another committee, as the plan says and as is tolerable.

use super::{AUTHORITY, Node, World, keypair};
use crate::simulator::plan::Change;
use kerbholz_client::{
    consensus::{Committee, PublicKey},
    ledger::{
        committee::{Candidate, CommitteeChange, CommitteeVote},
        keys::PublicKey as LedgerKey,
        operation::Operation,
        quantity::Epoch,
    },
};

fn ledger_key(key: &PublicKey) -> LedgerKey {
    LedgerKey::new(key.0)
}

impl World {
    /// Every honest member of the committee votes, and of the liars a half.
    pub(super) fn vote(&mut self, number: usize) {
        let change = self.plan.votes[number].1;
        let newest = self.honest().filter_map(|(_, authority)| authority.running.as_ref());
        let newest = newest.map(|running| running.replica().committee().clone());
        let Some(committee) = newest.max_by_key(|committee| committee.config().epoch) else {
            return;
        };
        let Some(change) = self.tolerable(&committee, change) else { return };
        let epoch = committee.config().epoch;
        for node in 0..self.keys.len() {
            let is_member = committee.index_of(&self.keys[node]).is_some();
            let is_liar = matches!(self.nodes[node], Node::Liar(_));
            if !is_member || is_liar && self.random.permille(500) {
                continue;
            }
            let vote = CommitteeVote { epoch: Epoch::new(epoch), change: Some(change.clone()) };
            let operation = Operation::VoteCommittee(vote);
            self.tally.ballots += 1;
            let given = self.clients.ballot(self.now_ms, &keypair(AUTHORITY, node), operation);
            let delay_ms = self.random.between(0, 2_000);
            self.after(delay_ms, super::Happening::Resubmit { number: given });
        }
        self.trace.note(self.now_ms, 0, "all vote for", &[epoch], &[], || format!("{change:?}"));
    }

    /// The change, if it can be made and the new committee bears its liars.
    fn tolerable(&self, committee: &Committee, change: Change) -> Option<CommitteeChange> {
        let is_in = |node: usize| committee.index_of(&self.keys[node]).is_some();
        let (joins, leaves) = match change {
            Change::Add(node) => (Some(node), None),
            Change::Remove(node) => (None, Some(node)),
            Change::Replace(node, by) => (Some(by), Some(node)),
        };
        if joins.is_some_and(is_in) || leaves.is_some_and(|node| !is_in(node)) {
            return None;
        }
        let members = (0..self.keys.len()).filter(|node| is_in(*node));
        let stay: Vec<usize> = members.filter(|node| Some(*node) != leaves).chain(joins).collect();
        let faulty = stay.iter().filter(|node| self.plan.liars.contains_key(node)).count();
        if stay.is_empty() || faulty > (stay.len() - 1) / 3 {
            return None;
        }
        let candidate = joins.map(|node| {
            let address = vec![format!("/memory/{}", node + 1)];
            let (network, key) = (self.genesis.network(), keypair(AUTHORITY, node));
            Candidate::new(network, format!("authority-{node}"), address, &key)
        });
        let leaves = leaves.map(|node| ledger_key(&self.keys[node]));
        match (candidate, leaves) {
            (Some(candidate), None) => Some(CommitteeChange::Add(candidate)),
            (None, Some(key)) => Some(CommitteeChange::Remove(key)),
            (Some(by), Some(key)) => Some(CommitteeChange::Replace { key, by }),
            (None, None) => None,
        }
    }
}
