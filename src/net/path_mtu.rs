//! Datagrams that are larger than a path takes whole: whether they may be cut into fragments, and how large that is.
//!
//! A datagram with DF (don't fragment) that is too large for a link on its way is lost there. The router says so by ICMP,
//! which many a firewall swallows: then each packet of that size is lost, and nobody hears of it. Without DF the router cuts
//! it up (RFC 791). Routers of IPv6 never do; there the sender cuts up what they have said to be too large.
#![allow(unsafe_code)] // in the expansion of nix's macros

use std::io;
use std::net::{SocketAddr, UdpSocket};

use nix::libc;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use socket2::Socket;

sockopt_impl!(Discover, Both, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::c_int);
sockopt_impl!(DiscoverV6, Both, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::c_int);
sockopt_impl!(PathMtuV6, GetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU, libc::c_int);

/// Lets routers cut up what leaves by a socket of this family, and the kernel what is too large for the first link, or for
/// a path that it knows of.
pub(super) fn allow_fragments(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    if is_ipv6 {
        setsockopt(socket, DiscoverV6, &libc::IPV6_PMTUDISC_DONT)?;
    } else {
        setsockopt(socket, Discover, &libc::IP_PMTUDISC_DONT)?;
    }
    Ok(())
}

/// Has nobody cut up what leaves by a socket (DF). The kernel refuses what is larger than it knows a path to take.
pub fn forbid_fragments(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, DiscoverV6, &libc::IPV6_PMTUDISC_DO)?;
    } else {
        setsockopt(socket, Discover, &libc::IP_PMTUDISC_DO)?;
    }
    Ok(())
}

/// Whether [`forbid_fragments`] was said of a socket.
pub fn forbids_fragments(socket: &UdpSocket) -> io::Result<bool> {
    Ok(if socket.local_addr()?.is_ipv6() {
        getsockopt(socket, DiscoverV6)? == libc::IPV6_PMTUDISC_DO
    } else {
        getsockopt(socket, Discover)? == libc::IP_PMTUDISC_DO
    })
}

/// The largest IP packet that goes whole from a host to another one, as far as the kernel knows: what the first link takes,
/// or less where the route says so or a router has.
pub fn path_mtu(mut from: SocketAddr, to: SocketAddr) -> io::Result<usize> {
    from.set_port(0);
    let socket = UdpSocket::bind(from)?;
    socket.connect(to)?;
    let mtu = if to.is_ipv6() { getsockopt(&socket, PathMtuV6) } else { getsockopt(&socket, sockopt::IpMtu) };
    usize::try_from(mtu?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    #[test]
    fn what_goes_whole_to_this_machine_is_what_its_loopback_takes() {
        let lo = fs::read_to_string("/sys/class/net/lo/mtu").expect("Linux");
        let lo: usize = lo.trim().parse().expect("a number");
        for host in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Ok(socket) = UdpSocket::bind(SocketAddr::new(host, 0)) else { continue }; // no IPv6
            let place = socket.local_addr().expect("bound");
            let largest = if host.is_ipv6() { lo } else { lo.min(65_535) }; // of its length field
            assert_eq!(path_mtu(place, place).ok(), Some(largest));
        }
    }

    #[test]
    fn a_path_from_an_address_that_is_not_ours_is_not_known() {
        let theirs = ([192, 0, 2, 1], 5004).into();
        assert!(path_mtu(theirs, ([127, 0, 0, 1], 9).into()).is_err());
    }
}
