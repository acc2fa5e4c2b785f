//! What moved each account: rows that a node makes of the effects of commits, for statements.

use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::execute::{Effects, Executed};
use kerbholz_client::ledger::id::{MemberId, OrderId};
use kerbholz_client::ledger::rows::{AccountRow, Read, ReadError, Table, Write, read};
use kerbholz_client::protocol::{StatementEntry, statement_key};
use std::collections::BTreeMap;

/// The entries of a commit on the state before it: one for each account that an entry of the log
/// changed.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn writes(rows: &dyn Read, effects: &Effects) -> Result<Vec<Write>, ReadError> {
    let mut accounts: BTreeMap<&[u8], AccountRow> = BTreeMap::new();
    let mut writes = Vec::new();
    for executed in &effects.executed {
        for write in of(executed, Table::Account) {
            let Some((organisation, currency)) = account(&write.key) else { continue };
            let after = decoded(write)?;
            let before = match accounts.insert(&write.key, after) {
                Some(before) => before,
                None => read(rows, &write.key)?.unwrap_or_default(),
            };
            if before == after {
                continue;
            }
            let orders = of(executed, Table::Order).filter_map(order).collect();
            let entry = StatementEntry { transaction: executed.id, orders, before, after };
            let key = statement_key(organisation, currency, executed.leaf);
            writes.push(Write::set(key, codec::encode(&entry)));
        }
    }
    Ok(writes)
}

fn of(executed: &Executed, table: Table) -> impl Iterator<Item = &Write> {
    executed.writes.iter().filter(move |write| write.key.first() == Some(&(table as u8)))
}

fn decoded(write: &Write) -> Result<AccountRow, ReadError> {
    let Some(value) = &write.value else { return Ok(AccountRow::default()) };
    codec::decode_trusted(value).map_err(|error| ReadError(format!("an account: {error}")))
}

/// Whose account it is, and in which currency.
fn account(key: &[u8]) -> Option<(MemberId, &str)> {
    let (organisation, currency) = key.get(1..)?.split_first_chunk::<32>()?;
    Some((MemberId::new(*organisation), std::str::from_utf8(currency).ok()?))
}

fn order(write: &Write) -> Option<OrderId> {
    Some(OrderId::new(write.key.get(1..)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_client::ledger::execute::{Commit, Item, execute, genesis};
    use kerbholz_client::ledger::genesis::{
        Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
    };
    use kerbholz_client::ledger::keys::Keypair;
    use kerbholz_client::ledger::memory::Memory;
    use kerbholz_client::ledger::operation::{
        MoneyIssue, MoneyRedemption, MoneyTransfer, Operation,
    };
    use kerbholz_client::ledger::quantity::{CommitIndex, Minor, Timestamp};
    use kerbholz_client::ledger::transaction::{Envelope, TRANSACTION_VERSION};
    use kerbholz_client::protocol::statement_prefix;

    fn key(seed: u8) -> Keypair {
        Keypair::from_seed(&[seed; 32])
    }

    fn member(seed: u8) -> MemberId {
        MemberId::of(&key(seed).public())
    }

    fn file() -> Genesis {
        let organisation = |seed: u8| {
            let public = key(seed).public();
            GenesisMember { name: format!("o{seed}"), owner_key: public, signing_key: public }
        };
        Genesis {
            version: GENESIS_VERSION,
            name: "accounts".into(),
            created_at: Timestamp::ZERO,
            authorities: vec![GenesisAuthority { name: "a".into(), key: key(9).public() }],
            organisations: vec![organisation(1), organisation(2)],
            publishers: vec![],
            auditors: vec![],
            currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "o1".into() }],
            accounting: Accounting::default(),
        }
    }

    fn money(operation: &str, amount: u64) -> Operation {
        let (currency, amount) = ("EUR".to_owned(), Minor::new(amount));
        match operation {
            "issue" => Operation::IssueMoney(MoneyIssue { currency, to: member(1), amount }),
            "pay" => {
                let memo = String::new();
                Operation::TransferMoney(MoneyTransfer { currency, to: member(2), amount, memo })
            }
            _ => Operation::RedeemMoney(MoneyRedemption { currency, amount }),
        }
    }

    /// Balances of an account after each entry, in the order of the rows.
    fn balances(rows: &Memory, seed: u8) -> Vec<(u64, u64)> {
        let prefix = statement_prefix(member(seed), "EUR");
        let found = rows.scan(&prefix, &prefix, 99).unwrap();
        let entry = |bytes: &[u8]| codec::decode_trusted::<StatementEntry>(bytes).unwrap();
        let entries = found.iter().map(|(_, value)| entry(value));
        entries.map(|one| (one.before.available.get(), one.after.available.get())).collect()
    }

    #[test]
    fn every_movement_follows_on_the_one_before_within_a_commit_and_beyond() {
        let network = file().network();
        let mut rows = Memory::default();
        rows.apply(&genesis(&file()).unwrap().writes);
        let commits = [
            vec![(1, "issue", 100), (1, "pay", 30), (1, "pay", 200)],
            vec![(2, "redeem", 5), (1, "pay", 1)],
        ];
        for (number, operations) in commits.into_iter().enumerate() {
            let item = |(place, (by, what, amount)): (usize, (u8, &str, u64))| {
                let envelope = Envelope {
                    version: TRANSACTION_VERSION,
                    network,
                    signer: key(by).public(),
                    created_at: Timestamp::ZERO,
                    // No two are the same.
                    expires_at: Timestamp::new(100 + 10 * number as u64 + place as u64),
                    operations: vec![money(what, amount)],
                };
                Item::Transaction(envelope.sign(&key(by)))
            };
            let items = operations.into_iter().enumerate().map(item).collect();
            let index = CommitIndex::new(number as u64 + 1);
            let effects = execute(&Commit { index, time: Timestamp::ZERO, items }, &rows).unwrap();
            let entries = writes(&rows, &effects).unwrap();
            rows.apply(&effects.writes);
            rows.apply(&entries);
        }
        // The third one was refused, and moved nothing.
        assert_eq!(balances(&rows, 1), [(0, 100), (100, 70), (70, 69)]);
        assert_eq!(balances(&rows, 2), [(0, 30), (30, 25), (25, 26)]);
    }
}
