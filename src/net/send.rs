//! One run of packets to many destinations: `sendmmsg`, and UDP_SEGMENT where the route takes it.
//!
//! A run is packets of one size, the last possibly smaller. To a destination whose route segments, it is
//! one message; to any other it is a message a packet. A destination that fails costs only itself, also where the kernel says so late.
#![allow(unsafe_code)]

use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use bytes::Bytes;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{getsockopt, sockopt};

use super::address::RawAddress;
use super::control::Control;

/// The kernel's limit of segments in a message (UDP_MAX_SEGMENTS of Linux 4.18 to 6.8).
const SEGMENTS_PER_RUN: usize = 64;
/// Bytes of a message: the largest UDP payload over IPv4, which is the smaller of the two families.
const BYTES_PER_RUN: usize = 65_507;
/// Messages per system call: their headers stay in the first-level cache.
const MESSAGES_PER_CALL: usize = 256;
/// How often a message is sent again that failed with an error that may be of another one. One that no message has by
/// itself, a closed port, is passed over more often.
const MORE_TRIES: usize = 3;
const MORE_TRIES_PAST_CLOSED_PORTS: usize = 32;

/// Bytes of the headers of IP and UDP before a payload.
const HEADERS_V4: usize = 20 + 8;
const HEADERS_V6: usize = 40 + 8;

/// Where packets go.
#[derive(Clone, Copy)]
pub struct Destination {
    address: RawAddress,
    /// The largest segments that the route may take. Larger packets go one by one, and all do at 0: the kernel knows no
    /// segmentation, or the route has refused it.
    segments: u16,
    /// The largest packets that go whole, as far as that is known.
    whole: u16,
}

impl Destination {
    /// A destination. Where the socket [`segments`], so is its route assumed to, until it refuses.
    pub fn new(address: SocketAddr, segments: bool) -> Self {
        let segments = if segments { u16::MAX } else { 0 };
        Self { address: RawAddress::new(address), segments, whole: u16::MAX }
    }

    /// The same, by a path that takes IP packets of this size whole.
    pub fn by_path_of(mut self, mtu: usize) -> Self {
        let headers =
            if self.address().is_some_and(|address| address.is_ipv6()) { HEADERS_V6 } else { HEADERS_V4 };
        self.whole = u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX);
        self
    }

    /// Its address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address.to_socket_addr()
    }

    /// The largest packet that goes there whole, as far as that is known.
    pub fn largest_whole(&self) -> usize {
        self.whole.into()
    }

    /// The kernel segments nothing that it would have to cut into fragments then.
    fn largest_segments(&self) -> u16 {
        self.segments.min(self.whole)
    }

    /// Its route has refused segments of this size. Returns whether it had refused none before.
    fn refuse_segments(&mut self, size: u16, error: Errno) -> bool {
        let is_first = self.segments == u16::MAX;
        // Too large for the path. Older kernels say so by EINVAL.
        let is_size = matches!(error, Errno::EMSGSIZE | Errno::EINVAL);
        self.segments = if is_size { size.saturating_sub(1) } else { 0 };
        if is_size {
            self.whole = self.whole.min(self.segments);
        }
        is_first
    }
}

/// Whether the kernel segments datagrams of this socket (UDP_SEGMENT, Linux 4.18).
pub fn segments(socket: &impl AsFd) -> bool {
    getsockopt(socket, sockopt::UdpGsoSegment).is_ok()
}

/// Splits the longest run off the head of `packets`; it is empty only if `packets` is.
pub fn split_run(packets: &[Bytes]) -> (&[Bytes], &[Bytes]) {
    let segment = packets.first().map_or(0, Bytes::len);
    let (mut count, mut bytes) = (packets.len().min(1), segment);
    for packet in packets.iter().skip(1) {
        let fits = count < SEGMENTS_PER_RUN && bytes + packet.len() <= BYTES_PER_RUN;
        if !fits || packet.len() > segment || packet.is_empty() {
            break;
        }
        count += 1;
        bytes += packet.len();
        if packet.len() < segment {
            break;
        }
    }
    packets.split_at(count)
}

/// Where a blocked run goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Index of the destination.
    pub destination: usize,
    /// Index of the packet within the run, for this destination.
    pub packet: usize,
}

