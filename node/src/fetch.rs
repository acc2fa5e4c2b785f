//! What one authority asks another: blocks, certified commits, its own newest block. The request,
//! the answer, and both sides of it.
//!
//! An answer is made from the storage, or by [`Replica::answer`], who knows more, and becomes an event for the asker's
//! consensus once everything in it was verified ([`Asked::event`]). Bytes: `docs/formats.md`,
//! "Fetch".
//!
//! [`Replica::answer`]: crate::replica::Replica::answer

use crate::executor::{SharedStorage, lock};
use crate::storage::{Limits, StorageError};
use kerbholz_client::ledger::codec::{self, DecodeError};
use kerbholz_client::wire::Protocol;
use kerbholz_consensus::{
    AuthorityIndex, Block, BlockRef, CertifiedCommits, Checkpoint, CommitHeader, Committee, Event,
    Parameters, Round, UnverifiedBlock,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most bytes of a request.
const REQUEST_BYTES_MAX: usize = Protocol::Fetch.request_max();
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = Protocol::Fetch.answer_max();
/// Most bytes of blocks in an answer.
const BLOCK_BYTES_MAX: usize = 4 << 20;
/// Most blocks in an answer: each of them is a signature to check.
const BLOCKS_MAX: usize = 256;
/// What an answer with commits holds at most, unless the first checkpoint lies beyond.
const COMMITS_MAX: Limits = Limits { commits: 1_024, bytes: 1 << 20 };

/// What one authority asks another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FetchRequest {
    /// These blocks.
    Blocks(Vec<BlockRef>),
    /// Certified commits after this one.
    Commits {
        /// Index of the newest commit that the asker has.
        after: u64,
    },
    /// The newest block by the asker itself.
    Own {
        /// In which epoch.
        epoch: u64,
    },
    /// These blocks, and the chain of own parents behind each: who kept one block to itself may
    /// have kept many, and to ask for them one by one would take a round trip each.
    Chains {
        /// The ends of the chains.
        references: Vec<BlockRef>,
        /// At or below this round nothing is needed.
        above: Round,
    },
}

/// What the other one has of it, in the variant of the request; chains are blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FetchAnswer {
    /// The blocks, in the order asked for, as far as they fit; each before its own parent.
    Blocks(Vec<Vec<u8>>),
    /// The commits from the next one on, and the checkpoint of the last of them. Nothing if the
    /// answerer has none that are certified.
    Commits(Option<(Vec<CommitHeader>, Checkpoint)>),
    /// Nothing if the answerer is in another epoch.
    Own(Option<OwnNewest>),
}

/// What an authority knows of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnNewest {
    /// Index of the answerer's newest commit.
    pub commit: u64,
    /// The newest block by the asker that the answerer knows, in the present epoch.
    pub block: Option<Vec<u8>>,
}

impl FetchRequest {
    /// A request for blocks, or for chains of them.
    pub fn new(references: Vec<BlockRef>, chains_above: Option<Round>) -> Self {
        match chains_above {
            None => Self::Blocks(references),
            Some(above) => Self::Chains { references, above },
        }
    }

    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes of at most as many references as one fetch may have.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let request = codec::decode::<Self, REQUEST_BYTES_MAX>(bytes)?;
        match &request {
            Self::Blocks(references) | Self::Chains { references, .. }
                if references.len() > Parameters::lan().fetch_references_max =>
            {
                Err(DecodeError::Malformed)
            }
            _ => Ok(request),
        }
    }

    /// The answer that storage alone gives.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn answer(&self, storage: &SharedStorage) -> Result<FetchAnswer, StorageError> {
        match self {
            Self::Blocks(references) => blocks(storage, references, None),
            Self::Chains { references, above } => blocks(storage, references, Some(*above)),
            Self::Commits { after } => commits(storage, *after),
            Self::Own { .. } => Ok(FetchAnswer::Own(None)),
        }
    }
}

/// It is locked for one block at a time, so that nobody waits for all of them.
fn blocks(
    storage: &SharedStorage,
    references: &[BlockRef],
    chains_above: Option<Round>,
) -> Result<FetchAnswer, StorageError> {
    let mut blocks = Vec::new();
    let mut size = 0;
    let mut sent = BTreeSet::new();
    for reference in references {
        let mut next = Some(*reference);
        while let Some(reference) = next.filter(|reference| sent.insert(*reference)) {
            let Some(block) = lock(storage).block(&reference)? else { break };
            size += block.len();
            if size > BLOCK_BYTES_MAX || blocks.len() == BLOCKS_MAX {
                return Ok(FetchAnswer::Blocks(blocks));
            }
            next = chains_above.and_then(|above| own_parent(&block).filter(|it| it.round > above));
            blocks.push(block);
        }
    }
    Ok(FetchAnswer::Blocks(blocks))
}

