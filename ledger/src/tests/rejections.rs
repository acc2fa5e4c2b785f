//! Every way to be refused, one line each; together they must produce every code.

use super::table::{Table, check, check_in};
use super::world::World;
use crate::execute::DEADLINES_MAX;
use crate::rejection::Code;
use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

const ENVELOPE: &str = "
    declare  a bytes=cut                                 -> malformed
    declare  a bytes=1                                   -> malformed
    declare  a bytes=2                                   -> unknown_version
    declare  a bytes=long                                -> too_large
    declare  a bytes=forged                              -> bad_signature
    again                                                -> nothing
    declare  a envelope=2                                -> unknown_version
    declare  a network=other                             -> wrong_network
    declare  a operations=0                              -> too_many_operations
    declare  a operations=65                             -> too_many_operations
    declare  a operations=64                             -> ok
    declare  a created=-10 expires=-20                   -> lifetime_too_long
    declare  a created=-10 expires=86399991              -> lifetime_too_long
    declare  a created=-10 expires=86399990              -> ok
    declare  a created=301001 expires=400000             -> not_yet_valid
    declare  a created=301000 expires=400000             -> ok
    declare  a expires=1000                              -> expired
    declare  a expires=1001                              -> ok
    again                                                -> nothing
    declare  a key=stranger                              -> unknown_signer
    declare  a key=owner                                 -> wrong_signer
    # The lowest code decides: several rules of the envelope are broken here.
    declare  a network=other operations=0 key=stranger   -> wrong_network
";

const MEMBERS: &str = "
    enrol    x by=printer                                -> wrong_signer
    enrol    x by=agency                                 -> wrong_signer
    enrol    x called=\"\"                               -> field_invalid
    enrol    x called=long65                             -> field_invalid
    enrol    x called=long64                             -> ok
    enrol    x                                           -> key_in_use
    enrol    y owner_key=printer                         -> key_in_use
    enrol    y forged=signing                            -> bad_key_proof
    enrol    y forged=owner                              -> bad_key_proof
    enrol    y weak=signing                              -> bad_key_proof
    enrol    y weak=owner                                -> bad_key_proof
    enrol    m host=nobody                               -> unknown_member
    enrol    m host=press                                -> not_in_organisation
    enrol    m host=meter                                -> wrong_kind
    enrol    m host=mill                                 -> ok
    enrol    y by=maker key=owner                        -> ok
    declare  a by=meter                                  -> wrong_signer
    declare  a by=maker                                  -> wrong_signer
    reading  a by=press from=0 to=1                      -> wrong_signer
    reading  a by=gauge of=meter from=0 to=1             -> wrong_signer
    reading  a by=maker from=0 to=1                      -> wrong_signer
    reading  a by=printer of=nobody from=0 to=1          -> unknown_member
    reading  a by=printer of=mill from=0 to=1            -> wrong_kind
    # Its host may sign for the meter.
    reading  a by=printer from=0 to=1                    -> ok

    rotate   printer by=printer                          -> wrong_signer
    rotate   nobody by=maker key=owner                   -> unknown_member
    rotate   printer by=maker key=owner new=mill         -> key_in_use
    rotate   printer by=maker key=owner proven_for=mill  -> bad_key_proof
    rotate   printer by=rail key=owner                   -> not_in_organisation
    rotate   printer by=maker key=owner until=-1         -> commit_in_past
    # The old key works until the commit named, the new one at once.
    rotate   printer by=printer key=owner until=3 new=p2 -> ok
    declare  a by=printer                                -> ok
    declare  a by=printer key=p2                         -> ok
    declare  a by=printer                                -> revoked_signer
    declare  a by=printer key=p2                         -> ok
    # An organisation whose one key is both keeps it as owner key.
    rotate   maker by=maker key=owner until=0 new=maker2 -> ok
    enrol    z by=maker                                  -> revoked_signer

    revoke   mill by=press                               -> wrong_signer
    revoke   mill by=maker key=maker2 reason=long257     -> field_invalid
    revoke   nobody by=maker key=maker2                  -> unknown_member
    revoke   mill by=rail                                -> not_in_organisation
    revoke   mill by=maker key=maker2 from=-1            -> commit_in_past
    revoke   maker by=maker key=maker2                   -> wrong_kind
    revoke   mill by=maker key=maker2 from=1             -> ok
    declare  a by=mill                                   -> revoked_signer
    # A second revocation cannot put the end off.
    revoke   mill by=maker key=maker2 from=9             -> ok
    declare  a by=mill                                   -> revoked_signer
    declare  a by=printer key=p2                         -> ok
    transfer by=printer key=p2 of=a:1g to=mill           -> revoked_member
    rotate   mill by=maker key=owner new=m2              -> revoked_member
    enrol    m3 by=maker key=maker2 host=mill            -> revoked_member
    place    o by=press to=mill                          -> revoked_member
    place    o by=press to=printer confirmer=mill        -> revoked_member
