//! Where a decoder can start: told from the first bytes of an RTP payload.
//!
//! Knows one packet at a time. That only the first packet of an access unit is a place to start is the
//! caller's to see, by the timestamps, where a format [starts in several](PayloadFormat::starts_in_several).

use std::iter;

use super::transport_stream::packets;

/// A payload format, as far as random access goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadFormat {
    /// MPEG transport stream (RFC 2250).
    Mp2t,
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
    /// JPEG (RFC 2435): every frame stands alone.
    Jpeg,
    /// Sound: every packet stands alone.
    Audio,
    /// Not known here: no packet is told to be a start.
    Other,
}

impl PayloadFormat {
    /// Of a medium (`audio`, `video`, …) with an encoding name, in any case, as in `a=rtpmap:`.
    #[must_use]
    pub fn of(media: &str, encoding: Option<&str>) -> Self {
        let encoding = encoding.map(str::to_ascii_uppercase);
        match (encoding.as_deref(), media) {
            (Some("MP2T"), _) => Self::Mp2t,
            (Some("H264"), _) => Self::H264,
            (Some("H265"), _) => Self::H265,
            (Some("JPEG"), _) => Self::Jpeg,
            (_, "audio") => Self::Audio,
            _ => Self::Other,
        }
    }

    /// Whether several packets of one access unit look like a start, of which the first is meant: they share a timestamp.
    /// Elsewhere timestamps mean nothing: many transport streams have one and the same all the time.
    #[must_use]
    pub fn starts_in_several(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }

    /// Whether a decoder can start with this payload, or with its parameter sets in it.
    #[inline]
    #[must_use]
    pub fn starts_at(self, payload: &[u8]) -> bool {
        match self {
            Self::Mp2t => packets(payload).any(is_ts_start),
            Self::H264 => h264_units(payload).any(|kind| matches!(kind, 5 | 7)),
            Self::H265 => h265_units(payload).any(|kind| matches!(kind, 16..=21 | 32 | 33)),
            Self::Jpeg => matches!(payload, [_, 0, 0, 0, ..]),
            Self::Audio => true,
            Self::Other => false,
        }
    }
}

/// A packet that starts a picture with the random access indicator set (ISO/IEC 13818-1 section 2.4.3.5).
/// Sound sets it on every frame, so only video elementary streams count.
fn is_ts_start(packet: &[u8]) -> bool {
    let [0x47, high, _, control, length, flags, ..] = *packet else { return false };
    let starts_unit = high & 0x40 != 0;
    let has_both = control & 0x30 == 0x30;
    if !(starts_unit && has_both && length > 0 && flags & 0x40 != 0) {
        return false;
    }
    matches!(packet.get(5 + usize::from(length)..), Some([0, 0, 1, 0xe0..=0xef, ..]))
}

/// The types of the NAL units that begin in a payload (RFC 6184 section 5.2).
fn h264_units(payload: &[u8]) -> impl Iterator<Item = u8> {
    let kind = payload.first().map_or(0, |first| first & 0x1f);
    let single = match (kind, payload) {
        (28 | 29, [_, header, ..]) => (header & 0x80 != 0).then_some(header & 0x1f),
        (1..=23, _) => Some(kind),
        _ => None,
    };
    let aggregated = if kind == 24 { payload.get(1..).unwrap_or_default() } else { &[] };
    single.into_iter().chain(aggregates(aggregated).map(|unit| unit.first().map_or(0, |first| first & 0x1f)))
}

/// The types of the NAL units that begin in a payload (RFC 7798 section 4.4).
fn h265_units(payload: &[u8]) -> impl Iterator<Item = u8> {
    let of = |header: u8| header >> 1 & 0x3f;
    let kind = payload.first().copied().map_or(63, of);
    let single = match (kind, payload) {
        (49, [_, _, header, ..]) => (header & 0x80 != 0).then_some(header & 0x3f),
        (0..=47, _) => Some(kind),
        _ => None,
    };
    let aggregated = if kind == 48 { payload.get(2..).unwrap_or_default() } else { &[] };
    single.into_iter().chain(aggregates(aggregated).map(move |unit| unit.first().copied().map_or(63, of)))
}

