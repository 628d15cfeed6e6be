//! The RtpReceiver: one shared receive socket of a port. When what arrives there is taken in is not its business.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use crate::event::{Interest, PollKey, clock, lock};
use crate::net::{Group, MembershipError, QueueFill, RECEIVE_BUFFER_BYTES, ReceiveSocket, Turned, bound_for};

use super::heard::Heard;
use super::port_counts::PortCounts;
use super::routes::{Route, Routes};

/// The longest time that packets are left in a socket with all of this buffer, and so much less with less:
/// it takes some 6 Gb/s to fill it.
const MAX_WAIT: Duration = Duration::from_millis(10);
/// A shorter wait would save no wake-up.
const MIN_WAIT: Duration = Duration::from_micros(200);
/// Between two warnings about one socket's queue.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// A socket that fails so often in a row, without a packet, is not polled any more, and another one is opened.
const MOST_ERRORS: u32 = 10;

/// A receive socket that many groups share.
pub struct RtpReceiver {
    /// The UDP port.
    pub port: u16,
    /// The address that its socket is bound to; unspecified for groups.
    pub bound: IpAddr,
    /// The interface its groups are joined on; 0 is the kernel's choice, where it does not tell.
    pub interface: u32,
    pub(super) socket: Arc<ReceiveSocket>,
    /// Another one when a group comes or goes while a batch is routed, so that needs no lock.
    routes: Mutex<Arc<Routes>>,
    key: OnceLock<PollKey>,
    /// Which of the intakes takes in what arrives.
    pub(super) intake: usize,
    /// Packets are left in the socket no longer; `None`: the buffer is too small for any wait.
    pub(super) longest_wait: Option<Duration>,
    /// The kernel's count for this socket; wraps.
    overflow: AtomicU32,
    counts: Arc<PortCounts>,
    pub(super) heard: Arc<Heard>,
    warned: Mutex<Warned>,
    /// Errors since the last packet.
    errors_in_row: AtomicU32,
}

/// Why a track is not received.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The group was not joined.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// What is sent to an address of this machine is another track's.
    #[error("what comes to UDP port {0} of that address is another channel's; send it to another port")]
    Taken(u16),
    /// No socket for the port.
    #[error("receiving on UDP port {port} failed: {error}{}", remedy(error))]
    Socket {
        /// The port.
        port: u16,
        /// The kernel's answer.
        error: io::Error,
    },
}

/// What the log was last told of the queue's overflow.
#[derive(Default)]
struct Warned {
    at: Option<Instant>,
    overflow: u32,
}

impl RtpReceiver {
    /// With a socket that is bound to the port and joined to a first group. It is not polled yet.
    pub(super) fn open(
        port: u16,
        socket: ReceiveSocket,
        group: &Group,
        route: &Route,
        intake: usize,
        counts: Arc<PortCounts>,
    ) -> io::Result<Arc<Self>> {
        let granted = socket.set_receive_buffer(RECEIVE_BUFFER_BYTES)?;
        let receiver = Arc::new(Self {
            port,
            bound: bound_for(group.address),
            interface: group.interface,
            socket: Arc::new(socket),
            routes: Mutex::default(),
            key: OnceLock::new(),
            intake,
            longest_wait: longest_wait(granted),
            overflow: AtomicU32::new(0),
            counts,
            heard: Arc::default(),
            warned: Mutex::default(),
            errors_in_row: AtomicU32::new(0),
        });
        receiver.change_routes(|routes| routes.insert(group, route));
        Ok(receiver)
    }

    /// Polls its socket from now on.
    pub(super) fn begin(&self, key: PollKey) -> io::Result<()> {
        self.key.get_or_init(|| key).enable(Interest::Read)
    }

    /// Joins a group and routes what comes to it. Routed first, so that no packet is ever a stray; and not locked while
    /// the kernel joins, which may take its time, and packets would wait. `false`: it was joined before, for another route.
    pub(super) fn join(&self, group: &Group, route: &Route) -> Result<bool, MembershipError> {
        let is_joined = self.routes().has(group);
        if !self.change_routes(|routes| routes.insert(group, route)) {
            let error = io::ErrorKind::AlreadyExists.into();
            return Err(MembershipError::SocketFull { group: group.address, error });
        }
        if is_joined {
            return Ok(false);
        }
        let joined = self.socket.join(group).inspect_err(|_| {
            self.change_routes(|routes| routes.remove(group, route));
        });
        joined.map(|()| true)
    }

    /// Leaves a group whose route stays; [`join_again`](Self::join_again) follows.
    pub(super) fn leave_for_a_moment(&self, group: &Group) {
        // What has gone with its interface can not be left.
        let _ = self.socket.leave(group);
    }

    /// Joins a group whose route is there.
    pub(super) fn join_again(&self, group: &Group) -> Result<(), MembershipError> {
        self.socket.join(group)
    }

    /// Turns the filter of a joined group round; it is to be turned back at once. Of those who were heard nothing is lost.
    pub(super) fn turn(&self, group: &Group) -> io::Result<Turned> {
        self.socket.turn(group, &self.heard.senders(group.address))
    }

    /// Turns it back.
    pub(super) fn turn_back(&self, group: &Group, turned: &Turned) -> io::Result<()> {
        self.socket.turn_back(group, turned)
    }

