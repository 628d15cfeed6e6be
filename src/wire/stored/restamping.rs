//! Restamping: transport streams that follow each other, as one. Clock references, presentation and decoding times go on, and so do the
//! counters of packets (ISO/IEC 13818-1 sections 2.4.3.3, 2.4.3.5 and 2.4.3.7). The first of them stays as it is.

use super::super::transport_stream::PACKET_LEN;
use super::super::ts_packet::{NULL_PID, TsPacket};

use super::times::{WRAP, read_time, times_in, write_time};

/// Where the clock reference is in a packet that has one.
const PCR_AT: usize = 6;
const PIDS: usize = 1 << 13;

/// Restamps one stream after the other.
#[derive(Debug)]
pub struct Restamping {
    /// What its clock says at the beginning of all, once that is known.
    origin: Option<u64>,
    /// How much later the stream of now is than it says.
    later: u64,
    /// Which of them it is.
    place: u32,
    counters: Box<[Counter]>,
}

/// The counter of one PID.
#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    /// That of the newest packet, if there was one.
    newest: Option<u8>,
    more: u8,
    /// Of which stream that is so.
    place: u32,
}

impl Default for Restamping {
    fn default() -> Self {
        let counters = vec![Counter::default(); PIDS].into();
        Self { origin: None, later: 0, place: 0, counters }
    }
}

impl Restamping {
    /// Another stream follows. It begins so long after the first one, in microseconds, and its clock says that there.
    pub fn begin(&mut self, begins_us: u64, clock: u64) {
        let since = (u128::from(begins_us) * 9 / 100 % u128::from(WRAP)) as u64;
        let origin = *self.origin.get_or_insert((clock + WRAP - since) % WRAP);
        self.later = (origin + since + WRAP - clock % WRAP) % WRAP;
        self.place = self.place.wrapping_add(1);
    }

    /// Restamps whole packets of it. What is encrypted is not, but for clock and counter.
    pub fn restamp(&mut self, packets: &mut [u8]) {
        for packet in packets.chunks_exact_mut(PACKET_LEN) {
            let Some(read) = TsPacket::read(packet) else { continue };
            if read.pid == NULL_PID || read.is_broken {
                continue;
            }
            let continuity = self.continuity(&read);
            let payload_at = read.payload.map(|payload| PACKET_LEN - payload.len());
            let (has_clock, has_times) = (read.pcr.is_some(), read.starts_unit && !read.is_scrambled);
            packet[3] = packet[3] & 0xf0 | continuity;
            if self.later == 0 {
                continue;
            }
            if has_clock {
                shift_clock(&mut packet[PCR_AT..], self.later);
            }
            if let Some(payload) = payload_at.filter(|_| has_times).and_then(|at| packet.get_mut(at..)) {
                for at in times_in(payload) {
                    let time = read_time(payload, at);
                    time.into_iter().for_each(|time| write_time(payload, at, time + self.later));
                }
            }
        }
    }

    /// What counts on from the packet of its PID before.
    fn continuity(&mut self, packet: &TsPacket<'_>) -> u8 {
        let Some(counter) = self.counters.get_mut(usize::from(packet.pid)) else { return packet.continuity };
        if counter.place != self.place {
            let step = u8::from(packet.payload.is_some());
            let goes_on = |newest: u8| newest.wrapping_add(step).wrapping_sub(packet.continuity) & 0xf;
            (counter.more, counter.place) = (counter.newest.map_or(0, goes_on), self.place);
        }
        let continuity = packet.continuity.wrapping_add(counter.more) & 0xf;
        counter.newest = Some(continuity);
        continuity
    }
}

fn shift_clock(reference: &mut [u8], by: u64) {
    let Some([first, second, third, fourth, fifth]) = reference.first_chunk_mut() else { return };
    let [a, b, c, d] = [*first, *second, *third, *fourth].map(u64::from);
    let base = (a << 25 | b << 17 | c << 9 | d << 1 | u64::from(*fifth >> 7)) + by;
    let base = base % WRAP;
    [*first, *second, *third, *fourth] = ((base >> 1) as u32).to_be_bytes();
    *fifth = *fifth & 0x7f | ((base & 1) as u8) << 7;
}

#[cfg(test)]
mod tests {
    use super::super::super::transport_stream::pcr;
    use super::*;
    use proptest::prelude::*;

