//! Sections of tables, put together from the packets of one PID (ISO/IEC 13818-1 section 2.4.4), and checked.

use super::super::ts_packet::TsPacket;

/// The largest section that there is: those of private tables.
pub const MAX_SECTION_LEN: usize = 4096;
/// What the length counts from.
const LENGTH_END: usize = 3;
/// The head of a section in the long form, and the checksum at its end.
const HEAD_LEN: usize = 8;
const CRC_LEN: usize = 4;
/// Where a section would begin: nothing follows in this packet.
const STUFFING: u8 = 0xff;

/// Puts the sections of one PID together. What is lost on the way costs the section that it belonged to.
#[derive(Debug, Clone, Default)]
pub struct Sections {
    /// A section whose end has not come.
    begun: Vec<u8>,
    continuity: Option<u8>,
    /// What the packet before carried.
    previous: Vec<u8>,
}

/// A whole section in the long form, whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// Of which table it is.
    pub table_id: u8,
    /// What the table is about: a programme's number, or the transport stream's.
    pub extension: u16,
    /// Counts the table's changes; 5 bits.
    pub version: u8,
    /// It holds now, and not from the next change on.
    pub is_current: bool,
    /// What the table says.
    pub body: &'a [u8],
}

impl Sections {
    /// Takes the PID's next packet, and gives each section that is whole with it to `each`.
    pub fn take(&mut self, packet: &TsPacket<'_>, mut each: impl FnMut(&[u8])) {
        let Some(payload) = packet.payload else { return };
        let previous = self.continuity.replace(packet.continuity);
        if previous == Some(packet.continuity) && self.previous == payload && !packet.is_discontinuous {
            return; // a packet may come twice (section 2.4.3.3)
        }
        self.previous.clear();
        self.previous.extend_from_slice(payload);
        let follows = previous.is_some_and(|previous| packet.continuity == (previous + 1) & 0xf);
        if !follows || packet.is_broken || packet.is_scrambled {
            self.begun.clear();
        }
        if packet.is_broken || packet.is_scrambled {
            return;
        }
        if !packet.starts_unit {
            self.go_on(payload, &mut each);
            return;
        }
        let parts =
            payload.split_first().and_then(|(pointer, rest)| rest.split_at_checked((*pointer).into()));
        let (end, next) = parts.unwrap_or_default();
        self.go_on(end, &mut each);
        self.begin(next, &mut each);
    }

    fn go_on(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) {
        if self.begun.is_empty() {
            return;
        }
        self.begun.extend(bytes);
        match section_len(&self.begun) {
            Some(length) if length > MAX_SECTION_LEN => self.begun.clear(),
            Some(length) if length <= self.begun.len() => {
                each(&self.begun[..length]);
                self.begun.clear();
            }
            _ => {}
        }
    }

    fn begin(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8])) {
        self.begun.clear();
        while bytes.first().is_some_and(|first| *first != STUFFING) {
            match section_len(bytes).map(|length| bytes.split_at_checked(length)) {
                Some(Some((section, rest))) => {
                    each(section);
                    bytes = rest;
                }
                _ => {
                    self.begun.extend(bytes);
                    return;
                }
            }
        }
    }
}

impl<'a> Section<'a> {
    /// Reads a whole section. `None`: it is of the short form, or damaged.
    #[must_use]
    pub fn read(section: &'a [u8]) -> Option<Self> {
        let [table_id, flags, _, high, low, version, _, _, ..] = *section else { return None };
        let is_long = flags & 0x80 != 0;
        if !is_long || section_len(section) != Some(section.len()) || crc32(section) != 0 {
            return None;
        }
        Some(Self {
            table_id,
            extension: u16::from_be_bytes([high, low]),
            version: version >> 1 & 0x1f,
            is_current: version & 1 != 0,
            body: section.get(HEAD_LEN..section.len().checked_sub(CRC_LEN)?)?,
        })
    }
}

/// How long the section is that begins so, once that is told.
#[must_use]
pub fn section_len(begin: &[u8]) -> Option<usize> {
    let [_, high, low, ..] = *begin else { return None };
    Some(LENGTH_END + usize::from(u16::from_be_bytes([high & 0xf, low])))
}

