//! A retransmission stream (RFC 4588): what was sent before, under a payload type and sequence numbers of its own, and where it goes with
//! the original one under an SSRC of its own.

use super::rtp::{self, FIXED_HEADER_LEN};

/// The retransmission stream of one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rtx {
    payload_type: u8,
    /// `None`: the original's, which goes elsewhere (section 5.3).
    ssrc: Option<u32>,
    /// Of the packet to come.
    sequence: u16,
}

impl Rtx {
    /// One that begins with a sequence number.
    #[must_use]
    pub fn new(payload_type: u8, ssrc: Option<u32>, sequence: u16) -> Self {
        Self { payload_type, ssrc, sequence }
    }

    /// The packet that sends another one again: all of that one's header but for the numbers, and the original sequence number
    /// before the payload (section 4). `None`: it is no RTP packet.
    #[must_use]
    pub fn packet(&mut self, original: &[u8]) -> Option<Vec<u8>> {
        let header = rtp::check(original).ok()?;
        let (head, payload) = original.split_at_checked(header.header_len)?;
        let mut packet = Vec::with_capacity(original.len() + 2);
        packet.extend_from_slice(head);
        packet[1] = packet[1] & 0x80 | self.payload_type & 0x7f;
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        let ssrc = self.ssrc.unwrap_or(header.ssrc);
        packet[8..FIXED_HEADER_LEN].copy_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&header.sequence.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again_says_first_which_packet_it_was() {
        let original =
            [&[0x91, 0xa1, 0xff, 0xfe, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 1][..], b"\xbe\xde\0\0media"]
                .concat();
        let mut rtx = Rtx::new(97, Some(0x0102_0304), 0xffff);
        let head = |sequence: [u8; 2]| {
            [
                &[0x91, 0x80 | 97][..],
                &sequence,
                &[0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 0, 1],
                b"\xbe\xde\0\0\xff\xfemedia",
            ]
            .concat()
        };
        assert_eq!(rtx.packet(&original), Some(head([0xff, 0xff])));
        assert_eq!(rtx.packet(&original), Some(head([0, 0])));
        assert_eq!(rtx.packet(b"no RTP"), None);
        let elsewhere = Rtx::new(97, None, 0).packet(&original).expect("RTP");
        assert_eq!(elsewhere[8..12], original[8..12], "in a session of its own it is known by its SSRC");
    }
}
