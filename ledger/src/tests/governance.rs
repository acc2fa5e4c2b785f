//! The change of committee: what a vote does, each way to be refused, and the one invariant.

use super::table::{Table, check_in};
use super::world::*;
use crate::committee::{AUTHORITIES_MAX, CommitteeChange, CommitteeVote, quorum};
use crate::execute::{Effects, Item, execute};
use crate::keys::PublicKey;
use crate::operation::Operation;
use crate::quantity::{CommitIndex, Epoch};
use crate::query;
use crate::rejection::Code;
use crate::rows::{Table as Rows, VoteRow};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

fn table(authorities: &[&str]) -> Table {
    Table::new(World::of_authorities(authorities))
}

#[test]
fn a_quorum_adds_removes_and_replaces() {
    check_in(
        &mut table(&["a", "b", "c", "d"]),
        "vote by=a add=e                  -> ok
         vote by=b add=e                  -> ok
         committee                        -> a b c d in epoch 0
         proposals                        -> add e by a b
         vote by=c add=e                  -> ok
         committee                        -> a b c d e in epoch 1
         proposals                        ->
         # Of five, four must agree, and the new one counts.
         vote by=e remove=a               -> ok
         vote by=a remove=a               -> ok
         vote by=b remove=a               -> ok
         committee                        -> a b c d e in epoch 1
         vote by=c remove=a               -> ok
         committee                        -> b c d e in epoch 2
         vote by=a add=f                  -> unknown_signer
         vote by=b replace=c:f            -> ok
         vote by=c replace=c:f            -> ok
         vote by=d replace=c:f            -> ok
         # In its place: the order of the others stays.
         committee                        -> b f d e in epoch 3",
    );
}

#[test]
fn a_vote_can_be_changed_and_withdrawn() {
    check_in(
        &mut table(&["a", "b", "c", "d"]),
        "vote by=a add=e                  -> ok
         vote by=b add=e                  -> ok
         vote by=a remove=d               -> ok
         proposals                        -> remove d by a, add e by b
         vote by=c add=e                  -> ok
         vote by=d add=f                  -> ok
         vote by=c                        -> ok
         vote by=c                        -> vote_unchanged
         proposals                        -> remove d by a, add e by b, add f by d
         vote by=b add=e                  -> vote_unchanged
         # Another address is another change.
         vote by=c add=e at=/dns4/else    -> ok
         vote by=d add=e                  -> ok
         committee                        -> a b c d in epoch 0
         vote by=c add=e                  -> ok
         committee                        -> a b c d e in epoch 1",
    );
}

#[test]
fn an_authority_takes_another_address_or_name() {
    let mut table = table(&["a"]);
    check_in(
        &mut table,
        "vote by=a replace=a:a called=alpha at=/dns4/x,/dns4/y -> ok
         committee                                             -> alpha in epoch 1",
    );
    let row = query::committee(&table.world.state).expect("committee");
    assert_eq!(row.authorities[0].addresses, ["/dns4/x", "/dns4/y"]);
    assert_eq!(row.decided_in, CommitIndex::new(table.world.commit));
}

pub const REFUSALS: &str = "
    vote    by=stranger add=e                        -> unknown_signer
    vote    by=bank add=e                            -> wrong_signer
    issue   by=a                                     -> wrong_signer
    vote    by=a add=e epoch=1                       -> wrong_epoch
    vote    by=a add=e called=\"\"                   -> field_invalid
    vote    by=a add=e called=long65                 -> field_invalid
    vote    by=a add=e at=none                       -> field_invalid
    vote    by=a add=e at=\"\"                       -> field_invalid
    vote    by=a add=e at=long257                    -> field_invalid
    vote    by=a add=e at=1,2,3,4,5,6,7,8,9          -> field_invalid
    vote    by=a replace=b:e at=none                 -> field_invalid
    vote    by=a add=bank                            -> key_in_use
    vote    by=a add=b called=x                      -> key_in_use
    vote    by=a replace=a:b called=x                -> key_in_use
    vote    by=a add=e proven_for=other              -> bad_key_proof
    vote    by=a add=e bent=name                     -> bad_key_proof
    vote    by=a add=e bent=addresses                -> bad_key_proof
    vote    by=a add=e bent=weak                     -> bad_key_proof
    vote    by=a add=e called=b                      -> name_in_use
    vote    by=a replace=a:e called=b                -> name_in_use
    vote    by=a remove=e                            -> unknown_authority
    vote    by=a replace=e:f                         -> unknown_authority
    vote    by=a                                     -> vote_unchanged
    # Nobody else enrols the key of an authority.
    enrol   x by=maker owner_key=none                -> bad_key_proof
    rotate  maker by=maker key=owner new=b           -> key_in_use
    vote    by=a add=e                               -> ok
    vote    by=a add=e                               -> vote_unchanged
    # A key that was free when the first one voted.
    rotate  maker by=maker key=owner new=e           -> ok
    vote    by=b add=e                               -> key_in_use
    vote    by=b remove=a                            -> ok
    vote    by=a remove=a                            -> ok
    committee                                        -> b in epoch 1
    vote    by=b remove=b                            -> committee_size
    vote    by=b add=f epoch=0                       -> wrong_epoch
    vote    by=b add=f                               -> ok
    committee                                        -> b f in epoch 2
    # Who was an authority may become a member.
    rotate  rail by=rail key=owner new=a             -> ok
