//! The `richter` program.

fn main() {}
