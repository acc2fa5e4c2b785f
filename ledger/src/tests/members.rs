//! Members beyond their enrolment: descriptions, the directory, keys after their time.

use super::table::{Table, check, check_in};
use super::world::*;
use crate::query::{self, MemberFilter};
use crate::rejection::Code;
use crate::rows::Table as Rows;
use std::collections::BTreeSet;
use std::format;

#[test]
fn buyers_find_machines_by_what_they_offer() {
    check(
        "describe printer by=maker services=print,sinter processes=sls watts=5000 at=Hall zone=DE -> ok
         describe mill by=mill key=owner services=mill,print                    -> ok
         describe press by=rail key=owner services=press                        -> ok
         find service=print                                                     -> mill printer
         find service=print of=rail                                             ->
         find service=sinter                                                    -> printer
         find service=sint                                                      ->
         # Another description takes the place of the first, in the directory, too.
         describe printer by=maker services=mill                                -> ok
         find service=print                                                     -> mill
         find service=mill                                                      -> mill printer
         # Whoever has left is not found.
         revoke mill by=maker from=1                                            -> ok
         find service=mill                                                      -> mill printer
         wait                                                                   -> 0 executed
         find service=mill                                                      -> printer
         # A meter stands somewhere, too.
         describe meter by=maker at=Hall zone=DE                                -> ok",
    );
}

#[test]
fn the_directory_is_searched_by_organisation_kind_and_name() {
    check(
        "enrol pr by=maker                          -> ok
         enrol pristine by=rail                     -> ok
         find of=maker                              -> maker meter mill pr printer
         find of=maker kind=machine                 -> mill pr printer
         find kind=organisation                     -> bank maker rail
         find kind=machine called=pr                -> pr press printer pristine
         find called=pr                             -> pr press printer pristine
         find called=pr of=rail                     -> press pristine
         find called=printer                        -> printer
         find called=nobody                         ->
         find kind=meter                            -> gauge meter",
    );
}

pub const KEYS: &str = "
    describe printer by=press services=x                 -> not_in_organisation
    describe printer by=rail services=x                  -> not_in_organisation
    # The signing key of the machine works; what it is, is said with its owner key.
    describe printer by=printer services=x               -> not_in_organisation
    describe nobody by=maker                             -> unknown_member
    describe maker by=maker                              -> wrong_kind
    describe meter by=maker services=x                   -> wrong_kind
    describe printer by=maker services=b,a               -> field_invalid
    describe printer by=maker services=a,a               -> field_invalid
    describe printer by=maker services=long65            -> field_invalid
    describe printer by=maker processes=long65           -> field_invalid
    describe printer by=maker many=1                     -> field_invalid
    describe printer by=maker at=long129                 -> field_invalid
    describe printer by=maker zone=long65                -> field_invalid

    rotate   printer by=maker key=owner until=50 new=p2  -> ok
    rotate   printer by=maker key=owner until=40 new=p3  -> ok
    # The first one would work for long, though two came after it.
    declare  a by=printer                                -> ok
    endkey   printer by=maker from=0                     -> wrong_signer
    endkey   printer by=rail key=owner from=0            -> not_in_organisation
    endkey   nobody by=maker key=owner                   -> key_not_replaced
    endkey   p3 by=maker key=owner                       -> key_not_replaced
    endkey   printer by=maker key=owner from=-1          -> commit_in_past
    endkey   printer by=maker key=owner from=99          -> action_unchanged
    endkey   printer by=printer key=owner from=1         -> ok
    declare  b by=printer                                -> revoked_signer
    declare  b key=p2                                    -> ok

    ownerkey printer by=maker new=po                     -> wrong_signer
    ownerkey nobody by=maker key=owner                   -> unknown_member
    ownerkey printer by=rail key=owner                   -> not_in_organisation
    ownerkey printer by=maker key=owner new=mill         -> key_in_use
    ownerkey printer by=maker key=owner proven_for=mill  -> bad_key_proof
    ownerkey printer by=maker key=owner new=po           -> ok
    # The old one changes nothing any more, and is nobody else's.
    rotate   printer by=printer key=owner new=p4         -> revoked_signer
    ownerkey mill by=mill key=owner new=mo               -> ok
    rotate   printer key=po new=p4                       -> ok
    declare  c key=p4                                    -> ok
    ownerkey printer key=po new=po2                      -> ok
    ownerkey printer key=po new=po3                      -> revoked_signer

    takeover by=printer key=p4 of=printer lots=a         -> wrong_signer
    takeover by=maker of=printer lots=                   -> field_invalid
    takeover by=maker of=printer many=1                  -> field_invalid
    takeover by=maker of=nobody lots=a                   -> unknown_member
    takeover by=rail of=printer lots=a                   -> not_in_organisation
    takeover by=maker of=meter lots=a                    -> wrong_kind
    takeover by=maker of=printer lots=a                  -> not_revoked
    place    o key=p4 to=press gives=a:1g as=given       -> ok
    revoke   printer by=maker from=0                     -> ok
    takeover by=maker of=printer lots=none               -> unknown_lot
    takeover by=maker of=printer lots=a,b,a              -> lot_twice
    takeover by=maker of=printer lots=given              -> lot_held
    takeover by=maker of=printer lots=a,b                -> ok
    takeover by=maker of=printer lots=a                  -> not_owner
    lot      a                                           -> 999000 mg of maker
    transfer by=maker of=a:1g to=mill                    -> ok
    # What the order gives back can be taken, too.
    reject   o by=press                                  -> ok
    lot      given                                       -> 1000 mg of printer
    takeover by=maker of=printer lots=given              -> ok