";

/// What is refused with a committee of two.
pub fn refusals() -> BTreeSet<Code> {
    let mut seen = check_in(&mut table(&["a", "b"]), REFUSALS);
    seen.extend(a_second_decision());
    seen
}

fn vote(world: &mut World, by: &str, epoch: u64, change: CommitteeChange) -> Item {
    let vote = CommitteeVote { epoch: Epoch::new(epoch), change: Some(change) };
    Item::Transaction(world.sign(&keypair(by), std::vec![Operation::VoteCommittee(vote)]))
}

fn remove(name: &str) -> CommitteeChange {
    CommitteeChange::Remove(keypair(name).public())
}

fn results(effects: &Effects) -> Vec<Result<(), &'static str>> {
    let name =
        |result: Result<(), crate::rejection::Rejection>| result.map_err(|no| no.code.name());
    effects.executed.iter().map(|executed| name(executed.result)).collect()
}

/// The rest of the commit in which the committee changed.
fn a_second_decision() -> BTreeSet<Code> {
    let mut world = World::of_authorities(&["a", "b", "c"]);
    let votes = [("a", 0, "c"), ("b", 0, "c"), ("c", 0, "c"), ("a", 0, "b"), ("a", 1, "b")];
    let mut items: Vec<_> = votes
        .into_iter()
        .map(|(by, epoch, whom)| vote(&mut world, by, epoch, remove(whom)))
        .collect();
    let issue = Table::new(world.clone()).asked("issue amount=5");
    items.push(Item::Transaction(world.sign(&keypair("bank"), std::vec![issue])));
    let effects = world.commit(items);
    let expected = [Ok(()), Ok(()), Ok(()), Err("epoch_closed"), Err("wrong_epoch"), Ok(())];
    assert_eq!(results(&effects), expected);
    let next = effects.next_committee.expect("decided");
    assert_eq!((next.epoch, next.decided_in), (Epoch::new(1), effects.commit));
    assert_eq!(query::committee(&world.state), Ok(next));
    let refused = effects.executed.iter().filter_map(|executed| executed.result.err());
    refused.map(|rejection| rejection.code).collect()
}

#[test]
fn what_follows_in_the_commit_that_closes_the_epoch() {
    assert_eq!(a_second_decision(), BTreeSet::from([Code::WrongEpoch, Code::EpochClosed]));
}

/// A key that joins is an authority's from that moment on, not from the next commit.
#[test]
fn nobody_enrols_a_key_that_has_just_joined() {
    let mut world = World::of_authorities(&["a"]);
    let table = Table::new(world.clone());
    let asked = ["vote by=a add=e", "rotate maker new=e"].map(|line| table.asked(line));
    let [join, rotate] = asked;
    let items = [(keypair("a"), join), (owner_of("maker"), rotate)]
        .map(|(key, operation)| Item::Transaction(world.sign(&key, std::vec![operation])));
    let effects = world.commit(items.to_vec());
    assert_eq!(results(&effects), [Ok(()), Err("key_in_use")]);
}

/// All operations of a transaction apply, or none does: not even the vote that would have decided.
#[test]
fn a_refused_transaction_decides_nothing() {
    let mut world = World::of_authorities(&["a"]);
    let table = Table::new(world.clone());
    let operations = ["vote by=a add=e", "vote by=a add=f"].map(|line| table.asked(line)).to_vec();
    let transaction = world.sign(&keypair("a"), operations);
    let effects = world.commit(std::vec![Item::Transaction(transaction)]);
    assert_eq!(results(&effects), [Err("epoch_closed")]);
    assert_eq!(effects.next_committee, None);
    assert_eq!(query::committee(&world.state).expect("committee").epoch, Epoch::ZERO);
}

