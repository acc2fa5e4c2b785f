//! Questions to a state: what they find, page by page and within bounds.

use super::table::{Table, check_in};
use super::world::{World, base_set, factor_ref, keypair, member};
use crate::id::LotId;
use crate::order::OrderState;
use crate::query::{self, Bounds};
use crate::rows::KeyRole;
use std::collections::BTreeSet;
use std::vec::Vec;

fn told(story: &str) -> Table {
    let mut table = Table::new(World::new());
    check_in(&mut table, story);
    table
}

#[test]
fn pages_join_to_the_whole_whatever_their_size() {
    let story: Vec<_> = (0..7).map(|lot| std::format!("declare l{lot} -> ok")).collect();
    let table = told(&story.join("\n"));
    let all: BTreeSet<LotId> = table.lots.values().copied().collect();
    for size in [0, 1, 2, 3, 6, 7, 8, 100] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = query::lots_of(&table.world.state, member("printer"), after, size);
            let page = page.expect("page");
            assert!((1..=size.max(1)).contains(&page.ids.len()));
            found.extend(page.ids);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, all.iter().copied().collect::<Vec<_>>(), "pages of {size}");
    }
}

#[test]
fn who_belongs_to_whom_and_what_serves_what() {
    let table = told(
        "issue by=bank to=rail amount=7               -> ok
         place mother by=press to=printer             -> ok
         place one by=printer to=mill parent=mother   -> ok
         place two by=printer to=mill parent=mother   -> ok",
    );
    let state = &table.world.state;
    let expected = |names: &[&str]| names.iter().map(|name| member(name)).collect::<BTreeSet<_>>();
    let of = |id| query::members_of(state, id, None, 10).expect("members").ids;
    let makers: BTreeSet<_> = of(member("maker")).into_iter().collect();
    assert_eq!(makers, expected(&["printer", "mill", "meter"]));
    assert_eq!(query::members(state, None, 100).expect("members").ids.len(), 11);

    let orders = |name| {
        let page = query::orders_of(state, member(name), None, 10).expect("orders");
        page.ids.into_iter().collect::<BTreeSet<_>>()
    };
    let (mother, one, two) = (table.orders["mother"], table.orders["one"], table.orders["two"]);
    assert_eq!(orders("printer"), BTreeSet::from([mother, one, two]));
    assert_eq!(orders("mill"), BTreeSet::from([one, two]));
    let children = query::children_of(state, mother, None, 10).expect("children").ids;
    assert_eq!(children.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([one, two]));
    let order = query::order(state, one).expect("order").expect("order");
    assert_eq!((order.state, order.terms.parent), (OrderState::Placed, Some(mother)));

    let holder = query::key_holder(state, keypair("press").public()).expect("key").expect("key");
    assert_eq!((holder.member, holder.role), (member("press"), KeyRole::Signing));
    let accounts = query::accounts(state, member("rail")).expect("accounts");
    assert_eq!((accounts.len(), accounts[0].1.available.get()), (1, 7));
    assert_eq!(query::accounts(state, member("maker")), Ok(Vec::new()));
    assert_eq!(query::factor_set(state, base_set()).expect("set").expect("set").factors, 8);
    assert!(query::factor(state, &factor_ref("grid")).expect("factor").is_some());
    assert_eq!(query::factor(state, &factor_ref("none")), Ok(None));
    assert!(query::meter(state, member("meter")).expect("meter").is_some());
}

#[test]
fn upstream_of_a_lot_nearest_first_each_once_and_bounded() {
    let table = told(
        "declare powder by=printer                                           -> ok
         transfer more by=printer of=powder:500g to=printer                  -> ok
         transform by=printer in=powder:100g,more:100g out=part:1pc:200g as=part -> ok
         transfer sold by=printer of=part:1pc to=press                       -> ok",
    );
    let state = &table.world.state;
    let ids = |depth, lots| {
        let tree = query::upstream(state, table.lots["sold"], Bounds { depth, lots });
        let tree = tree.expect("upstream");
        let name = |id| table.lots.iter().find(|(_, lot)| **lot == id).expect("a name").0.as_str();
        tree.into_iter().map(|found| (name(found.id), found.depth)).collect::<Vec<_>>()
    };
    // The powder is upstream twice: directly, and through its part.
    assert_eq!(ids(9, 9), [("sold", 0), ("part", 1), ("powder", 2), ("more", 2)]);
    assert_eq!(ids(1, 9), [("sold", 0), ("part", 1)]);
    assert_eq!(ids(9, 3), [("sold", 0), ("part", 1), ("powder", 2)]);
    assert_eq!(ids(0, 0), []);
    let nothing = query::upstream(state, LotId::new([1; 32]), Bounds { depth: 9, lots: 9 });
    assert_eq!(nothing, Ok(Vec::new()));
    let tree = query::upstream(state, table.lots["part"], Bounds { depth: 0, lots: 9 });
    let part = tree.expect("upstream").remove(0);
    assert_eq!(part.from, [table.lots["powder"], table.lots["more"]]);
    assert_eq!(part.made_by.expect("made").outputs, [table.lots["part"]]);
}

#[test]
fn products_and_currencies_are_listed() {
    let table = told(
        "declare a                        -> ok
         sink    of=a:1g                  -> ok
         declare b amount=3pc mass=1g     -> ok",
    );
    let products = query::products(&table.world.state).expect("products");
    let found: Vec<_> = products
        .iter()
        .map(|row| (row.product.as_str(), row.unit.symbol(), row.quantities.stock))
        .collect();
    assert_eq!(found, [("powder", "mg", 999_000), ("powder", "piece", 3)]);
    assert_eq!(products[0].quantities.booked_out, 1000);
    let currencies = query::currencies(&table.world.state).expect("currencies");
    assert_eq!((currencies.len(), currencies[0].currency.as_str()), (1, "EUR"));
}
