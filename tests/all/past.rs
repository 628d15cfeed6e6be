//! What was on, over RTSP: a moment of the clock, a pause, and back to what comes.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mirrorball::event::clock;
use mirrorball::wire::recording::{self, Kind};
use mirrorball::wire::rtsp::range;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use tempfile::TempDir;

use crate::players::programme::{Form, Programme, frames_of, send_pictures};
use crate::repair::nack;
use crate::vocabulary::{
    Group, Mirrorball, Over, Pictures, Setup, Source, Tape, Viewer, datagram, eventually, is_goodbye,
    is_thorough, passes, say, sender_report, storage_in,
};

/// Pictures that a decoder can start with are so many packets apart.
const APART: u64 = 20;
const KEPT: &str = "mirrorball_recorded_packets_total";
const PAST_VIEWERS: &str = "mirrorball_past_viewers";

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
        Self::set_up(packets, lines, |setup| setup)
    }

    fn set_up(packets: u64, lines: &str, set_up: impl FnOnce(Setup) -> Setup) -> Self {
        let (pictures, recordings) = (Pictures::every(APART), TempDir::new().expect("a directory"));
        let storage = storage_in(recordings.path(), lines);
        let setup = Setup::new().channel("news", pictures.group()).channel_line("record = \"10min\"");
        let mirrorball = set_up(setup).section("storage", &storage).start();
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

/// What a viewer has by numbers of its own: one stream, whatever it is of what was sent.
struct Own {
    next: u16,
    /// The timestamp that was announced, until it has come.
    begins: Option<u32>,
    /// By how much timestamps are later than the source's.
    later: Option<u32>,
}

impl Own {
    fn announced(viewer: &Viewer) -> Self {
        let [(next, begins)] = viewer.announced[..] else { panic!("one track") };
        Self { next, begins: Some(begins), later: None }
    }

    /// The same, once that has come behind what was under way.
    fn begun(viewer: &mut Viewer) -> Self {
        let mut own = Self::announced(viewer);
        let mut packet = viewer.packet();
        while packet[2..4] != own.next.to_be_bytes() {
            packet = viewer.packet();
        }
        own.goes_on_with(&packet);
        own
    }

    #[track_caller]
    fn goes_on_with(&mut self, packet: &[u8]) {
        assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), self.next, "without a break");
        let timestamp = u32::from_be_bytes(packet[4..8].try_into().expect("four bytes"));
        assert_eq!(self.begins.take().unwrap_or(timestamp), timestamp, "as announced");
        self.next = self.next.wrapping_add(1);
    }

    /// Up to this packet, one by one once one of them has come.
    #[track_caller]
    fn goes_on(&mut self, viewer: &mut Viewer, stage: &Stage, last: u64) {
        let mut expected = None;
        while expected != Some(last + 1) {
            let packet = viewer.packet();
            self.goes_on_with(&packet);
            let is_it = |number: &u64| stage.pictures.packet(*number)[12..] == packet[12..];
            // The tables are those of the very first packet.
            let Some(number) = (1..stage.sent).rev().find(is_it) else { continue };
            assert_eq!(expected.unwrap_or(number), number, "none is missing");
            expected = Some(number + 1);
            assert_eq!(packet[8..12], stage.pictures.packet(number)[8..12], "one source");
            let timestamp = u32::from_be_bytes(packet[4..8].try_into().expect("four bytes"));
            let later = timestamp.wrapping_sub(stage.pictures.timestamp(number));
            assert_eq!(*self.later.get_or_insert(later), later, "packet {number}");
        }
    }
}

