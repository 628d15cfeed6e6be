//! What must hold for whatever a browser is to be shown: the film is boxes and nothing else. `super::wire` is the crate's wire floor.

use std::time::Duration;

use super::wire::fmp4::{Film, Source};

/// Of each the first payload type is its place, from 96 on.
const TRACKS: [[(&str, &str, &str); 2]; 4] = [
    [("video", "MP2T", ""), ("audio", "L16", "")],
    [
        ("video", "H264", ""),
        ("audio", "MPEG4-GENERIC", "sizelength=13;indexlength=3;indexdeltalength=3;config=1190"),
    ],
    [("video", "H265", ""), ("audio", "MP4A-LATM", "cpresent=0;config=400023203fc0")],
    [("audio", "MPEG4-GENERIC", "config=1190"), ("audio", "L16", "")],
];

/// The first byte says which tracks; then come payloads, each behind its track and flags, the time since the one before, and its
/// length; those of a transport stream are packets of 188 bytes.
pub fn exercise(bytes: &[u8]) {
    let Some((kind, mut rest)) = bytes.split_first() else { return };
    let tracks = TRACKS[usize::from(kind % 4)];
    let sources: Vec<_> = (96..)
        .zip(&tracks)
        .map(|(payload_type, (media, encoding, parameters))| Source {
            media,
            encoding: Some(encoding),
            payload_type,
            clock_rate: Some(48_000),
            parameters: Some(parameters),
        })
        .collect();
    let Ok(mut film) = Film::new(&sources) else { return };
    let (mut sequence, mut timestamp, mut ssrc) = (u16::MAX - 3, u32::MAX - 9000, 7_u32);
    while let [flags, after, length, following @ ..] = rest {
        let length = if kind % 4 == 0 { 188 * usize::from(length % 8) } else { usize::from(*length) };
        let (payload, next) = following.split_at(length.min(following.len()));
        let track = flags & 1;
        sequence = sequence.wrapping_add(if flags & 2 == 0 { 1 } else { 2 });
        timestamp = timestamp.wrapping_add(u32::from(*after) << (flags >> 4));
        ssrc += u32::from(flags & 12 == 12);
        let mut packet = vec![0x80, (96 + track) | if flags & 4 == 0 { 0 } else { 0x80 }];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend(payload);
        film.take(track.into(), &packet, Duration::from_millis(sequence.into()));
        film.hear(track.into(), payload);
        film.give().iter().for_each(|piece| expect_boxes(piece));
        rest = next;
    }
    let _ = (film.media_type(), film.left_out(), film.refusal());
}

/// Each box says how long it is.
fn expect_boxes(mut bytes: &[u8]) {
    while let Some((length, _)) = bytes.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        assert!(length >= 8 && length <= bytes.len(), "a box of {length} in {}", bytes.len());
        assert!([b"ftyp", b"moov", b"moof", b"mdat"].iter().any(|name| bytes[4..8] == name[..]));
        bytes = &bytes[length..];
    }
    assert!(bytes.is_empty());
}
