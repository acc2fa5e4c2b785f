//! What the operations do, one story per test.

use super::table::{Table, check, check_in};
use super::world::{STEP, World, genesis_file, keypair};
use crate::footprint::Dimension;
use crate::genesis::{Genesis, GenesisAuthority, GenesisError};
use crate::keys::PublicKey;
use crate::limit::{Limit, LimitAction, LimitScope};
use crate::quantity::{CommitIndex, Milliseconds, Timestamp};
use crate::query;
use crate::rows::{Table as Rows, Write};
use std::format;
use std::vec::Vec;

#[test]
fn an_order_from_powder_to_bracket() {
    check(
        "issue    by=bank to=rail amount=5000                                    -> ok
         declare  powder by=printer amount=1kg evidence=text/plain               -> ok
         reading  energy by=meter from=0 to=36000000                             -> ok
         place    o1 by=press to=printer price=1000                              -> ok
         account  rail                                                           -> 4000 available, 1000 held
         accept   o1 by=printer                                                  -> ok
         start    o1 by=printer                                                  -> ok
         complete o1 by=printer in=powder:120g,energy:3kWh out=bracket:10pc:100g,scrap:20g:20g:waste:0 as=part,scrap -> ok
         lot      powder                                                         -> 880000 mg of printer
         lot      energy                                                         -> 25200000 J of printer
         lot      part                                                           -> 10 piece of printer, held
         lot      scrap                                                          -> 20000 mg of printer
         sink     by=printer of=part:1pc                                         -> lot_held
         confirm  o1 by=printer                                                  -> not_buyer
         confirm  o1 by=press                                                    -> ok
         order    o1                                                             -> settled, paid 1000
         lot      part                                                           -> 10 piece of press
         stock    printer                                                        -> energy powder scrap
         footprint part                                                          -> 2160000000000
         account  rail                                                           -> 4000 available, 0 held
         account  maker                                                          -> 1000 available, 0 held
         sink     by=press of=part:10pc                                          -> ok
         lot      part                                                           -> 0 piece of press
         stock    press                                                          -> ",
    );
}

#[test]
fn what_says_nothing_of_climate_earns_no_bonus_and_passes_no_cap() {
    for put in ["cap=1000", "carbon=100 predicted=5000000000000 hold=700"] {
        check(&format!(
            "issue    by=bank to=rail amount=5000                                    -> ok
             place    o by=press to=printer price=200 {put}                          -> ok
             accept   o by=printer                                                   -> ok
             start    o by=printer                                                   -> ok
             complete o by=printer out=bracket:10pc:0g                               -> missing_dimension
             complete o by=printer outcome=partial out=bracket:1pc:0g                -> missing_dimension
             # Where nothing is delivered there is nothing to compare.
             complete o by=printer outcome=failed out=scrap:1pc:0g:waste             -> ok
             account  maker                                                          -> 0 available, 0 held",
        ));
    }
}

#[test]
fn what_a_footprint_is_made_of() {
    check(
        "declare  powder by=printer amount=1kg evidence=text/plain               -> ok
         declare  ingot by=printer amount=1kg factor=proxy evidence=text/plain   -> ok
         reading  energy by=meter from=0 to=3600000                              -> ok
         # Goods that weigh something are material, joules are energy; what a factor declares stands.
         footprint powder of=Material                                            -> 1000000
         footprint powder of=Energy                                              -> 90000000
         footprint powder of=Waste                                               -> not declared
         footprint energy of=Energy                                              -> 3600000
         footprint energy of=Material                                            -> not declared
         # The tier is the source's, unless the factor is not to be relied on.
         footprint powder of=ClimateDerived                                      -> 8000000000001
         footprint powder of=BiogenicUptake                                      -> -13
         footprint ingot of=ClimateDerived                                       -> 0
         footprint ingot of=ClimateDefault                                       -> 7000000000000
         footprint energy of=ClimateMeasured                                     -> 400000000000
         footprint energy of=ClimateByTimeRating                                 -> 1200000000000
         transform by=printer in=powder:1kg,ingot:1kg,energy:1kWh does=haul:500000kgm:haul out=part:3pc:1990g:product:2,spare:1pc:0g:byproduct:1,chips:10g:10g:waste:0 as=part,spare,chips -> ok
         footprint part of=Climate                                               -> 10300000000001
         footprint spare of=Climate                                              -> 5150000000000
         footprint chips of=Climate                                              -> 0
         footprint part of=BiogenicUptake                                        -> not declared
         footprint part of=ClimateMeasured                                       -> 266666666667
         footprint spare of=ClimateMeasured                                      -> 133333333333
         # An activity is a source without evidence; its waste is booked, though nobody upstream declared any.
         footprint part of=ClimateDefault                                        -> 4700000000000
         footprint part of=Waste                                                 -> not declared
         # A part takes the floor of its share, the rest keeps the rest.
         transfer third by=printer of=part:1pc to=press                          -> ok
         footprint third of=Climate                                              -> 3433333333333
         footprint part of=Climate                                               -> 6866666666668
         transfer rest by=printer of=part:2pc to=press                           -> ok
         footprint rest of=Climate                                               -> 6866666666668
         footprint part of=Climate                                               -> 0",
    );
}

