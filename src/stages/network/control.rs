use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Error, Kind, Targets, answered, failed};

/// Longest that `configure` asks: a round trip inside a cluster takes milliseconds, and the metadata address of most clusters
/// never answers.
const PATIENCE: Duration = Duration::from_millis(300);

/// Which kinds of address answered a pod that may use the network: the positive control of the proof.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::stages) struct Control(Vec<Kind>);

impl Control {
    /// Asks, from this pod. It takes at most 300 ms.
    ///
    /// # Errors
    /// The system does not wait for sockets.
    pub(in crate::stages) fn take(targets: &Targets) -> std::io::Result<Self> {
        answered(targets, PATIENCE).map(Self)
    }

    /// Whether anything answered, so that silence elsewhere means something.
    pub(in crate::stages) fn proves_something(&self) -> bool {
        !self.0.is_empty()
    }

    /// Its form in the file where the guard will look.
    pub(in crate::stages) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Reads what was written.
    pub(in crate::stages) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(failed("read", path))?;
        serde_json::from_slice(&bytes).map_err(failed("read", path))
    }
}
