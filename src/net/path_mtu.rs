//! Datagrams that are larger than a path takes whole: whether they may be cut into fragments, and how large that is.
//!
//! A datagram with DF (don't fragment) that is too large for a link on its way is lost there. The router says so by ICMP,
//! which many a firewall swallows: then each packet of that size is lost, and nobody hears of it. Without DF the router cuts
//! it up (RFC 791). Routers of IPv6 never do; there the sender cuts up what they have said to be too large.
#![allow(unsafe_code)] // in the expansion of nix's macros

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};

use nix::libc;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use socket2::Socket;

use super::punches::send_only;

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

/// Who asks for the sizes of paths from one address: by one socket, which goes on to the next path.
pub struct PathAsker {
    from: SocketAddr,
    socket: Mutex<Option<UdpSocket>>,
}

impl PathAsker {
    /// One that asks from the host of this address.
    pub fn new(from: SocketAddr) -> Self {
        Self { from, socket: Mutex::default() }
    }

    /// The largest IP packet that goes whole to another host, as far as the kernel knows: what the first link takes, or less
    /// where the route says so or a router has.
    pub fn path_mtu(&self, to: SocketAddr) -> io::Result<usize> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let asks = match socket.take() {
            Some(asks) => asks,
            None => bound(self.from)?,
        };
        asks.connect(to)?;
        let mtu = if to.is_ipv6() { getsockopt(&asks, PathMtuV6) } else { getsockopt(&asks, sockopt::IpMtu) };
        // An interface that an address names would hold it for good.
        let names_interface = matches!(to, SocketAddr::V6(v6) if v6.scope_id() != 0);
        *socket = Some(asks).filter(|_| !names_interface);
        usize::try_from(mtu?).map_err(io::Error::other)
    }
}

fn bound(mut from: SocketAddr) -> io::Result<UdpSocket> {
    from.set_port(0);
    let socket = UdpSocket::bind(from)?;
    send_only(&socket)?;
    Ok(socket)
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
            let asker = PathAsker::new(place);
            for port in [place.port(), 9] {
                let mtu = asker.path_mtu(SocketAddr::new(host, port));
                assert_eq!(mtu.ok(), Some(largest), "of port {port}");
            }
        }
    }

    #[test]
    fn a_path_from_an_address_that_is_not_ours_is_not_known() {
        let theirs = ([192, 0, 2, 1], 5004).into();
        assert!(PathAsker::new(theirs).path_mtu(([127, 0, 0, 1], 9).into()).is_err());
    }
}
