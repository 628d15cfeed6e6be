//! Hint samples (ISO/IEC 14496-12 section 9.1, QuickTime File Format "Hint Media"): how the packets of a track were made by who hinted it.
//!
//! ```text
//!  a hint track's sample ─▶ hints ─▶ Hint: a header, and parts ─▶ Film::hinted, which reads the samples that they name
//! ```

/// Bytes of a packet's header, and of each of its entries.
const PACKET_LEN: usize = 12;
const ENTRY_LEN: usize = 16;
/// Bytes that an entry may have itself.
const MOST_IMMEDIATE: usize = 14;
/// What a packet of UDP takes.
const MOST_PAYLOAD: usize = 65_507;
/// Before the boxes of a hint track's sample entry: what all entries begin with, versions and the size of packets.
const ENTRY_HEAD_LEN: usize = 8 + 8;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// When it is sent, after the time of its sample, in ticks of the hint track; before it where that is negative.
    pub sent_after: i32,
    /// How much later its timestamp is than its sample, in the same ticks as the clock that is described.
    pub timestamp_offset: i32,
    /// The header's marker.
    pub marker: bool,
    /// The header's payload type.
    pub payload_type: u8,
    /// Its number, from wherever the hint track begins.
    pub sequence: u16,
    /// It repeats one before (RFC 2733 and the like).
    pub is_repeated: bool,
    /// What its payload is, one behind the other.
    pub parts: Vec<Part>,
}

/// Part of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Part of a sample.
    Sample {
        /// Whose.
        of: Of,
        /// Counted from 1.
        number: u32,
        /// Where in it.
        offset: u32,
        /// How much.
        length: u16,
    },
    /// Part of a sample entry, its size and name included.
    Description {
        /// Whose.
        of: Of,
        /// Counted from 1.
        index: u32,
        /// Where in it.
        offset: u32,
        /// How much.
        length: u16,
    },
}

/// The track that a part is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The hint track.
    Hints,
    /// One of those that it names (`tref`, `hint`), counted from 0.
    Media(usize),
}

/// Why a sample has no packets, or a packet no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoHint {
    /// It ends before what it says is there.
    #[error("at byte {at} of the hint sample: it ends too early")]
    Cut {
        /// Where.
        at: usize,
    },
    /// An entry is of no known kind, or wants what is not done here.
    #[error("at byte {at} of the hint sample: an entry of the kind {kind} is not understood")]
    Unsupported {
        /// Where.
        at: usize,
        /// By its number.
        kind: u8,
    },
    /// No packet is so large.
    #[error("a packet of the hint sample has more than {MOST_PAYLOAD} bytes")]
    TooLarge,
    /// A part of another sample can not be had.
    #[error("a part of sample or description {number} can not be had")]
    NoPart {
        /// Counted from 1.
        number: u32,
    },
}

/// What a hint track says of its packets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HintTrack {
    /// No packet is larger.
    pub most_packet_len: u32,
    /// Ticks a second of its timestamps. `None`: those of the track.
    pub clock_rate: Option<u32>,
    /// The tracks that it names, by their `id`.
    pub media: Vec<u32>,
    /// How it describes itself: an `m=` line and those below it.
    pub sdp: Option<String>,
}

impl HintTrack {
    /// Reads its sample entry, from what follows its size and its name (`rtp `).
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let (head, mut boxes) = body.split_first_chunk::<ENTRY_HEAD_LEN>()?;
        let mut track = Self { most_packet_len: number(head.get(12..)?)?, ..Self::default() };
        while let Some((name, inner, rest)) = next_box(boxes) {
            if name == b"tims" {
                track.clock_rate = number(inner).filter(|rate| *rate > 0);
            }
            boxes = rest;
        }
        Some(track)
    }
}

/// The packets of a sample, in their order.
///
/// # Errors
/// It is damaged.
pub fn hints(sample: &[u8]) -> Result<Vec<Hint>, NoHint> {
    let mut fields = Fields { sample, at: 0 };
    let [high, low, ..] = fields.array::<4>()?;
    (0..u16::from_be_bytes([high, low])).map(|_| hint(&mut fields)).collect()
}

