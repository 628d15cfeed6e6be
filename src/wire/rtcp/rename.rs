//! A source's reports under the name and with the numbers that viewers have its stream by.

use rtcp_types::prelude::*;
use rtcp_types::{Sdes, SenderReport};

use super::compound::{packet_type, packets};

/// Where the fields of a packet are, from its beginning (RFC 3550 section 6.4.1).
const SSRC: usize = 4;
const RTP_TIMESTAMP: usize = 16;
const PACKETS: usize = 20;
const OCTETS: usize = 24;

/// What a sender report says was sent; wraps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: u32,
    /// Bytes of their payloads.
    pub octets: u32,
}

impl Counts {
    /// One more, with such a payload.
    pub fn count(&mut self, payload_len: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
    }
}

/// What the reports of a stream are to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renamed {
    /// The SSRC that it has.
    pub from: u32,
    /// The SSRC that viewers have it by.
    pub to: u32,
    /// What is added to its timestamps; wraps.
    pub timestamp_shift: u32,
    /// What viewers were sent of it; absent where they were sent all of it.
    pub counts: Option<Counts>,
}

/// What the sender report says was sent that a compound packet starts with.
#[must_use]
pub fn counts(packet: &[u8]) -> Option<Counts> {
    let first = packets(packet).ok()?.next()?;
    let is_report = packet_type(first) == SenderReport::PACKET_TYPE;
    let word = |at| Some(u32::from_be_bytes(*first.get(at..)?.first_chunk()?));
    is_report.then(|| Some(Counts { packets: word(PACKETS)?, octets: word(OCTETS)? })).flatten()
}

/// A compound packet that says the same of the stream under its other name. What it says of other streams stays.
#[must_use]
pub fn rename(packet: &[u8], stream: &Renamed) -> Vec<u8> {
    let mut renamed = packet.to_vec();
    let mut start = 0;
    for one in packets(packet).into_iter().flatten() {
        let part = &mut renamed[start..start + one.len()];
        start += one.len();
        match packet_type(one) {
            Sdes::PACKET_TYPE => rename_chunks(part, stream),
            SenderReport::PACKET_TYPE if is_named(part, SSRC, stream.from) => report(part, stream),
            _ => rename_at(part, SSRC, stream),
        }
    }
    renamed
}

fn report(part: &mut [u8], stream: &Renamed) {
    rename_at(part, SSRC, stream);
    let timestamp = part.get(RTP_TIMESTAMP..).and_then(|rest| rest.first_chunk()).copied();
    let timestamp = u32::from_be_bytes(timestamp.unwrap_or_default()).wrapping_add(stream.timestamp_shift);
    put(part, RTP_TIMESTAMP, timestamp);
    if let Some(counts) = stream.counts {
        put(part, PACKETS, counts.packets);
        put(part, OCTETS, counts.octets);
    }
}

/// Each chunk is an SSRC and items, which end with a zero and are padded to 32 bits (RFC 3550 section 6.5).
fn rename_chunks(part: &mut [u8], stream: &Renamed) {
    let mut at = SSRC;
    while at + 4 <= part.len() {
        rename_at(part, at, stream);
        at += 4;
        while let Some(&kind) = part.get(at) {
            if kind == 0 {
                at = (at / 4 + 1) * 4;
                break;
            }
            let Some(&length) = part.get(at + 1) else { return };
            at += 2 + usize::from(length);
        }
    }
}

fn rename_at(part: &mut [u8], at: usize, stream: &Renamed) {
    if is_named(part, at, stream.from) {
        put(part, at, stream.to);
    }
}

fn is_named(part: &[u8], at: usize, ssrc: u32) -> bool {
    part.get(at..at + 4) == Some(&ssrc.to_be_bytes()[..])
}

fn put(part: &mut [u8], at: usize, word: u32) {
    if let Some(place) = part.get_mut(at..at + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}
