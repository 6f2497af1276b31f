use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// Shortest time between two looks.
const INTERVAL: Duration = Duration::from_millis(400);

/// Looks from time to time at the memory that the algorithm's processes have.
///
/// In a pod the container's control group bounds it, and this is not used. What counts is what a process does not share with the
/// files that it maps (`RssAnon` and `RssShmem` of proc(5)); pages that two processes still share after a fork count twice.
#[derive(Debug)]
pub(super) struct Watch {
    limit: u64,
    next: Option<Instant>,
}

impl Watch {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, next: None }
    }

    /// Whether it is more than allowed. Between two looks nothing is.
    pub(super) fn is_exceeded(&mut self, now: Instant) -> bool {
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(now + INTERVAL);
        of_descendants(std::process::id()) > self.limit
    }
}

/// A process as `/proc/<pid>/status` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    bytes: u64,
}

/// Bytes of every process that descends from `root`, which itself does not count. Orphans come to the guard, so none is missed.
fn of_descendants(root: u32) -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    let processes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        Some((pid, read(&status)?))
    });
    sum(&processes.collect(), root)
}

fn sum(processes: &HashMap<u32, Process>, root: u32) -> u64 {
    let descends = |mut pid: u32| {
        // No chain of parents is longer than there are processes.
        for _ in 0..=processes.len() {
            match processes.get(&pid) {
                Some(process) if process.parent == root => return true,
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        false
    };
    let counted = processes.iter().filter(|(pid, _)| descends(**pid));
    counted.map(|(_, process)| process.bytes).sum()
}

/// The kernel writes a process's name into the second line with control characters escaped, so no name forges a line.
fn read(status: &str) -> Option<Process> {
    let number = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let digits = value.split_whitespace().next()?;
        digits.parse::<u64>().ok()
    };
    let kibibytes = number("RssAnon").unwrap_or(0) + number("RssShmem").unwrap_or(0);
    Some(Process {
        parent: u32::try_from(number("PPid")?).ok()?,
        bytes: kibibytes * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_descends_counts_and_nothing_else() {
        let process = |parent, bytes| Process { parent, bytes };
        let processes = HashMap::from([
            (10, process(1, 1000)),
            (11, process(10, 1)),
            (12, process(11, 2)),
            (13, process(1, 4)),
            (14, process(99, 8)),
        ]);
        assert_eq!(sum(&processes, 10), 3);
        assert_eq!(sum(&processes, 12), 0);
    }

    #[test]
    fn a_status_is_read_and_mapped_files_do_not_count() {
        let status = "Name:\tPPid:\nPPid:\t7\nVmRSS:\t900 kB\nRssAnon:\t8 kB\nRssFile:\t800 kB\nRssShmem:\t1 kB\n";
        let process = Process {
            parent: 7,
            bytes: 9 * 1024,
        };
        assert_eq!(read(status), Some(process));
        let kernel_thread = "Name:\tkthreadd\nPPid:\t0\n";
        assert_eq!(read(kernel_thread).unwrap().bytes, 0);
    }
}
