//! What authorities decide by vote: each action, each way to be refused, each way to end.

use super::table::{Table, check_in};
use super::world::*;
use crate::execute::{DEADLINES_MAX, Item, execute, execute_knowing, version_of};
use crate::governance::{Action, Admission, AdmittedKind, ENDED_KEPT, ProposalState, Removal};
use crate::id::ProposalId;
use crate::limit::LimitList;
use crate::operation::Operation;
use crate::quantity::CommitIndex;
use crate::query;
use crate::rejection::Code;
use crate::rows::{CurrencyRow, Table as Rows, UpkeepRow, key, limits_key, read};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::String;
use std::vec::Vec;

fn table(authorities: &[&str]) -> Table {
    Table::new(World::of_authorities(authorities))
}

#[test]
fn a_quorum_decides_and_no_less() {
    check_in(
        &mut table(&["a", "b", "c", "d"]),
        "propose p by=a admit=forge           -> ok
         # Who proposes approves.
         proposal p                           -> open, 1 for, 0 against
         open                                 -> p
         approve p by=b                       -> ok
         member forge                         -> nobody
         approve p by=c                       -> ok
         proposal p                           -> passed, 3 for, 0 against
         open                                 ->
         member forge                         -> organisation
         # It works from the transaction that decided on.
         enrol lathe by=forge                 -> ok
         # Two against it, and three can never be for it.
         propose q by=a remove=forge          -> ok
         oppose q by=b                        -> ok
         proposal q                           -> open, 1 for, 1 against
         oppose q by=d                        -> ok
         proposal q                           -> failed, 1 for, 2 against
         approve q by=c                       -> proposal_ended
         member forge                         -> organisation",
    );
}

#[test]
fn a_ballot_can_be_changed_while_the_proposal_is_open() {
    check_in(
        &mut table(&["a", "b", "c", "d"]),
        "propose p by=a admit=forge           -> ok
         oppose p by=b                        -> ok
         oppose p by=b                        -> vote_unchanged
         approve p by=b                       -> ok
         proposal p                           -> open, 2 for, 0 against
         # The proposer changes its mind, too.
         oppose p by=a                        -> ok
         proposal p                           -> open, 1 for, 1 against
         oppose p by=c                        -> ok
         proposal p                           -> failed, 1 for, 2 against",
    );
}

#[test]
fn time_ends_a_proposal_by_itself() {
    let mut table = table(&["a", "b"]);
    check_in(
        &mut table,
        "propose p by=a admit=forge open=61000 -> ok
         propose q by=a admit=smith            -> ok
         open                                  -> p q
         wait ms=57000                         -> 0 executed
         approve p by=b open=1                 -> ok
         propose r by=a remove=forge open=61000 -> ok
         wait ms=60000                         -> 1 executed
         proposal r                            -> expired, 1 for, 0 against
         approve r by=b                        -> proposal_ended
         open                                  -> q
         member forge                          -> organisation",
    );
}

#[test]
fn what_each_action_does() {
    let mut table = table(&["a"]);
    check_in(
        &mut table,
        "propose p by=a admit=tables kind=publisher called=bank -> ok
         member tables                        -> publisher
         publish by=tables                    -> ok
         propose p by=a admit=second kind=auditor -> ok
         member second                        -> auditor
         propose p by=a issuer=USD:rail       -> ok
         issue by=rail to=maker currency=USD amount=7 -> ok
         propose p by=a issuer=USD:bank       -> ok
         issue by=rail to=maker currency=USD  -> not_issuer
         issue by=bank to=maker currency=USD amount=3 -> ok
         propose p by=a limits= product=bracket:1pc:5:refuse -> ok
         propose p by=a materiality=77        -> ok
         propose p by=a operators=rail,bank   -> ok
         # The end comes with the next commit, or later if so decided.
         propose p by=a remove=tables from=-9 -> ok
         member tables                        -> publisher until +1
         publish by=tables version=2          -> revoked_signer
         propose p by=a remove=rail from=5    -> ok
         enrol x by=rail                      -> ok
         propose p by=a remove=rail from=2    -> ok
         member rail                          -> organisation until +2
         issue by=rail                        -> not_issuer
         # Its machines go with it.
         declare y by=x                       -> revoked_signer
         enrol z by=rail                      -> revoked_signer",
    );
    let state = &table.world.state;
    let currency: Option<CurrencyRow> = read(state, &key(Rows::Currency, &[b"USD"])).expect("read");
    let currency = currency.expect("a currency");
    assert_eq!((currency.issuer, currency.issued.get()), (member("bank"), 10));
    let limits: Option<Vec<crate::limit::Limit>> = read(state, &limits_key(None)).expect("read");
    assert_eq!(limits.expect("limits").len(), 1);
    assert_eq!(query::materiality(state).expect("read")[0].value, 77);
    let upkeep: UpkeepRow = query_upkeep(state);
    assert_eq!(upkeep.operators, [member("rail"), member("bank")]);
}

