//! Frames of AAC out of RTP: as elementary streams (RFC 3640), or as LATM (RFC 6416).

use super::parameters::Parameters;
use super::sound_config::SoundConfig;

/// The largest frame: 6144 bits a channel (ISO/IEC 14496-3 section 4.5.1.1), of eight.
pub(super) const LARGEST_FRAME: usize = 6144;
/// Samples of a frame, as a rule.
const SAMPLES: i64 = 1024;

/// The frames of one track.
#[derive(Debug)]
pub(in super::super) struct SoundPackets {
    form: Form,
    pub config: SoundConfig,
    /// What a frame takes of the track's clock.
    lasts: i64,
    /// A frame that goes on in the next packet.
    begun: Vec<u8>,
}

#[derive(Debug)]
enum Form {
    /// Headers of so many bits tell the size and the number of each frame.
    Elementary {
        size: u32,
        index: u32,
        delta: u32,
    },
    Latm,
}

impl SoundPackets {
    /// Of an encoding, as its description has it. `None`: it can not be read here.
    pub fn new(encoding: &str, clock_rate: u32, parameters: &Parameters) -> Option<Self> {
        let config = parameters.bytes("config")?;
        let (form, config) = if encoding.eq_ignore_ascii_case("MP4A-LATM") {
            let is_told_apart = parameters.get("cpresent") == Some("0");
            (Form::Latm, SoundConfig::of_latm(&config).filter(|_| is_told_apart)?)
        } else {
            let length = |name| parameters.number(name).unwrap_or(0);
            let other =
                ["ctsdeltalength", "dtsdeltalength", "streamstateindication", "auxiliarydatasizelength"];
            let is_plain = other.into_iter().all(|name| length(name) == 0);
            let form = Form::Elementary {
                size: length("sizelength"),
                index: length("indexlength"),
                delta: length("indexdeltalength"),
            };
            (form, SoundConfig::read(&config).filter(|_| is_plain)?)
        };
        let samples = if config.kind == 2 { SAMPLES } else { 2 * SAMPLES };
        let lasts = (samples * i64::from(clock_rate) / i64::from(config.rate)).max(1);
        Some(Self { form, config, lasts, begun: Vec::new() })
    }

    /// Something is missing before the next packet.
    pub fn lose(&mut self) {
        self.begun.clear();
    }

    /// Takes a payload; gives each frame that is whole with it to `each`, and when it is heard, counted from the packet's time.
    pub fn take(&mut self, payload: &[u8], is_last: bool, mut each: impl FnMut(i64, &[u8])) {
        match self.form {
            Form::Latm => self.latm(payload, is_last, each),
            Form::Elementary { size: 0, .. } => self.go_on(payload, is_last, |frame| each(0, frame)),
            Form::Elementary { size, index, delta } => {
                let Some((length, rest)) = payload.split_first_chunk() else { return };
                let bits = usize::from(u16::from_be_bytes(*length));
                let Some((headers, data)) = rest.split_at_checked(bits.div_ceil(8)) else { return };
                let sizes = sizes(headers, bits, (size, index, delta));
                self.split(&sizes, data, is_last, each);
            }
        }
    }

    fn split(&mut self, sizes: &[usize], mut data: &[u8], is_last: bool, mut each: impl FnMut(i64, &[u8])) {
        if let [size] = sizes
            && (*size > data.len() || !self.begun.is_empty())
        {
            // A fragment, which says how large all of the frame is.
            return self.go_on(data, is_last, |frame| each(0, frame));
        }
        self.begun.clear();
        for (place, size) in (0..).zip(sizes) {
            let Some((frame, rest)) = data.split_at_checked(*size) else { return };
            if !frame.is_empty() && frame.len() <= LARGEST_FRAME {
                each(place * self.lasts, frame);
            }
            data = rest;
        }
    }

    fn go_on(&mut self, data: &[u8], is_last: bool, each: impl FnOnce(&[u8])) {
        if self.begun.len() + data.len() > LARGEST_FRAME {
            return self.begun.clear();
        }
        self.begun.extend(data);
        if is_last {
            if !self.begun.is_empty() {
                each(&self.begun);
            }
            self.begun.clear();
        }
    }

