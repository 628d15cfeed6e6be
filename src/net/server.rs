//! The sockets that serve: TCP listeners, and the UDP port pairs that all subscribers share.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Asked for on the sockets that send, so that a burst to thousands of subscribers fits.
const SEND_BUFFER_BYTES: usize = 8 << 20;
/// Nobody reads the RTP socket. What clients send there, to open their firewall, the kernel drops once this
/// little is full. Polling it to read and drop would have the kernel look for a waiter at each packet *sent*.
const UNREAD_BYTES: usize = 0;
/// Connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How often a pair of free ports is looked for where any will do.
const ATTEMPTS: usize = 64;

/// Two UDP sockets on neighbouring ports: RTP on the even one, RTCP on the next (RFC 3550 section 11).
#[derive(Debug)]
pub struct ServerPair {
    /// The RTP socket; it sends only.
    pub rtp: UdpSocket,
    /// The RTCP socket.
    pub rtcp: UdpSocket,
    /// The RTP port; RTCP's is one more.
    pub port: u16,
}

/// Opens a TCP listener. An IPv6 listener takes IPv6 only, so both families can listen on one port.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Binds the first free pair of `ports` (even port for RTP), or any free pair when there is no range.
/// `skip` names RTP ports that need not be tried.
pub fn bind_pair(ipv6: bool, ports: Option<RangeInclusive<u16>>, skip: &[u16]) -> io::Result<ServerPair> {
    let (mut pair, mut obstacle) = (None, None);
    let mut try_port = |port| match bind_both(ipv6, port) {
        Ok(bound) => {
            pair = Some(bound);
            true
        }
        // A port that is taken is no reason to stop looking; other obstacles are worth telling.
        Err(error) => {
            obstacle = Some(error).filter(|error| error.kind() != io::ErrorKind::AddrInUse);
            obstacle.is_some()
        }
    };
    match ports {
        Some(ports) => {
            let usable = |port: &u16| port.is_multiple_of(2) && *port != 0 && !skip.contains(port);
            ports.filter(usable).any(&mut try_port);
        }
        None => {
            let any_port = |_| Ok::<u16, io::Error>(bind(ipv6, 0)?.local_addr()?.port() & !1);
            for port in (0..ATTEMPTS).map(any_port) {
                if try_port(port?) {
                    break;
                }
            }
        }
    }
    let none_free =
        || io::Error::new(io::ErrorKind::AddrInUse, "no free pair of an even and the next UDP port");
    pair.ok_or_else(|| obstacle.unwrap_or_else(none_free))
}

fn bind_both(ipv6: bool, port: u16) -> io::Result<ServerPair> {
    let rtcp_port = port.checked_add(1).ok_or(io::ErrorKind::InvalidInput)?;
    let (rtp, rtcp) = (bind(ipv6, port)?, bind(ipv6, rtcp_port)?);
    SockRef::from(&rtp).set_recv_buffer_size(UNREAD_BYTES)?;
    Ok(ServerPair { rtp, rtcp, port })
}

fn bind(ipv6: bool, port: u16) -> io::Result<UdpSocket> {
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    if ipv6 {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    if setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER_BYTES).is_err() {
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    }
    let any = if ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    socket.bind(&SocketAddr::new(any, port).into())?;
    Ok(socket.into())
}
