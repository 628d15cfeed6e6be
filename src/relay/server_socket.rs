//! The sockets that one server port sends from: one while that does, more where it stays full.
//!
//! What the kernel holds back for a destination counts against the send buffer of the socket it came from: up
//! to 208 KiB for each neighbour that answers no longer (`unres_qlen_bytes`), and whole queues of a link that
//! is too slow. Were that one buffer, a few viewers who vanish would silence all others. A burst fills it too,
//! and is over soon: so the lanes wait at first. Sockets that stay full get others beside them, on the same
//! port, and the sending goes on there. Once none has been full for a while, one is enough again.

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::event::lock;
use crate::net::{
    Control, Destination, Marks, PathAsker, Position, SendReport, Sender, forbids_fragments, keep_senders,
    open_beside, segments, send_buffer, send_only, take_refusals, take_senders, with_room,
};

use super::fullness::{Fullness, Verdict};

/// Sockets of one port at most.
const MOST_SOCKETS: usize = 256;
/// Bytes that the kernel may hold for one port, of all its sockets.
const MOST_BYTES: usize = 1 << 30;
/// Sockets beside the one in use are closed when none has been full for so long.
const BESIDE_FOR: Duration = Duration::from_secs(60);
/// Messages of what came back that are read of a socket at one look.
const REFUSALS_AT_A_LOOK: usize = 256;
/// Datagrams to the port that are taken of each socket at least.
const PUNCHES_OF_EACH: usize = 8;

/// A server port, as lanes send from it.
pub struct ServerSocket {
    at: SocketAddr,
    segments: bool,
    /// Packets that are larger than a path takes whole leave it in fragments, and are counted.
    fragments: bool,
    paths: PathAsker,
    /// It sends to groups, with a TTL of its own.
    to_groups: bool,
    /// How many sockets there may be.
    most: usize,
    /// Who sends to the port is kept, to be taken.
    listens: AtomicBool,
    /// One has that changed at a time.
    changes: Mutex<()>,
    sockets: Mutex<Sockets>,
}

struct Sockets {
    all: Vec<Arc<UdpSocket>>,
    /// The one in use.
    current: usize,
    fullness: Fullness,
    /// When one was last found full.
    full_at: Option<Instant>,
    /// The log has been told that there can be no more.
    has_warned: bool,
}

