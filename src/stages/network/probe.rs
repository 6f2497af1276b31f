use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::targets::{Kind, Target, Targets};

/// A question for the root's name servers (RFC 1035): any server that is there answers it, with an answer or a refusal.
const QUESTION: [u8; 17] = [
    0x54, 0x57, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1,
];

/// Asks every target at once and answers which kinds answered within `patience`, each once.
///
/// It makes no thread, needs no name, and returns as soon as every target has said yes or no.
///
/// # Errors
/// The system does not wait for sockets. A socket that cannot be made, a route that is missing and a refused connection are
/// answers, and not errors: nothing came back.
pub(in crate::stages) fn answered(targets: &Targets, patience: Duration) -> io::Result<Vec<Kind>> {
    let end = Instant::now() + patience;
    let mut open: Vec<(Kind, OwnedFd)> = targets.0.iter().filter_map(ask).collect();
    let mut answered = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if open.is_empty() || left.is_zero() {
            return Ok(answered);
        }
        let mut ready = wait(&open, left)?.into_iter();
        open.retain(|(kind, socket)| {
            if !ready.next().unwrap_or(false) {
                return true;
            }
            if came_back(*kind, socket) && !answered.contains(kind) {
                answered.push(*kind);
            }
            false
        });
    }
}

/// Sends the first packet; `None` where the system itself says no.
fn ask(target: &Target) -> Option<(Kind, OwnedFd)> {
    let datagram = target.kind.is_datagram();
    let family = if target.address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let kind = if datagram {
        SocketType::DGRAM
    } else {
        SocketType::STREAM
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, kind, flags, None).ok()?;
    match rustix::net::connect(&socket, &target.address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(_) => return None,
    }
    if datagram {
        rustix::net::send(&socket, &QUESTION, SendFlags::NOSIGNAL).ok()?;
    }
    Some((target.kind, socket))
}

/// Which of the sockets have news.
fn wait(open: &[(Kind, OwnedFd)], patience: Duration) -> io::Result<Vec<bool>> {
    let mut watched: Vec<_> = open
        .iter()
        .map(|(kind, socket)| {
            let flags = if kind.is_datagram() {
                PollFlags::IN
            } else {
                PollFlags::OUT
            };
            PollFd::new(socket, flags)
        })
        .collect();
    let timeout = Timespec::try_from(patience).unwrap_or_default();
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(watched.iter().map(|fd| !fd.revents().is_empty()).collect())
}

/// Whether the news is an answer, and not a refusal.
fn came_back(kind: Kind, socket: &OwnedFd) -> bool {
    if kind.is_datagram() {
        let mut answer = [0; 512];
        return rustix::net::recv(socket, &mut answer, RecvFlags::empty()).is_ok();
    }
    sockopt::socket_error(socket).is_ok_and(|state| state.is_ok())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    /// Longer than any of these take; nothing waits for it in vain but the first.
    const BOUND: Duration = Duration::from_secs(10);

    fn target(kind: Kind, address: std::net::SocketAddr) -> Target {
        Target { kind, address }
    }

    #[test]
    fn what_listens_answers_and_what_refuses_or_is_silent_does_not() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let targets = Targets(vec![
            target(Kind::ApiServer, listening.local_addr().unwrap()),
            target(Kind::Node, closed),
            target(Kind::DnsUdp, silent.local_addr().unwrap()),
        ]);
        let found = answered(&targets, Duration::from_millis(200)).unwrap();
        assert_eq!(found, [Kind::ApiServer]);
    }

    #[test]
    fn a_name_server_answers_by_datagram() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let targets = Targets(vec![target(Kind::DnsUdp, server.local_addr().unwrap())]);
        let serving = std::thread::spawn(move || {
            let mut question = [0; 512];
            let (length, from) = server.recv_from(&mut question).unwrap();
            assert_eq!(question[..length], QUESTION);
            server.send_to(&question[..length], from).unwrap();
        });
        assert_eq!(answered(&targets, BOUND).unwrap(), [Kind::DnsUdp]);
        serving.join().unwrap();
    }

    #[test]
    fn ipv6_is_asked_as_well() {
        let listening = TcpListener::bind("[::1]:0").unwrap();
        let targets = Targets(vec![
            target(Kind::Ipv6, listening.local_addr().unwrap()),
            target(Kind::Ipv6, listening.local_addr().unwrap()),
        ]);
        assert_eq!(answered(&targets, BOUND).unwrap(), [Kind::Ipv6]);
    }
}