";

const FACTORS: &str = "
    publish  by=maker                                    -> wrong_signer
    publish  by=agency name=\"\"                         -> field_invalid
    publish  by=agency list=empty                        -> field_invalid
    publish  by=agency list=twice                        -> field_invalid
    publish  by=agency name=base                         -> factor_set_exists
    publish  by=agency wrong=reference                   -> factor_invalid
    publish  by=agency wrong=order                       -> factor_invalid
    publish  by=agency wrong=twice                       -> factor_invalid
    publish  by=agency wrong=derived                     -> factor_invalid
    publish  by=agency wrong=undeclared                  -> factor_invalid
    publish  by=agency wrong=negative                    -> offset_as_reduction
    publish  by=agency wrong=below                       -> factor_invalid
    publish  by=agency wrong=uptake                      -> factor_invalid
    publish  by=agency wrong=parts                       -> factor_invalid
    publish  by=agency wrong=rating                      -> factor_invalid
    publish  by=agency wrong=validity                    -> factor_invalid
    publish  by=agency wrong=text                        -> factor_invalid
    publish  by=agency                                   -> ok
    publish  by=agency version=2                         -> ok
    publish  by=agency                                   -> factor_set_exists
";

const METERS: &str = "
    reading  e by=meter from=0 to=5 begin=0 end=0            -> period_invalid
    reading  e by=meter from=0 to=5 begin=0 end=301001       -> period_invalid
    reading  e by=meter from=0 to=5 factor=none              -> unknown_factor
    reading  e by=meter from=0 to=5 factor=old               -> factor_not_valid_then
    reading  e by=meter from=0 to=5 factor=powder            -> wrong_factor
    reading  e by=meter from=1 to=5                          -> register_gap
    reading  e by=meter from=0 to=0                          -> register_not_ahead
    reading  e by=meter from=0 to=1000000000000              -> register_end
    reading  e by=meter from=0 to=0 overflowed=1               -> register_end
    reading  e by=meter from=0 to=5 evidence=long65          -> field_invalid
    reading  e by=meter from=0 to=5                          -> ok
    lot      e                                               -> 5 J of printer
    again                                                    -> nothing
    # The same reading in another transaction: once as it was, once in a period of its own.
    reading  f by=meter from=0 to=5 begin=-3000 end=-2000    -> period_invalid
    reading  f by=meter from=0 to=5                          -> register_gap
    reading  f by=meter from=5 to=9                          -> ok
    reset    meter by=printer from=9 to=0                    -> wrong_signer
    reset    nobody by=maker from=9 to=0                     -> unknown_member
    reset    meter by=rail from=9 to=0                       -> not_in_organisation
    reset    printer by=maker from=9 to=0                    -> wrong_kind
    reset    meter by=maker from=8 to=0                      -> register_gap
    reset    meter by=maker from=9 to=2                      -> ok
    reading  g by=meter from=9 to=12                         -> register_gap
    reading  g by=meter from=2 to=12                         -> ok
    # Through the end of the register, which its enrolment states.
    reading  i by=meter from=12 to=999999999999              -> ok
    reading  j by=meter from=999999999999 to=3               -> register_not_ahead
    reading  j by=meter from=999999999999 to=3 overflowed=1    -> ok
    lot      j                                               -> 4 J of printer
    reading  k by=meter from=3 to=4 overflowed=1               -> register_end
    # The factor ends within the period.
    wait     ms=3600000000                                   -> 0 executed
    reading  h by=meter from=3 to=13 begin=-60000           -> factor_not_valid_then
