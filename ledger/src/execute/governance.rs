//! Governance: the authorities' votes on their own committee. The rules are said at
//! [`CommitteeVote`].

use super::work::{Checked, Work, ensure};
use crate::committee::{Authority, CommitteeChange, CommitteeVote, quorum};
use crate::keys::PublicKey;
use crate::quantity::Epoch;
use crate::rejection::Code;
use crate::rows::{CommitteeRow, ReadError, VoteRow, committee_key, read, vote_key};

pub(super) fn vote(work: &mut Work<'_>, voter: PublicKey, vote: &CommitteeVote) -> Checked<()> {
    let before = check(work, voter, vote)?;

    let row_key = vote_key(vote.epoch, voter);
    let Some(change) = &vote.change else {
        work.state.remove(row_key);
        return Ok(());
    };
    let commit = work.moment.commit;
    work.state.put(row_key, &VoteRow { change: change.clone(), commit });
    if votes_for(work, &before, change)? < quorum(before.authorities.len()) {
        return Ok(());
    }
    let epoch = Epoch::new(vote.epoch.get().checked_add(1).ok_or(Code::Overflow)?);
    let authorities = change.applied_to(&before.authorities)?;
    let next = CommitteeRow { epoch, decided_in: commit, authorities };
    work.state.put(committee_key(epoch), &next);
    work.next_committee = Some(next);
    Ok(())
}

/// Everything that can refuse a vote; the committee that it would change.
fn check(work: &Work<'_>, voter: PublicKey, vote: &CommitteeVote) -> Checked<CommitteeRow> {
    ensure(vote.epoch == work.moment.epoch, Code::WrongEpoch)?;
    ensure(work.next_committee.is_none(), Code::EpochClosed)?;
    let committee = work.committee()?;
    if let Some(change) = &vote.change {
        check_change(work, &committee.authorities, change)?;
    }
    let stands: Option<VoteRow> = read(&work.state, &vote_key(vote.epoch, voter))?;
    ensure(stands.map(|row| row.change) != vote.change, Code::VoteUnchanged)?;
    Ok(committee)
}

fn check_change(
    work: &Work<'_>,
    authorities: &[Authority],
    change: &CommitteeChange,
) -> Checked<()> {
    if let Some(candidate) = change.candidate() {
        ensure(candidate.is_well_formed(), Code::FieldInvalid)?;
        ensure(work.key(&candidate.key)?.is_none(), Code::KeyInUse)?;
        let network = work.moment.network;
        candidate.verify(network).map_err(|_| Code::BadKeyProof)?;
    }
    change.applied_to(authorities)?;
    Ok(())
}

/// How many of the committee vote for exactly this.
fn votes_for(
    work: &Work<'_>,
    committee: &CommitteeRow,
    change: &CommitteeChange,
) -> Result<usize, ReadError> {
    let mut votes = 0;
    for authority in &committee.authorities {
        let row: Option<VoteRow> = read(&work.state, &vote_key(committee.epoch, authority.key))?;
        votes += usize::from(row.is_some_and(|row| row.change == *change));
    }
    Ok(votes)
}