    /// Forgets a route, and leaves its group if no other route needs it.
    pub(super) fn leave(&self, group: &Group, route: &Route) {
        let mut rest = Routes::clone(&self.current_routes());
        if rest.remove(group, route) {
            self.counts.left.fetch_add(1, Relaxed);
            if let Err(error) = self.socket.leave(group) {
                tracing::debug!(group = %group.address, %error, "leaving a group failed");
            }
        }
        // Last, so that no packet is ever a stray.
        self.change_routes(|routes| routes.remove(group, route));
    }

    /// Whether it receives something of a group already, by the same senders.
    pub(super) fn has(&self, group: &Group) -> bool {
        self.routes().has(group)
    }

    /// Polls the socket for what comes next, unless it only fails.
    pub(super) fn poll(&self) {
        if let Some(key) = self.key.get().filter(|_| !self.has_failed()) {
            key.resume(Interest::Read);
        }
    }

    /// How full its socket's queue is.
    pub(super) fn fill(&self) -> Option<QueueFill> {
        self.socket.fill()
    }

    /// Groups and sources that it receives.
    pub(super) fn groups(&self) -> usize {
        self.routes().len()
    }

    /// Those that carry RTP.
    pub(super) fn streams(&self) -> usize {
        self.routes().streams()
    }

    /// Stops receiving and closes the socket once nobody holds it.
    pub(super) fn shut(&self) {
        if let Some(key) = self.key.get() {
            key.unregister();
        }
    }

    /// Whether datagrams that arrive on an interface are meant. IPv6 delivers a group from all interfaces that
    /// any socket has joined it on; IPv4 from those alone that this one has.
    pub(super) fn hears(&self, interface: u32) -> bool {
        self.bound.is_ipv4()
            || !self.bound.is_unspecified()
            || self.interface == 0
            || self.interface == interface
    }

    pub(super) fn current_routes(&self) -> Arc<Routes> {
        self.routes().clone()
    }

    /// Takes the kernel's count. The log hears of it now and then: a flood of lines would make it worse.
    pub(super) fn count_overflow(&self, total: u32) {
        let more = total.wrapping_sub(self.overflow.swap(total, Relaxed));
        if more == 0 {
            return;
        }
        self.counts.overflow.fetch_add(u64::from(more), Relaxed);
        let now = clock::now();
        let mut warned = lock(&self.warned);
        if warned.at.is_some_and(|at| now.saturating_duration_since(at) < WARN_EVERY) {
            return;
        }
        let dropped = total.wrapping_sub(warned.overflow);
        *warned = Warned { at: Some(now), overflow: total };
        drop(warned);
        tracing::warn!(
            port = self.port,
            dropped,
            "the receive queue overflowed: packets came faster than they were taken; see engine.media_workers \
             and sysctl net.core.rmem_max"
        );
    }

    /// Receiving failed, for another reason than that nothing is there.
    pub(super) fn count_error(&self, error: &io::Error) {
        self.counts.errors.fetch_add(1, Relaxed);
        self.errors_in_row.fetch_add(1, Relaxed);
        if self.counts.failing.begins(clock::now()) {
            tracing::warn!(
                port = self.port,
                "receiving failed; after {MOST_ERRORS} times without a packet the socket is opened anew: {error}"
            );
        }
    }

    /// Packets came.
    pub(super) fn forget_errors(&self) {
        if self.errors_in_row.load(Relaxed) > 0 {
            self.errors_in_row.store(0, Relaxed);
        }
    }

    /// Whether it only fails: it is not polled any more.
    pub(super) fn has_failed(&self) -> bool {
        self.errors_in_row.load(Relaxed) >= MOST_ERRORS
    }

    pub(super) fn count_stray(&self) {
        self.counts.stray.fetch_add(1, Relaxed);
    }

    fn change_routes<T>(&self, change: impl FnOnce(&mut Routes) -> T) -> T {
        let mut routes = self.routes();
        change(Arc::make_mut(&mut routes))
    }

    fn routes(&self) -> MutexGuard<'_, Arc<Routes>> {
        lock(&self.routes)
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program has it for itself alone; `ss -lunp` tells which)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        _ => "",
    }
}

fn longest_wait(granted_bytes: usize) -> Option<Duration> {
    let wait = MAX_WAIT.mul_f64((granted_bytes as f64 / RECEIVE_BUFFER_BYTES as f64).min(1.0));
    (wait >= MIN_WAIT).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_program_has_is_told_with_what_finds_it() {
        let taken = OpenError::Socket { port: 5004, error: io::ErrorKind::AddrInUse.into() }.to_string();
        assert!(taken.contains("UDP port 5004") && taken.ends_with("`ss -lunp` tells which)"), "{taken}");
    }

    #[test]
    fn packets_are_left_no_longer_than_the_buffer_stands() {
        assert_eq!(longest_wait(RECEIVE_BUFFER_BYTES), Some(MAX_WAIT));
        assert_eq!(longest_wait(2 * RECEIVE_BUFFER_BYTES), Some(MAX_WAIT));
        let with_the_kernels_default = longest_wait(212_992).expect("a short wait");
        assert!(with_the_kernels_default < Duration::from_micros(300));
        assert_eq!(longest_wait(64 << 10), None, "a tiny buffer waits for nobody");
    }
}
