//! Does another way of computing come to the footprints that the ledger booked? Here: substitution
//! in floating point. `tests/lca/run` asks an LCA calculator that others wrote.

use kerbholz_client::ledger::footprint::{DIMENSIONS, Dimension};
use tests::inventory::Inventory;

/// The largest relative difference that is no difference.
const TOLERANCE: f64 = 1e-12;

#[test]
fn five_hundred_lots_carry_what_their_processes_come_to() {
    for seed in [1, 2] {
        let inventory = Inventory::random(seed, 500);
        assert_eq!(inventory.processes.len(), 500);
        let mut found = [false; DIMENSIONS];
        for (lot, (process, solved)) in
            inventory.processes.iter().zip(inventory.substituted()).enumerate()
        {
            for dimension in Dimension::ALL {
                let (booked, solved) =
                    (process.booked[*dimension as usize] as f64, solved[*dimension as usize]);
                let name = dimension.name();
                let difference = (booked - solved).abs();
                assert!(
                    difference <= TOLERANCE * booked.abs(),
                    "seed {seed}, lot {lot}, {name}: booked {booked}, solved {solved}"
                );
                found[*dimension as usize] |= booked != 0.0;
            }
        }
        let without: Vec<&str> = Dimension::ALL
            .iter()
            .filter(|dimension| !found[**dimension as usize])
            .map(|dimension| dimension.name())
            .collect();
        assert_eq!(without, ["climate, measured", "climate, derived"]);
    }
}

/// The lots are what the comparison is worth: chains that are long, split and joined.
#[test]
fn the_lots_are_split_joined_and_made_of_one_another() {
    let inventory = Inventory::random(1, 500);
    let mut depth = Vec::<usize>::new();
    let mut taken = vec![0; 500];
    for process in &inventory.processes {
        let deepest = process.lots.iter().map(|(lot, _)| depth[*lot] + 1).max();
        depth.push(deepest.unwrap_or(0));
        process.lots.iter().for_each(|(lot, _)| taken[*lot] += 1);
    }
    let deepest = depth.iter().max().copied().unwrap_or(0);
    let joined = inventory.processes.iter().filter(|process| process.lots.len() > 1).count();
    let split = taken.iter().filter(|times| **times > 1).count();
    assert!(deepest >= 20 && joined >= 100 && split >= 100, "{deepest}, {joined}, {split}");
}
