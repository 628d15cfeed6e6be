//! One track of a session with a server: the way its packets come, and what is reported of it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::event::{Interest, Poller, clock};
use crate::net::{ReceiveBatch, ServerPair, receiving_pair};
use crate::relay::Track;
use crate::wire::rtcp::{self, Reporting};
use crate::wire::rtp;

use super::super::touched::Touched;
use super::action::Way;
use super::ear::{Ear, Listener};
use super::figures::Figures;

/// Messages per `recvmmsg`, and batches of one socket at a turn.
const BATCH: usize = 32;
const BATCHES_PER_TURN: usize = 8;

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// A track, and the sockets that it comes to, if it does not come in the connection.
pub(super) struct Feed {
    pub track: Arc<Track>,
    reporting: Reporting,
    ports: Option<Ports>,
    is_granted: bool,
}

/// What has come to the ports of a track.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub rtp: bool,
    pub rtcp: bool,
    /// There is more than a turn takes.
    pub more: bool,
}

/// The sockets of a track over UDP.
struct Ports {
    rtp: Port,
    rtcp: Port,
    /// RTCP's is the next one.
    number: u16,
    /// The server's own address: it sends from no other.
    server: IpAddr,
    /// Its ports, where it names them; else those that its first packet tells.
    from: Cell<Option<(u16, u16)>>,
}

struct Port {
    socket: Arc<UdpSocket>,
    ear: Ear,
}

impl Feed {
    /// One that comes in the connection.
    pub fn interleaved(track: Arc<Track>) -> Self {
        Self { track, reporting: Reporting::default(), ports: None, is_granted: false }
    }

    /// One that comes from a server to ports of ours at an address.
    pub fn over_udp(
        track: Arc<Track>,
        (own, server): (IpAddr, IpAddr),
        poller: &Poller,
        listener: &Weak<dyn Listener>,
    ) -> io::Result<Self> {
        let ServerPair { rtp, rtcp, port: number } = receiving_pair(own)?;
        let open = |socket: UdpSocket| {
            let socket = Arc::new(socket);
            let ear = Ear::open(poller, socket.clone(), listener.clone(), Interest::Read)?;
            io::Result::Ok(Port { socket, ear })
        };
        let ports = Ports { rtp: open(rtp)?, rtcp: open(rtcp)?, number, server, from: Cell::default() };
        Ok(Self { ports: Some(ports), ..Self::interleaved(track) })
    }

    /// The ports that it comes to.
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.ports.as_ref().map(|ports| (ports.number, ports.number + 1)) // the pair is of an even port and the next
    }

    /// The server serves it.
    pub fn granted(&mut self, way: Way) {
        self.is_granted = true;
        let (Some(ports), Way::Udp(from)) = (&mut self.ports, way) else { return };
        ports.from.set(from);
        ports.open_the_way(&[]);
    }

    /// Media comes, if the server serves it.
    pub fn plays(&self) {
        self.track.set_joined(0, self.is_granted);
    }

    /// Takes in what has arrived at its ports.
    pub fn receive(&mut self, figures: &Figures, touched: &mut Touched) -> Arrived {
        let mut arrived = Arrived::default();
        let Some(ports) = self.ports.take() else { return arrived };
        for (port, is_rtcp) in [(&ports.rtp, false), (&ports.rtcp, true)] {
            if !port.ear.take() {
                continue;
            }
            let (has_come, is_left) = self.empty(port, is_rtcp, &ports, figures, touched);
            *(if is_rtcp { &mut arrived.rtcp } else { &mut arrived.rtp }) = has_come;
            arrived.more |= is_left;
            if is_left { port.ear.fire() } else { port.ear.listen() }
        }
        self.ports = Some(ports);
        arrived
    }

    fn empty(
        &mut self,
        port: &Port,
        is_rtcp: bool,
        ports: &Ports,
        figures: &Figures,
        touched: &mut Touched,
    ) -> (bool, bool) {
        let expected = |port: u16| match (ports.from.get(), is_rtcp) {
            (Some((rtp, _)), false) => port == rtp,
            (Some((_, rtcp)), true) => port == rtcp,
            (None, _) => true,
        };
        BUFFERS.with_borrow_mut(|batch| {
            let mut came = false;
            for _ in 0..BATCHES_PER_TURN {
                // What a socket fails with is gone with the call; a datagram that went with it counts as lost.
                let Ok(count) = batch.receive(&port.socket) else { return (came, false) };
                let now = clock::now();
                for datagram in batch.datagrams() {
                    let from = datagram.source;
                    if from.ip().to_canonical() != ports.server || !expected(from.port()) {
                        figures.stray_datagram();
                        continue;
                    }
                    if ports.from.get().is_none() && !is_rtcp {
                        ports.from.set(from.port().checked_add(1).map(|rtcp| (from.port(), rtcp)));
                    }
                    came = true;
                    self.take(is_rtcp, datagram.payload, from, now, touched);
                }
                if count < batch.capacity() {
                    return (came, false);
                }
            }
            (came, true)
        })
    }

    /// Takes in a packet.
    pub fn take(
        &mut self,
        is_rtcp: bool,
        packet: &[u8],
        from: SocketAddr,
        at: Instant,
        touched: &mut Touched,
    ) {
        if is_rtcp {
            return self.take_rtcp(packet, at, touched);
        }
        match rtp::check(packet) {
            Ok(header) => {
                if self.track.receive(&header, packet, from, at) {
                    touched.note(&self.track.rtp);
                }
            }
            Err(reason) => self.track.refuse(reason, packet, at),
        }
    }

    fn take_rtcp(&mut self, packet: &[u8], at: Instant, touched: &mut Touched) {
        match rtcp::reflectable(packet) {
            Ok(Some(reflectable)) => {
                if let Some(sender) = reflectable.sender {
                    self.reporting.sender_report(sender.ntp_timestamp, self.track.signs.since_epoch(at));
                }
                self.track.receive_rtcp(&reflectable, at);
                touched.note(&self.track.rtcp);
            }
            Ok(None) => {}
            Err(reason) => self.track.refuse_rtcp(reason, packet, at),
        }
    }

    /// The report that is due now: sent over UDP, or returned for the connection.
    pub fn report(&mut self, ssrc: u32, now: Instant) -> Option<Vec<u8>> {
        let reception = self.track.stats(now).reception;
        let (clock_rate, since) = (self.track.description.clock_rate, self.track.signs.since_epoch(now));
        let name = format!("pull-{ssrc:08x}@mirrorball");
        let report = self.reporting.report(&reception, clock_rate, (ssrc, &name), since);
        let Some(ports) = &self.ports else { return Some(report) };
        ports.open_the_way(&report);
        None
    }
}

impl Ports {
    /// What is sent to the ports that the server sends from opens the way through a firewall, and shows through a NAT where we
    /// are. Both forget it after some time, that of each port by itself.
    fn open_the_way(&self, report: &[u8]) {
        let Some((rtp, rtcp)) = self.from.get() else { return };
        // What is lost of it is followed by the next one.
        let _ = self.rtp.socket.send_to(&[], SocketAddr::new(self.server, rtp));
        let _ = self.rtcp.socket.send_to(report, SocketAddr::new(self.server, rtcp));
    }
}

/// Between two reports of a track (RFC 3550 section 6.2).
pub(super) const REPORT_EVERY: Duration = Duration::from_secs(5);
