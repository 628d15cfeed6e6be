//! Sockets that send to a multicast group.
#![allow(unsafe_code)] // in the expansion of nix's macros

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use nix::libc;
use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use socket2::SockRef;

use super::server::sending_socket;

sockopt_impl!(Interface, SetOnly, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, libc::ip_mreqn);

/// Opens a socket whose datagrams to groups of this one's family leave by an interface, or where the route leads, and pass
/// fewer than `ttl` routers. Receivers on this machine get them too.
pub fn open_to_group(group: SocketAddr, interface: Option<u32>, ttl: u8) -> io::Result<UdpSocket> {
    let any: SocketAddr = match group {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = sending_socket(any)?;
    if let Some(index) = interface {
        leave_by(&socket, group, index)?;
    }
    if group.is_ipv4() {
        socket.set_multicast_ttl_v4(ttl.into())?;
        socket.set_multicast_loop_v4(true)?;
    } else {
        socket.set_multicast_hops_v6(ttl.into())?;
        socket.set_multicast_loop_v6(true)?;
    }
    socket.bind(&any.into())?;
    Ok(socket.into())
}

/// Has what is sent to groups of this one's family leave by another interface.
pub fn leave_by(socket: &impl AsFd, group: SocketAddr, index: u32) -> io::Result<()> {
    if group.is_ipv6() {
        return SockRef::from(socket).set_multicast_if_v6(index);
    }
    let none = libc::in_addr { s_addr: 0 };
    let index = index as libc::c_int;
    let place = libc::ip_mreqn { imr_multiaddr: none, imr_address: none, imr_ifindex: index };
    Ok(setsockopt(socket, Interface, &place)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::interface_index;

    #[test]
    fn what_leaves_by_an_interface_is_heard_there_and_goes_as_far_as_was_said() {
        let lo = interface_index("lo").expect("loopback");
        let group = Ipv4Addr::new(239, 77, 61, 1);
        let ear = UdpSocket::bind((group, 0)).expect("any port of the group");
        ear.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).expect("lo takes multicast");
        let to = ear.local_addr().expect("bound");
        let socket = open_to_group(to, Some(lo), 7).expect("a socket");
        assert_eq!(SockRef::from(&socket).multicast_ttl_v4().expect("set"), 7);
        socket.send_to(b"media", to).expect("lo takes it");
        let mut buffer = [0; 9];
        assert_eq!(ear.recv(&mut buffer).expect("it came"), 5);
    }

    #[test]
    fn groups_of_ipv6_have_a_hop_limit() {
        let Ok(socket) = open_to_group((Ipv6Addr::LOCALHOST, 9).into(), None, 7) else {
            return assert!(!std::path::Path::new("/proc/net/if_inet6").exists(), "a machine without IPv6");
        };
        assert_eq!(SockRef::from(&socket).multicast_hops_v6().expect("set"), 7);
    }
}
