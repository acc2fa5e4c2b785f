//! What one authority tells another when its stream opens: where it is, and from where to go on.

use kerbholz_consensus::Round;

/// A greeting between two authorities (§10.3). Streams of blocks exist only within an epoch; who
/// hears of another epoch learns who of the two is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The speaker's epoch.
    pub epoch: u64,
    /// Index of its newest commit, in whichever epoch.
    pub commit: u64,
    /// The highest round that it has of the hearer's blocks, in its epoch.
    pub has_of_yours: Round,
    /// The highest round of its own blocks, in its epoch.
    pub own_round: Round,
}

impl Hello {
    /// Length in bytes.
    pub const BYTES: usize = 32;

    /// The four numbers, little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let numbers = [self.epoch, self.commit, self.has_of_yours.0, self.own_round.0];
        numbers.map(u64::to_le_bytes).concat()
    }

    /// The greeting in these bytes; `None` in anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (numbers, _) = bytes.as_chunks::<8>();
        let [epoch, commit, has_of_yours, own_round] = numbers else { return None };
        Some(Self {
            epoch: u64::from_le_bytes(*epoch),
            commit: u64::from_le_bytes(*commit),
            has_of_yours: Round(u64::from_le_bytes(*has_of_yours)),
            own_round: Round(u64::from_le_bytes(*own_round)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_of_a_greeting_are_these() {
        let hello =
            Hello { epoch: 2, commit: 513, has_of_yours: Round(7), own_round: Round(u64::MAX) };
        let bytes = hello.encode();
        let expected = "020000000000000001020000000000000700000000000000ffffffffffffffff";
        assert_eq!(hex::encode(&bytes), expected);
        for length in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..length]), None);
        }
        assert_eq!(Hello::decode(&[&*bytes, &[0]].concat()), None);
    }

    proptest! {
        #[test]
        fn every_greeting_is_understood(numbers: [u64; 4]) {
            let [epoch, commit, has, own] = numbers;
            let (has_of_yours, own_round) = (Round(has), Round(own));
            let hello = Hello { epoch, commit, has_of_yours, own_round };
            prop_assert_eq!(Hello::decode(&hello.encode()), Some(hello));
        }
    }
}