#[test]
fn a_group_has_the_numbers_of_the_source_whoever_comes_to_it() {
    let out = Group::fresh();
    let mut stage = Stage::set_up(200, "", |setup| setup.multicast_out(out));
    let mut viewer = Viewer::playing(&stage.mirrorball, "news", Over::Udp);
    viewer.play_range(&stage.moment(150)).expect(200);
    while stage.mirrorball.metric(PAST_VIEWERS, &[]) > 0.0 {
        stage.send(10);
    }
    let ear = out.ear(0);
    viewer.ask_for(1, "RTP/AVP;multicast");
    let mut heard = Vec::new();
    let has_come = passes(Duration::from_secs(20), || {
        stage.send(10);
        heard.extend(std::iter::from_fn(|| datagram(&ear, Duration::from_millis(100))));
        heard.len() >= 30
    });
    assert!(has_come, "{} packets", heard.len());
    let number = |packet| (0..stage.sent).find(|number| stage.pictures.packet(*number) == packet);
    let numbers: Vec<_> = heard.into_iter().map(|packet| number(packet).expect("as it was sent")).collect();
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{numbers:?}");
}

#[test]
fn who_pauses_and_plays_in_the_same_moment_misses_nothing_and_has_nothing_twice() {
    for over in [Over::Udp, Over::Tcp] {
        let mut stage = Stage::of(300);
        let mut viewer = Viewer::playing(&stage.mirrorball, "news", over);
        let mut own = Own::announced(&viewer);
        for _ in 0..30 {
            stage.pictures.send(3);
            viewer.request_at_once(&["PAUSE", "PLAY"]);
            stage.pictures.send(2);
            stage.sent += 5;
        }
        own.goes_on(&mut viewer, &stage, stage.sent - 1);
        viewer.play_range(&stage.moment(20)).expect(200);
        let mut own = Own::begun(&mut viewer);
        for last in (40..200).step_by(10) {
            own.goes_on(&mut viewer, &stage, last);
            viewer.request_at_once(&["PAUSE", "PLAY"]);
        }
        viewer.teardown();
    }
}

#[test]
fn who_jumps_near_to_what_comes_is_live_again_and_keeps_his_numbers() {
    for over in [Over::Udp, Over::Tcp] {
        let mut stage = Stage::of(200);
        let mut viewer = Viewer::playing(&stage.mirrorball, "news", over);
        let expected = stage.pictures.packet(199);
        assert!((0..100).any(|_| viewer.packet() == expected));
        viewer.play_range(&stage.moment(150)).expect(200);
        let mut own = Own::announced(&viewer);
        let first = stage.pictures.sequence(140).wrapping_sub(1);
        assert_ne!(own.next, first, "{over:?}: numbers of his own");
        let by = own.next.wrapping_sub(first);
        while stage.mirrorball.metric(PAST_VIEWERS, &[]) > 0.0 {
            stage.send(10);
        }
        own.goes_on(&mut viewer, &stage, stage.sent - 1);
        let lost = stage.sent - 5;
        if let Over::Udp = over {
            let (packet, sequence) =
                (stage.pictures.packet(lost), stage.pictures.sequence(lost).wrapping_add(by));
            let ssrc = u32::from_be_bytes(packet[8..12].try_into().expect("four bytes"));
            viewer.send_rtcp(0, &nack(7, ssrc, &[(sequence, 0)]));
            let again = viewer.packet();
            assert_eq!(again[2..4], sequence.to_be_bytes(), "by the number that he has it by");
            assert_eq!(again[12..], packet[12..], "what he has lost");
        }
        // A moment later he goes on where he was, from the ring; and after a long while from what is kept.
        for longer in [20, 700] {
            viewer.request("PAUSE").expect(200);
            stage.send(longer);
            viewer.play_as(&[]).expect(200);
            let goes_on = Own::announced(&viewer);
            assert_eq!(goes_on.next, own.next, "{over:?}: with the very next packet");
            (own.begins, own.later) = (goes_on.begins, own.later);
            own.goes_on(&mut viewer, &stage, stage.sent - 1);
        }
        viewer.teardown();
    }
}

