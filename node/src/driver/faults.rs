//! What authorities do wrong, as the log tells it: soon enough to be seen, too seldom to fill a disk.

use kerbholz_consensus::{AuthorityIndex, Offence};
use std::collections::BTreeMap;

/// How often each authority did what.
#[derive(Debug, Default)]
pub struct Faults(BTreeMap<(AuthorityIndex, &'static str), u64>);

impl Faults {
    /// Counts a fault. How many there are now, if that is worth a line: the first, and whenever their
    /// number has doubled.
    pub fn count(&mut self, authority: AuthorityIndex, what: &'static str) -> Option<u64> {
        let times = self.0.entry((authority, what)).or_default();
        *times = times.saturating_add(1);
        times.is_power_of_two().then_some(*times)
    }
}

/// The kind of an offence.
pub fn name(offence: &Offence) -> &'static str {
    match offence {
        Offence::Equivocation { .. } => "equivocation",
        Offence::Divergence { .. } => "divergence",
    }
}

/// An offence in one line, without what the blocks carry.
pub fn describe(offence: &Offence) -> String {
    match offence {
        Offence::Equivocation { first, second } => {
            format!("it signed both {} and {}", first.reference(), second.reference())
        }
        Offence::Divergence { vote, executed } => format!(
            "it signed another state than this node computed at commit {} ({} instead of {})",
            executed.index,
            hex::encode(vote.statement.state_digest),
            hex::encode(executed.state_digest)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_faults_makes_few_lines() {
        let mut faults = Faults::default();
        let lines = (0..1_000_000).filter_map(|_| faults.count(AuthorityIndex(3), "noise"));
        let lines: Vec<u64> = lines.collect();
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[..4], [1, 2, 4, 8]);
        assert_eq!(faults.count(AuthorityIndex(2), "noise"), Some(1), "each authority's own");
        assert_eq!(faults.count(AuthorityIndex(3), "worse"), Some(1), "each kind of its own");
    }
}
