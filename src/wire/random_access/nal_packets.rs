//! Pictures in RTP: the NAL units of H.264 (RFC 6184) and H.265 (RFC 7798), alone, aggregated and in fragments.
//!
//! The packets of a picture share a timestamp. Where it can be started with, that is its first packet, whatever stands there:
//! a delimiter, parameter sets, a message.

use super::Start;
use super::units::{Codec, Picture, Unit, Verdict};

/// Parameter sets that are kept: a stream has a few, and none is long.
const MOST_SETS: usize = 8;
const LONGEST_SET: usize = 160;

/// The pictures of one track.
#[derive(Debug)]
pub(super) struct NalPackets {
    codec: Codec,
    current: Option<Current>,
    /// What was told of the current picture, which goes on.
    told: Option<Start>,
    /// The newest parameter sets, and the timestamp that they came with. `None`: viewers know them from elsewhere.
    sets: Option<(Vec<Vec<u8>>, u32)>,
}

/// The picture that packets come of.
#[derive(Debug)]
struct Current {
    timestamp: u32,
    /// The number of its first packet.
    first: u64,
    picture: Picture,
    verdict: Verdict,
}

/// A unit as it is in a packet, and its bytes where they are all there.
struct Packed<'a> {
    unit: Unit<'a>,
    bytes: Option<&'a [u8]>,
}

impl NalPackets {
    /// `tells_sets`: viewers know the parameter sets by the stream alone.
    pub fn new(codec: Codec, tells_sets: bool) -> Self {
        Self { codec, current: None, told: None, sets: tells_sets.then(Default::default) }
    }

    /// Takes in the payload of the packet of a number.
    pub fn take(&mut self, number: u64, timestamp: u32, payload: &[u8]) -> Option<Start> {
        let is_begun = self.current.as_ref().is_some_and(|current| current.timestamp == timestamp);
        let mut ended = None;
        if !is_begun {
            let (picture, verdict) = (Picture::default(), Verdict::Open);
            self.current = Some(Current { timestamp, first: number, picture, verdict });
            ended = self.told.take().map(|told| Start { end: Some(number), ..told });
        }
        let start = self.look(timestamp, payload);
        if start.is_some() {
            self.told.clone_from(&start);
        }
        start.or(ended)
    }

    /// Looks at more of the current picture. A start: it has just been told that it is one.
    fn look(&mut self, timestamp: u32, payload: &[u8]) -> Option<Start> {
        let current = self.current.as_mut().filter(|current| current.verdict == Verdict::Open)?;
        for Packed { unit, bytes } in packed(self.codec, payload) {
            if let (Some(sets), Some(bytes)) = (&mut self.sets, bytes)
                && self.codec.is_parameters(unit.header)
            {
                keep(sets, bytes, timestamp);
            }
            current.verdict = current.picture.take(self.codec, unit);
            if current.verdict != Verdict::Open {
                break;
            }
        }
        if current.verdict != Verdict::Start {
            return None;
        }
        let sets = self.sets.as_ref().filter(|_| !current.picture.has_parameters);
        let prologue = sets.map(|(sets, _)| aggregate(self.codec, sets)).filter(|packet| !packet.is_empty());
        Some(Start { number: current.first, prologue, end: None })
    }
}

fn keep((sets, of): &mut (Vec<Vec<u8>>, u32), set: &[u8], timestamp: u32) {
    if *of != timestamp {
        sets.clear();
        *of = timestamp;
    }
    if sets.len() < MOST_SETS && set.len() <= LONGEST_SET {
        sets.push(set.to_vec());
    }
}

/// One payload of several units: STAP-A (RFC 6184 section 5.7.1), or an aggregation packet (RFC 7798 section 4.4.2).
fn aggregate(codec: Codec, units: &[Vec<u8>]) -> Vec<u8> {
    let [first, others @ ..] = units else { return Vec::new() };
    if others.is_empty() {
        return first.clone();
    }
    let mut payload = match codec {
        Codec::H265 => vec![AGGREGATED_H265 << 1, 1],
        Codec::H264 | Codec::Mpeg2 => vec![0x60 | AGGREGATED_H264],
    };
    for unit in units {
        payload.extend((unit.len() as u16).to_be_bytes());
        payload.extend(unit);
    }
    payload
}

