use rustix::process::{DumpableBehavior, Resource, Rlimit};

use super::arguments::Arguments;
use super::error::Error;
use super::filter;

/// Most processes and threads of the job's user. Pids are shared by a whole node, and a user of its own per job makes this
/// limit the job's; numerical libraries start a thread per core and process, so it is generous.
const PROCESSES: u64 = 4096;

/// Least bytes of a process's own memory: the guard is bound by the limit as well, and needs its stacks.
const LEAST_DATA: u64 = 64 * 1024 * 1024;

/// What the index may take beside the log, at least; see `record.rs`.
const RECORD_SPARE: u64 = 1024 * 1024;

/// Looks at what the container runtime put around this process.
///
/// In a pod, `no_new_privs` and a seccomp filter (the runtime's default) must be in force already: without them the pod is not
/// the one that was asked for. In development it sets `no_new_privs` itself and says so on standard error.
///
/// # Errors
/// [`Error::Walls`], naming what is missing.
pub(super) fn inspect(development: bool) -> Result<(), Error> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(Error::system("read /proc/self/status"))?;
    if field(&status, "Threads") != Some("1") {
        return Err(Error::Walls("gave the guard a second thread"));
    }
    if development {
        rustix::thread::set_no_new_privs(true).map_err(Error::system("set no_new_privs"))?;
        super::say_text(
            "development: no_new_privs set here, the container's walls are not asked for",
        );
        return Ok(());
    }
    judge(&status)
}

fn judge(status: &str) -> Result<(), Error> {
    if field(status, "NoNewPrivs") != Some("1") {
        return Err(Error::Walls("allows its processes to gain privileges"));
    }
    // 2 is SECCOMP_MODE_FILTER, see proc(5).
    if field(status, "Seccomp") != Some("2") {
        return Err(Error::Walls("has no seccomp filter in force"));
    }
    Ok(())
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// Puts the guard's own walls around this process and everything it will start. It must have one thread still.
///
/// # Errors
/// The system refuses one of them; nothing may run then.
pub(super) fn raise(arguments: &Arguments) -> Result<(), Error> {
    limit(Resource::Core, 0)?;
    // The limit binds the guard too, and its record must fit even where a job may write less than it may print.
    let record = arguments.log_bytes.saturating_add(RECORD_SPARE);
    limit(Resource::Fsize, arguments.disk_bytes.max(record))?;
    limit(Resource::Nproc, PROCESSES)?;
    if let Some(bytes) = arguments.memory_bytes {
        // Beyond what is watched, for a process that takes it all between two looks.
        limit(Resource::Data, bytes.saturating_mul(2).max(LEAST_DATA))?;
    }
    // Same user, so the algorithm could otherwise open /proc/<guard>/fd and /proc/<guard>/mem.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(Error::system("become non-dumpable"))?;
    // Orphans come to this process even where it is not the first of its pid namespace, so that none is overlooked.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(Error::system("become the reaper of orphans"))?;
    for program in filter::programs(arguments.allow_network)? {
        seccompiler::apply_filter(&program)?;
    }
    Ok(())
}

/// Sets both limits, never above the hard limit that is there.
fn limit(resource: Resource, most: u64) -> Result<(), Error> {
    let present = rustix::process::getrlimit(resource).maximum;
    let most = Some(present.map_or(most, |present| present.min(most)));
    rustix::process::setrlimit(
        resource,
        Rlimit {
            current: most,
            maximum: most,
        },
    )
    .map_err(Error::system("lower a resource limit"))
}

/// How often the kernel killed a process of this container for its memory; 0 where it cannot be seen.
///
/// `memory.events` is cgroup v2's, `memory.oom_control` v1's; inside a container both show the container's own group.
pub(super) fn memory_kills() -> u64 {
    [
        "/sys/fs/cgroup/memory.events",
        "/sys/fs/cgroup/memory/memory.oom_control",
    ]
    .into_iter()
    .filter_map(|path| std::fs::read_to_string(path).ok())
    .find_map(|text| count_kills(&text))
    .unwrap_or(0)
}

fn count_kills(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_without_walls_is_refused() {
        let closed = "Name:\tx\nThreads:\t1\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert!(judge(closed).is_ok());
        let privileged = closed.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0");
        assert!(matches!(judge(&privileged), Err(Error::Walls(_))));
        let unconfined = closed.replace("Seccomp:\t2", "Seccomp:\t0");
        assert!(matches!(judge(&unconfined), Err(Error::Walls(_))));
        assert!(matches!(judge(""), Err(Error::Walls(_))));
    }

    #[test]
    fn memory_kills_are_read_from_both_versions_of_cgroups() {
        assert_eq!(count_kills("low 0\noom 3\noom_kill 2\n"), Some(2));
        assert_eq!(
            count_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            Some(1)
        );
        assert_eq!(count_kills("low 0\n"), None);
    }
}
