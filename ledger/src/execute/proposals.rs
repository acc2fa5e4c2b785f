//! Proposals of authorities: making them, voting on them, and how they end. The rules are said at
//! [`crate::governance`]; what a proposal does when it passes is in `execute/actions.rs`.

use super::EventBody;
use super::actions;
use super::work::{Checked, Work, ensure, ensure_text};
use crate::committee::{AUTHORITIES_MAX, Authority};
use crate::governance::{
    Ballot, ENDED_KEPT, OPEN_FOR_MAX, OPEN_MAX, OPEN_MIN, Proposal, ProposalState, ProposalVote,
    REASON_MAX,
};
use crate::id::ProposalId;
use crate::keys::PublicKey;
use crate::quantity::Timestamp;
use crate::rejection::Code;
use crate::rows::{
    ProposalRow, Read, ReadError, Table, ended_proposal_key, key, proposal_key, read,
};
use alloc::vec::Vec;

pub(super) fn propose(
    work: &mut Work<'_>,
    proposer: PublicKey,
    proposal: &Proposal,
) -> Checked<()> {
    ensure(work.next_committee.is_none(), Code::EpochClosed)?;
    ensure_text(&proposal.reason, REASON_MAX)?;
    let now = work.moment.time;
    let (first, last) = (now.saturating_add(OPEN_MIN), now.saturating_add(OPEN_FOR_MAX));
    ensure((first..=last).contains(&proposal.open_until), Code::OpenTimeInvalid)?;
    let own = key(Table::ProposalBy, &[proposer.as_bytes()]);
    ensure(work.state.scan(&own, &own, OPEN_MAX)?.len() < OPEN_MAX, Code::TooManyProposals)?;
    actions::check(work, &proposal.action)?;

    let id = ProposalId::of(work.moment.transaction, work.moment.operation);
    let mut row = ProposalRow {
        proposal: proposal.clone(),
        proposer,
        epoch: work.moment.epoch,
        opened_at: now,
        state: ProposalState::Open,
        ended_at: None,
        ballots: Vec::new(),
    };
    work.state.mark(deadline_key(proposal.open_until, id));
    work.state.mark(by_key(proposer, id));
    tell(work, id, ProposalState::Open);
    let committee = work.committee()?;
    cast(work, &mut row, proposer, true);
    settle(work, id, row, &committee.authorities)
}

pub(super) fn vote(work: &mut Work<'_>, voter: PublicKey, vote: &ProposalVote) -> Checked<()> {
    ensure(work.next_committee.is_none(), Code::EpochClosed)?;
    let id = vote.proposal;
    let mut row = proposal(work, id)?;
    let open = row.state == ProposalState::Open && row.proposal.open_until > work.moment.time;
    ensure(open, Code::ProposalEnded)?;
    let stands = row.ballots.iter().find(|ballot| ballot.voter == voter);
    ensure(stands.is_none_or(|ballot| ballot.approve != vote.approve), Code::VoteUnchanged)?;
    if vote.approve {
        actions::check(work, &row.proposal.action)?;
    }

    let committee = work.committee()?;
    if row.ballots.len() >= AUTHORITIES_MAX {
        row.ballots.retain(|ballot| committee.has(&ballot.voter));
    }
    cast(work, &mut row, voter, vote.approve);
    settle(work, id, row, &committee.authorities)
}

fn proposal(work: &Work<'_>, id: ProposalId) -> Checked<ProposalRow> {
    Ok(read(&work.state, &proposal_key(id))?.ok_or(Code::UnknownProposal)?)
}

/// Puts an authority's vote in the place of the one it had.
fn cast(work: &Work<'_>, row: &mut ProposalRow, voter: PublicKey, approve: bool) {
    let (commit, time) = (work.moment.commit, work.moment.time);
    let ballot = Ballot { voter, approve, commit, time };
    match row.ballots.iter_mut().find(|ballot| ballot.voter == voter) {
        Some(stands) => *stands = ballot,
        None => row.ballots.push(ballot),
    }
}

