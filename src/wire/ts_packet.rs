//! One packet of a transport stream: its header, read (ISO/IEC 13818-1 section 2.4.3). Knows no other packet.

use super::transport_stream::{Pcr, pcr};

/// What every packet begins with.
const SYNC: u8 = 0x47;
/// Header and payload; parity of 16 bytes may follow.
pub(super) const PACKET_LEN: usize = 188;
pub(super) const HEADER_LEN: usize = 4;

/// The PID of packets that carry nothing.
pub const NULL_PID: u16 = 0x1fff;

/// The header's fields, and what they say is in the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TsPacket<'a> {
    /// Whose it is.
    pub pid: u16,
    /// Whoever received it before could not correct it (transport_error_indicator).
    pub is_broken: bool,
    /// A unit or section begins in it (payload_unit_start_indicator).
    pub starts_unit: bool,
    /// Its payload is encrypted (transport_scrambling_control).
    pub is_scrambled: bool,
    /// Counts the packets of a PID that have a payload; wraps at 16.
    pub continuity: u8,
    /// The count, or the clock, begins anew here (discontinuity_indicator).
    pub is_discontinuous: bool,
    /// A decoder can start here (random_access_indicator).
    pub is_random_access: bool,
    /// The clock reference in it.
    pub pcr: Option<Pcr>,
    /// What it carries; `None` where it has no payload.
    pub payload: Option<&'a [u8]>,
}

impl<'a> TsPacket<'a> {
    /// Reads a packet of 188 bytes or more. `None`: it is none, or its adaptation field does not fit in.
    #[must_use]
    pub fn read(packet: &'a [u8]) -> Option<Self> {
        let packet = packet.get(..PACKET_LEN)?;
        let [SYNC, high, low, control, first, second, ..] = *packet else { return None };
        let has_field = control & 0x20 != 0;
        let begin = if has_field { HEADER_LEN + 1 + usize::from(first) } else { HEADER_LEN };
        if begin > PACKET_LEN {
            return None;
        }
        let has_payload = control & 0x10 != 0;
        Some(Self {
            pid: u16::from_be_bytes([high & 0x1f, low]),
            is_broken: high & 0x80 != 0,
            starts_unit: high & 0x40 != 0,
            is_scrambled: control & 0xc0 != 0,
            continuity: control & 0xf,
            is_discontinuous: has_field && first > 0 && second & 0x80 != 0,
            is_random_access: has_field && first > 0 && second & 0x40 != 0,
            pcr: pcr(packet),
            payload: has_payload.then(|| &packet[begin..]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(head: &[u8]) -> Vec<u8> {
        let mut packet = head.to_vec();
        packet.resize(PACKET_LEN, 0xff);
        packet
    }

    #[test]
    fn a_header_is_read_whole() {
        let bytes = packet(&[0x47, 0xe1, 0x23, 0x9c]);
        let read = TsPacket::read(&bytes).expect("a packet");
        assert_eq!((read.pid, read.continuity), (0x123, 12));
        assert!(read.is_broken && read.starts_unit && read.is_scrambled && !read.is_discontinuous);
        assert_eq!(read.payload.map(<[u8]>::len), Some(184));
    }

    #[test]
    fn the_payload_is_what_is_behind_the_adaptation_field() {
        let with_field = packet(&[0x47, 0, 7, 0x30, 7, 0x90, 0, 0, 0, 1, 0, 0]);
        let read = TsPacket::read(&with_field).expect("a packet");
        assert_eq!(read.payload.map(<[u8]>::len), Some(184 - 8));
        assert!(read.is_discontinuous && read.pcr.is_some_and(|pcr| pcr.base == 2));
        assert_eq!(TsPacket::read(&packet(&[0x47, 0, 7, 0x20, 183])).expect("a packet").payload, None);
        assert_eq!(TsPacket::read(&packet(&[0x47, 0, 7, 0x30, 184])), None, "it does not fit");
        assert_eq!(TsPacket::read(&packet(&[0x46, 0, 7, 0x10])), None);
        assert_eq!(TsPacket::read(&with_field[..187]), None);
    }

    #[test]
    fn parity_belongs_to_no_payload() {
        let bytes = [packet(&[0x47, 0, 7, 0x10]), vec![0; 16]].concat();
        assert_eq!(TsPacket::read(&bytes).and_then(|read| read.payload).map(<[u8]>::len), Some(184));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 180..210)) {
            let _ = TsPacket::read(&bytes);
            let _ = TsPacket::read(&[&[0x47], &bytes[..]].concat()).map(|read| read.payload.map(<[u8]>::len));
        }
    }
}
