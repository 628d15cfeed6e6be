//! What was on, over RTSP: a moment of the clock, a pause, and back to what comes.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mirrorball::event::clock;
use mirrorball::wire::recording::{self, Kind};
use mirrorball::wire::rtsp::range;
use tempfile::TempDir;

use crate::vocabulary::{
    Group, Mirrorball, Over, Pictures, Setup, Tape, Viewer, eventually, is_thorough, passes, say, storage_in,
};

/// Pictures that a decoder can start with are so many packets apart.
const APART: u64 = 20;
const KEPT: &str = "mirrorball_recorded_packets_total";

/// A channel that is kept.
struct Stage {
    pictures: Pictures,
    mirrorball: Mirrorball,
    tape: Tape,
    sent: u64,
    _recordings: TempDir,
}

impl Stage {
    fn of(packets: u64) -> Self {
        Self::with(packets, "")
    }

    fn with(packets: u64, lines: &str) -> Self {
        let (pictures, recordings) = (Pictures::every(APART), TempDir::new().expect("a directory"));
        let storage = storage_in(recordings.path(), lines);
        let setup = Setup::new().channel("news", pictures.group()).channel_line("record = \"10min\"");
        let mirrorball = setup.section("storage", &storage).start();
        let tape = Tape::of(recordings.path(), "news");
        let mut stage = Self { pictures, mirrorball, tape, sent: 0, _recordings: recordings };
        stage.send(packets);
        stage
    }

    /// Sends packets at some 200 a second, and waits until they are kept.
    fn send(&mut self, packets: u64) {
        for _ in 0..packets / 10 {
            self.pictures.send(10);
            std::thread::sleep(Duration::from_millis(50));
        }
        self.sent += packets;
        self.mirrorball.expect_metric(KEPT, &[("channel", "news")], self.sent as f64);
    }

    /// When a packet came, as a Range has it.
    fn moment(&self, packet: usize) -> String {
        range::clock(self.tape.track(1)[packet].record.arrived_us, None)
    }

    #[track_caller]
    fn expect_packets(&self, viewer: &mut Viewer, numbers: std::ops::Range<u64>, by: u16) {
        for number in numbers {
            let packet = viewer.packet();
            let mut expected = self.pictures.packet(number);
            let sequence = self.pictures.sequence(number).wrapping_add(by);
            assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), sequence, "packet {number}");
            assert_eq!(packet[8..], expected.split_off(8), "packet {number}");
        }
    }
}

#[test]
fn a_moment_of_the_clock_is_played_from_its_picture_as_announced() {
    for over in [Over::Udp, Over::Tcp] {
        let stage = Stage::of(400);
        let mut viewer = Viewer::of(&stage.mirrorball, "news");
        let described =
            viewer.connection.request("DESCRIBE", &stage.mirrorball.url("news"), &[]).expect(200).body;
        let since =
            described.lines().find_map(|line| line.strip_prefix("a=range:")).expect("it says since when");
        assert!(since.starts_with("clock=20") && since.ends_with("Z-"), "{since}");
        viewer.set_up(1, over);
        let reply = viewer.play_range(&stage.moment(214)).expect(200);
        let start = 200;
        assert_eq!(reply.header("Range"), Some(&*stage.moment(start as usize)), "{over:?}: the picture's");
        let first = (stage.pictures.sequence(start).wrapping_sub(1), stage.pictures.timestamp(start));
        assert_eq!(viewer.announced, [first], "{over:?}: of what goes before it");
        assert_eq!(viewer.packet(), stage.pictures.tables_before(start));
        stage.expect_packets(&mut viewer, start..400, 0);
        viewer.teardown();
    }
}

#[test]
fn a_range_that_has_an_end_ends_with_it_audibly() {
    let stage = Stage::of(400);
    let mut viewer = Viewer::of(&stage.mirrorball, "news");
    viewer.set_up(1, Over::Udp);
    let (from, to) = (stage.moment(200), stage.moment(299));
    let to = to.trim_start_matches("clock=").trim_end_matches('-').to_owned();
    let reply = viewer.play_range(&format!("{from}{to}")).expect(200);
    assert_eq!(reply.header("Range"), Some(&*format!("{from}{to}")));
    assert_eq!(viewer.packet(), stage.pictures.tables_before(200));
    // Packets that came together have one time.
    let last = (0..400).rev().find(|number| stage.moment(*number) == stage.moment(299)).expect("it is there");
    stage.expect_packets(&mut viewer, 200..last as u64 + 1, 0);
    viewer.expect_silence();
    let goodbye =
        (0..10).any(|_| viewer.rtcp_within(Duration::from_secs(5)).is_some_and(|rtcp| is_goodbye(&rtcp)));
    assert!(goodbye, "it is told");
}