";

#[test]
fn one_key_for_everything_can_be_parted() {
    let mut world = World::empty();
    let enrol = {
        let operation =
            enrolment(world.network, "maker", "solo", crate::operation::Enrolled::Machine);
        let crate::operation::Operation::Enrol(mut enrol) = operation else { panic!("enrol") };
        (enrol.owner_key, enrol.owner_proof) = (enrol.signing_key, enrol.key_proof);
        crate::operation::Operation::Enrol(enrol)
    };
    world.apply("maker", std::vec![enrol]);
    let id = crate::id::MemberId::of(&keypair("solo").public());
    let mut table = Table::new(world);
    let mut operation = table.asked("ownerkey solo new=vault");
    if let crate::operation::Operation::ReplaceOwnerKey(new) = &mut operation {
        new.member = id;
        let message = crate::operation::key_proof_message(table.world.network, id);
        new.key_proof = keypair("vault").sign(crate::operation::KEY_PROOF_DOMAIN, &message);
    }
    table.world.apply("solo", std::vec![operation]);
    // The key goes on signing, and changes nothing any more.
    check_in(
        &mut table,
        "declare a by=solo factor=none          -> unknown_factor
         rotate maker by=solo new=x              -> wrong_signer",
    );
    let row = query::member(&table.world.state, id).expect("read").expect("a member");
    assert_eq!(row.owner_key, keypair("vault").public());
}

/// An organisation that has lost its owner key gets another one by vote.
#[test]
fn authorities_replace_a_lost_owner_key() {
    check_in(
        &mut Table::new(World::of_authorities(&["a"])),
        "propose p by=a owner=rail new=safe proven_for=maker -> bad_key_proof
         propose p by=a owner=rail new=bank      -> key_in_use
         propose p by=a owner=nobody             -> unknown_member
         enrol lathe by=maker                    -> ok
         propose p by=a owner=lathe              -> wrong_kind
         propose p by=a owner=rail new=safe      -> ok
         rotate rail by=rail key=owner new=r2    -> revoked_signer
         rotate rail key=safe new=r2             -> ok
         propose p by=a remove=rail              -> ok
         propose p by=a owner=rail new=other     -> revoked_member",
    );
}

pub fn refusals() -> BTreeSet<Code> {
    check(KEYS)
}

#[test]
fn keys_after_their_time() {
    check(KEYS);
}

#[test]
fn pages_of_the_directory_hold_every_member_once() {
    let mut table = Table::new(World::new());
    for number in 0..20 {
        check_in(&mut table, &format!("enrol m{number:02} by=maker -> ok"));
        check_in(&mut table, &format!("describe m{number:02} by=maker services=turn -> ok"));
    }
    let filters = [
        MemberFilter::default(),
        MemberFilter { service: Some("turn".into()), ..MemberFilter::default() },
        MemberFilter { organisation: Some(member("maker")), ..MemberFilter::default() },
        MemberFilter { name: "m".into(), ..MemberFilter::default() },
    ];
    let everybody = crate::rows::Read::scan(&table.world.state, &[Rows::Member as u8], &[], 999);
    let counts = [everybody.expect("scan").len(), 20, 24, 23];
    for (filter, count) in filters.iter().zip(counts) {
        for size in [1, 3, 7, 50] {
            let (mut seen, mut after, mut pages) = (BTreeSet::new(), None, 0);
            loop {
                let page = query::find_members(&table.world.state, filter, after.as_deref(), size);
                let page = page.expect("members");
                pages += 1;
                assert!(page.members.iter().all(|(id, _)| seen.insert(*id)), "twice");
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), count, "{filter:?} in pages of {size}");
            assert!(pages <= count / size + 2);
        }
    }
}
