//! The knobs of one node: pacing and memory. None of them can change what is committed.
//!
//! What could (the garbage-collection depth, sizes of blocks) is part of the committee or of the
//! format. Relations are checked once, by [`Parameters::validate`].

use thiserror::Error;

/// Pacing and limits of a node. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Δ: what a message takes at most while the network behaves.
    pub delta_ms: u64,
    /// The least time between two own blocks while there is work.
    pub round_delay_min_ms: u64,
    /// How long an idle authority lets another's block stand alone before it joins the round. Who
    /// made that block cannot order anything new before a quorum has joined: 2Δ, not longer.
    pub idle_step_ms: u64,
    /// How long an idle authority stays silent at most.
    pub heartbeat_ms: u64,
    /// How long a missing parent may still arrive by itself before it is asked for.
    pub fetch_delay_ms: u64,
    /// How many references one fetch asks for at most.
    pub fetch_references_max: usize,
    /// How many blocks without all their parents are kept per author.
    pub suspended_blocks_max: usize,
    /// How many bytes of such blocks are kept per author.
    pub suspended_bytes_max: usize,
    /// How many bytes of blocks are held, or asked for, for certified commits.
    pub catch_up_bytes_max: usize,
    /// How far above the highest accepted round an unasked-for block may be.
    pub rounds_ahead_max: u64,
    /// How many payload items wait for an own block at most.
    pub queue_items_max: usize,
    /// How many bytes of payload wait for an own block at most.
    pub queue_bytes_max: usize,
}

/// Which relation between parameters does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the consensus parameters contradict each other: {0}")]
pub struct ParameterError(&'static str);

impl Parameters {
    /// For authorities on one machine or in one building.
    pub fn lan() -> Self {
        Self {
            delta_ms: 50,
            round_delay_min_ms: 25,
            idle_step_ms: 100,
            heartbeat_ms: 15_000,
            fetch_delay_ms: 25,
            fetch_references_max: 128,
            suspended_blocks_max: 1_000,
            suspended_bytes_max: 8 << 20,
            catch_up_bytes_max: 128 << 20,
            rounds_ahead_max: 10_000,
            queue_items_max: 65_536,
            queue_bytes_max: 64 << 20,
        }
    }

    /// For authorities on different continents.
    pub fn wan() -> Self {
        Self {
            delta_ms: 500,
            round_delay_min_ms: 50,
            idle_step_ms: 1_000,
            fetch_delay_ms: 250,
            ..Self::lan()
        }
    }

    /// For tests: no throttle, small bounds.
    pub fn test() -> Self {
        Self {
            round_delay_min_ms: 0,
            suspended_blocks_max: 50,
            rounds_ahead_max: 500,
            queue_items_max: 100,
            queue_bytes_max: 1 << 20,
            ..Self::lan()
        }
    }

    /// How long a leader is waited for: a block out and a vote back, and the throttle (§5.2).
    pub fn leader_timeout_ms(&self) -> u64 {
        2 * self.delta_ms + self.round_delay_min_ms
    }

    /// How many rounds behind a node proposes no longer round by round (§5.4).
    pub fn jump_limit(&self) -> u64 {
        (2 * self.delta_ms).div_ceil(self.round_delay_min_ms.max(10)).max(2)
    }

    /// Checks every relation.
    ///
    /// # Errors
    /// A [`ParameterError`] names the relation that does not hold.
    pub fn validate(self) -> Result<Self, ParameterError> {
        let day_ms = 24 * 60 * 60 * 1_000;
        let rules = [
            (self.delta_ms > 0, "delta must be positive"),
            (self.heartbeat_ms <= day_ms, "the heartbeat must be at most a day"),
            (self.delta_ms <= self.heartbeat_ms, "delta must not exceed the heartbeat"),
            (self.round_delay_min_ms <= 2 * self.delta_ms, "round delay must be within 2 delta"),
            (self.idle_step_ms <= self.heartbeat_ms, "idle step must not exceed the heartbeat"),
            (self.fetch_delay_ms <= 2 * self.delta_ms, "fetch delay must be within 2 delta"),
            (
                (1..=1024).contains(&self.fetch_references_max),
                "a fetch asks for 1 to 1024 references",
            ),
            (self.suspended_blocks_max > 0, "at least one suspended block per author"),
            (
                self.suspended_bytes_max >= crate::BLOCK_BYTES_MAX,
                "suspended bytes must hold the largest block",
            ),
            (
                self.catch_up_bytes_max >= crate::BLOCK_BYTES_MAX,
                "catch-up bytes must hold the largest block",
            ),
            (
                self.rounds_ahead_max > 2 * self.jump_limit(),
                "rounds ahead must exceed twice the jump limit",
            ),
            (
                self.queue_items_max > 0 && self.queue_bytes_max >= crate::ITEM_BYTES_MAX,
                "the queue must hold the largest payload item",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(ParameterError(rule)),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_valid() {
        for preset in [Parameters::lan(), Parameters::wan(), Parameters::test()] {
            assert_eq!(preset.clone().validate(), Ok(preset));
        }
    }

    #[test]
    fn contradictions_are_named() {
        type Bend = fn(&mut Parameters);
        let cases: [(Bend, &str); 3] = [
            (|p| p.delta_ms = 0, "delta must be positive"),
            (|p| p.idle_step_ms = p.heartbeat_ms + 1, "idle step must not exceed the heartbeat"),
            (|p| p.queue_bytes_max = 10, "the queue must hold the largest payload item"),
        ];
        for (bend, rule) in cases {
            let mut parameters = Parameters::wan();
            bend(&mut parameters);
            assert_eq!(parameters.validate(), Err(ParameterError(rule)));
        }
    }
}