#[test]
fn what_is_made_of_nothing_is_not_declared_to_cost_nothing() {
    check(
        "transform by=printer out=idea:1pc:0g as=idea    -> ok
         footprint idea of=Climate                       -> not declared
         transform by=printer in=idea:1pc out=thing:1pc:0g as=thing -> ok
         footprint thing of=Energy                       -> not declared",
    );
}

#[test]
fn partial_completion_pays_in_proportion_and_carbon_comes_on_top() {
    let story = |predicted: &str, climate: &str, paid: &str| {
        check(&format!(
            "issue    by=bank to=rail amount=5000                       -> ok
             declare  powder by=printer                                 -> ok
             place    o by=press price=1001 hold=1200 carbon=10 predicted={predicted} -> ok
             accept   o by=printer                                      -> ok
             start    o by=printer                                      -> ok
             complete o by=printer outcome=partial in=powder:125g out=bracket:1pc:25g,bracket:2pc:25g:product:0,plate:1pc:75g:byproduct:0 as=a,b,plate -> ok
             footprint a                                                -> {climate}
             lot      plate                                             -> 1 piece of printer
             confirm  o by=press                                        -> ok
             lot      a                                                 -> 1 piece of press
             lot      b                                                 -> 2 piece of press
             order    o                                                 -> settled, paid {paid}
             account  rail                                              -> {} available, 0 held
             account  maker                                             -> {paid} available, 0 held",
            5000 - paid.parse::<u64>().expect("a number")
        ));
    };
    let climate = "1000000000000";
    // Three of ten pieces: 300 of 1001. Predicted 10 kg, so 3 kg for three; 1 kg came: 2 kg saved.
    story("10000000000000", climate, "320");
    // Just under 2 kg saved pays for what was saved, rounded towards zero.
    story("9999999999999", climate, "319");
    // Predicted nothing, 1 kg too much.
    story("0", climate, "290");
    // A bonus is bounded by the hold.
    story("999999999999999999", climate, "1200");
}

#[test]
fn a_malus_takes_the_price_at_most() {
    check(
        "issue    by=bank to=rail amount=5000                       -> ok
         declare  powder by=printer                                 -> ok
         place    o by=press price=1000 carbon=1000000 predicted=0  -> ok
         accept   o by=printer                                      -> ok
         start    o by=printer                                      -> ok
         complete o by=printer in=powder:125g out=bracket:10pc:125g -> ok
         wait     ms=3600000                                        -> 1 executed
         order    o                                                 -> settled, paid 0
         account  rail                                              -> 5000 available, 0 held",
    );
}

#[test]
fn a_failure_is_booked_where_the_terms_say() {
    for (bearer, owner) in [("provider", "printer"), ("buyer", "press")] {
        check(&format!(
            "issue    by=bank to=rail amount=5000                    -> ok
             declare  powder by=printer                              -> ok
             declare  theirs by=press                                -> ok
             place    o by=press price=1000 failure={bearer} gives=theirs:100g as=given -> ok
             accept   o by=printer                                   -> ok
             start    o by=printer                                   -> ok
             complete o by=printer outcome=failed in=powder:25g,given:40g out=scrap:65g:65g:waste as=scrap -> ok
             order    o                                              -> failed, paid 0
             account  rail                                           -> 5000 available, 0 held
             lot      scrap                                          -> 65000 mg of {owner}
             footprint scrap of=Climate                              -> 520000000000
             lot      given                                          -> 60000 mg of press
             confirm  o by=press                                     -> wrong_state
             sink     by={owner} of=scrap:65g                        -> ok"
        ));
    }
}

