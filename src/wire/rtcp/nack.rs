//! What a receiver asks for again: generic NACKs (RFC 4585 section 6.2.1), in a compound packet or alone (RFC 5506).

use super::compound::{packet_type, packets};

/// Feedback on the transport, and its format that is a generic NACK.
const TRANSPORT_FEEDBACK: u8 = 205;
const GENERIC_NACK: u8 = 1;
/// Header, sender and media SSRC.
const BEFORE_LOST: usize = 12;

/// One NACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender_ssrc: u32,
    /// The stream that it has lost something of.
    pub media_ssrc: u32,
    /// PID and BLP, in turn.
    words: &'a [u8],
}

/// The NACKs of a datagram; none where it is no sequence of RTCP packets.
pub fn nacks(datagram: &[u8]) -> impl Iterator<Item = Nack<'_>> {
    packets(datagram).into_iter().flatten().filter_map(Nack::read)
}

/// Whether a datagram has NACKs and nothing else.
pub fn is_of_nacks(datagram: &[u8]) -> bool {
    packets(datagram).is_ok_and(|mut packets| packets.all(|packet| Nack::read(packet).is_some()))
}

impl<'a> Nack<'a> {
    fn read(packet: &'a [u8]) -> Option<Self> {
        let is_one = packet_type(packet) == TRANSPORT_FEEDBACK && packet[0] & 0x1f == GENERIC_NACK;
        let (header, words) = packet.split_at_checked(BEFORE_LOST).filter(|_| is_one)?;
        let padding = match packet {
            [first, .., last] if first & 0x20 != 0 => usize::from(*last),
            _ => 0,
        };
        let words = words.get(..words.len().checked_sub(padding)?)?;
        let ssrc = |at: usize| header[at..].first_chunk().map(|ssrc| u32::from_be_bytes(*ssrc));
        Some(Self { sender_ssrc: ssrc(4)?, media_ssrc: ssrc(8)?, words })
    }

    /// The sequence numbers that are asked for: at most 17 a word of the packet.
    pub fn lost(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.words.chunks_exact(4).flat_map(|word| {
            let first = u16::from_be_bytes([word[0], word[1]]);
            let others = u16::from_be_bytes([word[2], word[3]]);
            let others = (0..16).filter(move |bit| others >> bit & 1 == 1);
            std::iter::once(first).chain(others.map(move |bit| first.wrapping_add(bit + 1)))
        })
    }

    /// How many these are.
    #[must_use]
    pub fn count(&self) -> u64 {
        let others = |word: &[u8]| u64::from(u16::from_be_bytes([word[2], word[3]]).count_ones());
        self.words.chunks_exact(4).map(|word| 1 + others(word)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{feedback, receiver_report};
    use super::*;
    use proptest::prelude::*;

    fn nack(format: u8, words: &[[u8; 4]]) -> Vec<u8> {
        let length = (2 + words.len()) as u8;
        let header = [0x80 | format, 205, 0, length, 0, 0, 0, 7, 0, 0, 0, 9];
        [&header, words.as_flattened()].concat()
    }

    fn lost(datagram: &[u8]) -> Vec<u16> {
        nacks(datagram).flat_map(|nack| nack.lost()).collect()
    }

    #[test]
    fn a_nack_names_a_packet_and_of_the_sixteen_behind_it_those_that_are_lost_too() {
        let datagram = nack(1, &[[0, 5, 0, 0], [0xff, 0xff, 0x80, 0x05]]);
        assert_eq!(lost(&datagram), [5, 65_535, 0, 2, 15]);
        let all: Vec<_> = nacks(&datagram).collect();
        assert_eq!((all[0].sender_ssrc, all[0].media_ssrc, all[0].count()), (7, 9, 5));
        assert_eq!(feedback(&datagram).expect("RTCP").sender_ssrc, Some(7), "alone it is a sign of life");
        assert!(is_of_nacks(&datagram) && is_of_nacks(&datagram.repeat(2)));
        assert!(
            !is_of_nacks(&[&receiver_report(7, "viewer", None)[..], &datagram].concat()),
            "a report says more"
        );
        assert!(!is_of_nacks(&nack(2, &[[0; 4]])) && !is_of_nacks(&[]) && !is_of_nacks(&datagram[1..]));
    }

    #[test]
    fn it_stands_behind_a_report_as_well_as_alone_and_others_are_none() {
        let one = nack(1, &[[0, 5, 0, 0]]);
        let report = receiver_report(7, "viewer", None);
        assert_eq!(lost(&[&report[..], &one, &one].concat()), [5, 5]);
        assert_eq!(lost(&nack(15, &[[0, 5, 0, 0]])), [0; 0], "transport-wide congestion control");
        assert_eq!(lost(&nack(1, &[])), [0; 0]);
        assert_eq!(lost(&[&one[..], b"no RTCP"].concat()), [0; 0], "a datagram is RTCP, or it is not");
        let mut padded = nack(1, &[[0, 5, 0, 0], [0, 0, 0, 4]]);
        padded[0] |= 0x20;
        assert_eq!(lost(&padded), [5]);
        padded[19] = 200;
        assert_eq!(lost(&padded), [0; 0]);
    }

    proptest! {
        #[test]
        fn as_many_are_counted_as_are_lost(words: Vec<[u8; 4]>) {
            let words = &words[..words.len().min(200)];
            let datagram = nack(1, words);
            let count: u64 = nacks(&datagram).map(|nack| nack.count()).sum();
            prop_assert_eq!(count, lost(&datagram).len() as u64);
            prop_assert!(count <= 17 * words.len() as u64);
        }
    }
}
