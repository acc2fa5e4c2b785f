//! Who is asked for a missing parent, and when (§6.3).

use super::*;
use crate::testing::committee;

fn reference(round: u64, author: usize) -> BlockRef {
    BlockRef { round: Round(round), ..committee(4).genesis()[author] }
}

fn peer(index: u16) -> AuthorityIndex {
    AuthorityIndex(index)
}

/// Authority 0 of four, connected to all, with these bounds: 25 ms delay, 100 ms timeout.
fn fetcher() -> Fetcher {
    let parameters = Parameters { fetch_references_max: 3, ..Parameters::lan() };
    let mut fetcher = Fetcher::new(peer(0), &parameters);
    (1..4).for_each(|index| fetcher.connect(peer(index), Instant(0)));
    fetcher
}

fn ask(fetcher: &mut Fetcher, at: u64) -> Vec<(u16, Vec<BlockRef>)> {
    fetcher.poll(Instant(at)).into_iter().map(|(peer, it)| (peer.0, it.references)).collect()
}

#[test]
fn a_reference_waits_for_its_stream_first() {
    let mut fetcher = fetcher();
    let wanted = reference(5, 2);
    fetcher.want(wanted, [peer(3), peer(1), peer(2)], Instant(0));
    assert_eq!(ask(&mut fetcher, 24), []);
    assert_eq!(fetcher.next_poll(), Some(Instant(36)), "no busy loop of polls");
    fetcher.forget(&wanted);
    assert_eq!(ask(&mut fetcher, 36), []);
}

#[test]
fn the_hints_are_asked_in_turn_two_at_a_time_at_most() {
    let mut fetcher = fetcher();
    let wanted = reference(5, 2);
    fetcher.want(wanted, [peer(3), peer(1), peer(2)], Instant(0));
    assert_eq!(ask(&mut fetcher, 25), [(3, [wanted].to_vec())]);
    assert_eq!(ask(&mut fetcher, 100), []);
    assert_eq!(ask(&mut fetcher, 125), [(1, [wanted].to_vec())], "the first took too long");
    assert_eq!(ask(&mut fetcher, 300), [], "two are asked already");
    fetcher.finish(peer(3), Instant(310), 0);
    assert_eq!(ask(&mut fetcher, 310), [(2, [wanted].to_vec())]);
}

#[test]
fn an_author_that_is_asked_for_its_block_is_not_waited_for_long() {
    // Those who build on it are being asked for something else.
    let mut fetcher = fetcher();
    let (other, wanted) = (reference(4, 2), reference(5, 2));
    fetcher.want(other, [peer(3), peer(1)], Instant(0));
    assert_eq!(ask(&mut fetcher, 25), [(3, [other].to_vec())]);
    fetcher.want(wanted, [peer(3), peer(2)], Instant(25));
    assert_eq!(ask(&mut fetcher, 50), [(2, [wanted].to_vec())]);
    fetcher.finish(peer(3), Instant(60), 1);
    fetcher.forget(&other);
    assert_eq!(ask(&mut fetcher, 74), []);
    assert_eq!(ask(&mut fetcher, 75), [(3, [wanted].to_vec())], "who builds on it is free again");
}

/// Whoever says quickly that it has nothing is free again, and who has it may be busy for long.
#[test]
fn nobody_is_asked_again_before_everybody_was() {
    let mut fetcher = fetcher();
    let (other, wanted) = (reference(4, 3), reference(5, 3));
    fetcher.want(other, [peer(2)], Instant(0));
    assert_eq!(ask(&mut fetcher, 25), [(2, [other].to_vec())]);
    fetcher.want(wanted, [peer(2)], Instant(25));
    for from in [1, 3] {
        assert_eq!(ask(&mut fetcher, 50), [(from, [wanted].to_vec())]);
        fetcher.finish(peer(from), Instant(50), 0);
    }
    assert_eq!(ask(&mut fetcher, 99), [], "only the one who builds on it was not asked");
    fetcher.finish(peer(2), Instant(100), 1);
    fetcher.forget(&other);
    assert_eq!(ask(&mut fetcher, 100), [(2, [wanted].to_vec())]);
}

#[test]
fn who_does_not_know_is_followed_by_the_next_at_once_and_then_with_pauses() {
    let mut fetcher = fetcher();
    let wanted = reference(5, 2);
    fetcher.want(wanted, [peer(3), peer(1), peer(2)], Instant(0));
    let mut asked = Vec::new();
    let mut now = 25;
    for _ in 0..8 {
        let requests = ask(&mut fetcher, now);
        let [(from, _)] = requests[..] else { panic!("one request at {now}: {requests:?}") };
        asked.push((from, now));
        fetcher.finish(peer(from), Instant(now), 0);
        now = fetcher.wanted[&wanted].due.0;
    }
    let order: Vec<u16> = asked.iter().map(|(from, _)| *from).collect();
    assert!(order.starts_with(&[3, 1, 2]) && order[3..].contains(&3), "{order:?}");
    assert_eq!(asked[2].1, 25, "all three at once: {asked:?}");
    assert!(asked[7].1 >= asked[4].1 + 200, "then with pauses: {asked:?}");
}

