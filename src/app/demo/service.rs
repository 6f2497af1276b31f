//! The service as an operator runs it: this program again, as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// A running service, killed when dropped.
#[derive(Debug)]
pub(super) struct Service {
    variables: Vec<(String, String)>,
    directory: PathBuf,
    child: Child,
    /// Base URL of its API.
    pub(super) api: String,
    /// The operators' token.
    pub(super) token: String,
}

impl Service {
    /// Brings the database to this version, as an operator would.
    pub(super) fn migrate(database: &str, directory: &Path) -> anyhow::Result<()> {
        let url = ("DATABASE_URL".to_owned(), database.to_owned());
        let migrated = command(&[url], directory)?.arg("migrate").output()?;
        let told = String::from_utf8_lossy(&migrated.stderr).into_owned();
        ensure!(
            migrated.status.success(),
            "the database could not be migrated: {told}"
        );
        Ok(())
    }

    /// Starts the service and waits until its API is ready.
    pub(super) async fn start(
        variables: Vec<(String, String)>,
        directory: &Path,
        listen: &str,
        token: &str,
    ) -> anyhow::Result<Self> {
        let child = spawn(&variables, directory)?;
        let (api, token) = (format!("http://{listen}"), token.to_owned());
        let mut service = Self {
            variables,
            directory: directory.to_owned(),
            child,
            api,
            token,
        };
        service.ready().await?;
        Ok(service)
    }

    /// Kills it without warning and starts it again.
    pub(super) async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.variables, &self.directory)?;
        self.ready().await
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/readyz", self.api);
        for _ in 0..300 {
            if let Some(status) = self.child.try_wait()? {
                bail!("the service ended ({status}); its log: {}", self.log());
            }
            if reqwest::get(&url)
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!(
            "the service was not ready within 30 s; its log: {}",
            self.log()
        )
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("service.log")).unwrap_or_default()
    }

    /// Asks the API for JSON, as an operator.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.ask(path).await?.json().await?)
    }

    /// Asks the API for bytes, as an operator.
    pub(super) async fn bytes(&self, path: &str) -> anyhow::Result<bytes::Bytes> {
        Ok(self.ask(path).await?.bytes().await?)
    }

    async fn ask(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let request = reqwest::Client::new()
            .get(format!("{}{path}", self.api))
            .bearer_auth(&self.token);
        let answer = request
            .send()
            .await
            .with_context(|| format!("the API did not answer {path}"))?;
        Ok(answer.error_for_status()?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // nothing to tell the user: the child is gone or will be with us
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn spawn(variables: &[(String, String)], directory: &Path) -> anyhow::Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.join("service.log"))?;
    let command = &mut command(variables, directory)?;
    Ok(command
        .arg("run")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?)
}

fn command(variables: &[(String, String)], directory: &Path) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("could not find this program's own file")?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir(directory)
        .stdin(Stdio::null());
    Ok(command)
}
