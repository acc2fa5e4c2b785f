//! What becomes of keys after their time: owner keys replaced, old signing keys ended earlier; and of
//! a revoked machine's lots.
//!
//! An owner key is replaced by itself or by who stands above it: the organisation for its machines and
//! meters, the authorities by vote ([`crate::governance`]) for those whom they admit.

use super::members::check_key_proof;
use super::work::{Checked, Signer, Work, ensure};
use crate::id::MemberId;
use crate::operation::{KeyEnd, LotTakeover, OwnerKeyReplacement, TAKEOVER_MAX};
use crate::rejection::Code;
use crate::rows::{KeyRole, KeyRow, MemberKind, Table, key};

/// Brings the end of a replaced signing key forward.
pub(super) fn end_key(work: &mut Work<'_>, signer: &Signer, end: &KeyEnd) -> Checked<()> {
    ensure(signer.owner, Code::WrongSigner)?;
    let row = work.key(&end.key)?.ok_or(Code::KeyNotReplaced)?;
    let member = work.member(row.member)?;
    let owns = row.member == signer.id || member.organisation == signer.id;
    ensure(owns, Code::NotInOrganisation)?;
    ensure(end.from >= work.moment.commit, Code::CommitInPast)?;
    let until = row.until.ok_or(Code::KeyNotReplaced)?;
    ensure(end.from < until, Code::ActionUnchanged)?;
    let row = KeyRow { until: Some(end.from), ..row };
    work.state.put(key(Table::Key, &[end.key.as_bytes()]), &row);
    Ok(())
}

pub(super) fn replace_owner_key(
    work: &mut Work<'_>,
    signer: &Signer,
    replacement: &OwnerKeyReplacement,
) -> Checked<()> {
    ensure(signer.owner, Code::WrongSigner)?;
    let member = work.member(replacement.member)?;
    let owns = replacement.member == signer.id || member.organisation == signer.id;
    ensure(owns, Code::NotInOrganisation)?;
    check_owner_key(work, replacement)?;
    put_owner_key(work, replacement)
}

/// What must hold of the new key, whoever replaces the old one.
pub(super) fn check_owner_key(work: &Work<'_>, new: &OwnerKeyReplacement) -> Checked<()> {
    let member = work.member(new.member)?;
    ensure(!work.is_in_use(&new.owner_key)?, Code::KeyInUse)?;
    check_key_proof(work, new.member, &new.owner_key, &new.key_proof)?;
    work.active(new.member, &[member.kind])?;
    Ok(())
}

/// The old key changes nothing any more from this operation on. Where it was the signing key, too, it
/// goes on signing until it is rotated.
pub(super) fn put_owner_key(work: &mut Work<'_>, new: &OwnerKeyReplacement) -> Checked<()> {
    let mut member = work.member(new.member)?;
    if let Some(mut old) = work.key(&member.owner_key)? {
        old.role = match old.role {
            KeyRole::Both | KeyRole::Signing => KeyRole::Signing,
            KeyRole::Owner | KeyRole::Former => KeyRole::Former,
        };
        work.state.put(key(Table::Key, &[member.owner_key.as_bytes()]), &old);
    }
    let row = KeyRow { member: new.member, role: KeyRole::Owner, until: None };
    work.state.put(key(Table::Key, &[new.owner_key.as_bytes()]), &row);
    member.owner_key = new.owner_key;
    work.state.put(key(Table::Member, &[new.member.as_bytes()]), &member);
    Ok(())
}

/// An organisation takes the lots of a machine of its own that is no member any more.
pub(super) fn take_over(
    work: &mut Work<'_>,
    signer: &Signer,
    takeover: &LotTakeover,
) -> Checked<()> {
    signer.require(&[MemberKind::Organisation])?;
    ensure((1..=TAKEOVER_MAX).contains(&takeover.lots.len()), Code::FieldInvalid)?;
    let machine: MemberId = takeover.machine;
    let row = work.member(machine)?;
    ensure(row.organisation == signer.id, Code::NotInOrganisation)?;
    ensure(row.kind == MemberKind::Machine, Code::WrongKind)?;
    ensure(work.is_revoked(&row)?, Code::NotRevoked)?;
    for (at, id) in takeover.lots.iter().enumerate() {
        let lot = work.lot(*id)?;
        ensure(lot.owner == machine, Code::NotOwner)?;
        ensure(lot.held_for.is_none(), Code::LotHeld)?;
        ensure(!takeover.lots.iter().take(at).any(|other| other == id), Code::LotTwice)?;
    }
    for id in &takeover.lots {
        work.hand_over(*id, signer.id)?;
        let owner = signer.id;
        work.events.push(super::EventBody::Lot { lot: *id, owner });
    }
    Ok(())
}
