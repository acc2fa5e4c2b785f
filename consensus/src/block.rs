//! Blocks: what an authority signs once per round, and the checks that make bytes a block (§1).
//!
//! `bytes -> UnverifiedBlock -> Block`: each type proves what was checked. Nothing in here looks at
//! a clock or at another block, so a verdict is the same everywhere and for ever.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{
    authority_set::AuthoritySet,
    checkpoint::Vote,
    codec::{self, Bytes},
    committee::Committee,
    fault::Fault,
    keys::{Signature, Signer},
    types::{AuthorityIndex, BlockDigest, BlockRef, Domain, Round, Timestamp},
};

mod verify;

pub(crate) use verify::header_is_signed;

/// The version of the block format.
pub const BLOCK_VERSION: u8 = 1;
/// What the items of a block may have in total, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 512 << 10;
/// What one payload item may have, in bytes.
pub const ITEM_BYTES_MAX: usize = 64 << 10;
/// How many items a block may carry.
pub const PAYLOAD_ITEMS_MAX: usize = 4096;
/// How many checkpoint votes a block may carry.
pub const VOTES_MAX: usize = 8;
/// What an encoded block may have at most: its payload, and room for header and item lengths.
pub const BLOCK_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + (64 << 10);

/// The flag of an author who has something pending; it hurries the others and affects nothing else.
pub const FLAG_WORK: u8 = 1;

/// What the author signs. Its hash is the block's digest; the signature is not part of it, so a
/// second signature over the same header makes no second block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`BLOCK_VERSION`].
    pub version: u8,
    /// The committee's domain.
    pub domain: Domain,
    /// Who signs.
    pub author: AuthorityIndex,
    /// From 1.
    pub round: Round,
    /// The author's wall clock. Informational: it takes part in medians, never in validity.
    pub timestamp: Timestamp,
    /// The author's own previous block, then at most one block of each other author, ascending.
    pub parents: Vec<BlockRef>,
    /// Checkpoint votes cast since the author's last block, ascending by commit index.
    pub votes: Vec<Vote>,
    /// Hash of the payload items, each with its length.
    pub payload_root: [u8; 32],
    /// Sum of the items' lengths, in bytes.
    pub payload_bytes: u32,
    /// Number of items.
    pub payload_items: u32,
    /// [`FLAG_WORK`] or nothing.
    pub flags: u8,
}

impl Header {
    /// The digest of a block with this header.
    pub fn digest(&self) -> BlockDigest {
        BlockDigest(blake3::derive_key("kerbholz 1 block", &codec::encode(self)))
    }

    /// The reference of a block with this header.
    pub fn reference(&self) -> BlockRef {
        BlockRef { round: self.round, author: self.author, digest: self.digest() }
    }
}

/// The message an author signs: domain separated, so that no signature serves two purposes.
fn signed_message(digest: &BlockDigest) -> [u8; 48] {
    let mut message = [0; 48];
    message[..16].copy_from_slice(b"kerbholz block 1");
    message[16..].copy_from_slice(&digest.0);
    message
}

/// The hash of a payload that a header carries.
fn payload_root<'a>(items: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("kerbholz 1 payload");
    for item in items {
        hasher.update(&(item.len() as u64).to_le_bytes()).update(item);
    }
    hasher.finalize().into()
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    header: Header,
    signature: Signature,
    #[serde(borrow)]
    payload: Vec<Bytes<'a>>,
}

/// A well-formed block whose author, shape, signature and payload nobody has checked yet.
#[derive(Clone, Debug)]
pub struct UnverifiedBlock(Inner);

/// A valid block: its bytes passed every check of §1.4 for its committee. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Block(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    header: Header,
    reference: BlockRef,
    signature: Signature,
    bytes: Vec<u8>,
    items: Vec<Range<usize>>,
}

impl Inner {
    fn payload(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.items.iter().map(|range| &self.bytes[range.clone()])
    }
}

impl UnverifiedBlock {
    /// Decodes a block, canonically and within limits.
    ///
    /// # Errors
    /// [`Fault::TooLong`] before anything is allocated, [`Fault::Malformed`],
    /// [`Fault::NotCanonical`] or [`Fault::TooMany`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let wire: Wire<'_> = codec::decode(bytes, BLOCK_BYTES_MAX)?;
        if wire.header.parents.len() > AuthoritySet::CAPACITY
            || wire.header.votes.len() > VOTES_MAX
            || wire.payload.len() > PAYLOAD_ITEMS_MAX
        {
            return Err(Fault::TooMany);
        }
        let lengths: Vec<usize> = wire.payload.iter().map(|item| item.0.len()).collect();
        let (header, signature) = (wire.header, wire.signature);
        Ok(Self(Inner {
            reference: header.reference(),
            header,
            signature,
            bytes: bytes.to_vec(),
            items: item_ranges(bytes.len(), &lengths),
        }))
    }

    /// The reference the block has if it is valid: enough to see that it is known already.
    pub fn reference(&self) -> BlockRef {
        self.0.reference
    }

    /// What it names as its parents: not checked either.
    pub fn parents(&self) -> &[BlockRef] {
        &self.0.header.parents
    }

    /// Runs every check of §1.4, cheapest first.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn verify(self, committee: &Committee) -> Result<Block, Fault> {
        verify::check(&self.0, committee)?;
        Ok(Block(Arc::new(self.0)))
    }
}

