//! What channels keep on disk: all that came, as it came, in files that others read; whatever happens to the program or the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mirrorball::wire::recording::Kind;
use tempfile::TempDir;

use crate::players::programme::{frames_of, send_pictures};
use crate::vocabulary::{
    Crowd, Group, Kept, Mirrorball, Over, Pictures, Quiet, Setup, Source, Stamp, Tape, Viewer, binary,
    eventually, is_thorough, passes, sender_report, skip, storage_in, with_a_disk_of_its_own,
};

const KEPT: &str = "mirrorball_recorded_packets_total";
const MISSED: &str = "mirrorball_recording_missed_packets_total";
const ERRORS: &str = "mirrorball_recording_errors_total";
const NEWS: [(&str, &str); 1] = [("channel", "news")];

/// A place for recordings, and a channel that is kept there.
struct Stage {
    recordings: TempDir,
    setup: Setup,
}

impl Stage {
    fn of(group: Group) -> Self {
        Self::with(group, "record = \"10min\"", "")
    }

    fn with(group: Group, line: &str, storage: &str) -> Self {
        let recordings = TempDir::new().expect("a directory");
        let setup = Setup::new().channel("news", group).channel_line(line);
        let setup = setup.section("storage", &storage_in(recordings.path(), storage));
        Self { recordings, setup }
    }

    /// What a Source sends, whose packets are no transport stream.
    fn of_stamps(group: Group, storage: &str) -> Self {
        let recordings = TempDir::new().expect("a directory");
        let setup = stamps(Setup::new(), "news", group, "record = \"10min\"");
        let setup = setup.section("storage", &storage_in(recordings.path(), storage));
        Self { recordings, setup }
    }

    fn start(self) -> (Mirrorball, Tape, TempDir) {
        let tape = Tape::of(self.recordings.path(), "news");
        (self.setup.start(), tape, self.recordings)
    }
}

fn stamps(setup: Setup, name: &str, group: Group, line: &str) -> Setup {
    let (address, port) = (group.0.ip(), group.0.port());
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Stamps\r\nt=0 0\r\nm=video {port} RTP/AVP 33\r\nc=IN IP4 {address}/1\r\n\
         a=rtpmap:33 X-STAMPS/90000\r\n"
    );
    setup.described_by(name, &sdp, &format!("interface = \"lo\"\n{line}"))
}

fn numbers(kept: &[Kept]) -> Vec<u16> {
    kept.iter().map(|kept| kept.record.sequence).collect()
}

#[test]
fn what_comes_is_kept_as_it_came_and_where_decoders_can_start_is_marked() {
    let mut pictures = Pictures::every(20);
    let (mirrorball, tape, _recordings) = Stage::of(pictures.group()).start();
    for _ in 0..10 {
        pictures.send(10);
    }
    mirrorball.expect_metric(KEPT, &NEWS, 100.0);
    let kept = tape.track(1);
    for (number, kept) in (0..).zip(&kept) {
        let packet = pictures.packet(number);
        assert_eq!(kept.media, packet[12..], "packet {number}");
        let (record, expected) = (&kept.record, (pictures.sequence(number), pictures.timestamp(number), 33));
        assert_eq!((record.sequence, record.timestamp, record.payload_type), expected, "packet {number}");
        assert_eq!(record.is_start, number > 0 && number % 20 == 0, "packet {number}");
        assert_eq!(record.has_gap, number == 0, "packet {number}");
    }
    assert_eq!(kept.len(), 100);
    assert!(kept.is_sorted_by_key(|kept| kept.record.arrived_us));
    let [file] = &tape.files(Kind::TransportStream)[..] else { panic!("one segment") };
    let stream: Vec<_> = kept.iter().flat_map(|kept| kept.media.clone()).collect();
    assert!(
        fs::read(file).expect("it is there") == stream,
        "the media is a transport stream and nothing else"
    );
}

#[test]
fn a_transport_stream_that_was_kept_is_a_file_that_others_play() {
    let group = Group::fresh();
    let (mirrorball, tape, _recordings) = Stage::of(group).start();
    send_pictures(group, 4);
    let quiet = || {
        let before = mirrorball.metric(KEPT, &NEWS);
        let written = !passes(Duration::from_millis(600), || mirrorball.metric(KEPT, &NEWS) > before);
        (written && before > 0.0).then_some(())
    };
    eventually("all is kept", quiet);
    let files = tape.files(Kind::TransportStream);
    let (said, wrong) = frames_of(&files[0].display().to_string());
    assert!(said.contains("h264,100") && said.contains("aac,"), "{said} {wrong}");
}

