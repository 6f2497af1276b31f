//! The command `tidewatch`. Everything is in the library's `app`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tidewatch::app::main()
}
