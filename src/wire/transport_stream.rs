//! MPEG transport streams, as far as a reflector reads them: where packets are, and their clock (ISO/IEC 13818-1).

/// What every packet begins with.
pub(super) const SYNC: u8 = 0x47;
/// The size of a packet (ISO/IEC 13818-1).
pub const PACKET_LEN: usize = 188;
/// With the parity of DVB's outer code behind it, too.
const PACKET_LENS: [usize; 2] = [PACKET_LEN, MOST_PACKET_LEN];
/// The longest that is known.
pub(super) const MOST_PACKET_LEN: usize = 204;
/// In files there may be a time stamp before each, too (M2TS of Blu-ray and cameras).
const FILE_PACKET_LENS: [usize; 3] = [PACKET_LEN, 192, MOST_PACKET_LEN];

/// Why a datagram is no transport stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTs {
    /// Nothing, or no whole packets.
    #[error("no whole packets of 188 or 204 bytes")]
    Length,
    /// A packet begins with something else than the sync byte.
    #[error("a packet begins without the sync byte 0x47")]
    Sync,
}

impl NotTs {
    /// All reasons, so that counters can be laid out once.
    pub const ALL: [Self; 2] = [Self::Length, Self::Sync];

    /// A stable word for this reason, for metric labels and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Length => "ts_length",
            Self::Sync => "ts_sync",
        }
    }
}

/// The programme clock reference of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pcr {
    /// Whose clock it is.
    pub pid: u16,
    /// In units of 90 kHz; 33 bits, wraps.
    pub base: u64,
    /// The clock begins anew here.
    pub is_discontinuous: bool,
}

/// Checks that a datagram is whole packets, whatever is in them.
///
/// # Errors
/// Says what is wrong with it.
#[inline]
pub fn check(datagram: &[u8]) -> Result<(), NotTs> {
    let length = packet_len(datagram).filter(|_| !datagram.is_empty()).ok_or(NotTs::Length)?;
    let is_synced = datagram.chunks_exact(length).all(|packet| packet[0] == SYNC);
    if is_synced { Ok(()) } else { Err(NotTs::Sync) }
}

/// The size of the packets that a payload would be whole ones of.
#[must_use]
pub fn packet_len(payload: &[u8]) -> Option<usize> {
    PACKET_LENS.into_iter().find(|length| payload.len().is_multiple_of(*length))
}

/// The size of the packets that a recording goes on with, where it goes on with one: the one that it had, or another. Of the last packet of all
/// it is the one that it had.
#[must_use]
pub(super) fn packet_len_in(media: &[u8], before: usize) -> Option<usize> {
    packet_len_among(&PACKET_LENS, media, before)
}

/// The same of any file, with what is between a packet and the next.
#[must_use]
pub(super) fn file_packet_len(file: &[u8], before: usize) -> Option<usize> {
    packet_len_among(&FILE_PACKET_LENS, file, before)
}

fn packet_len_among(lengths: &[usize], file: &[u8], before: usize) -> Option<usize> {
    let is_packet = |length: &usize| {
        let ends_or_goes_on = file.get(*length).is_none_or(|byte| *byte == SYNC);
        file.len() >= *length && file[0] == SYNC && ends_or_goes_on
    };
    [before].into_iter().chain(lengths.iter().copied()).find(is_packet)
}

/// The packets of a payload, which carries whole ones (RFC 2250 section 2).
pub fn packets(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    payload.chunks_exact(packet_len(payload).unwrap_or(PACKET_LENS[0]))
}

/// The clock reference in a packet (section 2.4.3.5), if there is one.
#[inline]
pub fn pcr(packet: &[u8]) -> Option<Pcr> {
    let [SYNC, high, low, control, length, flags, clock @ ..] = packet else { return None };
    if control & 0x20 == 0 || *length < 7 || flags & 0x10 == 0 {
        return None;
    }
    let [a, b, c, d, e, ..] = *clock else { return None };
    let base = u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7);
    let pid = u16::from_be_bytes([high & 0x1f, *low]);
    Some(Pcr { pid, base, is_discontinuous: flags & 0x80 != 0 })
}

