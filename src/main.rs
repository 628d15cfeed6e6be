//! Parse, load, build, run: nothing else.

fn main() {}
