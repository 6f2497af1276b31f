use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

/// How long killing may take: the kernel kills at once, but a process in uninterruptible sleep keeps its pipes open.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at what is left.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits for the algorithm and for every orphan that it leaves.
#[derive(Debug)]
pub(super) struct Reaper {
    algorithm: Pid,
    status: Option<WaitStatus>,
}

impl Reaper {
    pub(super) fn new(algorithm: Pid) -> Self {
        Self {
            algorithm,
            status: None,
        }
    }

    /// The algorithm's process.
    pub(super) fn algorithm(&self) -> Pid {
        self.algorithm
    }

    /// How the algorithm ended, once it has.
    pub(super) fn status(&self) -> Option<WaitStatus> {
        self.status
    }

    /// Takes note of every child that ended; answers whether any is left.
    pub(super) fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.algorithm => self.status = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Kills every other process that descends from this one, and waits for their ends; false when some would not die.
    ///
    /// As the first process of a pid namespace the kernel kills all at once. Elsewhere children are killed again and again
    /// until none is left: their orphans come to this process, which is a subreaper.
    pub(super) fn kill_everything(&mut self) -> bool {
        let give_up = Instant::now() + PATIENCE;
        while self.reap() {
            if Instant::now() > give_up {
                return false;
            }
            kill_once();
            thread::sleep(PAUSE);
        }
        true
    }

    /// Sends a signal to the algorithm's first process, as a container runtime would, if it is not reaped yet: afterwards the
    /// number may be somebody else's.
    pub(super) fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            gone_is_fine(rustix::process::kill_process(self.algorithm, signal));
        }
    }
}

fn kill_once() {
    let own = rustix::process::getpid();
    if own == Pid::INIT {
        // kill(-1): everything but this process itself, in this pid namespace only (kill(2)).
        gone_is_fine(rustix::process::kill_process_group(Pid::INIT, Signal::KILL));
        return;
    }
    for child in children_of(own) {
        gone_is_fine(rustix::process::kill_process(child, Signal::KILL));
    }
}

/// A process that ended meanwhile is what was wanted; there is no other error between processes of one user.
fn gone_is_fine(result: Result<(), Errno>) {
    if result.is_err() {
        // The caller looks again at what is left.
    }
}

/// Only own children can be killed by number without danger: their numbers stay theirs until this process reaps them.
fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let status = fs::read(entry.path().join("stat")).ok()?;
            (parent_in(&status)? == parent.as_raw_nonzero().get())
                .then(|| Pid::from_raw(pid))
                .flatten()
        })
        .collect()
}

/// The parent's pid in `/proc/<pid>/stat`: the second field after the name, which may itself hold spaces and brackets.
fn parent_in(status: &[u8]) -> Option<i32> {
    let name_end = status.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(status.get(name_end + 1..)?).ok()?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lie_about_the_parent() {
        assert_eq!(parent_in(b"12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in(b"12 (a) S 1 (b) R 7 12 12 0"), Some(7));
        assert_eq!(parent_in(b"12 (\xff) S 9 1"), Some(9));
        assert_eq!(parent_in(b"12"), None);
    }
}
