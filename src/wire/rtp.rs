//! One datagram told to be RTP or not, and the header fields a reflector needs (RFC 3550 section 5.1).
//!
//! It does not know streams: whether this packet follows another is `reception`'s business.

use std::ops::Range;

use rtp_rs::{RtpPacketBuilder, RtpReader, RtpReaderError};

/// The size of the header without CSRC list and extension.
pub const FIXED_HEADER_LEN: usize = RtpReader::MIN_HEADER_LEN;

/// The fields of one packet's header, and where its payload starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Sequence number; wraps.
    pub sequence: u16,
    /// Timestamp in units of the payload format's clock; wraps.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// The marker bit, whose meaning the payload format gives.
    pub marker: bool,
    /// Bytes before the payload: fixed header, CSRC list and extension.
    pub header_len: usize,
}

impl RtpHeader {
    /// A packet that it is the header of, without extensions.
    #[must_use]
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        [&self.bytes()[..], payload].concat()
    }

    /// It in front of such a packet.
    #[must_use]
    pub fn bytes(&self) -> [u8; FIXED_HEADER_LEN] {
        let mut bytes = [0; FIXED_HEADER_LEN];
        bytes[..2].copy_from_slice(&[0x80, self.payload_type & 0x7f | u8::from(self.marker) << 7]);
        self.number(&mut bytes);
        bytes
    }

    /// The fixed header of the datagram that this is the header of, with the numbers that this one has by now. `None`: it is
    /// shorter.
    #[must_use]
    pub fn rewritten(&self, datagram: &[u8]) -> Option<[u8; FIXED_HEADER_LEN]> {
        let mut bytes: [u8; FIXED_HEADER_LEN] = *datagram.first_chunk()?;
        self.number(&mut bytes);
        Some(bytes)
    }

    fn number(&self, bytes: &mut [u8; FIXED_HEADER_LEN]) {
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ssrc.to_be_bytes());
    }

    /// The payload of the datagram that this is the header of, without padding.
    #[inline]
    #[must_use]
    pub fn payload<'d>(&self, datagram: &'d [u8]) -> &'d [u8] {
        datagram.get(self.payload_range(datagram)).unwrap_or_default()
    }

    /// Where that payload is.
    #[inline]
    #[must_use]
    pub fn payload_range(&self, datagram: &[u8]) -> Range<usize> {
        let padding = match datagram {
            [first, .., last] if first & 0x20 != 0 => usize::from(*last),
            _ => 0,
        };
        self.header_len..datagram.len().saturating_sub(padding).max(self.header_len)
    }
}

/// Why a datagram is not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRtp {
    /// Shorter than the fixed header of 12 bytes.
    #[error("shorter than an RTP header")]
    Short,
    /// The version is not 2.
    #[error("not RTP version 2")]
    Version,
    /// The CSRC list reaches past the end.
    #[error("the CSRC list reaches past the end")]
    Csrc,
    /// The header extension reaches past the end.
    #[error("the header extension reaches past the end")]
    Extension,
    /// The padding count is zero or larger than the payload.
    #[error("the padding is empty or larger than the payload")]
    Padding,
    /// An RTCP packet that arrived on the RTP port (RFC 5761 section 4).
    #[error("RTCP on the RTP port")]
    Rtcp,
}

impl NotRtp {
    /// All reasons, so that counters can be laid out once.
    pub const ALL: [Self; 6] =
        [Self::Short, Self::Version, Self::Csrc, Self::Extension, Self::Padding, Self::Rtcp];

    /// A stable word for this reason, for metric labels and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Version => "version",
            Self::Csrc => "csrc",
            Self::Extension => "extension",
            Self::Padding => "padding",
            Self::Rtcp => "rtcp",
        }
    }
}

/// A packet with another payload that goes right before this one: of the same stream and time, numbered one less. `None`: that is
/// no packet.
#[must_use]
pub fn before(packet: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let RtpHeader { sequence, timestamp, ssrc, payload_type, .. } = check(packet).ok()?;
    RtpPacketBuilder::new()
        .payload_type(payload_type)
        .ssrc(ssrc)
        .sequence(sequence.wrapping_sub(1).into())
        .timestamp(timestamp)
        .payload(payload)
        .build()
        .ok()
}

/// Checks a datagram against RFC 3550 and reads its header. Allocates nothing.
///
/// # Errors
/// Says what makes the datagram something else than an RTP packet.
#[inline]
pub fn check(datagram: &[u8]) -> Result<RtpHeader, NotRtp> {
    if is_rtcp(datagram) {
        return Err(NotRtp::Rtcp);
    }
    let packet = RtpReader::new(datagram).map_err(|error| refusal(&error, datagram))?;
    Ok(RtpHeader {
        sequence: packet.sequence_number().into(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        payload_type: packet.payload_type(),
        marker: packet.mark(),
        header_len: packet.payload_offset(),
    })
}

/// RTCP packet types 200 to 204 read as RTP are a set marker and payload types 72 to 76, which RFC 3551
/// section 6 keeps free for exactly this. The later types (205 and up) always travel behind one of these.
#[inline]
fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 200..=204, ..] if first >> 6 == 2)
}

/// Whether a datagram is RTCP on a port that carries RTP of these payload types too: packet types 192 to 223 (RFC 5761
/// section 4), unless the stream uses the type that it would be as RTP.
#[inline]
#[must_use]
pub fn is_rtcp_beside(datagram: &[u8], payload_types: &[u8]) -> bool {
    match datagram {
        [first, kind @ 192..=223, ..] if first >> 6 == 2 => {
            is_rtcp(datagram) || !payload_types.contains(&(kind & 0x7f))
        }
        _ => false,
    }
}