impl ServerSocket {
    /// A socket that is read, too: it stays the only one of its port, for another would take from what arrives.
    pub fn alone(socket: UdpSocket) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self::new(socket, 1, false)?)) // reports are small
    }

    /// A socket that only sends. What clients send there, to open their firewall, tells where they are and no more; and were
    /// the socket polled for it, the kernel would look for someone to wake at each packet that has left.
    pub fn growing(socket: UdpSocket) -> io::Result<Arc<Self>> {
        send_only(&socket)?;
        let fragments = !forbids_fragments(&socket)?;
        let most = (MOST_BYTES / send_buffer(&socket).max(1)).clamp(1, MOST_SOCKETS);
        Ok(Arc::new(Self::new(socket, most, fragments)?))
    }

    /// A socket that sends to groups. How large the paths to those who joined them are, nobody tells.
    pub fn to_groups(socket: UdpSocket) -> io::Result<Arc<Self>> {
        send_only(&socket)?;
        Ok(Arc::new(Self { to_groups: true, ..Self::new(socket, 1, false)? }))
    }

    fn new(socket: UdpSocket, most: usize, fragments: bool) -> io::Result<Self> {
        let (segments, at) = (segments(&socket), socket.local_addr()?);
        let (all, fullness) = (vec![Arc::new(socket)], Fullness::default());
        let (listens, changes) = (AtomicBool::new(false), Mutex::default());
        let sockets = Mutex::new(Sockets { all, current: 0, fullness, full_at: None, has_warned: false });
        let paths = PathAsker::new(at);
        Ok(Self { at, segments, fragments, paths, to_groups: false, most, listens, changes, sockets })
    }

    /// A destination of what is sent here.
    pub(super) fn destination(&self, address: SocketAddr) -> Destination {
        let destination = Destination::new(address, self.segments);
        let mtu = if self.fragments { self.paths.path_mtu(address).ok() } else { None };
        mtu.map_or(destination, |mtu| destination.by_path_of(mtu))
    }

    /// Whether packets leave in fragments where they are larger than a path takes whole.
    pub(super) fn fragments(&self) -> bool {
        self.fragments
    }

    /// The largest IP packet that goes to an address whole, as far as the kernel knows. Waits for nobody who asks for others.
    pub(super) fn mtu_towards(&self, address: SocketAddr) -> Option<usize> {
        PathAsker::new(self.at).path_mtu(address).ok()
    }

    /// What is told of packets that are sent here.
    pub(super) fn control(&self, marks: Marks) -> Control {
        let ttl = marks.ttl.filter(|_| !self.to_groups);
        let marks = Marks { ttl, ..marks };
        Control::new(marks, self.at.is_ipv6())
    }

    /// Sends packets, as far as they can be sent now; tells how many that were.
    pub fn say(&self, packets: &[Bytes], to: SocketAddr, marks: Marks) -> SendReport {
        let (socket, mut control) = (self.current(), self.control(marks));
        let to = &mut [Destination::new(to, false)];
        Sender::default().send(&*socket, &mut control, to, packets, Position::default())
    }

    /// The socket to send from.
    pub fn current(&self) -> Arc<UdpSocket> {
        self.sockets().current()
    }

    /// Where to go on when `full` takes no more. `None`: nowhere for now. Who asks may have heard that before, and
    /// `has_waited` since.
    pub(super) fn instead_of(
        &self,
        full: &Arc<UdpSocket>,
        now: Instant,
        has_waited: bool,
    ) -> Option<Arc<UdpSocket>> {
        let all = {
            let mut sockets = self.sockets();
            sockets.full_at = Some(now);
            let current = sockets.current();
            if !Arc::ptr_eq(&current, full) {
                return Some(current);
            }
            if !sockets.fullness.is_worth_a_look(now) {
                return None;
            }
            sockets.all.clone()
        };
        let roomy = with_room(&all);
        let mut sockets = self.sockets();
        if let Some(roomy) = roomy.map(|roomy| &all[roomy]) {
            // Unless it was closed meanwhile.
            sockets.current = sockets.all.iter().position(|socket| Arc::ptr_eq(socket, roomy))?;
            return Some(roomy.clone());
        }
        let verdict = sockets.fullness.found(now, has_waited);
        drop(sockets);
        if verdict == Verdict::Stays && all.len() < self.most { self.grow(&all) } else { None }
    }

    /// Takes the destinations that say that nobody listens there.
    pub fn take_refusals(&self) -> Vec<SocketAddr> {
        self.all().iter().flat_map(|socket| take_refusals(socket, REFUSALS_AT_A_LOOK)).collect()
    }

    /// Has those kept who send to the port, or drops them as they come. Not for threads of media, which would wait.
    pub fn listen(&self, listens: bool) -> io::Result<()> {
        let _change = lock(&self.changes);
        if self.listens.swap(listens, SeqCst) == listens {
            return Ok(());
        }
        self.filter(&self.all())
    }

    /// Whether those are kept.
    pub fn listens(&self) -> bool {
        self.listens.load(SeqCst)
    }

    /// Takes those who have sent to the port, up to so many, or some of each socket.
    pub fn take_punches(&self, most: usize) -> Vec<SocketAddr> {
        let all = self.all();
        let of_each = (most / all.len()).max(PUNCHES_OF_EACH);
        all.iter().flat_map(|socket| take_senders(socket, of_each)).collect()
    }

    fn filter(&self, sockets: &[Arc<UdpSocket>]) -> io::Result<()> {
        let listens = self.listens();
        sockets.iter().try_for_each(|socket| if listens { keep_senders(socket) } else { send_only(socket) })
    }

    fn all(&self) -> Vec<Arc<UdpSocket>> {
        self.sockets().all.clone()
    }

    /// Sockets beside the one in use.
    pub fn beside(&self) -> usize {
        self.sockets().all.len() - 1
    }

    /// Closes the sockets beside the one in use if they have not been needed for a while.
    pub fn close_unneeded(&self, now: Instant) {
        let mut sockets = self.sockets();
        let is_needed = |at: Instant| now.saturating_duration_since(at) < BESIDE_FOR;
        if sockets.all.len() == 1 || sockets.full_at.is_some_and(is_needed) {
            return;
        }
        let current = sockets.current();
        let closed = mem::replace(&mut sockets.all, vec![current]);
        (sockets.current, sockets.has_warned) = (0, false);
        drop(sockets); // closing takes a while
        tracing::info!(
            address = %self.at,
            count = closed.len() - 1,
            "sockets beside a full one are not needed any more"
        );
    }

    /// Opens as many sockets as there are: however many it takes, they are there in a few steps.
    fn grow(&self, all: &[Arc<UdpSocket>]) -> Option<Arc<UdpSocket>> {
        let count = all.len().min(self.most - all.len());
        let opened: Result<Vec<_>, _> = (0..count).map(|_| open_beside(&all[0]).map(Arc::new)).collect();
        let address = tracing::field::display(self.at);
        let mut sockets = self.sockets();
        let mut new = Vec::new();
        match opened {
            // Unless another worker was quicker.
            Ok(opened) if sockets.all.len() == all.len() => {
                sockets.current = sockets.all.len();
                new = opened.clone();
                sockets.all.extend(opened);
                let count = sockets.all.len();
                tracing::info!(address, count, "send buffers stayed full: more sockets on the port");
            }
            Ok(_) => {}
            Err(error) => {
                if !mem::replace(&mut sockets.has_warned, true) {
                    let count = all.len();
                    tracing::warn!(
                        address, count, %error,
                        "send buffers stay full, and no more sockets could be opened: viewers wait for others"
                    );
                }
                return None;
            }
        }
        let current = sockets.current();
        drop(sockets);
        // Once they are there: who has them listen meanwhile has seen them, or is seen here.
        if self.listens() {
            let _ = self.filter(&new); // viewers that are not found through one of them say more
            if !self.listens() {
                let _ = self.filter(&new); // who ended that meanwhile may not have seen them
            }
        }
        Some(current)
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        lock(&self.sockets)
    }
}

