//! The static program that runs an algorithm inside its pod; see [`tidewatch::stages::guard`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tidewatch::stages::guard::run(std::env::args_os().skip(1))
}
