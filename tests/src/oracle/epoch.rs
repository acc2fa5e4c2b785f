//! All that belongs to one committee: its blocks, and the commits they make.

use super::order::Order;
use kerbholz_client::consensus::{
    AuthorityIndex, Block, BlockRef, Commit, CommitDigest, Committee, Round, Timestamp,
};
use std::collections::BTreeMap;

/// An epoch, as all honest authorities saw it together.
pub(super) struct Epoch {
    pub(super) committee: Committee,
    /// The commit before its first.
    pub(super) base: u64,
    /// Its last commit, once that was executed.
    pub(super) closing: Option<u64>,
    /// When the last honest authority entered it.
    pub(super) entered_ms: u64,
    /// Every block an honest authority accepted.
    pub(super) blocks: BTreeMap<BlockRef, Block>,
    /// When each honest authority made its block of a round.
    pub(super) made_ms: BTreeMap<(Round, AuthorityIndex), u64>,
    pub(super) order: Order,
    digests: Vec<CommitDigest>,
}

impl Epoch {
    pub(super) fn new(
        committee: &Committee,
        base: u64,
        now_ms: u64,
        time: Option<Timestamp>,
    ) -> Self {
        Self {
            order: Order::new(committee, time.unwrap_or(Timestamp(0))),
            committee: committee.clone(),
            base,
            closing: None,
            entered_ms: now_ms,
            blocks: BTreeMap::new(),
            made_ms: BTreeMap::new(),
            digests: Vec::new(),
        }
    }

    /// When the first honest authority made its block of each round.
    pub(super) fn begun_ms(&self) -> BTreeMap<Round, u64> {
        let mut begun_ms = BTreeMap::new();
        for ((round, _), at_ms) in &self.made_ms {
            let begun = begun_ms.entry(*round).or_insert(*at_ms);
            *begun = (*begun).min(*at_ms);
        }
        begun_ms
    }

    /// The digest of a commit of this epoch, by its index.
    pub(super) fn digest(&self, index: u64) -> Option<CommitDigest> {
        let at = usize::try_from(index.checked_sub(self.base + 1)?).ok()?;
        self.digests.get(at).copied()
    }

    /// An authority commits: what others committed before, or the next there is.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), (&'static str, String)> {
        let index = commit.index();
        let at = index.checked_sub(self.base + 1).and_then(|at| usize::try_from(at).ok());
        let at = at.ok_or(("commits come in order", format!("{index} is of an earlier epoch")))?;
        if let Some(known) = self.order.log().get(at) {
            let differs = || format!("{:?}, another authority {known:?}", commit.header());
            return if known == commit.header() { Ok(()) } else { Err(("agreement", differs())) };
        }
        const RULE: &str = "a commit is what its leader orders";
        if at != self.digests.len() {
            return Err((RULE, format!("{index} follows {}", self.digests.len())));
        }
        let previous = self.digests.last().copied().unwrap_or(self.committee.config().previous);
        let expected = self.order.extend(&self.blocks, commit.leader(), index, previous);
        let expected = expected.map_err(|what| (RULE, what))?;
        if expected != *commit.header() {
            return Err((RULE, format!("{:?}, not {expected:?}", commit.header())));
        }
        self.digests.push(commit.digest());
        Ok(())
    }
}
