//! The rules as tables, the invariants as properties, the formats as bytes.
//!
//! `world` is a small network on an in-memory state, `table` the language the rules are written in.

mod arithmetic;
mod codec;
mod explaining;
mod golden;
mod governance;
mod log;
mod machine;
mod members;
mod money;
mod oracle;
mod properties;
mod proposals;
mod queries;
mod receipts;
mod rejections;
mod restating;
mod rules;
mod signatures;
mod statements;
mod table;
mod upkeep;
mod what_if;
mod world;
