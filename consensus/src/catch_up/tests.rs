//! Whom a node asks for certified commits.

use alloc::vec::Vec;

use super::*;
use crate::{recovery::Base, testing::committee};

#[test]
fn who_claims_what_it_cannot_show_is_not_asked_for_ever() {
    let committee = committee(4);
    let mut catch_up = CatchUp::new(&committee, &Parameters::lan(), Instant(0));
    let head = &Head::start(&committee, Base::default());
    let peers: AuthoritySet = [1, 2, 3].map(AuthorityIndex).into_iter().collect();
    catch_up.claim(AuthorityIndex(2), u64::MAX);
    let mut asked = Vec::new();
    let mut now = Instant(0);
    for _ in 0..4 {
        now = catch_up.due_at(head, Purpose::Follow, peers).unwrap();
        let (peer, after) = catch_up.poll(now, head, Purpose::Follow, peers).unwrap();
        assert_eq!(after, 0);
        asked.push(peer.0);
        catch_up.failed(peer, now, peers);
    }
    assert_eq!(asked, [2, 3, 1, 2], "the claim goes first, then everybody in turn");
    assert!(now > Instant(0), "with pauses once all were asked");
}

#[test]
fn looking_for_what_does_not_come_does_not_put_off_the_question() {
    // A heartbeat can be shorter than the time after which a node asks that is a little behind.
    let committee = committee(4);
    let parameters = Parameters { delta_ms: 600, heartbeat_ms: 9_000, ..Parameters::lan() };
    let mut catch_up = CatchUp::new(&committee, &parameters, Instant(0));
    let head = &Head::start(&committee, Base::default());
    let peers: AuthoritySet = [1, 2, 3].map(AuthorityIndex).into_iter().collect();
    catch_up.claim(AuthorityIndex(2), 7);
    let due = catch_up.due_at(head, Purpose::Behind, peers).unwrap();
    let dag = Dag::new(committee);
    for now in (0..=due.0).step_by(1_000).map(Instant) {
        assert!(catch_up.give_up(now, &dag).is_empty());
    }
    assert_eq!(catch_up.due_at(head, Purpose::Behind, peers), Some(due));
    assert_eq!(catch_up.poll(due, head, Purpose::Behind, peers), Some((AuthorityIndex(2), 0)));
}
