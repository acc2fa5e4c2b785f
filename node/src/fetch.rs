//! Fetching blocks: the request and the answer between two authorities, and both sides of it.

use crate::network::{NetworkHandle, PeerKey};
use crate::storage::{Storage, StorageError};
use kerbholz_client::ledger::codec::{self, DecodeError};
use kerbholz_consensus::{Block, BlockRef, Committee, Parameters, UnverifiedBlock};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most bytes of a request.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// Most bytes of blocks in an answer.
const ANSWER_BLOCK_BYTES_MAX: usize = 4 << 20;
/// Most bytes of an answer, with the lengths of its blocks.
const ANSWER_BYTES_MAX: usize = ANSWER_BLOCK_BYTES_MAX + (64 << 10);

/// For which blocks one authority asks another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest(pub Vec<BlockRef>);

/// The blocks that the other one has, in the order asked for, as far as they fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchAnswer(pub Vec<Vec<u8>>);

impl FetchRequest {
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
        if request.0.len() > Parameters::lan().fetch_references_max {
            return Err(DecodeError::Malformed);
        }
        Ok(request)
    }
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

/// The answer to a request, out of storage.
///
/// # Errors
/// [`StorageError`].
pub fn answer(storage: &dyn Storage, request: &FetchRequest) -> Result<FetchAnswer, StorageError> {
    let mut answer = FetchAnswer::default();
    let mut size = 0;
    for reference in &request.0 {
        let Some(block) = storage.block(reference)? else { continue };
        size += block.len();
        if size > ANSWER_BLOCK_BYTES_MAX {
            break;
        }
        answer.0.push(block);
    }
    Ok(answer)
}

/// Fetches blocks from an authority: those it has of the ones asked for, verified. `None` when it
/// did not answer, or with something else.
pub async fn fetch(
    network: &NetworkHandle,
    committee: &Committee,
    peer: PeerKey,
    references: Vec<BlockRef>,
) -> Option<Vec<Block>> {
    let asked = references.clone();
    let answer = match network.fetch(peer, &FetchRequest(references).encode()).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(%error, "a fetch brought nothing");
            return None;
        }
    };
    let answer = FetchAnswer::decode(&answer).ok()?;
    let blocks = tokio::task::block_in_place(|| {
        let verify = |bytes: &Vec<u8>| UnverifiedBlock::decode(bytes)?.verify(committee);
        answer.0.par_iter().map(verify).collect::<Result<Vec<_>, _>>()
    });
    let blocks = blocks.ok()?;
    blocks.iter().all(|block| asked.contains(&block.reference())).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_consensus::{AuthorityIndex, BlockDigest, Round};
    use proptest::prelude::*;

    fn reference(round: u64) -> BlockRef {
        BlockRef {
            round: Round(round),
            author: AuthorityIndex(3),
            digest: BlockDigest([round as u8; 32]),
        }
    }

    #[test]
    fn a_request_may_ask_for_so_many_and_no_more() {
        let max = Parameters::lan().fetch_references_max as u64;
        let most = FetchRequest((1..=max).map(reference).collect());
        assert_eq!(FetchRequest::decode(&most.encode()), Ok(most));
        let more = FetchRequest((0..=max).map(reference).collect());
        assert_eq!(FetchRequest::decode(&more.encode()), Err(DecodeError::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_something_canonical_or_to_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            if let Ok(request) = FetchRequest::decode(&bytes) {
                prop_assert_eq!(request.encode(), bytes.clone());
            }
            if let Ok(answer) = FetchAnswer::decode(&bytes) {
                prop_assert_eq!(answer.encode(), bytes);
            }
        }
    }
}
