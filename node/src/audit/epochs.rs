//! The epochs of a replayed ledger: who the authorities are follows from the votes that were executed
//! (§10). What a node recorded of it is only compared.

use super::error::Difference;
use kerbholz_client::committees::Committees;
use kerbholz_consensus::{CommitDigest, Committee, CommitteeConfig, CommitteeError};
use kerbholz_ledger::execute::Effects;
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::rows::CommitteeRow;

/// The committees so far, and whether the present epoch has ended.
pub(super) struct Epochs {
    committees: Committees,
    ended: Option<Ended>,
}

/// What the last commit of an epoch decided.
struct Ended {
    commit: u64,
    digest: CommitDigest,
    next: CommitteeRow,
}

impl Epochs {
    pub(super) fn begin(genesis: &Genesis) -> Result<Self, CommitteeError> {
        Ok(Self { committees: Committees::of_genesis(genesis)?, ended: None })
    }

    /// The present committee.
    pub(super) fn committee(&self) -> &Committee {
        self.committees.current()
    }

    /// Number of the present epoch.
    pub(super) fn number(&self) -> u64 {
        self.committees.epoch().get()
    }

    /// Refuses a commit beyond the end of its epoch.
    pub(super) fn may_commit(&self, commit: u64) -> Result<(), Difference> {
        match &self.ended {
            None => Ok(()),
            Some(ended) => {
                let epoch = self.number();
                let what = format!("the end of epoch {epoch}");
                let expected = format!("no commit of it after commit {}", ended.commit);
                Err(Difference::at(commit, what, expected, "one more"))
            }
        }
    }

    /// Takes in what a commit decided, if it was the last one of its epoch.
    pub(super) fn executed(&mut self, digest: CommitDigest, effects: &Effects) {
        let commit = effects.commit.get();
        self.ended = effects.next_committee.clone().map(|next| Ended { commit, digest, next });
    }

    /// Begins the next epoch, of which this was recorded; `covered` is the newest commit that a
    /// quorum vouches for, which must be the one that ended the epoch.
    pub(super) fn next(
        &mut self,
        recorded: &CommitteeConfig,
        last: u64,
        covered: u64,
    ) -> Result<&Committee, Difference> {
        let Some(Ended { commit, digest, next }) = self.ended.take() else {
            let expected = format!("that of epoch {}: nothing was decided", self.number());
            let found = format!("that of epoch {}", recorded.epoch);
            return Err(Difference::at(last, "the committee", expected, found));
        };
        if covered != commit {
            let what = format!("the checkpoint that closes epoch {}", self.number());
            return Err(Difference::at(commit, what, commit, covered));
        }
        self.committees.decided(next, digest).map_err(|error| {
            Difference::at(commit, "the committee decided", "a committee", error)
        })?;
        let decided = self.committee().config();
        if decided != recorded {
            let what = format!("the committee of epoch {}", decided.epoch);
            let (decided, recorded) = (describe(decided), describe(recorded));
            return Err(Difference::at(commit, what, decided, recorded));
        }
        Ok(self.committees.current())
    }
}

/// What two configurations can differ in, in a line.
fn describe(config: &CommitteeConfig) -> String {
    let keys: Vec<String> = config.authorities.iter().map(|key| hex::encode(&key.0[..4])).collect();
    let CommitteeConfig { epoch, gc_depth, previous, .. } = config;
    format!("epoch {epoch} of {} after {previous}, depth {gc_depth}", keys.join(" "))
}
