//! The transaction log: an append-only Merkle mountain range over every transaction and deadline
//! that was executed. Its root is in every checkpoint and proves, offline, what became of each.
//!
//! The range is `ckb-merkle-mountain-range`'s: leaves and inner nodes are numbered in the order in
//! which they come to be, the peaks are bagged from the right. Leaves, inner nodes, bagged peaks and
//! the root are hashed in four domains; the root commits to the number of leaves as well.
//! `docs/formats.md` describes the layout.

use crate::codec;
use crate::id::{Digest, TransactionId, hash};
use crate::rejection::Rejection;
use crate::rows::{Read, ReadError, Table, key, read};
use alloc::{collections::BTreeMap, vec::Vec};
use ckb_merkle_mountain_range::{
    Error, MMR, MMRStoreReadOps, MMRStoreWriteOps, Merge, MerkleProof, leaf_index_to_mmr_size,
    leaf_index_to_pos,
};
use serde::{Deserialize, Serialize};

/// Most leaves that a log has; far more than can be executed, and safe to compute positions with.
pub const LEAVES_MAX: u64 = 1 << 56;

/// The digest of a log entry: who it was, what became of it, and what it changed.
pub fn leaf(id: TransactionId, result: &Result<(), Rejection>, effects: Digest) -> Digest {
    /// A code and the number of an operation take no more.
    const ROOM: usize = 16;
    let mut encoder = codec::Encoder::with_room(ROOM);
    let result = encoder.encode(result);
    Digest::new(hash("kerbholz/log-leaf", &[id.as_bytes(), result, effects.as_bytes()]))
}

/// The root of a log in which nothing stands.
pub fn empty_root() -> Digest {
    root(0, Digest::new([0; 32]))
}

fn root(leaves: u64, peaks: Digest) -> Digest {
    Digest::new(hash("kerbholz/log-root", &[&leaves.to_le_bytes(), peaks.as_bytes()]))
}

struct Nodes;

impl Merge for Nodes {
    type Item = Digest;

    fn merge(left: &Digest, right: &Digest) -> Result<Digest, Error> {
        Ok(Digest::new(hash("kerbholz/log-node", &[left.as_bytes(), right.as_bytes()])))
    }

    fn merge_peaks(right: &Digest, left: &Digest) -> Result<Digest, Error> {
        Ok(Digest::new(hash("kerbholz/log-peaks", &[left.as_bytes(), right.as_bytes()])))
    }
}

/// The nodes of the range: rows of the state, and those that are new.
struct Store<'a> {
    state: &'a dyn Read,
    new: BTreeMap<u64, Digest>,
}

impl MMRStoreReadOps<Digest> for Store<'_> {
    fn get_elem(&self, position: u64) -> Result<Option<Digest>, Error> {
        if let Some(node) = self.new.get(&position) {
            return Ok(Some(*node));
        }
        read(self.state, &node_key(position)).map_err(|error| Error::StoreError(error.0))
    }
}

impl MMRStoreWriteOps<Digest> for Store<'_> {
    fn append(&mut self, position: u64, nodes: Vec<Digest>) -> Result<(), Error> {
        self.new.extend((position..).zip(nodes));
        Ok(())
    }
}

/// The key of a node.
pub(crate) fn node_key(position: u64) -> Vec<u8> {
    key(Table::LogNode, &[&position.to_be_bytes()])
}

fn size(leaves: u64) -> u64 {
    leaves.checked_sub(1).map_or(0, leaf_index_to_mmr_size)
}

fn damaged(error: Error) -> ReadError {
    ReadError(alloc::format!("transaction log: {error}"))
}

/// A log that has grown.
pub(crate) struct Grown {
    /// Leaves now.
    pub(crate) leaves: u64,
    /// Root now.
    pub(crate) root: Digest,
    /// The nodes that are new, by position.
    pub(crate) nodes: BTreeMap<u64, Digest>,
}

