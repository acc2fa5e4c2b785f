//! Does what the plan says shall break, and mends it when the network is to behave.

use super::{Happening, World};
use crate::simulator::plan::Breakage;

impl World {
    pub(super) fn break_something(&mut self, number: usize) {
        let breakage = self.plan.breakages[number].1.clone();
        let (now_ms, stable_ms) = (self.now_ms, self.plan.stable_from_ms);
        self.trace.note(now_ms, 0, "breaks", &[number as u64], &[], || format!("{breakage:?}"));
        match breakage {
            Breakage::Crash(nodes, down_ms) => {
                for node in nodes {
                    self.crash(node, down_ms);
                }
            }
            Breakage::Wipe(node, down_ms) => self.wipe(node, down_ms),
            Breakage::Copy(node) => self.copy(node),
            Breakage::PutBack(node, down_ms) => self.put_back(node, down_ms),
            Breakage::Cut(from, to, lasting_ms) => {
                for from in from {
                    for to in to.iter().copied().filter(|to| *to != from) {
                        self.network.cut(from, to, (now_ms + lasting_ms).min(stable_ms));
                    }
                }
            }
            Breakage::Jump(node, ms) => {
                if let Some(authority) = self.authority_mut(node) {
                    authority.skew_ms += ms;
                }
            }
            Breakage::Freeze(node, ms) => {
                if let Some(authority) = self.authority_mut(node) {
                    authority.freeze((now_ms + ms).min(stable_ms));
                }
            }
        }
    }

    /// The network begins to behave: what was lost on a stream begins again, and everybody is up.
    pub(super) fn stabilise(&mut self) {
        self.trace.note(self.now_ms, 0, "all is well", &[], &[], || "from now on");
        for node in 0..self.nodes.len() {
            let down = self.authority(node).filter(|it| it.running.is_none()).map(|it| it.life);
            if let Some(life) = down {
                self.after(0, Happening::Restart { node, life });
            }
        }
        let busy_until = self.honest().map(|(_, authority)| authority.frozen_until());
        self.worked_off_ms = busy_until.max().unwrap_or_default();
        if self.now_ms > 0 {
            for one in 0..self.nodes.len() {
                for other in one + 1..self.nodes.len() {
                    self.disconnect(one, other);
                }
            }
        }
    }
}