fn query_upkeep(state: &crate::memory::Memory) -> UpkeepRow {
    crate::upkeep::rules(state).expect("read").expect("rules")
}

pub const REFUSALS: &str = "
    propose p by=stranger admit=forge                -> unknown_signer
    propose p by=bank admit=forge                    -> wrong_signer
    propose p by=a admit=forge reason=\"\"           -> field_invalid
    propose p by=a admit=forge reason=long257        -> field_invalid
    propose p by=a admit=forge open=60999            -> open_time_invalid
    propose p by=a admit=forge open=7776001001       -> open_time_invalid
    propose p by=a admit=forge called=\"\"           -> field_invalid
    propose p by=a admit=forge called=long65         -> field_invalid
    propose p by=a admit=bank called=other           -> key_in_use
    propose p by=a admit=forge signing=b             -> key_in_use
    propose p by=a admit=forge bent=name             -> bad_key_proof
    propose p by=a admit=forge bent=kind             -> bad_key_proof
    propose p by=a admit=forge bent=owner            -> bad_key_proof
    propose p by=a admit=forge bent=signing          -> bad_key_proof
    propose p by=a admit=forge bent=weak             -> bad_key_proof
    propose p by=a admit=forge called=bank           -> name_taken
    propose p by=a remove=nobody                     -> unknown_member
    propose p by=a issuer=EUR:nobody                 -> unknown_member
    propose p by=a issuer=EUR:agency                 -> wrong_kind
    propose p by=a issuer=long17:rail                -> field_invalid
    propose p by=a issuer=EUR:bank                   -> action_unchanged
    propose p by=a limits= product=x:0pc:5:flag      -> limit_invalid
    propose p by=a limits= machine=maker:1:5:flag    -> limit_invalid
    propose p by=a limits=                           -> action_unchanged
    propose p by=a materiality=twice                 -> rules_invalid
    propose p by=a materiality=negative              -> rules_invalid
    propose p by=a materiality=2000000000000         -> action_unchanged
    propose p by=a operators= many=1                 -> field_invalid
    propose p by=a operators=maker,maker             -> rules_invalid
    propose p by=a operators=agency                  -> wrong_kind
    propose p by=a operators=maker                   -> action_unchanged
    propose p by=a version=1 from=9                  -> version_invalid
    propose p by=a version=2 from=0                  -> commit_in_past
    enrol   lathe by=maker                           -> ok
    propose p by=a remove=lathe                      -> wrong_kind
    approve p by=a                                   -> unknown_proposal
    propose p by=a admit=forge open=61000            -> ok
    approve p by=bank                                -> wrong_signer
    approve p by=a                                   -> vote_unchanged
    propose q by=a admit=forge                       -> ok
    propose r by=a version=3 from=4                  -> ok
    propose s by=a remove=auditor                    -> ok
    propose t by=a remove=rail                       -> too_many_proposals
    propose t by=b remove=rail                       -> ok
    approve p by=b                                   -> ok
    # What an earlier decision has made impossible.
    approve q by=b                                   -> key_in_use
    approve r by=b                                   -> commit_in_past
    approve p by=b                                   -> proposal_ended
    approve s by=b                                   -> ok
    propose u by=a materiality=5                     -> rules_invalid
    propose u by=a remove=auditor                    -> action_unchanged
    propose u by=a materiality=none                  -> ok
";

/// What is refused with a committee of two.
pub fn refusals() -> BTreeSet<Code> {
    check_in(&mut table(&["a", "b"]), REFUSALS)
}

