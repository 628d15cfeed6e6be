//! The mark that a test source may put into its packets, so that a receiver on the same machine can tell how long
//! each was under way. `docs/probe.md` describes it for those who write sources.
//!
//! ```text
//!  RTP header | 6 bytes | magic | number | sent at | …        (64 bits each, big-endian)
//! ```
//!
//! The six bytes leave room for the head of an MPEG-TS packet with an adaptation field, or for an FU-A header.

/// Bytes between the RTP header and the mark.
const OFFSET: usize = 6;
const MAGIC: u64 = u64::from_be_bytes(*b"Mirrorb!");

/// What a marked packet tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The packet's number in its stream; its low 16 bits are the RTP sequence number.
    pub number: u64,
    /// CLOCK_MONOTONIC of the source's machine when it was sent, in nanoseconds.
    pub sent_ns: u64,
}

impl Mark {
    /// Reads the mark behind an RTP header. None without one, or if it belongs to another sequence number.
    #[inline]
    #[must_use]
    pub fn read(payload: &[u8], sequence: u16) -> Option<Self> {
        let words: &[u8; 24] = payload.get(OFFSET..)?.first_chunk()?;
        let (words, _) = words.as_chunks::<8>();
        let [magic, number, sent_ns] = [0, 1, 2].map(|index| u64::from_be_bytes(words[index]));
        (magic == MAGIC && number as u16 == sequence).then_some(Self { number, sent_ns })
    }

    /// Writes a payload of a mark alone, as a test source sends it.
    #[cfg(test)]
    pub fn payload(&self) -> Vec<u8> {
        let words = [MAGIC, self.number, self.sent_ns].map(u64::to_be_bytes);
        [&[0; OFFSET][..], words.as_flattened()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: Mark = Mark { number: 70_000, sent_ns: 5 };

    #[test]
    fn a_mark_is_read_back_wherever_the_payload_ends() {
        let payload = MARK.payload();
        assert_eq!(Mark::read(&payload, 70_000_u64 as u16), Some(MARK));
        assert_eq!(Mark::read(&[&payload[..], &[0xff; 9]].concat(), 4464), Some(MARK));
        assert_eq!(Mark::read(&payload[..payload.len() - 1], 4464), None, "cut short");
        assert_eq!(Mark::read(&payload, 4465), None, "of another packet");
    }

    #[test]
    fn the_bytes_are_those_of_the_documentation() {
        let expected =
            [&[0; 6], &b"Mirrorb!"[..], &[0, 0, 0, 0, 0, 1, 0x11, 0x70], &[0, 0, 0, 0, 0, 0, 0, 5]];
        assert_eq!(MARK.payload(), expected.concat());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..64), sequence: u16) {
            let _ = Mark::read(&payload, sequence);
        }
    }
}
