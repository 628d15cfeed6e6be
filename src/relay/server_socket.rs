//! The sockets that one server port sends from: one while it has room, more where it has none.
//!
//! What the kernel holds back for a destination counts against the send buffer of the socket it came from: up
//! to 208 KiB for each neighbour that answers no longer (`unres_qlen_bytes`), and whole queues of a link that
//! is too slow. Were that one buffer, a few viewers who vanish would silence all others. So a full socket gets
//! another beside it, on the same port, and the sending goes on there; once the full one has drained, it is
//! used again.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::lock;
use crate::net::{open_beside, segments, send_buffer, with_room};

/// Sockets of one port at most.
const MOST_SOCKETS: usize = 256;
/// Bytes that the kernel may hold for one port, of all its sockets.
const MOST_BYTES: usize = 1 << 30;

/// A server port, as lanes send from it.
pub struct ServerSocket {
    segments: bool,
    sockets: Mutex<Sockets>,
}

struct Sockets {
    all: Vec<Arc<UdpSocket>>,
    /// The one in use.
    current: usize,
    /// How many there may be.
    most: usize,
}

impl ServerSocket {
    /// A socket that is read, too: it stays the only one of its port, for another would take from what arrives.
    pub fn alone(socket: UdpSocket) -> Arc<Self> {
        Self::new(socket, 1)
    }

    /// A socket that only sends.
    pub fn growing(socket: UdpSocket) -> Arc<Self> {
        let most = (MOST_BYTES / send_buffer(&socket).max(1)).clamp(1, MOST_SOCKETS);
        Self::new(socket, most)
    }

    fn new(socket: UdpSocket, most: usize) -> Arc<Self> {
        let segments = segments(&socket);
        let sockets = Sockets { all: vec![Arc::new(socket)], current: 0, most };
        Arc::new(Self { segments, sockets: Mutex::new(sockets) })
    }

    /// Whether the kernel segments what is sent here.
    pub(super) fn segments(&self) -> bool {
        self.segments
    }

    /// The socket to send from.
    pub fn current(&self) -> Arc<UdpSocket> {
        let sockets = self.sockets();
        sockets.all[sockets.current].clone()
    }

    /// Where to go on when `full` takes no more. `None`: all are full.
    pub(super) fn instead_of(&self, full: &Arc<UdpSocket>) -> Option<Arc<UdpSocket>> {
        let (all, may_grow) = {
            let sockets = self.sockets();
            let current = &sockets.all[sockets.current];
            if !Arc::ptr_eq(current, full) {
                return Some(current.clone());
            }
            (sockets.all.clone(), sockets.all.len() < sockets.most)
        };
        match with_room(&all) {
            Some(roomy) => {
                self.sockets().current = roomy;
                Some(all[roomy].clone())
            }
            None if may_grow => self.grow(&all[0]),
            None => None,
        }
    }

    fn grow(&self, first: &UdpSocket) -> Option<Arc<UdpSocket>> {
        let opened = open_beside(first);
        let address = first.local_addr().ok().map(tracing::field::display);
        let mut sockets = self.sockets();
        match opened {
            Ok(socket) => {
                sockets.all.push(Arc::new(socket));
                sockets.current = sockets.all.len() - 1;
                let count = sockets.all.len();
                tracing::info!(address, count, "a full send buffer: one more socket");
                sockets.all.last().cloned()
            }
            Err(error) => {
                sockets.most = sockets.all.len();
                tracing::warn!(
                    address,
                    %error,
                    "no further socket beside a full one: viewers wait for those who hold it"
                );
                None
            }
        }
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        lock(&self.sockets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn socket() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")
    }

    #[test]
    fn a_socket_that_has_room_again_goes_before_a_new_one() {
        let server = ServerSocket::growing(socket());
        let first = server.current();
        let again = server.instead_of(&first).expect("nothing was sent from it");
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn all_sockets_send_from_one_port() {
        let server = ServerSocket::growing(socket());
        let first = server.current();
        let second = server.grow(&first).expect("a socket on the same port");
        assert_eq!(first.local_addr().ok(), second.local_addr().ok());
        assert!(Arc::ptr_eq(&server.current(), &second), "and the new one is used");
        let before = server.instead_of(&first).expect("it is not the one in use");
        assert!(Arc::ptr_eq(&before, &second));
    }

    #[test]
    fn a_socket_that_is_read_stays_alone() {
        let server = ServerSocket::alone(socket());
        assert_eq!(server.sockets().most, 1);
    }

    #[test]
    fn a_port_that_cannot_have_more_sockets_asks_no_more() {
        let server = ServerSocket::growing(socket());
        let unbound = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None);
        let of_no_port: UdpSocket = unbound.expect("a socket").into();
        assert!(server.grow(&of_no_port).is_none());
        assert_eq!(server.sockets().most, 1);
    }

    #[test]
    fn the_port_of_a_server_is_nobody_elses() {
        let server = ServerSocket::growing(socket());
        let first = server.current();
        server.grow(&first).expect("a socket on the same port");
        let address = first.local_addr().expect("bound");
        assert!(UdpSocket::bind(address).is_err(), "others still find it taken");
    }
}
