//! What came to one start: a transport stream, and when each piece of it arrived.

use std::fs;
use std::io::{Error, Result};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// How media comes to a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// RTP over UDP, asked for by RTSP.
    Udp,
    /// RTP interleaved in RTSP.
    Tcp,
    /// The transport stream as the body of an HTTP reply.
    Http,
}

impl Carrier {
    /// As it is written in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }
}

/// What came: pieces in the order of the stream.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// When a piece arrived, in microseconds after the request, and how many bytes it has.
    pub pieces: Vec<(u64, usize)>,
    /// Packets that are missing between those that came.
    pub lost: u64,
    /// Packets that came behind a later one, or twice.
    pub reordered: u64,
    #[serde(skip)]
    pub stream: Vec<u8>,
}

impl Capture {
    /// Takes in bytes of a stream that has an order of its own.
    pub fn push(&mut self, at_us: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.pieces.push((at_us, bytes.len()));
            self.stream.extend_from_slice(bytes);
        }
    }

    /// Puts RTP packets in their order, as a player does. Each has the time of its arrival.
    pub fn of_packets(packets: &[(u64, Vec<u8>)]) -> Self {
        let mut capture = Self::default();
        let mut parts: Vec<(i64, u64, &[u8])> = Vec::new();
        let mut last = None;
        for (at_us, packet) in packets {
            let Some((sequence, payload)) = split_rtp(packet) else { continue };
            let newest = *last.get_or_insert(i64::from(sequence) - 1);
            let number = newest + i64::from(sequence.wrapping_sub(newest as u16) as i16);
            capture.reordered += u64::from(number <= newest);
            last = Some(newest.max(number));
            parts.push((number, *at_us, payload));
        }
        parts.sort_by_key(|(number, ..)| *number);
        parts.dedup_by_key(|(number, ..)| *number);
        if let (Some((first, ..)), Some((last, ..))) = (parts.first(), parts.last()) {
            capture.lost = (last - first + 1) as u64 - parts.len() as u64;
        }
        for (_, at_us, payload) in parts {
            capture.push(at_us, payload);
        }
        capture
    }

    /// When the last of the first `count` pieces arrived, and how many bytes they are.
    pub fn until(&self, count: usize) -> (u64, usize) {
        let pieces = &self.pieces[..count];
        (pieces.iter().map(|piece| piece.0).max().unwrap_or(0), pieces.iter().map(|piece| piece.1).sum())
    }

    /// The most bytes that arrived within a time, no earlier than another time.
    pub fn most_bytes(&self, within_us: u64, from_us: u64) -> usize {
        let mut pieces: Vec<_> = self.pieces.iter().filter(|piece| piece.0 > from_us).collect();
        pieces.sort();
        let (mut first, mut bytes, mut most) = (0, 0, 0);
        for piece in &pieces {
            bytes += piece.1;
            while pieces[first].0 + within_us <= piece.0 {
                bytes -= pieces[first].1;
                first += 1;
            }
            most = most.max(bytes);
        }
        most
    }

    /// Writes the stream to `NAME.ts` and the times to `NAME.json`.
    pub fn save(&self, name: &Path) -> Result<()> {
        fs::write(name.with_extension("ts"), &self.stream)?;
        fs::write(name.with_extension("json"), serde_json::to_vec(self)?)
    }

    /// Reads what was saved.
    pub fn load(name: &Path) -> Result<Self> {
        let mut capture: Self = serde_json::from_slice(&fs::read(name.with_extension("json"))?)?;
        capture.stream = fs::read(name.with_extension("ts"))?;
        let is_whole = capture.until(capture.pieces.len()).1 == capture.stream.len();
        if is_whole { Ok(capture) } else { Err(Error::other("a stream that is not as long as its pieces")) }
    }
}

/// The sequence number of an RTP packet, and what it carries.
fn split_rtp(packet: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = packet.split_at_checked(12)?;
    let mut payload = rest.get(4 * usize::from(head[0] & 0x0f)..)?;
    if head[0] & 0x10 != 0 {
        let words = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
        payload = payload.get(4 + 4 * usize::from(words)..)?;
    }
    if head[0] & 0x20 != 0 {
        payload = payload.get(..payload.len().checked_sub(usize::from(*payload.last()?))?)?;
    }
    Some((u16::from_be_bytes([head[2], head[3]]), payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, byte: u8) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        vec![0x80, 33, high, low, 0, 0, 0, 0, 0, 0, 0, 0, byte, byte]
    }

    #[test]
    fn packets_are_put_in_order_around_the_end_of_their_numbers() {
        let packets = [(1, 65_534, 1), (2, 0, 3), (3, 65_535, 2), (4, 2, 5), (5, 2, 5)];
        let packets = packets.map(|(at_us, sequence, byte)| (at_us, packet(sequence, byte)));
        let capture = Capture::of_packets(&packets);
        assert_eq!(capture.stream, [1, 1, 2, 2, 3, 3, 5, 5]);
        assert_eq!((capture.lost, capture.reordered), (1, 2));
        assert_eq!(capture.until(3), (3, 6), "the third was the second in the stream, and the last to come");
    }

    #[test]
    fn what_surrounds_the_payload_is_no_part_of_it() {
        let mut packet = packet(7, 9);
        packet[0] = 0xb1;
        packet.splice(12..12, [1, 2, 3, 4, 0, 0, 0, 1, 5, 6, 7, 8]);
        packet.extend([0, 2]);
        assert_eq!(split_rtp(&packet), Some((7, &[9, 9][..])));
        assert_eq!(split_rtp(&packet[..14]), None);
    }

    #[test]
    fn the_most_bytes_are_those_of_the_fullest_window() {
        let pieces = vec![(10, 1000), (20, 3), (25, 4), (31, 5), (40, 1)];
        let capture = Capture { pieces, ..Capture::default() };
        assert_eq!(
            (capture.most_bytes(10, 10), capture.most_bytes(1000, 10), capture.most_bytes(5, 50)),
            (9, 13, 0)
        );
    }
}
