//! The buffers of UDP sockets: what is asked of the kernel, what it gives, and how much of it is taken.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Asked for on the sockets that receive, so that nothing is lost while nobody reads.
pub const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// Asked for on the sockets that send, so that a burst to thousands of subscribers fits.
pub const SEND_BUFFER_BYTES: usize = 8 << 20;

/// What the kernel gives, in the measure in which it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// Of each socket that receives.
    pub receive: usize,
    /// Of each socket that sends.
    pub send: usize,
}

/// What a socket would be given now.
pub fn granted_buffers() -> io::Result<Buffers> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
    let receive = ask_to_receive(&socket, RECEIVE_BUFFER_BYTES)?;
    Ok(Buffers { receive, send: ask_to_send(&socket, SEND_BUFFER_BYTES)? })
}

/// Asks for a receive buffer, beyond the system's limit where there is the privilege.
pub(super) fn ask_to_receive(socket: &Socket, bytes: usize) -> io::Result<usize> {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        socket.set_recv_buffer_size(bytes)?;
    }
    // The kernel doubles the figure for its own bookkeeping (socket(7)).
    Ok(socket.recv_buffer_size()? / 2)
}

/// Asks for a send buffer likewise.
pub(super) fn ask_to_send(socket: &Socket, bytes: usize) -> io::Result<usize> {
    if setsockopt(socket, sockopt::SndBufForce, &bytes).is_err() {
        socket.set_send_buffer_size(bytes)?;
    }
    Ok(socket.send_buffer_size()? / 2)
}

/// How full a socket's receive queue is, by the kernel's own reckoning: with what it needs itself for each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFill {
    /// What waits.
    pub bytes: u32,
    /// What may wait; beyond that packets are dropped.
    pub limit: u32,
}

/// Asks how full a socket's receive queue is (SO_MEMINFO). `None`: the kernel does not tell.
pub(super) fn queue_fill(socket: impl AsFd) -> Option<QueueFill> {
    // SK_MEMINFO_RMEM_ALLOC and SK_MEMINFO_RCVBUF are the first of its SK_MEMINFO_VARS figures.
    let mut figures = [0_u32; 9];
    let mut length = mem::size_of_val(&figures) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which are those of `figures`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            figures.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(QueueFill { bytes: figures[0], limit: figures[1] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_queue_fills_with_what_waits_there() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let before = queue_fill(&socket).expect("Linux tells");
        assert!(before.bytes == 0 && before.limit > 0, "{before:?}");
        socket.send_to(&[0; 1000], socket.local_addr().expect("bound")).expect("sent");
        let after = queue_fill(&socket).expect("Linux tells");
        assert!((1000..=after.limit).contains(&after.bytes), "{after:?}");
    }

    #[test]
    fn a_buffer_is_told_as_it_was_asked_for() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        assert_eq!(ask_to_receive(&socket, 65_536).expect("a small one"), 65_536);
        assert_eq!(ask_to_send(&socket, 65_536).expect("a small one"), 65_536);
        let granted = granted_buffers().expect("a socket");
        assert!(granted.receive <= RECEIVE_BUFFER_BYTES && granted.send <= SEND_BUFFER_BYTES, "{granted:?}");
        assert!(granted.receive >= 65_536 && granted.send >= 65_536, "{granted:?}");
    }
}
