//! The sockets that serve: TCP listeners, and the UDP port pairs that all subscribers share.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::buffers::{SEND_BUFFER_BYTES, ask_to_send};
use super::half_open::answer_few_times;
use super::path_mtu::{allow_fragments, forbid_fragments, forbids_fragments};
use super::peer::notice_vanishing;
use super::punches::send_only;

/// Connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`. One more is tried again by its
/// client's kernel, a second later and then later still.
const BACKLOG: i32 = 16_384;
/// Of what a client says and we have not read, the kernel keeps about so much, instead of the megabytes to which it lets the
/// buffer of a fast sender grow: requests are short, and the work of a flood is the kernel's before it is ours.
const UNREAD_BYTES: usize = 16 << 10;
/// Bytes of media in the kernel that were not sent yet: bounds what a slow reader holds.
const UNSENT_BYTES: u32 = 256 << 10;
/// How often a pair of free ports is looked for where any will do.
const ATTEMPTS: usize = 64;

/// Two UDP sockets on neighbouring ports: RTP on the even one, RTCP on the next (RFC 3550 section 11).
#[derive(Debug)]
pub struct ServerPair {
    /// The RTP socket.
    pub rtp: UdpSocket,
    /// The RTCP socket.
    pub rtcp: UdpSocket,
    /// The RTP port; RTCP's is one more.
    pub port: u16,
}

/// Opens a TCP listener. An IPv6 listener takes IPv6 only, so both families can listen on one port. Its connections have
/// what is set here from the first, as Linux hands it on.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    answer_few_times(&socket)?;
    socket.set_recv_buffer_size(UNREAD_BYTES)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    notice_vanishing(&socket)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether a TCP listener could be opened now. As none is, nobody who listens or is about to is disturbed.
pub fn try_listen(address: SocketAddr) -> io::Result<()> {
    bound(address).map(drop)
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Binds the first free pair of `ports` (even port for RTP) at `address`, whose own port does not matter, or
/// any free pair when there is no range. `skip` names RTP ports that need not be tried.
pub fn bind_pair(
    address: SocketAddr,
    ports: Option<RangeInclusive<u16>>,
    skip: &[u16],
) -> io::Result<ServerPair> {
    let (mut pair, mut obstacle) = (None, None);
    let mut try_port = |port| match bind_both(address, port) {
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
            let any_port = |_| Ok::<u16, io::Error>(bind(with_port(address, 0))?.local_addr()?.port() & !1);
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

/// Opens one more socket on the address and port of `first`, to send from as that does.
pub fn open_beside(first: &UdpSocket) -> io::Result<UdpSocket> {
    let address = first.local_addr()?;
    let socket = sending_socket(address)?;
    // The first was bound alone, so that a port that is taken was noticed.
    SockRef::from(first).set_reuse_port(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    let socket = socket.into();
    if forbids_fragments(first)? {
        forbid_fragments(&socket)?;
    }
    send_only(&socket)?;
    Ok(socket)
}

/// The place of the first of `sockets` that takes packets.
pub fn with_room(sockets: &[Arc<UdpSocket>]) -> Option<usize> {
    let mut polled: Vec<_> =
        sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLOUT)).collect();
    poll(&mut polled, PollTimeout::ZERO).ok()?;
    let has_room = |polled: &PollFd<'_>| polled.revents().is_some_and(|is| is.contains(PollFlags::POLLOUT));
    polled.iter().position(has_room)
}

/// Bytes that the kernel holds for a socket until they are sent.
pub fn send_buffer(socket: &UdpSocket) -> usize {
    SockRef::from(socket).send_buffer_size().unwrap_or(SEND_BUFFER_BYTES)
}

/// The same host at another port.
pub fn with_port(mut host: SocketAddr, port: u16) -> SocketAddr {
    host.set_port(port);
    host
}

fn bind_both(address: SocketAddr, port: u16) -> io::Result<ServerPair> {
    let rtcp_port = port.checked_add(1).ok_or(io::ErrorKind::InvalidInput)?;
    let (rtp, rtcp) = (bind(with_port(address, port))?, bind(with_port(address, rtcp_port))?);
    Ok(ServerPair { rtp, rtcp, port })
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = sending_socket(address)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

pub(super) fn sending_socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        // A route of type local makes addresses this machine's that no interface has; IPv4 needs no asking.
        socket.set_freebind_v6(true)?;
    }
    allow_fragments(&socket, address.is_ipv6())?;
    ask_to_send(&socket, SEND_BUFFER_BYTES)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::super::peer::{VANISHED_AFTER, allow_pauses};
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};
    use std::time::Duration;

    #[test]
    fn sockets_beside_one_send_as_it_does() {
        let pair = bind_pair((Ipv4Addr::LOCALHOST, 0).into(), None, &[]).expect("a free pair");
        let beside = || open_beside(&pair.rtp).expect("a socket on the same port");
        let forbid = |socket: &UdpSocket| forbids_fragments(socket).expect("a socket");
        assert_eq!([&pair.rtp, &pair.rtcp, &beside()].map(forbid), [false; 3]);
        forbid_fragments(&pair.rtp).expect("a socket");
        assert_eq!([&pair.rtp, &beside()].map(forbid), [true; 2]);
    }

    #[test]
    fn connections_have_what_was_set_where_they_were_listened_for() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        listener.set_nonblocking(false).expect("a socket");
        let _client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        let (ours, _) = listener.accept().expect("one");
        let has = SockRef::from(&ours);
        assert_eq!(has.recv_buffer_size().expect("set"), 2 * UNREAD_BYTES, "the kernel reckons for both");
        assert!(has.tcp_nodelay().expect("set"));
        assert_eq!(has.tcp_notsent_lowat().expect("set"), UNSENT_BYTES);
        let idle = has.tcp_keepalive_time().expect("set")
            + has.tcp_keepalive_interval().expect("set") * has.tcp_keepalive_retries().expect("set");
        assert!(has.keepalive().expect("set"));
        assert_eq!((idle, has.tcp_user_timeout().expect("set")), (VANISHED_AFTER, Some(VANISHED_AFTER)));
        allow_pauses(&ours).expect("a connection");
        assert_eq!(has.tcp_user_timeout().expect("set").unwrap_or_default(), Duration::ZERO);
    }

    #[test]
    fn a_crowd_finds_room_though_nobody_accepts_yet() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let address = listener.local_addr().expect("bound");
        let before_another_try = Duration::from_millis(900);
        let crowd: Result<Vec<_>, _> =
            (0..400).map(|_| TcpStream::connect_timeout(&address, before_another_try)).collect();
        assert_eq!(crowd.expect("as much room as net.core.somaxconn says").len(), 400);
    }
}
