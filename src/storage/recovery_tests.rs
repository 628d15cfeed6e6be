//! What is found again of a segment, wherever it was torn.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::event::clock;
use crate::storage::scribe::Line;
use crate::storage::segment_writer::SegmentWriter;
use crate::wire::rtp;

const BEGAN_US: u64 = 1_000_000_000_000;
const NOW: Duration = Duration::from_secs(1_000_100);
const COUNT: usize = 20;

/// A packet of one of a transport stream, each 40 ms.
fn packet(number: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 33, 0, number, 0, 0, 0, number, 0, 0, 0, 7];
    let base = u64::from(number) * 3600;
    packet.extend([0x47, 0x41, 0, 0x30, 7, if number.is_multiple_of(5) { 0x50 } else { 0x10 }]);
    packet.extend(((base >> 1) as u32).to_be_bytes());
    packet.extend([((base & 1) as u8) << 7 | 0x7e, 0, 0, 0, 1, 0xe0]);
    packet.resize(12 + 188, 0xff);
    packet
}

/// A segment of such packets, kept as this.
fn segment(directory: &Path, format: Format) -> Segment {
    let began = clock::now();
    let mut writer = SegmentWriter::create(directory, &[(format, 90_000)], None, (began, BEGAN_US))
        .expect("a directory to write to");
    let lines = (0..COUNT as u8).map(|number| {
        let data = packet(number);
        Line {
            header: rtp::check(&data).ok(),
            arrived_at: began + Duration::from_millis(40) * u32::from(number),
            data: data.into(),
            is_start: number.is_multiple_of(5),
            has_gap: number == 0,
        }
    });
    writer.write(0, &lines.collect::<Vec<_>>(), began).expect("there is room");
    writer.finish().expect("something is in it")
}

fn now() -> Moment {
    Moment { unix: NOW, at: clock::now() }
}

fn look(directory: &Path) -> Found {
    find(directory, now()).expect("a directory to look at")
}

/// The records of the only segment, each of which is right.
fn records(directory: &Path, format: Format) -> Vec<Record> {
    let found = look(directory);
    let stamp = found.segments.first().map(|segment| segment.stamp).or(found.damaged.first().copied());
    let Some(stamp) = stamp else { return Vec::new() };
    if !found.damaged.is_empty() && mend(directory, stamp, now()).expect("it is writable").is_none() {
        return Vec::new();
    }
    let media = fs::read(media_path(directory, stamp, (1, format))).expect("it is there");
    let index = fs::read(index_path(directory, stamp, 1)).expect("it is there");
    assert!(index.len().is_multiple_of(RECORD_LEN), "no half a record");
    let records: Vec<_> =
        index.chunks(RECORD_LEN).skip(1).map(|bytes| Record::read(bytes).expect("right")).collect();
    assert_eq!(records.last().map(Record::end), Some(media.len() as u64), "the media ends with the index");
    records
}

#[test]
fn what_is_whole_is_found_as_it_was_left() {
    let directory = TempDir::new().expect("a directory");
    let written = segment(directory.path(), Format::TransportStream);
    let Found { segments, damaged } = look(directory.path());
    let [found] = &segments[..] else { panic!("{} segments", segments.len()) };
    assert!(damaged.is_empty());
    assert_eq!((found.stamp, found.ended_us, found.bytes), (written.stamp, written.ended_us, written.bytes));
    assert_eq!(found.tracks, written.tracks);
    assert_eq!(found.age(found.aged.1), NOW - Duration::from_micros(found.ended_us));
}

#[test]
fn an_index_that_is_gone_or_wrong_is_made_again() {
    for format in [Format::TransportStream, Format::RtpDump] {
        for (at, what) in [
            (None, "gone"),
            (Some(3), "another beginning"),
            (Some(RECORD_LEN * 4 + 2), "a hole in the middle"),
        ] {
            let directory = TempDir::new().expect("a directory");
            let stamp = segment(directory.path(), format).stamp;
            let before = records(directory.path(), format);
            let path = index_path(directory.path(), stamp, 1);
            match at {
                None => fs::remove_file(&path).expect("it is there"),
                Some(at) => {
                    let mut bytes = fs::read(&path).expect("it is there");
                    bytes[at] ^= 1;
                    fs::write(&path, bytes).expect("it is writable");
                }
            }
            let after = records(directory.path(), format);
            let ends = |records: &[Record]| records.iter().map(Record::end).collect::<Vec<_>>();
            if format == Format::RtpDump {
                assert_eq!(ends(&after), ends(&before), "{what}");
            }
            assert_eq!(after.last().map(Record::end), before.last().map(Record::end), "{what}: all of it");
        }
    }
}

#[test]
fn what_is_of_no_segment_is_left_alone_and_what_is_of_an_empty_one_goes() {
    let directory = TempDir::new().expect("a directory");
    let other = directory.path().join("notes.txt");
    fs::write(&other, "not ours").expect("a file");
    for name in ["20261128T073719.250Z-1.index", "20261128T073719.350Z-1.ts", "20261128T073719.450Z.sdp"] {
        fs::write(directory.path().join(name), "").expect("a file");
    }
    let found = look(directory.path());
    assert!(found.segments.is_empty() && found.damaged.is_empty());
    let left: Vec<_> =
        fs::read_dir(directory.path()).expect("it is there").flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, [other]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn wherever_it_is_torn_all_before_is_found(media_cut in 0usize..4200, index_cut in 0usize..900, is_dump: bool) {
        let format = if is_dump { Format::RtpDump } else { Format::TransportStream };
        let directory = TempDir::new().expect("a directory");
        let stamp = segment(directory.path(), format).stamp;
        let whole = records(directory.path(), format);
        let (media, index) = (media_path(directory.path(), stamp, (1, format)), index_path(directory.path(), stamp, 1));
        let cut = |path: &Path, by: usize| {
            let length = fs::metadata(path).expect("it is there").len();
            let file = fs::File::options().write(true).open(path).expect("it is there");
            file.set_len(length.saturating_sub(by as u64)).expect("it is writable");
            length.saturating_sub(by as u64)
        };
        let (media_len, index_len) = (cut(&media, media_cut), cut(&index, index_cut));
        let in_index = (index_len as usize / RECORD_LEN).saturating_sub(1);
        let both = whole.iter().take(in_index).take_while(|record| record.end() <= media_len).count();
        let found = records(directory.path(), format);
        // Where the index has nothing that is there, it is made of the media.
        if both > 0 {
            prop_assert_eq!(&found[..], &whole[..both]);
        } else {
            let in_media = whole.iter().take_while(|record| record.end() <= media_len).count();
            prop_assert_eq!(found.last().map(Record::end), in_media.checked_sub(1).map(|last| whole[last].end()));
        }
    }
}