";

const RESTATEMENTS: &str = "
    declare  powder amount=1kg                               -> ok
    declare  lead amount=1kg factor=proxy                    -> ok
    declare  theirs by=press                                 -> ok
    reading  energy by=meter from=0 to=3600000               -> ok
    transform in=powder:100g,energy:1kWh does=haul:5kgm:haul out=x:1pc:100g as=x -> ok
    restate  r by=meter lot=powder                           -> wrong_signer
    restate  r by=auditor lot=powder                         -> wrong_signer
    restate  r lot=powder reason=\"\"                        -> field_invalid
    restate  r lot=powder reason=long257                     -> field_invalid
    restate  r lot=powder evidence=long65                    -> field_invalid
    restate  r lot=none                                      -> unknown_lot
    restate  r lot=x                                         -> not_a_source
    restate  r made=none                                     -> not_a_source
    restate  r made=x activity=1                             -> not_a_source
    restate  r by=mill lot=powder                            -> not_your_source
    restate  r by=rail lot=powder                            -> not_your_source
    restate  r by=press made=x                               -> not_your_source
    # The machine may not correct what its meter said; the organisation may.
    restate  r lot=energy factor=grid                        -> not_your_source
    restate  r by=maker lot=energy factor=powder             -> wrong_factor
    restate  r by=maker lot=energy imported=default          -> correction_invalid
    restate  r by=maker lot=energy factor=grid               -> restatement_unchanged
    restate  r lot=powder amount=2kg                         -> correction_invalid
    restate  r lot=powder factor=none                        -> unknown_factor
    restate  r lot=powder factor=grid                        -> unit_mismatch
    restate  r lot=powder factor=old                         -> factor_not_valid_then
    restate  r lot=powder factor=huge                        -> overflow
    restate  r lot=powder factor=large                       -> overflow
    restate  r lot=powder imported=derived                   -> import_invalid
    restate  r lot=powder                                    -> restatement_unchanged
    restate  r made=x imported=default                       -> correction_invalid
    restate  r made=x amount=0kgm factor=haul                -> zero_amount
    restate  r made=x amount=1kg factor=haul                 -> unit_mismatch
    restate  r made=x factor=haul                            -> restatement_unchanged
    decide   r by=auditor                                    -> unknown_restatement
    # Evidence alone changes the tier.
    restate  r lot=powder evidence=text/plain                -> ok
    restatement r                                            -> applied
    decide   r by=auditor                                    -> restatement_decided
    # A bare kilogram against eight: material.
    restate  s by=maker lot=powder factor=bare               -> ok
    restatement s                                            -> proposed
    decide   s by=meter                                      -> wrong_signer
    decide   s by=maker                                      -> wrong_signer
    decide   s by=printer approve=no                         -> wrong_signer
    decide   s by=maker approve=no                           -> ok
    restatement s                                            -> withdrawn
    decide   s by=auditor                                    -> restatement_decided
    restate  t by=printer lot=powder factor=bare             -> ok
    decide   t by=auditor approve=no                         -> ok
    restatement t                                            -> refused
    restate  u by=printer lot=powder factor=bare             -> ok
    restate  v by=printer lot=powder factor=bare             -> ok
    decide   u by=auditor                                    -> ok
    restatement u                                            -> applied
    # By now there is nothing left to correct.
    decide   v by=auditor                                    -> restatement_unchanged
    restatement v                                            -> proposed
";

