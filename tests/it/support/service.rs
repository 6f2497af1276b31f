//! The real program as a child process, as an operator would run it.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// The program under test.
pub(crate) const TIDEWATCH: &str = env!("CARGO_BIN_EXE_tidewatch");

/// A running `tidewatch run`, killed when dropped. Its log goes to a file that is shown when something fails.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
    /// Lines that were in the log before it started.
    told_before: usize,
    /// Base URL of its API.
    pub(crate) api: String,
}

impl Service {
    /// Starts it with exactly these variables, and waits until its API is ready.
    pub(crate) async fn start(
        variables: &[(String, String)],
        directory: &Path,
        name: &str,
    ) -> Self {
        Self::start_role("all", variables, directory, name).await
    }

    /// The same with certain roles only, the API among them.
    pub(crate) async fn start_role(
        role: &str,
        variables: &[(String, String)],
        directory: &Path,
        name: &str,
    ) -> Self {
        let mut service = Self::spawn_role(role, variables, directory, name);
        for _ in 0..600 {
            let ended = service.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{name} ended at its start: {}",
                service.log()
            );
            if service.is_ready().await {
                return service;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} was not ready within 60 s: {}", service.log())
    }

    /// Whether its API answers. It listens on a port that the system chose, and says so in its log.
    async fn is_ready(&mut self) -> bool {
        let Some(address) = self.told("the API listens") else {
            return false;
        };
        self.api = format!("http://{address}");
        let answer = reqwest::get(format!("{}/readyz", self.api)).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The address that it named in the log line with these words, since it was started.
    pub(crate) fn told(&self, words: &str) -> Option<String> {
        let log = self.log();
        let mut lines = log.lines().skip(self.told_before);
        let line = lines.find(|line| line.contains(words))?;
        let told: Value = serde_json::from_str(line).ok()?;
        told["address"].as_str().map(ToOwned::to_owned)
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(variables: &[(String, String)], directory: &Path, name: &str) -> Self {
        Self::spawn_role("all", variables, directory, name)
    }

    /// The same with certain roles only.
    pub(crate) fn spawn_role(
        role: &str,
        variables: &[(String, String)],
        directory: &Path,
        name: &str,
    ) -> Self {
        let log = directory.join(format!("{name}.log"));
        let told_before = std::fs::read_to_string(&log).map_or(0, |text| text.lines().count());
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = Command::new(TIDEWATCH)
            .args(["run", "--role", role])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LOG", "info,tidewatch=debug")
            .env("TIDEWATCH_API_LISTEN", "127.0.0.1:0")
            .env("TIDEWATCH_METRICS_LISTEN", "127.0.0.1:0")
            .envs(variables.iter().cloned())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            told_before,
            api: String::new(),
        }
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(9),
            "the service had ended by itself: {}",
            self.log()
        );
    }

    /// Asks it to stop and answers its exit code; fails if it takes longer than its own bound.
    pub(crate) async fn terminate(&mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.wait().await
    }

    /// Waits for it to end by itself and answers its exit code.
    pub(crate) async fn wait(&mut self) -> i32 {
        let child = &mut self.child;
        for _ in 0..400 {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the service did not end within 40 s: {}", self.log())
    }

    /// Everything it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("--- the end of {}", self.log.display());
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