#[test]
fn who_was_in_the_past_has_one_stream_though_a_new_process_takes_over() {
    for over in [Over::Udp, Over::Tcp] {
        let mut stage = Stage::of(800);
        let mut is_back = Viewer::of(&stage.mirrorball, "news");
        is_back.set_up(1, over);
        is_back.play_range(&stage.moment(100)).expect(200);
        is_back.packet();
        is_back.play_range(&stage.moment(750)).expect(200);
        while stage.mirrorball.metric(PAST_VIEWERS, &[]) > 0.0 {
            stage.send(10);
        }
        let mut is_there = Viewer::of(&stage.mirrorball, "news");
        is_there.set_up(1, over);
        is_there.play_as(&[("Range", &stage.moment(100)), ("Speed", "0.5")]).expect(200);
        let mut streams = [Own::begun(&mut is_back), Own::announced(&is_there)];
        streams[0].goes_on(&mut is_back, &stage, stage.sent - 1);
        streams[1].goes_on(&mut is_there, &stage, 150);
        stage.mirrorball.upgrade();
        let first = stage.sent;
        stage.pictures.send(40);
        stage.sent += 40;
        streams[0].goes_on(&mut is_back, &stage, stage.sent - 1);
        // He watches what comes.
        let expected = stage.pictures.packet(first);
        let is_live = (0..2000).any(|_| {
            let packet = is_there.packet();
            streams[1].goes_on_with(&packet);
            packet[12..] == expected[12..]
        });
        assert!(is_live, "{over:?}");
        streams[1].later = None;
        streams[1].goes_on(&mut is_there, &stage, stage.sent - 1);
    }
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
        let next = (stage.pictures.sequence(140), stage.pictures.timestamp(140));
        assert_eq!(viewer.announced, [next], "{over:?}: it goes on where he was");
        stage.expect_packets(&mut viewer, 140..200, 0);
        // Once more, in the past.
        viewer.request("PAUSE").expect(200);
        let mut next = 200;
        while let Some(packet) = viewer.packet_within(0, Duration::from_millis(300)) {
            assert_eq!(packet, stage.pictures.packet(next), "{over:?}: what was under way");
            next += 1;
        }
        viewer.request("PLAY").expect(200);
        stage.expect_packets(&mut viewer, next..340, 0);
        // From the past, without a pause: what is under way still comes, and what follows is numbered behind it.
        let from = stage.moment(150);
        // Slowly, or he would be back by himself.
        viewer.play_as(&[("Range", &from), ("Speed", "0.5")]).expect(200);
        let mut stream = Own::announced(&viewer);
        stream.goes_on(&mut viewer, &stage, 144);
        stage.mirrorball.expect_metric(PAST_VIEWERS, &[], 1.0);
        stage.pictures.send(20); // or nobody knows what is next
        stage.sent += 20;
        let reply = viewer.play_range("npt=now-").expect(200);
        assert_eq!(reply.header("Range"), Some("npt=now-"));
        let mut live = Own::announced(&viewer);
        while stream.next != live.next {
            stream.goes_on_with(&viewer.packet());
        }
        stage.mirrorball.expect_metric(PAST_VIEWERS, &[], 0.0);
        live.goes_on(&mut viewer, &stage, stage.sent - 1);
        for _ in 0..10 {
            stage.send(10);
            live.goes_on(&mut viewer, &stage, stage.sent - 1);
        }
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
        stage.mirrorball.expect_metric(PAST_VIEWERS, &[], 0.0);
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
fn what_a_source_has_said_of_the_time_is_said_of_the_numbers_that_a_viewer_has() {
    let (mut source, recordings) = (Source::new(), TempDir::new().expect("a directory"));
    let (group, port) = (source.group.0.ip(), source.group.0.port());
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=data\r\nc=IN IP4 {group}\r\nt=0 0\r\nm=application {port} RTP/AVP 33\r\n\
         a=rtpmap:33 DATA/90000\r\n"
    );
    let setup = Setup::new().described_by("data", &sdp, "interface = \"lo\"\nrecord = \"10min\"");
    let mirrorball = setup.section("storage", &storage_in(recordings.path(), "")).start();
    let timestamp = |source: &Source| {
        u32::from_be_bytes(source.packet(source.next)[4..8].try_into().expect("four bytes"))
    };
    let first = timestamp(&source);
    source.send(20);
    let says = timestamp(&source);
    source.send_rtcp(&sender_report(source.ssrc, says));
    let tape = Tape::of(recordings.path(), "data");
    let has_report = || tape.track(1).iter().any(|kept| kept.record.is_report).then_some(());
    eventually("the report is kept", has_report);
    source.send(20);
    eventually("all is kept", || (tape.track(1).len() == 41).then_some(()));
    let begin = tape.track(1)[0].record.arrived_us;
    let mut viewer = Viewer::of(&mirrorball, "data");
    viewer.set_up(1, Over::Udp);
    for times in 0..2_u32 {
        viewer.play_range(&range::clock(begin, None)).expect(200);
        let (_, begins) = viewer.announced[0];
        assert_eq!(begins == first, times == 0, "what is played again has other numbers");
        let report = viewer.rtcp();
        let word = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().expect("four bytes"));
        assert_eq!((report[1], word(4), word(8)), (200, source.ssrc, 0xe000_0000), "by the source's clock");
        assert_eq!(word(16).wrapping_sub(begins), says.wrapping_sub(first), "in the viewer's numbers");
        viewer.request("PAUSE").expect(200);
        while viewer.packet_within(0, Duration::from_millis(300)).is_some() {}
    }
}