const LIMITS: &str = "
    limits   by=printer organisation=1000:5:flag                     -> wrong_signer
    limits   by=maker organisation=0:5:flag                          -> limit_invalid
    limits   by=maker organisation=1000:-5:flag                      -> limit_invalid
    limits   by=maker product=bracket:0pc:5:flag                     -> limit_invalid
    limits   by=maker product=long65:1pc:5:flag                      -> limit_invalid
    limits   by=maker product=x:1pc:5:flag called=long65             -> limit_invalid
    limits   by=maker product=x:1pc:5:flag called=c machine=any:1:5:flag -> limit_invalid
    limits   by=maker product=x:1pc:5:flag many=1                    -> limit_invalid
    limits   by=maker machine=nobody:1:5:flag                        -> unknown_member
    limits   by=maker machine=press:1:5:flag                         -> not_in_organisation
    limits   by=maker machine=meter:1:5:flag                         -> wrong_kind
    # 800 g CO2e for each bracket; a part made of proxy powder has 700.
    limits   by=maker product=bracket:2pc:1600000000000:refuse       -> ok
    declare  good factor=proxy                                       -> ok
    declare  bad                                                     -> ok
    declare  bare factor=bare                                        -> ok
    place    o by=press amount=10pc                                  -> ok
    accept   o by=printer                                            -> ok
    start    o by=printer                                            -> ok
    complete o in=bare:900g,bad:1g out=bracket:10pc:901g             -> missing_dimension
    complete o in=bad:1kg out=bracket:10pc:1kg                       -> limit_exceeded
    # What went wrong is booked all the same.
    complete o in=bad:1kg out=scrap:1kg:1kg:waste outcome=failed     -> ok
    place    p by=press amount=10pc                                  -> ok
    accept   p by=printer                                            -> ok
    start    p by=printer                                            -> ok
    complete p in=good:1kg out=bracket:10pc:1kg                      -> ok
    order    p                                                       -> completed
";

const AVOIDED: &str = "
    declare  powder                                                  -> ok
    place    o by=press                                              -> ok
    avoid    by=meter lot=powder                                     -> wrong_signer
    avoid    lot=powder what=\"\"                                    -> field_invalid
    avoid    lot=powder what=long257                                 -> field_invalid
    avoid    lot=powder evidence=long65                              -> field_invalid
    avoid    lot=powder amount=0kg                                   -> zero_amount
    avoid    lot=none                                                -> unknown_lot
    avoid    by=press lot=powder                                     -> not_owner
    avoid    order=none                                              -> unknown_order
    avoid    by=mill order=o                                         -> not_buyer
    avoid    lot=powder factor=none                                  -> unknown_factor
    avoid    lot=powder amount=1pc                                   -> unit_mismatch
    avoid    lot=powder factor=old                                   -> factor_not_valid_then
    avoid    lot=powder amount=1mg factor=large                      -> overflow
    avoid    lot=powder                                              -> ok
    avoid    by=maker lot=powder                                     -> ok
    avoid    by=rail order=o                                         -> ok
    avoid    by=printer order=o                                      -> ok
    # Beside it, and nowhere in it.
    footprint powder                                                 -> 8000000000001
";

const LOTS: &str = "
    declare  a product=\"\"                              -> field_invalid
    declare  a product=long65                            -> field_invalid
    declare  a evidence=long65                           -> field_invalid
    declare  a amount=0g                                 -> zero_amount
    declare  a amount=3pc                                -> unit_mismatch
    declare  a amount=3s                                 -> unit_mismatch
    declare  a amount=3pc mass=1g                        -> ok
    declare  a amount=1kg mass=1g                        -> mass_mismatch
    declare  a amount=3s mass=1g                         -> mass_mismatch
    declare  a amount=1g factor=huge                     -> overflow
    # Fits, but would fill the totals that everybody shares.
    declare  a amount=1mg factor=large                   -> overflow
    declare  a factor=none                               -> unknown_factor
    declare  a factor=old                                -> factor_not_valid_then
    declare  a imported=negative                         -> offset_as_reduction
    declare  a imported=undeclared                       -> import_invalid
    declare  a imported=measured                         -> import_invalid
    declare  a imported=derived                          -> import_invalid
    declare  a imported=derived evidence=text/plain      -> ok
    declare  a imported=default                          -> ok

    declare  powder                                      -> ok
    transfer by=printer of=powder:0g                     -> zero_amount
    transfer by=printer of=powder:1g to=nobody           -> unknown_member
    transfer by=printer of=powder:1g to=meter            -> wrong_kind
    transfer by=printer of=none:1g                       -> unknown_lot
    transfer by=press of=powder:1g                       -> not_owner
    transfer by=printer of=powder:1001g                  -> not_enough
    transfer b by=printer of=powder:300g to=rail         -> ok
    transfer c by=rail of=b:300g to=press                -> ok
    transfer by=rail of=b:1g to=press                    -> not_enough
    transfer by=rail of=b:1pc to=press                   -> unit_mismatch
    sink     by=meter of=powder:1g                       -> wrong_signer
    sink     by=press of=powder:1g                       -> not_owner
    sink     by=printer of=powder:701g                   -> not_enough
    sink     by=printer of=powder:700g                   -> ok
    sink     by=printer of=powder:1mg                    -> not_enough
    lot      powder                                      -> 0 mg of printer
    lot      c                                           -> 300000 mg of press
