//! When a block is made and a round entered, by drawings (§5).

use alloc::vec::Vec;

use super::*;
use crate::testing::{committee, drawing::Drawing};

/// D made its block of round 2 at 190 ms and enters round 3 at 200 ms. B leads round 2, A round 1.
fn in_round_three(drawing: &str) -> (Pacemaker, Dag, Drawing) {
    let drawing = Drawing::new(&committee(4), drawing);
    let mut dag = Dag::new(drawing.committee.clone());
    let (below, above): (Vec<_>, Vec<_>) =
        drawing.blocks.iter().cloned().partition(|block| block.round() < Round(3));
    below.into_iter().for_each(|block| dag.insert(block));
    let own_last = drawing.named("D2");
    let mut pacemaker = Pacemaker::new(Parameters::lan(), own_last, 4, Instant(100));
    pacemaker.created(own_last, Instant(190));
    assert!(pacemaker.advance(&dag, Instant(200)) && pacemaker.round() == Round(3));
    above.into_iter().for_each(|block| dag.insert(block));
    (pacemaker, dag, drawing)
}

/// §5.2 and §5.3: round delay 25 ms, leader timeout 125 ms, idle step 100 ms, heartbeat 15 s.
#[test]
fn when_a_block_is_made() {
    let cases = [
        ("leader and votes are there", "1: A B C D | 2: A B C D", 215, 15_190),
        ("no block of the leader", "1: A B C D | 2: A C D", 325, 15_190),
        ("neither votes nor a skip", "1: A B C D | 2: A B C>BCD D>BCD", 325, 15_190),
        ("a skip can be told", "1: A B C D | 2: B>BCD C>BCD D>BCD", 215, 15_190),
        ("somebody went ahead", "1: A B C D | 2: A B C D | 3: A", 215, 300),
        ("a quorum went ahead", "1: A B C D | 2: A B C D | 3: A B C", 205, 205),
        ("a quorum went ahead, no leader", "1: A B C D | 2: A C D | 3: A C B>B1ACD", 205, 205),
    ];
    for (name, drawing, busy, idle) in cases {
        let (pacemaker, dag, _) = in_round_three(drawing);
        let due = |busy| pacemaker.due(&dag, busy, Instant(205)).map(|at| at.0);
        assert_eq!((due(true), due(false)), (Some(busy), Some(idle)), "{name}");
    }
}

#[test]
fn one_block_a_round_and_no_round_without_one() {
    let (mut pacemaker, mut dag, _) = in_round_three("1: A B C D | 2: A B C D | 3: A B C");
    assert!(!pacemaker.advance(&dag, Instant(300)), "the own block is missing");
    let whole = Drawing::new(&committee(4), "1: A B C D | 2: A B C D | 3: D");
    let own = whole.blocks.last().unwrap();
    dag.insert(own.clone());
    pacemaker.created(own.reference(), Instant(300));
    assert_eq!(pacemaker.due(&dag, true, Instant(300)), None, "it is made already");
    assert!(pacemaker.advance(&dag, Instant(300)) && pacemaker.round() == Round(4));
    assert!(!pacemaker.advance(&dag, Instant(300)), "nobody is in round 4 yet");
}

/// §5.4: the word of one liar changes nothing; that of two, one of them honest, silences us until
/// we have caught up or nothing came for a heartbeat.
#[test]
fn who_is_far_behind_waits() {
    let (mut pacemaker, dag, drawing) = in_round_three("1: A B C D | 2: A B C D");
    let liar = drawing.named("A1").author;
    pacemaker.note_reached(liar, Round(1_000));
    assert!(!pacemaker.is_lagging(&dag, Instant(210)));
    pacemaker.note_reached(drawing.named("B1").author, Round(500));
    assert!(pacemaker.is_lagging(&dag, Instant(210)));
    assert_eq!(pacemaker.due(&dag, true, Instant(210)), Some(Instant(15_200)));
    assert!(!pacemaker.is_lagging(&dag, Instant(15_200)));
}

/// §5.4: with 2Δ of four rounds, four rounds behind is a jump and three are not.
#[test]
fn who_is_behind_jumps() {
    let text = "1: A B C D | 2: A B C D | 3: A B C | 4: A B C | 5: A B C";
    let (mut pacemaker, dag, _) = in_round_three(text);
    assert!(!pacemaker.advance(&dag, Instant(300)), "two rounds are caught up one by one");
    let (mut pacemaker, dag, _) = in_round_three(&alloc::format!("{text} | 6: A B C | 7: A B C"));
    assert!(pacemaker.advance(&dag, Instant(300)));
    assert_eq!(pacemaker.round(), Round(8));
}