#[cold]
fn refusal(error: &RtpReaderError, datagram: &[u8]) -> NotRtp {
    match error {
        RtpReaderError::BufferTooShort(_) => NotRtp::Short,
        RtpReaderError::UnsupportedVersion(_) => NotRtp::Version,
        RtpReaderError::PaddingLengthInvalid(_) => NotRtp::Padding,
        RtpReaderError::HeadersTruncated { header_len, .. } => {
            let csrc_count = datagram.first().map_or(0, |first| usize::from(first & 0x0f));
            if RtpReader::MIN_HEADER_LEN + 4 * csrc_count > datagram.len() {
                NotRtp::Csrc
            } else if *header_len > datagram.len() {
                NotRtp::Extension
            } else {
                NotRtp::Padding // the header fits, but no byte is left to hold the padding count
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_before_a_packet_is_of_its_stream_and_time() {
        let packet =
            [&[0x91, 0xa1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 1][..], &[0xbe, 0xde, 0, 0], b"media"]
                .concat();
        let before = before(&packet, b"tables").expect("a packet");
        assert_eq!(before, [&[0x80, 33, 0xff, 0xff, 0, 0, 0, 9, 0, 0, 0, 7][..], b"tables"].concat());
        assert_eq!(super::before(b"no RTP", b"tables"), None);
    }
    use crate::wire::fuzz;
    use proptest::prelude::*;
    use rtp_rs::{RtpPacketBuilder, Seq};

    fn packet(payload: &[u8]) -> Vec<u8> {
        RtpPacketBuilder::new()
            .payload_type(33)
            .sequence(Seq::from(65535))
            .timestamp(0xdead_beef)
            .ssrc(0x0102_0304)
            .marked(true)
            .payload(payload)
            .build()
            .expect("a small packet")
    }

    #[test]
    fn a_packet_gives_its_header() {
        let datagram = packet(&[0x47; 188]);
        let expected = RtpHeader {
            sequence: 65535,
            timestamp: 0xdead_beef,
            ssrc: 0x0102_0304,
            payload_type: 33,
            marker: true,
            header_len: 12,
        };
        assert_eq!(check(&datagram), Ok(expected));
    }

    #[test]
    fn csrcs_and_extension_belong_to_the_header() {
        let mut datagram = packet(b"");
        datagram[0] = 0x92; // version 2, extension, two CSRCs
        datagram.extend([0; 8]);
        datagram.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        datagram.extend(b"payload");
        assert_eq!(check(&datagram).expect("a packet").header_len, 12 + 8 + 8);
    }

    #[test]
    fn the_payload_is_what_is_neither_header_nor_padding() {
        let payload = |datagram: &[u8]| check(datagram).expect("a packet").payload(datagram).to_vec();
        let padded = |content: &[u8]| {
            let mut datagram = packet(content);
            datagram[0] |= 0x20;
            datagram
        };
        assert_eq!(payload(&packet(b"media")), b"media");
        assert_eq!(payload(&packet(b"")), b"");
        assert_eq!(payload(&padded(&[7, 0, 0, 3])), [7]);
        assert_eq!(payload(&padded(&[0, 0, 0, 4])), b"", "padding alone");
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let mut short = packet(b"");
        short.truncate(11);
        let mut version = packet(b"x");
        version[0] = 0x40;
        let mut csrc = packet(b"x");
        csrc[0] |= 1;
        let mut extension = packet(&[0, 0, 0, 9]);
        extension[0] |= 0x10;
        let mut padding = packet(&[1, 2, 0]);
        padding[0] |= 0x20;
        let mut no_room_for_padding = packet(b"");
        no_room_for_padding[0] |= 0x20;
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        for (datagram, reason) in [
            (&short[..], "short"),
            (&version, "version"),
            (&csrc, "csrc"),
            (&extension, "extension"),
            (&padding, "padding"),
            (&no_room_for_padding, "padding"),
            (&report, "rtcp"),
            (&[], "short"),
        ] {
            assert_eq!(check(datagram).expect_err(reason).reason(), reason);
        }
    }

    #[test]
    fn on_a_port_of_both_a_packet_tells_what_it_is() {
        let is_rtcp = |second: u8| is_rtcp_beside(&[0x80, second, 0, 1, 0, 0, 0, 1], &[33, 72, 79]);
        assert!([192, 200, 204, 205, 206, 208, 223].into_iter().all(is_rtcp));
        assert!(!is_rtcp(207), "the stream's type 79, marked");
        assert!(![33, 33 | 0x80, 191, 224, 79].into_iter().any(is_rtcp));
        assert!(!is_rtcp_beside(&[0x40, 200, 0, 1], &[33]), "of another version");
        assert!(!is_rtcp_beside(&[0x80], &[33]));
    }

    #[test]
    fn payload_type_72_without_marker_is_rtp() {
        let mut datagram = packet(b"x");
        datagram[1] = 72;
        assert!(check(&datagram).is_ok());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(datagram in prop::collection::vec(any::<u8>(), 0..80)) {
            fuzz::rtp::exercise(&datagram);
        }

        #[test]
        fn hostile_headers_never_panic(first in 0x80..=0xbfu8, rest in prop::collection::vec(any::<u8>(), 11..80)) {
            fuzz::rtp::exercise(&[&[first], &rest[..]].concat());
        }
    }
}