";

const UPKEEP: &str = "
    declare  powder                                          -> ok
    reading  a by=meter from=0 to=5 begin=-900000            -> ok
    reading  b by=meter from=5 to=9                          -> ok
    reading  c by=gauge from=0 to=9                          -> ok
    sink     by=press of=c:9J kind=upkeep                    -> not_operator
    # What a meter read, within one period: the hour begins some 13 minutes before the first commit.
    sink     by=printer of=powder:1g kind=upkeep             -> upkeep_invalid
    sink     by=printer of=a:5J kind=upkeep                  -> upkeep_invalid
    sink     by=mill of=b:1J kind=upkeep                     -> not_owner
    sink     by=printer of=b:1J kind=upkeep                  -> ok
    sink     by=printer of=b:3J                              -> ok
";

const TRANSFORMATIONS: &str = "
    declare  p                                                       -> ok
    declare  q                                                       -> ok
    declare  r by=press                                              -> ok
    transform by=maker out=x:1pc:0g                                  -> wrong_signer
    transform in=p:1g                                                -> field_invalid
    transform in=p:1g out=long65:1g:1g                               -> field_invalid
    transform in=p:1g out=x:1g:1g exempted=1000001                   -> field_invalid
    transform in=p:1g out=x:1g:1g tolerance=1000001                  -> field_invalid
    transform in=p:1g out=x:1g:1g does=long65:1kg:powder             -> field_invalid
    transform in=p:1g out=x:0g:1g                                    -> zero_amount
    transform in=p:0g out=x:1g:1g                                    -> zero_amount
    transform in=p:1g out=x:1g:1g does=burn:0kg:powder               -> zero_amount
    transform in=p:1g out=x:1g:1g begin=1 end=0                      -> period_invalid
    transform in=p:1g out=x:1g:1g end=301001                         -> period_invalid
    transform in=p:1g out=x:1g:1g does=burn:1kg:none                 -> unknown_factor
    transform in=p:1g out=x:1g:1g does=burn:1pc:powder               -> unit_mismatch
    transform in=p:1g out=x:1g:1g does=burn:1kg:old                  -> factor_not_valid_then
    transform in=p:1g out=x:1g:1g does=burn:1g:huge                  -> overflow
    transform in=p:1g out=x:1g:1g does=burn:1mg:large                -> overflow
    transform in=none:1g out=x:1g:1g                                 -> unknown_lot
    transform in=r:1g out=x:1g:1g                                    -> not_owner
    transform in=p:1001g out=x:1g:1g                                 -> not_enough
    transform in=p:1J out=x:1g:1g                                    -> unit_mismatch
    transform in=p:1g,q:1g,p:1g out=x:3g:3g                          -> lot_twice
    transform in=p:1g out=x:1g:2g                                    -> mass_mismatch
    transform in=p:100g out=x:1pc:99g tolerance=9999                 -> mass_imbalance
    transform in=p:100g out=x:1pc:101g tolerance=9999                -> mass_imbalance
    transform out=x:1pc:1mg tolerance=1000000                        -> mass_imbalance
    transform in=p:1g out=x:1g:1g:product:0                          -> no_allocation
    transform in=p:100g,q:100g out=x:1pc:198g tolerance=10000 as=x   -> ok
    transform does=burn:1kg:powder out=heat:1kWh:0g as=heat          -> ok
    lot      x                                                       -> 1 piece of printer
";

