use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal};

use super::error::Error;
use super::memory;
use super::outlet::Outlet;
use super::processes::Reaper;
use super::record::{Record, Stream};
use super::usage;
use crate::jobs::Reason;

/// Most bytes taken from a pipe at once: what a pipe holds by default (pipe(7)).
const CHUNK_BYTES: usize = 64 * 1024;

/// How often limits and orphans are looked at while nothing is printed.
const TICK: Duration = Duration::from_millis(500);

/// How long the rest of the output may take once the algorithm is gone: it is in memory or in a pipe, so only a reader of our own
/// output that is stuck takes longer.
const DRAIN: Duration = Duration::from_secs(3);

/// Between two looks at pipes that somebody still holds.
const PAUSE: Duration = Duration::from_millis(2);

/// Number of SIGTERM on every Linux (signal(7)).
const SIGTERM: i32 = 15;

/// A running algorithm and everything that is kept of it.
pub(super) struct Supervision {
    pub(super) reaper: Reaper,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    pub(super) outlet: Outlet,
    pub(super) record: Record,
    pub(super) deadline: Instant,
    pub(super) memory: Option<memory::Watch>,
    pub(super) terminate: OwnedFd,
}

/// A descriptor that becomes readable when SIGTERM arrives.
///
/// The first process of a pid namespace gets only signals that it handles, so without this a stop would last until SIGKILL
/// and the record would have no ending.
pub(super) fn on_terminate() -> Result<OwnedFd, Error> {
    let (reader, writer) = io::pipe().map_err(Error::system("make a pipe"))?;
    signal_hook::low_level::pipe::register(SIGTERM, OwnedFd::from(writer))
        .map_err(Error::system("handle SIGTERM"))?;
    Ok(reader.into())
}

/// What is ready.
#[derive(Default)]
struct Ready {
    stdout: bool,
    stderr: bool,
    outlet: bool,
    terminate: bool,
}

/// Notes that one watched descriptor is ready.
type Mark = fn(&mut Ready);

impl Supervision {
    /// Copies output until the algorithm's first process has ended or has to end; answers the limit that it broke.
    ///
    /// SIGTERM is handed on, and `grace` later the algorithm has to end.
    ///
    /// # Errors
    /// The system refuses to wait.
    pub(super) fn until_end(
        &mut self,
        usage: &usage::Watch,
        grace: Duration,
    ) -> Result<Option<Reason>, Error> {
        let process = rustix::process::pidfd_open(self.reaper.algorithm(), PidfdFlags::empty())
            .map_err(Error::system("watch the algorithm's process"))?;
        let mut stop_at = None;
        loop {
            let now = Instant::now();
            if now >= self.deadline {
                return Ok(Some(Reason::TimeExceeded));
            }
            if usage.is_exceeded() {
                return Ok(Some(Reason::DiskExceeded));
            }
            if self
                .memory
                .as_mut()
                .is_some_and(|memory| memory.is_exceeded(now))
            {
                return Ok(Some(Reason::MemoryExceeded));
            }
            if stop_at.is_some_and(|stop_at| now >= stop_at) {
                return Ok(None);
            }
            let limit = stop_at.map_or(self.deadline, |stop_at| self.deadline.min(stop_at));
            let wait = TICK.min(limit.saturating_duration_since(now));
            let ready = self.wait(Some(&process), stop_at.is_none(), wait)?;
            self.copy(&ready);
            self.reaper.reap();
            if self.reaper.status().is_some() {
                return Ok(None);
            }
            if ready.terminate {
                self.reaper.signal(Signal::TERM);
                stop_at = Some(Instant::now() + grace);
            }
        }
    }

    /// Kills whatever is left and takes the rest of its output; false when some of it could not be had.
    pub(super) fn end_everything(&mut self) -> bool {
        let dead = self.reaper.kill_everything();
        let give_up = Instant::now() + DRAIN;
        // Nobody holds the other ends any more, so this reads what the pipes hold and then their end. Standard output is
        // not waited for: its reader may be stuck, and the record must not be.
        while dead && (self.stdout.is_some() || self.stderr.is_some()) {
            if Instant::now() > give_up {
                return false;
            }
            let progress = self.take(Stream::Stdout) | self.take(Stream::Stderr);
            if !progress {
                thread::sleep(PAUSE);
            }
        }
        while self.outlet.is_waiting() && Instant::now() < give_up {
            let Ok(ready) = self.wait(None, false, TICK) else {
                break;
            };
            self.copy(&ready);
        }
        dead
    }

    fn wait(
        &self,
        process: Option<&OwnedFd>,
        terminate: bool,
        timeout: Duration,
    ) -> Result<Ready, Error> {
        let stdout = io::stdout();
        let printing = self.outlet.is_waiting();
        let readable = |descriptor: Option<&OwnedFd>| descriptor.is_some() && !printing;
        let mut watched: Vec<(Mark, PollFd<'_>)> = Vec::with_capacity(5);
        if printing {
            watched.push((
                |ready| ready.outlet = true,
                PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::OUT),
            ));
        }
        if let Some(stdout) = self.stdout.as_ref().filter(|pipe| readable(Some(pipe))) {
            watched.push((
                |ready| ready.stdout = true,
                PollFd::new(stdout, PollFlags::IN),
            ));
        }
        if let Some(stderr) = self.stderr.as_ref().filter(|pipe| readable(Some(pipe))) {
            watched.push((
                |ready| ready.stderr = true,
                PollFd::new(stderr, PollFlags::IN),
            ));
        }
        if let Some(process) = process {
            watched.push((|_| {}, PollFd::new(process, PollFlags::IN)));
        }
        if terminate {
            watched.push((
                |ready| ready.terminate = true,
                PollFd::new(&self.terminate, PollFlags::IN),
            ));
        }
        let (marks, mut descriptors): (Vec<_>, Vec<_>) = watched.into_iter().unzip();
        let timeout = Timespec::try_from(timeout).unwrap_or_default();
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::system("wait for output")(error)),
        }
        let mut ready = Ready::default();
        for (mark, descriptor) in marks.into_iter().zip(&descriptors) {
            // An end or an error is news too: reading or writing tells which.
            if !descriptor.revents().is_empty() {
                mark(&mut ready);
            }
        }
        Ok(ready)
    }

    fn copy(&mut self, ready: &Ready) {
        if ready.outlet {
            self.outlet.print_some();
        }
        for (ready, stream) in [
            (ready.stdout, Stream::Stdout),
            (ready.stderr, Stream::Stderr),
        ] {
            if ready {
                self.take(stream);
            }
        }
    }

    /// Takes one chunk of a stream if there is one; answers whether there was, or the stream's end.
    fn take(&mut self, stream: Stream) -> bool {
        let slot = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(pipe) = slot else { return false };
        let mut chunk = [0; CHUNK_BYTES];
        match rustix::io::read(&*pipe, &mut chunk) {
            Ok(0) => *slot = None,
            Ok(read) => {
                let kept = self.record.append(stream, &chunk[..read]);
                // What the record does not keep is not shown either: the preview is never more than the record.
                self.outlet.push(&chunk[..kept]);
            }
            Err(Errno::INTR | Errno::AGAIN) => return false,
            Err(_) => *slot = None,
        }
        true
    }
}
