//! A Source multicasts stamped RTP on the loopback interface: each packet tells what it is and where it
//! stands, so that whoever gets it can tell loss, mixture and damage.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mirrorball::event::clock;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Seven packets of a transport stream.
const PAYLOAD_BYTES: usize = 7 * 188;
const HEADER_BYTES: usize = 12;
const EAR_BYTES: usize = 2 << 20;
/// Numbers start close below the wrap of sequence and timestamp, so every story crosses both.
const FIRST_SEQUENCE: u16 = u16::MAX - 40;
const FIRST_TIMESTAMP: u32 = u32::MAX - 9000;
const TICKS_PER_PACKET: u32 = 112;

/// A multicast group and port that no other story uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(pub SocketAddrV4);

/// One programme, sent packet by packet.
pub struct Source {
    pub group: Group,
    /// Tells its packets from those of any other source.
    pub programme: u32,
    pub ssrc: u32,
    /// How many packets have been sent.
    pub next: u64,
    first_sequence: u16,
    socket: UdpSocket,
}

/// What a packet tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub programme: u32,
    pub number: u64,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// A Source that sends at a steady rate until it is stopped.
pub struct Beam {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Source>>,
}

impl Group {
    /// A group and a port of its own.
    pub fn fresh() -> Self {
        Self::in_range(239)
    }

    /// A group of the source-specific range, RFC 4607.
    pub fn source_specific() -> Self {
        Self::in_range(232)
    }

    /// Another group on the same port.
    pub fn beside(self) -> Self {
        Self(SocketAddrV4::new(*Self::fresh().0.ip(), self.0.port()))
    }

    /// Whether anybody of this machine has joined it (`/proc/net/igmp`).
    pub fn is_joined(self) -> bool {
        let groups = fs::read_to_string("/proc/thread-self/net/igmp").expect("Linux tells");
        let group = format!("{:08X}", u32::from_ne_bytes(self.0.ip().octets()));
        groups.lines().any(|line| line.split_whitespace().next() == Some(group.as_str()))
    }

    /// Somebody who hears what is sent to it on loopback, so many ports further on.
    pub fn ear(self, ports_on: u16) -> UdpSocket {
        self.ear_on(Ipv4Addr::LOCALHOST, ports_on)
    }

    /// The same on the interface that has an address.
    pub fn ear_on(self, interface: Ipv4Addr, ports_on: u16) -> UdpSocket {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        socket.set_reuse_address(true).expect("an option");
        socket.set_recv_buffer_size(EAR_BYTES).expect("an option");
        let at = SocketAddrV4::new(*self.0.ip(), self.0.port() + ports_on);
        // Bound to the group, so that no other one is heard.
        socket.bind(&at.into()).expect("the group's port");
        socket.join_multicast_v4(self.0.ip(), &interface).expect("the interface takes multicast");
        socket.into()
    }

