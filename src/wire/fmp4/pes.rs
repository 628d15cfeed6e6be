//! Packets of an elementary stream in a transport stream (ISO/IEC 13818-1 section 2.4.3.6): what they say of time, and their payload.

use super::super::ts_packet::TsPacket;

/// The largest that is kept.
const LARGEST: usize = 8 << 20;

/// One stream's packets.
#[derive(Debug, Default)]
pub(super) struct Pes {
    continuity: Option<u8>,
    /// The payload of one, of which the end has not come.
    begun: Option<Begun>,
}

/// One that has begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub times: Times,
    pub payload: Vec<u8>,
    /// How long all of it is, where it is told.
    length: Option<usize>,
}

/// When it is shown or heard, and when it is decoded, if that is another time; 33 bits in units of 90 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub shown: u64,
    pub decoded: u64,
}

/// What came of a packet of the transport stream.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// One is whole.
    pub whole: Option<Begun>,
    /// Something is missing.
    pub is_gap: bool,
}

impl Pes {
    /// Takes the stream's next packet.
    pub fn take(&mut self, packet: &TsPacket<'_>) -> Came {
        let Some(payload) = packet.payload else { return Came::default() };
        let previous = self.continuity.replace(packet.continuity);
        if previous == Some(packet.continuity) && !packet.is_discontinuous {
            return Came::default(); // a packet may come twice (section 2.4.3.3)
        }
        let follows = previous.is_none_or(|previous| packet.continuity == (previous + 1) & 0xf);
        let mut came = Came { is_gap: !follows, whole: None };
        if !follows {
            self.begun = None;
        }
        if !packet.starts_unit {
            came.is_gap |= self.go_on(payload);
        } else if let Some((times, length, data)) = header(payload) {
            let next = times.map(|times| Begun { times, payload: data.to_vec(), length });
            match next {
                Some(next) => came.whole = self.begun.replace(next),
                // It has no time of its own: it is shown with what is before it.
                None => came.is_gap |= self.go_on(data),
            }
        } else {
            came.is_gap |= self.begun.take().is_some();
        }
        if came.whole.is_none() {
            came.whole =
                self.begun.take_if(|begun| begun.length.is_some_and(|all| begun.payload.len() >= all));
        }
        came
    }

    /// Appends to what has begun. `true`: it is larger than anything, and dropped.
    fn go_on(&mut self, data: &[u8]) -> bool {
        let Some(begun) = &mut self.begun else { return false };
        begun.payload.extend(data);
        self.begun.take_if(|begun| begun.payload.len() > LARGEST).is_some()
    }
}

/// What a packet begins with: its times, the length of its payload where that is told, and what there is of it.
fn header(bytes: &[u8]) -> Option<(Option<Times>, Option<usize>, &[u8])> {
    let [0, 0, 1, _, high, low, _, flags, length, rest @ ..] = bytes else { return None };
    let (fields, data) = rest.split_at_checked(usize::from(*length))?;
    let told = usize::from(u16::from_be_bytes([*high, *low]));
    let all = told.checked_sub(3 + fields.len()).filter(|_| told > 0);
    let shown = if flags & 0x80 != 0 { stamp(fields) } else { None };
    let decoded = if flags & 0xc0 == 0xc0 { fields.get(5..).and_then(stamp) } else { shown };
    let times = shown.zip(decoded).map(|(shown, decoded)| Times { shown, decoded });
    Some((times, all, data))
}

fn stamp(bytes: &[u8]) -> Option<u64> {
    let [a, b, c, d, e] = bytes.first_chunk::<5>()?.map(u64::from);
    Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet of a transport stream with this payload, whose first one begins a unit.
    fn packet(continuity: u8, begins: bool, payload: &[u8]) -> Vec<u8> {
        let flag = if begins { 0x41 } else { 1 };
        let stuffing = 183 - payload.len();
        let mut bytes = vec![0x47, flag, 0, 0x30 | continuity, stuffing as u8];
        if stuffing > 0 {
            bytes.push(0);
        }
        bytes.resize(5 + stuffing, 0xff);
        bytes.extend(payload);
        bytes
    }

    fn take(pes: &mut Pes, bytes: &[u8]) -> Came {
        pes.take(&TsPacket::read(bytes).expect("a packet"))
    }

    /// PTS 90000, DTS 86400.
    const BEGINS: [u8; 21] = [
        0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10, 0x31, 0x00, 0x05, 0xbf, 0x21, 0x11, 0x00, 0x05, 0xa3, 0x01, 7, 8,
    ];

    #[test]
    fn one_is_whole_when_the_next_begins() {
        let mut pes = Pes::default();
        assert!(take(&mut pes, &packet(14, true, &BEGINS)).whole.is_none());
        assert!(take(&mut pes, &packet(15, false, &[9])).whole.is_none());
        assert!(take(&mut pes, &packet(15, false, &[9])).whole.is_none(), "it comes twice");
        let whole = take(&mut pes, &packet(0, true, &BEGINS)).whole.expect("whole");
        assert_eq!(whole.payload, [7, 8, 9]);
        assert_eq!(whole.times, Times { shown: 90_000, decoded: 86_400 });
    }

    #[test]
    fn one_that_tells_its_length_is_whole_at_once() {
        let mut begins = BEGINS;
        begins[5] = 3 + 10 + 2;
        assert_eq!(
            take(&mut Pes::default(), &packet(0, true, &begins)).whole.expect("whole").payload,
            [7, 8]
        );
    }

    #[test]
    fn a_lost_packet_costs_what_it_belonged_to() {
        let mut pes = Pes::default();
        take(&mut pes, &packet(0, true, &BEGINS));
        assert!(take(&mut pes, &packet(2, false, &[9])).is_gap);
        assert!(take(&mut pes, &packet(3, true, &BEGINS)).whole.is_none());
        assert!(take(&mut pes, &packet(4, true, &BEGINS)).whole.is_some());
    }

    #[test]
    fn one_without_a_time_goes_on_with_the_one_before() {
        let mut pes = Pes::default();
        take(&mut pes, &packet(0, true, &BEGINS));
        assert!(take(&mut pes, &packet(1, true, &[0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, 5])).whole.is_none());
        assert_eq!(take(&mut pes, &packet(2, true, &BEGINS)).whole.expect("whole").payload, [7, 8, 5]);
    }

    proptest! {
        #[test]
        fn hostile_packets_never_panic(packets in prop::collection::vec((0..16_u8, any::<bool>(), prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..60)), 0..40)) {
            let mut pes = Pes::default();
            for (continuity, begins, payload) in packets {
                take(&mut pes, &packet(continuity, begins, &payload));
            }
        }
    }
}
