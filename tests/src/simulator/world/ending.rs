//! What must be true at the end, when the network has behaved for long: everybody has everything.

use super::World;
use crate::oracle::Window;
use kerbholz_client::ledger::{balance, query};
use kerbholz_node::executor::lock;

/// How many commits the authorities may be apart, which go on with empty blocks.
const APART_MAX: u64 = 3;
/// How many commits who follows certified commits only may be behind: of empty ones only each
/// sixteenth is certified.
const FOLLOWERS_APART_MAX: u64 = 20;

impl World {
    pub(super) fn end(&mut self) {
        self.ends_together();
        self.ends_with_every_transaction();
        self.wakes_in_time();
        let window = Window {
            stable_from_ms: self.plan.stable_from_ms.max(self.worked_off_ms),
            settling_ms: self.plan.settling_ms(),
            busy_until_ms: self.plan.busy_until_ms,
        };
        self.oracle.end(window, &mut self.tally);
    }

    /// Restarted and lagging authorities have reached the tip.
    fn ends_together(&mut self) {
        let mut reached = Vec::new();
        for (node, authority) in self.honest() {
            let Some(running) = &authority.running else { continue };
            let replica = running.replica();
            let commit = replica.consensus().status().commit_index;
            reached.push((replica.epoch(), commit, replica.consensus().own().is_some(), node));
        }
        let (epoch, commit) =
            reached.iter().map(|(epoch, commit, ..)| (*epoch, *commit)).max().unwrap_or_default();
        let is_together = |(its_epoch, its_commit, is_member, _): &(u64, u64, bool, usize)| {
            let apart = if *is_member { APART_MAX } else { FOLLOWERS_APART_MAX };
            *its_epoch == epoch && commit - its_commit <= apart
        };
        if reached.len() != self.honest().count() || !reached.iter().all(is_together) {
            let what = format!("(epoch, commit, is a member, node): {reached:?}");
            self.oracle.violated("who lags reaches the tip", what);
        }
    }

    /// Whatever was given is executed once, everywhere; and the books balance.
    fn ends_with_every_transaction(&mut self) {
        let mut wrong = Vec::new();
        let given = self.clients.given();
        let money = given.iter().filter(|given| given.applies).count() as u64;
        for (node, authority) in self.honest() {
            let rows = lock(&authority.storage).rows();
            for (number, given) in given.iter().enumerate() {
                let row =
                    query::transaction(&*rows, given.transaction.id()).expect("rows in memory");
                match row.map(|row| row.result) {
                    Some(Ok(())) => {}
                    Some(Err(_)) if !given.applies => {}
                    other => wrong.push(format!("n{node}: transaction {number} is {other:?}")),
                }
            }
            let waiting = authority.running.as_ref().map_or(0, |it| it.replica.waiting());
            if waiting > 0 {
                wrong.push(format!("n{node}: {waiting} transactions still wait"));
            }
            match balance::check(&*rows) {
                Err(error) => wrong.push(format!("n{node}: {error}")),
                Ok(balance) => {
                    let issued = balance.currencies.first().map_or(0, |it| it.money.issued.get());
                    if issued != money {
                        wrong.push(format!("n{node}: {issued} executed of {money}"));
                    }
                }
            }
        }
        wrong.truncate(5);
        if !wrong.is_empty() {
            self.oracle.violated("no transaction is lost, none executed twice", wrong.join("; "));
        }
    }

    /// The first transaction after the silence is final as fast as within load: the three rounds of a
    /// direct commit, with the idle step and a fetch before each, once all members are in the epoch. A
    /// round that a faulty authority leads is waited for, and so is what becomes of it (§5.2).
    fn wakes_in_time(&mut self) {
        let Some(last) = self.clients.given().last() else { return };
        let from_ms = last.given_ms.max(self.oracle.last_entered_ms());
        let took_ms = last.final_ms.map(|at_ms| at_ms.saturating_sub(from_ms));
        let until_ms = last.final_ms.unwrap_or(self.now_ms);
        let faulty = self.oracle.led_by_faulty(from_ms, until_ms);
        let most_ms = (12 + 4 * faulty) * self.plan.parameters.delta_ms;
        if took_ms.is_none_or(|ms| ms > most_ms) {
            let what = format!("final after {took_ms:?} ms, at most {most_ms} were allowed");
            self.oracle.violated("an idle network answers the first transaction", what);
        }
    }
}