const AGGREGATED_H264: u8 = 24;
const AGGREGATED_H265: u8 = 48;

/// The units that begin in a payload.
fn packed(codec: Codec, payload: &[u8]) -> impl Iterator<Item = Packed<'_>> {
    let (single, aggregated) = match codec {
        Codec::H265 => h265(payload),
        Codec::H264 | Codec::Mpeg2 => h264(payload),
    };
    let whole = move |bytes| Some(Packed { unit: codec.unit(bytes, true)?, bytes: Some(bytes) });
    single.into_iter().chain(aggregates(aggregated).filter_map(whole))
}

fn h264(payload: &[u8]) -> (Option<Packed<'_>>, &[u8]) {
    match *payload {
        [first, ref rest @ ..] if first & 0x1f == AGGREGATED_H264 => (None, rest),
        [first, header, ref body @ ..] if matches!(first & 0x1f, 28 | 29) => {
            let unit = Unit { header: first & 0xe0 | header & 0x1f, body, is_whole: header & 0x40 != 0 };
            ((header & 0x80 != 0).then_some(Packed { unit, bytes: None }), &[])
        }
        [first, ref body @ ..] if matches!(first & 0x1f, 1..=23) => {
            let unit = Unit { header: first, body, is_whole: true };
            (Some(Packed { unit, bytes: Some(payload) }), &[])
        }
        _ => (None, &[]),
    }
}

fn h265(payload: &[u8]) -> (Option<Packed<'_>>, &[u8]) {
    match *payload {
        [first, _, ref rest @ ..] if first >> 1 & 0x3f == AGGREGATED_H265 => (None, rest),
        [first, _, header, ref body @ ..] if first >> 1 & 0x3f == 49 => {
            let unit = Unit { header: header << 1 & 0x7e, body, is_whole: header & 0x40 != 0 };
            ((header & 0x80 != 0).then_some(Packed { unit, bytes: None }), &[])
        }
        [first, _, ref body @ ..] if first >> 1 & 0x3f < AGGREGATED_H265 => {
            let unit = Unit { header: first, body, is_whole: true };
            (Some(Packed { unit, bytes: Some(payload) }), &[])
        }
        _ => (None, &[]),
    }
}

