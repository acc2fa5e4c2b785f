//! Whole-system tests of Kerbholz live in `tests/tests/`; here is what they share.
//!
//! * [`simulator`] runs whole networks of real replicas from one seed; [`adversary`] has the liars by
//!   name; [`oracle`] judges. How to run it: `docs/assurance.md`, "Simulation".
//! * [`inventory`] makes lots for the comparison with LCA calculators.
//! * [`drill`] breaks networks of real processes; [`hostile`] is an authority that attacks one.

pub mod adversary;
pub mod drill;
pub mod hostile;
pub mod inventory;
pub mod oracle;
pub mod simulator;