/// A picture that is shown alone, as it was sent: what goes before it, and its own packets.
struct Shown {
    number: u64,
    timestamp: u32,
}

impl Shown {
    /// The next one of a viewer, whose packets go on with a sequence number. `None`: there is no such picture, or what comes is none.
    #[track_caller]
    fn of(viewer: &mut Viewer, stage: &Stage, next: &mut u16) -> Option<Self> {
        let mut packets = Vec::new();
        let mut first = viewer.packet_within(0, Duration::from_secs(6));
        first.as_ref()?;
        for _ in 0..7 {
            let packet = first.take().unwrap_or_else(|| viewer.packet());
            assert_eq!(packet[2..4], next.to_be_bytes(), "without a break");
            *next = next.wrapping_add(1);
            packets.push(packet);
        }
        let timestamp = u32::from_be_bytes(packets[0][4..8].try_into().expect("four bytes"));
        if packets.iter().any(|packet| packet[4..8] != packets[0][4..8]) {
            say("what comes is no picture alone");
            return None;
        }
        assert_eq!(packets[0][12..], stage.pictures.tables_before(20)[12..], "what goes before");
        let media: Vec<_> = packets[1..].iter().flat_map(|packet| packet[12..].to_vec()).collect();
        let (told, media) = media.split_at(188);
        assert_eq!([told[3] & 0xf0, told[4], told[5]], [0x20, 183, 0x80], "it follows nothing");
        let is_it = |number: &u64| stage.pictures.packet(*number)[12..] == media[..7 * 188];
        let number = (0..stage.sent).step_by(APART as usize).find(is_it).expect("a picture that was sent");
        let whole: Vec<_> =
            (number..number + 5).flat_map(|number| stage.pictures.packet(number)[12..].to_vec()).collect();
        assert!(media == whole, "the picture of packet {number}, and nothing else");
        Some(Self { number, timestamp })
    }
}

impl Stage {
    /// How long after the first picture another one is shown at a scale, in ticks, as they came.
    fn ticks(&self, from: &Shown, to: &Shown, scale: u64) -> u64 {
        let track = self.tape.track(1);
        let came = |shown: &Shown| track[shown.number as usize].record.arrived_us;
        came(from).abs_diff(came(to)) / scale * 90 / 1000
    }
}

