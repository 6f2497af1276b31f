use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::CONTROL_FILE;
use super::arguments::{Arguments, Proof};
use super::error::Error;
use crate::engine::Isolation;
use crate::stages::network::{Control, Kind, Targets, answered};

/// Longest that one round of asking takes. It is what every start of an algorithm costs where denied packets vanish; an
/// address in the cluster that is not denied answers in a few milliseconds.
const ROUND: Duration = Duration::from_millis(300);

/// Between two rounds while the denial is waited for.
const PAUSE: Duration = Duration::from_millis(200);

/// How long `required` waits for the cluster to deny the network: plugins reach new pods within seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What the algorithm's isolation from the network rests on, found out from inside its own pod.
///
/// To be called before the guard's own filter, which would answer for the cluster, and while there is one thread. With
/// [`Proof::Preferred`] it takes one round. With [`Proof::Required`] it asks until nothing answers any more, for 30 s at most and
/// until `terminate` becomes readable.
///
/// # Errors
/// [`Error::Unproven`] where the proof is required and cannot be had.
pub(super) fn find_out(
    arguments: &Arguments,
    terminate: &OwnedFd,
) -> Result<Option<Isolation>, Error> {
    let Some(proof) = &arguments.proof else {
        return Ok(None);
    };
    if arguments.allow_network {
        return Ok(Some(Isolation::Open));
    }
    let is_required = matches!(proof, Proof::Required(_));
    let Some(targets) = comparable(arguments, proof) else {
        return unproven(
            is_required,
            "nothing that can be asked answered configure either, so that silence proves nothing",
        );
    };
    let give_up = Instant::now() + PATIENCE;
    loop {
        let found = answered(&targets, ROUND).map_err(Error::system("ask the network"))?;
        if found.is_empty() {
            return Ok(Some(Isolation::Proven));
        }
        if !is_required || Instant::now() >= give_up || is_told_to_stop(terminate)? {
            return unproven(is_required, &listed(&found));
        }
    }
}

/// What to ask, if the control makes silence mean something. Files that are missing prove nothing either.
fn comparable(arguments: &Arguments, proof: &Proof) -> Option<Targets> {
    let (Proof::Preferred(path) | Proof::Required(path)) = proof;
    let control = Control::read(&arguments.record.join(CONTROL_FILE)).ok()?;
    let targets = Targets::read(path).ok()?;
    control.proves_something().then_some(targets)
}

fn unproven(is_required: bool, why: &str) -> Result<Option<Isolation>, Error> {
    if is_required {
        return Err(Error::Unproven(why.to_owned()));
    }
    Ok(Some(Isolation::Unproven))
}

fn listed(found: &[Kind]) -> String {
    let names: Vec<_> = found.iter().map(|kind| kind.as_str()).collect();
    format!("{} answered", names.join(", "))
}

/// Pauses, and answers whether a stop came meanwhile. It stays readable, so whoever asks again sees it too.
fn is_told_to_stop(terminate: &OwnedFd) -> Result<bool, Error> {
    let mut watched = [PollFd::from_borrowed_fd(terminate.as_fd(), PollFlags::IN)];
    let timeout = Timespec::try_from(PAUSE).unwrap_or_default();
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!watched[0].revents().is_empty()),
        Err(error) => Err(Error::system("wait for a stop")(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::path::Path;

    use super::*;

    /// A record with a control, and the file of targets, as `configure` and the init container leave them.
    fn arguments(directory: &Path, control: &str, target: SocketAddr, required: bool) -> Arguments {
        std::fs::write(directory.join(CONTROL_FILE), control).unwrap();
        let targets = directory.join("targets.json");
        let text = format!(r#"[{{"kind":"api_server","address":"{target}"}}]"#);
        std::fs::write(&targets, text).unwrap();
        let proof = if required {
            Proof::Required(targets)
        } else {
            Proof::Preferred(targets)
        };
        Arguments {
            record: directory.to_owned(),
            watch: Vec::new(),
            log_bytes: 0,
            seconds: 1,
            disk_bytes: 0,
            memory_bytes: None,
            read: Vec::new(),
            write: Vec::new(),
            allow_network: false,
            proof: Some(proof),
            development: false,
            message: directory.join("message"),
            command: vec!["true".into()],
        }
    }

    fn pipe() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader.into(), writer.into())
    }

    #[test]
    fn silence_proves_something_only_beside_an_answer_to_configure() {
        let directory = tempfile::tempdir().unwrap();
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let (terminate, _writer) = pipe();
        let find = |control, target| {
            let arguments = arguments(directory.path(), control, target, false);
            find_out(&arguments, &terminate).unwrap()
        };
        let answered = r#"["api_server"]"#;
        assert_eq!(find(answered, closed), Some(Isolation::Proven));
        assert_eq!(
            find(answered, open.local_addr().unwrap()),
            Some(Isolation::Unproven)
        );
        assert_eq!(find("[]", closed), Some(Isolation::Unproven));
        assert_eq!(find("broken", closed), Some(Isolation::Unproven));
    }

    #[test]
    fn what_is_required_is_waited_for_until_a_stop() {
        let directory = tempfile::tempdir().unwrap();
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = open.local_addr().unwrap();
        let required = |control| arguments(directory.path(), control, target, true);
        let (terminate, writer) = pipe();
        let error = find_out(&required("[]"), &terminate).unwrap_err();
        assert!(error.to_string().contains("proves nothing"), "{error}");

        rustix::io::write(&writer, b"x").unwrap();
        let error = find_out(&required(r#"["node"]"#), &terminate).unwrap_err();
        assert!(error.to_string().contains("api_server answered"), "{error}");
        assert_eq!(error.reason(), Some(crate::jobs::Reason::NetworkUnproven));

        let (terminate, _writer) = pipe();
        let closing = std::thread::spawn(move || {
            // As a plugin that is late: the first rounds are answered.
            let _first = open.accept().unwrap();
            drop(open);
        });
        let found = find_out(&required(r#"["node"]"#), &terminate).unwrap();
        assert_eq!(found, Some(Isolation::Proven));
        closing.join().unwrap();
    }

    #[test]
    fn what_the_publisher_opened_is_not_called_isolated() {
        let directory = tempfile::tempdir().unwrap();
        let target = "127.0.0.1:1".parse().unwrap();
        let (terminate, _writer) = pipe();
        let mut arguments = arguments(directory.path(), "[]", target, true);
        arguments.allow_network = true;
        let found = find_out(&arguments, &terminate).unwrap();
        assert_eq!(found, Some(Isolation::Open));
        arguments.proof = None;
        assert_eq!(find_out(&arguments, &terminate).unwrap(), None);
    }
}
