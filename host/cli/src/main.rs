//! The `jpkise` binary: argument parsing and printing only.

fn main() {}