#[test]
fn at_a_scale_pictures_are_shown_as_they_came_but_sooner_and_in_the_end_it_is_as_it_comes() {
    for over in [Over::Udp, Over::Tcp] {
        let mut stage = Stage::of(800);
        let mut viewer = Viewer::of(&stage.mirrorball, "news");
        viewer.set_up(1, over);
        let reply =
            viewer.play_as(&[("Range", &stage.moment(105)), ("Scale", "3.5"), ("Speed", "2")]).expect(200);
        assert_eq!((reply.header("Scale"), reply.header("Speed")), (Some("4"), Some("1")));
        assert_eq!(reply.header("Range"), Some(&*stage.moment(100)));
        let [(mut next, timestamp)] = viewer.announced[..] else { panic!("one track") };
        let began = clock::now();
        let mut shown = Vec::new();
        while let Some(picture) = Shown::of(&mut viewer, &stage, &mut next) {
            shown.push(picture);
        }
        assert!(shown.len() >= 5, "{} of 3.5 s", shown.len());
        assert_eq!((shown[0].number, shown[0].timestamp), (100, timestamp), "{over:?}");
        let last = shown.last().expect("some");
        let took = clock::now() - began;
        for picture in &shown {
            let (is, later) = (picture.timestamp.wrapping_sub(timestamp), stage.ticks(&shown[0], picture, 4));
            assert!(u64::from(is).abs_diff(later) <= 9, "{over:?}: packet {}: {is}, {later}", picture.number);
        }
        for two in shown.windows(2) {
            let later = stage.ticks(&two[0], &two[1], 4);
            assert!((11_250..=22_500).contains(&later), "{over:?}: {} to {}", two[0].number, two[1].number);
        }
        let wanted = stage.ticks(&shown[0], last, 4) / 90;
        assert!(took.as_millis() as u64 >= wanted, "{over:?}: {took:?}, {wanted} ms");
        // With what comes, and then as all have that, but for the numbers.
        let mut own = Own { next, begins: None, later: None };
        stage.send(20);
        own.goes_on(&mut viewer, &stage, stage.sent - 1);
        while stage.mirrorball.metric(PAST_VIEWERS, &[]) > 0.0 {
            stage.send(10);
        }
        stage.send(20);
        own.goes_on(&mut viewer, &stage, stage.sent - 1);
        viewer.teardown();
    }
}

#[test]
fn backwards_it_goes_to_the_oldest_picture_and_from_there_on_as_it_came() {
    let stage = Stage::of(400);
    let mut viewer = Viewer::of(&stage.mirrorball, "news");
    viewer.set_up(1, Over::Udp);
    viewer.play_range(&stage.moment(300)).expect(200);
    let mut next = viewer.announced[0].0;
    for _ in 0..10 {
        next = u16::from_be_bytes(viewer.packet()[2..4].try_into().expect("two bytes")).wrapping_add(1);
    }
    let reply = viewer.play_as(&[("Scale", "-2")]).expect(200);
    assert_eq!(reply.header("Scale"), Some("-2"));
    let [(first, _)] = viewer.announced[..] else { panic!("one track") };
    while next != first {
        assert_eq!(viewer.packet()[2..4], next.to_be_bytes(), "what was under way");
        next = next.wrapping_add(1);
    }
    let mut numbers = Vec::new();
    while let Some(shown) = Shown::of(&mut viewer, &stage, &mut next) {
        numbers.push(shown.number);
    }
    let last = numbers.last().copied().expect("some");
    assert!(last <= 4 * APART && numbers[0] >= 300 && numbers.len() >= 4, "{numbers:?}");
    assert!(numbers.is_sorted_by(|one, other| one > other), "{numbers:?}");
    let goodbye =
        (0..10).any(|_| viewer.rtcp_within(Duration::from_secs(5)).is_some_and(|rtcp| is_goodbye(&rtcp)));
    assert!(goodbye, "it is told that there is no more");
    viewer.expect_silence();
    let reply = viewer.request("PLAY").expect(200);
    assert_eq!(reply.header("Range"), Some(&*stage.moment(last as usize)));
    for number in last..200 {
        let packet = viewer.packet();
        assert_eq!(packet[2..4], next.to_be_bytes());
        assert_eq!(packet[12..], stage.pictures.packet(number)[12..], "packet {number}");
        next = next.wrapping_add(1);
    }
}

