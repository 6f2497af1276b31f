//! An engine and its runner, without chain and ledger.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tidewatch::engine::{Engine, Observation, WorkflowPlan, WorkflowUid};
use tidewatch::ids::JobName;
use tidewatch::process::{ProcessEngine, Runner, Settings};
use tidewatch::results::{Access, Store};
use tidewatch::worker::{self, Pace, Wake};
use tidewatch::workflows::{Code, InputSpec, JobSpec};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::service::TIDEWATCH;
use crate::support::{eventually, job, random_hash};

/// What the publisher's file holds.
pub(super) const DATA: &str = "city,litres\nFaro,12\nNazare,30\n";

/// Nothing takes longer on the slowest machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The program under test, as it is open in this process: the job's user may not be able to reach where it was compiled (below `/root`,
/// say), and need not, as with the real engine, which starts itself.
fn program() -> PathBuf {
    static OPEN: LazyLock<File> = LazyLock::new(|| File::open(TIDEWATCH).unwrap());
    PathBuf::from(format!("/proc/self/fd/{}", OPEN.as_raw_fd()))
}

/// A directory with an engine in it, and a runner unless there shall be none.
pub(super) struct Bench {
    pub(super) engine: ProcessEngine,
    directory: tempfile::TempDir,
    _runner: Option<DropGuard>,
}

impl Bench {
    pub(super) fn start() -> Self {
        let mut bench = Self::without_runner();
        let stop = CancellationToken::new();
        let runner = Runner::new(bench.engine.clone()).unwrap();
        let pace = Pace::every(Duration::from_millis(20));
        tokio::spawn(worker::run(runner, pace, Wake::default(), stop.clone()));
        bench._runner = Some(stop.drop_guard());
        bench
    }

    pub(super) fn without_runner() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(directory.path(), open).unwrap();
        std::fs::write(directory.path().join("data.csv"), DATA).unwrap();
        let results = format!("file://{}", directory.path().join("results").display());
        let access = Access {
            allow_file: true,
            ..Access::default()
        };
        let records = Store::open(&results, &access).unwrap();
        let mut settings = Settings::new(directory.path().join("jobs"), results);
        settings.program = program();
        let engine = ProcessEngine::open(settings).unwrap().with_records(records);
        Self {
            engine,
            directory,
            _runner: None,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A plan that runs this line of shell.
    pub(super) fn plan(&self, shell: &str) -> WorkflowPlan {
        let image = ("docker.io/library/busybox", "none");
        let mut spec = job::spec(random_hash(), image, "exec sh $ALGO");
        spec.algorithm.code = Some(Code::from(shell));
        spec.inputs = vec![InputSpec {
            index: 0,
            url: format!("file://{}", self.path("data.csv").display()),
            checksum: None,
            content_type: None,
            secret: None,
        }];
        spec.resources.cpu = "1".to_owned();
        spec.resources.memory = "128Mi".to_owned();
        spec.resources.disk = "16Mi".to_owned();
        let job = random_hash().to_string();
        WorkflowPlan {
            job: format!("job-{}", &job[2..34]).parse().unwrap(),
            spec_digest: JobSpec::digest(&spec.to_bytes().unwrap()),
            spec,
            run_as: 10_000 + u32::from(random_hash()[0]),
            attempts_before: 0,
        }
    }

    /// Makes and starts a workflow.
    pub(super) async fn begin(&self, plan: &WorkflowPlan) -> WorkflowUid {
        let uid = self.engine.ensure(plan).await.unwrap().uid;
        assert!(self.engine.start(plan, &uid, 1).await.unwrap());
        uid
    }

    pub(super) async fn run(&self, plan: &WorkflowPlan) -> Observation {
        self.begin(plan).await;
        self.ended(&plan.job).await
    }

    /// The workflow once it is as wanted.
    pub(super) async fn when(
        &self,
        job: &JobName,
        what: &str,
        wanted: impl Fn(&Observation) -> bool,
    ) -> Observation {
        eventually(what, PATIENCE, || async {
            let seen = self.engine.observe(job).await.unwrap()?;
            wanted(&seen).then_some(seen)
        })
        .await
    }

    pub(super) async fn ended(&self, job: &JobName) -> Observation {
        let over = |seen: &Observation| seen.status.is_some_and(|status| status.outcome.is_some());
        self.when(job, "the attempt ended", over).await
    }

    /// A file of the volume.
    pub(super) fn volume(&self, job: &JobName, name: &str) -> PathBuf {
        self.path(&format!("jobs/jobs/{job}/attempts/1/data/{name}"))
    }

    /// What publishing stored under a key.
    pub(super) fn result(&self, job: &JobName, key: &str) -> Vec<u8> {
        let path = self.path(&format!("results/{job}/1/{key}"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(super) fn manifest(&self, job: &JobName) -> Value {
        serde_json::from_slice(&self.result(job, "manifest.json")).unwrap()
    }

    /// The record of the log, as the collector would take it.
    pub(super) async fn log(&self, job: &JobName) -> String {
        use futures::TryStreamExt;
        let stage = tidewatch::engine::Stage::Algorithm;
        let record = self.engine.record(job, 1, stage).await.unwrap().unwrap();
        let pieces: Vec<_> = record.try_collect().await.unwrap();
        String::from_utf8(pieces.concat()).unwrap()
    }
}