/// Appends entries to a log of `leaves` leaves.
pub(crate) fn append(
    state: &dyn Read,
    leaves: u64,
    entries: Vec<Digest>,
) -> Result<Grown, ReadError> {
    let grown = leaves.saturating_add(entries.len() as u64);
    if grown > LEAVES_MAX {
        return Err(ReadError("the transaction log is full".into()));
    }
    let store = Store { state, new: BTreeMap::new() };
    let mut range: MMR<_, Nodes, _> = MMR::new(size(leaves), store);
    for entry in entries {
        range.push(entry).map_err(damaged)?;
        // Committed one by one, so that nodes are found in the store's map and not in a long batch.
        range.commit().map_err(damaged)?;
    }
    let peaks = range.get_root().map_err(damaged)?;
    Ok(Grown { leaves: grown, root: root(grown, peaks), nodes: range.store().new.clone() })
}

/// The way from one leaf to the root of a log of so many leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// Which leaf.
    pub leaf: u64,
    /// How many leaves the log has.
    pub leaves: u64,
    /// The digests beside the way: peaks to the left, siblings upwards, bagged peaks to the right.
    pub path: Vec<Digest>,
}

/// A way that does not lead from the leaf to a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// The leaf is not in a log of that size, or no log has that size.
    #[error("leaf {leaf} cannot be in a log of {leaves} leaves: the receipt is damaged")]
    OutOfRange {
        /// Which leaf.
        leaf: u64,
        /// How many leaves.
        leaves: u64,
    },
    /// Too many or too few digests.
    #[error("the path has {actual} digests where {expected} are needed: the receipt is damaged")]
    PathLength {
        /// Digests in the path.
        actual: usize,
        /// Digests that the leaf's place asks for.
        expected: usize,
    },
}

impl Inclusion {
    /// The log's root, if the leaf has this digest. Whether it is the root of a checkpoint is for
    /// the caller to compare.
    ///
    /// # Errors
    /// [`InclusionError`] when the proof cannot be one; it never panics, whatever it holds.
    pub fn root_for(&self, leaf: Digest) -> Result<Digest, InclusionError> {
        let out_of_range = InclusionError::OutOfRange { leaf: self.leaf, leaves: self.leaves };
        if self.leaf >= self.leaves || self.leaves > LEAVES_MAX {
            return Err(out_of_range);
        }
        // One path per leaf and size: nothing can be added to a receipt or left out.
        let expected = path_length(self.leaf, self.leaves);
        if self.path.len() != expected {
            return Err(InclusionError::PathLength { actual: self.path.len(), expected });
        }
        let proof = MerkleProof::<Digest, Nodes>::new(size(self.leaves), self.path.clone());
        let leaves = alloc::vec![(leaf_index_to_pos(self.leaf), leaf)];
        let peaks = proof.calculate_root(leaves).map_err(|_| out_of_range)?;
        Ok(root(self.leaves, peaks))
    }
}

/// How many digests lie beside the way from a leaf to the root: one per peak to the left, one per
/// level of its own mountain, and one for all peaks to the right together.
fn path_length(leaf: u64, leaves: u64) -> usize {
    let mut first = 0;
    let mut left = 0;
    for height in (0..u64::BITS).rev() {
        let width = 1_u64 << height;
        if leaves & width == 0 {
            continue;
        }
        if leaf < first + width {
            let right = usize::from(leaves & (width - 1) != 0);
            return left + height as usize + right;
        }
        first += width;
        left += 1;
    }
    left
}

/// Proves a leaf in the log as it was when it had `leaves` leaves.
///
/// # Errors
/// [`ReadError`] when the log has no such leaf or the storage fails.
pub fn prove(state: &dyn Read, leaf: u64, leaves: u64) -> Result<Inclusion, ReadError> {
    let last = leaves.saturating_sub(1).min(LEAVES_MAX);
    let grown = state.get(&node_key(leaf_index_to_pos(last)))?.is_some();
    if leaf >= leaves || !grown {
        let text = alloc::format!("transaction log: there is no leaf {leaf} among {leaves}");
        return Err(ReadError(text));
    }
    let store = Store { state, new: BTreeMap::new() };
    let range: MMR<_, Nodes, _> = MMR::new(size(leaves), store);
    let proof = range.gen_proof(alloc::vec![leaf_index_to_pos(leaf)]).map_err(damaged)?;
    Ok(Inclusion { leaf, leaves, path: proof.proof_items().to_vec() })
}
