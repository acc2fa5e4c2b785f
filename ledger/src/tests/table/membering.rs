//! What organisations do about machines, keys and money, from the words of a line; and how it is
//! shown.

use super::super::world::*;
use super::operations::{list, text};
use super::{Line, Table};
use crate::allowance::*;
use crate::description::Description;
use crate::operation::*;
use crate::quantity::{Milliseconds, Minor};
use crate::query::{self, MemberFilter};
use crate::rows::{SpentRow, read, spent_key};
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

fn words(line: &Line<'_>, word: &str) -> Vec<String> {
    list(line.or(word, "")).map(|item| text(item[0])).collect()
}

impl Table {
    pub(super) fn membering(&self, verb: &str, line: &Line<'_>) -> Option<Operation> {
        Some(match verb {
            "describe" => Operation::Describe(Box::new(Description {
                member: member(line.name),
                services: if line.has("many") {
                    (10..=26).map(|number| format!("s{number}")).collect()
                } else {
                    words(line, "services")
                },
                processes: words(line, "processes"),
                nameplate_watts: line.has("watts").then(|| line.number("watts", 0)),
                location: text(line.or("at", "")),
                grid_zone: text(line.or("zone", "")),
            })),
            "endkey" => Operation::EndKey(KeyEnd {
                key: keypair(line.name).public(),
                from: self.commit_at(line, "from"),
            }),
            "ownerkey" => Operation::ReplaceOwnerKey(self.owner_key(line)),
            "takeover" => Operation::TakeOverLots(LotTakeover {
                machine: member(line.or("of", "")),
                lots: match line.get("many") {
                    Some(_) => std::vec![self.lot_named("none"); TAKEOVER_MAX + 1],
                    None => words(line, "lots").iter().map(|name| self.lot_named(name)).collect(),
                },
            }),
            "pay" => Operation::TransferMoney(MoneyTransfer {
                currency: text(line.or("currency", "EUR")),
                to: member(line.or("to", "rail")),
                amount: Minor::new(line.number("amount", 1000)),
                memo: text(line.or("memo", "rent")),
            }),
            "allow" => Operation::SetAllowance(AllowanceSetting {
                machine: (line.name != "any").then(|| member(line.name)),
                allowance: (!line.has("nothing")).then(|| allowance(line)),
            }),
            _ => return None,
        })
    }

    /// `ownerkey printer new=np` or, proposed, `owner=rail new=np`: a new owner key.
    pub(super) fn owner_key(&self, line: &Line<'_>) -> OwnerKeyReplacement {
        let whose = line.get("owner").unwrap_or(line.name);
        let new = keypair(line.or("new", "new"));
        let proven = member(line.or("proven_for", whose));
        let message = key_proof_message(self.world.network, proven);
        OwnerKeyReplacement {
            member: member(whose),
            owner_key: new.public(),
            key_proof: new.sign(KEY_PROOF_DOMAIN, &message),
        }
    }

    pub fn spent(&self, name: &str) -> Option<SpentRow> {
        read(&self.world.state, &spent_key(member(name))).expect("spent")
    }

    /// `30 EUR, 5 of climate` in the present row, whatever its period.
    pub(super) fn see_spent(&self, name: &str) -> String {
        let Some(row) = self.spent(name) else { return "nothing".into() };
        let money = row.money.iter().map(|(code, sum)| format!("{} {code}", sum.get()));
        format!("{}, {} of climate", money.collect::<Vec<_>>().join(" and "), row.climate)
    }

    /// Who is found: `find service=print`, `find kind=machine of=maker`, `find called=pr`.
    pub(super) fn see_found(&self, line: &Line<'_>) -> String {
        let filter = MemberFilter {
            organisation: line.get("of").map(member),
            kind: line.get("kind").map(|kind| match kind {
                "machine" => crate::rows::MemberKind::Machine,
                "meter" => crate::rows::MemberKind::Meter,
                _ => crate::rows::MemberKind::Organisation,
            }),
            service: line.get("service").map(String::from),
            name: line.or("called", "").into(),
            ended: false,
        };
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = query::find_members(&self.world.state, &filter, after.as_deref(), 2);
            let page = page.expect("members");
            assert!(page.members.len() <= 2);
            found.extend(page.members.into_iter().map(|(_, row)| row.name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort();
        found.join(" ")
    }
}

/// `eur=100:500 climate=5:10 period=20000`, either side empty for no bound.
fn allowance(line: &Line<'_>) -> Allowance {
    let most = |word: &str, at: usize| -> Option<i128> {
        let text = line.get(word)?.split(':').nth(at)?;
        (!text.is_empty()).then(|| text.parse().expect("a number"))
    };
    let minor = |word: &str, at: usize| most(word, at).map(|value| Minor::new(value as u64));
    let money = |(word, code): (&str, &str)| {
        line.has(word).then(|| MoneyAllowance {
            currency: text(code),
            per_order: minor(word, 0),
            per_period: minor(word, 1),
        })
    };
    let currencies = [("eur", "EUR"), ("usd", "USD"), ("lower", "AAA"), ("long", "long17")];
    let mut granted: Vec<MoneyAllowance> = currencies.into_iter().filter_map(money).collect();
    if line.has("many") {
        let one = |number| MoneyAllowance { currency: format!("{number}"), ..granted[0].clone() };
        granted = (10..=10 + CURRENCIES_MAX).map(one).collect();
    }
    Allowance {
        period: Milliseconds::new(line.number("period", 20_000)),
        money: granted,
        climate: ClimateAllowance { per_order: most("climate", 0), per_period: most("climate", 1) },
    }
}
