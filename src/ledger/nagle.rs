//! Connections to the database that send at once.
//!
//! sqlx 0.9.0 leaves Nagle's algorithm (RFC 896) on. A message that follows another without an answer between them, as the end of every
//! COPY does, then waits until the server has confirmed the first, and Linux confirms after 40 ms where there is nothing to send.
//! Measured with and without: 68 and 4 ms from a block's announcement to its commit, 1,700 and 4,300 judged events a second.
//!
//! sqlx does not give its sockets away, so they are looked for among our own: a socket that is sent to ourselves over a pair of others
//! arrives as a second handle of it (unix(7), `SCM_RIGHTS`), which is ours to set the option by and to close.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6, getpeername, sendmsg};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair, sockopt,
};

/// Has all connections of this process to servers at a port send at once. Where that cannot be done they are slower, and nothing else.
pub(super) fn send_at_once(port: u16) {
    for socket in connected_to(port) {
        sockopt::set_tcp_nodelay(socket, true).ok();
    }
}

/// A handle of every TCP socket of this process that is connected to that port.
fn connected_to(port: u16) -> Vec<OwnedFd> {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let sockets = numbers.filter(|number| port_of_peer(*number) == Some(port));
    // One that was closed meanwhile, or whose number is another's by now, is none of ours to set; the option does no harm to others.
    sockets
        .filter_map(|number| duplicate(number).ok()?)
        .collect()
}

fn port_of_peer(socket: RawFd) -> Option<u16> {
    let v4 = getpeername::<SockaddrIn>(socket).map(|peer| peer.port());
    v4.or_else(|_| getpeername::<SockaddrIn6>(socket).map(|peer| peer.port()))
        .ok()
}

fn duplicate(number: RawFd) -> io::Result<Option<OwnedFd>> {
    let (flags, kind) = (SocketFlags::CLOEXEC, SocketType::DGRAM);
    let (from, to) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
    let carried = [number];
    sendmsg::<()>(
        from.as_raw_fd(),
        &[IoSlice::new(b"1")],
        &[ControlMessage::ScmRights(&carried)],
        MsgFlags::MSG_DONTWAIT,
        None,
    )?;
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let (mut arrived, mut byte) = (RecvAncillaryBuffer::new(&mut room), [0]);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(to, &mut [IoSliceMut::new(&mut byte)], &mut arrived, flags)?;
    let mut handles = arrived.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut handles) => handles.next(),
        _ => None,
    });
    Ok(handles.next())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_to_the_port_and_no_others_send_at_once() {
        let [listener, other] = ["127.0.0.1:0", "[::1]:0"].map(|at| TcpListener::bind(at).unwrap());
        let port = listener.local_addr().unwrap().port();
        let ours = [(); 2].map(|()| TcpStream::connect(("127.0.0.1", port)).unwrap());
        let another = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        send_at_once(port);
        assert!(ours.iter().all(|socket| socket.nodelay().unwrap()));
        assert!(!another.nodelay().unwrap());
        send_at_once(other.local_addr().unwrap().port());
        assert!(another.nodelay().unwrap());
    }
}
