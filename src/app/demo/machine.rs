//! The demo's own directories on this machine, where the process engine needs no more.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use url::Url;

use crate::process::{NO_WALL, ProcessEngine, Settings, end_all};

/// Directories below the demo's own.
#[derive(Debug)]
pub(super) struct Machine {
    jobs: PathBuf,
    results: PathBuf,
    files: PathBuf,
    engine: ProcessEngine,
}

impl Machine {
    /// Makes the directories below `state`.
    pub(super) fn make(state: &Path) -> anyhow::Result<Self> {
        let [jobs, results, files] = ["jobs", "results", "publisher"].map(|name| state.join(name));
        for directory in [&jobs, &results, &files] {
            fs::create_dir(directory)
                .with_context(|| format!("could not make {}", directory.display()))?;
        }
        // jobs of root run as users of their own, who pass through the first
        for (directory, mode) in [(&jobs, 0o711), (&results, 0o700), (&files, 0o700)] {
            fs::set_permissions(directory, fs::Permissions::from_mode(mode))?;
        }
        let settings = Settings::new(jobs.clone(), address(&results)?);
        let engine = ProcessEngine::open(settings)?;
        Ok(Self {
            jobs,
            results,
            files,
            engine,
        })
    }

    pub(super) fn told(&self) -> String {
        format!(
            "{NO_WALL}. Here the data is the demo's own, in {}",
            self.jobs.display()
        )
    }

    pub(super) fn publish(&self, key: &str, body: &str) -> anyhow::Result<String> {
        let path = self.files.join(key);
        fs::write(&path, body).with_context(|| format!("could not store {key}"))?;
        address(&path)
    }

    pub(super) fn result(&self, key: &str) -> anyhow::Result<Bytes> {
        let path = self.results.join(key);
        let read = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        Ok(Bytes::from(read))
    }

    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let directory = self.jobs.to_string_lossy().into_owned();
        vec![
            ("TIDEWATCH_ENGINE", "process".to_owned()),
            ("TIDEWATCH_PROCESS_DIR", directory),
            (
                "TIDEWATCH_RESULTS_URL",
                address(&self.results).unwrap_or_default(),
            ),
        ]
    }

    pub(super) fn algorithm_starts(&self, job: &str) -> anyhow::Result<usize> {
        Ok(self.engine.algorithm_starts(&job.parse()?)?)
    }

    pub(super) fn workflows(&self) -> anyhow::Result<usize> {
        Ok(self.engine.workflows()?)
    }

    pub(super) fn invitation(&self) -> String {
        format!("find {} -type f", self.results.display())
    }

    /// Ends what runs. The directories go with the demo's own.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        end_all(&self.jobs).context("jobs of the demo are left")
    }
}

fn address(path: &Path) -> anyhow::Result<String> {
    let url =
        Url::from_file_path(path).map_err(|()| anyhow!("{} is no whole path", path.display()))?;
    Ok(url.into())
}
