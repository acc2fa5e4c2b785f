//! Fetching blocks: the request and the answer between two authorities, inside a frame.

use kerbholz_client::ledger::codec::{self, DecodeError};
use kerbholz_consensus::{BlockRef, Parameters};
use serde::{Deserialize, Serialize};

/// Most bytes of a request.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// Most bytes of blocks in an answer.
pub const ANSWER_BLOCK_BYTES_MAX: usize = 4 << 20;
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
