//! The mark that every packet carries: which it is, and when it was sent.
//!
//! ```text
//!  0        12              18      66
//!  | RTP    | TS head, or   | mark  | filling …
//!  |        | FU-A and zeros|       |
//! ```
//! A transport stream without RTP is as that behind the RTP header, which the relay makes. Where a picture begins, the mark
//! stands in the adaptation field, and the picture's head behind it.
//!
//! The first packet of a run thus tells, with the pace, when each packet was due. It knows no socket.

/// Bytes of a packet until the mark's end: what has to be read of it.
pub const HEAD_BYTES: usize = MARK_AT + MARK_BYTES;

const RTP_BYTES: usize = 12;
const MARK_AT: usize = RTP_BYTES + 6;
const MARK_BYTES: usize = 48;
const MAGIC: u64 = 0x4d69_7272_6f72_6221;
/// The same of what is sent without RTP, whose sequence numbers are the relay's.
const MAGIC_RAW: u64 = !MAGIC;
/// The SSRC of the first channel; those of the others follow.
pub const SSRC: u32 = 0x4d42_0000;
/// Parts of a packet: packets of a transport stream.
pub const PARTS: u64 = 7;
/// Bytes of one of them.
pub const TS_BYTES: usize = 188;
/// The stream that they are of.
pub const MARKED_PID: u16 = 0x100;
/// The head of a picture's PES packet, without times.
const PICTURE: [u8; 9] = [0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0];

/// What a packet tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The packet's number in its channel, from 0; its low 16 bits are the RTP sequence number.
    pub number: u64,
    /// CLOCK_MONOTONIC when it was sent.
    pub sent_ns: u64,
    /// CLOCK_MONOTONIC when number 0 was due.
    pub began_ns: u64,
    /// Between the due times of two packets.
    pub interval_ns: u64,
    /// The channel, from 0.
    pub channel: u64,
}

/// What the packets look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// Seven MPEG-TS packets in RTP: 1328 bytes each.
    Ts,
    /// The same without RTP: 1316 bytes.
    Raw,
    /// Fragments of H.264 frames: 1400 bytes each but for the last of a frame.
    H264,
}

/// How many packets make what is more than one.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// Of a frame, where packets are its fragments.
    pub frame: u64,
    /// From one where a decoder could start to the next, in a transport stream.
    pub group: u64,
}