/// Where the items lie in the bytes: they are the end of the block, each behind its length.
fn item_ranges(bytes: usize, lengths: &[usize]) -> Vec<Range<usize>> {
    let mut end = bytes;
    let mut ranges: Vec<_> = lengths
        .iter()
        .rev()
        .map(|length| {
            let range = end - length..end;
            end = range.start - codec::encode(&(*length as u64)).len();
            range
        })
        .collect();
    ranges.reverse();
    ranges
}

/// What the proposer decides; version, author, domain and payload summary are filled in.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The round of the block.
    pub round: Round,
    /// The author's wall clock.
    pub timestamp: Timestamp,
    /// As in [`Header::parents`].
    pub parents: Vec<BlockRef>,
    /// As in [`Header::votes`].
    pub votes: Vec<Vote>,
    /// The payload items.
    pub payload: Vec<Vec<u8>>,
    /// Whether the author has something pending.
    pub work: bool,
}

impl Draft {
    /// Completes, signs, encodes and verifies the block, so that what an honest author sends is
    /// valid by the same checks its peers run.
    ///
    /// # Errors
    /// The [`Fault`] the peers would find, for a draft or a signer that does not fit the committee.
    pub fn sign(
        self,
        committee: &Committee,
        author: AuthorityIndex,
        signer: &Signer,
    ) -> Result<Block, Fault> {
        let bytes: usize = self.payload.iter().map(Vec::len).sum();
        let items = self.payload.len();
        if bytes > PAYLOAD_BYTES_MAX || items > PAYLOAD_ITEMS_MAX {
            return Err(Fault::PayloadLimit);
        }
        let header = Header {
            version: BLOCK_VERSION,
            domain: committee.domain(),
            author,
            round: self.round,
            timestamp: self.timestamp,
            parents: self.parents,
            votes: self.votes,
            payload_root: payload_root(self.payload.iter().map(Vec::as_slice)),
            payload_bytes: u32::try_from(bytes).map_err(|_| Fault::PayloadLimit)?,
            payload_items: u32::try_from(items).map_err(|_| Fault::PayloadLimit)?,
            flags: if self.work { FLAG_WORK } else { 0 },
        };
        let signature = signer.sign(&signed_message(&header.digest()));
        let payload = self.payload.iter().map(|item| Bytes(item)).collect();
        let bytes = codec::encode(&Wire { header, signature, payload });
        UnverifiedBlock::decode(&bytes)?.verify(committee)
    }
}

impl Block {
    /// Where the block is in the DAG, and its digest.
    pub fn reference(&self) -> BlockRef {
        self.0.reference
    }

    /// Who signed it.
    pub fn author(&self) -> AuthorityIndex {
        self.0.header.author
    }

    /// Its round.
    pub fn round(&self) -> Round {
        self.0.header.round
    }

    /// The signed header.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The author's signature over the header's digest.
    pub fn signature(&self) -> &Signature {
        &self.0.signature
    }

    /// The blocks it builds on, which are also its votes (§3.1).
    pub fn parents(&self) -> &[BlockRef] {
        &self.0.header.parents
    }

    /// The exact bytes it travels and is stored as.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The payload items, in order. What they mean is not this crate's business.
    pub fn payload(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.0.payload()
    }

    /// Whether it carries any item.
    pub fn has_payload(&self) -> bool {
        !self.0.items.is_empty()
    }

    /// Whether its author had something pending.
    pub fn has_work(&self) -> bool {
        self.0.header.flags & FLAG_WORK != 0
    }

    /// The parent at `round` by `author`, if it has one: its vote in that slot.
    pub(crate) fn parent_at(&self, round: Round, author: AuthorityIndex) -> Option<BlockRef> {
        let parents = self.parents();
        let parent = if author == self.author() {
            parents.first()
        } else {
            let others = parents.get(1..)?;
            others.binary_search_by_key(&author, |parent| parent.author).ok().map(|i| &others[i])
        };
        parent.filter(|parent| parent.round == round).copied()
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.reference() == other.reference()
    }
}

impl Eq for Block {}

#[cfg(test)]
mod tests;
