//! What leaves as payloads comes back as the same picture.

use super::super::canvas::{Canvas, Colour};
use super::*;
use jpeg_encoder::{Encoder, SamplingFactor};
use proptest::prelude::*;
use std::sync::OnceLock;

const MAX_LEN: usize = 1388;

fn jpeg(sampling: SamplingFactor, quality: u8) -> Vec<u8> {
    let mut canvas = Canvas::new(Colour::rgb(20, 30, 60));
    for number in 0..40 {
        let place = [number as f32 * 16.0, 180.0 + 150.0 * (number as f32).sin()];
        canvas.spot(place, [30.0, 20.0], Colour::rgb(200, number * 6, 90), 0.8);
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(sampling);
    encoder.encode_image(&canvas).unwrap();
    file
}

/// The receiver's side of RFC 2435: checks every header, and returns the first one, the tables and the scan.
fn reassemble(payloads: &[JpegPayload]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut tables, mut scan) = (Vec::new(), Vec::new());
    for (number, payload) in payloads.iter().enumerate() {
        let (header, mut rest) = payload.bytes.split_at(8);
        assert_eq!(u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize, scan.len());
        assert_eq!(header[4..], payloads[0].bytes[4..8]);
        assert_eq!((header[0], header[5]), (0, 255));
        assert_eq!(payload.last, number + 1 == payloads.len());
        if number == 0 {
            assert_eq!(rest[..4], [0, 0, 0, 128]);
            tables = rest[4..132].to_vec();
            rest = &rest[132..];
        }
        assert!(!rest.is_empty());
        scan.extend_from_slice(rest);
    }
    (payloads[0].bytes[4..8].to_vec(), tables, scan)
}

/// A JFIF-less JPEG as RFC 2435, appendix B, rebuilds it, with the Huffman segments of `original`.
fn rebuild(header: &[u8], tables: &[u8], scan: &[u8], original: &[u8]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    for (name, table) in tables.chunks(64).enumerate() {
        file.extend([0xff, 0xdb, 0, 67, name as u8]);
        file.extend_from_slice(table);
    }
    let [width, height] = [header[2], header[3]].map(|blocks| (u16::from(blocks) * 8).to_be_bytes());
    let luma = if header[0] == 0 { 0x21 } else { 0x22 };
    file.extend([0xff, 0xc0, 0, 17, 8, height[0], height[1], width[0], width[1], 3]);
    file.extend([0, luma, 0, 1, 0x11, 1, 2, 0x11, 1]);
    file.extend(segments(original).filter(|&(marker, _)| marker == 0xc4).flat_map(|(_, whole)| whole));
    file.extend([0xff, 0xda, 0, 12, 3, 0, 0, 1, 0x11, 2, 0x11, 0, 63, 0]);
    file.extend_from_slice(scan);
    file
}

fn segments(file: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let (marker, _, next) = segment(file, at).ok()?;
        let whole = &file[at..next];
        at = next;
        (marker != 0xda).then_some((marker, whole))
    })
}

#[test]
fn a_frame_comes_back_byte_for_byte() {
    for (sampling, kind) in [(SamplingFactor::F_2_1, 0), (SamplingFactor::F_2_2, 1)] {
        let file = jpeg(sampling, 80);
        let frame = JpegFrame::parse(&file).unwrap();
        let payloads: Vec<_> = frame.payloads(MAX_LEN).collect();
        assert!(payloads.len() > 5);
        assert!(payloads.iter().all(|payload| payload.bytes.len() <= MAX_LEN));

        let (header, tables, scan) = reassemble(&payloads);
        assert_eq!(header, [kind, 255, 80, 45]);
        assert!(file.ends_with(&scan));
        let rebuilt = rebuild(&header, &tables, &scan, &file);
        assert_eq!(JpegFrame::parse(&rebuilt).unwrap(), frame);
        // Every segment the decoder needs is where it was, with the same bytes.
        let needed = |file: &[u8], wanted: u8| -> Vec<Vec<u8>> {
            segments(file).filter(|&(marker, _)| marker == wanted).map(|(_, whole)| whole.to_vec()).collect()
        };
        assert!([0xdb, 0xc4].into_iter().all(|marker| needed(&rebuilt, marker) == needed(&file, marker)));
    }
}

#[test]
fn the_huffman_tables_are_those_the_receiver_assumes() {
    let file = jpeg(SamplingFactor::F_2_2, 80);
    let huffman: Vec<u8> = segments(&file)
        .filter(|&(marker, _)| marker == 0xc4)
        .flat_map(|(_, whole)| whole[4..].to_vec())
        .collect();
    // ITU-T T.81, table K.3: the lengths and symbols of the luma DC codes.
    let mut luma_dc = vec![0x00, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
    luma_dc.extend(0..12);
    assert_eq!(huffman[..29], luma_dc);
    // Tables K.5, K.4 and K.6 by their code lengths, and the size of all four together.
    assert_eq!(huffman[29..46], [0x10, 0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d]);
    assert_eq!(huffman[208..225], [0x01, 0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(huffman[237..254], [0x11, 0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77]);
    assert_eq!(huffman.len(), 2 * (17 + 12) + 2 * (17 + 162));
}

#[test]
fn what_cannot_be_described_is_refused() {
    assert_eq!(JpegFrame::parse(b""), Err(JpegError::Malformed(0)));
    assert_eq!(JpegFrame::parse(b"\xff\xd8"), Err(JpegError::Malformed(2)));
    let unfit = |file: &[u8]| matches!(JpegFrame::parse(file), Err(JpegError::Unfit(_)));
    assert!(unfit(&jpeg(SamplingFactor::F_1_1, 80)));
    let mut restarts = Vec::new();
    let mut encoder = Encoder::new(&mut restarts, 80);
    encoder.set_restart_interval(10);
    encoder.encode_image(&Canvas::new(Colour::rgb(0, 0, 0))).unwrap();
    assert!(unfit(&restarts));
    let mut progressive = Vec::new();
    let mut encoder = Encoder::new(&mut progressive, 80);
    encoder.set_progressive(true);
    encoder.encode_image(&Canvas::new(Colour::rgb(0, 0, 0))).unwrap();
    assert!(unfit(&progressive));
    let whole = jpeg(SamplingFactor::F_2_2, 80);
    assert!(matches!(JpegFrame::parse(&whole[..whole.len() - 1]), Err(JpegError::Malformed(_))));
}

proptest! {
    #[test]
    fn hostile_files_are_refused_or_parsed_but_never_panic(
        at in 0usize..700, bytes in proptest::collection::vec(any::<u8>(), 0..40), cut in 0usize..2000,
    ) {
        static FILE: OnceLock<Vec<u8>> = OnceLock::new();
        let mut file = FILE.get_or_init(|| jpeg(SamplingFactor::F_2_2, 10)).clone();
        file.splice(at..at + bytes.len(), bytes);
        file.truncate(file.len() - cut.min(file.len()));
        if let Ok(frame) = JpegFrame::parse(&file) {
            let payloads: Vec<_> = frame.payloads(300).collect();
            prop_assert!(payloads.iter().all(|payload| payload.bytes.len() <= 300));
        }
    }
}
