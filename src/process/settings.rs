use std::path::PathBuf;

use url::Url;

/// How jobs run on this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where workflows, their volumes and their secrets lie.
    pub directory: PathBuf,
    /// `file:///path`, or an object store.
    pub results_url: String,
    /// File with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The gateway that `ipfs` inputs are had from.
    pub ipfs_gateway: Option<Url>,
    /// The program whose command `stage` runs the stages. It is started as the job's user, who must be able to execute it.
    pub program: PathBuf,
}

impl Settings {
    /// Settings whose stages are run by this very program, also after its file was replaced or where the job's user cannot reach it.
    pub fn new(directory: PathBuf, results_url: String) -> Self {
        Self {
            directory,
            results_url,
            ca_file: None,
            ipfs_gateway: None,
            program: PathBuf::from("/proc/self/exe"),
        }
    }
}