#[test]
fn what_is_old_or_too_much_goes_segment_by_segment() {
    let mut pictures = Pictures::every(20);
    let (mirrorball, tape, _recordings) = Stage::with(pictures.group(), "record = \"10s\"", "").start();
    let removed =
        || mirrorball.metric("mirrorball_recording_removed_total", &[("channel", "news"), ("reason", "age")]);
    // A segment is a tenth of what is kept.
    let told = passes(Duration::from_secs(40), || {
        pictures.send(20);
        removed() >= 3.0
    });
    assert!(told, "{} segments went", removed());
    let segments = tape.segments();
    assert!((5..=13).contains(&segments.len()), "{} segments", segments.len());
    let kept = tape.track(1);
    let length = kept[kept.len() - 1].record.arrived_us - kept[0].record.arrived_us;
    assert!((8_000_000..13_000_000).contains(&length), "{length} us");
    assert!(
        numbers(&kept).is_sorted_by(|a, b| b.wrapping_sub(*a) == 1),
        "nothing is missing from one segment to the next"
    );
    let begins =
        |kept: &[Kept]| kept.iter().filter(|kept| kept.record.offset == 0).all(|kept| kept.record.is_start);
    assert!(begins(&kept), "each begins where decoders can start");
}

#[test]
fn all_channels_together_keep_no_more_than_they_may() {
    let (news, sport) = (Source::new(), Source::new());
    let recordings = TempDir::new().expect("a directory");
    let storage = storage_in(recordings.path(), "max_bytes = 2_000_000");
    let setup = stamps(Setup::new(), "news", news.group, "record = \"10s\"");
    let setup = stamps(setup, "sport", sport.group, "record = \"10s\"").section("storage", &storage);
    let mirrorball = setup.start();
    let _beams = [news.beam(400), sport.beam(400)];
    let removed = |channel| {
        mirrorball.metric("mirrorball_recording_removed_total", &[("channel", channel), ("reason", "total")])
    };
    eventually("the oldest of both go", || (removed("news") > 0.0 && removed("sport") > 0.0).then_some(()));
    // What is being written comes on top, until it is looked at again.
    let kept = mirrorball.metric("mirrorball_storage_bytes", &[]);
    assert!(kept < 4_500_000.0, "{kept}");
    let files = ["news", "sport"].map(|name| size_of_all(&recordings.path().join(name)));
    assert!(files.iter().sum::<u64>() < 4_500_000, "{files:?}");
}

fn size_of_all(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}

#[test]
fn a_program_that_was_killed_has_kept_all_but_the_last_moment_of_each_channel_and_goes_on() {
    const A_SECOND: u64 = 100;
    let _quiet = Quiet::alone();
    let recordings = TempDir::new().expect("a directory");
    let mut setup = Setup::new().section("storage", &storage_in(recordings.path(), ""));
    let mut channels = Vec::new();
    for number in 1..=10 {
        let (name, source) = (format!("channel-{number}"), Source::new());
        setup = stamps(setup, &name, source.group, "record = \"10min\"");
        channels.push((Tape::of(recordings.path(), &name), source));
    }
    let mut mirrorball = setup.at_known_addresses().launch(binary(), Stdio::null());
    let channels: Vec<_> = channels.into_iter().map(|(tape, source)| (tape, source.beam(A_SECOND))).collect();
    let sent = || channels.iter().map(|(_, beam)| beam.sent()).collect::<Vec<_>>();
    let all_are_past =
        |sent: &[u64]| channels.iter().zip(sent).all(|((tape, _), sent)| last_number(tape) > *sent);
    let expect_recorded = |what: &str| {
        let before = sent();
        eventually(what, || all_are_past(&before).then_some(()));
    };
    for round in 1..=if is_thorough() { 50 } else { 3 } {
        expect_recorded(&format!("all are recorded, in round {round}"));
        let sent = sent();
        mirrorball.kill();
        for (number, ((tape, _), sent)) in channels.iter().zip(sent).enumerate() {
            let lost = sent.saturating_sub(tape.newest(1).last().map_or(0, number_of));
            assert!(
                lost <= A_SECOND,
                "round {round}: {lost} packets of {number} were not kept, more than a second"
            );
        }
        mirrorball.start_again();
    }
    expect_recorded("all are recorded once more");
    for (tape, _) in &channels {
        let kept = numbers(&tape.track(1));
        let follows = |pair: &[u16]| (1..1 << 15).contains(&pair[1].wrapping_sub(pair[0]));
        let back = kept.windows(2).find(|pair| !follows(pair));
        assert_eq!(back, None, "none is there twice, and each in its order");
    }
}

