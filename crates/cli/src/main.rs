//! The `hookaido` command.

fn main() {}