/// Why the kernel did not take a packet for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No room on the way: a link's queue has dropped it, or memory is short.
    Congested,
    /// A firewall of this machine drops it, or the address is not for us to send to.
    Forbidden,
    /// No route, or the link is down.
    Unreachable,
    /// Larger than the path takes whole, and not to be cut up.
    TooLarge,
    /// Anything else.
    Other,
}

impl Refusal {
    /// All of them, in order, each with a stable word for metric labels.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Congested, "congested"),
        (Self::Forbidden, "forbidden"),
        (Self::Unreachable, "unreachable"),
        (Self::TooLarge, "too_large"),
        (Self::Other, "refused"),
    ];

    fn of(error: Errno) -> Self {
        match error {
            Errno::ENOBUFS | Errno::ENOMEM => Self::Congested,
            Errno::EPERM | Errno::EACCES => Self::Forbidden,
            Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN | Errno::EHOSTDOWN => {
                Self::Unreachable
            }
            Errno::EMSGSIZE => Self::TooLarge,
            _ => Self::Other,
        }
    }
}

/// What one call to [`Sender::send`] achieved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendReport {
    /// Packets handed to the kernel, over all destinations.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Packets that some destination did not get because the kernel refused it, by [`Refusal`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Destinations whose route was found to refuse segmentation.
    pub demoted: u64,
    /// The socket's buffer is full: go on from here later, or from another socket.
    pub blocked: Option<Position>,
}

/// What a destination was not sent because the kernel refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Its index.
    pub destination: usize,
    /// How many packets.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Why.
    pub reason: Refusal,
}

/// Scratch space for sending, used again and again.
#[derive(Default)]
pub struct Sender {
    messages: Vec<libc::mmsghdr>,
    parts: Vec<Part>,
    /// One slice a packet.
    packets: Vec<libc::iovec>,
    /// The same bytes with neighbours in memory merged.
    merged: Vec<libc::iovec>,
    refused: Vec<Refused>,
}

// SAFETY: the raw pointers kept in the vectors are only read during `send`, which sets them anew from
// live borrows each time.
unsafe impl Send for Sender {}

/// What a message is made of: packets `packet..packet + count` of the run, for one destination.
#[derive(Clone, Copy)]
struct Part {
    at: Position,
    count: usize,
}

impl Sender {
    /// Sends a run (see [`split_run`]) to all `destinations` from position `from` on, in order.
    ///
    /// A route that refuses segmentation is remembered in its destination and served packet by packet.
    pub fn send(
        &mut self,
        socket: impl AsFd,
        control: &mut Control,
        destinations: &mut [Destination],
        run: &[Bytes],
        from: Position,
    ) -> SendReport {
        let socket = socket.as_fd().as_raw_fd();
        let mut report = SendReport::default();
        let mut at = from;
        self.refused.clear();
        self.load(run);
        // A run's bytes fit in 16 bits, so its first packet's do.
        control.set_segment(run.first().map_or(0, Bytes::len) as u16);
        while at.destination < destinations.len() {
            self.compose(control, destinations, at, run.len());
            match self.flush(socket, run, &mut report) {
                Flushed::All(next) => at = next,
                Flushed::Blocked(position) => {
                    report.blocked = Some(position);
                    break;
                }
                Flushed::Unsegmentable(position, error) => {
                    let destination = &mut destinations[position.destination];
                    report.demoted += u64::from(destination.refuse_segments(control.segment(), error));
                    at = position;
                }
            }
        }
        report
    }

    /// Whom the last [`send`](Self::send) was refused for.
    pub fn refused(&self) -> impl Iterator<Item = Refused> {
        self.refused.iter().copied()
    }

    fn load(&mut self, run: &[Bytes]) {
        self.packets.clear();
        self.merged.clear();
        for packet in run {
            let slice = libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
            self.packets.push(slice);
            match self.merged.last_mut() {
                Some(last) if last.iov_base.wrapping_byte_add(last.iov_len) == slice.iov_base => {
                    last.iov_len += slice.iov_len;
                }
                _ => self.merged.push(slice),
            }
        }
    }

