//! What the operations do, one story per test.

use super::table::check;

#[test]
fn an_order_from_powder_to_bracket() {
    check(
        "issue    by=bank to=rail amount=5000                                    -> ok
         declare  powder by=printer amount=1kg evidence=text/plain               -> ok
         reading  energy by=meter from=0 to=36000000                             -> ok
         place    o1 by=press to=printer price=1000                              -> ok
         account  rail                                                           -> 4000 available, 1000 held
         complete o1 by=printer out=bracket:10pc:0g                              -> wrong_state
         accept   o1 by=press                                                    -> not_provider
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
         climate  part                                                           -> 2160000000000
         account  rail                                                           -> 4000 available, 0 held
         account  maker                                                          -> 1000 available, 0 held
         sink     by=press of=part:10pc                                          -> ok
         lot      part                                                           -> 0 piece of press",
    );
}