/// The first clock reference in a payload: 90 kHz, 33 bits.
#[must_use]
pub fn clock(payload: &[u8]) -> Option<u64> {
    packets(payload).find_map(pcr).map(|pcr| pcr.base)
}

/// Sets the discontinuity indicator of the packets that have a place for it: an adaptation field (ISO/IEC 13818-1 section 2.4.3.4).
pub fn mark_discontinuous(packets: &mut [u8]) {
    for packet in packets.chunks_exact_mut(PACKET_LEN) {
        if packet[3] & 0x20 != 0 && packet[4] > 0 {
            packet[5] |= 0x80;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet with a clock reference.
    fn with_pcr(pid: u16, base: u64, flags: u8) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![SYNC, high, low, 0x20, 183, flags];
        packet.extend(((base >> 1) as u32).to_be_bytes());
        packet.extend([((base & 1) as u8) << 7 | 0x7e, 0]);
        packet.resize(188, 0xff);
        packet
    }

    #[test]
    fn whole_packets_of_either_size_are_a_transport_stream() {
        for (length, count) in [(188, 1), (188, 7), (204, 1), (204, 6), (188, 47)] {
            let mut packet = vec![0; length];
            packet[0] = SYNC;
            assert_eq!(check(&packet.repeat(count)), Ok(()), "{count} of {length}");
        }
    }

    #[test]
    fn what_is_no_transport_stream_is_told() {
        let packet = with_pcr(256, 0, 0);
        let mut broken = packet.repeat(7);
        broken[3 * 188] = 0;
        for (datagram, reason) in [
            (&[][..], NotTs::Length),
            (&packet[..187], NotTs::Length),
            (&broken, NotTs::Sync),
            (&[0x80; 188], NotTs::Sync),
        ] {
            assert_eq!(check(datagram), Err(reason));
        }
    }

    #[test]
    fn a_clock_reference_is_read_whole() {
        for base in [0, 1, 90_000, (1 << 33) - 1] {
            let found = pcr(&with_pcr(0x1abc, base, 0x10)).expect("a reference");
            assert_eq!(found, Pcr { pid: 0x1abc, base, is_discontinuous: false });
        }
        assert!(pcr(&with_pcr(1, 5, 0x90)).is_some_and(|pcr| pcr.is_discontinuous));
    }

    #[test]
    fn a_packet_without_one_has_none() {
        assert_eq!(pcr(&with_pcr(1, 5, 0)), None, "no flag");
        let mut payload_alone = with_pcr(1, 5, 0x10);
        payload_alone[3] = 0x10;
        assert_eq!(pcr(&payload_alone), None);
        let mut short = with_pcr(1, 5, 0x10);
        short[4] = 1;
        assert_eq!(pcr(&short), None, "a field of flags alone");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..420)) {
            let _ = check(&bytes);
            packets(&bytes).for_each(|packet| assert!(pcr(packet).is_none_or(|pcr| pcr.base < 1 << 33)));
            let _ = pcr(&bytes);
        }
    }

    #[test]
    fn a_gap_is_told_where_there_is_a_place_for_it() {
        let packet = |head: [u8; 6]| [&head[..], &[0xff; PACKET_LEN - 6]].concat();
        let with = packet([0x47, 1, 0, 0x30, 7, 0x50]);
        let (empty, without) = (packet([0x47, 1, 0, 0x30, 0, 0]), packet([0x47, 1, 0, 0x10, 0, 0]));
        let mut all = [with, empty.clone(), without.clone()].concat();
        mark_discontinuous(&mut all);
        assert_eq!(all, [packet([0x47, 1, 0, 0x30, 7, 0xd0]), empty, without].concat());
    }
}