/// Units, each behind its length in 16 bits. Ends where the lengths do not fit.
fn aggregates(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk()?;
        let (unit, next) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = next;
        Some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// At which packets the payloads can be started with, each a timestamp and its bytes.
    fn starts(codec: Codec, packets: &[(u32, &[u8])]) -> Vec<u64> {
        let mut pictures = NalPackets::new(codec, false);
        let numbered = (0..).zip(packets);
        let mut numbers: Vec<_> = numbered
            .filter_map(|(number, (at, payload))| pictures.take(number, *at, payload))
            .map(|start| start.number)
            .collect();
        numbers.dedup();
        numbers
    }

    #[test]
    fn it_ends_where_the_time_is_another() {
        let mut pictures = NalPackets::new(Codec::H264, false);
        let packets: [(u32, &[u8]); 6] = [
            (1, &[0x7c, 0x85, 0x88]),
            (1, &[0x7c, 0x45, 0x88]),
            (2, &[0x41, 0x9a]),
            (2, &[0x41, 0x9a]),
            (3, &[0x65, 0x88]),
            (4, &[0x65, 0x88]),
        ];
        let told: Vec<_> = (0..)
            .zip(packets)
            .filter_map(|(number, (at, payload))| pictures.take(number, at, payload))
            .map(|start| (start.number, start.end))
            .collect();
        assert_eq!(told, [(0, None), (0, Some(2)), (4, None), (5, None)]);
    }

    #[test]
    fn a_picture_is_started_with_at_its_first_packet() {
        let h264: [(u32, &[u8]); 9] = [
            (1, &[0x41, 0x9a]),
            (2, &[0x09, 0xf0]),
            (2, &[0x78, 0, 2, 0x67, 77, 0, 1, 0x68]),
            (2, &[0x7c, 0x85, 0x88]),
            (2, &[0x7c, 0x45, 0x88]),
            (3, &[0x41, 0x9a]),
            (4, &[0x06, 6, 1, 0xc4, 0x80]),
            (4, &[0x7c, 0x81, 0x9a]),
            (5, &[0x65, 0x88]),
        ];
        assert_eq!(starts(Codec::H264, &h264), [1, 6, 8]);
        let h265: [(u32, &[u8]); 5] = [
            (1, &[1 << 1, 1, 9]),
            (2, &[48 << 1, 1, 0, 3, 32 << 1, 1, 9, 0, 3, 33 << 1, 1, 9]),
            (2, &[49 << 1, 1, 0x80 | 20, 9]),
            (2, &[49 << 1, 1, 0x40 | 20, 9]),
            (3, &[49 << 1, 1, 20, 9]),
        ];
        assert_eq!(starts(Codec::H265, &h265), [1]);
    }

    #[test]
    fn where_the_first_packet_is_lost_the_next_one_of_the_picture_stands_for_it() {
        assert_eq!(starts(Codec::H264, &[(1, &[0x41, 0x9a]), (2, &[0x7c, 0x05, 1]), (2, &[0x65, 1])]), [1]);
    }

    #[test]
    fn parameter_sets_that_come_elsewhere_go_before() {
        let mut pictures = NalPackets::new(Codec::H264, true);
        for (number, set) in [(0, &[0x67, 1][..]), (1, &[0x68, 2])] {
            assert_eq!(pictures.take(number, 7, set), None);
        }
        let start = pictures.take(2, 8, &[0x65, 3]).expect("an IDR");
        assert_eq!(start.prologue, Some(vec![0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2]));
        pictures.take(3, 9, &[0x67, 4]);
        assert_eq!(pictures.take(4, 9, &[0x65, 3]).expect("an IDR").prologue, None, "it has its own");
        assert_eq!(pictures.take(5, 10, &[0x65, 3]).expect("an IDR").prologue, Some(vec![0x67, 4]));
        let mut of_h265 = NalPackets::new(Codec::H265, true);
        for (number, kind) in [(0, 32), (1, 33)] {
            of_h265.take(number, 7, &[kind << 1, 1, 5]);
        }
        let prologue = of_h265.take(2, 8, &[20 << 1, 1, 5]).expect("an IDR").prologue;
        assert_eq!(prologue, Some(vec![96, 1, 0, 3, 64, 1, 5, 0, 3, 66, 1, 5]));
    }

    #[test]
    fn of_parameter_sets_so_much_is_kept() {
        let mut pictures = NalPackets::new(Codec::H264, true);
        for number in 0..100 {
            pictures.take(number, 1, &[0x68; LONGEST_SET + 1]);
            pictures.take(number, 1, &[0x68; LONGEST_SET]);
        }
        let prologue = pictures.take(100, 2, &[0x65, 1]).and_then(|start| start.prologue).expect("sets");
        assert_eq!(prologue.len(), 1 + MOST_SETS * (2 + LONGEST_SET));
    }

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payloads in prop::collection::vec((0..3_u32, prop::collection::vec(any::<u8>(), 0..60)), 0..40)) {
            for codec in [Codec::H264, Codec::H265] {
                let mut pictures = NalPackets::new(codec, true);
                for (number, (timestamp, payload)) in (0..).zip(&payloads) {
                    if let Some(start) = pictures.take(number, *timestamp, payload) {
                        prop_assert!(start.number <= number);
                    }
                }
            }
        }
    }
}
