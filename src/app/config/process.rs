use std::path::PathBuf;

use url::Url;

use super::engine::is_store;
use super::service::read_gateway;
use super::{Environment, Faults, ServiceOptions};
use crate::results;

/// Where and how jobs run as processes of this machine.
#[derive(Debug)]
pub struct ProcessConfig {
    /// Where their workflows and volumes lie.
    pub directory: PathBuf,
    /// Where results go.
    pub results_url: String,
    /// This process's own options for it, where it is the one that reads the records of logs.
    pub results_options: Option<results::Options>,
    /// File with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The gateway that `ipfs` inputs are had from.
    pub ipfs_gateway: Option<Url>,
}

pub(super) fn read_process(
    options: &ServiceOptions,
    environment: &Environment,
    faults: &mut Faults,
) -> ProcessConfig {
    let results_url = options.results_url.clone().unwrap_or_default();
    if !is_store(&results_url, true) {
        faults.add(
            "TIDEWATCH_RESULTS_URL",
            "must say where results go: file:///directory, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        );
    }
    // What only a cluster can promise is not silently left out.
    let promises = [
        (
            "TIDEWATCH_NETWORK_POLICY",
            &options.network_policy,
            "required",
        ),
        ("TIDEWATCH_USER_NAMESPACES", &options.user_namespaces, "on"),
    ];
    for (variable, given, promise) in promises {
        if given.as_deref() == Some(promise) {
            faults.add(
                variable,
                format!("is {promise}, which only a cluster can keep: use TIDEWATCH_ENGINE=kubernetes, or leave it out"),
            );
        }
    }
    if options.runtime_class.is_some() {
        faults.add(
            "TIDEWATCH_RUNTIME_CLASS",
            "is set, and only a cluster has sandboxes: use TIDEWATCH_ENGINE=kubernetes, or leave it out",
        );
    }
    let directory = options
        .process_dir
        .clone()
        .or_else(|| usual_directory(environment));
    if directory.is_none() {
        faults.add(
            "TIDEWATCH_PROCESS_DIR",
            "is required where there is no HOME: a directory for jobs",
        );
    }
    ProcessConfig {
        directory: directory.unwrap_or_default(),
        results_url,
        results_options: None,
        ca_file: options.ca_file.clone(),
        ipfs_gateway: read_gateway(options.ipfs_gateway.as_deref(), &mut Faults::default()),
    }
}

/// Where programs keep what they need again (XDG Base Directory Specification). Root's own place is closed to the users that its jobs
/// run as, so there it is the system's (Filesystem Hierarchy Standard, 5.8).
fn usual_directory(environment: &Environment) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/tidewatch/process"));
    }
    let state = environment.get("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(environment.get("HOME")?).join(".local/state"));
    Some(state.or_else(home)?.join("tidewatch/process"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::engine::read_engine;

    fn told(change: impl FnOnce(&mut ServiceOptions)) -> String {
        let mut options = ServiceOptions {
            engine: Some("process".to_owned()),
            results_url: Some("file:///tmp/results".to_owned()),
            process_dir: Some("/tmp/jobs".into()),
            ..ServiceOptions::default()
        };
        change(&mut options);
        let mut faults = Faults::default();
        read_engine(&options, &Environment::default(), &mut faults);
        faults.to_string()
    }

    #[test]
    fn processes_need_neither_image_nor_cluster_and_may_use_a_directory_for_results() {
        let well = told(|_| ());
        assert!(!well.contains("TIDEWATCH_"), "{well}");
        let nowhere = told(|options| options.results_url = Some("/tmp/results".to_owned()));
        assert!(nowhere.contains("file:///directory"), "{nowhere}");
    }

    #[test]
    fn what_only_a_cluster_can_promise_is_refused() {
        let required = told(|options| options.network_policy = Some("required".to_owned()));
        let said = "TIDEWATCH_NETWORK_POLICY is required, which only a cluster can keep";
        assert!(required.contains(said), "{required}");
        let namespaces = told(|options| options.user_namespaces = Some("on".to_owned()));
        assert!(
            namespaces.contains("TIDEWATCH_USER_NAMESPACES"),
            "{namespaces}"
        );
        let sandbox = told(|options| options.runtime_class = Some("gvisor".to_owned()));
        assert!(sandbox.contains("TIDEWATCH_RUNTIME_CLASS"), "{sandbox}");
    }

    #[test]
    fn a_directory_is_nothing_that_a_pod_can_reach() {
        let cluster = told(|options| options.engine = None);
        let said = "TIDEWATCH_RESULTS_URL is a directory of this machine, which no pod can reach";
        assert!(cluster.contains(said), "{cluster}");
        let said = "TIDEWATCH_PROCESS_DIR is for TIDEWATCH_ENGINE=process only";
        assert!(cluster.contains(said), "{cluster}");
    }
}