#[test]
fn at_a_speed_all_comes_as_it_came_but_sooner() {
    let stage = Stage::of(800);
    for (over, asked, is) in [(Over::Tcp, "2.0", 2.0), (Over::Udp, "3", 2.0), (Over::Tcp, "99", 4.0)] {
        let mut viewer = Viewer::of(&stage.mirrorball, "news");
        viewer.set_up(1, over);
        let reply = viewer.play_as(&[("Range", &stage.moment(100)), ("Speed", asked)]).expect(200);
        assert_eq!(reply.header("Speed").and_then(|speed| speed.parse().ok()), Some(is), "{over:?}");
        let began = clock::now();
        viewer.packet();
        stage.expect_packets(&mut viewer, 100..700, 0);
        let track = stage.tape.track(1);
        let came = track[699].record.arrived_us - track[100].record.arrived_us;
        let (took, wanted) = (began.elapsed().as_secs_f64(), came as f64 / 1e6 / is);
        // A fifth of a second is sent ahead.
        assert!((wanted - 0.3..wanted + 1.0).contains(&took), "{over:?}: {took} s, {wanted} s");
        viewer.teardown();
    }
}

#[test]
fn who_has_caught_up_with_what_comes_is_live_again_and_misses_nothing() {
    for over in [Over::Udp, Over::Tcp] {
        let mut stage = Stage::of(100);
        let mut viewer = Viewer::playing(&stage.mirrorball, "news", over);
        stage.send(20);
        let last = stage.pictures.packet(119);
        assert!((0..100).any(|_| viewer.packet() == last));
        viewer.request("PAUSE").expect(200);
        stage.send(700);
        let reply = viewer.play_as(&[("Speed", "2")]).expect(200);
        assert_eq!(reply.header("Speed"), Some("2"), "{over:?}");
        stage.mirrorball.expect_metric(PAST_VIEWERS, &[], 1.0);
        let mut next = 120;
        let is_live = passes(Duration::from_secs(20), || {
            stage.pictures.send(10);
            stage.sent += 10;
            while let Some(packet) = viewer.packet_within(0, Duration::from_millis(40)) {
                let is = (0..stage.sent).find(|number| packet == stage.pictures.packet(*number));
                assert_eq!(is, Some(next), "{over:?}");
                next += 1;
                if next == stage.sent {
                    break;
                }
            }
            stage.mirrorball.metric(PAST_VIEWERS, &[]) == 0.0
        });
        assert!(is_live, "{over:?}: it still has its seat");
        for _ in 0..20 {
            stage.send(10);
            let sent = stage.sent;
            stage.expect_packets(&mut viewer, next..sent - 10, 0);
            next = sent - 10;
        }
        stage.expect_packets(&mut viewer, next..stage.sent, 0);
        viewer.expect_silence();
        viewer.teardown();
    }
}

#[test]
fn decoders_show_each_picture_that_is_shown_alone() {
    let (group, recordings) = (Group::fresh(), TempDir::new().expect("a directory"));
    let storage = storage_in(recordings.path(), "");
    let setup = Setup::new().channel("news", group).channel_line("record = \"10min\"");
    let mirrorball = setup.section("storage", &storage).start();
    send_pictures(group, 12);
    let track = Tape::of(recordings.path(), "news").track(1);
    let starts: Vec<_> = track.iter().filter(|kept| kept.record.is_start).collect();
    let mut viewer = Viewer::of(&mirrorball, "news");
    viewer.set_up(1, Over::Tcp);
    let last = range::clock(starts[starts.len() - 2].record.arrived_us, None);
    viewer.play_as(&[("Range", &last), ("Scale", "-4")]).expect(200);
    let (mut film, mut times) = (Vec::new(), std::collections::BTreeSet::new());
    while let Some(packet) = viewer.packet_within(0, Duration::from_secs(3)) {
        times.insert(u32::from_be_bytes(packet[4..8].try_into().expect("four bytes")));
        film.extend_from_slice(&packet[12..]);
    }
    let file = recordings.path().join("shown.ts");
    fs::write(&file, film).expect("there is room");
    let (said, wrong) = frames_of(file.to_str().expect("text"));
    let frames: usize =
        said.lines().find_map(|line| line.strip_prefix("h264,")?.parse().ok()).expect("pictures");
    say(&format!("{frames} pictures of {} starts", starts.len()));
    assert_eq!(frames, times.len(), "{said}{wrong}");
    assert!(frames >= 4 && wrong.is_empty(), "{wrong}");
}

