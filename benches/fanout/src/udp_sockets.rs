//! The sockets of all subscribers over UDP: two for RTP and two for RTCP, since each has an address of its own.
//!
//! Most are counted by the first packet of each message: the rest of a run is dropped uncopied and counted by
//! its length. Witnesses are read whole, every packet checked, and timed by the kernel at their interface.

use std::io::Result;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan::{self, COUNTED_PORT, WITNESS_PORT};
use crate::ledger::Notes;
use crate::mark::{HEAD_BYTES, Mark};
use crate::sys::{self, Datagram, Gather};

const RECEIVE_BUFFER_BYTES: usize = 256 << 20;
const LARGEST_RUN_BYTES: usize = 1 << 16;
/// So that a load beyond the receivers' core cannot keep them from looking at the clock.
const CALLS_PER_DRAIN: usize = 64;

/// The sockets.
pub struct UdpSockets {
    /// How a packet's mark is read.
    read: fn(&[u8]) -> Option<Mark>,
    counted: (Socket, Gather),
    witnesses: (Socket, Gather),
    /// Bound, so that the relay's RTCP is not answered by ICMP errors, and never read.
    rtcp: [Socket; 2],
}

impl UdpSockets {
    /// Binds them. Packets may be numbered otherwise than they were sent, or not.
    pub fn open(may_be_renumbered: bool) -> Result<Self> {
        let read = if may_be_renumbered { Mark::read_renumbered } else { Mark::read };
        let counted = (bind(COUNTED_PORT)?, Gather::new(256, HEAD_BYTES));
        let witnesses = (bind(WITNESS_PORT)?, Gather::new(32, LARGEST_RUN_BYTES));
        sys::want_arrival_times(&witnesses.0)?;
        let rtcp = [quiet(COUNTED_PORT + 1)?, quiet(WITNESS_PORT + 1)?];
        Ok(Self { read, counted, witnesses, rtcp })
    }

    /// The sockets to send RTCP from: of the counted, and of the witnesses.
    pub fn rtcp(&self) -> Result<[Socket; 2]> {
        Ok([self.rtcp[0].try_clone()?, self.rtcp[1].try_clone()?])
    }

    /// Notes all that has come.
    pub fn drain(&mut self, notes: &mut impl Notes) -> Result<()> {
        let (read, realtime_ahead_ns) = (self.read, sys::realtime_ahead_ns());
        let check = |message: &Datagram, notes: &mut _| check(message, read, realtime_ahead_ns, notes);
        drain(&mut self.witnesses, notes, check)?;
        drain(&mut self.counted, notes, |message, notes| count(message, read, notes))
    }
}

fn drain<N: Notes>(
    (socket, gather): &mut (Socket, Gather),
    notes: &mut N,
    mut note: impl FnMut(&Datagram, &mut N),
) -> Result<()> {
    for _ in 0..CALLS_PER_DRAIN {
        let count = gather.receive(socket)?;
        for message in gather.datagrams(count) {
            note(&message, notes);
        }
        if count < gather.slots() {
            break;
        }
    }
    Ok(())
}

/// Counts a run by its first packet and its length.
fn count(message: &Datagram, read: fn(&[u8]) -> Option<Mark>, notes: &mut impl Notes) {
    match (read(message.head), subscriber(message)) {
        (Some(mark), Some(subscriber)) => notes.note(subscriber, &mark, message.count() as u64),
        _ => notes.note_damaged(1),
    }
}

/// Checks each packet of a run.
fn check(
    message: &Datagram,
    read: fn(&[u8]) -> Option<Mark>,
    realtime_ahead_ns: u64,
    notes: &mut impl Notes,
) {
    for packet in message.head.chunks(message.segment.max(1)) {
        let (Some(mark), Some(subscriber)) = (read(packet), subscriber(message)) else {
            notes.note_damaged(1);
            continue;
        };
        notes.note(subscriber, &mark, 1);
        if let Some(arrived_ns) = message.arrived_ns {
            notes.note_delay(subscriber, &mark, arrived_ns.saturating_sub(realtime_ahead_ns));
        }
    }
}

fn subscriber(message: &Datagram) -> Option<usize> {
    message.destination.and_then(address_plan::subscriber_at)
}

fn bind(port: u16) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    sys::force_receive_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
    sys::want_destinations(&socket)?;
    sys::want_whole_runs(&socket)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket)
}

fn quiet(port: u16) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket)
}
