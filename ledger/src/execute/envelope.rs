//! The checks of the envelope, in the order of their codes, and the way from an operation to what
//! does it.

use super::work::{Checked, Signatory, Work, ensure};
use super::{
    allowances, avoided, completion, descriptions, factors, governance, keys, limits, lots,
    members, money, orders, proposals, restatements, sources, transformations,
};
use crate::operation::Operation;
use crate::rejection::Code;
use crate::transaction::{Envelope, LIFETIME_MAX, OPERATIONS_MAX, TRANSACTION_VERSION};

pub(super) fn check(work: &Work<'_>, envelope: &Envelope) -> Checked<Signatory> {
    let moment = work.moment;
    let (created, expires) = (envelope.created_at, envelope.expires_at);
    ensure(envelope.version == TRANSACTION_VERSION, Code::UnknownVersion)?;
    ensure(envelope.network == moment.network, Code::WrongNetwork)?;
    let counted = (1..=OPERATIONS_MAX).contains(&envelope.operations.len());
    ensure(counted, Code::TooManyOperations)?;
    let short = created < expires && expires <= created.saturating_add(LIFETIME_MAX);
    ensure(short, Code::LifetimeTooLong)?;
    ensure(!moment.is_future(created), Code::NotYetValid)?;
    ensure(moment.time < expires, Code::Expired)?;
    work.signatory(&envelope.signer)
}

pub(super) fn apply(
    work: &mut Work<'_>,
    signatory: &Signatory,
    operation: &Operation,
) -> Checked<()> {
    let signer = match (signatory, operation) {
        (Signatory::Member(signer), _) => signer,
        (Signatory::Authority(voter), Operation::VoteCommittee(vote)) => {
            return governance::vote(work, *voter, vote);
        }
        (Signatory::Authority(proposer), Operation::Propose(proposal)) => {
            return proposals::propose(work, *proposer, proposal);
        }
        (Signatory::Authority(voter), Operation::VoteProposal(vote)) => {
            return proposals::vote(work, *voter, vote);
        }
        (Signatory::Authority(_), _) => return Err(Code::WrongSigner.into()),
    };
    match operation {
        Operation::Enrol(enrolment) => members::enrol(work, signer, enrolment),
        Operation::RotateKey(rotation) => members::rotate_key(work, signer, rotation),
        Operation::Revoke(revocation) => members::revoke(work, signer, revocation),
        Operation::PublishFactors(publication) => factors::publish(work, signer, publication),
        Operation::IssueMoney(issue) => money::issue(work, signer, issue),
        Operation::RedeemMoney(redemption) => money::redeem(work, signer, redemption),
        Operation::SubmitReading(reading) => sources::submit_reading(work, signer, reading),
        Operation::ResetRegister(reset) => sources::reset_register(work, signer, reset),
        Operation::DeclareLot(declaration) => sources::declare_lot(work, signer, declaration),
        Operation::TransferLot(transfer) => lots::transfer(work, signer, transfer),
        Operation::Transform(transformation) => {
            transformations::transform(work, signer, transformation)
        }
        Operation::SinkLot(sink) => lots::sink(work, signer, sink),
        Operation::PlaceOrder(terms) => orders::place(work, signer, terms),
        Operation::AcceptOrder(step) => orders::accept(work, signer, step.order),
        Operation::RejectOrder(step) => orders::reject(work, signer, step.order),
        Operation::CancelOrder(step) => orders::cancel(work, signer, step.order),
        Operation::StartOrder(step) => orders::start(work, signer, step.order),
        Operation::CompleteOrder(completion) => completion::complete(work, signer, completion),
        Operation::ConfirmOrder(step) => completion::confirm(work, signer, step.order),
        Operation::Restate(restatement) => restatements::restate(work, signer, restatement),
        Operation::DecideRestatement(decision) => restatements::decide(work, signer, decision),
        Operation::RecordAvoided(burden) => avoided::record(work, signer, burden),
        Operation::SetLimits(list) => limits::set(work, signer, list),
        Operation::Describe(description) => descriptions::describe(work, signer, description),
        Operation::EndKey(end) => keys::end_key(work, signer, end),
        Operation::ReplaceOwnerKey(new) => keys::replace_owner_key(work, signer, new),
        Operation::TakeOverLots(takeover) => keys::take_over(work, signer, takeover),
        Operation::TransferMoney(transfer) => money::transfer(work, signer, transfer),
        Operation::SetAllowance(setting) => allowances::set(work, signer, setting),
        Operation::VoteCommittee(_) | Operation::Propose(_) | Operation::VoteProposal(_) => {
            Err(Code::WrongSigner.into())
        }
    }
}
