//! A day of a channel, in as little time as it takes to write it.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::event::clock;
use crate::relay::{Keeping, RingLimits, rig};
use crate::storage::retention::{ArchiveLimits, Retention};
use crate::wire::recording::RECORD_LEN;
use crate::wire::{rtp, sdp};

const BEGAN: Duration = Duration::from_secs(1_795_824_000);
const KEPT: Duration = Duration::from_secs(2 * 3600);
/// What a packet takes: that of the transport stream, and its record.
const PACKET_BYTES: u64 = 188 + RECORD_LEN as u64;
const HOUR: u32 = 3600;

/// A channel, and who keeps it: by a clock that the test moves.
struct Day {
    channel: Arc<Channel>,
    recorder: Arc<Recorder>,
    retention: Retention,
    directory: TempDir,
    began: Instant,
    second: u32,
}

impl Day {
    fn begin() -> Self {
        let directory = TempDir::new().expect("a directory");
        let limits = RingLimits { age: Duration::from_secs(2), bytes: 100_000 };
        let keeping = Keeping { limits, ..rig::FORGETS_NOTHING };
        let presentation = sdp::mpegts("news", [239, 77, 62, 1].into(), 5004, None);
        let began = clock::now();
        let channel = Channel::new(
            &rig::outward("news"),
            presentation,
            keeping,
            Arc::default(),
            &rig::by_hand(),
            began,
        );
        let keep = Keep { length: KEPT, bytes: None };
        let shelf = Shelf::new(directory.path().join("news"));
        let catalogue = Arc::new(Catalogue::new([channel.clone()]));
        let retention = Retention::new(
            directory.path().to_owned(),
            ArchiveLimits { max_bytes: None, min_free: 0, viewers: 1 },
        );
        let recorder = Recorder::new("news", keep, shelf, catalogue);
        Self { channel, recorder, retention, directory, began, second: 0 }
    }

    /// A second goes by, in which a packet comes; decoders can start with each tenth. It is looked at what is to go as often as it is.
    fn pass(&mut self) {
        self.second += 1;
        let passed = Duration::from_secs(1) * self.second;
        let now = Moment { unix: BEGAN + passed, at: self.began + passed };
        let packet = packet(self.second);
        let header = rtp::check(&packet).expect("a packet");
        self.channel.tracks[0].receive(&header, &packet, ([192, 0, 2, 7], 4000).into(), now.at);
        self.recorder.turn(now);
        self.retention.look(std::slice::from_ref(&self.recorder), now.at);
    }

    /// The files that are there, and what they take.
    fn files(&self) -> (usize, u64) {
        let files = fs::read_dir(self.directory.path().join("news")).expect("it is there").flatten();
        files
            .filter_map(|file| file.metadata().ok())
            .fold((0, 0), |(count, bytes), about| (count + 1, bytes + about.len()))
    }
}

/// One of a transport stream, with its clock.
fn packet(second: u32) -> Vec<u8> {
    let base = u64::from(second) * 90_000;
    let mut packet = vec![0x80, 33];
    packet.extend((second as u16).to_be_bytes());
    packet.extend((base as u32).to_be_bytes());
    packet.extend([0, 0, 0, 7, 0x47, 0x41, 0, 0x30, 7, if second.is_multiple_of(10) { 0x50 } else { 0x10 }]);
    packet.extend(((base >> 1) as u32).to_be_bytes());
    packet.extend([((base & 1) as u8) << 7 | 0x7e, 0, 0, 0, 1, 0xe0]);
    packet.resize(12 + 188, 0xff);
    packet
}

#[test]
fn a_day_takes_what_two_hours_take() {
    let mut day = Day::begin();
    let per_segment = 60;
    // What is kept, the segment that is being written, and the one that goes as a whole; each with what its index begins with.
    let segments = u64::from(2 * HOUR / per_segment) + 2;
    let most = segments * (u64::from(per_segment + 10) * PACKET_BYTES + RECORD_LEN as u64);
    for hour in 1..=24 {
        (0..HOUR).for_each(|_| day.pass());
        let (count, kept, span) = day.recorder.shelf.figures();
        let (files, bytes) = day.files();
        assert_eq!((files, bytes), (2 * count, kept), "hour {hour}: what is there is what is known");
        assert!(bytes <= most && count as u64 <= segments, "hour {hour}: {bytes} bytes in {count} segments");
        let (from, to) = span.expect("something is kept");
        let now = (BEGAN + Duration::from_secs(1) * day.second).as_micros() as u64;
        assert_eq!(to, now, "hour {hour}");
        let wanted = KEPT.as_micros() as u64;
        assert!(now - from >= wanted.min(now - BEGAN.as_micros() as u64 - 1_000_000), "hour {hour}: {from}");
    }
    let stats = day.recorder.stats();
    assert_eq!((stats.packets, stats.missed, stats.errors), (u64::from(24 * HOUR), 0, 0));
    let reasons: Vec<_> = stats.removed.iter().filter(|(_, count)| *count > 0).map(|(why, _)| *why).collect();
    assert_eq!(reasons, ["age"]);
}