impl Hint {
    /// Its payload; `fetch` adds a part of a sample, or of a sample entry, to what it is given, or has none.
    ///
    /// # Errors
    /// A part can not be had, or it would be larger than any packet.
    pub fn payload(
        &self,
        mut fetch: impl FnMut(&Part, &mut Vec<u8>) -> Option<()>,
    ) -> Result<Vec<u8>, NoHint> {
        let mut payload = Vec::new();
        for part in &self.parts {
            if payload.len() + part.len() > MOST_PAYLOAD {
                return Err(NoHint::TooLarge);
            }
            match part {
                Part::Bytes(bytes) => payload.extend(bytes),
                Part::Sample { number, .. } | Part::Description { index: number, .. } => {
                    let wanted = payload.len() + part.len();
                    let fetched = fetch(part, &mut payload).filter(|()| payload.len() == wanted);
                    fetched.ok_or(NoHint::NoPart { number: *number })?;
                }
            }
        }
        Ok(payload)
    }
}

impl Part {
    /// Whose it is, the number of its sample or entry, where in that, and how much.
    pub(super) fn elsewhere(&self) -> Option<(Of, u32, u32, u16)> {
        match *self {
            Self::Bytes(_) => None,
            Self::Sample { of, number, offset, length } => Some((of, number, offset, length)),
            Self::Description { of, index, offset, length } => Some((of, index, offset, length)),
        }
    }

    /// Bytes of it.
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Sample { length, .. } | Self::Description { length, .. } => (*length).into(),
        }
    }
}

fn hint(fields: &mut Fields<'_>) -> Result<Hint, NoHint> {
    let [a, b, c, d, _, about, high, low, _, flags, e, f] = fields.array::<PACKET_LEN>()?;
    let timestamp_offset = if flags & 4 == 0 { 0 } else { extra(fields)? };
    let count = u16::from_be_bytes([e, f]);
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.extend(part(fields)?);
    }
    Ok(Hint {
        sent_after: i32::from_be_bytes([a, b, c, d]),
        timestamp_offset,
        marker: about & 0x80 != 0,
        payload_type: about & 0x7f,
        sequence: u16::from_be_bytes([high, low]),
        is_repeated: flags & 1 != 0,
        parts,
    })
}

/// What more is said of a packet: its timestamp's offset, if anything that is known here.
fn extra(fields: &mut Fields<'_>) -> Result<i32, NoHint> {
    let at = fields.at;
    let length = u32::from_be_bytes(fields.array()?);
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let mut boxes = fields.take(length.ok_or(NoHint::Cut { at })?)?;
    let mut offset = 0;
    while let Some((name, inner, rest)) = next_box(boxes) {
        if name == b"rtpo" {
            offset = number(inner).map_or(0, u32::cast_signed);
        }
        // Each takes a multiple of four bytes, whatever it says.
        let padding = inner.len().next_multiple_of(4) - inner.len();
        boxes = rest.get(padding..).unwrap_or_default();
    }
    Ok(offset)
}

fn part(fields: &mut Fields<'_>) -> Result<Option<Part>, NoHint> {
    let at = fields.at;
    let [kind, first, l, m, n @ ..] = fields.array::<ENTRY_LEN>()?;
    let unsupported = NoHint::Unsupported { at, kind };
    let of = match first.cast_signed() {
        -1 => Some(Of::Hints),
        index => usize::try_from(index).ok().map(Of::Media),
    };
    let length = u16::from_be_bytes([l, m]);
    let [a, b, c, d, e, f, g, h, blocks @ ..] = n;
    let (number, offset) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    match kind {
        0 => Ok(None),
        1 => {
            let all = [&[l, m][..], &n].concat();
            let bytes = all.get(..usize::from(first)).filter(|bytes| bytes.len() <= MOST_IMMEDIATE);
            Ok(Some(Part::Bytes(bytes.ok_or(NoHint::Cut { at })?.to_vec())))
        }
        // What is compressed by blocks of samples, as QuickTime once did, is counted otherwise.
        2 if matches!(blocks, [0, 0 | 1, 0, 0 | 1]) => {
            Ok(Some(Part::Sample { of: of.ok_or(unsupported)?, number, offset, length }))
        }
        3 => Ok(Some(Part::Description { of: of.ok_or(unsupported)?, index: number, offset, length })),
        _ => Err(unsupported),
    }
}