/// Units, each behind its length in 16 bits. Ends where the lengths do not fit.
fn aggregates(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk()?;
        let (unit, next) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = next;
        Some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ts_packet(unit_start: bool, indicator: bool, stream_id: u8) -> Vec<u8> {
        let mut packet = vec![0xff; 188];
        packet[..6].copy_from_slice(&[
            0x47,
            if unit_start { 0x41 } else { 0x01 },
            0,
            0x30,
            7,
            if indicator { 0x50 } else { 0x10 },
        ]);
        packet[12..16].copy_from_slice(&[0, 0, 1, stream_id]);
        packet
    }

    #[test]
    fn a_transport_stream_starts_at_a_flagged_picture() {
        let format = PayloadFormat::of("video", Some("mp2t"));
        let plain = ts_packet(true, false, 0xe0);
        assert!(!format.starts_at(&plain));
        assert!(format.starts_at(&[plain.clone(), ts_packet(true, true, 0xe0)].concat()));
        assert!(!format.starts_at(&ts_packet(true, true, 0xc0)), "sound is flagged all the time");
        assert!(!format.starts_at(&ts_packet(false, true, 0xe0)));
        let with_parity = |mut packet: Vec<u8>| {
            packet.extend([0xff; 16]);
            packet
        };
        let second = [with_parity(plain.clone()), with_parity(ts_packet(true, true, 0xe0))].concat();
        assert!(format.starts_at(&second), "packets of 204 bytes");
    }

    #[test]
    fn h264_starts_at_parameter_sets_and_idr_pictures() {
        let format = PayloadFormat::of("video", Some("H264"));
        assert!(format.starts_at(&[0x67, 1, 2]), "SPS");
        assert!(format.starts_at(&[0x65, 1, 2]), "IDR");
        assert!(!format.starts_at(&[0x41, 1, 2]), "another slice");
        assert!(format.starts_at(&[0x7c, 0x85, 1]), "first fragment of an IDR");
        assert!(!format.starts_at(&[0x7c, 0x05, 1]), "a later fragment");
        assert!(format.starts_at(&[0x78, 0, 2, 0x68, 0, 0, 1, 0x67]), "aggregated PPS and SPS");
        assert!(!format.starts_at(&[0x78, 0, 9, 0x67]), "a length that does not fit");
    }

    #[test]
    fn h265_starts_at_parameter_sets_and_irap_pictures() {
        let format = PayloadFormat::of("video", Some("H265"));
        assert!(format.starts_at(&[32 << 1, 1]), "VPS");
        assert!(format.starts_at(&[19 << 1, 1]), "IDR");
        assert!(!format.starts_at(&[1 << 1, 1]), "another slice");
        assert!(format.starts_at(&[49 << 1, 1, 0x80 | 20]), "first fragment of a CRA");
        assert!(!format.starts_at(&[49 << 1, 1, 20]));
        assert!(format.starts_at(&[48 << 1, 1, 0, 2, 33 << 1, 1]), "aggregated SPS");
    }

    #[test]
    fn frames_of_jpeg_and_packets_of_sound_stand_alone() {
        assert!(PayloadFormat::of("video", Some("JPEG")).starts_at(&[0, 0, 0, 0, 1, 255, 80, 45]));
        assert!(!PayloadFormat::of("video", Some("JPEG")).starts_at(&[0, 0, 4, 0, 1, 255, 80, 45]));
        assert!(PayloadFormat::of("audio", Some("L16")).starts_at(&[]));
        assert!(!PayloadFormat::of("video", Some("raw")).starts_at(&[0; 40]));
    }

    proptest! {
        #[test]
        fn hostile_payloads_are_no_trouble(payload in proptest::collection::vec(any::<u8>(), 0..1500)) {
            for encoding in ["MP2T", "H264", "H265", "JPEG", "x"] {
                let _ = PayloadFormat::of("video", Some(encoding)).starts_at(&payload);
            }
        }
    }
}
