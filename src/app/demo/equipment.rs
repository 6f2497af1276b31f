//! What the demo stands on: a cluster with our images, an S3 server that its pods reach, and a Postgres. Made by the same scripts
//! as the tests' (`tests/equipment`, `tests/cluster`), ended when dropped. What the user named in the environment is used instead
//! and never ended.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::app::config::Environment;

/// Where pods of the cluster of `tests/cluster` reach this machine: its bridge.
const GATEWAY: &str = "10.88.0.1";

/// The parts, with what must be ended later.
#[derive(Debug)]
pub(super) struct Equipment {
    /// Kubeconfig of the cluster.
    pub(super) kubeconfig: PathBuf,
    /// Image of our stages, by digest.
    pub(super) image: String,
    /// Image for algorithms: a busybox with a shell, by digest.
    pub(super) algorithm_image: String,
    /// The S3 server's URL, reachable from here and from pods.
    pub(super) s3: String,
    /// URL of a Postgres superuser or owner, in whose server a database of the demo's own is made.
    pub(super) postgres: String,
    /// How each part was had, for telling.
    pub(super) told: Vec<String>,
    /// Address of this machine that pods reach.
    host: String,
    endings: Vec<Ending>,
}

/// A script with its arguments that ends a part.
#[derive(Debug)]
struct Ending(PathBuf, Vec<String>);

impl Equipment {
    /// Makes or finds every part.
    ///
    /// # Errors
    /// A sentence that says what is missing and how to get it.
    pub(super) fn prepare(environment: &Environment, state: &Path) -> anyhow::Result<Self> {
        let scripts = Scripts::find()?;
        let mut made = Self {
            kubeconfig: PathBuf::new(),
            image: String::new(),
            algorithm_image: String::new(),
            s3: String::new(),
            postgres: String::new(),
            told: Vec::new(),
            host: GATEWAY.to_owned(),
            endings: Vec::new(),
        };
        made.find_cluster(environment, &scripts)?;
        made.start_servers(environment, &scripts, state)?;
        Ok(made)
    }

    fn find_cluster(&mut self, environment: &Environment, scripts: &Scripts) -> anyhow::Result<()> {
        if let Some(kubeconfig) = environment.get("KUBECONFIG") {
            self.kubeconfig = kubeconfig.into();
            let needed = |name: &str, what: &str| {
                let value = environment.get(name).map(str::to_owned);
                value
                    .with_context(|| format!("with a KUBECONFIG of yours, {name} must name {what}"))
            };
            let image = "an image that your cluster can pull, by digest";
            self.host = needed(
                "TIDEWATCH_TEST_HOST",
                "an address of this machine that pods reach",
            )?;
            self.image = needed("TIDEWATCH_IMAGE", image)?;
            self.algorithm_image = needed("TIDEWATCH_TEST_ALGORITHM_IMAGE", image)?;
            self.told
                .push(format!("Kubernetes: the cluster of {kubeconfig}"));
            return Ok(());
        }
        scripts.run("tests/equipment/packages", &["cluster"])?;
        let directory = environment
            .get("TIDEWATCH_CLUSTER")
            .unwrap_or("/tmp/tidewatch-cluster")
            .to_owned();
        let kubeconfig = Path::new(&directory).join("admin.conf");
        let stood = kubeconfig.exists();
        scripts.run("tests/cluster/up", &[&directory])?;
        if !stood && environment.get("TIDEWATCH_KEEP_CLUSTER").is_none() {
            self.endings.push(Ending(
                scripts.path("tests/cluster/down"),
                vec![directory.clone()],
            ));
        }
        let program = std::env::current_exe().context("could not find this program's own file")?;
        let guard = scripts.run("tests/equipment/guard", &["--release"])?;
        let program = program.to_string_lossy();
        self.image = scripts.run("tests/cluster/stage-image", &[&directory, &program, &guard])?;
        self.algorithm_image = scripts.run("tests/cluster/algorithm-image", &[&directory])?;
        self.kubeconfig = kubeconfig;
        let how = if stood {
            "stood already"
        } else {
            "started for this demo"
        };
        self.told.push(format!(
            "Kubernetes: the one of tests/cluster, {how}; KUBECONFIG names another"
        ));
        Ok(())
    }

    fn start_servers(
        &mut self,
        environment: &Environment,
        scripts: &Scripts,
        state: &Path,
    ) -> anyhow::Result<()> {
        let directory = |name: &str| state.join(name).to_string_lossy().into_owned();
        scripts.run("tests/equipment/packages", &["postgres", "s3"])?;
        let host = self.host.clone();
        self.s3 = self.start(scripts, "tests/equipment/s3", &directory("s3"), &[&host])?;
        self.told.push(format!("S3: moto at {}", self.s3));
        if let Some(url) = environment.get("DATABASE_URL") {
            url.clone_into(&mut self.postgres);
            self.told.push(
                "Postgres: the server of DATABASE_URL, with a database of the demo's own"
                    .to_owned(),
            );
        } else {
            self.postgres = self.start(
                scripts,
                "tests/equipment/postgres",
                &directory("postgres"),
                &[],
            )?;
            self.told
                .push("Postgres: a private server; DATABASE_URL names another".to_owned());
        }
        Ok(())
    }

    fn start(
        &mut self,
        scripts: &Scripts,
        script: &str,
        directory: &str,
        more: &[&str],
    ) -> anyhow::Result<String> {
        let ending = Ending(
            scripts.path(script),
            vec!["stop".to_owned(), directory.to_owned()],
        );
        self.endings.push(ending);
        scripts.run(script, &[&["start", directory], more].concat())
    }
}

impl Drop for Equipment {
    fn drop(&mut self) {
        while let Some(Ending(script, arguments)) = self.endings.pop() {
            if let Err(error) = Command::new(&script)
                .args(arguments)
                .stdin(Stdio::null())
                .status()
            {
                tracing::warn!(script = %script.display(), %error, "could not end a part of the demo");
            }
        }
    }
}

/// The scripts of this project's checkout.
#[derive(Debug)]
struct Scripts(PathBuf);

impl Scripts {
    /// Finds the checkout: the working directory or the nearest one above it.
    fn find() -> anyhow::Result<Self> {
        let here = std::env::current_dir()?;
        let root = here
            .ancestors()
            .find(|directory| directory.join("tests/cluster/up").exists());
        let Some(root) = root else {
            bail!(
                "the demo uses scripts of Tidewatch's checkout: run it there, or name a cluster by KUBECONFIG"
            );
        };
        Ok(Self(root.to_owned()))
    }

    fn path(&self, script: &str) -> PathBuf {
        self.0.join(script)
    }

    /// Runs a script and answers the last line it printed. What it says on standard error goes to ours.
    fn run(&self, script: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(self.path(script))
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("could not run {script}"))?;
        ensure!(
            output.status.success(),
            "{script} {} failed: {}",
            arguments.join(" "),
            output.status
        );
        let text = String::from_utf8(output.stdout)
            .with_context(|| format!("{script} printed no text"))?;
        Ok(text.trim().lines().last().unwrap_or_default().to_owned())
    }
}
