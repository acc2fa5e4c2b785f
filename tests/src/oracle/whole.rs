//! What only the whole run shows: the commit rule on the union of all blocks, and whose leadership
//! was lost.

use super::{
    Oracle,
    epoch::Epoch,
    rule::{self, Verdict},
};
use crate::simulator::tally::Tally;
use kerbholz_client::consensus::{BlockRef, Round};
use std::collections::BTreeMap;

/// When leaders are judged.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// When the network began to behave.
    pub stable_from_ms: u64,
    /// How long it may take then, and after each beginning of an epoch, until all are in step.
    pub settling_ms: u64,
    /// When the load ended.
    pub busy_until_ms: u64,
}

impl Oracle {
    /// The run has ended: judges what only the whole shows.
    pub fn end(&mut self, window: Window, tally: &mut Tally) {
        let epochs = std::mem::take(&mut self.epochs);
        for epoch in &epochs {
            let verdicts = rule::decide(&epoch.blocks, &epoch.committee);
            self.compare_with_rule(epoch, &verdicts);
            self.judge_leaders(epoch, &verdicts, window, tally);
            count(epoch, &verdicts, tally);
            let by_liar = |block: &&BlockRef| {
                epoch.committee.key(block.author).is_some_and(|key| self.liars.contains(&key))
            };
            tally.liars_blocks += epoch.blocks.keys().filter(by_liar).count() as u64;
        }
        tally.epochs += epochs.len() as u64 - 1;
        self.epochs = epochs;
        tally.liars_accused += self.accused.len() as u64;
    }

    /// When the last authority entered the newest epoch.
    pub fn last_entered_ms(&self) -> u64 {
        self.epochs.last().map_or(0, |epoch| epoch.entered_ms)
    }

    /// How many rounds that were begun in this time a faulty authority leads.
    pub fn led_by_faulty(&self, from_ms: u64, to_ms: u64) -> u64 {
        let Some(epoch) = self.epochs.last() else { return 0 };
        let begun = epoch.begun_ms().into_iter();
        let during = begun.filter(|(_, at_ms)| (from_ms..=to_ms).contains(at_ms));
        during.filter(|(round, _)| self.is_faulty_leader(epoch, *round)).count() as u64
    }

    fn is_faulty_leader(&self, epoch: &Epoch, round: Round) -> bool {
        let key = epoch.committee.key(epoch.committee.leader(round));
        key.is_none_or(|key| self.liars.contains(&key) || self.accused.contains(&key))
    }

    /// What was committed is what the rule decides on all blocks that honest authorities accepted.
    fn compare_with_rule(&mut self, epoch: &Epoch, verdicts: &[(Round, Verdict)]) {
        let decided = verdicts.iter().take_while(|(_, verdict)| *verdict != Verdict::Undecided);
        let leaders: Vec<BlockRef> = decided.filter_map(|(_, verdict)| verdict.leader()).collect();
        let log: Vec<BlockRef> = epoch.order.log().iter().map(|commit| commit.leader).collect();
        if !leaders.starts_with(&log) {
            let at = leaders.iter().zip(&log).take_while(|(a, b)| a == b).count();
            let (expected, found) = (leaders.get(at), log.get(at));
            let what = format!("commit {}: rule {expected:?}, log {found:?}", at + 1);
            self.violated("commits are what the rule decides", what);
        }
    }

    /// Every honest leader commits directly once the network behaves and all have caught up: of all
    /// rounds that the first honest authority began after settling, that were three rounds old
    /// before the load ended, and that lie before the end of their epoch.
    fn judge_leaders(
        &mut self,
        epoch: &Epoch,
        verdicts: &[(Round, Verdict)],
        window: Window,
        tally: &mut Tally,
    ) {
        let from_ms = window.stable_from_ms.max(epoch.entered_ms) + window.settling_ms;
        let closing = epoch.closing.and_then(|closing| usize::try_from(closing - epoch.base).ok());
        let closing = closing.and_then(|at| epoch.order.log().get(at - 1));
        let last = closing.map_or(Round(u64::MAX), |commit| commit.leader.round);
        let begun_ms = epoch.begun_ms();
        let verdicts: BTreeMap<Round, Verdict> = verdicts.iter().copied().collect();
        let mut missed = Vec::new();
        for (round, at_ms) in &begun_ms {
            let leader = epoch.committee.leader(*round);
            let is_faulty = self.is_faulty_leader(epoch, *round);
            let ended =
                begun_ms.get(&round.plus(3)).is_some_and(|at_ms| *at_ms <= window.busy_until_ms);
            if *at_ms < from_ms || !ended || is_faulty || *round >= last {
                continue;
            }
            tally.prompt_slots += 1;
            let verdict = verdicts.get(round);
            if !matches!(verdict, Some(Verdict::Commit { direct: true, .. })) {
                missed.push(format!("round {round} led by {leader} at {at_ms} ms: {verdict:?}"));
            }
        }
        if !missed.is_empty() {
            tally.missed_slots += missed.len() as u64;
            missed.truncate(4);
            self.violated("honest leaders commit directly", missed.join("; "));
        }
    }
}

fn count(epoch: &Epoch, verdicts: &[(Round, Verdict)], tally: &mut Tally) {
    for (_, verdict) in verdicts {
        match verdict {
            Verdict::Commit { direct: true, .. } => tally.direct_commits += 1,
            Verdict::Commit { direct: false, .. } => tally.indirect_commits += 1,
            Verdict::Skip { direct: true } => tally.direct_skips += 1,
            Verdict::Skip { direct: false } => tally.indirect_skips += 1,
            Verdict::Undecided => {}
        }
    }
    tally.commits += epoch.order.log().len() as u64;
    tally.twin_slots += epoch.order.twin_slots();
    let collected = |block: &&BlockRef| {
        block.round <= epoch.order.gc_round() && !epoch.order.is_committed(block)
    };
    tally.collected += epoch.blocks.keys().filter(collected).count() as u64;
}