fn own_parent(block: &[u8]) -> Option<BlockRef> {
    UnverifiedBlock::decode(block).ok()?.parents().first().copied()
}

fn commits(storage: &SharedStorage, after: u64) -> Result<FetchAnswer, StorageError> {
    let certified = lock(storage).certified(after, COMMITS_MAX)?;
    // More than fit any answer lie between two checkpoints only when execution stood still.
    let fits = |headers: &[CommitHeader]| headers.len() <= CertifiedCommits::COMMITS_MAX;
    Ok(FetchAnswer::Commits(certified.filter(|(headers, _)| fits(headers))))
}

impl FetchAnswer {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<Self, ANSWER_BYTES_MAX>(bytes)
    }
}

/// A request on its way: what the answer must be to be one.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The committee of the asker's epoch.
    pub committee: Committee,
    /// The asker, if it is a member of it.
    pub own: Option<AuthorityIndex>,
    /// Whom it asked.
    pub from: AuthorityIndex,
    /// What for.
    pub request: FetchRequest,
}

impl Asked {
    /// What consensus is told: the answer if everything in it is what was asked for and verifies,
    /// else that there was none.
    pub fn event(&self, answer: Option<&[u8]>) -> Event {
        let from = self.from;
        let answer = answer.and_then(|bytes| FetchAnswer::decode(bytes).ok());
        let event = match (&self.request, answer) {
            (FetchRequest::Blocks(asked), Some(FetchAnswer::Blocks(blocks))) => self
                .verify(asked, &blocks, false)
                .map(|blocks| Event::FetchAnswered { from, blocks }),
            (FetchRequest::Chains { references, .. }, Some(FetchAnswer::Blocks(blocks))) => self
                .verify(references, &blocks, true)
                .map(|blocks| Event::FetchAnswered { from, blocks }),
            (FetchRequest::Commits { after }, Some(FetchAnswer::Commits(Some(commits)))) => self
                .certified(*after, commits)
                .map(|commits| Event::CommitsAnswered { from, commits }),
            (FetchRequest::Own { .. }, Some(FetchAnswer::Own(Some(newest)))) => self
                .newest(newest.block.as_deref())
                .map(|block| Event::OwnAnswered { from, commit: newest.commit, newest: block }),
            _ => None,
        };
        event.unwrap_or(match self.request {
            FetchRequest::Blocks(_) | FetchRequest::Chains { .. } => Event::FetchFailed { from },
            FetchRequest::Commits { .. } => Event::CommitsFailed { from },
            FetchRequest::Own { .. } => Event::OwnFailed { from },
        })
    }

    fn verify(&self, asked: &[BlockRef], blocks: &[Vec<u8>], chains: bool) -> Option<Vec<Block>> {
        let verify = |bytes: &Vec<u8>| self.block(bytes);
        let blocks = blocks.par_iter().map(verify).collect::<Option<Vec<_>>>()?;
        let mut expected: BTreeSet<BlockRef> = asked.iter().copied().collect();
        let is_expected = |block: &Block| {
            let is_expected = expected.contains(&block.reference());
            expected.extend(block.parents().first().filter(|_| chains));
            is_expected
        };
        blocks.iter().all(is_expected).then_some(blocks)
    }

    fn certified(
        &self,
        after: u64,
        (headers, checkpoint): (Vec<CommitHeader>, Checkpoint),
    ) -> Option<CertifiedCommits> {
        let commits = CertifiedCommits::new(headers, checkpoint, &self.committee).ok()?;
        (commits.first().checked_sub(1) == Some(after)).then_some(commits)
    }

    /// The block, which must be ours. Outside: whether the answer is one.
    fn newest(&self, block: Option<&[u8]>) -> Option<Option<Block>> {
        let Some(bytes) = block else { return Some(None) };
        self.block(bytes).filter(|block| Some(block.author()) == self.own).map(Some)
    }

    fn block(&self, bytes: &[u8]) -> Option<Block> {
        UnverifiedBlock::decode(bytes).and_then(|block| block.verify(&self.committee)).ok()
    }
}

#[cfg(test)]
mod tests;