    fn in_range(first: u8) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let count = COUNT.fetch_add(1, Relaxed);
        let (last, turn) = ((count % 250) as u8 + 1, (count / 250) as u8);
        // Below the ports that the kernel hands out; RTP on the even one.
        let port = 10_000 + 2 * ((u16::from(low) * 37 + count as u16 * 3) % 10_000);
        Self(SocketAddrV4::new(Ipv4Addr::new(first, 100 + (high.wrapping_add(turn) & 63), low, last), port))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Source {
    /// A source of its own programme to a group of its own.
    pub fn new() -> Self {
        Self::to(Group::fresh())
    }

    /// A source of its own programme to this group.
    pub fn to(group: Group) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, group)
    }

    /// A source with this address, on loopback.
    pub fn from(address: Ipv4Addr, group: Group) -> Self {
        Self::on(Ipv4Addr::LOCALHOST, address, group)
    }

    /// A source with this address, on the interface of another.
    pub fn on(interface: Ipv4Addr, address: Ipv4Addr, group: Group) -> Self {
        static PROGRAMMES: AtomicU32 = AtomicU32::new(1);
        let programme = PROGRAMMES.fetch_add(1, Relaxed);
        let socket = UdpSocket::bind((address, 0)).expect("a socket to send from");
        let options = SockRef::from(&socket);
        options.set_multicast_if_v4(&interface).expect("the interface takes multicast");
        options.set_multicast_loop_v4(true).expect("multicast on this machine");
        let ssrc = 0x5eed_0000 | programme;
        Self { group, programme, ssrc, next: 0, first_sequence: FIRST_SEQUENCE, socket }
    }

    /// Begins anew, as a source does that was switched off: under another SSRC, at another sequence number.
    pub fn begin_anew(&mut self) {
        self.ssrc = self.ssrc.wrapping_mul(31).wrapping_add(7);
        self.first_sequence = self.first_sequence.wrapping_add(20_000);
    }

    /// The packet of this number, whole.
    pub fn packet(&self, number: u64) -> Vec<u8> {
        let mut packet = vec![0; HEADER_BYTES + PAYLOAD_BYTES];
        self.write(number, &mut packet);
        packet
    }

    /// Sends that many packets at once.
    pub fn send(&mut self, count: u64) {
        let mut packet = vec![0; HEADER_BYTES + PAYLOAD_BYTES];
        for _ in 0..count {
            self.write(self.next, &mut packet);
            self.send_bytes(&packet);
            self.next += 1;
        }
    }

    /// Sends anything to the group's RTP port.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.group.0).expect("lo takes packets");
    }

    /// Sends anything to the group's RTCP port.
    pub fn send_rtcp(&self, bytes: &[u8]) {
        let to = SocketAddrV4::new(*self.group.0.ip(), self.group.0.port() + 1);
        self.socket.send_to(bytes, to).expect("lo takes packets");
    }

    /// Sends at a steady rate from a thread of its own.
    pub fn beam(mut self, packets_per_second: u64) -> Beam {
        let sent = Arc::new(AtomicU64::new(self.next));
        let stop = Arc::new(AtomicBool::new(false));
        let (tally, until) = (sent.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let (began, first) = (clock::now(), self.next);
            while !until.load(Relaxed) {
                let elapsed = clock::now().saturating_duration_since(began);
                let due = first + (elapsed.as_micros() as u64 * packets_per_second) / 1_000_000;
                // Whatever held the thread up, no burst is larger than a receiver's buffer takes.
                let count = due.saturating_sub(self.next).min(64);
                self.send(count);
                tally.store(self.next, Relaxed);
                if count < 64 {
                    thread::sleep(Duration::from_micros(500_000 / packets_per_second));
                }
            }
            self
        });
        Beam { sent, stop, thread: Some(thread) }
    }

    fn write(&self, number: u64, packet: &mut [u8]) {
        let sequence = self.first_sequence.wrapping_add(number as u16);
        let timestamp = FIRST_TIMESTAMP.wrapping_add((number as u32).wrapping_mul(TICKS_PER_PACKET));
        packet[..2].copy_from_slice(&[0x80, 33]);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        packet[12..16].copy_from_slice(&self.programme.to_be_bytes());
        packet[16..24].copy_from_slice(&number.to_be_bytes());
        packet[24..].fill(fill(self.programme, number));
    }
}

impl Stamp {
    /// Reads a packet; `None` if it is damaged, or of no Source at all.
    pub fn read(packet: &[u8]) -> Option<Self> {
        if packet.len() != HEADER_BYTES + PAYLOAD_BYTES || packet[..2] != [0x80, 33] {
            return None;
        }
        let four =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let number = u64::from(four(16)) << 32 | u64::from(four(20));
        let programme = four(12);
        // A slice that equals itself one byte on is all of one value.
        let whole = packet[24] == fill(programme, number) && packet[24..packet.len() - 1] == packet[25..];
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        whole.then_some(Self { programme, number, sequence, timestamp: four(4), ssrc: four(8) })
    }
}

impl Beam {
    /// How many packets have been sent by now.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Stops sending.
    pub fn stop(mut self) -> Source {
        self.stop.store(true, Relaxed);
        self.thread.take().expect("stopped once").join().expect("sending does not fail")
    }
}

impl Drop for Beam {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn fill(programme: u32, number: u64) -> u8 {
    (number as u8).wrapping_mul(31).wrapping_add(programme as u8)
}

/// A sender report with no blocks (RFC 3550, 6.4.1).
pub fn sender_report(ssrc: u32, rtp_timestamp: u32) -> Vec<u8> {
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(ssrc.to_be_bytes());
    report.extend(0xe000_0000_8000_0000_u64.to_be_bytes());
    report.extend(rtp_timestamp.to_be_bytes());
    report.extend([0, 0, 0, 9, 0, 0, 9, 9]);
    report
}

/// Whether there is a BYE in RTCP.
pub fn is_goodbye(rtcp: &[u8]) -> bool {
    rtcp.windows(2).step_by(4).any(|head| head[0] & 0xe0 == 0x80 && head[1] == 203)
}

/// A BYE (RFC 3550, 6.6).
pub fn bye(ssrc: u32) -> Vec<u8> {
    let mut bye = vec![0x81, 203, 0, 1];
    bye.extend(ssrc.to_be_bytes());
    bye
}
