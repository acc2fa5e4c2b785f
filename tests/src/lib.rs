//! Whole-system tests of Kerbholz live in `tests/tests/`.

pub mod drill;
