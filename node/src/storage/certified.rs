//! What an answer to a node that has fallen behind holds: as many headers as fit, up to a
//! checkpoint (§6.5).

use kerbholz_consensus::{Checkpoint, CommitHeader};

use super::{Certified, Limits};

/// An answer in the making.
pub(super) struct Answer {
    after: u64,
    /// The newest checkpoint there is.
    newest: u64,
    limits: Limits,
    headers: Vec<CommitHeader>,
    /// Bytes of the headers up to and with each one.
    bytes: Vec<usize>,
    /// The farthest checkpoint within the limits, or the first one there is.
    checkpoint: Option<Checkpoint>,
}

impl Answer {
    /// An answer of the headers after `after`; `None` if the newest checkpoint is none of theirs.
    pub(super) fn begin(after: u64, newest: Option<&Checkpoint>, limits: Limits) -> Option<Self> {
        let newest = newest?.statement.index;
        let (headers, bytes, checkpoint) = (Vec::new(), Vec::new(), None);
        (after < newest).then_some(Self { after, newest, limits, headers, bytes, checkpoint })
    }

    /// Whether there is no header in it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Number of the next header.
    pub(super) fn next(&self) -> u64 {
        self.after + self.headers.len() as u64 + 1
    }

    /// The next header, and its length in bytes.
    pub(super) fn commit(&mut self, header: CommitHeader, length: usize) {
        self.headers.push(header);
        self.bytes.push(self.bytes.last().unwrap_or(&0).saturating_add(length));
    }

    /// A checkpoint, of one of the headers before or not.
    pub(super) fn checkpoint(&mut self, found: Checkpoint) {
        let Some(count) = self.count(&found) else { return };
        let farther = match &self.checkpoint {
            None => true,
            Some(known) => known.statement.index < found.statement.index && self.fits(count),
        };
        if farther {
            self.checkpoint = Some(found);
        }
    }

    /// How many of the headers a checkpoint is for.
    fn count(&self, checkpoint: &Checkpoint) -> Option<usize> {
        let count = checkpoint.statement.index.checked_sub(self.after)?;
        let count = usize::try_from(count).ok()?;
        (1..=self.headers.len()).contains(&count).then_some(count)
    }

    fn fits(&self, count: usize) -> bool {
        let bytes = count.checked_sub(1).and_then(|last| self.bytes.get(last));
        count <= self.limits.commits && bytes.is_none_or(|bytes| *bytes <= self.limits.bytes)
    }

    /// Whether nothing later can make it better.
    pub(super) fn is_full(&self) -> bool {
        let Some(checkpoint) = &self.checkpoint else { return false };
        checkpoint.statement.index == self.newest || !self.fits(self.headers.len())
    }

    /// The headers up to the checkpoint; `None` if none was found.
    pub(super) fn finish(mut self) -> Option<Certified> {
        let checkpoint = self.checkpoint.take()?;
        let count = self.count(&checkpoint)?;
        self.headers.truncate(count);
        Some((self.headers, checkpoint))
    }
}