impl Sockets {
    fn current(&self) -> Arc<UdpSocket> {
        self.all[self.current].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::net::Ipv4Addr;

    fn growing() -> Arc<ServerSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_nonblocking(true).expect("a flag");
        ServerSocket::growing(socket).expect("a socket that sends")
    }

    #[test]
    fn a_socket_that_has_room_again_is_used_again() {
        let server = growing();
        let first = server.current();
        let again = server.instead_of(&first, clock::now(), false).expect("nothing was sent from it");
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn all_sockets_send_from_one_port_and_their_number_doubles() {
        let server = growing();
        let first = server.current();
        let second = server.grow(&server.all()).expect("a socket on the same port");
        assert_eq!(first.local_addr().ok(), second.local_addr().ok());
        assert!(Arc::ptr_eq(&server.current(), &second), "and the new one is used");
        let instead = server.instead_of(&first, clock::now(), false).expect("another is in use");
        assert!(Arc::ptr_eq(&instead, &second));
        server.grow(&server.all()).expect("more sockets");
        assert_eq!(server.all().len(), 4);
    }

    #[test]
    fn sockets_that_were_not_needed_for_a_minute_are_closed_but_for_the_one_in_use() {
        let (server, now) = (growing(), clock::now());
        let first = server.current();
        server.instead_of(&first, now, false); // it was found full
        let second = server.grow(&server.all()).expect("a socket on the same port");
        server.close_unneeded(now + BESIDE_FOR - Duration::from_secs(1));
        assert_eq!(server.beside(), 1, "it may be needed yet");
        server.close_unneeded(now + BESIDE_FOR);
        assert_eq!(server.beside(), 0);
        assert!(Arc::ptr_eq(&server.current(), &second));
        let later = now + BESIDE_FOR;
        assert!(Arc::ptr_eq(&server.instead_of(&first, later, false).expect("a socket"), &second));
        server.grow(&server.all()).expect("as it was done before");
    }

    #[test]
    fn two_workers_grow_once() {
        let server = growing();
        let seen_by_both = server.all();
        let first = server.grow(&seen_by_both).expect("a socket");
        let second = server.grow(&seen_by_both).expect("the same one");
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(server.all().len(), 2);
    }

    #[test]
    fn where_no_socket_can_be_opened_another_try_is_made_later() {
        let server = growing();
        let unix = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None);
        let of_no_port = Arc::new(UdpSocket::from(unix.expect("a socket")));
        assert!(server.grow(&[of_no_port]).is_none());
        assert!(server.grow(&server.all()).is_some());
    }

    #[test]
    fn whoever_sends_to_a_port_that_listens_is_heard_on_whichever_socket_and_nobody_else() {
        let server = growing();
        let at = server.current().local_addr().expect("bound");
        let clients: Vec<_> =
            (0..40).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")).collect();
        let all_send = || {
            clients.iter().for_each(|client| assert_eq!(client.send_to(&[], at).ok(), Some(0)));
            let mut heard: Vec<_> = server.take_punches(99).iter().map(SocketAddr::port).collect();
            heard.sort_unstable();
            heard
        };
        let mut own: Vec<_> =
            clients.iter().map(|client| client.local_addr().expect("bound").port()).collect();
        own.sort_unstable();
        assert!(all_send().is_empty());
        server.grow(&server.all()).expect("a socket on the same port");
        server.listen(true).expect("sockets");
        assert_eq!(all_send(), own);
        server.grow(&server.all()).expect("more sockets, which listen too");
        assert_eq!(all_send(), own);
        server.listen(false).expect("sockets");
        assert!(all_send().is_empty());
    }

    #[test]
    fn the_port_of_a_server_is_nobody_elses() {
        let server = growing();
        server.grow(&server.all()).expect("a socket on the same port");
        let address = server.current().local_addr().expect("bound");
        assert!(UdpSocket::bind(address).is_err(), "others still find it taken");
    }

    impl ServerSocket {
        /// As if its sockets had stayed full.
        #[cfg(not(model))]
        pub(crate) fn have_one_more(&self) {
            self.grow(&self.all()).expect("a socket on the same port");
        }
    }
}
