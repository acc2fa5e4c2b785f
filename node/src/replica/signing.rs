//! What an authority needs to know before it signs, and what its operator can say instead (§8.5).

use kerbholz_consensus::{Committee, PublicKey, Recovery, Round};
use std::cmp::Ordering;
use std::str::FromStr;

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
    /// What it says of an epoch to one who knows that its key has signed `known` in it, and whether
    /// this is all it knows. Of an earlier epoch it says nothing: there the key may have signed on.
    pub(super) fn of(self, epoch: u64, known: Round, lost_log: bool) -> Option<Round> {
        let round = match epoch.cmp(&self.epoch) {
            Ordering::Less => return None,
            Ordering::Equal => self.round,
            Ordering::Greater => Round::GENESIS,
        };
        // A log that reaches farther is no old copy, and needs nobody's word.
        (lost_log || known < round).then_some(round)
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

/// Whether a key's owner is the whole committee, does not know what it has signed, and nobody says.
pub(super) fn is_lost_alone(committee: &Committee, own: &PublicKey, recovery: &Recovery) -> bool {
    let is_alone = committee.size() == 1 && committee.index_of(own).is_some();
    is_alone && recovery.lost_log && recovery.sign_after.is_none()
}

/// Tells the operator of a member of the committee what it waits for before it signs, and from whom.
/// `names` are the authorities', in order.
pub(super) fn report(
    names: &[String],
    committee: &Committee,
    own: &PublicKey,
    recovery: &Recovery,
) {
    let Some(own) = committee.index_of(own) else { return };
    let epoch = committee.config().epoch;
    if let Some(round) = recovery.sign_after {
        let round = round.0;
        tracing::warn!(epoch, "by its operator's word, this authority signs above round {round}");
    } else if recovery.lost_log {
        let others = names.iter().enumerate().filter(|(index, _)| *index != own.position());
        let others: Vec<&str> = others.map(|(_, name)| name.as_str()).collect();
        tracing::warn!(
            epoch,
            "it is not known what this authority has signed, since its data folder is new, or was \
             lost, or is an old copy: it signs nothing until {} of {} have told it. If so many are \
             gone for ever, and you know a round above which it has signed nothing: kerbholz node \
             --sign-after EPOCH:ROUND",
            committee.answers_after_loss(),
            others.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_gives_an_epoch_and_a_round() {
        let word: SignAfter = "3:17".parse().unwrap();
        assert_eq!(word, SignAfter { epoch: 3, round: Round(17) });
        for none in ["", "17", "3:", ":17", "a:b", "3:17:1", "-1:2"] {
            assert_eq!(none.parse::<SignAfter>(), Err(NoSignAfter), "{none}");
        }
    }

    #[test]
    fn the_word_counts_from_its_place_on() {
        let word = SignAfter { epoch: 3, round: Round(17) };
        let of = |epoch, known, lost| word.of(epoch, Round(known), lost).map(|round| round.0);
        let cases = [
            ((2, 0, true), None),
            ((3, 0, true), Some(17)),
            ((3, 20, true), Some(17)),
            ((4, 0, true), Some(0)),
            // An old copy, and a log that is whole.
            ((3, 5, false), Some(17)),
            ((3, 17, false), None),
            ((4, 0, false), None),
        ];
        for ((epoch, known, lost), expected) in cases {
            assert_eq!(of(epoch, known, lost), expected, "{epoch} {known} {lost}");
        }
    }
}
