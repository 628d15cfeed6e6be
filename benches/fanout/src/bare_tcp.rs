//! The bare loop's way out over TCP: a batch, framed once, is written to each connection whole.

use std::io::{ErrorKind, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::address_plan;
use crate::bare::{Batch, Options, Out};

/// What a connection may owe before it misses a batch.
const LARGEST_DEBT_BYTES: usize = 4 << 20;

/// The connections, those of each channel together.
pub struct TcpOut {
    channels: Vec<Vec<Connection>>,
    framed: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// Bytes that the kernel did not take yet; they go before anything else.
    debt: Vec<u8>,
}

impl TcpOut {
    /// Waits for all subscribers to connect; the n-th to come is subscriber n. One for each thread.
    pub fn accept(options: &Options, port: u16) -> Result<Vec<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
        let nobody =
            || Self { channels: (0..options.channels).map(|_| Vec::new()).collect(), framed: Vec::new() };
        let mut outs: Vec<Self> = (0..options.threads).map(|_| nobody()).collect();
        let mut places = vec![0; options.channels];
        for index in 0..options.subscribers {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let channel = address_plan::channel_of(index, options.subscribers, options.channels);
            let thread = address_plan::thread_of(channel, places[channel], options.threads);
            places[channel] += 1;
            outs[thread].channels[channel].push(Connection { stream, debt: Vec::new() });
        }
        Ok(outs)
    }
}

impl Out for TcpOut {
    fn serves(&self, channel: usize) -> bool {
        !self.channels[channel].is_empty()
    }

    fn send(&mut self, channel: usize, batch: &Batch) -> Result<(u64, u64)> {
        self.framed.clear();
        let mut bytes = &batch.bytes[..];
        for &size in &batch.sizes {
            let (packet, rest) = bytes.split_at(usize::from(size));
            self.framed.extend([b'$', 0]);
            self.framed.extend(size.to_be_bytes());
            self.framed.extend_from_slice(packet);
            bytes = rest;
        }
        let (mut taken, mut missed) = (0, 0);
        for connection in &mut self.channels[channel] {
            if connection.write(&self.framed)? { taken += 1 } else { missed += 1 }
        }
        let packets = batch.sizes.len() as u64;
        Ok((taken * packets, missed * packets))
    }
}

impl Connection {
    /// Writes what the kernel takes and owes the rest; false if too much is owed already.
    fn write(&mut self, framed: &[u8]) -> Result<bool> {
        if !self.debt.is_empty() {
            let paid = write_some(&mut self.stream, &self.debt)?;
            self.debt.drain(..paid);
        }
        if self.debt.len() > LARGEST_DEBT_BYTES {
            return Ok(false);
        }
        let written = if self.debt.is_empty() { write_some(&mut self.stream, framed)? } else { 0 };
        self.debt.extend_from_slice(&framed[written..]);
        Ok(true)
    }
}

/// How much the kernel took. A connection that is closed takes everything, to nobody's benefit.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
            Ok(bytes.len())
        }
        result => result,
    }
}
