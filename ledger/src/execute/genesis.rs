//! The state before the first commit.

use super::Effects;
use super::members;
use super::overlay::Overlay;
use super::run::{effects_digest, state_digest};
use crate::codec;
use crate::footprint::Footprint;
use crate::genesis::{Genesis, GenesisMember};
use crate::governance::FIRST_VERSION;
use crate::id::{Digest, MemberId};
use crate::log;
use crate::memory::Memory;
use crate::quantity::{CommitIndex, Epoch, Milliseconds};
use crate::rows::{
    CurrencyRow, LedgerRow, MemberKind, MemberRow, ReadError, Table, UpkeepRow, Write,
    committee_key, key, limits_key,
};
use alloc::vec::Vec;
use core::cell::Cell;

/// The effects of genesis: the state before the first commit.
///
/// # Errors
/// [`ReadError`] with what [`Genesis::validate`] finds wrong.
pub fn genesis(genesis: &Genesis) -> Result<Effects, ReadError> {
    genesis.validate().map_err(|error| ReadError(alloc::format!("genesis: {error}")))?;
    let nothing = Memory::default();
    let encoder = Cell::default();
    let mut state = Overlay::new(&nothing, &encoder);
    for (kind, members) in [
        (MemberKind::Organisation, &genesis.organisations),
        (MemberKind::Publisher, &genesis.publishers),
        (MemberKind::Auditor, &genesis.auditors),
    ] {
        for member in members {
            put_member(&mut state, kind, member);
        }
    }
    for currency in &genesis.currencies {
        let issuer = genesis.organisation(&currency.issuer);
        let issuer =
            issuer.ok_or_else(|| ReadError("genesis: a currency without issuer".into()))?;
        let row = CurrencyRow::new(issuer);
        state.put(key(Table::Currency, &[currency.code.as_bytes()]), &row);
    }
    state.put(key(Table::Accounting, &[]), &genesis.accounting.materiality);
    if !genesis.accounting.limits.is_empty() {
        state.put(limits_key(None), &genesis.accounting.limits);
    }
    let rules = &genesis.accounting.upkeep;
    if rules.period > Milliseconds::ZERO {
        let operators = rules.operators.iter().filter_map(|name| genesis.organisation(name));
        let row = UpkeepRow { period: rules.period, operators: operators.collect() };
        state.put(key(Table::Upkeep, &[]), &row);
    }
    state.put(committee_key(Epoch::ZERO), &genesis.committee());
    Ok(effects(genesis, state.into_writes()))
}

fn put_member(state: &mut Overlay<'_>, kind: MemberKind, member: &GenesisMember) {
    let id = MemberId::of(&member.owner_key);
    let row = MemberRow {
        name: member.name.clone(),
        kind,
        organisation: id,
        owner_key: member.owner_key,
        signing_key: member.signing_key,
        revoked_from: None,
    };
    members::put(state, id, &row);
}

fn effects(genesis: &Genesis, mut writes: Vec<Write>) -> Effects {
    let network = genesis.network();
    let commit = CommitIndex::ZERO;
    let time = genesis.created_at;
    let before = Digest::new(*network.as_bytes());
    let ledger = LedgerRow {
        network,
        commit,
        time,
        epoch: Epoch::ZERO,
        version: FIRST_VERSION,
        log_leaves: 0,
        log_root: log::empty_root(),
        state_digest: state_digest(before, commit, time, &[effects_digest(&writes)]),
        sources: Footprint::ZERO,
        stock: Footprint::ZERO,
        sinks: Footprint::ZERO,
        in_transit: Footprint::ZERO,
        sequence: 0,
    };
    let row = Write::set(key(Table::Ledger, &[]), codec::encode(&ledger));
    // Table 1 is the lowest: the ledger row comes first.
    writes.insert(0, row);
    Effects {
        commit,
        writes,
        executed: Vec::new(),
        events: Vec::new(),
        log_leaves: ledger.log_leaves,
        log_root: ledger.log_root,
        state_digest: ledger.state_digest,
        next_committee: None,
    }
}
