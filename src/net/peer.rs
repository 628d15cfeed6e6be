//! What the kernel knows of the other end of a TCP connection.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;
use socket2::{SockRef, Socket, TcpKeepalive};

use super::control::Marks;

/// A peer that answers nothing for so long has vanished.
pub const VANISHED_AFTER: Duration = Duration::from_secs(30);
/// With these a peer of an idle connection is found to have vanished after just that time.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEP_ALIVE_PROBES: u32 = 3;

/// How far a peer has come with what it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that it has acknowledged.
    pub acknowledged: u64,
    /// Whether packets are on their way to it.
    pub in_flight: bool,
    /// Since it acknowledged anything.
    pub last_answer_age: Duration,
}

/// Has the kernel notice a peer that vanishes: by keep-alive while nothing is on its way to it, and else by what it
/// leaves unacknowledged.
pub fn notice_vanishing(socket: &Socket) -> io::Result<()> {
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_AFTER)
        .with_interval(KEEP_ALIVE_EVERY)
        .with_retries(KEEP_ALIVE_PROBES);
    socket.set_tcp_keepalive(&keep_alive)?;
    socket.set_tcp_user_timeout(Some(VANISHED_AFTER))
}

/// Lets a peer leave data unacknowledged: the kernel would take one who has closed its window for a while, as a player
/// that is paused, for one who has vanished. Keep-alive stays.
pub fn allow_pauses(socket: &TcpStream) -> io::Result<()> {
    SockRef::from(socket).set_tcp_user_timeout(None)
}

/// Has packets of a connection say that they are of this class (DSCP).
pub fn mark_connection(socket: &TcpStream, dscp: u8) -> io::Result<()> {
    let class = Marks::traffic_class(dscp).into();
    if socket.local_addr()?.is_ipv6() {
        SockRef::from(socket).set_tclass_v6(class)
    } else {
        SockRef::from(socket).set_tos_v4(class)
    }
}

/// Asks how far the peer has come.
pub fn progress(socket: &TcpStream) -> io::Result<Progress> {
    // SAFETY: tcp_info is plain integers, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which are those of `info`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Progress {
        acknowledged: info.tcpi_bytes_acked,
        in_flight: info.tcpi_unacked > 0,
        last_answer_age: Duration::from_millis(info.tcpi_last_ack_recv.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let theirs = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        (listener.accept().expect("one").0, theirs)
    }

    #[test]
    fn what_a_peer_acknowledges_is_known() {
        let (mut ours, mut theirs) = pair();
        let before = progress(&ours).expect("a connection").acknowledged;
        ours.write_all(&[0; 1000]).expect("room");
        theirs.read_exact(&mut [0; 1000]).expect("sent");
        let reached = |at| progress(&ours).expect("a connection").acknowledged >= at;
        while !reached(before + 1000) {
            std::thread::yield_now(); // a delayed acknowledgement
        }
        assert!(progress(&ours).expect("a connection").last_answer_age < VANISHED_AFTER);
    }
}
