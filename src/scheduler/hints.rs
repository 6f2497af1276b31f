use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::worker::Wake;

/// Least time between two wake-ups: a burst of changes is one reason to look, not many.
const SPACING: Duration = Duration::from_millis(200);

/// Wait before a stream of changes that ended is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// Wakes the workers (observer, collector) whenever the engine tells of a change, until `stop` is cancelled. Hints only: a
/// worker that is never woken does the same at its own interval.
pub async fn forward_changes<E: Engine>(engine: E, wakes: Vec<Wake>, stop: CancellationToken) {
    let forwarding = async {
        loop {
            let mut changes = engine.changes();
            while changes.next().await.is_some() {
                for wake in &wakes {
                    wake.wake();
                }
                tokio::time::sleep(SPACING).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = forwarding => {}
    }
}
