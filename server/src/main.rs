//! The `dataflume` command.
fn main() {}