#[test]
fn what_the_buyer_provides_comes_back_at_the_end() {
    for (end, state) in [
        ("reject o by=printer -> ok", "rejected, paid 0"),
        ("cancel o by=press -> ok", "cancelled, paid 0"),
        ("wait ms=3600000 -> 1 executed", "expired, paid 0"),
        ("accept o by=printer -> ok\ncancel o by=press -> ok", "cancelled, paid 30"),
        ("accept o by=printer -> ok\nwait ms=7200000 -> 1 executed", "expired, paid 0"),
        (
            "accept o by=printer -> ok\nstart o by=printer -> ok\ncancel o by=press -> ok",
            "cancelled, paid 30",
        ),
        (
            "accept o by=printer -> ok\nstart o by=printer -> ok\nwait ms=7200000 -> 1 executed",
            "expired, paid 0",
        ),
        (
            "accept o by=printer -> ok\nstart o by=printer -> ok
             complete o by=printer out=bracket:10pc:0g -> ok\nconfirm o by=box -> ok",
            "settled, paid 100",
        ),
        (
            "accept o by=printer -> ok\nstart o by=printer -> ok
             complete o by=printer out=bracket:10pc:0g -> ok\nwait ms=3600000 -> 1 executed",
            "settled, paid 100",
        ),
    ] {
        let paid: u64 = state.rsplit(' ').next().expect("a word").parse().expect("a number");
        check(&format!(
            "issue    by=bank to=rail amount=500                        -> ok
             declare  theirs by=press                                   -> ok
             place    o by=press price=100 fee=30 hold=200 confirmer=box gives=theirs:100g as=given -> ok
             account  rail                                              -> 300 available, 200 held
             lot      theirs                                            -> 900000 mg of press
             lot      given                                             -> 100000 mg of press, held
             {end}
             order    o                                                 -> {state}
             lot      given                                             -> 100000 mg of press
             account  rail                                              -> {} available, 0 held
             account  maker                                             -> {paid} available, 0 held",
            500 - paid
        ));
    }
}

#[test]
fn an_order_within_an_organisation_moves_no_money_out() {
    check(
        "issue    by=bank to=maker amount=500                           -> ok
         place    o by=printer to=mill price=100                        -> ok
         account  maker                                                 -> 400 available, 100 held
         accept   o by=mill                                             -> ok
         start    o by=mill                                             -> ok
         complete o by=mill out=bracket:10pc:0g                         -> ok
         confirm  o by=printer                                          -> ok
         order    o                                                     -> settled, paid 100
         account  maker                                                 -> 500 available, 0 held
         place    p by=press external=1 price=70                        -> ok
         accept   p by=printer                                          -> ok
         start    p by=printer                                          -> ok
         complete p by=printer out=bracket:10pc:0g                      -> ok
         confirm  p by=press                                            -> ok
         order    p                                                     -> settled, paid 70
         account  maker                                                 -> 500 available, 0 held",
    );
}

#[test]
fn a_commit_without_anything_to_do_changes_only_the_clock() {
    let mut world = World::new();
    let before = query::ledger(&world.state).expect("ledger");
    let effects = world.commit(Vec::new());
    let after = query::ledger(&world.state).expect("ledger");
    let keys: Vec<_> = effects.writes.iter().map(|write| write.key.to_vec()).collect();
    assert_eq!(keys, [[Rows::Ledger as u8]]);
    assert!(effects.executed.is_empty() && effects.events.is_empty());
    assert_eq!((effects.state_digest, effects.log_root), (before.state_digest, before.log_root));
    assert_eq!(after.time.get(), before.time.get() + STEP);
    assert_eq!(
        crate::rows::LedgerRow { commit: before.commit, time: before.time, ..after },
        before
    );
}

#[test]
fn a_commit_must_follow_the_last_one() {
    let world = World::new();
    for index in [0, 2] {
        let mut next = world.next(Vec::new());
        next.index = CommitIndex::new(world.commit + index);
        assert!(crate::execute(&next, &world.state).is_err(), "commit +{index}");
    }
    assert!(crate::execute(&world.next(Vec::new()), &crate::memory::Memory::default()).is_err());
}

/// The leader of round 1 has no parents to take a time from, and clocks may be set back.
#[test]
fn time_never_goes_back() {
    let mut world = World::new();
    let before = query::ledger(&world.state).expect("ledger").time;
    let mut next = world.next(Vec::new());
    next.time = Timestamp::new(0);
    let effects = crate::execute(&next, &world.state).expect("effects");
    world.state.apply(&effects.writes);
    assert_eq!(query::ledger(&world.state).expect("ledger").time, before);
}

