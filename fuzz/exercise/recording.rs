//! What must hold for whatever lies where recordings are: media, an index, a name. `super::wire` is the crate's wire floor.

use super::wire::random_access::Starts;
use super::wire::recording::{Format, Header, RECORD_LEN, Rebuilt, Record, SegmentFile};

/// The first byte says what the others are.
pub fn exercise(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => expect_index_of(Format::TransportStream, "MP2T", rest),
        1 => expect_index_of(Format::RtpDump, "H264", rest),
        2 => rest.chunks(RECORD_LEN).for_each(expect_record),
        _ => expect_name(rest),
    }
}

/// An index that is made again names what is there, in its order, and is the same however much is looked at at a time.
fn expect_index_of(format: Format, encoding: &str, media: &[u8]) {
    let all = index_of(format, encoding, media, media.len());
    assert!(all.iter().all(|record| record.end() <= media.len() as u64));
    assert!(all.is_sorted_by_key(|record| record.offset));
    if format == Format::TransportStream {
        assert!(all.is_sorted_by_key(|record| record.arrived_us));
        assert_eq!(all, index_of(format, encoding, media, 1500));
    }
}

fn index_of(format: Format, encoding: &str, media: &[u8], window: usize) -> Vec<Record> {
    let mut rebuilt = Rebuilt::new(format, Starts::of("video", Some(encoding), false), 1_000_000);
    loop {
        let rest = &media[rebuilt.at() as usize..];
        let seen = &rest[..rest.len().min(window)];
        if !rebuilt.read(seen, seen.len() == rest.len()) {
            return rebuilt.records();
        }
    }
}

fn expect_record(bytes: &[u8]) {
    if let Ok(header) = Header::read(bytes) {
        assert_eq!(Header::read(&header.bytes()), Ok(header));
    }
    if let Ok(record) = Record::read(bytes) {
        assert_eq!(Record::read(&record.bytes()), Ok(record));
    }
}

/// What is taken for a segment's is written as it was, and is in no other directory.
fn expect_name(bytes: &[u8]) {
    let Ok(name) = std::str::from_utf8(bytes) else { return };
    if let Some(file) = SegmentFile::named(name) {
        assert_eq!(file.to_string(), name);
        assert!(!name.contains('/'));
    }
}
