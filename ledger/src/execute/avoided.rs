//! Recording avoided burdens: beside a lot or an order, in no sum.

use super::sources::{apply, ensure_bounded, ensure_evidence, ensure_valid, tier};
use super::work::{Checked, Signer, Work, ensure, ensure_text};
use crate::avoided::{AvoidedBurden, Beside};
use crate::id::MemberId;
use crate::rejection::Code;
use crate::rows::{AvoidedRow, MemberKind, Table, key};

const WHAT_MAX: usize = 256;

pub(super) fn record(work: &mut Work<'_>, signer: &Signer, burden: &AvoidedBurden) -> Checked<()> {
    signer.require(&[MemberKind::Machine, MemberKind::Organisation])?;
    ensure_text(&burden.what, WHAT_MAX)?;
    ensure_evidence(burden.evidence.as_ref())?;
    ensure(burden.amount.amount > 0, Code::ZeroAmount)?;
    match burden.beside {
        Beside::Lot(lot) => {
            let owner = work.lot(lot)?.owner;
            ensure(speaks_for(work, signer, owner)?, Code::NotOwner)?;
        }
        Beside::Order(order) => {
            let order = work.order(order)?;
            let provider = speaks_for(work, signer, order.terms.provider)?;
            ensure(provider || speaks_for(work, signer, order.buyer)?, Code::NotBuyer)?;
        }
    }
    let factor = work.factor(&burden.factor)?;
    let footprint = apply(&factor, burden.amount, tier(burden.evidence.as_ref()))?;
    ensure_valid(&factor, work.moment.time, work.moment.time)?;
    ensure_bounded(&footprint)?;

    let moment = work.moment;
    let row = AvoidedRow { burden: burden.clone(), by: signer.id, footprint, time: moment.time };
    let operation = moment.operation.to_be_bytes();
    let parts = [burden.beside.as_bytes().as_slice(), moment.transaction.as_bytes(), &operation];
    work.state.put(key(Table::Avoided, &parts), &row);
    Ok(())
}

fn speaks_for(work: &Work<'_>, signer: &Signer, member: MemberId) -> Checked<bool> {
    Ok(signer.id == member || work.member(member)?.organisation == signer.id)
}
