use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ids::DeploymentId;

/// How long it is taken for granted which deployment is shown. Another one takes its place only when a development chain was
/// restarted, and every request asks.
const GRANTED: Duration = Duration::from_secs(1);

/// The deployment that is shown, as it was last looked up.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Option<(DeploymentId, Instant)>>);

impl Shown {
    /// The deployment; `None` when it has to be looked up.
    pub(super) fn get(&self) -> Option<DeploymentId> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (deployment, at) = known?;
        (at.elapsed() < GRANTED).then_some(deployment)
    }

    /// Takes it for granted from now on.
    pub(super) fn put(&self, deployment: DeploymentId) {
        let known = Some((deployment, Instant::now()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}
