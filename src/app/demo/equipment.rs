//! What the demo stands on: a Postgres; and where it shows Kubernetes a cluster with our images and an S3 server that its pods reach. Made by the same scripts
//! as the tests' (`tests/equipment`, `tests/cluster`), ended when dropped. What the user named in the environment is used instead
//! and never ended.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::site::{Kind, cluster_directory};
use crate::app::config::Environment;
use crate::app::packages;

/// Where pods of the cluster of `tests/cluster` reach this machine: its bridge.
const GATEWAY: &str = "10.88.0.1";

/// A cluster, and what goes with it.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterParts {
    /// Its kubeconfig.
    pub(super) kubeconfig: PathBuf,
    /// Image of our stages, by digest.
    pub(super) image: String,
    /// Image for algorithms: a busybox with a shell, by digest.
    pub(super) algorithm_image: String,
    /// The S3 server's URL, reachable from here and from pods.
    pub(super) s3: String,
    /// Address of this machine that pods reach.
    host: String,
}

/// The parts, with what must be ended later.
#[derive(Debug, Default)]
pub(super) struct Equipment {
    /// The cluster, where one is used.
    pub(super) cluster: Option<ClusterParts>,
    /// URL of a Postgres superuser or owner, in whose server a database of the demo's own is made.
    pub(super) postgres: String,
    /// How each part was had, for telling.
    pub(super) told: Vec<String>,
    endings: Vec<Ending>,
}

/// A script with its arguments that ends a part.
#[derive(Debug)]
struct Ending {
    script: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Equipment {
    /// Makes or finds every part.
    ///
    /// # Errors
    /// A sentence that says what is missing and how to get it.
    pub(super) fn prepare(
        kind: Kind,
        environment: &Environment,
        state: &Path,
    ) -> anyhow::Result<Self> {
        let mut made = Self::default();
        if kind == Kind::Kubernetes {
            let scripts = Scripts::find()?;
            let mut parts = made.find_cluster(environment, &scripts)?;
            scripts.run("tests/equipment/packages", &["s3"])?;
            let directory = state.join("s3").to_string_lossy().into_owned();
            parts.s3 = made.start(
                &scripts,
                "tests/equipment/s3",
                (&directory, &[&parts.host]),
                &[],
            )?;
            made.told.push(format!("S3: moto at {}", parts.s3));
            made.cluster = Some(parts);
        }
        made.find_postgres(environment, state)?;
        Ok(made)
    }

    fn find_cluster(
        &mut self,
        environment: &Environment,
        scripts: &Scripts,
    ) -> anyhow::Result<ClusterParts> {
        if let Some(kubeconfig) = environment.get("KUBECONFIG") {
            let needed = |name: &str, what: &str| {
                let value = environment.get(name).map(str::to_owned);
                value
                    .with_context(|| format!("with a KUBECONFIG of yours, {name} must name {what}"))
            };
            let image = "an image that your cluster can pull, by digest";
            self.told
                .push(format!("Kubernetes: the cluster of {kubeconfig}"));
            return Ok(ClusterParts {
                kubeconfig: kubeconfig.into(),
                host: needed(
                    "TIDEWATCH_TEST_HOST",
                    "an address of this machine that pods reach",
                )?,
                image: needed("TIDEWATCH_IMAGE", image)?,
                algorithm_image: needed("TIDEWATCH_TEST_ALGORITHM_IMAGE", image)?,
                s3: String::new(),
            });
        }
        scripts.run("tests/equipment/packages", &["cluster"])?;
        let directory = cluster_directory(environment).to_owned();
        let kubeconfig = Path::new(&directory).join("admin.conf");
        let stood = kubeconfig.exists();
        scripts.run("tests/cluster/up", &[&directory])?;
        if !stood && environment.get("TIDEWATCH_KEEP_CLUSTER").is_none() {
            self.endings.push(Ending {
                script: scripts.path("tests/cluster/down"),
                arguments: vec![directory.clone()],
                variables: Vec::new(),
            });
        }
        let program = std::env::current_exe().context("could not find this program's own file")?;
        let guard = scripts.run("tests/equipment/guard", &["--release"])?;
        let program = program.to_string_lossy();
        let image = scripts.run("tests/cluster/stage-image", &[&directory, &program, &guard])?;
        let algorithm_image = scripts.run("tests/cluster/algorithm-image", &[&directory])?;
        let how = if stood {
            "stood already"
        } else {
            "started for this demo"
        };
        self.told.push(format!(
            "Kubernetes: the one of tests/cluster, {how}; KUBECONFIG names another"
        ));
        Ok(ClusterParts {
            kubeconfig,
            image,
            algorithm_image,
            s3: String::new(),
            host: GATEWAY.to_owned(),
        })
    }

    /// The user's server, else a private one from binaries of this machine, else from those of an npm package.
    fn find_postgres(&mut self, environment: &Environment, state: &Path) -> anyhow::Result<()> {
        if let Some(url) = environment.get("DATABASE_URL") {
            url.clone_into(&mut self.postgres);
            self.told.push(
                "Postgres: the server of DATABASE_URL, with a database of the demo's own"
                    .to_owned(),
            );
            return Ok(());
        }
        let scripts = Scripts::find()?;
        let packed = if scripts.has_postgres() {
            None
        } else if rustix::process::geteuid().is_root() {
            scripts.run("tests/equipment/packages", &["postgres"])?;
            None
        } else {
            let binaries = packages::postgres(&environment.cache_directory()).context(
                "there is no Postgres: install its server (on Debian: apt-get install postgresql), or name one by DATABASE_URL",
            )?;
            Some(binaries.to_string_lossy().into_owned())
        };
        let variables: Vec<_> = packed
            .iter()
            .map(|binaries| ("TIDEWATCH_POSTGRES_BIN", binaries.as_str()))
            .collect();
        let directory = state.join("postgres").to_string_lossy().into_owned();
        self.postgres = self.start(
            &scripts,
            "tests/equipment/postgres",
            (&directory, &[]),
            &variables,
        )?;
        let from = match packed {
            None => "the machine's binaries",
            Some(_) => "an npm package",
        };
        self.told.push(format!(
            "Postgres: a private server from {from}; DATABASE_URL names another"
        ));
        Ok(())
    }

    fn start(
        &mut self,
        scripts: &Scripts,
        script: &str,
        (directory, more): (&str, &[&str]),
        variables: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        self.endings.push(Ending {
            script: scripts.path(script),
            arguments: vec!["stop".to_owned(), directory.to_owned()],
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        });
        scripts.run_with(script, &[&["start", directory], more].concat(), variables)
    }
}

impl Drop for Equipment {
    fn drop(&mut self) {
        while let Some(Ending {
            script,
            arguments,
            variables,
        }) = self.endings.pop()
        {
            if let Err(error) = Command::new(&script)
                .args(arguments)
                .envs(variables)
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

    /// Whether this machine has the binaries of a server.
    fn has_postgres(&self) -> bool {
        let asked = Command::new(self.path("tests/equipment/postgres"))
            .args(["binaries", "/"])
            .stdin(Stdio::null())
            .output();
        asked.is_ok_and(|answer| answer.status.success())
    }

    /// Runs a script and answers the last line it printed. What it says on standard error goes to ours.
    fn run(&self, script: &str, arguments: &[&str]) -> anyhow::Result<String> {
        self.run_with(script, arguments, &[])
    }

    /// The same, with variables.
    fn run_with(
        &self,
        script: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let output = Command::new(self.path(script))
            .args(arguments)
            .envs(variables.iter().copied())
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
