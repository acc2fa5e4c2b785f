//! Byzantine-fault-tolerant agreement over a DAG of signed blocks, without input or output.
#![no_std]
extern crate alloc;
