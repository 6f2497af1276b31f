use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use super::decide::leaving;
use super::shelf::write_private;
use super::stage_files::StageFiles;
use super::workflow::{Run, Workflow};
use super::{Error, Settings};
use crate::engine::Stage;
use crate::ids::Did;
use crate::stages::{ConfigurePlan, MOST_LOG_BYTES, PlanError, PublishPlan};
use crate::workflows::Quantity;

/// Where this machine's programs lie, and what they need: an algorithm may read and execute that, and nothing of anybody's own.
const SYSTEM: [&str; 13] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix",
    "/etc",
    "/proc",
    "/sys",
    "/dev/random",
    "/dev/urandom",
];

/// Devices that hold nothing.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// Where an algorithm's programs are looked for: what images use (Debian's and Alpine's `/etc/profile`).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a stage's program could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unstarted {
    /// Its files or its program.
    #[error(transparent)]
    Files(#[from] Error),
    /// What it should do cannot be written down.
    #[error("its plan cannot be made")]
    Plan(#[from] PlanError),
    /// Only an image could run.
    #[error(
        "the publisher's filter names no entrypoint, and the process engine does not run images"
    )]
    NoEntrypoint,
    /// The stage lives already, which the caller had ruled out.
    #[error("its program lives already")]
    Alive,
}

/// Starts the program of the last stage of a run, which was written down before. The program holds the stage's lock from its first
/// moment to its last: its standard input is the lock, and a child is made with it.
pub(super) fn start(
    settings: &Settings,
    secrets: &Path,
    (workflow, run): (&Workflow, &Run),
    (stage, files): (Stage, &StageFiles),
) -> Result<Child, Unstarted> {
    files.make()?;
    let launch = Launch {
        settings,
        secrets,
        workflow,
        run,
        files,
    };
    let mut command = match stage {
        Stage::Configure => launch.configure()?,
        Stage::Algorithm => launch.algorithm()?,
        Stage::Filter => launch.filter()?,
        Stage::Publish => launch.publish()?,
    };
    let lock = files.open_lock()?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(Unstarted::Alive);
    }
    let path = files.stderr();
    let stderr = File::create(&path).map_err(Error::file("make", &path))?;
    let started = command
        .stdin(lock)
        .stdout(Stdio::null())
        .stderr(stderr)
        // Of its own, so that Ctrl-C in a terminal is not for it.
        .process_group(0)
        .spawn();
    Ok(started.map_err(Error::file("start", &settings.program))?)
}

struct Launch<'a> {
    settings: &'a Settings,
    secrets: &'a Path,
    workflow: &'a Workflow,
    run: &'a Run,
    files: &'a StageFiles,
}

/// What a guarded program may reach of the job, and is told of it.
struct Guarded<'a> {
    stage: Stage,
    entrypoint: &'a str,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    variables: Vec<(&'static str, OsString)>,
    network: bool,
}

