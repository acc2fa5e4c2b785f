//! What one authority tells another when it opens its stream: where to begin.

use kerbholz_consensus::Round;

/// What a peer is told when it opens its stream: the highest round we have of its blocks, and of
/// our own; two little-endian integers.
pub fn encode_resume(theirs: Round, ours: Round) -> Vec<u8> {
    [theirs.0.to_le_bytes(), ours.0.to_le_bytes()].concat()
}

/// The two rounds; `None` for anything else.
pub(super) fn decode_resume(bytes: &[u8]) -> Option<(Round, Round)> {
    let theirs = bytes.get(..8)?.try_into().ok()?;
    let ours = bytes.get(8..16)?.try_into().ok()?;
    Some((Round(u64::from_le_bytes(theirs)), Round(u64::from_le_bytes(ours))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood_and_anything_else_is_not() {
        let told = encode_resume(Round(7), Round(u64::MAX));
        assert_eq!(hex::encode(&told), "0700000000000000ffffffffffffffff");
        assert_eq!(decode_resume(&told), Some((Round(7), Round(u64::MAX))));
        for length in 0..told.len() {
            assert_eq!(decode_resume(&told[..length]), None);
        }
    }
}
