//! What has to be known of a transport stream: its clock, and where the units of each stream begin.

use std::collections::HashMap;

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 188;

/// Ticks a second of the clock's base, which wraps around at 33 bits.
const CLOCK_RATE: f64 = 90_000.0;
const CLOCK_MASK: u64 = (1 << 33) - 1;

/// Bytes a second between the first and the last time that its clock is told; `None` where it is not told twice.
pub fn bytes_per_second(stream: &[u8]) -> Option<f64> {
    let mut clocks = packets(stream).enumerate().filter_map(|(place, packet)| Some((place, clock(packet)?)));
    let (first_place, first) = clocks.next()?;
    let (last_place, last) = clocks.last()?;
    let seconds = (last.wrapping_sub(first) & CLOCK_MASK) as f64 / CLOCK_RATE;
    (seconds > 0.0).then(|| ((last_place - first_place) * PACKET_BYTES) as f64 / seconds)
}

/// The stream without what its cut has left undone: the last unit of each of its streams.
pub fn whole_units(stream: &[u8]) -> Vec<u8> {
    let mut last_begins = HashMap::new();
    for (place, packet) in packets(stream).enumerate().filter(|(_, packet)| packet[1] & 0x40 != 0) {
        last_begins.insert(pid(packet), place);
    }
    let is_whole =
        |(place, packet): &(usize, &[u8])| last_begins.get(&pid(packet)).is_none_or(|last| place < last);
    packets(stream).enumerate().filter(is_whole).flat_map(|(_, packet)| packet).copied().collect()
}

fn packets(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    stream.chunks_exact(PACKET_BYTES).filter(|packet| packet[0] == 0x47)
}

fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

/// The base of the PCR.
fn clock(packet: &[u8]) -> Option<u64> {
    let is_told = packet[3] & 0x20 != 0 && packet[4] >= 7 && packet[5] & 0x10 != 0;
    let base = packet[6..11].iter().fold(0, |base, &byte| base << 8 | u64::from(byte));
    is_told.then_some(base >> 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pid: u8, begins: bool, clock: Option<u64>) -> Vec<u8> {
        let mut packet = vec![0x47, if begins { 0x40 } else { 0 }, pid, 0x10];
        if let Some(clock) = clock {
            packet[3] = 0x30;
            packet.extend([7, 0x10]);
            packet.extend(&(clock << 7 << 24).to_be_bytes()[..5]);
        }
        packet.resize(PACKET_BYTES, 0xff);
        packet
    }

    #[test]
    fn the_rate_is_that_between_two_clocks_even_around_their_end() {
        let stream = [
            packet(1, true, None),
            packet(1, false, Some(CLOCK_MASK - 44_999)),
            packet(1, false, None),
            packet(1, false, Some(45_000)),
            packet(1, false, None),
        ];
        assert_eq!(bytes_per_second(&stream.concat()), Some(376.0));
        assert_eq!(bytes_per_second(&stream[..3].concat()), None);
    }

    #[test]
    fn the_last_unit_of_each_stream_goes_and_what_is_before_it_stays() {
        let stream = [
            packet(1, true, None),
            packet(2, true, None),
            packet(1, false, None),
            packet(1, true, None),
            packet(2, false, None),
            packet(1, false, None),
        ];
        assert_eq!(whole_units(&stream.concat()), [&stream[0][..], &stream[2]].concat());
    }
}
