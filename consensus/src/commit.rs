//! Commits: the ordered blocks that one committed leader brings, chained by digest (§4).

use alloc::{collections::BTreeSet, vec::Vec};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    block::Block,
    codec,
    committee::Committee,
    fault::Fault,
    types::{AuthorityIndex, BlockRef, CommitDigest, Timestamp},
};

/// Everything of a commit but the blocks' contents. Its hash is the commit's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitHeader {
    /// From 1, without gaps.
    pub index: u64,
    /// Digest of the commit before; [`CommitDigest::NONE`] before the first.
    pub previous: CommitDigest,
    /// The leader block whose decision made the commit.
    pub leader: BlockRef,
    /// The ledger's time: never less than the previous commit's (§4.4).
    pub time: Timestamp,
    /// Every block the commit orders, ascending by (round, author, digest); the leader is last.
    pub blocks: Vec<BlockRef>,
    /// Those of them whose payload counts for nothing, because another block of the same author
    /// and round came earlier in commit order (§4.5). Ascending.
    pub silenced: Vec<BlockRef>,
}

impl CommitHeader {
    /// What an encoded commit header may have at most, in bytes.
    pub const BYTES_MAX: usize = 32 << 20;

    /// The digest, which covers the domain and every field.
    pub fn digest(&self, committee: &Committee) -> CommitDigest {
        let mut hasher = blake3::Hasher::new_derive_key("kerbholz 1 commit");
        hasher.update(&committee.domain().0).update(&codec::encode(self));
        CommitDigest(hasher.finalize().into())
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes. What is decoded is not verified.
    ///
    /// # Errors
    /// [`Fault::TooLong`], [`Fault::Malformed`] or [`Fault::NotCanonical`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        codec::decode(bytes, Self::BYTES_MAX)
    }
}

/// Why blocks do not make the commit a header describes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// The blocks are not the ones the header lists, in its order.
    #[error("the blocks are not the ones commit {index} lists")]
    WrongBlocks {
        /// Index of the commit.
        index: u64,
    },
}

/// A commit with its blocks. Cheap to clone but for the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    header: CommitHeader,
    blocks: Vec<Block>,
    digest: CommitDigest,
}

impl Commit {
    /// Puts a header and its blocks together, as read from disk or made by the commit rule.
    ///
    /// This proves that the blocks are the listed ones, not that the order is the committee's:
    /// an [`Auditor`](crate::Auditor) or a [`Checkpoint`](crate::Checkpoint) does.
    ///
    /// # Errors
    /// [`CommitError::WrongBlocks`] when the blocks are not the listed ones.
    pub fn new(
        header: CommitHeader,
        blocks: Vec<Block>,
        committee: &Committee,
    ) -> Result<Self, CommitError> {
        let listed = header.blocks.iter().copied();
        if !blocks.iter().map(Block::reference).eq(listed) {
            return Err(CommitError::WrongBlocks { index: header.index });
        }
        let digest = header.digest(committee);
        Ok(Self { header, blocks, digest })
    }

    /// Everything but the blocks' contents.
    pub fn header(&self) -> &CommitHeader {
        &self.header
    }

    /// Its position in the ledger, from 1.
    pub fn index(&self) -> u64 {
        self.header.index
    }

    /// The ledger's time at this commit.
    pub fn time(&self) -> Timestamp {
        self.header.time
    }

    /// The leader block whose decision made it.
    pub fn leader(&self) -> BlockRef {
        self.header.leader
    }

    /// The blocks, in commit order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Its digest.
    pub fn digest(&self) -> CommitDigest {
        self.digest
    }

    /// Every payload item to execute, in order, with the author of its block.
    pub fn payload(&self) -> impl Iterator<Item = (AuthorityIndex, &[u8])> {
        let silenced: BTreeSet<_> = self.header.silenced.iter().copied().collect();
        self.blocks
            .iter()
            .filter(move |block| !silenced.contains(&block.reference()))
            .flat_map(|block| block.payload().map(|item| (block.author(), item)))
    }

    /// Whether there is any payload item to execute.
    pub fn has_payload(&self) -> bool {
        self.payload().next().is_some()
    }
}
