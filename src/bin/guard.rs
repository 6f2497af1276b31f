//! The static program that runs an algorithm inside its pod.
#![forbid(unsafe_code)]

fn main() {}
