//! The command `tidewatch`.
#![forbid(unsafe_code)]

fn main() {}
