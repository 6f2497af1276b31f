//! Finding and ending processes of stages, by what they were started with. Nothing here can hit another's process: between finding one
//! and ending it a descriptor of it is held (`pidfd_open`(2)), and what was found is looked at again.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What tells processes that are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark<'a> {
    /// The program of a stage: it was told to leave its ending there.
    Program(&'a Path),
    /// What an algorithm or a filter started, and it itself: it was told to write its results there. One that takes care to change its
    /// environment before it starts others is not found.
    Offspring(&'a Path),
    /// Any stage below a directory.
    Below(&'a Path),
}

impl Mark<'_> {
    fn is_on(&self, process: &Path) -> bool {
        let words = |file: &str| fs::read(process.join(file)).unwrap_or_default();
        match self {
            Self::Program(message) => {
                let flag = [&b"--message\0"[..], bytes(message), b"\0"].concat();
                contains(&words("cmdline"), &flag)
            }
            Self::Offspring(outputs) => {
                let variable = [&b"\0OUTPUTS="[..], bytes(outputs), b"\0"].concat();
                contains(&[&b"\0"[..], &words("environ")].concat(), &variable)
            }
            Self::Below(directory) => {
                let flag = [&b"--message\0"[..], bytes(directory), b"/"].concat();
                let variable = [&b"\0OUTPUTS="[..], bytes(directory), b"/"].concat();
                contains(&words("cmdline"), &flag)
                    || contains(&[&b"\0"[..], &words("environ")].concat(), &variable)
            }
        }
    }
}

fn bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether there are such processes.
pub(super) fn exist(mark: Mark<'_>) -> bool {
    !found(mark).is_empty()
}

/// Sends a signal to every such process; one that is gone meanwhile is what was wanted.
pub(super) fn signal(mark: Mark<'_>, signal: Signal) {
    for pid in found(mark) {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        let directory = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
        if mark.is_on(&directory) {
            // One that is gone, or another user's, shows when somebody looks again.
            pidfd_send_signal(&process, signal).ok();
        }
    }
}

/// Ends everything that this engine started below its directory, for whoever is about to delete it.
///
/// # Errors
/// Something is left after ten seconds.
pub fn end_all(directory: &Path) -> io::Result<()> {
    let directory = fs::canonicalize(directory)?;
    let below = Mark::Below(&directory);
    for _ in 0..1000 {
        if !exist(below) {
            return Ok(());
        }
        signal(below, Signal::KILL);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(io::Error::other("processes of jobs could not be ended"))
}

fn found(mark: Mark<'_>) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = std::process::id();
    let processes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let is_wanted = pid != own && is_living(&entry.path()) && mark.is_on(&entry.path());
        Pid::from_raw(i32::try_from(pid).ok()?).filter(|_| is_wanted)
    });
    processes.collect()
}

/// One that ended and was not waited for yet has no command line, but may still show an environment.
fn is_living(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let state = status
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_found_by_its_environment_and_ended() {
        let directory = tempfile::tempdir().unwrap();
        let outputs = directory.path().join("outputs");
        let mut child = Command::new("sleep")
            .arg("600")
            .env("OUTPUTS", &outputs)
            .spawn()
            .unwrap();
        assert!(!exist(Mark::Offspring(directory.path())));
        while !exist(Mark::Offspring(&outputs)) {}
        end_all(directory.path()).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
    }
}
