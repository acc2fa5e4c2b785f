//! A small history, row by row: what its explanation says, and that all its sums are the lot's.

use super::*;
use kerbholz_ledger::codec;
use kerbholz_ledger::factor::FactorRef;
use kerbholz_ledger::id::{FactorSetId, MemberId};
use kerbholz_ledger::keys::PublicKey;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::Portion;
use kerbholz_ledger::quantity::{Milligrams, Unit};
use kerbholz_ledger::restatement::{Correction, Restatement, RestatementState, Source};
use kerbholz_ledger::rows::{
    BookedRow, MemberKind, MemberRow, Origin, RestatementRow, SourceBooking, Table, Taken,
    TransformationRow, Write, booked_key, key,
};
use kerbholz_ledger::transformation::{AllocationRule, OutputRole};

fn id(number: u8) -> [u8; 32] {
    [number; 32]
}

fn put<T: Serialize>(state: &mut Memory, key: Vec<u8>, row: &T) {
    let value = Some(codec::encode(row).into());
    state.apply(&[Write { key: key.into(), value }]);
}

fn grams(amount: u64) -> Quantity {
    Quantity::new(amount * 1_000, Unit::Milligram)
}

fn carries(climate: i128, material: i128) -> Footprint {
    let mut footprint = Footprint::ZERO;
    footprint.set(Dimension::Climate, climate);
    footprint.set(Dimension::ClimateDefault, climate);
    footprint.set(Dimension::Material, material);
    footprint
}

fn lot(product: &str, sequence: u64, footprint: Footprint, origin: Origin) -> LotRow {
    LotRow {
        product: product.into(),
        quantity: grams(100),
        original: grams(100).amount,
        mass: Milligrams::new(100_000),
        original_mass: Milligrams::new(100_000),
        owner: MemberId::new(id(2)),
        held_for: None,
        footprint,
        origin,
        transaction: TransactionId::new(id(9)),
        created_at: Timestamp::new(1_700_000_000_000),
        sequence,
        uses: 0,
    }
}

/// A company with a machine; `sources` lots, each used up in one step with all others. The first was
/// booked with ten more than it carries.
fn history(sources: u8) -> (Memory, LotId) {
    let mut state = Memory::default();
    let name = |name: &str, organisation: u8, kind| MemberRow {
        name: name.into(),
        kind,
        organisation: MemberId::new(id(organisation)),
        owner_key: PublicKey::new(id(0)),
        signing_key: PublicKey::new(id(0)),
        revoked_from: None,
    };
    let member = |number: u8| key(Table::Member, &[&id(number)]);
    put(&mut state, member(1), &name("maker", 1, MemberKind::Organisation));
    put(&mut state, member(2), &name("printer", 1, MemberKind::Machine));
    let factor = FactorRef { set: FactorSetId::new(id(7)), code: "powder".into() };
    let (mut inputs, mut total) = (Vec::new(), Footprint::ZERO);
    for number in 0..sources {
        let footprint = carries(1_000 + 7 * i128::from(number), 100_000);
        let declared = Origin::Declared { factor: Some(factor.clone()), evidence: None };
        let row = lot(&format!("powder {number}"), number.into(), footprint.clone(), declared);
        let entry = key(Table::Lot, &[&id(100 + number)]);
        put(&mut state, entry, &row);
        total = total.checked_add(&footprint).unwrap();
        inputs.push(Taken {
            portion: Portion { lot: LotId::new(id(100 + number)), quantity: grams(100) },
            product: row.product,
            mass: Milligrams::new(100_000),
            footprint,
        });
    }
    let made = TransformationId::new(id(50));
    let row = TransformationRow {
        machine: MemberId::new(id(2)),
        order: None,
        inputs,
        activities: Vec::new(),
        outputs: vec![LotId::new(id(60))],
        weights: vec![1],
        waste: 5_000,
        allocation: AllocationRule::Physical,
        exempted_ppm: 0,
        from: Timestamp::ZERO,
        to: Timestamp::ZERO,
        evidence: None,
        transaction: TransactionId::new(id(8)),
        sequence: 200,
    };
    let entry = key(Table::Transformation, &[&id(50)]);
    let mut first = row.footprints();
    first[0] = carries(1_010, 100_000);
    put(&mut state, booked_key(&entry), &BookedRow { footprints: first });
    put(&mut state, entry, &row);
    total.set(Dimension::Waste, 5_000);
    let origin = Origin::Made { transformation: made, output: 0, role: OutputRole::Product };
    let row = lot("bracket", 201, total.clone(), origin);
    let entry = key(Table::Lot, &[&id(60)]);
    total.set(Dimension::Climate, total.get(Dimension::Climate) + 10);
    put(&mut state, booked_key(&entry), &BookedRow { footprints: vec![total] });
    put(&mut state, entry, &row);
    (state, LotId::new(id(60)))
}

