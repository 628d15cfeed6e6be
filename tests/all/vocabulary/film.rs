//! Films of nothing but clocks: transport streams in files, of which each packet says when it comes.

pub const PACKET: usize = 188;
/// Packets of a transport stream in one of RTP.
pub const TOGETHER: usize = 7;
/// Milliseconds from a packet to the next.
pub const MS: usize = 5;
/// Pictures that a decoder can start with are so many packets apart.
pub const APART: usize = 70;

/// A packet with its clock.
pub fn packet(number: usize) -> Vec<u8> {
    let base = (number * MS * 90) as u64;
    let is_start = number.is_multiple_of(APART);
    let mut packet = vec![0x47, 0x41, 0, 0x30, 15, if is_start { 0x50 } else { 0x10 }];
    packet.extend(((base >> 1) as u32).to_be_bytes());
    packet.extend([(base as u8) << 7 | 0x7e, 0]);
    packet.extend((number as u64).to_be_bytes());
    packet.extend([0, 0, 1, 0xe0]);
    packet.resize(PACKET, 0xff);
    packet
}

pub fn film(packets: usize) -> Vec<u8> {
    (0..packets).flat_map(packet).collect()
}

/// What an RTP packet carries, behind what is said of it: sequence number and timestamp.
pub fn read(rtp: &[u8]) -> (u16, u32, &[u8]) {
    let number = |at: usize| u32::from_be_bytes(rtp[at..at + 4].try_into().expect("four"));
    (number(0) as u16, number(4), &rtp[12..])
}
