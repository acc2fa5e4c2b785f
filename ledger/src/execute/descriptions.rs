//! Descriptions: what a machine can do and where it stands, so that buyers find it.

use super::work::{Checked, Signer, Work, ensure, ensure_text};
use crate::description::{Description, LIST_MAX, PLACE_MAX, TEXT_MAX};
use crate::rejection::Code;
use crate::rows::{MemberKind, description_key, read, service_key};
use alloc::string::String;

pub(super) fn describe(
    work: &mut Work<'_>,
    signer: &Signer,
    description: &Description,
) -> Checked<()> {
    let id = description.member;
    let member = work.member(id)?;
    let organisation =
        member.organisation == signer.id && signer.row.kind == MemberKind::Organisation;
    ensure(organisation || (signer.id == id && signer.owner), Code::NotInOrganisation)?;
    ensure(matches!(member.kind, MemberKind::Machine | MemberKind::Meter), Code::WrongKind)?;
    for list in [&description.services, &description.processes] {
        ensure_list(list)?;
    }
    ensure(description.location.len() <= PLACE_MAX, Code::FieldInvalid)?;
    ensure(description.grid_zone.len() <= TEXT_MAX, Code::FieldInvalid)?;
    let serves = !description.services.is_empty() || !description.processes.is_empty();
    ensure(!serves || member.kind == MemberKind::Machine, Code::WrongKind)?;

    let row_key = description_key(id);
    let before: Option<Description> = read(&work.state, &row_key)?;
    for service in before.iter().flat_map(|before| &before.services) {
        work.state.remove(service_key(service, Some(id)));
    }
    for service in &description.services {
        work.state.mark(service_key(service, Some(id)));
    }
    work.state.put(row_key, description);
    Ok(())
}

fn ensure_list(list: &[String]) -> Checked<()> {
    ensure(list.len() <= LIST_MAX, Code::FieldInvalid)?;
    ensure(list.windows(2).all(|pair| pair[0] < pair[1]), Code::FieldInvalid)?;
    list.iter().try_for_each(|text| ensure_text(text, TEXT_MAX))
}