/// The first source was booked by a meter's figures and evidence once, and restated by a factor.
fn restate_first(state: &mut Memory) {
    let lot = LotId::new(id(100));
    let mut first = carries(1_010, 100_000);
    first.set(Dimension::ClimateDefault, 0);
    first.set(Dimension::ClimateDerived, 1_010);
    put(
        state,
        booked_key(&key(Table::Lot, &[lot.as_bytes()])),
        &BookedRow { footprints: vec![first.clone()] },
    );
    let booking = |code: &str, footprint: &Footprint| SourceBooking {
        factor: Some(FactorRef { set: FactorSetId::new(id(7)), code: code.into() }),
        amount: Some(grams(100)),
        evidence: None,
        footprint: footprint.clone(),
    };
    let factors =
        [("unused", 5, RestatementState::Refused), ("grade", 7, RestatementState::Applied)];
    let later = ("grade 2", 9, RestatementState::Applied);
    for (number, (code, at, outcome)) in factors.into_iter().chain([later]).enumerate() {
        let number = [u8::try_from(number).unwrap(); 32];
        let (before, after) = (booking(code, &first), booking("powder", &first));
        let correction = Correction::Factor(after.factor.clone().unwrap());
        let source = Source::Lot(lot);
        let row = RestatementRow {
            restatement: Restatement { source, correction, reason: "x".into(), evidence: None },
            by: MemberId::new(id(2)),
            state: outcome,
            before,
            after,
            decided_by: None,
            proposed_at: Timestamp::new(at),
            changed_at: Timestamp::new(at),
            transaction: TransactionId::new(id(9)),
        };
        put(state, key(Table::Restatement, &[&number]), &row);
        put(state, key(Table::RestatementOf, &[lot.as_bytes(), &number]), &());
    }
}

fn explain_all(sources: u8) -> Document {
    let (state, lot) = history(sources);
    explained(&state, lot, 1_000).unwrap().unwrap().document
}

fn sums(shares: impl Iterator<Item = Shares>) -> Shares {
    let mut sum = Shares::default();
    for share in shares {
        sum.add(View::AsBooked, &share.as_booked).unwrap();
        sum.add(View::AsRestated, &share.as_restated).unwrap();
    }
    sum
}

fn assert_same(found: &Shares, whole: &Shares, what: &str) {
    for view in [View::AsBooked, View::AsRestated] {
        assert_eq!(found.of(view).values(), whole.of(view).values(), "{what}, {view:?}");
    }
}

#[test]
fn whatever_is_grouped_adds_up_to_the_lot() {
    let document = explain_all(5);
    let whole = &document.footprint;
    assert!(document.restated && document.complete);
    assert_eq!(whole.as_restated.get(Dimension::Climate), 5_070);
    assert_eq!(whole.as_booked.get(Dimension::Climate), 5_080);
    assert_same(&sums(document.entries.iter().map(|line| line.share.clone())), whole, "entries");
    for (groups, what) in [
        (&document.by_stage, "stages"),
        (&document.by_tier, "tiers"),
        (&document.by_organisation, "organisations"),
        (&document.by_kind, "kinds"),
    ] {
        assert_same(&sums(groups.iter().map(|group| group.share.clone())), whole, what);
    }
    let names = |groups: &[Group]| groups.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&document.by_stage), ["bracket · printer"]);
    assert_eq!(names(&document.by_organisation), ["maker"]);
    assert_eq!(names(&document.by_kind), ["material", "waste"]);
    assert_eq!(names(&document.by_tier), ["default"]);
    let first = &document.entries[0];
    assert_eq!(
        (first.source.what.as_str(), first.source.by.as_str()),
        ("powder 4", "printer of maker")
    );
}

/// Once it was derived, by another factor: so the sums say of what was booked, and the source itself.
#[test]
fn what_was_booked_keeps_its_tier_and_its_factor() {
    let (mut state, lot) = history(3);
    restate_first(&mut state);
    let document = explained(&state, lot, 1_000).unwrap().unwrap().document;
    let of = |tier: &str, view| {
        let mut groups = document.by_tier.iter().filter(|group| group.name == tier);
        groups.next().map_or(0, |group| group.share.of(view).get(Dimension::Climate))
    };
    assert_eq!((of("derived", View::AsBooked), of("derived", View::AsRestated)), (1_010, 0));
    assert_eq!((of("default", View::AsBooked), of("default", View::AsRestated)), (2_021, 3_021));
    let restated = document.entries.iter().filter(|line| line.source.as_booked.is_some());
    let [line] = restated.collect::<Vec<_>>()[..] else { panic!("one source was restated") };
    let code = |view| line.source.factor_in(view).map(|factor| factor.code.as_str());
    assert_eq!((code(View::AsBooked), code(View::AsRestated)), (Some("grade"), Some("powder")));
}

