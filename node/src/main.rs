//! The `kerbholz` command.
fn main() {}