    /// Composes the messages of the next call, from `at` on.
    fn compose(&mut self, control: &Control, destinations: &mut [Destination], at: Position, packets: usize) {
        self.messages.clear();
        self.parts.clear();
        let mut skip = at.packet;
        for (index, destination) in destinations.iter_mut().enumerate().skip(at.destination) {
            if self.messages.len() >= MESSAGES_PER_CALL {
                break;
            }
            if destination.largest_segments() < control.segment() || packets == 1 {
                for packet in skip..packets {
                    let part = Part { at: Position { destination: index, packet }, count: 1 };
                    self.push(control, destination, part, packets);
                }
            } else {
                let part = Part { at: Position { destination: index, packet: 0 }, count: packets };
                self.push(control, destination, part, packets);
            }
            skip = 0;
        }
    }

    fn push(&mut self, control: &Control, destination: &mut Destination, part: Part, packets: usize) {
        // SAFETY: mmsghdr is plain integers and pointers, for which zeros are valid.
        let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
        let header = &mut message.msg_hdr;
        header.msg_name = (&raw mut destination.address).cast();
        header.msg_namelen = destination.address.len();
        let told = if part.count == packets && packets > 1 {
            header.msg_iov = self.merged.as_mut_ptr();
            header.msg_iovlen = self.merged.len() as _; // C libraries differ in the types
            control.of_segments()
        } else {
            header.msg_iov = self.packets.as_mut_ptr().wrapping_add(part.at.packet);
            header.msg_iovlen = 1;
            control.of_packet()
        };
        (header.msg_control, header.msg_controllen) = (told.0, told.1 as _);
        self.messages.push(message);
        self.parts.push(part);
    }

    fn flush(&mut self, socket: RawFd, run: &[Bytes], report: &mut SendReport) -> Flushed {
        let (mut done, mut tries) = (0, 0);
        while done < self.messages.len() {
            let rest = &mut self.messages[done..];
            // SAFETY: each header names a live destination, live slices and control data: they were set
            // from borrows that last for all of `send`, and none of the vectors has changed since.
            let sent = unsafe {
                libc::sendmmsg(socket, rest.as_mut_ptr(), rest.len() as libc::c_uint, libc::MSG_DONTWAIT as _)
            };
            if let Ok(sent) = usize::try_from(sent) {
                for part in &self.parts[done..done + sent] {
                    report.packets += part.count as u64;
                    report.bytes += bytes_of(run, part);
                }
                done += sent;
                tries = 0;
                continue;
            }
            let part = self.parts[done];
            match Errno::last() {
                Errno::EINTR => {}
                Errno::EAGAIN => return Flushed::Blocked(part.at),
                error if tries < more_tries(error) => tries += 1,
                error @ (Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE | Errno::EOPNOTSUPP)
                    if part.count > 1 =>
                {
                    return Flushed::Unsegmentable(part.at, error);
                }
                error => {
                    let (destination, packets) = (part.at.destination, part.count as u64);
                    let reason = Refusal::of(error);
                    report.refused[reason as usize] += packets;
                    self.refused.push(Refused { destination, packets, bytes: bytes_of(run, &part), reason });
                    done += 1;
                    tries = 0;
                }
            }
        }
        Flushed::All(Position {
            destination: self.parts.last().map_or(usize::MAX, |last| last.at.destination + 1),
            packet: 0,
        })
    }
}

enum Flushed {
    All(Position),
    Blocked(Position),
    Unsegmentable(Position, Errno),
}

/// The kernel tells what came back of an earlier message at the next one, which it does not send then. These are the
/// errors that may be such (ICMP, RFC 1122 section 3.2.2, and RFC 4443): the message is innocent until it fails again.
fn more_tries(error: Errno) -> usize {
    match error {
        Errno::ECONNREFUSED => MORE_TRIES_PAST_CLOSED_PORTS,
        Errno::EHOSTUNREACH
        | Errno::ENETUNREACH
        | Errno::EHOSTDOWN
        | Errno::ENONET
        | Errno::EACCES
        | Errno::EMSGSIZE
        | Errno::EOPNOTSUPP
        | Errno::ENOPROTOOPT
        | Errno::EPROTO => MORE_TRIES,
        _ => 0,
    }
}

fn bytes_of(run: &[Bytes], part: &Part) -> u64 {
    run[part.at.packet..][..part.count].iter().map(|packet| packet.len() as u64).sum()
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
