//! Money: issue, redeem, transfer, hold, post. `issued = available + held + redeemed` after every step.
//!
//! Money is daily work: the organisation's signing key moves it, the owner key does not.

use super::work::{Checked, Signer, Work, ensure, ensure_text};
use crate::footprint::Overflow;
use crate::id::MemberId;
use crate::operation::{MEMO_MAX, MoneyIssue, MoneyRedemption, MoneyTransfer};
use crate::quantity::Minor;
use crate::rejection::Code;
use crate::rows::{AccountRow, CurrencyRow, MemberKind, Table, key, read};
use alloc::vec::Vec;

/// Longest currency code in bytes.
pub(super) const CURRENCY_MAX: usize = 16;

fn currency_key(code: &str) -> Vec<u8> {
    key(Table::Currency, &[code.as_bytes()])
}

fn account_key(organisation: MemberId, currency: &str) -> Vec<u8> {
    key(Table::Account, &[organisation.as_bytes(), currency.as_bytes()])
}

fn plus(a: Minor, b: Minor) -> Checked<Minor> {
    Ok(a.checked_add(b).ok_or(Overflow)?)
}

fn minus(a: Minor, b: Minor) -> Checked<Minor> {
    Ok(a.checked_sub(b).ok_or(Code::InsufficientFunds)?)
}

/// An account and its currency, changed together and then written.
struct Book {
    organisation: MemberId,
    code: alloc::string::String,
    currency: CurrencyRow,
    account: AccountRow,
}

impl Book {
    fn open(work: &Work<'_>, organisation: MemberId, code: &str) -> Checked<Self> {
        let currency = read(&work.state, &currency_key(code))?.ok_or(Code::UnknownCurrency)?;
        let account = read(&work.state, &account_key(organisation, code))?.unwrap_or_default();
        Ok(Self { organisation, code: code.into(), currency, account })
    }

    fn write(self, work: &mut Work<'_>) {
        work.state.put(currency_key(&self.code), &self.currency);
        work.state.put(account_key(self.organisation, &self.code), &self.account);
    }
}

pub(super) fn issue(work: &mut Work<'_>, signer: &Signer, issue: &MoneyIssue) -> Checked<()> {
    signer.require(&[MemberKind::Organisation])?;
    ensure_text(&issue.currency, CURRENCY_MAX)?;
    ensure(issue.amount > Minor::ZERO, Code::ZeroAmount)?;
    work.active(issue.to, &[MemberKind::Organisation])?;
    let mut book = Book::open(work, issue.to, &issue.currency)?;
    ensure(book.currency.issuer == signer.id, Code::NotIssuer)?;
    book.currency.issued = plus(book.currency.issued, issue.amount)?;
    book.currency.available = plus(book.currency.available, issue.amount)?;
    book.account.available = plus(book.account.available, issue.amount)?;

    book.write(work);
    Ok(())
}

pub(super) fn redeem(
    work: &mut Work<'_>,
    signer: &Signer,
    redemption: &MoneyRedemption,
) -> Checked<()> {
    signer.require(&[MemberKind::Organisation])?;
    ensure_text(&redemption.currency, CURRENCY_MAX)?;
    ensure(redemption.amount > Minor::ZERO, Code::ZeroAmount)?;
    let mut book = Book::open(work, signer.id, &redemption.currency)?;
    book.account.available = minus(book.account.available, redemption.amount)?;
    book.currency.available = minus(book.currency.available, redemption.amount)?;
    book.currency.redeemed = plus(book.currency.redeemed, redemption.amount)?;

    book.write(work);
    Ok(())
}

pub(super) fn transfer(
    work: &mut Work<'_>,
    signer: &Signer,
    transfer: &MoneyTransfer,
) -> Checked<()> {
    signer.require(&[MemberKind::Organisation])?;
    ensure_text(&transfer.currency, CURRENCY_MAX)?;
    ensure(transfer.memo.len() <= MEMO_MAX, Code::FieldInvalid)?;
    ensure(transfer.amount > Minor::ZERO, Code::ZeroAmount)?;
    work.active(transfer.to, &[MemberKind::Organisation])?;
    ensure(transfer.to != signer.id, Code::TransferToSelf)?;
    let mut from = Book::open(work, signer.id, &transfer.currency)?;
    from.account.available = minus(from.account.available, transfer.amount)?;
    from.write(work);
    let mut to = Book::open(work, transfer.to, &transfer.currency)?;
    to.account.available = plus(to.account.available, transfer.amount)?;

    to.write(work);
    Ok(())
}

/// Holds money of an organisation for an order; nothing where nothing is to be held.
pub(super) fn hold(
    work: &mut Work<'_>,
    organisation: MemberId,
    currency: &str,
    amount: Minor,
) -> Checked<()> {
    let mut book = Book::open(work, organisation, currency)?;
    if amount == Minor::ZERO {
        return Ok(());
    }
    book.account.available = minus(book.account.available, amount)?;
    book.account.held = plus(book.account.held, amount)?;
    book.currency.available = minus(book.currency.available, amount)?;
    book.currency.held = plus(book.currency.held, amount)?;

    book.write(work);
    Ok(())
}

/// Ends a hold: posts `paid`, which is at most the hold, to the payee; the rest is the payer's again.
pub(super) fn post(
    work: &mut Work<'_>,
    (payer, payee): (MemberId, MemberId),
    currency: &str,
    held: Minor,
    paid: Minor,
) -> Checked<()> {
    if held == Minor::ZERO {
        return Ok(());
    }
    let mut book = Book::open(work, payer, currency)?;
    book.account.held = minus(book.account.held, held)?;
    book.account.available = plus(book.account.available, minus(held, paid)?)?;
    book.currency.held = minus(book.currency.held, held)?;
    book.currency.available = plus(book.currency.available, held)?;
    book.write(work);

    let mut book = Book::open(work, payee, currency)?;
    book.account.available = plus(book.account.available, paid)?;
    book.write(work);
    Ok(())
}
