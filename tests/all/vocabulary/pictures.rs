//! Pictures: a transport stream in RTP that says where decoders can start, and nothing else of sense.

use super::source::{Group, Source};

const PACKET_LEN: usize = 188;
const PACKETS: usize = 7;
const TABLES_PID: u16 = 4096;
const VIDEO_PID: u16 = 256;
/// Packets of a picture.
const OF_A_PICTURE: u64 = 5;
const SSRC: u32 = 7;
/// Near the wrap, so that each story crosses it.
const FIRST_SEQUENCE: u16 = u16::MAX - 150;

/// A source of pictures, of which a decoder can start with one in so many packets.
pub struct Pictures {
    source: Source,
    every: u64,
    next: u64,
}

impl Pictures {
    pub fn every(packets: u64) -> Self {
        assert!(packets.is_multiple_of(OF_A_PICTURE));
        Self { source: Source::new(), every: packets, next: 0 }
    }

    pub fn group(&self) -> Group {
        self.source.group
    }

    pub fn sequence(&self, number: u64) -> u16 {
        FIRST_SEQUENCE.wrapping_add(number as u16)
    }

    pub fn timestamp(&self, number: u64) -> u32 {
        number as u32 * 90
    }

    /// The packet of a number. The first one of all has the tables, the others pictures.
    pub fn packet(&self, number: u64) -> Vec<u8> {
        let begins = number.is_multiple_of(OF_A_PICTURE);
        let video = |flag: u8| {
            let [high, low] = VIDEO_PID.to_be_bytes();
            let mut packet = vec![0x47, high | if begins { 0x40 } else { 0 }, low, 0x30, 1, flag];
            if begins {
                packet.extend([0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0]);
            }
            packet.extend((!number).to_be_bytes()); // no start code is in it
            packet.resize(PACKET_LEN, 0xff);
            for _ in 1..PACKETS {
                packet.extend([0x47, high, low, 0x10]);
                packet.resize(packet.len() + PACKET_LEN - 4, 0xff);
            }
            packet
        };
        let payload = match number {
            0 => tables(),
            _ => video(if number.is_multiple_of(self.every) { 0x40 } else { 0 }),
        };
        self.in_rtp(self.sequence(number), number, &payload)
    }

    /// The packet that goes before the picture of a number.
    pub fn tables_before(&self, number: u64) -> Vec<u8> {
        self.in_rtp(self.sequence(number).wrapping_sub(1), number, &tables())
    }

    pub fn send(&mut self, count: u64) {
        for number in self.next..self.next + count {
            self.source.send_bytes(&self.packet(number));
        }
        self.next += count;
    }

    fn in_rtp(&self, sequence: u16, number: u64, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 33];
        packet.extend(sequence.to_be_bytes());
        packet.extend(self.timestamp(number).to_be_bytes());
        packet.extend(SSRC.to_be_bytes());
        packet.extend(payload);
        packet
    }
}

/// One programme of one H.264 stream.
fn tables() -> Vec<u8> {
    let [pmt_high, pmt_low] = TABLES_PID.to_be_bytes();
    let [high, low] = VIDEO_PID.to_be_bytes();
    let pat = section(0, 0, &[0, 1, 0xe0 | pmt_high, pmt_low]);
    let pmt = section(TABLES_PID, 2, &[0xe0 | high, low, 0xf0, 0, 0x1b, 0xe0 | high, low, 0xf0, 0]);
    [pat, pmt].concat()
}

/// A table of one section in a packet of its own (ISO/IEC 13818-1 section 2.4.4).
fn section(pid: u16, table: u8, body: &[u8]) -> Vec<u8> {
    let mut section = vec![table, 0xb0, body.len() as u8 + 9, 0, 1, 0xc1, 0, 0];
    section.extend(body);
    section.extend(crc(&section).to_be_bytes());
    let [high, low] = pid.to_be_bytes();
    let mut packet = vec![0x47, 0x40 | high, low, 0x10, 0];
    packet.extend(section);
    packet.resize(PACKET_LEN, 0xff);
    packet
}

fn crc(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
    bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| bit(crc)))
}
