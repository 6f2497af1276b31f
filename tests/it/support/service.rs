//! The real program as a child process, as an operator would run it.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program under test.
pub(crate) const TIDEWATCH: &str = env!("CARGO_BIN_EXE_tidewatch");

/// A running `tidewatch run`, killed when dropped. Its log goes to a file that is shown when something fails.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
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
        let mut service = Self::spawn(variables, directory, name);
        let ready = format!("{}/readyz", service.api);
        for _ in 0..600 {
            let ended = service.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{name} ended at its start: {}",
                service.log()
            );
            if reqwest::get(&ready)
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                return service;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} was not ready within 60 s: {}", service.log())
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(variables: &[(String, String)], directory: &Path, name: &str) -> Self {
        let log = directory.join(format!("{name}.log"));
        let listen = free_address();
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = Command::new(TIDEWATCH)
            .arg("run")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LOG", "info,tidewatch=debug")
            .env("TIDEWATCH_API_LISTEN", &listen)
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
            api: format!("http://{listen}"),
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

/// An address on this machine that nobody listens on now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