impl Launch<'_> {
    fn configure(&self) -> Result<Command, Unstarted> {
        let plan = ConfigurePlan::of(&self.workflow.spec, self.settings.ipfs_gateway.as_ref())?;
        let plan = serde_json::to_vec(&plan).map_err(PlanError::from)?;
        write_private(&self.files.plan, &plan)?;
        let mut command = self.own("configure");
        command.arg("--plan").arg(&self.files.plan);
        command.arg("--secrets").arg(self.secrets.join("inputs"));
        Ok(command)
    }

    fn publish(&self) -> Result<Command, Unstarted> {
        let release = &self.workflow.spec.release;
        let leaving = leaving(self.workflow, self.run);
        let plan = PublishPlan {
            job: self.workflow.job.clone(),
            attempt: self.run.attempt,
            results_url: self.settings.results_url.clone(),
            results: leaving.results,
            logs: leaving.logs,
            result_bytes: release.result_bytes,
            result_files: release.result_files,
            log_bytes: release.log_bytes.min(MOST_LOG_BYTES),
        };
        let plan = serde_json::to_string(&plan).map_err(PlanError::from)?;
        let mut command = self.own("publish");
        command.arg("--plan").arg(plan);
        command
            .arg("--credentials")
            .arg(self.secrets.join("results"));
        Ok(command)
    }

    /// One of our own stages.
    fn own(&self, stage: &str) -> Command {
        let mut command = self.program(stage);
        command
            .args(["--allow-file", "--data"])
            .arg(&self.files.data);
        command.arg("--message").arg(self.files.message());
        if let Some(authorities) = &self.settings.ca_file {
            command.arg("--ca-file").arg(authorities);
        }
        command
    }

    /// This program as a stage, with nothing of our own environment, which holds secrets.
    fn program(&self, stage: &str) -> Command {
        let mut command = Command::new(&self.settings.program);
        command.args(["stage", stage]).env_clear();
        command
    }

    fn algorithm(&self) -> Result<Command, Unstarted> {
        let spec = &self.workflow.spec;
        let data = |name: &str| self.files.data.join(name);
        let transformation = spec.algorithm.did.map(Did::digits).unwrap_or_default();
        self.guarded(&Guarded {
            stage: Stage::Algorithm,
            entrypoint: &spec.algorithm.entrypoint,
            read: ["inputs", "transformations", "ddos"].map(data).into(),
            write: ["outputs", "logs"].map(data).into(),
            // OEP-12's, with the places where they are here.
            variables: vec![
                ("VOLUME", self.files.data.clone().into()),
                ("INPUTS", data("inputs").into()),
                ("OUTPUTS", data("outputs").into()),
                ("LOGS", data("logs").into()),
                ("ALGO", data("transformations/algorithm").into()),
                ("DIDS", format!("[\"{}\"]", spec.did.digits()).into()),
                ("TRANSFORMATION_DID", transformation.into()),
            ],
            network: spec.allow_network,
        })
    }

    fn filter(&self) -> Result<Command, Unstarted> {
        let filter = self.workflow.spec.filter.as_ref();
        let entrypoint = filter.and_then(|filter| filter.entrypoint.as_deref());
        let data = |name: &str| self.files.data.join(name);
        self.guarded(&Guarded {
            stage: Stage::Filter,
            entrypoint: entrypoint.ok_or(Unstarted::NoEntrypoint)?,
            read: vec![data("outputs"), data("record")],
            write: vec![data("filtered")],
            variables: vec![
                ("VOLUME", self.files.data.clone().into()),
                ("INPUTS", data("outputs").into()),
                ("INPUT_LOG", data("record/log").into()),
                ("OUTPUTS", data("filtered/outputs").into()),
                ("OUTPUT_LOG", data("filtered/logs/log").into()),
            ],
            network: false,
        })
    }

    /// The guard around a command line, as far as an unprivileged process can be one; as a user of the job's own where this is root.
    fn guarded(&self, what: &Guarded<'_>) -> Result<Command, Unstarted> {
        let record = self.files.record(what.stage);
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&record);
        made.map_err(Error::file("make the directory", &record))?;
        let mut written = what.write.clone();
        written.push(self.files.tmp.clone());
        let mut command = self.program("guard");
        command.arg("run").arg("--record").arg(&record);
        for path in &written {
            command.arg("--watch").arg(path);
        }
        let resources = &self.workflow.spec.resources;
        let log = self.workflow.spec.release.log_bytes.min(MOST_LOG_BYTES);
        for (flag, number) in [
            ("--log-bytes", log),
            ("--seconds", u64::from(resources.max_execution_seconds)),
            ("--disk-bytes", size("disk", &resources.disk)?),
            ("--memory-bytes", size("memory", &resources.memory)?),
        ] {
            command.arg(flag).arg(number.to_string());
        }
        command.arg("--development");
        if what.network {
            command.arg("--allow-network");
        }
        command.arg("--message").arg(self.files.message());
        for path in SYSTEM.map(PathBuf::from).iter().chain(&what.read) {
            command.arg("--read").arg(path);
        }
        for path in DEVICES.map(PathBuf::from).iter().chain(&written) {
            command.arg("--write").arg(path);
        }
        command.args(["--", "/bin/sh", "-c", what.entrypoint]);
        command.envs(what.variables.iter().map(|(name, value)| (name, value)));
        command.envs([("PATH", PATH), ("LANG", "C.UTF-8")]);
        command
            .env("HOME", &self.files.tmp)
            .env("TMPDIR", &self.files.tmp);
        command.current_dir(&self.files.tmp);
        if rustix::process::geteuid().is_root() {
            written.extend([record, self.files.own.clone()]);
            if what.stage == Stage::Filter {
                let data = |name: &str| self.files.data.join(name);
                written.extend(["filtered/outputs", "filtered/logs"].map(data));
            }
            self.hand_over(&written)?;
            command.uid(self.workflow.run_as).gid(self.workflow.run_as);
        }
        Ok(command)
    }

    /// Gives directories to the job's user.
    fn hand_over(&self, directories: &[PathBuf]) -> Result<(), Error> {
        let user = Some(self.workflow.run_as);
        for path in directories {
            match chown(path, user, user) {
                // Whoever needs it will say that it is not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done.map_err(Error::file("give away", path))?,
            }
        }
        Ok(())
    }
}

fn size(what: &'static str, text: &str) -> Result<u64, PlanError> {
    let quantity: Quantity = text.parse().map_err(|bad| PlanError::Size(what, bad))?;
    Ok(quantity.whole())
}