#[test]
fn one_request_per_peer_with_the_lowest_rounds_first() {
    let mut fetcher = fetcher();
    for round in [9, 8, 7, 6, 5] {
        fetcher.want(reference(round, 1), [peer(1); 3], Instant(0));
    }
    let requests = ask(&mut fetcher, 25);
    let list = |rounds: [u64; 3]| rounds.map(|round| reference(round, 1)).to_vec();
    assert_eq!(requests[0], (1, list([5, 6, 7])), "{requests:?}");
    fetcher.disconnect(peer(2), Instant(30));
    fetcher.collect(Round(9));
    assert_eq!((ask(&mut fetcher, 500), fetcher.len()), (Vec::new(), 0));
}

#[test]
fn nobody_else_is_asked_than_who_is_connected() {
    let mut fetcher = fetcher();
    (1..3).for_each(|index| fetcher.disconnect(peer(index), Instant(0)));
    fetcher.connect(peer(0), Instant(0));
    fetcher.want(reference(5, 1), [peer(1), peer(2), peer(9)], Instant(0));
    assert_eq!(ask(&mut fetcher, 25), [(3, [reference(5, 1)].to_vec())]);
    fetcher.disconnect(peer(3), Instant(30));
    assert_eq!(ask(&mut fetcher, 1_000), []);
    fetcher.connect(peer(2), Instant(1_000));
    assert_eq!(ask(&mut fetcher, 1_001), [(2, [reference(5, 1)].to_vec())]);
}

#[test]
fn what_lies_behind_a_fetched_block_is_asked_for_at_once_and_as_a_chain() {
    let mut fetcher = fetcher();
    let (own, other) = (reference(5, 2), reference(5, 3));
    fetcher.want_behind(other, &[peer(1)], false, Instant(7));
    let asked = fetcher.poll(Instant(7));
    assert_eq!(asked[&peer(1)], Asking { references: [other].to_vec(), chains: false });
    fetcher.want_behind(own, &[peer(2)], true, Instant(9));
    let asked = fetcher.poll(Instant(19));
    assert_eq!(asked[&peer(2)], Asking { references: [own].to_vec(), chains: true });
    fetcher.want(own, [peer(3)], Instant(9));
    assert_eq!(fetcher.holders(&own), [peer(3), peer(2)], "its author last");
    fetcher.forget(&other);
    fetcher.finish(peer(1), Instant(20), 1);
    fetcher.hint(&own, peer(1), Instant(20));
    let asked = fetcher.poll(Instant(20));
    assert_eq!(
        asked[&peer(1)].references,
        [own],
        "it has not been tried, and two are not too many"
    );
}

/// Connections break one by one, and each question fails with its own: that says nothing about who
/// has the block, and must not put it off once they are back.
#[test]
fn a_peer_that_comes_back_ends_every_pause() {
    let mut fetcher = fetcher();
    let wanted = reference(5, 2);
    fetcher.want(wanted, [peer(3), peer(1), peer(2)], Instant(0));
    let mut now = 25;
    for index in [3, 1, 2, 3, 1, 2, 3, 1] {
        fetcher.connect(peer(index), Instant(now));
        now = fetcher.next_poll().unwrap().0;
        ask(&mut fetcher, now);
        fetcher.finish(peer(index), Instant(now), 0);
        fetcher.disconnect(peer(index), Instant(now));
    }
    assert!(fetcher.wanted[&wanted].due > Instant(now), "the last one left was asked in vain");
    fetcher.connect(peer(1), Instant(now));
    assert_eq!(ask(&mut fetcher, now + 25), [(1, [wanted].to_vec())]);
}

/// A liar names thousands of parents that do not exist, of low rounds.
#[test]
fn what_does_not_exist_does_not_crowd_out_what_does() {
    let mut fetcher = fetcher();
    let invented = |number: u8| {
        let digest = crate::BlockDigest([number; 32]);
        BlockRef { round: Round(2), author: peer(1), digest }
    };
    for number in 0..100 {
        fetcher.want(invented(number), [peer(1)], Instant(0));
    }
    // Everybody was asked for some of them.
    for now in (25..).step_by(40).take(12) {
        for (from, _) in ask(&mut fetcher, now) {
            fetcher.finish(peer(from), Instant(now), 0);
        }
    }
    let now = 25 + 40 * 12;
    let real = reference(5, 2);
    fetcher.want_behind(real, &[peer(2)], false, Instant(now));
    (0..100).for_each(|number| fetcher.wanted.get_mut(&invented(number)).unwrap().due = Instant(0));
    let asked = ask(&mut fetcher, now);
    let behind = asked.iter().filter(|(_, references)| references.contains(&real)).count();
    assert_eq!(behind, 1, "{asked:?}");
}

