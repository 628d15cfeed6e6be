//! What comes back of datagrams that were sent: hosts that say that nobody listens at a port (ICMP port unreachable).
//!
//! The kernel keeps that for a socket of many destinations only if it is asked to (IP_RECVERR), and tells it twice: in
//! the socket's error queue, with the destination that it is about, and by failing a later send, to whomever that goes.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

/// Asks the kernel to keep what comes back.
pub fn keep_refusals(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
    }
    Ok(())
}

/// Takes up to `most` messages that came back, and returns the destinations at which nobody listens. What else comes
/// back is of routes, which may be others soon.
pub fn take_refusals(socket: &UdpSocket, most: usize) -> Vec<SocketAddr> {
    let mut control = nix::cmsg_space!([u8; 256]);
    let mut refusing = Vec::new();
    for _ in 0..most {
        let mut payload = [0; 1];
        let mut slices = [IoSliceMut::new(&mut payload)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)
        else {
            break;
        };
        let nobody_listens = message.cmsgs().is_ok_and(|mut all| all.any(|each| is_port_unreachable(&each)));
        refusing.extend(message.address.as_ref().and_then(address_of).filter(|_| nobody_listens));
    }
    refusing
}

fn is_port_unreachable(message: &ControlMessageOwned) -> bool {
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) = message
    else {
        return false;
    };
    let by_icmp = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
    by_icmp && error.ee_errno == Errno::ECONNREFUSED as u32
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn a_port_that_nobody_listens_at_is_named_and_one_that_is_read_is_not() {
        for host in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let bind = || UdpSocket::bind(SocketAddr::new(host, 0));
            let (Ok(socket), Ok(reader), Ok(closed)) = (bind(), bind(), bind()) else { continue }; // no IPv6
            keep_refusals(&socket).expect("a socket");
            let place = closed.local_addr().expect("bound");
            drop(closed);
            socket.send_to(b"to nobody", place).expect("what comes back is later");
            let _ = socket.send_to(b"to somebody", reader.local_addr().expect("bound"));
            assert_eq!(take_refusals(&socket, 16), [place]);
            assert_eq!(take_refusals(&socket, 16), []);
        }
    }
}