/// The largest of every dimension are on the page, not only those of climate, and nothing is lost.
#[test]
fn a_page_of_many_sources_has_the_largest_of_each_dimension_and_all_sums() {
    let mut document = explain_all(1);
    let (line, many) = (document.entries[0].clone(), 2_000);
    let share = |number: i128| {
        let mut footprint = carries(number, 1);
        footprint.set(Dimension::Waste, many - number);
        Shares { as_booked: footprint.clone(), as_restated: footprint }
    };
    let numbers = || (1..=many).rev();
    let stage = |number: i128| format!("stage {number}");
    let entry = |number| Line { stage: stage(number), share: share(number), ..line.clone() };
    document.entries = numbers().map(entry).collect();
    let group = |number| Group { name: stage(number), share: share(number) };
    document.by_stage = numbers().map(group).collect();
    let shown = findings(&page(&document).unwrap());
    let entries = shown["entries"].as_array().unwrap();
    assert_eq!((entries.len(), shown["entries_all"].as_u64()), (80, Some(2_000)));
    let has = |number: i128| entries.iter().any(|entry| entry["stage"] == stage(number));
    assert!(has(1) && has(many) && !has(1_000));
    let groups = shown["by_stage"].as_array().unwrap();
    assert_eq!((groups.len(), groups[80]["name"].as_str()), (81, Some("1920 others")));
    let climate = |group: &serde_json::Value| {
        group["share"]["as_restated"]["climate"].as_str().unwrap().parse::<i128>().unwrap()
    };
    assert_eq!(groups.iter().map(climate).sum::<i128>(), many * (many + 1) / 2);
}

#[test]
fn flows_drawn_together_still_add_up() {
    let document = explain_all(40);
    for most in [3, 10, 41, 42, 43, 1_000] {
        let graph = document.graph.pruned(most);
        let root = graph.nodes.iter().position(|node| node.kind == "lot").unwrap();
        assert!(graph.nodes.len() <= most + 1);
        let into = |target: usize| {
            sums(graph.links.iter().filter(|it| it.target == target).map(|it| it.share.clone()))
        };
        assert_same(&into(root), &document.footprint, "into the lot");
        let step = graph.nodes.iter().position(|node| node.kind == "step").unwrap();
        assert_same(&into(step), &document.footprint, "into the step");
        let sources = graph.nodes.iter().filter(|node| !["lot", "step"].contains(&node.kind));
        assert_same(&sums(sources.map(|it| it.share.clone())), &document.footprint, "sources");
    }
}

#[test]
fn what_is_shown_to_programs_is_exact_text() {
    let json = serde_json::to_value(explain_all(2)).unwrap();
    assert_eq!(json["footprint"]["as_restated"]["climate"], "2007");
    assert_eq!(json["footprint"]["as_booked"]["climate"], "2017");
    assert_eq!(json["entries"][0]["share"]["as_booked"]["climate"], "1010");
    assert_eq!(json["entries"][0]["factor"]["code"], "powder");
    assert_eq!(json["footprint"]["as_restated"].get("water"), None);
    assert_eq!(json["graph"]["nodes"].as_array().unwrap().len(), 5);
}

/// What a page draws from.
fn findings(page: &str) -> serde_json::Value {
    let begin = page.find("id=\"findings\">").unwrap() + "id=\"findings\">".len();
    let end = begin + page[begin..].find("</script>").unwrap();
    serde_json::from_str(&page[begin..end]).unwrap()
}

#[test]
fn the_page_is_whole_and_asks_nobody() {
    let template = include_str!("../../assets/explain.html");
    for forbidden in ["http://", "https://", "src=", "href=", "@import", "url(", "fetch("] {
        assert!(!template.contains(forbidden), "{forbidden}");
    }
    for mark in crate::demo::report::MARKS {
        assert_eq!(template.matches(mark).count(), 1, "{mark}");
    }
    let mut document = explain_all(5);
    document.product = "</script><!-- bracket".into();
    let page = page(&document).unwrap();
    assert!(!crate::demo::report::MARKS.iter().any(|mark| page.contains(mark)));
    let back = findings(&page);
    assert_eq!(back["product"], document.product);
    assert_eq!(back["entries_all"], 6);
}

#[test]
fn tiers_have_their_names() {
    for (of, name) in [
        (EvidenceTier::Measured, "measured"),
        (EvidenceTier::Derived, "derived"),
        (EvidenceTier::Default, "default"),
    ] {
        assert_eq!(tier(of), name);
    }
}