/// The checksum of annex A; 0 over what ends in its own.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x04c1_1db7;
    bytes.iter().fold(u32::MAX, |crc, byte| {
        let step = |crc: u32, _| crc << 1 ^ if crc >> 31 == 1 { POLYNOMIAL } else { 0 };
        (0..8).fold(crc ^ u32::from(*byte) << 24, step)
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{packets_of, section};
    use super::*;
    use proptest::prelude::*;

    fn put_together(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let (mut sections, mut found) = (Sections::default(), Vec::new());
        for packet in packets {
            sections.take(&TsPacket::read(packet).expect("a packet"), |section| found.push(section.to_vec()));
        }
        found
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn a_section_is_read_if_its_checksum_is_right() {
        let mut bytes = section(0x42, 7, b"body");
        let read = Section::read(&bytes).expect("a section");
        assert_eq!(
            (read.table_id, read.extension, read.body, read.is_current),
            (0x42, 7, &b"body"[..], true)
        );
        bytes[9] ^= 1;
        assert_eq!(Section::read(&bytes), None);
        assert_eq!(Section::read(&bytes[..7]), None);
    }

    #[test]
    fn sections_of_any_length_are_put_together() {
        for length in [0, 1, 160, 171, 172, 173, 400, 1000, MAX_SECTION_LEN - 12] {
            let one = section(0x42, 1, &vec![7; length]);
            assert_eq!(put_together(&packets_of(17, 5, &[&one])), [one], "{length}");
        }
    }

    #[test]
    fn several_sections_may_share_packets() {
        let [one, two, three] =
            [(1, 300), (2, 20), (3, 500)].map(|(id, length)| section(id, 1, &vec![id; length]));
        assert_eq!(put_together(&packets_of(17, 0, &[&one, &two, &three])), [one, two, three]);
    }

    #[test]
    fn a_lost_packet_costs_its_section_and_no_other() {
        let long = section(0x42, 1, &[7; 600]);
        let mut packets = packets_of(17, 0, &[&long]);
        packets.extend(packets_of(17, packets.len() as u8, &[&long]));
        packets.remove(1);
        assert_eq!(put_together(&packets), [long]);
    }

    #[test]
    fn a_packet_that_comes_twice_is_taken_once() {
        let long = section(0x42, 1, &[7; 600]);
        let twice: Vec<_> =
            packets_of(17, 0, &[&long]).into_iter().flat_map(|one| [one.clone(), one]).collect();
        assert_eq!(put_together(&twice), [long]);
    }

    #[test]
    fn one_that_counts_as_the_one_before_and_is_another_is_taken() {
        let [one, other] = [7, 8].map(|body| section(0x42, 1, &[body; 20]));
        let packets = [packets_of(17, 5, &[&one]), packets_of(17, 5, &[&other])].concat();
        assert_eq!(put_together(&packets), [one, other]);
    }

    #[test]
    fn what_is_scrambled_or_broken_is_none() {
        for (place, bit) in [(3, 0x80), (1, 0x80)] {
            let mut packets = packets_of(17, 0, &[&section(0x42, 1, &[7; 600])]);
            packets[1][place] |= bit;
            assert!(put_together(&packets).is_empty());
        }
    }

    #[test]
    fn nothing_beyond_the_largest_section_is_kept() {
        let mut packets = vec![[&[0x47, 0x40, 17, 0x10, 0, 0x42, 0xff, 0xff][..], &[7; 180]].concat()];
        packets.extend((1..100).map(|count| [&[0x47, 0, 17, 0x10 | count & 0xf][..], &[7; 184]].concat()));
        let mut sections = Sections::default();
        for packet in &packets {
            sections.take(&TsPacket::read(packet).expect("a packet"), |_| panic!("it has no end"));
            assert!(sections.begun.len() <= MAX_SECTION_LEN + 188);
        }
        assert!(sections.begun.is_empty());
    }

    proptest! {
        #[test]
        fn wherever_it_is_cut_it_is_what_it_was(lengths in prop::collection::vec(0..900_usize, 1..6)) {
            let all: Vec<_> = lengths.iter().map(|length| section(0x42, 1, &vec![7; *length])).collect();
            let parts: Vec<_> = all.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(put_together(&packets_of(17, 3, &parts)), all);
        }
    }
}
