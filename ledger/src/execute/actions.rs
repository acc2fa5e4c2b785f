//! What a proposal does when it passes. [`check`] says whether it could now, [`carry_out`] does what
//! was checked.

use super::keys;
use super::members;
use super::money::CURRENCY_MAX;
use super::work::{Checked, Work, ensure, ensure_text};
use crate::factor::{Impact, is_valid_materiality};
use crate::governance::{
    Action, Activation, Admission, AdmittedKind, IssuerChange, OPERATORS_MAX, Removal,
};
use crate::id::MemberId;
use crate::limit::{Limit, LimitScope, is_valid_list};
use crate::quantity::CommitIndex;
use crate::rejection::Code;
use crate::rows::{
    ActivationRow, CurrencyRow, MemberKind, MemberRow, Read, Table, UpkeepRow, key, limits_key,
    member_name_key, read,
};
use alloc::vec::Vec;

/// The kinds of member that come and go by vote.
const ADMITTED: [MemberKind; 3] =
    [MemberKind::Organisation, MemberKind::Publisher, MemberKind::Auditor];

const fn kind_of(kind: AdmittedKind) -> MemberKind {
    match kind {
        AdmittedKind::Organisation => MemberKind::Organisation,
        AdmittedKind::Publisher => MemberKind::Publisher,
        AdmittedKind::Auditor => MemberKind::Auditor,
    }
}

pub(super) fn check(work: &Work<'_>, action: &Action) -> Checked<()> {
    match action {
        Action::Admit(admission) => check_admission(work, admission),
        Action::Remove(removal) => {
            let member = work.member(removal.member)?;
            ensure(ADMITTED.contains(&member.kind), Code::WrongKind)?;
            let ends = end_of(work, removal);
            ensure(member.revoked_from.is_none_or(|from| ends < from), Code::ActionUnchanged)
        }
        Action::SetIssuer(IssuerChange { currency, issuer }) => {
            ensure_text(currency, CURRENCY_MAX)?;
            work.active(*issuer, &[MemberKind::Organisation])?;
            let row = currency_row(work, currency)?;
            ensure(row.is_none_or(|row| row.issuer != *issuer), Code::ActionUnchanged)
        }
        Action::SetLimits(list) => {
            let named =
                |limit: &Limit| matches!(limit.scope, LimitScope::Machine { machine: Some(_), .. });
            let valid = is_valid_list(&list.limits) && !list.limits.iter().any(named);
            ensure(valid, Code::LimitInvalid)?;
            let stand: Option<Vec<Limit>> = read(&work.state, &limits_key(None))?;
            ensure(stand.unwrap_or_default() != list.limits, Code::ActionUnchanged)
        }
        Action::SetMateriality(thresholds) => check_materiality(work, thresholds),
        Action::SetOperators(operators) => check_operators(work, operators),
        Action::Activate(Activation { version, from }) => {
            ensure(*version > work.moment.version, Code::VersionInvalid)?;
            ensure(*from > work.moment.commit, Code::CommitInPast)?;
            let stands: Option<ActivationRow> = read(&work.state, &key(Table::Activation, &[]))?;
            let stands = stands.map(|row| (row.activation.version, row.activation.from));
            ensure(stands != Some((*version, *from)), Code::ActionUnchanged)
        }
        Action::ReplaceOwnerKey(new) => {
            let member = work.member(new.member)?;
            ensure(ADMITTED.contains(&member.kind), Code::WrongKind)?;
            keys::check_owner_key(work, new)
        }
    }
}

fn check_admission(work: &Work<'_>, admission: &Admission) -> Checked<()> {
    ensure_text(&admission.name, members::NAME_MAX)?;
    for public in [&admission.owner_key, &admission.signing_key] {
        ensure(!work.is_in_use(public)?, Code::KeyInUse)?;
    }
    admission.verify(work.moment.network).map_err(|_| Code::BadKeyProof)?;
    if admission.kind == AdmittedKind::Organisation {
        let taken = find_named(work, MemberKind::Organisation, &admission.name)?;
        ensure(!taken, Code::NameTaken)?;
    }
    Ok(())
}

/// Whether a member of this kind with this name has not been removed.
fn find_named(work: &Work<'_>, kind: MemberKind, name: &str) -> Checked<bool> {
    active_in(work, &member_name_key(kind, name, None))
}

