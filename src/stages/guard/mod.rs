//! The guard: the small static program that stays between the pod and the algorithm.
//!
//! It is the second wall around the data, the one that needs no network plugin and no privilege: whatever it starts can make no
//! socket but a local one, and it keeps the job log where the algorithm cannot reach it. It refuses to know tokio, the network
//! and the image's environment (it hands the environment on and reads nothing from it).
//!
//! What happens, in this order, and the order matters:
//! 1. every inherited descriptor above 2 is marked to be closed when the algorithm starts;
//! 2. the pod's own walls are looked at (`walls.rs`): without `no_new_privs` and a seccomp filter in force nothing runs;
//! 3. the record's files are made (`record.rs`); one that exists means that this volume ran once already, so nothing runs;
//! 4. the network is asked (`isolation.rs`): what the cluster's own denial looks like from here, before the guard's covers it.
//!    Where that denial is required and cannot be seen, nothing runs;
//! 5. still single-threaded, so that no thread escapes it: limits, not dumpable, the system-call filter (`filter.rs`);
//! 6. one thread takes Landlock rules upon itself (`shelter.rs`) and starts the algorithm from there. Landlock binds a thread and
//!    its children only, so the guard's other threads keep their access to the record, and neither a second program nor
//!    unsafe code between fork and exec is needed; an image without a shell is seen as the error of that very start;
//! 7. output is copied, time and disk are watched (`supervise.rs`, `usage.rs`), and memory where no container does it (`memory.rs`);
//! 8. every other process is killed (`processes.rs`), the pipes are drained, the log is hashed again from disk, the ending written.
//!
//! Invariants: the record never holds a byte that the algorithm did not print; a limit that the guard enforced is told by a
//! reason, never by an exit code alone, since the algorithm chooses its own; nothing of the algorithm outlives the guard.
//!
//! Not covered: disk held by deleted files that are still open, beyond the limit per file. And where the kernel has no Landlock,
//! an algorithm that gets the guard killed can leave a message of its own; its log is `unverified` then, and so is all it says.

mod arguments;
mod error;
mod filter;
mod isolation;
mod memory;
mod outlet;
mod processes;
mod record;
mod shelter;
mod supervise;
mod usage;
mod walls;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub use arguments::{Arguments, Proof};
pub use error::Error;

use super::Ending;
use crate::engine::{Completeness, Isolation, LogSummary};
use crate::jobs::Reason;
pub(super) use record::{empty as empty_log, hash_file};

use processes::Reaper;
use record::Record;
use supervise::Supervision;

/// Name of the file in the record's directory that says how the algorithm ended; `publish` reads it.
pub(super) const ENDING_FILE: &str = "ending.json";
/// Name of the file in the record's directory that holds the kept bytes.
pub(super) const LOG_FILE: &str = "log";
/// Name of the file in the record's directory that says what of the network answered `configure`, which may use it.
pub(super) const CONTROL_FILE: &str = "network.json";
/// Longest that the guard waits before it starts the algorithm, in whole seconds.
pub const LONGEST_WAIT_SECONDS: i64 = isolation::PATIENCE.as_secs().cast_signed();
/// Name of the file in the record's directory that says which bytes came when and from where.
pub(super) const INDEX_FILE: &str = "frames.jsonl";

/// Exit code when a limit ended the algorithm; the number that OEP-12's clients know for it.
const LIMIT_EXCEEDED: u8 = 42;
/// Exit codes for what never ran, as shells and container runtimes use them.
const REFUSED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// How long after SIGTERM the algorithm may still tidy up.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the guard with `arguments` (without the program's name) and answers the process's exit code.
///
/// To be called first thing in a process that has one thread and does nothing else. What the guard itself has to say goes
/// to standard error as one sentence.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            say(&error);
            return ExitCode::from(REFUSED);
        }
    };
    let code = execute(&arguments).unwrap_or_else(|error| {
        say(&error);
        let mut log = record::empty();
        if matches!(error, Error::AlreadyRan(_)) {
            // There is a log, and it is not this run's to speak for.
            log.completeness = Completeness::Unverified;
        }
        let ending = never_ran(error.reason(), None, log);
        if let Err(error) = ending.write(&arguments.message) {
            say(&Error::message(&arguments.message, error));
        }
        REFUSED
    });
    ExitCode::from(code)
}

