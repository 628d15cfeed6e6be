//! Sections and packets as a multiplexer writes them, for tests.

use super::section::crc32;

/// A whole section of the long form, of version 0.
pub fn section(table_id: u8, extension: u16, body: &[u8]) -> Vec<u8> {
    let [high, low] = (5 + body.len() as u16 + 4).to_be_bytes();
    let mut section = vec![table_id, 0xb0 | high, low];
    section.extend(extension.to_be_bytes());
    section.extend([0xc1, 0, 0]);
    section.extend(body);
    section.extend(crc32(&section).to_be_bytes());
    section
}

/// Sections one behind the other, in packets of a PID that count on from `first`.
pub fn packets_of(pid: u16, first: u8, sections: &[&[u8]]) -> Vec<Vec<u8>> {
    let begins: Vec<_> =
        sections.iter().scan(0, |end, section| Some(std::mem::replace(end, *end + section.len()))).collect();
    let all = sections.concat();
    let (mut packets, mut at) = (Vec::new(), 0);
    while at < all.len() {
        // With the pointer a packet has one byte less; a section that would begin in that byte waits for the next one.
        let begun = begins.iter().find(|begin| (at..at + 183).contains(*begin));
        let is_short = begins.iter().any(|begin| (at..=at + 183).contains(begin));
        let room = if is_short { 183 } else { 184 };
        let [high, low] = pid.to_be_bytes();
        let count = first.wrapping_add(packets.len() as u8) & 0xf;
        let mut packet = vec![0x47, high, low, 0x10 | count];
        if let Some(begun) = begun {
            packet[1] |= 0x40;
            packet.push((begun - at) as u8);
        }
        let end = all.len().min(at + room);
        packet.extend(&all[at..end]);
        packet.resize(188, 0xff);
        packets.push(packet);
        at = end;
    }
    packets
}

/// What a PAT says of these programmes, each with the PID of its table.
pub fn pat(programmes: &[(u16, u16)]) -> Vec<u8> {
    programmes
        .iter()
        .flat_map(|(number, pid)| [number.to_be_bytes(), (0xe000 | pid).to_be_bytes()].concat())
        .collect()
}

/// What a PMT says: whose clock, and streams by PID, type and descriptors.
pub fn pmt(pcr_pid: u16, streams: &[(u16, u8, &[u8])]) -> Vec<u8> {
    let mut body = [(0xe000 | pcr_pid).to_be_bytes(), [0xf0, 0]].concat();
    for (pid, stream_type, descriptors) in streams {
        body.push(*stream_type);
        body.extend((0xe000 | pid).to_be_bytes());
        body.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
        body.extend(*descriptors);
    }
    body
}

/// What an SDT says of these services: number, provider, name.
pub fn sdt(services: &[(u16, &str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 1, 0xff];
    for (number, provider, name) in services {
        let mut descriptor = vec![0x48, 3 + (provider.len() + name.len()) as u8, 1];
        for text in [provider, name] {
            descriptor.push(text.len() as u8);
            descriptor.extend(text.as_bytes());
        }
        body.extend(number.to_be_bytes());
        body.extend([0xfc, 0x80 | (descriptor.len() >> 8) as u8, descriptor.len() as u8]);
        body.extend(descriptor);
    }
    body
}