/// A box: its name, what is in it, and what follows.
fn next_box(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    let (name, rest) = rest.split_first_chunk()?;
    let inner = (u32::from_be_bytes(*size) as usize).checked_sub(8)?;
    let (inner, rest) = rest.split_at_checked(inner)?;
    Some((name, inner, rest))
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// What is left of a sample.
struct Fields<'a> {
    sample: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], NoHint> {
        let cut = NoHint::Cut { at: self.at };
        let taken = self.sample.get(self.at..).and_then(|rest| rest.get(..length)).ok_or(cut)?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NoHint> {
        let cut = NoHint::Cut { at: self.at };
        self.take(N)?.first_chunk().copied().ok_or(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A sample of one packet with a timestamp's offset, and one that is nothing.
    fn sample() -> Vec<u8> {
        let mut sample = vec![0, 2, 0, 0];
        sample.extend([0xff, 0xff, 0xff, 0xfe, 0, 0xe0, 0x12, 0x34, 0, 4, 0, 4]);
        sample.extend([0, 0, 0, 16, 0, 0, 0, 12, b'r', b't', b'p', b'o', 0, 0, 0x0b, 0xb8]);
        sample.extend([0; 16]);
        sample.extend([1, 2, 0x7c, 0x85, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        sample.extend([2, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 5, 0, 1, 0, 1]);
        sample.extend([3, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0]);
        sample.extend([0, 0, 0, 0, 0, 0x61, 0x12, 0x35, 0, 1, 0, 0]);
        sample
    }

    #[test]
    fn packets_are_put_together_of_their_parts() {
        let [first, second] = &hints(&sample()).expect("packets")[..] else { panic!("two packets") };
        let of_sample = Part::Sample { of: Of::Media(0), number: 7, offset: 5, length: 3 };
        let of_entry = Part::Description { of: Of::Hints, index: 1, offset: 8, length: 1 };
        let expected = Hint {
            sent_after: -2,
            timestamp_offset: 3000,
            marker: true,
            payload_type: 96,
            sequence: 0x1234,
            is_repeated: false,
            parts: vec![Part::Bytes(vec![0x7c, 0x85]), of_sample.clone(), of_entry],
        };
        assert_eq!(first, &expected);
        assert_eq!((second.payload_type, second.is_repeated, second.parts.len()), (97, true, 0));
        let payload = first.payload(|part, into| {
            into.extend(if *part == of_sample { &[1, 2, 3][..] } else { &[9] });
            Some(())
        });
        assert_eq!(payload, Ok(vec![0x7c, 0x85, 1, 2, 3, 9]));
        assert_eq!(first.payload(|_, _| None), Err(NoHint::NoPart { number: 7 }));
        assert_eq!(
            first.payload(|_, _| Some(())),
            Err(NoHint::NoPart { number: 7 }),
            "it has to be all of it"
        );
    }

    #[test]
    fn what_is_damaged_says_where() {
        let whole = sample();
        for cut in 0..whole.len() {
            assert!(matches!(hints(&whole[..cut]), Err(NoHint::Cut { at }) if at <= cut), "{cut}");
        }
        let mut unknown = whole.clone();
        unknown[32] = 4;
        assert_eq!(hints(&unknown), Err(NoHint::Unsupported { at: 32, kind: 4 }));
        let mut far = whole;
        far[49] = 15;
        assert_eq!(hints(&far), Err(NoHint::Cut { at: 48 }));
    }

    #[test]
    fn a_packet_is_as_large_as_udp_takes_it() {
        let part = Part::Sample { of: Of::Media(0), number: 1, offset: 0, length: u16::MAX };
        let [hint, _] = &hints(&sample()).expect("packets")[..] else { panic!("two packets") };
        let large = Hint { parts: vec![part], ..hint.clone() };
        assert_eq!(large.payload(|_, _| Some(())), Err(NoHint::TooLarge));
    }

    #[test]
    fn an_entry_tells_the_clock() {
        let mut entry = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 5, 0xb4];
        assert_eq!(
            HintTrack::read(&entry),
            Some(HintTrack { most_packet_len: 1460, ..HintTrack::default() })
        );
        entry.extend([0, 0, 0, 12, b't', b's', b'r', b'o', 0, 0, 0, 1]);
        entry.extend([0, 0, 0, 12, b't', b'i', b'm', b's', 0, 1, 0x5f, 0x90]);
        assert_eq!(HintTrack::read(&entry).and_then(|entry| entry.clock_rate), Some(90_000));
        assert_eq!(HintTrack::read(&entry[..15]), None);
    }

    proptest! {
        #[test]
        fn hostile_samples_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), places in prop::collection::vec((0usize..120, any::<u8>()), 0..9)) {
            let mut near = sample();
            for (place, byte) in places {
                if let Some(own) = near.get_mut(place) {
                    *own = byte;
                }
            }
            for sample in [&bytes, &near] {
                for hint in hints(sample).unwrap_or_default() {
                    let fetched = hint.payload(|part, into| {
                        into.resize(into.len() + part.len(), 0);
                        Some(())
                    });
                    prop_assert!(fetched.map_or(0, |payload| payload.len()) <= MOST_PAYLOAD);
                }
                let _ = HintTrack::read(sample);
            }
        }
    }
}