/// The number of the packet that was kept last.
fn last_number(tape: &Tape) -> u64 {
    tape.last(1).as_ref().map_or(0, number_of)
}

fn number_of(kept: &Kept) -> u64 {
    Stamp::read(&kept.media).map_or(0, |stamp| stamp.number)
}

#[test]
fn who_takes_over_goes_on_with_the_recording() {
    let source = Source::new();
    let (mut mirrorball, tape, _recordings) = Stage::of_stamps(source.group, "").start();
    let beam = source.beam(200);
    eventually("it is recorded", || (tape.track(1).len() > 100).then_some(()));
    mirrorball.upgrade();
    let before = beam.sent();
    eventually("it goes on", || (last_number(&tape) > before).then_some(()));
    let kept = tape.track(1);
    let break_of = |pair: &[u16]| (pair[1].wrapping_sub(pair[0]) != 1).then(|| pair.to_vec());
    let breaks: Vec<_> = numbers(&kept).windows(2).filter_map(break_of).collect();
    assert!(breaks.is_empty(), "none is missing, and none there twice: {breaks:?}");
    assert!(tape.segments().len() > 1);
}

#[test]
fn a_disk_that_others_fill_stops_the_recording_and_nobody_who_watches() {
    with_a_disk_of_its_own(
        "a_disk_that_others_fill_stops_the_recording_and_nobody_who_watches",
        8192,
        |disk| {
            let source = Source::new();
            let programme = source.programme;
            let setup = stamps(Setup::new(), "news", source.group, "record = \"10min\"");
            let mirrorball = setup.section("storage", &storage_in(disk, "")).start();
            let crowd = Crowd::of([(Viewer::playing(&mirrorball, "news", Over::Udp), programme)]);
            let beam = source.beam(800);
            eventually("the disk is full", || (mirrorball.metric(ERRORS, &NEWS) > 1.0).then_some(()));
            mirrorball.expect_metric("mirrorball_recording", &NEWS, 0.0);
            assert_eq!(mirrorball.lines_logged("not recorded, and tried again each second"), 1, "told once");
            crowd.expect_all_past(programme, beam.sent() + 20);
            crowd.expect_flawless();
            let tape = Tape::of(disk, "news");
            assert!(!tape.track(1).is_empty(), "what there was room for is whole");
        },
    );
}

#[test]
fn before_the_disk_is_full_the_oldest_goes() {
    with_a_disk_of_its_own("before_the_disk_is_full_the_oldest_goes", 8192, |disk| {
        let source = Source::new();
        let setup = stamps(Setup::new(), "news", source.group, "record = \"10s\"");
        let mirrorball = setup.section("storage", &storage_in(disk, "min_free_bytes = 3_000_000")).start();
        let removed = || {
            mirrorball
                .metric("mirrorball_recording_removed_total", &[("channel", "news"), ("reason", "disk")])
        };
        let _beam = source.beam(800);
        let told = passes(Duration::from_secs(40), || removed() >= 3.0);
        assert!(told, "{} segments went", removed());
        mirrorball.expect_metric(ERRORS, &NEWS, 0.0);
    });
}

#[test]
fn a_disk_that_is_stuck_costs_the_recording_a_gap_and_viewers_nothing() {
    let source = Source::new();
    let programme = source.programme;
    let (mirrorball, tape, _recordings) = Stage::of_stamps(source.group, "workers = 1").start();
    let crowd = Crowd::of([(Viewer::playing(&mirrorball, "news", Over::Udp), programme)]);
    let beam = source.beam(400);
    eventually("it is recorded", || (mirrorball.metric(KEPT, &NEWS) > 0.0).then_some(()));
    let still = match mirrorball.hold_still("storage-0") {
        Ok(still) => still,
        Err(error) => return skip("a_disk_that_is_stuck", &error.to_string()),
    };
    // Longer than the ring.
    let sent = beam.sent();
    crowd.expect_all_past(programme, sent + 2000);
    drop(still);
    eventually("what has gone is counted", || (mirrorball.metric(MISSED, &NEWS) > 0.0).then_some(()));
    assert_eq!(mirrorball.lines_logged("the disk does not take in what comes"), 1);
    crowd.expect_flawless();
    let kept = tape.track(1);
    let jump =
        kept.windows(2).find(|pair| pair[1].record.sequence.wrapping_sub(pair[0].record.sequence) != 1);
    assert!(jump.is_some_and(|pair| pair[1].record.has_gap), "the gap is marked");
}