fn is_goodbye(rtcp: &[u8]) -> bool {
    rtcp.windows(2).step_by(4).any(|head| head[0] & 0xe0 == 0x80 && head[1] == 203)
}

#[test]
fn who_pauses_goes_on_where_he_was_and_back_to_what_comes_when_he_says_so() {
    for over in [Over::Udp, Over::Tcp] {
        let mut stage = Stage::of(100);
        let mut viewer = Viewer::playing(&stage.mirrorball, "news", over);
        // The newest picture, behind its tables.
        viewer.packet();
        stage.send(40);
        let mut last = 80;
        while last < 139 {
            let packet = viewer.packet();
            last = (0..140).find(|number| stage.pictures.packet(*number) == packet).expect("it was sent");
        }
        viewer.request("PAUSE").expect(200);
        stage.send(200);
        let reply = viewer.play_range("npt=0-").expect(200);
        assert!(
            reply.header("Range").is_some_and(|range| range.starts_with("clock=")),
            "{over:?}: it is the past"
        );
        // What was under way as he paused may come again.
        let is_announced = |number: &u64| {
            viewer.announced == [(stage.pictures.sequence(*number), stage.pictures.timestamp(*number))]
        };
        let first = (120..=140).find(is_announced).expect("it goes on where he was");
        stage.expect_packets(&mut viewer, first..200, 0);
        // Once more, in the past.
        viewer.request("PAUSE").expect(200);
        let mut next = 200;
        while let Some(packet) = viewer.packet_within(0, Duration::from_millis(300)) {
            assert_eq!(packet, stage.pictures.packet(next), "{over:?}: what was under way");
            next += 1;
        }
        viewer.request("PLAY").expect(200);
        stage.expect_packets(&mut viewer, next..340, 0);
        viewer.request("PAUSE").expect(200);
        let reply = viewer.play_range("npt=now-").expect(200);
        assert_eq!(reply.header("Range"), Some("npt=now-"));
        stage.pictures.send(20);
        let expected = stage.pictures.packet(345);
        assert!((0..100).any(|_| viewer.packet() == expected), "{over:?}: it is live");
        viewer.teardown();
    }
}

#[test]
fn who_pauses_for_a_moment_goes_on_with_the_next_packet_and_is_live_again() {
    for over in [Over::Udp, Over::Tcp] {
        let mut stage = Stage::of(100);
        let mut viewer = Viewer::playing(&stage.mirrorball, "news", over);
        stage.send(20);
        let last = stage.pictures.packet(119);
        assert!((0..100).any(|_| viewer.packet() == last));
        viewer.request("PAUSE").expect(200);
        stage.send(20);
        let reply = viewer.request("PLAY").expect(200);
        let range = reply.header("Range").expect("it says from where on");
        assert!(range.starts_with("clock="), "{over:?}: {range}");
        stage.expect_packets(&mut viewer, 120..140, 0);
        stage.mirrorball.expect_metric("mirrorball_past_viewers", &[], 0.0);
        stage.send(20);
        stage.expect_packets(&mut viewer, 140..160, 0);
        viewer.teardown();
    }
}

#[test]
fn who_jumps_has_one_stream_without_a_break() {
    let stage = Stage::of(400);
    let mut viewer = Viewer::of(&stage.mirrorball, "news");
    viewer.set_up(1, Over::Tcp);
    viewer.play_range(&stage.moment(200)).expect(200);
    viewer.packet();
    stage.expect_packets(&mut viewer, 200..230, 0);
    // Without a pause, as some do; what is under way still comes.
    viewer.play_range(&stage.moment(100)).expect(200);
    let [(sequence, _)] = viewer.announced[..] else { panic!("one track") };
    let by = sequence.wrapping_add(1).wrapping_sub(stage.pictures.sequence(100));
    let tables = stage.pictures.tables_before(100);
    let found = passes(Duration::from_secs(10), || {
        let packet = viewer.packet();
        packet[12..] == tables[12..] && u16::from_be_bytes([packet[2], packet[3]]) == sequence
    });
    assert!(found, "the tables of what is played then");
    for number in 100..160u64 {
        let (packet, expected) = (viewer.packet(), stage.pictures.packet(number));
        assert_eq!(packet[12..], expected[12..], "packet {number}");
        assert_eq!(
            u16::from_be_bytes([packet[2], packet[3]]),
            stage.pictures.sequence(number).wrapping_add(by)
        );
        assert_eq!(packet[8..12], expected[8..12], "one source");
    }
}

