//! The time of a world: it runs faster than the machine's, so that waits of seconds and minutes can be waited for.

use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

/// How often the time of the world is moved on, by the machine's clock.
const BEAT: Duration = Duration::from_millis(1);

/// How far it is moved: a request that is answered within the fifth of a second on a busy machine is not yet late.
const STEP: Duration = Duration::from_millis(50);

/// Moves the paused clock of this runtime on and on. A beat that finds the runtime busy is lost: time waits for whoever works.
///
/// The beating thread is one of the runtime's own: while it runs, tokio does not move a paused clock by itself, which it would
/// whenever everybody waits for a socket.
pub(super) fn make_haste() {
    let (beats, mut heard) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        while !beats.is_closed() {
            thread::sleep(BEAT);
            // Full: the last beat was not heard yet.
            _ = beats.try_send(());
        }
    });
    tokio::spawn(async move {
        while heard.recv().await.is_some() {
            tokio::time::advance(STEP).await;
        }
    });
}
