//! The times of a unit in a transport stream, and how long all units take (ISO/IEC 13818-1 section 2.4.3.7).

use super::super::transport_stream::PACKET_LEN;
use super::super::ts_packet::TsPacket;

/// Times are of 33 bits, in units of 1/90000 s.
pub(super) const WRAP: u64 = 1 << 33;
/// Where they are in a PES packet, and the length of one.
const TIMES_AT: usize = 9;
const TIME_LEN: usize = 5;
/// A unit is not shown for longer.
const LONGEST_UNIT: u64 = 90_000;

/// Where the times are in a PES packet that begins so: when it is shown, and when it is decoded if that is another time.
pub(super) fn times_in(pes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let which = match *pes {
        // Of these there is no header (table 2-21).
        [0, 0, 1, 0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff, ..] => 0,
        [0, 0, 1, _, _, _, flags, which, ..] if flags >> 6 == 0b10 => which,
        _ => 0,
    };
    let places = [(0x80, TIMES_AT), (0xc0, TIMES_AT + TIME_LEN)];
    places.into_iter().filter(move |(mask, _)| which & mask == *mask).map(|(_, at)| at)
}

/// A time. `None`: it is not all there.
pub(super) fn read_time(pes: &[u8], at: usize) -> Option<u64> {
    let bytes: [u8; TIME_LEN] = *pes.get(at..)?.first_chunk()?;
    let [a, b, c, d, e] = bytes.map(u64::from);
    Some((a >> 1 & 7) << 30 | b << 22 | c >> 1 << 15 | d << 7 | e >> 1)
}

/// Writes one, if there is room; it wraps.
pub(super) fn write_time(pes: &mut [u8], at: usize, time: u64) {
    let rest = pes.get_mut(at..).unwrap_or_default();
    let Some([first, second, third, fourth, fifth]) = rest.first_chunk_mut() else { return };
    *first = *first & 0xf1 | (time >> 29) as u8 & 0x0e;
    *second = (time >> 22) as u8;
    *third = *third & 1 | (time >> 14) as u8 & 0xfe;
    *fourth = (time >> 7) as u8;
    *fifth = *fifth & 1 | (time << 1) as u8 & 0xfe;
}

/// How long a stream takes from when its first picture is decoded to the end of the last, in microseconds: by whole packets of its
/// beginning and of its end. Where it has no pictures, the same of what it has. `None`: they do not say.
#[must_use]
pub fn span_us(head: &[u8], tail: &[u8]) -> Option<u64> {
    let units = || units(head);
    let (pid, _, first) = units().find(|(_, is_picture, _)| *is_picture).or_else(|| units().next())?;
    let since = |time: u64| (time + WRAP - first) % WRAP;
    let own = self::units(tail).filter(|(of, ..)| *of == pid).map(|(_, _, time)| since(time));
    let (mut last, mut before) = (None, None);
    for time in own.filter(|time| *time < WRAP / 2) {
        if last.is_none_or(|last| time > last) {
            (before, last) = (last, Some(time));
        }
    }
    let (last, before) = last.zip(before)?;
    Some((last + (last - before).min(LONGEST_UNIT)) * 100 / 9)
}

/// Of which PID each unit is that begins in these packets, whether it is a picture, and when it is decoded.
fn units(packets: &[u8]) -> impl Iterator<Item = (u16, bool, u64)> {
    packets.chunks_exact(PACKET_LEN).filter_map(|packet| {
        let read = TsPacket::read(packet).filter(|read| read.starts_unit && !read.is_scrambled)?;
        let payload = read.payload?;
        let decoded = times_in(payload).last().and_then(|at| read_time(payload, at))?;
        Some((read.pid, matches!(payload.get(3), Some(0xe0..=0xef)), decoded))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(pid: u8, stream: u8, time: u64) -> Vec<u8> {
        let mut packet = vec![0x47, 0x40, pid, 0x10, 0, 0, 1, stream, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1];
        write_time(&mut packet, 13, time);
        packet.resize(PACKET_LEN, 0xff);
        packet
    }

    #[test]
    fn a_stream_lasts_until_its_last_picture_has_been_shown() {
        let head = [unit(9, 0xc0, 500), unit(7, 0xe0, 900), unit(7, 0xe0, 4500)].concat();
        let tail =
            [unit(7, 0xe0, 90_900 - 7200), unit(7, 0xe0, 90_900 - 3600), unit(9, 0xc0, 95_000)].concat();
        assert_eq!(span_us(&head, &tail), Some(1_000_000));
        let begins_late = [unit(7, 0xe0, WRAP - 3600)].concat();
        assert_eq!(span_us(&begins_late, &[unit(7, 0xe0, 0), unit(7, 0xe0, 3600)].concat()), Some(120_000));
        let sound = [unit(9, 0xc0, 0), unit(9, 0xc0, 1800)].concat();
        assert_eq!(span_us(&sound, &sound), Some(40_000), "of sound alone");
        assert_eq!(span_us(&sound, &sound[..PACKET_LEN]), None, "one alone does not say how long it is");
        assert_eq!(span_us(&[], &[]), None);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            bytes.chunks_mut(PACKET_LEN).for_each(|packet| packet[0] = 0x47);
            let _ = span_us(&bytes, &bytes);
            let places: Vec<_> = times_in(&bytes).collect();
            places.iter().for_each(|at| write_time(&mut bytes, *at, u64::MAX));
        }
    }
}