#[test]
fn what_a_peer_names_that_never_has_it_comes_last() {
    let mut fetcher = fetcher();
    let liar = peer(3);
    for (round, now) in (10..14).zip((25..).step_by(100)) {
        let made_up = reference(round, 2);
        fetcher.want(made_up, [liar, peer(2)], Instant(now - 25));
        assert_eq!(ask(&mut fetcher, now), [(3, [made_up].to_vec())]);
        fetcher.finish(liar, Instant(now), 0);
        fetcher.forget(&made_up);
    }
    // One request holds three: of its next ones all, were it not for what it named before.
    [2, 3].into_iter().for_each(|gone| fetcher.disconnect(peer(gone), Instant(500)));
    (1..4).for_each(|round| fetcher.want(reference(round, 2), [liar, peer(2)], Instant(500)));
    let real = reference(9, 3);
    fetcher.want(real, [peer(1), peer(3)], Instant(500));
    let expected = [real, reference(1, 2), reference(2, 2)];
    assert_eq!(ask(&mut fetcher, 525), [(1, expected.to_vec())]);
}

/// Of a block that a liar showed to one, few honest authorities have heard. Everybody but those is
/// asked in vain; whose block builds on it is known soon.
#[test]
fn whoever_builds_on_a_missing_block_is_asked_before_everybody_else() {
    let mut fetcher = Fetcher::new(peer(0), &Parameters::lan());
    (1..40).for_each(|index| fetcher.connect(peer(index), Instant(0)));
    let wanted = reference(5, 2);
    fetcher.want(wanted, [peer(1), peer(2), peer(3)], Instant(0));
    fetcher.hint(&wanted, peer(4), Instant(0));
    for _ in 0..20 {
        let [(from, _)] = ask(&mut fetcher, 25)[..] else { panic!("one request") };
        fetcher.finish(peer(from), Instant(25), 0);
    }
    for holder in [30, 31] {
        fetcher.hint(&wanted, peer(holder), Instant(25));
        assert_eq!(ask(&mut fetcher, 25), [(holder, [wanted].to_vec())]);
    }
}

/// Liars that made others ask for their blocks let all questions wait for as long as they may.
#[test]
fn whoever_builds_on_a_missing_block_is_asked_however_many_keep_us_waiting() {
    let mut fetcher = Fetcher::new(peer(0), &Parameters::lan());
    (1..8).for_each(|index| fetcher.connect(peer(index), Instant(0)));
    let wanted = reference(5, 2);
    fetcher.want(wanted, [peer(1), peer(2)], Instant(0));
    for _ in 0..30 {
        let now = fetcher.wanted[&wanted].due.0;
        let [(from, _)] = ask(&mut fetcher, now)[..] else { panic!("one request") };
        fetcher.finish(peer(from), Instant(now), 0);
    }
    let mut now = fetcher.wanted[&wanted].due.0;
    for _ in 0..IN_FLIGHT_MAX {
        let asked = ask(&mut fetcher, now);
        assert_eq!(asked.len(), 1, "{asked:?}");
        now += 100;
    }
    assert_eq!(ask(&mut fetcher, now), [], "that many keep us waiting");
    let in_flight = fetcher.wanted[&wanted].in_flight;
    let mut others = (1..8).map(peer).filter(|other| !in_flight.contains(*other));
    let (holder, busy) = (others.next_back().unwrap(), others.next_back().unwrap());
    fetcher.wanted.get_mut(&wanted).unwrap().hints.retain(|hint| *hint != holder && *hint != busy);
    fetcher.hint(&wanted, holder, Instant(now));
    assert_eq!(ask(&mut fetcher, now), [(holder.0, [wanted].to_vec())]);

    let other = reference(4, 3);
    fetcher.want_behind(other, &[busy], false, Instant(now));
    assert_eq!(ask(&mut fetcher, now), [(busy.0, [other].to_vec())]);
    fetcher.hint(&wanted, busy, Instant(now));
    fetcher.finish(in_flight.iter().next().unwrap(), Instant(now), 0);
    assert_eq!(fetcher.wanted[&wanted].due, Instant(now), "no pause while a holder is busy");
    fetcher.finish(busy, Instant(now + 1), 1);
    assert!(ask(&mut fetcher, now + 1).contains(&(busy.0, [wanted].to_vec())));
}
