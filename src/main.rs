//! The command `tidewatch`. Everything is in the library's `app`.
#![forbid(unsafe_code)]

/// History is tens of thousands of small rows a second that live for a tick: with the system's allocator a quarter of the judge's
/// time went into it, and what was freed by one thread stayed with another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tidewatch::app::main()
}
