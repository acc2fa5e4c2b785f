//! Limits: setting them, and judging completions by them.

use super::transformations::Draft;
use super::work::{Checked, Signer, Work, ensure};
use crate::footprint::{Footprint, Overflow};
use crate::id::{Digest, MemberId};
use crate::limit::{Flag, Limit, LimitAction, LimitList, LimitScope, is_valid_list};
use crate::quantity::{Milliseconds, Timestamp};
use crate::rejection::Code;
use crate::rows::{MemberKind, OrderRow, limit_count_key, limits_key, read};
use crate::transformation::{Completion, OutputRole};
use alloc::vec::Vec;
use ethnum::I256;

pub(super) fn set(work: &mut Work<'_>, signer: &Signer, list: &LimitList) -> Checked<()> {
    signer.require(&[MemberKind::Organisation])?;
    ensure(is_valid_list(&list.limits), Code::LimitInvalid)?;
    for limit in &list.limits {
        let LimitScope::Machine { machine: Some(machine), .. } = limit.scope else { continue };
        let row = work.member(machine)?;
        ensure(row.organisation == signer.id, Code::NotInOrganisation)?;
        ensure(row.kind == MemberKind::Machine, Code::WrongKind)?;
    }
    work.state.put(limits_key(Some(signer.id)), &list.limits);
    Ok(())
}

/// What a completion comes to, limit by limit.
pub(super) struct Judgement {
    pub(super) flags: Vec<Flag>,
    /// The counts as they will be.
    counts: Vec<(Vec<u8>, i128)>,
}

impl Judgement {
    /// Writes the counts.
    pub(super) fn count(self, work: &mut Work<'_>) -> Vec<Flag> {
        for (key, count) in self.counts {
            work.state.put(key, &count);
        }
        self.flags
    }
}

/// Judges a completion that makes `amount` of its product, zero when it failed.
pub(super) fn judge(
    work: &Work<'_>,
    signer: &Signer,
    order: &OrderRow,
    completion: &Completion,
    draft: &Draft,
    amount: u64,
) -> Checked<Judgement> {
    let mut judgement = Judgement { flags: Vec::new(), counts: Vec::new() };
    let own = signer.row.organisation;
    for by in [None, Some(own)] {
        let limits: Option<Vec<Limit>> = read(&work.state, &limits_key(by))?;
        for limit in limits.into_iter().flatten() {
            let subject = match &limit.scope {
                LimitScope::Product { .. } => None,
                LimitScope::Machine { period, .. } => Some((signer.id, *period)),
                LimitScope::Organisation { period } => Some((own, *period)),
            };
            let footprint = match &limit.scope {
                LimitScope::Product { product, per } => {
                    let ordered = &order.terms;
                    let same = *product == ordered.product && per.unit == ordered.quantity.unit;
                    (same && amount > 0).then(|| products(completion, draft)).transpose()?
                }
                LimitScope::Machine { machine, .. } => {
                    machine.is_none_or(|machine| machine == signer.id).then(|| draft.total.clone())
                }
                LimitScope::Organisation { .. } => {
                    let outside = work.member(order.buyer)?.organisation != own;
                    outside.then(|| draft.total.clone())
                }
            };
            let Some(footprint) = footprint else { continue };
            let mut found = footprint.get(limit.dimension);
            if let Some((subject, period)) = subject {
                let key = count_key(limit.id(by), subject, period, work.moment.time);
                let so_far: Option<i128> = read(&work.state, &key)?;
                found = so_far.unwrap_or(0).checked_add(found).ok_or(Overflow)?;
                judgement.counts.push((key, found));
            }
            let missing = footprint.undeclared.contains(limit.dimension);
            let above = is_above(&limit, found, amount);
            if limit.action == LimitAction::Refuse && amount > 0 {
                ensure(!missing, Code::MissingDimension)?;
                ensure(!above, Code::LimitExceeded)?;
            }
            if above {
                judgement.flags.push(Flag::AboveLimit { by, limit, found });
            } else if missing {
                judgement.flags.push(Flag::Undeclared { by, limit });
            }
        }
    }
    if draft.total.gwp_sets.is_mixed() {
        judgement.flags.push(Flag::MixedReports);
    }
    Ok(judgement)
}

fn products(completion: &Completion, draft: &Draft) -> Checked<Footprint> {
    let mut sum = Footprint::ZERO;
    for (lot, output) in draft.outputs.iter().zip(&completion.transformation.outputs) {
        if output.role == OutputRole::Product {
            sum = sum.checked_add(&lot.footprint)?;
        }
    }
    Ok(sum)
}

fn is_above(limit: &Limit, found: i128, amount: u64) -> bool {
    match &limit.scope {
        LimitScope::Product { per, .. } => {
            I256::from(found) * I256::from(per.amount) > I256::from(limit.cap) * I256::from(amount)
        }
        LimitScope::Machine { .. } | LimitScope::Organisation { .. } => found > limit.cap,
    }
}

fn count_key(limit: Digest, subject: MemberId, period: Milliseconds, at: Timestamp) -> Vec<u8> {
    // A limit's period is never zero.
    let number = at.get().checked_div(period.get()).unwrap_or(0);
    limit_count_key(limit, subject, number)
}