const TERMS: &str = "
    declare  mine by=press                                           -> ok
    declare  other by=mill                                           -> ok
    place    o by=rail                                               -> wrong_signer
    place    o by=press service=\"\"                                 -> field_invalid
    place    o by=press product=long65                               -> field_invalid
    place    o by=press currency=long17                              -> field_invalid
    place    o by=press amount=0pc                                   -> zero_amount
    place    o by=press to=nobody                                    -> unknown_member
    place    o by=press to=maker                                     -> wrong_kind
    place    o by=press confirmer=nobody                             -> unknown_member
    place    o by=press gives=mine:0g                                -> zero_amount
    place    o by=press gives=none:1g                                -> unknown_lot
    place    o by=press gives=other:1g                               -> not_owner
    place    o by=press gives=mine:1001g                             -> not_enough
    place    o by=press gives=mine:1g,mine:1g                        -> lot_twice
    place    o by=press to=press                                     -> terms_invalid
    place    o by=press price=10 hold=9                              -> terms_invalid
    place    o by=press price=10 fee=11                              -> terms_invalid
    place    o by=press carbon=1                                     -> terms_invalid
    place    o by=press predicted=-1                                 -> terms_invalid
    place    o by=press cap=-1                                       -> terms_invalid
    place    o by=press tolerance=1000001                            -> terms_invalid
    place    o by=press accept_by=2000 deliver_by=1999               -> terms_invalid
    place    o by=press accept_by=1000                               -> deadline_passed
    place    o by=press parent=none                                  -> unknown_order
    place    o by=press currency=XXX                                 -> unknown_currency
    place    o by=press currency=XXX external=1 price=9              -> ok
    place    o by=press price=1                                      -> insufficient_funds
    place    mother by=press to=printer                              -> ok
    place    child by=mill to=printer parent=mother                  -> parent_invalid
    place    child by=printer to=mill parent=mother                  -> ok
    reject   mother by=printer                                       -> ok
    place    child by=printer to=mill parent=mother                  -> parent_invalid
";

const STEPS: &str = "
    accept   none by=printer                                         -> unknown_order
    place    o by=press                                              -> ok
    accept   o by=maker                                              -> wrong_signer
    accept   o by=printer key=owner                                  -> wrong_signer
    accept   o by=press                                              -> not_provider
    reject   o by=mill                                               -> not_provider
    cancel   o by=printer                                            -> not_buyer
    start    o by=printer                                            -> wrong_state
    confirm  o by=press                                              -> wrong_state
    complete o by=printer out=bracket:10pc:0g                        -> wrong_state
    accept   o by=printer                                            -> ok
    accept   o by=printer                                            -> wrong_state
    reject   o by=printer                                            -> wrong_state
    complete o by=printer out=bracket:10pc:0g                        -> wrong_state
    start    o by=mill                                               -> not_provider
    start    o by=printer                                            -> ok
    complete o by=press out=bracket:10pc:0g                          -> not_provider
    complete o by=printer out=bracket:10pc:0g                        -> ok
    cancel   o by=press                                              -> wrong_state
    confirm  o by=box                                                -> not_buyer
    confirm  o by=press                                              -> ok
    confirm  o by=press                                              -> wrong_state
    order    o                                                       -> settled, paid 0
";

const COMPLETIONS: &str = "
    declare  powder by=printer                                       -> ok
    declare  bare by=printer factor=bare                             -> ok
    declare  theirs by=press                                         -> ok
    place    o by=press gives=theirs:100g required=1 tolerance=10000 cap=1000000000000 as=given -> ok
    place    p by=press                                              -> ok
    accept   o by=printer                                            -> ok
    start    o by=printer                                            -> ok
    accept   p by=printer                                            -> ok
    start    p by=printer                                            -> ok
    sink     by=press of=given:1g                                    -> lot_held
    sink     by=printer of=given:1g                                  -> not_owner
    transform by=printer in=given:1g out=x:1g:1g                     -> not_owner
    complete p by=printer in=given:1g out=bracket:10pc:1g            -> not_owner
    complete o by=printer in=theirs:1g out=bracket:10pc:1g           -> not_owner
    complete o by=printer in=given:101g out=bracket:10pc:101g        -> not_enough
    complete o by=printer in=given:100g out=bracket:10pc:98g tolerance=1000000 -> mass_imbalance
    complete o by=printer in=given:100g out=bracket:10pc:99g         -> mass_imbalance
    complete o by=printer in=given:100g out=nut:10pc:100g            -> product_mismatch
    complete o by=printer in=given:100g out=bracket:10s:0g           -> mass_imbalance
    complete o by=printer out=bracket:10s:0g                         -> product_mismatch
    complete o by=printer in=given:100g out=bracket:9pc:100g         -> wrong_quantity
    complete o by=printer in=given:100g out=bracket:11pc:100g        -> wrong_quantity
    complete o by=printer in=given:100g out=bracket:10pc:100g outcome=partial -> wrong_quantity
    complete o by=printer in=given:100g out=waste:1pc:100g:waste outcome=partial -> wrong_quantity
    complete o by=printer in=given:100g out=bracket:1pc:100g outcome=failed -> wrong_quantity
    complete o by=printer in=given:100g out=bracket:1pc:100g:byproduct outcome=failed -> wrong_quantity
    complete o by=printer in=bare:1g out=bracket:10pc:1g             -> missing_dimension
    complete o by=printer in=bare:1g out=waste:10pc:1g:waste outcome=failed -> missing_dimension
    complete o by=printer out=bracket:10pc:0g                        -> missing_dimension
    complete o by=printer in=given:100g,powder:100g out=bracket:10pc:200g -> cap_exceeded
    complete o by=printer in=given:100g out=bracket:5pc:100g outcome=partial -> cap_exceeded
    complete o by=printer in=given:100g out=bracket:10pc:100g        -> ok