#[test]
fn the_trial_balance_names_what_is_wrong() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "issue   by=bank amount=5  -> ok
         declare a                 -> ok
         sink    of=a:1g           -> ok",
    );
    let balance = crate::balance::check(&table.world.state).expect("balance");
    assert_eq!((balance.lots, balance.products.len(), balance.currencies.len()), (1, 1, 1));
    let errors: Vec<_> = [Rows::Lot, Rows::Sink, Rows::Product, Rows::Account]
        .iter()
        .map(|missing| {
            let mut state = table.world.state.clone();
            let found = state.rows().find(|(key, _)| key[0] == *missing as u8).expect("a row");
            let key = found.0.to_vec();
            state.apply(&[Write::remove(key)]);
            format!("{}", crate::balance::check(&state).expect_err("a difference"))
        })
        .collect();
    let starts = [
        "stock of energy is ",
        "sinks of energy is ",
        "booked in of powder is 0 ",
        "available of EUR is 5, ",
    ];
    for (error, start) in errors.iter().zip(starts) {
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn a_genesis_names_what_is_wrong_with_it() {
    let wrong = |change: &dyn Fn(&mut Genesis)| {
        let mut file = genesis_file();
        change(&mut file);
        assert!(crate::execute::genesis(&file).is_err(), "executed all the same");
        file.validate().expect_err("valid")
    };
    let weak = PublicKey::new([0; 32]);
    let printer = keypair("printer").public();
    assert_eq!(wrong(&|file| file.version = 1), GenesisError::UnknownVersion(1));
    assert_eq!(wrong(&|file| file.authorities.clear()), GenesisError::Counts);
    assert_eq!(wrong(&|file| file.name.clear()), GenesisError::Name("".into()));
    let twice = GenesisError::Name("rail".into());
    assert_eq!(wrong(&|file| file.organisations[0].name = "rail".into()), twice);
    let again = GenesisAuthority { name: "a".into(), key: printer };
    let twice = GenesisError::Name("a".into());
    assert_eq!(wrong(&|file| file.authorities.push(again.clone())), twice);
    assert_eq!(wrong(&|file| file.authorities[0].key = weak), GenesisError::WeakKey(weak));
    let twice = GenesisError::KeyTwice(printer);
    assert_eq!(
        wrong(&|file| {
            file.authorities[0].key = printer;
            file.publishers[0].signing_key = printer;
        }),
        twice
    );
    let nobody = GenesisError::Currency("EUR".into());
    assert_eq!(wrong(&|file| file.currencies[0].issuer = "agency".into()), nobody);
    let judged = GenesisError::Materiality;
    assert_eq!(wrong(&|file| file.auditors.clear()), judged);
    assert_eq!(wrong(&|file| file.accounting.materiality[0].value = -1), judged);
    let twice = |file: &mut Genesis| {
        let first = file.accounting.materiality[0];
        file.accounting.materiality.push(first);
    };
    assert_eq!(wrong(&twice), judged);
    let endless = |file: &mut Genesis| {
        let scope = LimitScope::Organisation { period: Milliseconds::ZERO };
        let (name, dimension, action) = ("a".into(), Dimension::Energy, LimitAction::Flag);
        file.accounting.limits.push(Limit { name, scope, dimension, cap: 0, action });
    };
    assert_eq!(wrong(&endless), GenesisError::Limits);
    let operators = |file: &mut Genesis, names: &[&str]| {
        file.accounting.upkeep.operators = names.iter().map(|name| (*name).into()).collect();
    };
    assert_eq!(wrong(&|file| operators(file, &["agency"])), GenesisError::Upkeep);
    assert_eq!(wrong(&|file| operators(file, &["rail", "rail"])), GenesisError::Upkeep);
    let endless = |file: &mut Genesis| file.accounting.upkeep.period = Milliseconds::ZERO;
    assert_eq!(wrong(&endless), GenesisError::Upkeep);
    // As JSON it is the one file that a verifier needs: nothing in it may be unknown or lost.
    let json = serde_json::to_string(&genesis_file()).expect("json");
    assert_eq!(serde_json::from_str::<Genesis>(&json).expect("json"), genesis_file());
    let more = json.replacen('{', "{\"more\":1,", 1);
    assert!(serde_json::from_str::<Genesis>(&more).is_err());
}