#[test]
fn a_vote_after_the_time_is_over_comes_too_late_whether_it_was_worked_off_or_not() {
    let names: Vec<String> = (0..=DEADLINES_MAX).map(|index| format!("n{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut table = table(&names);
    // One more than a commit works off; ends one after another.
    for (index, name) in names.iter().enumerate() {
        check_in(&mut table, &format!("propose p{index} by={name} admit=forge -> ok"));
    }
    table.world.time += 2 * HOUR;
    let last = names.len() - 1;
    check_in(&mut table, &format!("approve p{last} by=n0 -> proposal_ended"));
    check_in(&mut table, &format!("proposal p{last} -> open, 1 for, 0 against"));
    check_in(&mut table, "proposal p0 -> expired, 1 for, 0 against\n wait -> 1 executed");
    check_in(&mut table, "open ->");
}

#[test]
fn a_new_committee_judges_what_is_open() {
    check_in(
        &mut table(&["a", "b", "c", "d", "e"]),
        "propose passes by=a admit=forge      -> ok
         approve passes by=b                  -> ok
         approve passes by=c                  -> ok
         propose leaves by=e admit=smith      -> ok
         propose fails by=a admit=miller      -> ok
         oppose fails by=d                    -> ok
         propose stays by=a admit=cooper      -> ok
         approve stays by=e                   -> ok
         open                                 -> passes leaves fails stays
         vote by=a remove=e                   -> ok
         vote by=b remove=e                   -> ok
         vote by=c remove=e                   -> ok
         vote by=d remove=e                   -> ok
         committee                            -> a b c d in epoch 1
         # Three of four are enough, of five they were not.
         proposal passes                      -> passed, 3 for, 0 against
         member forge                         -> organisation
         proposal leaves                      -> failed, 1 for, 0 against
         # Two of four must be against it.
         proposal fails                       -> open, 1 for, 1 against
         # The vote of e is on record and counts no more.
         proposal stays                       -> open, 2 for, 0 against
         approve stays by=b                   -> ok
         proposal stays                       -> open, 3 for, 0 against
         approve stays by=d                   -> ok
         proposal stays                       -> passed, 4 for, 0 against
         approve fails by=e                   -> unknown_signer",
    );
}

#[test]
fn what_a_new_committee_wants_and_cannot_have_stays_open() {
    check_in(
        &mut table(&["a", "b", "c", "d", "e"]),
        "propose p by=a version=2 from=8      -> ok
         approve p by=b                       -> ok
         approve p by=c                       -> ok
         wait                                 -> 0 executed
         vote by=a remove=e                   -> ok
         vote by=b remove=e                   -> ok
         vote by=c remove=e                   -> ok
         wait                                 -> 0 executed
         vote by=d remove=e                   -> ok
         proposal p                           -> open, 3 for, 0 against
         wait ms=3600000                      -> 1 executed
         proposal p                           -> expired, 3 for, 0 against",
    );
}

#[test]
fn nothing_is_proposed_or_voted_after_the_vote_that_closes_the_epoch() {
    let mut world = World::of_authorities(&["a", "b"]);
    let table = Table::new(world.clone());
    let asked = ["vote remove=b", "vote remove=b", "propose p admit=forge", "approve p"];
    let operations = asked.map(|line| table.asked(line));
    let items = ["a", "b", "a", "a"].into_iter().zip(operations);
    let items = items.map(|(by, one)| Item::Transaction(world.sign(&keypair(by), std::vec![one])));
    let items: Vec<_> = items.collect();
    let effects = world.commit(items);
    let results = effects.executed.iter().map(|one| one.result.map_err(|no| no.code));
    let closed = Err(Code::EpochClosed);
    assert_eq!(results.collect::<Vec<_>>(), [Ok(()), Ok(()), closed, closed]);
}

#[test]
fn records_of_what_has_ended_are_bounded() {
    let mut table = table(&["a"]);
    for round in 0..ENDED_KEPT + 3 {
        let limit = 1 + round % 2;
        check_in(
            &mut table,
            &format!("propose p{round} by=a limits= product=x:1pc:{limit}:flag -> ok"),
        );
    }
    check_in(&mut table, "proposal p2 -> nothing\n proposal p3 -> passed, 1 for, 0 against");
    let count = |rows: Rows| {
        let rows = crate::rows::Read::scan(&table.world.state, &[rows as u8], &[], usize::MAX);
        rows.expect("scan").len() as u64
    };
    assert_eq!(count(Rows::Proposal), ENDED_KEPT);
    assert_eq!(count(Rows::ProposalEnded), ENDED_KEPT);
    assert_eq!(count(Rows::ProposalDeadline) + count(Rows::ProposalBy), 0);
    let ended = query::ended_proposals(&table.world.state, None, 2).expect("ended");
    let newest = ENDED_KEPT + 2;
    let expected =
        [newest, newest - 1].map(|number| (number, table.proposals[&format!("p{number}")]));
    assert_eq!(ended, expected);
}

#[test]
fn a_version_begins_with_its_commit_and_who_does_not_know_it_stops_before() {
    let mut table = table(&["a"]);
    check_in(&mut table, "propose p by=a version=2 from=3 -> ok");
    let world = &mut table.world;
    let from = world.commit + 3;
    assert_eq!(version_of(&world.state, CommitIndex::new(from - 1)), Ok(1));
    assert_eq!(version_of(&world.state, CommitIndex::new(from)), Ok(2));
    for _ in world.commit..from - 1 {
        let effects = execute(&world.next(Vec::new()), &world.state).expect("still the old one");
        world.state.apply(&effects.writes);
        world.commit += 1;
    }
    let ledger = query::ledger(&world.state).expect("ledger");
    assert_eq!((ledger.version, ledger.commit.get()), (1, from - 1));
    let next = world.next(Vec::new());
    assert!(execute(&next, &world.state).is_err());
    // The same state, and software that knows it.
    let effects = execute_knowing(&next, &world.state, 2).expect("the new one");
    world.state.apply(&effects.writes);
    assert_eq!(query::ledger(&world.state).expect("ledger").version, 2);
}

// The rules once more, without the code that they are written for.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Admit(usize),
    Remove(usize),
    Cap(u64),
}

struct Asked {
    by: &'static str,
    wish: Wish,
    until: u64,
    votes: BTreeMap<&'static str, bool>,
    state: ProposalState,
}

/// Who is what: never admitted, a member, or removed (with the next commit).
struct Model {
    committee: BTreeSet<&'static str>,
    asked: Vec<Asked>,
    admitted: BTreeMap<usize, bool>,
    cap: Option<u64>,
}

const FIRMS: [&str; 3] = ["forge", "smith", "cooper"];
const AUTHORITIES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Model {
    fn possible(&self, wish: Wish) -> bool {
        match wish {
            Wish::Admit(firm) => !self.admitted.contains_key(&firm),
            Wish::Remove(firm) => self.admitted.get(&firm) == Some(&true),
            Wish::Cap(cap) => self.cap != Some(cap),
        }
    }

    fn happen(&mut self, wish: Wish) {
        match wish {
            Wish::Admit(firm) => _ = self.admitted.insert(firm, true),
            Wish::Remove(firm) => _ = self.admitted.insert(firm, false),
            Wish::Cap(cap) => self.cap = Some(cap),
        }
    }

    /// More than two thirds are for it; or a third and more against it, so that they never will be.
    fn judge(&mut self, which: usize) {
        let (one, all) = (&self.asked[which], self.committee.len());
        let votes = |wanted: bool| {
            let votes = one
                .votes
                .iter()
                .filter(|(by, vote)| **vote == wanted && self.committee.contains(**by));
            votes.count()
        };
        let (for_it, against) = (votes(true), votes(false));
        if 3 * (all - for_it) < all {
            let wish = one.wish;
            if self.possible(wish) {
                self.asked[which].state = ProposalState::Passed;
                self.happen(wish);
            }
        } else if 3 * against >= all {
            self.asked[which].state = ProposalState::Failed;
        }
    }

    fn expire(&mut self, now: u64) {
        for one in &mut self.asked {
            if one.state == ProposalState::Open && one.until <= now {
                one.state = ProposalState::Expired;
            }
        }
    }

    fn propose(&mut self, by: &'static str, wish: Wish, now: u64, until: u64) -> bool {
        let open = self.asked.iter().filter(|one| one.by == by);
        let open = open.filter(|one| one.state == ProposalState::Open).count();
        let timely = until >= now + 60_000;
        if !self.committee.contains(by) || open >= 4 || !timely || !self.possible(wish) {
            return false;
        }
        let votes = BTreeMap::from([(by, true)]);
        self.asked.push(Asked { by, wish, until, votes, state: ProposalState::Open });
        self.judge(self.asked.len() - 1);
        true
    }

    fn vote(&mut self, by: &'static str, which: usize, approve: bool) -> bool {
        let possible = self.possible(self.asked[which].wish);
        let one = &mut self.asked[which];
        let open = one.state == ProposalState::Open;
        let stands = one.votes.get(by) == Some(&approve);
        if !self.committee.contains(by) || !open || stands || (approve && !possible) {
            return false;
        }
        one.votes.insert(by, approve);
        self.judge(which);
        true
    }

    /// Those with the earliest ends come first.
    fn change_committee(&mut self, committee: BTreeSet<&'static str>) {
        self.committee = committee;
        let mut open: Vec<usize> = (0..self.asked.len())
            .filter(|which| self.asked[*which].state == ProposalState::Open)
            .collect();
        open.sort_by_key(|which| self.asked[*which].until);
        for which in open {
            self.judge(which);
            let one = &mut self.asked[which];
            let wanted =
                one.votes.iter().filter(|(by, vote)| **vote && self.committee.contains(*by));
            let passing = 3 * (self.committee.len() - wanted.count()) < self.committee.len();
            let left = !self.committee.contains(one.by);
            if one.state == ProposalState::Open && left && !passing {
                one.state = ProposalState::Failed;
            }
        }
    }
}

/// What somebody tries.
type Attempt = (u8, usize, usize, u64);

struct Played {
    table: Table,
    model: Model,
    ids: Vec<ProposalId>,
}

impl Played {
    fn begin(authorities: usize) -> Self {
        let names = &AUTHORITIES[..authorities];
        let committee = names.iter().copied().collect();
        let (asked, admitted) = (Vec::new(), BTreeMap::new());
        let model = Model { committee, asked, admitted, cap: None };
        Self { table: Table::new(World::of_authorities(names)), model, ids: Vec::new() }
    }

    fn submit(&mut self, by: &str, operation: Operation) -> bool {
        let transaction = self.table.world.sign(&keypair(by), std::vec![operation]);
        let id = transaction.id();
        let effects = self.table.world.commit(std::vec![Item::Transaction(transaction)]);
        let done = effects.executed.iter().find(|one| one.id == id).expect("executed");
        if done.result.is_ok() {
            self.ids.push(ProposalId::of(id, 0));
        }
        done.result.is_ok()
    }

    fn line(&mut self, by: &str, line: &str) -> bool {
        let operation = self.table.asked(line);
        self.submit(by, operation)
    }

    fn go(&mut self, (verb, who, what, number): Attempt) {
        let by = AUTHORITIES[who % AUTHORITIES.len()];
        // The commit is a step later than now.
        let now = self.table.world.time + STEP;
        match verb % 8 {
            0..=2 => {
                let wish = match number % 3 {
                    0 => Wish::Admit(what % 3),
                    1 => Wish::Remove(what % 3),
                    _ => Wish::Cap(number % 2),
                };
                let until = now + 59_000 + (number % 40) * 1000;
                self.model.expire(now);
                let taken = self.model.propose(by, wish, now, until);
                let open = until - self.table.world.time;
                let words = match wish {
                    Wish::Admit(firm) => format!("admit={}", FIRMS[firm]),
                    Wish::Remove(firm) => format!("remove={} from=-1", FIRMS[firm]),
                    Wish::Cap(cap) => format!("limits= product=x:1pc:{cap}:flag"),
                };
                let line = format!("propose p {words} open={open}");
                assert_eq!(self.line(by, &line), taken, "{line} by {by}");
            }
            3..=5 if !self.ids.is_empty() => {
                // One of the latest, so that some are decided.
                let which = self.ids.len() - 1 - what % self.ids.len().min(4);
                let approve = number % 4 > 0;
                self.model.expire(now);
                let taken = self.model.vote(by, which, approve);
                let vote = crate::governance::ProposalVote { proposal: self.ids[which], approve };
                let before = self.ids.len();
                assert_eq!(self.submit(by, Operation::VoteProposal(vote)), taken);
                self.ids.truncate(before);
            }
            6 => {
                let milliseconds = number % 30_000 + STEP;
                self.table.world.wait(milliseconds);
                self.model.expire(self.table.world.time);
            }
            _ => self.change_committee(by),
        }
        self.compare();
    }

    /// All of the committee vote somebody in or out, in one commit.
    fn change_committee(&mut self, whom: &'static str) {
        let mut next = self.model.committee.clone();
        let word = if next.insert(whom) { "add" } else { "remove" };
        if word == "remove" {
            next.remove(whom);
        }
        if next.is_empty() {
            return;
        }
        let operation = self.table.asked(&format!("vote {word}={whom}"));
        let voters = self.model.committee.clone();
        let world = &mut self.table.world;
        let items = voters
            .iter()
            .map(|by| Item::Transaction(world.sign(&keypair(by), std::vec![operation.clone()])));
        let items: Vec<_> = items.collect();
        self.model.expire(world.time + STEP);
        let effects = world.commit(items);
        assert!(effects.next_committee.is_some());
        self.model.change_committee(next);
    }

    fn compare(&self) {
        let state = &self.table.world.state;
        for (id, one) in self.ids.iter().zip(&self.model.asked) {
            let row = query::proposal(state, *id).expect("read").expect("a proposal");
            assert_eq!(row.state, one.state);
            let votes: BTreeMap<_, _> =
                row.ballots.iter().map(|ballot| (ballot.voter, ballot.approve)).collect();
            let expected: BTreeMap<_, _> =
                one.votes.iter().map(|(by, vote)| (keypair(by).public(), *vote)).collect();
            assert_eq!(votes, expected);
        }
        let open: BTreeSet<_> =
            query::open_proposals(state, 999).expect("open").into_iter().collect();
        let expected = self.ids.iter().zip(&self.model.asked);
        let expected = expected.filter(|(_, one)| one.state == ProposalState::Open);
        assert_eq!(open, expected.map(|(id, _)| *id).collect());
        for (firm, name) in FIRMS.iter().enumerate() {
            let row = query::member(state, member(name)).expect("read");
            let stands = row.map(|row| row.revoked_from.is_none());
            assert_eq!(stands, self.model.admitted.get(&firm).copied());
        }
        let limits: Option<Vec<crate::limit::Limit>> =
            read(state, &limits_key(None)).expect("read");
        let cap = limits.unwrap_or_default().first().map(|limit| limit.cap);
        assert_eq!(cap, self.model.cap.map(i128::from));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn governance_is_what_the_model_says(
        authorities in 1..6_usize,
        attempts in prop::collection::vec((any::<u8>(), 0..6_usize, 0..12_usize, any::<u64>()), 1..120),
    ) {
        let mut played = Played::begin(authorities);
        for attempt in attempts {
            played.go(attempt);
        }
    }
}

/// What the formats document shows; and that an admission cannot be taken for another.
#[test]
fn an_admission_is_for_its_network_name_and_kind() {
    let world = World::empty();
    let (owner, signing) = (owner_of("forge"), keypair("forge"));
    let kind = AdmittedKind::Organisation;
    let admission = Admission::new(world.network, kind, "forge".into(), &owner, &signing);
    assert!(admission.verify(world.network).is_ok());
    assert!(admission.verify(crate::id::NetworkId::new([7; 32])).is_err());
    assert_eq!(admission.member(), member("forge"));
}

/// Every action, as it stands in a transaction.
#[test]
fn the_actions_have_their_numbers() {
    let table = table(&["a"]);
    let lines = [
        "propose p admit=forge",
        "propose p remove=rail",
        "propose p issuer=EUR:rail",
        "propose p limits=",
        "propose p materiality=none",
        "propose p operators=",
        "propose p version=2",
    ];
    let numbers = lines.map(|line| crate::codec::encode(&table.asked(line))[1]);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    let Operation::Propose(proposal) = table.asked(lines[1]) else { panic!("a proposal") };
    let removal = Removal { member: member("rail"), from: CommitIndex::new(1) };
    assert_eq!(proposal.action, Action::Remove(removal));
    let Operation::Propose(proposal) = table.asked(lines[3]) else { panic!("a proposal") };
    assert_eq!(proposal.action, Action::SetLimits(LimitList { limits: Vec::new() }));
}