#[test]
fn a_directory_that_can_not_be_written_to_keeps_nobody_from_watching() {
    let mut source = Source::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let setup = Setup::new().channel("news", source.group).channel_line("record = \"10min\"");
    let mirrorball = setup.section("storage", &storage_in(file.path(), "")).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
    mirrorball.expect_logged("nothing is recorded: the directory can not be had", 1);
    mirrorball.expect_metric("mirrorball_recording", &NEWS, 0.0);
}

#[test]
fn channels_are_recorded_and_no_longer_as_the_config_is_read_again() {
    let source = Source::new();
    let (mirrorball, tape, _recordings) = Stage::of_stamps(source.group, "").start();
    let with = mirrorball.config();
    let _beam = source.beam(100);
    eventually("it is recorded", || (tape.track(1).len() > 20).then_some(()));
    // Another length changes nothing of what is written.
    mirrorball.reload(&with.replace("10min", "20min"));
    let before = tape.track(1).len();
    eventually("it is still recorded", || (tape.track(1).len() > before).then_some(()));
    assert_eq!(tape.segments().len(), 1);
    mirrorball.reload(&with.replace("record = \"10min\"\n", ""));
    eventually("its metrics have gone", || (mirrorball.metric(KEPT, &NEWS) == 0.0).then_some(()));
    let before = tape.track(1).len();
    assert!(!passes(Duration::from_secs(1), || tape.track(1).len() > before), "nothing is kept any more");
    mirrorball.reload(&with);
    eventually("it goes on", || (tape.track(1).len() > before).then_some(()));
    assert_eq!(tape.segments().len(), 2, "what was kept is still there");
}

#[test]
fn what_has_several_tracks_is_kept_as_rtpdump_with_its_reports_and_a_description() {
    let (video, audio) = (Source::new(), Source::new());
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Two\r\nt=0 0\r\nm=video {} RTP/AVP 96\r\nc=IN IP4 {}/1\r\na=rtpmap:96 H264/90000\r\n\
         m=audio {} RTP/AVP 33\r\nc=IN IP4 {}/1\r\na=rtpmap:33 L16/90000\r\n",
        video.group.0.port(),
        video.group.0.ip(),
        audio.group.0.port(),
        audio.group.0.ip()
    );
    let recordings = TempDir::new().expect("a directory");
    let setup = Setup::new().described_by("two", &sdp, "interface = \"lo\"\nrecord = \"10min\"");
    let mirrorball = setup.section("storage", &storage_in(recordings.path(), "")).start();
    let packets: Vec<Vec<u8>> = (0..5).map(|number| with_payload_type(video.packet(number), 96)).collect();
    packets.iter().for_each(|packet| video.send_bytes(packet));
    video.send_rtcp(&sender_report(7, 9));
    mirrorball.expect_metric(KEPT, &[("channel", "two")], 6.0);
    let tape = Tape::of(recordings.path(), "two");
    let kept = tape.track(1);
    assert_eq!(kept.iter().filter(|kept| kept.record.is_report).count(), 1);
    let media: Vec<_> =
        kept.iter().filter(|kept| !kept.record.is_report).map(|kept| kept.media.clone()).collect();
    assert_eq!(media, packets, "whole packets");
    assert!(tape.track(2).is_empty(), "of the other track nothing came");
    let dump = fs::read(&tape.files(Kind::RtpDump)[0]).expect("it is there");
    assert!(dump.starts_with(b"#!rtpplay1.0 "));
    let described: PathBuf = tape.files(Kind::Description).remove(0);
    let described = fs::read_to_string(described).expect("it is there");
    assert!(
        described.contains("m=video 5004 RTP/AVP 96") && described.contains("c=IN IP4 127.0.0.1\r\n"),
        "{described}"
    );
}

fn with_payload_type(mut packet: Vec<u8>, payload_type: u8) -> Vec<u8> {
    packet[1] = payload_type;
    packet
}
