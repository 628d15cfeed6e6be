//! An Alias: the numbers by which one viewer has a stream that would break off for it where these are the source's. Whoever watches the
//! past and jumps there has been sent other packets than came meanwhile, and what comes goes on behind those.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::wire::renumbering::Renumbering;
use crate::wire::rtcp::{self, Renamed};
use crate::wire::rtp::{self, FIXED_HEADER_LEN, NotRtp};

/// Of the packets that have one SSRC. What has another one goes as it comes: it is another stream, for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    of: u32,
    ssrc: u32,
    /// Is added.
    sequence: u16,
    /// Is added.
    timestamp: u32,
}

/// By what a packet is known in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Whose it is.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
}

impl Alias {
    /// That by which one packet is the other. `None`: it is so as it is.
    #[must_use]
    pub fn from_to(from: Named, to: Named) -> Option<Self> {
        let sequence = to.sequence.wrapping_sub(from.sequence);
        let timestamp = to.timestamp.wrapping_sub(from.timestamp);
        let alias = Self { of: from.ssrc, ssrc: to.ssrc, sequence, timestamp };
        (from != to).then_some(alias)
    }

    /// A packet as the viewer has it.
    #[must_use]
    pub fn named(&self, packet: Named) -> Named {
        let Named { ssrc, sequence, timestamp } = packet;
        if ssrc != self.of {
            return packet;
        }
        Named {
            ssrc: self.ssrc,
            sequence: sequence.wrapping_add(self.sequence),
            timestamp: timestamp.wrapping_add(self.timestamp),
        }
    }

    /// An SSRC as the viewer has it.
    #[must_use]
    pub fn ssrc(&self, ssrc: u32) -> u32 {
        if ssrc == self.of { self.ssrc } else { ssrc }
    }

    /// The SSRC and the sequence number that a packet came with, by those that the viewer has.
    #[must_use]
    pub fn as_it_came(&self, ssrc: u32, sequence: u16) -> (u32, u16) {
        if ssrc == self.ssrc { (self.of, sequence.wrapping_sub(self.sequence)) } else { (ssrc, sequence) }
    }

    /// Makes packets, or reports, those that the viewer has: they lie side by side then.
    pub(super) fn give(&self, packets: &mut [Bytes]) {
        let mut room = BytesMut::with_capacity(packets.iter().map(Bytes::len).sum());
        for packet in packets {
            match rtp::check(packet) {
                Ok(header) if header.ssrc == self.of => {
                    let fixed = self.renumbering().header(&header).rewritten(packet);
                    room.extend_from_slice(&fixed.unwrap_or_default());
                    room.extend_from_slice(&packet[FIXED_HEADER_LEN..]);
                    *packet = room.split().freeze();
                }
                Err(NotRtp::Rtcp) => *packet = rtcp::rename(packet, &self.renamed()).into(),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn renumbering(&self) -> Renumbering {
        let Self { ssrc, sequence, timestamp, .. } = *self;
        Renumbering { ssrc, sequence, timestamp }
    }

    fn renamed(&self) -> Renamed {
        Renamed { from: self.of, to: self.ssrc, timestamp_shift: self.timestamp, counts: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Bytes {
        let head = [&[0x80, 33][..], &sequence.to_be_bytes(), &timestamp.to_be_bytes(), &ssrc.to_be_bytes()];
        [&head.concat()[..], b"payload"].concat().into()
    }

    fn named(ssrc: u32, sequence: u16, timestamp: u32) -> Named {
        Named { ssrc, sequence, timestamp }
    }

    #[test]
    fn packets_have_the_numbers_of_their_viewer_and_what_another_sends_has_its_own() {
        let alias = Alias::from_to(named(7, 65_535, 100), named(9, 2, 50)).expect("another one");
        let mut packets = [packet(7, 65_535, 100), packet(8, 4, 4), packet(7, 0, 190), Bytes::new()];
        alias.give(&mut packets);
        assert_eq!(packets, [packet(9, 2, 50), packet(8, 4, 4), packet(9, 3, 140), Bytes::new()]);
        assert_eq!(packets[0].as_ptr().wrapping_add(19), packets[2].as_ptr(), "side by side");
        assert_eq!((alias.named(named(7, 1, 1)), alias.ssrc(7)), (named(9, 4, u32::MAX - 48), 9));
        assert_eq!((alias.named(named(8, 1, 1)), alias.ssrc(8)), (named(8, 1, 1), 8));
        assert_eq!([alias.as_it_came(9, 2), alias.as_it_came(8, 2)], [(7, 65_535), (8, 2)]);
        assert_eq!(Alias::from_to(named(7, 1, 1), named(7, 1, 1)), None, "it is so as it is");
    }

    #[test]
    fn what_a_source_says_of_the_time_is_said_of_the_numbers_of_the_viewer() {
        let report = |ssrc: u32, timestamp: u32| -> Bytes {
            let words = [0x80c8_0006, ssrc, 1, 2, timestamp, 5, 500];
            words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect()
        };
        let alias = Alias::from_to(named(7, 10, 1000), named(9, 10, 1500)).expect("another one");
        let mut reports = [report(7, 4000), report(8, 4000)];
        alias.give(&mut reports);
        assert_eq!(reports, [report(9, 4500), report(8, 4000)]);
    }
}
