use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};
use rustix::fs::OFlags;
use rustix::process::Pid;

use super::arguments::Arguments;
use super::error::Error;

/// Newest rights that are asked for; the crate leaves out what an older kernel does not know.
const RIGHTS: ABI = ABI::V5;

/// Stack of the starting thread. Fixed, because the default would be read from the image's environment.
const STACK_BYTES: usize = 1024 * 1024;

/// What the algorithm must not reach: the job log, the termination message, and the guard's own program.
///
/// Landlock knows no denials, only allowances, and one for a directory covers all beneath it. So every entry beside the way
/// down to a forbidden path is allowed by itself, and the directories on the way may only be listed. The price: nothing new
/// can be made directly in those directories (in a pod `/`, `/data` and `/dev`, which are not writable anyway).
#[derive(Debug)]
pub(super) struct Shelter {
    limits: Vec<(PathBuf, Grant)>,
    /// What may be reached at all; empty: everything but the limits.
    only: Vec<(PathBuf, Grant)>,
}

/// What a path may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grant {
    Nothing,
    List,
    Read,
    Everything,
}

/// A started algorithm.
#[derive(Debug)]
pub(super) struct Started {
    /// Its process, a child of this one and leader of a process group.
    pub(super) pid: Pid,
    /// What it prints.
    pub(super) stdout: OwnedFd,
    /// What it prints as errors.
    pub(super) stderr: OwnedFd,
    /// Whether the kernel enforces the rules.
    pub(super) sheltered: bool,
}

impl Shelter {
    pub(super) fn around(arguments: &Arguments) -> Self {
        let mut limits = Vec::new();
        if let Some(tool) = std::env::current_exe()
            .ok()
            .as_deref()
            .and_then(Path::parent)
        {
            limits.push((tool.to_owned(), Grant::Read));
        }
        for path in [&arguments.record, &arguments.message] {
            limits.push((resolved(path), Grant::Nothing));
        }
        let read = arguments.read.iter().map(|path| (path, Grant::Read));
        let write = arguments.write.iter().map(|path| (path, Grant::Everything));
        let given = read.chain(write);
        let only = match arguments.read.is_empty() {
            true => Vec::new(),
            false => given.map(|(path, grant)| (resolved(path), grant)).collect(),
        };
        Self { limits, only }
    }

    /// Starts `command` under the rules, with no input and piped output.
    ///
    /// The inner error is the kernel's answer to executing the program. Where Landlock is missing the program starts
    /// without it, and `sheltered` says so.
    ///
    /// # Errors
    /// No thread or no pipe could be made.
    pub(super) fn start(&self, command: &[OsString]) -> Result<Result<Started, io::Error>, Error> {
        let [program, arguments @ ..] = command else {
            return Err(Error::Usage("the command is missing".to_owned()));
        };
        let rules = self.rules(Path::new("/"));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let starter = move || {
            let sheltered = rules.is_ok_and(|rules| enter(&rules).unwrap_or(false));
            command.spawn().map(|child| (child, sheltered))
        };
        let thread = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(starter)
            .map_err(Error::system("make the starting thread"))?;
        let (mut child, sheltered) = match thread.join() {
            Ok(Ok(started)) => started,
            Ok(Err(error)) => return Ok(Err(error)),
            Err(_) => return Ok(Err(io::Error::other("the starting thread died"))),
        };
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Ok(Err(io::Error::other("no pipes")));
        };
        for pipe in [stdout.as_fd(), stderr.as_fd()] {
            // Only our ends; the algorithm's stay as they are.
            rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK)
                .map_err(Error::system("set a pipe non-blocking"))?;
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| {
            Error::system::<io::Error>("read the child's pid")(io::ErrorKind::InvalidData.into())
        })?;
        Ok(Ok(Started {
            pid,
            stdout: stdout.into(),
            stderr: stderr.into(),
            sheltered,
        }))
    }

    fn rules(&self, root: &Path) -> io::Result<Vec<(PathBuf, Grant)>> {
        if !self.only.is_empty() {
            return Ok(self.only.clone());
        }
        let mut rules = Vec::new();
        self.visit(root, Grant::Everything, &mut rules)?;
        Ok(rules)
    }

    fn visit(
        &self,
        path: &Path,
        inherited: Grant,
        rules: &mut Vec<(PathBuf, Grant)>,
    ) -> io::Result<()> {
        let own = self
            .limits
            .iter()
            .filter(|(limit, _)| limit == path)
            .map(|(_, grant)| *grant)
            .min();
        let grant = own.unwrap_or(inherited);
        let is_on_the_way = |(limit, deeper): &(PathBuf, Grant)| {
            limit != path && limit.starts_with(path) && *deeper < grant
        };
        if !self.limits.iter().any(is_on_the_way) {
            if grant > Grant::Nothing {
                rules.push((path.to_owned(), grant));
            }
            return Ok(());
        }
        rules.push((path.to_owned(), Grant::List));
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // The kernel judges what a link leads to, and that lies under a rule of its own.
            if !entry.file_type()?.is_symlink() {
                self.visit(&entry.path(), grant, rules)?;
            }
        }
        Ok(())
    }
}

