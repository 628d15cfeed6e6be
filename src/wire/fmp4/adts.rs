//! Frames of AAC out of a byte stream: ADTS (ISO/IEC 14496-3 section 1.A.2).

use super::sound_config::SoundConfig;
use super::sound_packets::LARGEST_FRAME;

const HEADER_LEN: usize = 7;
/// What is kept at most: two frames, and what a packet of a transport stream brings.
const MOST_KEPT: usize = 2 * LARGEST_FRAME + 184;
/// Ticks of the clock of a transport stream.
const TICKS: u64 = 90_000;
/// Samples of a frame.
const SAMPLES: u64 = 1024;

/// The frames of one stream.
#[derive(Debug, Default)]
pub(super) struct Adts {
    bytes: Vec<u8>,
    /// The time of the first frame that begins no earlier than that in the bytes.
    told: Option<(usize, u64)>,
    /// When the frame before that was heard, and how many came since.
    clock: Option<(u64, u64)>,
}

impl Adts {
    /// Something is missing before what comes next.
    pub fn lose(&mut self) {
        *self = Self::default();
    }

    /// The first frame that begins in what comes next is heard then.
    pub fn tell(&mut self, at: u64) {
        self.told = Some((self.bytes.len(), at));
    }

    /// Takes the next bytes; gives each frame that is whole with them to `each`, and when it is heard.
    pub fn take(&mut self, bytes: &[u8], mut each: impl FnMut(u64, &[u8], SoundConfig)) {
        self.bytes.extend(bytes);
        let mut place = 0;
        while let Some(&header) = self.bytes.get(place..).and_then(<[u8]>::first_chunk::<HEADER_LEN>) {
            let Some((length, config)) = read(header) else {
                place += 1;
                continue;
            };
            let Some(frame) = self.bytes.get(place..place + length) else { break };
            if let Some((_, at)) = self.told.take_if(|(from, _)| place >= *from) {
                self.clock = Some((at, 0));
            }
            if let Some((at, count)) = &mut self.clock {
                let heard = *at + *count * SAMPLES * TICKS / u64::from(config.rate);
                *count += 1;
                let begin = if header[1] & 1 == 0 { HEADER_LEN + 2 } else { HEADER_LEN };
                if let Some(frame) = frame.get(begin..).filter(|frame| !frame.is_empty()) {
                    each(heard, frame, config);
                }
            }
            place += length;
        }
        self.bytes.drain(..place);
        self.told = self.told.map(|(from, at)| (from.saturating_sub(place), at));
        if self.bytes.len() > MOST_KEPT {
            self.lose();
        }
    }
}

/// How long a frame is, and how it is coded. `None`: it is none, or has several in one.
fn read(header: [u8; HEADER_LEN]) -> Option<(usize, SoundConfig)> {
    let [sync, kind, _, high, middle, low, blocks] = header;
    let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
    let is_one = sync == 0xff && kind & 0xf6 == 0xf0 && blocks & 3 == 0 && length > HEADER_LEN;
    is_one.then(|| SoundConfig::of_adts(header)).flatten().map(|config| (length, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        let length = HEADER_LEN + content.len();
        let sizes = [0x80 | (length >> 11) as u8, (length >> 3) as u8, (length << 5) as u8 | 0x1f, 0xfc];
        [&[0xff, 0xf1, 0x4c][..], &sizes, content].concat()
    }

    fn taken(adts: &mut Adts, bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        adts.take(bytes, |at, frame, _| found.push((at, frame.to_vec())));
        found
    }

    #[test]
    fn frames_are_found_wherever_they_are_cut_and_told_the_time_that_they_begin_at() {
        let mut adts = Adts::default();
        let [one, two, three] = [&[1, 2][..], &[3], &[4, 5]].map(frame);
        adts.tell(9000);
        assert_eq!(taken(&mut adts, &[&one[..], &two[..4]].concat()), [(9000, vec![1, 2])]);
        adts.tell(20_000);
        let found = taken(&mut adts, &[&two[4..], &three].concat());
        assert_eq!(found, [(10_920, vec![3]), (20_000, vec![4, 5])], "the second began before");
    }

    #[test]
    fn what_is_no_frame_is_passed_over_and_nothing_is_said_without_a_time() {
        let mut adts = Adts::default();
        assert_eq!(taken(&mut adts, &frame(&[1])), []);
        adts.tell(5);
        let noisy = [&[0xff, 0, 0xff, 0xf1][..], &frame(&[7])].concat();
        assert_eq!(taken(&mut adts, &noisy), [(5, vec![7])]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn hostile_bytes_never_panic(parts in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0xf1), any::<u8>()], 0..80), 0..30)) {
            let mut adts = Adts::default();
            adts.tell(0);
            for part in parts {
                let _ = taken(&mut adts, &part);
                prop_assert!(adts.bytes.len() <= MOST_KEPT);
            }
        }
    }
}