    /// Frames, each behind its length: bytes of 255 and one that is less, added up (ISO/IEC 14496-3 section 1.7.3).
    fn latm(&mut self, payload: &[u8], is_last: bool, mut each: impl FnMut(i64, &[u8])) {
        let (mut whole, mut place) = (Vec::new(), 0);
        self.go_on(payload, is_last, |all| whole.extend(all));
        let mut rest = whole.as_slice();
        while !rest.is_empty() {
            let full = rest.iter().take_while(|byte| **byte == 255).count();
            let Some(last) = rest.get(full) else { return };
            let length = full * 255 + usize::from(*last);
            let Some((frame, after)) = rest[full + 1..].split_at_checked(length) else { return };
            if !frame.is_empty() {
                each(place * self.lasts, frame);
            }
            (place, rest) = (place + 1, after);
        }
    }
}

/// The sizes of the frames in a packet (RFC 3640 section 3.2.1).
fn sizes(headers: &[u8], bits: usize, (size, index, delta): (u32, u32, u32)) -> Vec<usize> {
    let (mut reader, mut sizes) = (super::bits::Bits::of(headers), Vec::new());
    while reader.read() < bits {
        let number = if sizes.is_empty() { index } else { delta };
        let Some(length) = reader.number(size) else { break };
        let Some(()) = reader.skip(number as usize) else { break };
        sizes.push(length as usize);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ELEMENTARY: &str = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
        indexdeltalength=3; config=1190";

    fn of(encoding: &str, parameters: &str) -> Option<SoundPackets> {
        SoundPackets::new(encoding, 48_000, &Parameters::read(parameters))
    }

    fn frames(packets: &mut SoundPackets, payload: &[u8], is_last: bool) -> Vec<(i64, Vec<u8>)> {
        let mut found = Vec::new();
        packets.take(payload, is_last, |at, frame| found.push((at, frame.to_vec())));
        found
    }

    #[test]
    fn a_packet_has_several_frames_or_part_of_one() {
        let mut packets = of("mpeg4-generic", ELEMENTARY).expect("AAC");
        let payload = [0, 32, 0, 2 << 3, 0, 3 << 3, 1, 2, 3, 4, 5];
        assert_eq!(frames(&mut packets, &payload, true), [(0, vec![1, 2]), (1024, vec![3, 4, 5])]);
        assert_eq!(frames(&mut packets, &[0, 16, 0, 4 << 3, 1, 2], false), []);
        assert_eq!(frames(&mut packets, &[0, 16, 0, 4 << 3, 3, 4], true), [(0, vec![1, 2, 3, 4])]);
    }

    #[test]
    fn latm_tells_lengths_before_frames() {
        let mut packets = of("MP4A-LATM", "cpresent=0; config=400023203fc0").expect("AAC");
        assert_eq!(frames(&mut packets, &[2, 8, 9, 1, 7], true), [(0, vec![8, 9]), (1024, vec![7])]);
        assert_eq!(frames(&mut packets, &[3, 8], false), []);
        assert_eq!(frames(&mut packets, &[9, 7], true), [(0, vec![8, 9, 7])]);
    }

    #[test]
    fn what_its_description_does_not_tell_is_not_read() {
        assert!(of("mpeg4-generic", "sizelength=13").is_none());
        assert!(of("MP4A-LATM", "config=400023203fc0").is_none(), "the config is in the stream");
        assert!(of("mpeg4-generic", &format!("{ELEMENTARY};ctsdeltalength=8")).is_none());
    }

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..40)) {
            for (encoding, parameters) in [("mpeg4-generic", ELEMENTARY), ("MP4A-LATM", "cpresent=0;config=400023203fc0"), ("mpeg4-generic", "config=1190;sizelength=40")] {
                let Some(mut packets) = of(encoding, parameters) else { continue };
                for (payload, is_last) in &payloads {
                    frames(&mut packets, payload, *is_last);
                    prop_assert!(packets.begun.len() <= LARGEST_FRAME);
                }
            }
        }
    }
}