/// Whether one of the members that a part of the directory lists has not been removed.
fn active_in(work: &Work<'_>, prefix: &[u8]) -> Checked<bool> {
    /// Members read at a time: of those who are admitted by vote there are few.
    const PAGE: usize = 64;
    let mut from = prefix.to_vec();
    loop {
        let rows = work.state.scan(prefix, &from, PAGE)?;
        for (key, _) in &rows {
            let Some(id) = key.last_chunk::<32>() else { continue };
            let row = work.member(MemberId::new(*id))?;
            if !work.is_revoked(&row)? {
                return Ok(true);
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
            _ => return Ok(false),
        }
    }
}

fn check_materiality(work: &Work<'_>, thresholds: &Vec<Impact>) -> Checked<()> {
    ensure(is_valid_materiality(thresholds), Code::RulesInvalid)?;
    if !thresholds.is_empty() {
        let auditors = key(Table::MemberByName, &[&[MemberKind::Auditor as u8]]);
        ensure(active_in(work, &auditors)?, Code::RulesInvalid)?;
    }
    let stand: Option<Vec<Impact>> = read(&work.state, &key(Table::Accounting, &[]))?;
    ensure(stand.as_ref() != Some(thresholds), Code::ActionUnchanged)
}

fn check_operators(work: &Work<'_>, operators: &[MemberId]) -> Checked<()> {
    ensure(operators.len() <= OPERATORS_MAX, Code::FieldInvalid)?;
    let twice = |(at, id): (usize, &MemberId)| operators.iter().take(at).any(|other| other == id);
    ensure(!operators.iter().enumerate().any(twice), Code::RulesInvalid)?;
    for operator in operators {
        work.active(*operator, &[MemberKind::Organisation])?;
    }
    let rules: Option<UpkeepRow> = read(&work.state, &key(Table::Upkeep, &[]))?;
    let rules = rules.ok_or(Code::RulesInvalid)?;
    ensure(rules.operators != operators, Code::ActionUnchanged)
}

/// When a removal that passes now takes effect.
fn end_of(work: &Work<'_>, removal: &Removal) -> CommitIndex {
    let next = CommitIndex::new(work.moment.commit.get().saturating_add(1));
    removal.from.max(next)
}

fn currency_row(work: &Work<'_>, code: &str) -> Checked<Option<CurrencyRow>> {
    Ok(read(&work.state, &key(Table::Currency, &[code.as_bytes()]))?)
}

pub(super) fn carry_out(work: &mut Work<'_>, action: &Action) -> Checked<()> {
    match action {
        Action::Admit(admission) => {
            let id = admission.member();
            let row = MemberRow {
                name: admission.name.clone(),
                kind: kind_of(admission.kind),
                organisation: id,
                owner_key: admission.owner_key,
                signing_key: admission.signing_key,
                revoked_from: None,
            };
            members::put(&mut work.state, id, &row);
        }
        Action::Remove(removal) => {
            let mut member = work.member(removal.member)?;
            member.revoked_from = Some(end_of(work, removal));
            work.state.put(key(Table::Member, &[removal.member.as_bytes()]), &member);
        }
        Action::SetIssuer(IssuerChange { currency, issuer }) => {
            let fresh = || CurrencyRow::new(*issuer);
            let mut row = currency_row(work, currency)?.unwrap_or_else(fresh);
            row.issuer = *issuer;
            work.state.put(key(Table::Currency, &[currency.as_bytes()]), &row);
        }
        Action::SetLimits(list) => work.state.put(limits_key(None), &list.limits),
        Action::SetMateriality(thresholds) => {
            work.state.put(key(Table::Accounting, &[]), thresholds);
        }
        Action::SetOperators(operators) => {
            let rules: Option<UpkeepRow> = read(&work.state, &key(Table::Upkeep, &[]))?;
            let mut rules = rules.ok_or(Code::RulesInvalid)?;
            rules.operators.clone_from(operators);
            work.state.put(key(Table::Upkeep, &[]), &rules);
        }
        Action::Activate(activation) => {
            let row = ActivationRow { activation: *activation, before: work.moment.version };
            work.state.put(key(Table::Activation, &[]), &row);
        }
        Action::ReplaceOwnerKey(new) => keys::put_owner_key(work, new)?,
    }
    Ok(())
}