/// The path without links, as the kernel will see it; its last part need not exist.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        match (parent, path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path.to_owned(),
        }
    })
}

/// Binds the calling thread and all it starts; answers whether the kernel enforces it.
fn enter(rules: &[(PathBuf, Grant)]) -> Result<bool, RulesetError> {
    // Scopes: the algorithm cannot send signals to the guard either.
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        .scope(Scope::Signal)?
        .create()?;
    for (path, grant) in rules {
        let descriptor = match PathFd::new(path) {
            Ok(descriptor) => descriptor,
            // Gone since it was listed, or not ours to open: not allowed is the safe side.
            Err(_) => continue,
        };
        let rights = rights(*grant, path.is_dir());
        ruleset = ruleset.add_rule(PathBeneath::new(descriptor, rights))?;
    }
    Ok(ruleset.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

fn rights(grant: Grant, directory: bool) -> BitFlags<AccessFs> {
    let rights = match grant {
        Grant::Nothing => BitFlags::empty(),
        Grant::List => AccessFs::ReadDir.into(),
        Grant::Read => AccessFs::from_read(RIGHTS),
        Grant::Everything => AccessFs::from_all(RIGHTS),
    };
    if directory {
        rights
    } else {
        rights & AccessFs::from_file(RIGHTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_beside_the_way_to_a_forbidden_path_is_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in [
            "data/record",
            "data/outputs",
            "data/inputs",
            "tool",
            "dev",
            "usr/bin",
        ] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        for path in ["dev/termination-log", "dev/null", "tool/guard"] {
            std::fs::write(root.join(path), "").unwrap();
        }
        std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
        let shelter = Shelter {
            limits: vec![
                (root.join("tool"), Grant::Read),
                (root.join("data/record"), Grant::Nothing),
                (root.join("dev/termination-log"), Grant::Nothing),
            ],
            only: Vec::new(),
        };
        let mut rules: Vec<_> = shelter
            .rules(root)
            .unwrap()
            .into_iter()
            .map(|(path, grant)| {
                let path = path.strip_prefix(root).unwrap().to_owned();
                (path.to_str().unwrap().to_owned(), grant)
            })
            .collect();
        rules.sort();
        let expected = [
            ("", Grant::List),
            ("data", Grant::List),
            ("data/inputs", Grant::Everything),
            ("data/outputs", Grant::Everything),
            ("dev", Grant::List),
            ("dev/null", Grant::Everything),
            ("tool", Grant::Read),
            ("usr", Grant::Everything),
        ];
        let expected = expected.map(|(path, grant)| (path.to_owned(), grant));
        assert_eq!(rules, expected);
    }

    #[test]
    fn a_file_gets_no_rights_of_directories() {
        let everything = rights(Grant::Everything, false);
        assert!(everything.contains(AccessFs::WriteFile));
        assert!(!everything.contains(AccessFs::ReadDir));
        assert_eq!(rights(Grant::List, true), AccessFs::ReadDir);
    }
}
