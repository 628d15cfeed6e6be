//! A Renumbering: packets of one stream as packets of another, which has its SSRC, and whose numbers and times are so much more.

use super::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// All of it wraps (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renumbering {
    /// The other stream's.
    pub ssrc: u32,
    /// Is added.
    pub sequence: u16,
    /// Is added.
    pub timestamp: u32,
}

impl Renumbering {
    /// That which makes one header the other.
    #[must_use]
    pub fn from_to(from: &RtpHeader, to: &RtpHeader) -> Self {
        Self {
            ssrc: to.ssrc,
            sequence: to.sequence.wrapping_sub(from.sequence),
            timestamp: to.timestamp.wrapping_sub(from.timestamp),
        }
    }

    /// A header as one of the other stream.
    #[must_use]
    pub fn header(&self, header: &RtpHeader) -> RtpHeader {
        RtpHeader {
            ssrc: self.ssrc,
            sequence: header.sequence.wrapping_add(self.sequence),
            timestamp: header.timestamp.wrapping_add(self.timestamp),
            ..*header
        }
    }

    /// A packet as one of the other stream. `None`: it is none.
    #[must_use]
    pub fn packet(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let header = super::rtp::check(packet).ok()?;
        let fixed = self.header(&header).rewritten(packet)?;
        Some([&fixed[..], &packet[FIXED_HEADER_LEN..]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtp::check;

    #[test]
    fn a_packet_becomes_the_one_that_it_is_to_be_and_nothing_else_of_it_changes() {
        let packet = |sequence: u16, timestamp: u32, ssrc: u32| {
            let head =
                [&[0x80, 33][..], &sequence.to_be_bytes(), &timestamp.to_be_bytes(), &ssrc.to_be_bytes()];
            [&head.concat()[..], b"payload"].concat()
        };
        let (from, to) = (packet(65_535, u32::MAX, 1), packet(2, 5, 9));
        let header = |packet: &[u8]| check(packet).expect("RTP");
        let by = Renumbering::from_to(&header(&from), &header(&to));
        assert_eq!(by.packet(&from), Some(to));
        assert_eq!(by.packet(&packet(0, 3, 1)), Some(packet(3, 9, 9)));
        assert_eq!(by.packet(b"no RTP"), None);
    }
}
