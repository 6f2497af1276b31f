use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::error::Error;
use crate::stages::TERMINATION_MESSAGE;

/// The guard's command line. Read by hand: an argument parser would be most of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Directory of the job log.
    pub record: PathBuf,
    /// Directories whose disk use counts together.
    pub watch: Vec<PathBuf>,
    /// Most bytes of job log.
    pub log_bytes: u64,
    /// Seconds that the algorithm may run.
    pub seconds: u64,
    /// Most bytes on disk under the watched directories, and most bytes of any one file.
    pub disk_bytes: u64,
    /// Most bytes of memory that the algorithm's processes may have in all, where no container bounds them.
    pub memory_bytes: Option<u64>,
    /// Whether internet sockets are allowed.
    pub allow_network: bool,
    /// Whether the cluster's denial of the network is asked for before the start, and how much hangs on it.
    pub proof: Option<Proof>,
    /// Outside a pod: the guard sets `no_new_privs` itself and looks for no walls of the container.
    pub development: bool,
    /// Where the algorithm may read and execute, and nowhere else, where no container says so. Empty: everywhere.
    pub read: Vec<PathBuf>,
    /// Where it may write as well. It counts only beside `read`.
    pub write: Vec<PathBuf>,
    /// Where the termination message goes.
    pub message: PathBuf,
    /// The program and its arguments; never empty.
    pub command: Vec<OsString>,
}

/// How much hangs on the proof that the cluster denies the network. Each with the file that says which addresses to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is reported, and the algorithm runs either way.
    Preferred(PathBuf),
    /// Without it the algorithm does not run.
    Required(PathBuf),
}

impl Arguments {
    /// Reads the command line after the program's name.
    ///
    /// # Errors
    /// [`Error::Usage`] for anything unknown, missing, twice, or not a number.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, Error> {
        let mut given = Given::default();
        let mut rest = arguments;
        if rest.next().as_deref() != Some(OsStr::new("run")) {
            return Err(Error::Usage("the first word is not run".to_owned()));
        }
        while let Some(word) = rest.next() {
            let Some(flag) = word.to_str() else {
                return Err(Error::Usage(format!("{} is not known", word.display())));
            };
            if flag == "--" {
                return given.complete(rest.collect());
            }
            match flag {
                "--allow-network" => given.allow_network = true,
                "--development" => given.development = true,
                "--watch" => given.watch.push(value(flag, rest.next())?.into()),
                "--read" => given.read.push(value(flag, rest.next())?.into()),
                "--write" => given.write.push(value(flag, rest.next())?.into()),
                "--record" => once(flag, &mut given.record, rest.next())?,
                "--message" => once(flag, &mut given.message, rest.next())?,
                "--network-policy" => once(flag, &mut given.network_policy, rest.next())?,
                "--targets" => once(flag, &mut given.targets, rest.next())?,
                "--log-bytes" => once(flag, &mut given.log_bytes, rest.next())?,
                "--seconds" => once(flag, &mut given.seconds, rest.next())?,
                "--disk-bytes" => once(flag, &mut given.disk_bytes, rest.next())?,
                "--memory-bytes" => once(flag, &mut given.memory_bytes, rest.next())?,
                _ => return Err(Error::Usage(format!("{flag} is not known"))),
            }
        }
        Err(Error::Usage("-- and a command are missing".to_owned()))
    }

    /// The program's name for people.
    pub(super) fn program(&self) -> String {
        self.command
            .first()
            .map(|program| program.display().to_string())
            .unwrap_or_default()
    }
}

#[derive(Default)]
struct Given {
    record: Option<OsString>,
    watch: Vec<PathBuf>,
    log_bytes: Option<OsString>,
    seconds: Option<OsString>,
    disk_bytes: Option<OsString>,
    memory_bytes: Option<OsString>,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    allow_network: bool,
    development: bool,
    message: Option<OsString>,
    network_policy: Option<OsString>,
    targets: Option<OsString>,
}

impl Given {
    fn complete(self, command: Vec<OsString>) -> Result<Arguments, Error> {
        if command.is_empty() {
            return Err(Error::Usage("the command after -- is missing".to_owned()));
        }
        let proof = proof(self.network_policy, self.targets)?;
        let memory = self
            .memory_bytes
            .map(|given| number("--memory-bytes", Some(given)));
        Ok(Arguments {
            record: value("--record", self.record)?.into(),
            watch: self.watch,
            log_bytes: number("--log-bytes", self.log_bytes)?,
            seconds: number("--seconds", self.seconds)?,
            disk_bytes: number("--disk-bytes", self.disk_bytes)?,
            memory_bytes: memory.transpose()?,
            read: self.read,
            write: self.write,
            allow_network: self.allow_network,
            proof,
            development: self.development,
            message: self
                .message
                .map_or_else(|| PathBuf::from(TERMINATION_MESSAGE), PathBuf::from),
            command,
        })
    }
}

fn proof(policy: Option<OsString>, targets: Option<OsString>) -> Result<Option<Proof>, Error> {
    let Some(policy) = policy else {
        return match targets {
            None => Ok(None),
            Some(_) => Err(Error::Usage("--targets needs --network-policy".to_owned())),
        };
    };
    let targets = PathBuf::from(value("--targets", targets)?);
    match policy.to_str() {
        Some("preferred") => Ok(Some(Proof::Preferred(targets))),
        Some("required") => Ok(Some(Proof::Required(targets))),
        _ => Err(Error::Usage(
            "--network-policy is neither preferred nor required".to_owned(),
        )),
    }
}

fn once(flag: &str, slot: &mut Option<OsString>, next: Option<OsString>) -> Result<(), Error> {
    match slot.replace(value(flag, next)?) {
        None => Ok(()),
        Some(_) => Err(Error::Usage(format!("{flag} is given twice"))),
    }
}

fn value(flag: &str, given: Option<OsString>) -> Result<OsString, Error> {
    given.ok_or_else(|| Error::Usage(format!("{flag} is missing, or its value is")))
}

fn number(flag: &str, given: Option<OsString>) -> Result<u64, Error> {
    value(flag, given)?
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Usage(format!("{flag} is not a whole number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, Error> {
        Arguments::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn a_whole_command_line_is_read() {
        let arguments = parse(
            "run --record /data/record --watch /data/outputs --watch /data/logs --log-bytes 10 --seconds 20 --disk-bytes 30 \
             --allow-network --network-policy required --targets /tool/targets.json -- /bin/sh -c --record",
        )
        .unwrap();
        assert_eq!(
            arguments,
            Arguments {
                record: "/data/record".into(),
                watch: vec!["/data/outputs".into(), "/data/logs".into()],
                log_bytes: 10,
                seconds: 20,
                disk_bytes: 30,
                memory_bytes: None,
                read: Vec::new(),
                write: Vec::new(),
                allow_network: true,
                proof: Some(Proof::Required("/tool/targets.json".into())),
                development: false,
                message: "/dev/termination-log".into(),
                command: vec!["/bin/sh".into(), "-c".into(), "--record".into()],
            }
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            ("walk", "the first word is not run"),
            ("run --record", "--record is missing, or its value is"),
            ("run --record a --record b", "--record is given twice"),
            (
                "run --record a --seconds x --log-bytes 1 --disk-bytes 1 -- c",
                "--seconds is not a whole number",
            ),
            ("run --record a", "-- and a command are missing"),
            ("run --record a --", "the command after -- is missing"),
            ("run --unknown", "--unknown is not known"),
        ];
        for (line, sentence) in table {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.starts_with(sentence), "{line}: {said}");
        }
    }
}