/// Writes a proposal after a vote, and ends it if that decided it.
fn settle(
    work: &mut Work<'_>,
    id: ProposalId,
    row: ProposalRow,
    committee: &[Authority],
) -> Checked<()> {
    match row.outcome(committee) {
        ProposalState::Open => work.state.put(proposal_key(id), &row),
        state => {
            if state == ProposalState::Passed {
                actions::carry_out(work, &row.proposal.action)?;
            }
            end(work, id, row, state)?;
        }
    }
    Ok(())
}

/// The ledger ends a proposal whose time is over.
pub(super) fn expire(work: &mut Work<'_>, id: ProposalId) -> Checked<()> {
    let row = proposal(work, id)?;
    end(work, id, row, ProposalState::Expired)
}

/// The ledger judges an open proposal by the committee of the epoch that begins. Whether it ended.
pub(super) fn review(work: &mut Work<'_>, id: ProposalId) -> Checked<bool> {
    let Some(next) = work.next_committee.clone() else { return Ok(false) };
    let row = proposal(work, id)?;
    let state = match row.outcome(&next.authorities) {
        ProposalState::Open if next.has(&row.proposer) => return Ok(false),
        ProposalState::Open => ProposalState::Failed,
        state => state,
    };
    if state == ProposalState::Passed {
        actions::check(work, &row.proposal.action)?;
        actions::carry_out(work, &row.proposal.action)?;
    }
    end(work, id, row, state)?;
    Ok(true)
}

fn end(
    work: &mut Work<'_>,
    id: ProposalId,
    mut row: ProposalRow,
    state: ProposalState,
) -> Checked<()> {
    row.state = state;
    row.ended_at = Some(work.moment.time);
    work.state.remove(deadline_key(row.proposal.open_until, id));
    work.state.remove(by_key(row.proposer, id));
    work.state.put(proposal_key(id), &row);
    let count_key = key(Table::ProposalCount, &[]);
    let number: u64 = read(&work.state, &count_key)?.unwrap_or(0);
    work.state.put(count_key, &number.saturating_add(1));
    work.state.put(ended_proposal_key(number), &id);
    if let Some(oldest) = number.checked_sub(ENDED_KEPT) {
        let oldest = ended_proposal_key(oldest);
        if let Some(gone) = read(&work.state, &oldest)? {
            work.state.remove(proposal_key(gone));
        }
        work.state.remove(oldest);
    }
    tell(work, id, state);
    Ok(())
}

fn tell(work: &mut Work<'_>, proposal: ProposalId, state: ProposalState) {
    work.events.push(EventBody::Proposal { proposal, state });
}

fn deadline_key(deadline: Timestamp, proposal: ProposalId) -> Vec<u8> {
    key(Table::ProposalDeadline, &[&deadline.get().to_be_bytes(), proposal.as_bytes()])
}

fn by_key(proposer: PublicKey, proposal: ProposalId) -> Vec<u8> {
    key(Table::ProposalBy, &[proposer.as_bytes(), proposal.as_bytes()])
}

/// The first `limit` open proposals whose end is not after `time`, the earliest end first.
pub(super) fn due(
    state: &dyn Read,
    time: Timestamp,
    limit: usize,
) -> Result<Vec<(Timestamp, ProposalId)>, ReadError> {
    let prefix = key(Table::ProposalDeadline, &[]);
    let rows = state.scan(&prefix, &prefix, limit)?;
    let parts = |key: &[u8]| {
        let (deadline, id) = key.get(1..)?.split_first_chunk::<8>()?;
        let deadline = Timestamp::new(u64::from_be_bytes(*deadline));
        Some((deadline, ProposalId::new(id.try_into().ok()?)))
    };
    let open = rows.iter().filter_map(|(key, _)| parts(key));
    Ok(open.take_while(|(deadline, _)| *deadline <= time).collect())
}