#[test]
fn of_pictures_in_rtp_their_own_packets_are_shown_and_sound_rests_meanwhile() {
    let (group, recordings) = (Group::fresh(), TempDir::new().expect("a directory"));
    let programme = Programme::with_starts(8, 10);
    let sdp = programme.describe(group);
    let setup = Setup::new().described_by("news", &sdp, "interface = \"lo\"\nrecord = \"10min\"");
    let mirrorball = setup.section("storage", &storage_in(recordings.path(), "")).start();
    let tape = Tape::of(recordings.path(), "news");
    let _sender = programme.send(Form::Tracks, group);
    let starts = || tape.track(1).into_iter().filter(|kept| kept.record.is_start).collect::<Vec<_>>();
    let kept = eventually("pictures are kept", || Some(starts()).filter(|starts| starts.len() >= 14));
    let mut viewer = Viewer::of(&mirrorball, "news");
    [1, 2].into_iter().for_each(|track| viewer.set_up(track, Over::Tcp));
    let from = range::clock(kept[13].record.arrived_us, None);
    let reply = viewer.play_as(&[("Range", &from), ("Scale", "-2")]).expect(200);
    assert_eq!((reply.header("Scale"), viewer.announced.len()), (Some("-2"), 2));
    let (mut next, mut shown) = (viewer.announced[0].0, Vec::<(u32, usize)>::new());
    while let Some(packet) = viewer.packet_within(0, Duration::from_secs(2)) {
        assert_eq!(packet[2..4], next.to_be_bytes());
        next = next.wrapping_add(1);
        let timestamp = u32::from_be_bytes(packet[4..8].try_into().expect("four bytes"));
        match shown.last_mut().filter(|(last, _)| *last == timestamp) {
            Some((_, count)) => *count += 1,
            None => shown.push((timestamp, 1)),
        }
    }
    let apart = shown.windows(2).map(|two| two[1].0.wrapping_sub(two[0].0));
    // A picture of 0.4 s is shown for half of that.
    assert!(apart.clone().all(|apart| (9_000..=27_000).contains(&apart)), "{shown:?}");
    assert!((10..=14).contains(&shown.len()), "{shown:?}");
    viewer.play_as(&[]).expect(200);
    assert!(viewer.packet_within(1, Duration::from_secs(5)).is_some(), "sound is there again");
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
    stage.mirrorball.expect_metric(PAST_VIEWERS, &[], 1.0);
    stage.mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", "past")], 1.0);
    second.play_range("npt=now-").expect(200);
    // Who is back with what comes takes no seat.
    first.play_range("npt=now-").expect(200);
    second.request("PAUSE").expect(200);
    second.play_range(&stage.moment(40)).expect(200);
    second.teardown();
    stage.mirrorball.expect_metric(PAST_VIEWERS, &[], 0.0);
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
    let mut find = |seek: u64| {
        let moment = first + seek * 7_919_000_017 % (minutes * 60_000_000 - 5_000_000);
        let asked = clock::now();
        viewer.play_range(&range::clock(moment, None)).expect(200);
        let sequence = viewer.announced[0].0.to_be_bytes();
        while viewer.packet()[2..4] != sequence {} // what was under way
        let taken = asked.elapsed();
        viewer.request("PAUSE").expect(200);
        taken
    };
    let mut taken: Vec<Duration> = (0..100).map(&mut find).collect();
    taken.sort();
    say(&format!("among {minutes} minutes a moment was found within {:?}, p99 {:?}", taken[50], taken[98]));
    assert!(taken[98] < Duration::from_secs(1), "{:?}", taken[98]);
    let from_disk = |seek| {
        forget(&directory);
        find(seek)
    };
    let mut taken: Vec<Duration> = (100..120).map(from_disk).collect();
    taken.sort();
    say(&format!("out of no page cache within {:?}, at most {:?}", taken[10], taken[19]));
}

/// Takes what the files of a directory say out of the page cache; what they are called stays.
fn forget(directory: &Path) {
    for entry in fs::read_dir(directory).expect("it is there") {
        let file = fs::File::open(entry.expect("an entry").path()).expect("it is readable");
        file.sync_all().expect("a disk");
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("a file");
    }
}