impl Mark {
    /// Reads the mark of an RTP packet, of which at least [`HEAD_BYTES`] must be there.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (magic, mark) = Self::read_words(packet.get(MARK_AT..HEAD_BYTES)?)?;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        (magic == MAGIC_RAW || sequence == mark.number as u16).then_some(mark)
    }

    /// The same of one that may be numbered otherwise than it was sent.
    pub fn read_renumbered(packet: &[u8]) -> Option<Self> {
        Some(Self::read_words(packet.get(MARK_AT..HEAD_BYTES)?)?.1)
    }

    /// Reads the mark of a packet's first part, which has lost its RTP header.
    pub fn read_ts(part: &[u8]) -> Option<Self> {
        let (_, mark) = Self::read_words(part.get(MARK_AT - RTP_BYTES..HEAD_BYTES - RTP_BYTES)?)?;
        mark.is_part(0, part).then_some(mark)
    }

    /// Whether this is the part of the packet that has this place in it.
    pub fn is_part(&self, place: u64, part: &[u8]) -> bool {
        part[0] == 0x47 && part[3] & 0x0f == self.continuity(place)
    }

    fn read_words(mark: &[u8]) -> Option<(u64, Self)> {
        let mark: &[u8; MARK_BYTES] = mark.try_into().ok()?;
        let word = |index: usize| {
            let bytes = mark[index * 8..][..8].try_into().expect("a slice of eight bytes");
            u64::from_be_bytes(bytes)
        };
        let mark = Self {
            number: word(1),
            sent_ns: word(2),
            began_ns: word(3),
            interval_ns: word(4),
            channel: word(5),
        };
        [MAGIC, MAGIC_RAW].contains(&word(0)).then_some((word(0), mark))
    }

    fn continuity(&self, place: u64) -> u8 {
        ((self.number * PARTS + place) & 0x0f) as u8
    }

    /// Writes the whole RTP packet.
    pub fn write(&self, shape: Shape, pattern: Pattern, into: &mut Vec<u8>) {
        match shape {
            Shape::Ts => {
                self.write_rtp(33, false, self.number * self.interval_ns * 9 / 100_000, into);
                self.write_ts(MAGIC, pattern.group, into);
            }
            Shape::Raw => self.write_ts(MAGIC_RAW, pattern.group, into),
            Shape::H264 => self.write_h264(pattern.frame.max(2), into),
        }
    }

    fn write_ts(&self, magic: u64, group: u64, into: &mut Vec<u8>) {
        let before = into.len();
        let [high, low] = MARKED_PID.to_be_bytes();
        for place in 0..PARTS {
            let continuity = self.continuity(place);
            if place > 0 {
                into.extend([0x47, high, low, 0x10 | continuity]);
            } else if let Some(indicator) = self.picture(group.max(1)) {
                into.extend([0x47, high | 0x40, low, 0x30 | continuity, 1 + MARK_BYTES as u8, indicator]);
                self.write_words(magic, into);
                into.extend(PICTURE);
            } else {
                into.extend([0x47, high, low, 0x30 | continuity, 1, 0]);
                self.write_words(magic, into);
            }
            into.resize(before + (place as usize + 1) * TS_BYTES, 0xff);
        }
    }

    /// Whether a picture begins, and the indicator of those that a decoder could start at: the first of a group, which takes a tenth
    /// of it. The others are a fiftieth each.
    fn picture(&self, group: u64) -> Option<u8> {
        let place = self.number % group;
        let is_other = place >= group / 10 && place.is_multiple_of((group / 50).max(1));
        (place == 0 || is_other).then_some(if place == 0 { 0x40 } else { 0 })
    }

    fn write_h264(&self, packets_per_frame: u64, into: &mut Vec<u8>) {
        let (frame, place) = (self.number / packets_per_frame, self.number % packets_per_frame);
        let (first, last) = (place == 0, place + 1 == packets_per_frame);
        let key = frame % 25 == 0;
        self.write_rtp(96, last, frame * packets_per_frame * self.interval_ns * 9 / 100_000, into);
        let header = u8::from(first) << 7 | u8::from(last) << 6 | if key { 5 } else { 1 };
        into.extend([0x7c, header, 0, 0, 0, 0]);
        self.write_words(MAGIC, into);
        // The last fragment is any size below the others': what an encoder leaves over.
        let size = if last { HEAD_BYTES + (frame.wrapping_mul(7919) % 1300) as usize } else { 1400 };
        into.resize(size, 0xff);
    }

    fn write_rtp(&self, payload_type: u8, marker: bool, timestamp: u64, into: &mut Vec<u8>) {
        into.extend([0x80, u8::from(marker) << 7 | payload_type]);
        into.extend((self.number as u16).to_be_bytes());
        into.extend((timestamp as u32).to_be_bytes());
        into.extend((SSRC + self.channel as u32).to_be_bytes());
    }

    fn write_words(&self, magic: u64, into: &mut Vec<u8>) {
        for word in [magic, self.number, self.sent_ns, self.began_ns, self.interval_ns, self.channel] {
            into.extend(word.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERN: Pattern = Pattern { frame: 32, group: 400 };

    #[test]
    fn a_packet_tells_its_mark_in_both_shapes() {
        for shape in [Shape::Ts, Shape::H264] {
            let mark = Mark { number: 70_000, sent_ns: 5, began_ns: 3, interval_ns: 1_250_000, channel: 9 };
            let mut packet = Vec::new();
            mark.write(shape, PATTERN, &mut packet);
            assert_eq!(Mark::read(&packet), Some(mark));
            assert_eq!(Mark::read(&packet[..HEAD_BYTES - 1]), None);
            packet[3] ^= 1;
            assert_eq!(Mark::read(&packet), None, "another sequence number is no reflection");
        }
    }

    #[test]
    fn what_is_sent_without_rtp_tells_its_mark_behind_any_header() {
        let mark = Mark { number: 70_000, sent_ns: 5, began_ns: 3, interval_ns: 1_250_000, channel: 9 };
        let mut packet = vec![0x80, 33, 0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 0];
        mark.write(Shape::Raw, PATTERN, &mut packet);
        assert_eq!((Mark::read(&packet), packet.len()), (Some(mark), 1328));
    }

    #[test]
    fn a_mark_is_at_its_place_where_a_decoder_could_start_too() {
        for (number, is_picture, is_start) in [
            (800, true, true),
            (801, false, false),
            (808, false, false),
            (840, true, false),
            (848, true, false),
        ] {
            let mark = Mark { number, sent_ns: 5, began_ns: 3, interval_ns: 1_250_000, channel: 9 };
            let mut packet = Vec::new();
            mark.write(Shape::Ts, PATTERN, &mut packet);
            assert_eq!((Mark::read(&packet), packet.len()), (Some(mark), 1328));
            let parts: Vec<&[u8]> = packet[RTP_BYTES..].chunks(TS_BYTES).collect();
            let payload = &parts[0][5 + usize::from(parts[0][4])..];
            assert_eq!(
                (payload.starts_with(&PICTURE), parts[0][1] & 0x40 != 0, parts[0][5] & 0x40 != 0),
                (is_picture, is_picture, is_start)
            );
            assert_eq!((Mark::read_ts(parts[0]), Mark::read_ts(parts[1])), (Some(mark), None));
            assert!(mark.is_part(6, parts[6]) && !mark.is_part(5, parts[6]));
        }
    }

    #[test]
    fn sizes_are_those_of_the_shape() {
        let pattern = Pattern { frame: 4, ..PATTERN };
        let size = |shape, number| {
            let mut packet = Vec::new();
            Mark { number, sent_ns: 0, began_ns: 0, interval_ns: 1, channel: 0 }.write(
                shape,
                pattern,
                &mut packet,
            );
            packet.len()
        };
        assert_eq!(size(Shape::Ts, 1), 1328);
        assert_eq!([0, 1, 2].map(|number| size(Shape::H264, number)), [1400; 3]);
        assert!(size(Shape::H264, 7) < 1400);
    }
}
