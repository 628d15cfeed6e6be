//! A socket that listens: one port of one track, joined to the track's group.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};

use crate::net::{Datagram, Group, RECEIVE_BUFFER_BYTES, ReceiveBatch, ReceiveSocket};

/// Batches of one socket at a time; then the others have their turn.
const BATCHES_PER_TURN: usize = 8;

/// One port.
pub struct Ear {
    /// Which track, from 0.
    pub track: usize,
    /// It is the port of RTCP alone.
    pub is_control: bool,
    /// What the kernel gave it to keep datagrams in.
    pub buffer_bytes: usize,
    /// Datagrams that this had no room for.
    pub dropped: u32,
    socket: ReceiveSocket,
}

impl Ear {
    /// Listens to a port of a track.
    pub fn open(track: usize, port: u16, groups: &[Group], is_control: bool) -> Result<Self, String> {
        let address = groups.first().map_or(Ipv4Addr::UNSPECIFIED.into(), |group| group.address);
        let socket = ReceiveSocket::bind(port, address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("another program has port {port} for itself; end it, or listen on another machine")
            }
            _ => format!("port {port} can not be listened on: {error}"),
        })?;
        let buffer_bytes =
            socket.set_receive_buffer(RECEIVE_BUFFER_BYTES).map_err(|error| error.to_string())?;
        groups.iter().try_for_each(|group| socket.join(group)).map_err(|error| error.to_string())?;
        Ok(Self { track, is_control, buffer_bytes, dropped: 0, socket })
    }

    /// Gives what has arrived to `each`.
    pub fn take(&mut self, group: IpAddr, batch: &mut ReceiveBatch, mut each: impl FnMut(Datagram<'_>)) {
        for _ in 0..BATCHES_PER_TURN {
            // An error is told once, of something that is over.
            let Ok(count) = batch.receive(&self.socket) else { return };
            for datagram in batch.datagrams() {
                self.dropped = datagram.overflow.unwrap_or(self.dropped);
                if group.is_unspecified() || datagram.destination == group {
                    each(datagram);
                }
            }
            if count < batch.capacity() {
                return;
            }
        }
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
