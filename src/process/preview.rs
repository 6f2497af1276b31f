use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::Error;
use super::engine::is_printed;
use super::shelf::Shelf;
use crate::engine::LogStream;
use crate::ids::JobName;

/// Bytes read of a log at a time.
const PIECE: usize = 16 * 1024;

/// Between two looks for more.
const PAUSE: Duration = Duration::from_millis(100);

/// The log of an algorithm from its first byte, and on until it has ended. It is the guard's own record, which grows.
pub(super) async fn follow(
    shelf: Shelf,
    job: JobName,
    attempt: u32,
) -> Result<Option<LogStream<Error>>, Error> {
    let path = shelf.log(&job, attempt);
    let file = match File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("open", &path)(error)),
    };
    let following = Following {
        shelf,
        job,
        attempt,
        path,
        file,
        is_last_look: false,
    };
    let pieces = stream::unfold(Some(following), |following| async move {
        let mut following = following?;
        match following.next().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some((Ok(piece), Some(following))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Some(pieces.boxed()))
}

struct Following {
    shelf: Shelf,
    job: JobName,
    attempt: u32,
    path: PathBuf,
    file: File,
    is_last_look: bool,
}

impl Following {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let mut piece = vec![0; PIECE];
            let read = self.file.read(&mut piece).await;
            let read = read.map_err(Error::file("read", &self.path))?;
            if read > 0 {
                piece.truncate(read);
                return Ok(Some(Bytes::from(piece)));
            }
            if self.is_last_look {
                return Ok(None);
            }
            // What was printed before the end was seen is read once more after it.
            let workflow = self.shelf.find(&self.job)?;
            self.is_last_look = is_printed(workflow.as_ref(), self.attempt);
            if !self.is_last_look {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