#[test]
fn a_committee_grows_to_its_limit_and_not_beyond() {
    let names: Vec<String> = (0..AUTHORITIES_MAX).map(|index| format!("n{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    check_in(&mut table(&names), "vote by=n5 add=e -> committee_size");
    let mut smaller = table(&names[1..]);
    for index in 1..=quorum(AUTHORITIES_MAX - 1) {
        check_in(&mut smaller, &format!("vote by=n{index} add=e -> ok"));
    }
    let row = query::committee(&smaller.world.state).expect("committee");
    assert_eq!((row.authorities.len(), row.epoch), (AUTHORITIES_MAX, Epoch::new(1)));
}

#[test]
fn a_quorum_is_more_than_two_thirds_and_never_a_literal() {
    let quorums: Vec<usize> = (0..=10).map(quorum).collect();
    assert_eq!(quorums, [0, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7]);
    for n in 1..=AUTHORITIES_MAX {
        let faulty = (n - 1) / 3;
        assert!(2 * quorum(n) > n + faulty, "two quorums of {n} share an honest one");
        assert!(quorum(n) <= n - faulty, "{n} need not wait for the faulty");
    }
}

/// What the ledger keeps of a decision: enough to tell who made it.
#[test]
fn the_votes_of_a_past_epoch_stay() {
    let mut table = table(&["a", "b"]);
    check_in(&mut table, "vote by=a remove=b -> ok\n vote by=b remove=b -> ok");
    let first = query::committee_of(&table.world.state, Epoch::ZERO).expect("read").expect("row");
    let proposals = query::proposals(&table.world.state, &first).expect("proposals");
    assert_eq!(proposals.len(), 1);
    let voters = ["a", "b"].map(|name| keypair(name).public());
    assert_eq!((&proposals[0].change, &proposals[0].votes[..]), (&remove("b"), &voters[..]));
    // The transaction that decides changes two rows and no more: light clients carry them.
    let writes = &table.effects.expect("effects").executed[0].writes;
    let tables: Vec<u8> = writes.iter().map(|write| write.key[0]).collect();
    assert_eq!(tables, [Rows::Committee as u8, Rows::CommitteeVote as u8]);
    let votes: BTreeMap<_, VoteRow> = rows(writes, Rows::CommitteeVote);
    assert_eq!(votes.into_values().map(|row| row.change).collect::<Vec<_>>(), [remove("b")]);
}

/// The rule restated without the code that it judges.
#[derive(Default)]
struct Oracle {
    epoch: u64,
    members: BTreeSet<&'static str>,
    votes: BTreeMap<&'static str, (bool, &'static str)>,
}

impl Oracle {
    /// Whether a vote (add or remove somebody, by name) is taken.
    fn vote(&mut self, by: &'static str, epoch: u64, add: bool, whom: &'static str) -> bool {
        let sensible = self.members.contains(whom) != add && (add || self.members.len() > 1);
        let known = self.members.contains(by) && epoch == self.epoch;
        if !known || !sensible || self.votes.get(by) == Some(&(add, whom)) {
            return false;
        }
        self.votes.insert(by, (add, whom));
        let agree = self.votes.values().filter(|vote| **vote == (add, whom)).count();
        // More than two thirds, so that what remains is less than one.
        if 3 * (self.members.len() - agree) < self.members.len() {
            if add {
                self.members.insert(whom);
            } else {
                self.members.remove(whom);
            }
            self.votes.clear();
            self.epoch += 1;
        }
        true
    }
}

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The committee changes if and only if a quorum of its own has voted the same in this epoch.
    #[test]
    fn the_committee_changes_when_a_quorum_wants_it_and_only_then(
        begin in 1..6_usize,
        tries in prop::collection::vec((0..8_usize, 0..8_usize, any::<bool>(), 0..12_u64), 1..80),
    ) {
        let mut world = World::of_authorities(&NAMES[..begin]);
        let members = NAMES[..begin].iter().copied().collect();
        let mut oracle = Oracle { members, ..Oracle::default() };
        for (by, whom, add, late) in tries {
            // Few of the candidates, so that some agree; now and then the epoch before.
            let (by, whom) = (NAMES[by], NAMES[if late % 3 > 0 { whom / 4 } else { whom }]);
            let epoch = oracle.epoch.saturating_sub(u64::from(late == 0));
            let verb = if add { "add" } else { "remove" };
            let line = format!("vote {verb}={whom} epoch={epoch}");
            let operation = Table::new(world.clone()).asked(&line);
            let before = oracle.epoch;
            let taken = oracle.vote(by, epoch, add, whom);
            let item = Item::Transaction(world.sign(&keypair(by), std::vec![operation]));
            let again = execute(&world.next(std::vec![item.clone()]), &world.state);
            let effects = world.commit(std::vec![item]);
            prop_assert_eq!(again.as_ref(), Ok(&effects));
            prop_assert_eq!(effects.executed[0].result.is_ok(), taken, "{} by {}", line, by);
            prop_assert_eq!(effects.next_committee.is_some(), oracle.epoch > before);
            let row = query::committee(&world.state).expect("committee");
            prop_assert_eq!(row.epoch.get(), oracle.epoch);
            let names: BTreeSet<String> = row.authorities.iter().map(|one| one.name.clone()).collect();
            prop_assert_eq!(names, oracle.members.iter().map(|name| name.to_string()).collect());
            let keys: BTreeSet<PublicKey> = row.authorities.iter().map(|one| one.key).collect();
            prop_assert_eq!(keys.len(), row.authorities.len());
        }
    }
}
