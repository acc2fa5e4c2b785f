//! What happened, counted: a run in which nothing bad happened has shown nothing.

use crate::adversary::Name;
use std::collections::BTreeMap;

macro_rules! tally {
    ($($(#[doc = $doc:literal])+ $name:ident: $label:literal,)*) => {
        /// How often what happened.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Tally {
            $($(#[doc = $doc])+ pub $name: u64,)*
            /// Runs with this liar.
            pub liars: BTreeMap<Name, u64>,
        }

        impl Tally {
            /// Adds another run's.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (name, count) in &other.liars {
                    *self.liars.entry(*name).or_default() += count;
                }
            }

            /// Every count with its name.
            pub fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$(($label, self.$name),)*]
            }
        }
    };
}

tally! {
    /// Simulated time, in milliseconds.
    simulated_ms: "simulated milliseconds",
    /// Entries of the trace.
    happenings: "happenings",
    /// Own blocks of honest authorities.
    blocks: "blocks of honest authorities",
    /// Blocks of liars that honest authorities accepted.
    liars_blocks: "blocks of liars accepted",
    /// Commits, each counted once.
    commits: "commits",
    /// Slots committed by their certificates, in the union of all blocks.
    direct_commits: "slots committed directly",
    /// Slots committed by an anchor.
    indirect_commits: "slots committed by an anchor",
    /// Slots skipped by the round above.
    direct_skips: "slots skipped directly",
    /// Slots skipped by an anchor.
    indirect_skips: "slots skipped by an anchor",
    /// Slots of honest leaders that had to be committed directly, and were.
    prompt_slots: "honest leaders' slots measured",
    /// The same that were not: each is a violation.
    missed_slots: "honest leaders' slots missed",
    /// Slots of which two blocks were committed.
    twin_slots: "slots with two committed blocks",
    /// Equivocations reported by honest authorities.
    equivocations: "equivocations reported",
    /// Votes reported because they contradict what was executed.
    divergences: "false votes reported",
    /// Liars of whom somebody has evidence or a false vote.
    liars_accused: "liars accused",
    /// Changes of the committee.
    epochs: "changes of the committee",
    /// Votes for one that authorities gave.
    ballots: "votes for a change given",
    /// Disks wiped.
    wipes: "disks wiped",
    /// Old copies of disks put back.
    old_copies: "old copies of disks put back",
    /// Old copies noticed by a block that somebody else has.
    old_copies_noticed: "old copies noticed",
    /// Times that an authority began to catch up by certified commits.
    catch_ups: "catch-ups by certified commits",
    /// Blocks that honest authorities accepted and that fell below the collection round uncommitted.
    collected: "accepted blocks never committed",
    /// Most blocks that waited for parents at one node, summed over runs.
    suspended: "blocks waiting for parents (most at once)",
    /// References asked for.
    fetched: "references asked for",
    /// References asked for together with the chain behind them.
    chains: "chains asked for",
    /// Questions that brought nothing.
    unanswered: "questions without an answer",
    /// Times that a proposer left out rounds.
    jumps: "jumps over rounds",
    /// Checkpoints reported.
    checkpoints: "checkpoints",
    /// Crashes of honest authorities.
    crashes: "crashes",
    /// Crashes between two actions of a list.
    crashes_between: "crashes between two actions",
    /// Connections that broke.
    disconnections: "connections broken",
    /// Messages lost.
    lost: "messages lost",
    /// Transactions submitted.
    transactions: "transactions",
    /// Transactions that clients gave again after a crash.
    resubmitted: "transactions given again",
    /// Bytes in streams that are no block.
    refused: "frames refused",
}