fn execute(arguments: &Arguments) -> Result<u8, Error> {
    close_fds::set_fds_cloexec(3, &[]);
    walls::inspect(arguments.development)?;
    let terminate = supervise::on_terminate()?;
    let record = Record::create(&arguments.record, arguments.log_bytes)?;
    let isolation = match isolation::find_out(arguments, &terminate) {
        Err(error @ Error::Unproven(_)) => return not_isolated(arguments, record, &error),
        found => found?,
    };
    walls::raise(arguments)?;
    let deadline = Instant::now()
        .checked_add(Duration::from_secs(arguments.seconds))
        .ok_or_else(|| Error::Usage("--seconds is too large".to_owned()))?;
    let shelter = shelter::Shelter::around(arguments);
    let started = match shelter.start(&arguments.command)? {
        Ok(started) => started,
        Err(error) => return not_started(arguments, record, isolation, &error),
    };
    let usage = usage::Watch::start(arguments.watch.clone(), arguments.disk_bytes)?;
    let before = walls::memory_kills();
    let mut supervision = Supervision {
        reaper: Reaper::new(started.pid),
        stdout: Some(started.stdout),
        stderr: Some(started.stderr),
        outlet: outlet::Outlet::default(),
        record,
        deadline,
        memory: arguments.memory_bytes.map(memory::Watch::new),
        terminate,
    };
    let mut reason = supervision.until_end(&usage, GRACE)?;
    let drained = supervision.end_everything();
    if usage.measure_now() {
        // A limit seen only now counts too: what a job may use must not depend on when the guard looked.
        reason = reason.or(Some(Reason::DiskExceeded));
    }
    let status = supervision.reaper.status();
    if reason.is_none() && !arguments.development && walls::memory_kills() > before {
        reason = status
            .and_then(rustix::process::WaitStatus::terminating_signal)
            .map(|_| Reason::MemoryExceeded);
    }
    let log = supervision.record.finish(started.sheltered && drained)?;
    let ending = Ending::Algorithm {
        exit_code: status.and_then(rustix::process::WaitStatus::exit_status),
        signal: status.and_then(rustix::process::WaitStatus::terminating_signal),
        reason,
        isolation,
        log,
    };
    tell(arguments, &ending)?;
    Ok(exit_code(&ending))
}

/// The cluster's denial of the network is required and was not seen: the record stays, empty and whole.
fn not_isolated(arguments: &Arguments, record: Record, error: &Error) -> Result<u8, Error> {
    say(error);
    let log = record.finish(true)?;
    let ending = never_ran(error.reason(), Some(Isolation::Unproven), log);
    tell(arguments, &ending)?;
    Ok(REFUSED)
}

/// The algorithm's program could not be executed: the record stays, empty and whole.
fn not_started(
    arguments: &Arguments,
    record: Record,
    isolation: Option<Isolation>,
    error: &std::io::Error,
) -> Result<u8, Error> {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    say(&Error::Start {
        program: arguments.program(),
        source: std::io::Error::from(error.kind()),
    });
    let reason = if missing {
        Reason::NoShell
    } else {
        Reason::AlgorithmFailed
    };
    let ending = never_ran(Some(reason), isolation, record.finish(true)?);
    tell(arguments, &ending)?;
    Ok(if missing { NOT_FOUND } else { NOT_EXECUTABLE })
}

/// The record is the authority; the termination message is how the news travels.
fn tell(arguments: &Arguments, ending: &Ending) -> Result<(), Error> {
    record::write_ending(&arguments.record, ending)?;
    ending
        .write(&arguments.message)
        .map_err(|source| Error::message(&arguments.message, source))
}

fn never_ran(reason: Option<Reason>, isolation: Option<Isolation>, log: LogSummary) -> Ending {
    Ending::Algorithm {
        exit_code: None,
        signal: None,
        reason,
        isolation,
        log,
    }
}

/// The guard's exit code for an ending: limits that it enforced are 42, everything else is the algorithm's own, signals as
/// shells show them.
fn exit_code(ending: &Ending) -> u8 {
    let Ending::Algorithm {
        exit_code,
        signal,
        reason,
        ..
    } = ending
    else {
        return REFUSED;
    };
    if matches!(reason, Some(Reason::DiskExceeded | Reason::TimeExceeded)) {
        return LIMIT_EXCEEDED;
    }
    let number = exit_code.or(signal.map(|signal| 128 + signal));
    number
        .and_then(|number| u8::try_from(number).ok())
        .unwrap_or(REFUSED)
}

/// One sentence with its causes on standard error. That it cannot be written changes nothing.
fn say(error: &Error) {
    say_text(&super::ending::detail(error));
}

fn say_text(text: &str) {
    if writeln!(std::io::stderr(), "tidewatch-guard: {text}").is_err() {
        // Nobody is there to be told.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(exit_code: Option<i32>, signal: Option<i32>, reason: Option<Reason>) -> Ending {
        Ending::Algorithm {
            exit_code,
            signal,
            reason,
            isolation: None,
            log: record::empty(),
        }
    }

    #[test]
    fn exit_codes_pass_through_and_limits_are_42() {
        let table = [
            (ending(Some(0), None, None), 0),
            (ending(Some(7), None, None), 7),
            (ending(Some(42), None, None), 42),
            (ending(None, Some(11), None), 139),
            (ending(None, Some(9), Some(Reason::TimeExceeded)), 42),
            (ending(Some(0), None, Some(Reason::DiskExceeded)), 42),
            (ending(None, Some(9), Some(Reason::MemoryExceeded)), 137),
            (ending(None, None, None), REFUSED),
        ];
        for (ending, code) in table {
            assert_eq!(exit_code(&ending), code, "{ending:?}");
        }
    }
}
