//! Members and their keys: enrolment, rotation, revocation.
//!
//! An organisation enrols and revokes with its signing or its owner key; a signing key is replaced
//! by an owner key only, the member's or its organisation's.

use super::overlay::Overlay;
use super::work::{Checked, Signer, Work, ensure, ensure_text};
use crate::id::MemberId;
use crate::keys::{PublicKey, Signature};
use crate::operation::{
    Enrolled, Enrolment, KEY_PROOF_DOMAIN, KeyRotation, Revocation, key_proof_message,
};
use crate::quantity::Timestamp;
use crate::rejection::Code;
use crate::rows::{KeyRole, KeyRow, MemberKind, MemberRow, MeterRow, Table, key, member_name_key};

pub(super) const NAME_MAX: usize = 64;
const REASON_MAX: usize = 256;

pub(super) fn enrol(work: &mut Work<'_>, signer: &Signer, enrolment: &Enrolment) -> Checked<()> {
    check_enrolment(work, signer, enrolment)?;

    let id = MemberId::of(&enrolment.owner_key);
    let kind = match &enrolment.kind {
        Enrolled::Machine => MemberKind::Machine,
        Enrolled::Meter(meter) => {
            let row = MeterRow {
                kind: meter.clone(),
                register: meter.register,
                read_until: Timestamp::ZERO,
                readings: 0,
                resets: 0,
                overflows: 0,
            };
            work.state.put(key(Table::Meter, &[id.as_bytes()]), &row);
            MemberKind::Meter
        }
    };
    let row = MemberRow {
        name: enrolment.name.clone(),
        kind,
        organisation: signer.id,
        owner_key: enrolment.owner_key,
        signing_key: enrolment.signing_key,
        revoked_from: None,
    };
    put(&mut work.state, id, &row);
    work.state.mark(key(Table::MemberByOrganisation, &[signer.id.as_bytes(), id.as_bytes()]));
    Ok(())
}

fn check_enrolment(work: &Work<'_>, signer: &Signer, enrolment: &Enrolment) -> Checked<()> {
    ensure(signer.row.kind == MemberKind::Organisation, Code::WrongSigner)?;
    ensure_text(&enrolment.name, NAME_MAX)?;
    let host = match &enrolment.kind {
        Enrolled::Machine => None,
        Enrolled::Meter(meter) => {
            ensure_text(&meter.product, NAME_MAX)?;
            ensure_text(&meter.factor_code, NAME_MAX)?;
            let within = meter.register_end.is_none_or(|end| meter.register < end);
            ensure(within, Code::FieldInvalid)?;
            Some((work.member(meter.host)?, meter.host))
        }
    };
    for public in [&enrolment.owner_key, &enrolment.signing_key] {
        ensure(!work.is_in_use(public)?, Code::KeyInUse)?;
    }
    check_key_proof(work, signer.id, &enrolment.owner_key, &enrolment.owner_proof)?;
    check_key_proof(work, signer.id, &enrolment.signing_key, &enrolment.key_proof)?;
    if let Some((row, host)) = host {
        ensure(row.organisation == signer.id, Code::NotInOrganisation)?;
        work.active(host, &[MemberKind::Machine])?;
    }
    Ok(())
}

/// A weak key proves nothing: anybody can sign for it.
pub(super) fn check_key_proof(
    work: &Work<'_>,
    answerable: MemberId,
    public: &PublicKey,
    proof: &Signature,
) -> Checked<()> {
    ensure(!public.is_weak(), Code::BadKeyProof)?;
    let message = key_proof_message(work.moment.network, answerable);
    Ok(public.verify(KEY_PROOF_DOMAIN, &message, proof).map_err(|_| Code::BadKeyProof)?)
}

/// Enters a new member, with its keys and its places in the directory.
pub(super) fn put(state: &mut Overlay<'_>, id: MemberId, row: &MemberRow) {
    state.put(key(Table::Member, &[id.as_bytes()]), row);
    state.mark(member_name_key(row.kind, &row.name, Some(id)));
    for (public, row) in member_keys(id, row.owner_key, row.signing_key) {
        state.put(key(Table::Key, &[public.as_bytes()]), &row);
    }
}

/// The key rows of a new member: two, or one where one key does both.
fn member_keys(
    member: MemberId,
    owner: PublicKey,
    signing: PublicKey,
) -> impl Iterator<Item = (PublicKey, KeyRow)> {
    let row = move |role| KeyRow { member, role, until: None };
    let (first, second) = if owner == signing {
        ((owner, row(KeyRole::Both)), None)
    } else {
        ((owner, row(KeyRole::Owner)), Some((signing, row(KeyRole::Signing))))
    };
    core::iter::once(first).chain(second)
}

pub(super) fn rotate_key(
    work: &mut Work<'_>,
    signer: &Signer,
    rotation: &KeyRotation,
) -> Checked<()> {
    ensure(signer.owner, Code::WrongSigner)?;
    let mut member = work.member(rotation.member)?;
    ensure(!work.is_in_use(&rotation.signing_key)?, Code::KeyInUse)?;
    check_key_proof(work, rotation.member, &rotation.signing_key, &rotation.key_proof)?;
    ensure(
        rotation.member == signer.id || member.organisation == signer.id,
        Code::NotInOrganisation,
    )?;
    ensure(rotation.old_key_until >= work.moment.commit, Code::CommitInPast)?;
    work.active(rotation.member, &[member.kind])?;
    let old_row = work.key(&member.signing_key)?;

    if let Some(mut old) = old_row {
        old.until = Some(rotation.old_key_until);
        work.state.put(key(Table::Key, &[member.signing_key.as_bytes()]), &old);
    }
    let new = KeyRow { member: rotation.member, role: KeyRole::Signing, until: None };
    work.state.put(key(Table::Key, &[rotation.signing_key.as_bytes()]), &new);
    member.signing_key = rotation.signing_key;
    work.state.put(key(Table::Member, &[rotation.member.as_bytes()]), &member);
    Ok(())
}

/// A second revocation may bring the end forward, never put it off.
pub(super) fn revoke(work: &mut Work<'_>, signer: &Signer, revocation: &Revocation) -> Checked<()> {
    ensure(signer.row.kind == MemberKind::Organisation, Code::WrongSigner)?;
    ensure(revocation.reason.len() <= REASON_MAX, Code::FieldInvalid)?;
    let mut member = work.member(revocation.member)?;
    ensure(member.organisation == signer.id, Code::NotInOrganisation)?;
    ensure(revocation.from >= work.moment.commit, Code::CommitInPast)?;
    ensure(matches!(member.kind, MemberKind::Machine | MemberKind::Meter), Code::WrongKind)?;

    let from = member.revoked_from.map_or(revocation.from, |from| from.min(revocation.from));
    member.revoked_from = Some(from);
    work.state.put(key(Table::Member, &[revocation.member.as_bytes()]), &member);
    Ok(())
}
