//! Subscribers over HTTP: each connection is read whole, and its transport stream cut into the source's packets.
//!
//! A packet has come when the last of its seven parts has. Delays are those of all packets, up to the look that read them.

use std::io::{ErrorKind, Result, Write};
use std::net::{SocketAddrV4, TcpStream};

use crate::address_plan;
use crate::http::{self, Head};
use crate::interleaved::{self, Came, Room};
use crate::ledger::{Ledger, Notes};
use crate::mark::{MARKED_PID, Mark, PARTS, TS_BYTES};
use crate::receive::{Options, View};
use crate::stream;
use crate::sys::{self, Epoll};

/// All subscribers over HTTP.
pub struct HttpView {
    epoll: Epoll,
    connections: Vec<Connection>,
    room: Room,
}

struct Connection {
    stream: TcpStream,
    head: Head,
    /// What is left of the last read: less than a part.
    rest: Vec<u8>,
    parts: Parts,
}

/// The packet of which not all parts have come yet, and how many have.
#[derive(Default)]
struct Parts(Option<(Mark, u64)>);

impl HttpView {
    /// Connects all subscribers, and asks for their channels.
    pub fn open(options: &Options, server: SocketAddrV4) -> Result<Self> {
        let connect = |subscriber| {
            let mut stream = stream::plain(server, subscriber)?;
            let channel = address_plan::channel_of(subscriber, options.subscribers, options.channels);
            stream.write_all(http::request(server, &format!("c{channel}")).as_bytes())?;
            Ok(stream)
        };
        Self::of((0..options.subscribers).map(connect).collect::<Result<_>>()?)
    }

    /// Subscribers who have asked already.
    fn of(streams: Vec<TcpStream>) -> Result<Self> {
        let epoll = Epoll::new(streams.len())?;
        for (index, stream) in streams.iter().enumerate() {
            epoll.add(stream, index as u64, Epoll::READABLE)?;
        }
        let connection =
            |stream| Connection { stream, head: Head::default(), rest: Vec::new(), parts: Parts::default() };
        Ok(Self { epoll, connections: streams.into_iter().map(connection).collect(), room: Room::new() })
    }
}

impl View for HttpView {
    fn drain(&mut self, _now_ns: u64, ledger: &mut Ledger) -> Result<()> {
        for token in self.epoll.wait(0)? {
            let subscriber = token as usize;
            let Connection { stream, head, rest, parts } = &mut self.connections[subscriber];
            let bytes = match self.room.read(stream, rest)? {
                Came::Bytes(bytes) => bytes,
                Came::Nothing => continue,
                Came::End => return Err(ErrorKind::UnexpectedEof.into()),
            };
            let mut stream = head.skip(bytes)?.chunks_exact(TS_BYTES);
            let now_ns = sys::monotonic_ns();
            stream.by_ref().for_each(|part| parts.take(subscriber, part, now_ns, ledger));
            *rest = interleaved::rest(stream.remainder());
        }
        Ok(())
    }
}

impl Parts {
    /// Notes the packet that is whole with this part. Other streams are what the relay says first.
    fn take(&mut self, subscriber: usize, part: &[u8], now_ns: u64, notes: &mut impl Notes) {
        if part[0] == 0x47 && u16::from_be_bytes([part[1] & 0x1f, part[2]]) != MARKED_PID {
            return;
        }
        let begun = self.0.take();
        self.0 = match (begun, Mark::read_ts(part)) {
            (begun, Some(mark)) => {
                notes.note_damaged(u64::from(begun.is_some()));
                Some((mark, 1))
            }
            (Some((mark, count)), None) if mark.is_part(count, part) => Some((mark, count + 1)),
            _ => return notes.note_damaged(1),
        };
        if let Some((mark, _)) = self.0.take_if(|(_, count)| *count == PARTS) {
            notes.note(subscriber, &mark, 1);
            notes.note_delay(subscriber, &mark, now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::mark::{Pattern, Shape};

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";

    fn packet(number: u64) -> Vec<u8> {
        let mark = Mark { number, sent_ns: 1, began_ns: 1, interval_ns: 1, channel: 0 };
        let mut packet = Vec::new();
        mark.write(Shape::Ts, Pattern { frame: 1, group: 2 }, &mut packet);
        packet.split_off(12)
    }

    /// What a relay may say before the first packet.
    fn tables() -> Vec<u8> {
        let mut tables = [0x47, 0x40, 0x00, 0x10].to_vec();
        tables.resize(TS_BYTES, 0xff);
        tables
    }

    #[test]
    fn packets_are_counted_that_come_in_pieces_from_a_server() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let streams = (0..2).map(|_| TcpStream::connect(listener.local_addr()?)).collect::<Result<_>>()?;
        let stream = [HEAD, &tables(), &packet(0), &packet(1), &packet(2)].concat();
        let server = thread::spawn(move || -> Result<Vec<TcpStream>> {
            let accept = |_| {
                let (mut connection, _) = listener.accept()?;
                connection.set_nodelay(true)?;
                stream.chunks(100).try_for_each(|piece| connection.write_all(piece))?;
                Ok(connection)
            };
            (0..2).map(accept).collect()
        });
        let (mut view, mut ledger) = (HttpView::of(streams)?, Ledger::new(2, 0, 0, 10));
        while ledger.arrived < 6 {
            view.drain(0, &mut ledger)?;
        }
        assert_eq!((ledger.arrived, ledger.damaged, ledger.reordered), (6, 0, 0));
        drop(server.join());
        let ended = view.drain(0, &mut ledger).map_err(|error| error.kind());
        assert_eq!(ended, Err(ErrorKind::UnexpectedEof));
        Ok(())
    }

    #[test]
    fn a_packet_that_lacks_a_part_is_damaged() {
        for missing in 0..PARTS as usize {
            let mut stream = [packet(0), packet(1), packet(2)].concat();
            stream.drain((7 + missing) * TS_BYTES..(8 + missing) * TS_BYTES);
            let (mut parts, mut ledger) = (Parts::default(), Ledger::new(1, 0, 0, 10));
            stream.chunks(TS_BYTES).for_each(|part| parts.take(0, part, 2, &mut ledger));
            assert_eq!(ledger.arrived, 2, "{missing}");
            assert!(ledger.damaged > 0, "{missing}");
        }
    }
}