    /// A packet of a PID with a clock reference, and the begin of a unit that is shown and decoded then.
    fn packet(pid: u16, continuity: u8, base: u64, times: [u64; 2]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![0x47, 0x40 | high, low, 0x30 | continuity, 7, 0x10];
        packet.extend(((base >> 1) as u32).to_be_bytes());
        packet.extend([((base & 1) as u8) << 7 | 0x7e, 0]);
        packet.extend([0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10]);
        for (time, kind) in times.into_iter().zip([0x31, 0x11]) {
            let mut bytes = [kind, 0, 1, 0, 1];
            write_time(&mut bytes, 0, time);
            packet.extend(bytes);
        }
        packet.resize(PACKET_LEN, 0xff);
        packet
    }

    fn times(packet: &[u8]) -> [u64; 2] {
        [21, 26].map(|at| read_time(packet, at).expect("it is there"))
    }

    fn restamped(restamping: &mut Restamping, packet: &[u8]) -> (u8, u64, [u64; 2]) {
        let mut packet = packet.to_vec();
        restamping.restamp(&mut packet);
        let base = pcr(&packet).expect("a clock reference").base;
        (packet[3] & 0xf, base, times(&packet))
    }

    #[test]
    fn the_first_is_as_it_is_and_what_follows_goes_on() {
        let mut restamping = Restamping::default();
        restamping.begin(0, 900_000);
        let first = packet(0x100, 14, 900_000, [990_000, 981_000]);
        let mut same = first.clone();
        restamping.restamp(&mut same);
        assert_eq!(same, first);
        restamping.begin(10_000_000, 900_000);
        let (continuity, base, times) = restamped(&mut restamping, &first);
        assert_eq!(
            (continuity, base, times),
            (15, 1_800_000, [1_890_000, 1_881_000]),
            "once more, 10 s later"
        );
        restamping.begin(20_000_000, 5);
        let (continuity, base, times) = restamped(&mut restamping, &packet(0x100, 3, 95, [1000, 500]));
        assert_eq!((continuity, base), (0, 2_700_090), "another one, whose clock says 5 where it begins");
        assert_eq!(times, [2_700_995, 2_700_495]);
    }

    #[test]
    fn clocks_wrap() {
        let mut restamping = Restamping::default();
        restamping.begin(0, WRAP - 45_000);
        restamping.begin(1_000_000, WRAP - 45_000);
        let (_, base, times) = restamped(&mut restamping, &packet(7, 0, WRAP - 45_000, [WRAP - 1, 3]));
        assert_eq!((base, times), (45_000, [89_999, 90_003]));
        // After more than the 26.5 hours that a clock counts.
        restamping.begin(1_000_000 * (WRAP / 90_000 + 1), WRAP - 45_000);
        let (_, base, _) = restamped(&mut restamping, &packet(7, 0, WRAP - 45_000, [0, 0]));
        assert_eq!(base, (90_000 * (WRAP / 90_000 + 1) + WRAP - 45_000) % WRAP);
    }

    #[test]
    fn what_is_encrypted_has_its_clock_and_counter_alone() {
        let mut restamping = Restamping::default();
        restamping.begin(0, 0);
        restamping.begin(1_000_000, 0);
        let mut secret = packet(7, 5, 100, [200, 200]);
        secret[3] |= 0x80;
        assert_eq!(restamped(&mut restamping, &secret), (5, 90_100, [200, 200]));
    }

    #[test]
    fn what_has_no_payload_is_not_counted() {
        let mut restamping = Restamping::default();
        restamping.begin(0, 0);
        restamped(&mut restamping, &packet(7, 5, 100, [0, 0]));
        restamping.begin(1_000_000, 0);
        let mut clock = packet(7, 9, 100, [0, 0]);
        clock[3] = 0x29;
        clock[4] = 183;
        assert_eq!(restamped(&mut restamping, &clock).0, 5);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), clock: u64, begins: u64) {
            let mut restamping = Restamping::default();
            for _ in 0..2 {
                restamping.begin(begins, clock % WRAP);
                let mut packets: Vec<u8> = bytes.clone();
                packets.chunks_mut(PACKET_LEN).for_each(|packet| packet[0] = 0x47);
                restamping.restamp(&mut packets);
            }
        }
    }
}
