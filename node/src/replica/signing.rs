//! What an authority needs to know before it signs, told to its operator (§8.5).

use kerbholz_consensus::{Committee, PublicKey, Recovery};

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
             gone for ever, and you know a round above which it has signed nothing: stop it, and \
             kerbholz authority sign-after EPOCH:ROUND",
            committee.answers_after_loss(),
            others.join(", ")
        );
    }
}
