//! A Still: one picture out of a transport stream, without what comes between its packets (ISO/IEC 13818-1 section 2.4.3).

use super::transport_stream::packets;
use super::ts_packet::{PACKET_LEN, TsPacket};

/// Bytes of one picture that are kept: what is larger is cut.
const MOST_BYTES: usize = 4 << 20;
/// Packets of one datagram (RFC 2250 section 2).
const IN_DATAGRAM: usize = 7;

/// A picture, as far as it has come.
#[derive(Debug, Default)]
pub struct Still {
    pid: Option<u16>,
    /// Its packets, behind one that says that they do not follow what was sent before.
    packets: Vec<u8>,
}

impl Still {
    /// Takes in the next payload, the first of which the picture begins in. `true`: it is whole.
    pub fn take(&mut self, payload: &[u8]) -> bool {
        let mut rest =
            packets(payload).filter_map(|bytes| Some((bytes.get(..PACKET_LEN)?, TsPacket::read(bytes)?)));
        if self.pid.is_none() {
            let begins = |is_wanted: &dyn Fn(&TsPacket<'_>) -> bool| {
                let mut all = packets(payload).filter_map(TsPacket::read);
                all.position(|packet| packet.starts_unit && !packet.is_broken && is_wanted(&packet))
            };
            let place = begins(&|packet| packet.is_random_access && is_video(packet))
                .or_else(|| begins(&is_video))
                .or_else(|| begins(&|packet| packet.is_random_access));
            let Some((bytes, packet)) = place.and_then(|place| rest.nth(place)) else { return false };
            self.pid = Some(packet.pid);
            self.packets = discontinuity(&packet);
            self.packets.extend_from_slice(bytes);
        }
        for (bytes, packet) in rest.filter(|(_, packet)| Some(packet.pid) == self.pid) {
            if packet.starts_unit || self.packets.len() >= MOST_BYTES {
                return true;
            }
            self.packets.extend_from_slice(bytes);
        }
        false
    }

    /// What it is sent as, datagram for datagram. Nothing: no picture has begun.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        self.packets.chunks(IN_DATAGRAM * PACKET_LEN)
    }
}

/// A packet without payload before another one, whose count begins anew.
fn discontinuity(packet: &TsPacket<'_>) -> Vec<u8> {
    let [high, low] = packet.pid.to_be_bytes();
    let mut bytes = vec![0x47, high, low, 0x20 | packet.continuity.wrapping_sub(1) & 0xf, 183, 0x80];
    bytes.resize(PACKET_LEN, 0xff);
    bytes
}

/// Whether what begins in a packet is video, by the id of its PES (table 2-22).
fn is_video(packet: &TsPacket<'_>) -> bool {
    matches!(packet.payload, Some([0, 0, 1, 0xe0..=0xef, ..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(pid: u8, begins: bool, id: u8, count: u8) -> Vec<u8> {
        let mut packet = vec![0x47, if begins { 0x40 } else { 0 }, pid, 0x10 | count & 0xf];
        packet.extend(if begins { [0, 0, 1, id] } else { [9; 4] });
        packet.resize(PACKET_LEN, 0xff);
        packet
    }

    #[test]
    fn a_picture_is_its_own_packets_up_to_the_next_one() {
        let mut still = Still::default();
        let [begin, more, end] = [packet(7, true, 0xe0, 3), packet(7, false, 0, 4), packet(7, false, 0, 5)];
        let before = [packet(7, false, 0, 2), packet(8, true, 0xc0, 0), begin.clone(), more.clone()].concat();
        assert!(!still.take(&before) && !still.take(&packet(8, false, 0, 1)));
        assert!(still.take(&[end.clone(), packet(7, true, 0xe0, 6), packet(7, false, 0, 7)].concat()));
        let sent: Vec<_> = still.payloads().flatten().copied().collect();
        assert_eq!(sent[PACKET_LEN..], [begin, more, end].concat());
        let told = TsPacket::read(&sent).expect("a packet");
        assert_eq!((told.pid, told.continuity, told.is_discontinuous, told.payload), (7, 2, true, None));
    }

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..8)) {
            let mut still = Still::default();
            for mut payload in payloads {
                payload.iter_mut().step_by(PACKET_LEN).for_each(|byte| *byte = 0x47);
                still.take(&payload);
            }
            prop_assert!(still.payloads().all(|payload| payload.len() % PACKET_LEN == 0));
        }
    }
}
