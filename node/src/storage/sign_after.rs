//! The operator's word of what a key has signed, said instead of the other authorities (§8.5).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use kerbholz_consensus::Round;

/// A place in the history of an authority's key, above which it has signed nothing: in no later
/// round of the epoch, and in no later epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignAfter {
    /// The epoch.
    pub epoch: u64,
    /// The round in it.
    pub round: Round,
}

/// Something that is no `EPOCH:ROUND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give an epoch and a round of it, as `kerbholz status` shows them: 0:1234")]
pub struct NoSignAfter;

impl SignAfter {
    /// What it says of an epoch. Of an earlier one it says nothing: there the key may have signed
    /// on.
    pub fn of(self, epoch: u64) -> Option<Round> {
        match epoch.cmp(&self.epoch) {
            Ordering::Less => None,
            Ordering::Equal => Some(self.round),
            Ordering::Greater => Some(Round::GENESIS),
        }
    }
}

impl fmt::Display for SignAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.round.0)
    }
}

impl FromStr for SignAfter {
    type Err = NoSignAfter;

    fn from_str(text: &str) -> Result<Self, NoSignAfter> {
        let (epoch, round) = text.split_once(':').ok_or(NoSignAfter)?;
        let number = |text: &str| text.trim().parse().map_err(|_| NoSignAfter);
        Ok(Self { epoch: number(epoch)?, round: Round(number(round)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_gives_an_epoch_and_a_round() {
        let word: SignAfter = "3:17".parse().unwrap();
        assert_eq!(word, SignAfter { epoch: 3, round: Round(17) });
        assert_eq!(word.to_string().parse(), Ok(word));
        for none in ["", "17", "3:", ":17", "a:b", "3:17:1", "-1:2"] {
            assert_eq!(none.parse::<SignAfter>(), Err(NoSignAfter), "{none}");
        }
    }

    #[test]
    fn the_word_counts_from_its_place_on() {
        let word = SignAfter { epoch: 3, round: Round(17) };
        assert_eq!([2, 3, 4].map(|epoch| word.of(epoch)), [None, Some(Round(17)), Some(Round(0))]);
    }
}