#[test]
fn as_many_watch_the_past_as_may_and_what_comes_is_there_for_all() {
    let stage = Stage::with(100, "viewers = 1");
    let [mut first, mut second] = [(); 2].map(|()| Viewer::of(&stage.mirrorball, "news"));
    [&mut first, &mut second].into_iter().for_each(|viewer| viewer.set_up(1, Over::Tcp));
    first.play_range(&stage.moment(40)).expect(200);
    // Who has a seat keeps it.
    first.play_range(&stage.moment(60)).expect(200);
    assert!(second.play_range(&stage.moment(40)).expect(503).header("Retry-After").is_some());
    stage.mirrorball.expect_metric("mirrorball_past_viewers", &[], 1.0);
    stage.mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", "past")], 1.0);
    second.play_range("npt=now-").expect(200);
    // Who is back with what comes takes no seat.
    first.play_range("npt=now-").expect(200);
    second.request("PAUSE").expect(200);
    second.play_range(&stage.moment(40)).expect(200);
    second.teardown();
    stage.mirrorball.expect_metric("mirrorball_past_viewers", &[], 0.0);
}

#[test]
fn a_moment_of_a_channel_that_is_not_kept_is_refused_and_any_other_range_is_live() {
    let pictures = Pictures::every(APART);
    let mirrorball = Setup::new().channel("news", pictures.group()).start();
    let mut viewer = Viewer::of(&mirrorball, "news");
    viewer.set_up(1, Over::Udp);
    viewer.play_range("clock=20260101T000000Z-").expect(457);
    assert_eq!(viewer.play_range("npt=0-").expect(200).header("Range"), Some("npt=now-"));
}

/// Files of a segment of a minute, with 20 packets a second, of which a decoder can start with each 40th.
fn write_minute(directory: &Path, begins: SystemTime) {
    let us = begins.duration_since(UNIX_EPOCH).expect("it is later").as_micros() as u64;
    let stamp = recording::Stamp(us / 1000);
    let file = |kind| directory.join(recording::SegmentFile { stamp, track: 1, kind }.to_string());
    let header = recording::Header { format: recording::Format::TransportStream, clock_rate: 90_000 };
    let (mut index, mut media) = (header.bytes().to_vec(), Vec::new());
    for number in 0..1200u64 {
        let mut packet = vec![0x47, 0x41, 0, 0x30, 1, if number % 40 == 0 { 0x40 } else { 0 }];
        packet.extend(number.to_be_bytes());
        packet.resize(188, 0xff);
        let record = recording::Record {
            arrived_us: us + number * 50_000,
            pcr: None,
            offset: media.len() as u32,
            length: 188,
            sequence: number as u16,
            timestamp: number as u32 * 4500,
            ssrc: 7,
            payload_type: 33,
            marker: false,
            is_start: number % 40 == 0,
            has_gap: false,
            is_report: false,
        };
        index.extend(record.bytes());
        media.extend(packet);
    }
    fs::write(file(Kind::TransportStream), media).expect("there is room");
    fs::write(file(Kind::Index), index).expect("there is room");
}

#[test]
fn a_moment_is_found_soon_among_a_thousand_minutes() {
    let minutes = if is_thorough() { 1000 } else { 20 };
    let recordings = TempDir::new().expect("a directory");
    let directory = recordings.path().join("news");
    fs::create_dir(&directory).expect("a directory");
    let began = UNIX_EPOCH + clock::unix_now() - Duration::from_secs(60 * (minutes + 1));
    (0..minutes).for_each(|minute| write_minute(&directory, began + Duration::from_secs(60 * minute)));
    let storage = storage_in(recordings.path(), "");
    let setup = Setup::new().channel("news", Group::fresh()).channel_line("record = \"24h\"");
    let mirrorball = setup.section("storage", &storage).start();
    let seconds = (minutes * 60 - 1) as f64;
    let kept = || mirrorball.metric("mirrorball_recording_seconds", &[("channel", "news")]);
    eventually("all of it is found", || (kept() > seconds - 2.0).then_some(()));
    let mut viewer = Viewer::of(&mirrorball, "news");
    viewer.set_up(1, Over::Tcp);
    let first = began.duration_since(UNIX_EPOCH).expect("it is later").as_micros() as u64;
    let mut taken = Vec::new();
    for seek in 0..100u64 {
        let moment = first + seek * 7_919_000_017 % (minutes * 60_000_000 - 5_000_000);
        let asked = clock::now();
        viewer.play_range(&range::clock(moment, None)).expect(200);
        let sequence = viewer.announced[0].0.to_be_bytes();
        while viewer.packet()[2..4] != sequence {} // what was under way
        taken.push(asked.elapsed());
        viewer.request("PAUSE").expect(200);
    }
    taken.sort();
    say(&format!("among {minutes} minutes a moment was found within {:?}, p99 {:?}", taken[50], taken[98]));
    assert!(taken[98] < Duration::from_secs(1), "{:?}", taken[98]);
}
