//! A socket that listens: one port of one track, joined to the track's group.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::net::{Datagram, Group, MembershipError, RECEIVE_BUFFER_BYTES, ReceiveBatch, ReceiveSocket};
use crate::wire::source_filter::SourceFilter;

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
    /// Where it was joined. IPv6 delivers a group from all interfaces that anybody has joined it on.
    interface: u32,
    /// Whom it is to hear.
    filter: SourceFilter,
    socket: ReceiveSocket,
}

impl Ear {
    /// Listens to a port of a track, by as many sockets as it takes: the kernel joins some ten sources on one.
    pub fn open(
        track: usize,
        port: u16,
        groups: &[Group],
        filter: &SourceFilter,
        is_control: bool,
    ) -> Result<Vec<Self>, String> {
        let mut ears = Vec::<Self>::new();
        for group in groups {
            let joined = ears.last().map(|ear| ear.socket.join(group));
            match joined {
                Some(Ok(())) => {}
                None | Some(Err(MembershipError::SocketFull { .. })) => {
                    let ear = Self::on(track, port, group, filter.clone(), is_control)?;
                    ear.socket.join(group).map_err(|error| error.to_string())?;
                    ears.push(ear);
                }
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
        Ok(ears)
    }

    fn on(
        track: usize,
        port: u16,
        group: &Group,
        filter: SourceFilter,
        is_control: bool,
    ) -> Result<Self, String> {
        let socket =
            ReceiveSocket::bind_beside_others(port, group).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse if group.address.is_multicast() => {
                    format!("another program has port {port} for itself; end it, or listen on another machine")
                }
                io::ErrorKind::AddrInUse => format!(
                    "another program has port {port} of that address, and two can not have what comes there; end it first"
                ),
                _ => format!("port {port} can not be listened on: {error}"),
            })?;
        let buffer_bytes =
            socket.set_receive_buffer(RECEIVE_BUFFER_BYTES).map_err(|error| error.to_string())?;
        let interface = if group.address.is_multicast() { group.interface } else { 0 };
        Ok(Self { track, is_control, buffer_bytes, dropped: 0, interface, filter, socket })
    }

    /// Gives what has arrived to `each`.
    pub fn take(&mut self, batch: &mut ReceiveBatch, mut each: impl FnMut(Datagram<'_>)) {
        for _ in 0..BATCHES_PER_TURN {
            // An error is told once, of something that is over.
            let Ok(count) = batch.receive(&self.socket) else { return };
            for datagram in batch.datagrams() {
                self.dropped = datagram.overflow.unwrap_or(self.dropped);
                let is_from_here = self.interface == 0 || datagram.interface == self.interface;
                if is_from_here && self.filter.admits(datagram.source.ip()) {
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