";

const MONEY: &str = "
    issue    by=press amount=1                                       -> wrong_signer
    issue    by=bank key=owner amount=1                              -> wrong_signer
    issue    by=bank currency=long17                                 -> field_invalid
    issue    by=bank amount=0                                        -> zero_amount
    issue    by=bank to=nobody                                       -> unknown_member
    issue    by=bank to=press                                        -> wrong_kind
    issue    by=bank currency=XXX                                    -> unknown_currency
    issue    by=rail                                                 -> not_issuer
    issue    by=bank amount=18446744073709551615                     -> ok
    issue    by=bank amount=1 to=maker                               -> overflow
    redeem   by=press                                                -> wrong_signer
    redeem   by=rail amount=0                                        -> zero_amount
    redeem   by=rail currency=\"\"                                   -> field_invalid
    redeem   by=rail currency=XXX                                    -> unknown_currency
    redeem   by=maker amount=1                                       -> insufficient_funds
    redeem   by=rail amount=18446744073709551615                     -> ok
    redeem   by=rail amount=1                                        -> insufficient_funds
";

const ALL: &[&str] = &[
    ENVELOPE,
    MEMBERS,
    FACTORS,
    METERS,
    LOTS,
    UPKEEP,
    TRANSFORMATIONS,
    TERMS,
    STEPS,
    COMPLETIONS,
    MONEY,
    RESTATEMENTS,
    LIMITS,
    AVOIDED,
];

#[test]
fn every_code_is_the_answer_to_something() {
    let mut seen: BTreeSet<Code> = ALL.iter().flat_map(|table| check(table)).collect();
    seen.extend(super::governance::refusals());
    seen.extend(super::proposals::refusals());
    seen.extend(super::members::refusals());
    seen.extend(super::money::refusals());
    let never: Vec<_> = Code::ALL.iter().filter(|code| !seen.contains(code)).collect();
    assert!(never.is_empty(), "no line of the tables answers {never:?}");
}

#[test]
fn a_step_on_an_order_whose_deadline_is_still_to_be_worked_off() {
    let mut table = Table::new(World::new());
    // One order more than a commit works off: the youngest is left over.
    for index in 0..=DEADLINES_MAX {
        check_in(&mut table, &format!("place o{index} by=press accept_by=600000 -> ok"));
    }
    table.world.time += 700_000;
    let youngest = format!("o{DEADLINES_MAX}");
    check_in(&mut table, &format!("accept {youngest} by=printer -> deadline_passed"));
    check_in(&mut table, &format!("order {youngest} -> placed\n order o0 -> expired, paid 0"));
    check_in(&mut table, "wait -> 1 executed\n wait -> 0 executed");
    check_in(&mut table, &format!("order {youngest} -> expired, paid 0"));
}

#[test]
fn the_document_lists_every_code() {
    let document = include_str!("../../../docs/rejections.md");
    let listed: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("| `{}` | {} | {} |", code.name(), code.number(), code.sentence()))
        .collect();
    assert_eq!(listed, expected, "docs/rejections.md is not what src/rejection.rs says");
}
