//! What was on, for who asks for that: over HTTP, from what a channel keeps.

use std::time::Duration;

use mirrorball::event::clock;
use tempfile::TempDir;

use crate::players::programme::{frames_of, send_pictures};
use crate::vocabulary::{Group, Mirrorball, Pictures, Setup, Source, Tape, Web, eventually, say, storage_in};

/// A channel that is kept, with so many packets of pictures, of which a decoder can start with each 20th.
struct Kept {
    pictures: Pictures,
    mirrorball: Mirrorball,
    tape: Tape,
    _recordings: TempDir,
}

impl Kept {
    fn of(packets: u64) -> Self {
        Self::with(packets, "")
    }

    fn with(packets: u64, lines: &str) -> Self {
        let (mut pictures, recordings) = (Pictures::every(20), TempDir::new().expect("a directory"));
        let storage = storage_in(recordings.path(), "");
        let setup = Setup::new().channel("news", pictures.group()).channel_line("record = \"10min\"");
        let mirrorball = setup.section("storage", &storage).over_web_with(lines).start();
        for _ in 0..packets / 10 {
            pictures.send(10);
            std::thread::sleep(Duration::from_millis(50));
        }
        let kept = [("channel", "news")];
        mirrorball.expect_metric("mirrorball_recorded_packets_total", &kept, packets as f64);
        let tape = Tape::of(recordings.path(), "news");
        Self { pictures, mirrorball, tape, _recordings: recordings }
    }

    /// When a packet came, in seconds since 1970, rounded up.
    fn second_after(&self, packet: usize) -> u64 {
        self.tape.track(1)[packet].record.arrived_us.div_ceil(1_000_000)
    }

    /// The newest packet that a decoder can start with and that came by then.
    fn start_by(&self, second: u64) -> u64 {
        let by = |kept: &&crate::vocabulary::Kept| {
            kept.record.arrived_us <= second * 1_000_000 && kept.record.is_start
        };
        let track = self.tape.track(1);
        let start = track.iter().rfind(by).expect("there is one");
        (0..).find(|number| self.pictures.sequence(*number) == start.record.sequence).expect("it was sent")
    }

    fn payload(&self, number: u64) -> Vec<u8> {
        self.pictures.packet(number)[12..].to_vec()
    }

    /// What goes before the picture of a number, and all packets from there on.
    fn from(&self, numbers: std::ops::Range<u64>) -> Vec<u8> {
        let tables = self.pictures.tables_before(numbers.start)[12..].to_vec();
        [tables].into_iter().chain(numbers.map(|number| self.payload(number))).flatten().collect()
    }
}

#[test]
fn who_asks_for_a_moment_has_what_came_from_its_picture_on_as_it_came() {
    let kept = Kept::of(400);
    let second = kept.second_after(200);
    let start = kept.start_by(second);
    for target in [format!("/news.ts?utc={second}&lutc={second}"), format!("/news?start={second}")] {
        let mut web = Web::get(kept.mirrorball.web(), &target).expect(200);
        let expected = kept.from(start..400);
        assert!(web.take(expected.len()) == expected, "{target}: from packet {start} on");
        assert_eq!(web.header("Content-Type"), Some("video/mp2t"));
    }
    kept.mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
}

#[test]
fn who_comes_to_the_end_of_what_was_on_goes_on_with_what_comes() {
    let mut kept = Kept::of(200);
    let second = kept.second_after(100);
    let start = kept.start_by(second);
    let mut web = Web::get(kept.mirrorball.web(), &format!("/news?utc={second}")).expect(200);
    let expected = kept.from(start..200);
    assert!(web.take(expected.len()) == expected);
    kept.pictures.send(40);
    let expected: Vec<_> = (200..240).flat_map(|number| kept.payload(number)).collect();
    assert!(web.take(expected.len()) == expected, "as it is kept, or from the ring");
    let mut next = 240;
    let mut goes_on = |kept: &mut Kept| {
        kept.pictures.send(1);
        assert!(web.take(7 * 188) == kept.payload(next), "packet {next}");
        next += 1;
    };
    while kept.mirrorball.metric("mirrorball_past_viewers", &[]) > 0.0 {
        goes_on(&mut kept);
    }
    (0..40).for_each(|_| goes_on(&mut kept));
    kept.mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
}

#[test]
fn what_has_an_end_is_a_file_as_fast_as_it_is_taken() {
    let kept = Kept::of(800);
    let second = kept.second_after(200);
    let (start, until) = (kept.start_by(second), second + 2);
    let target = format!("/news.ts?start={second}&duration=2");
    let (address, began) = (kept.mirrorball.web(), clock::now());
    let mut web = Web::get(address, &target).expect(200);
    let called = web.header("Content-Disposition").expect("it says how it is called");
    assert!(called.starts_with("attachment; filename=\"news-20") && called.ends_with(".ts\""), "{called}");
    let last =
        kept.tape.track(1).iter().filter(|kept| kept.record.arrived_us <= until * 1_000_000).count() as u64;
    let expected = kept.from(start..last);
    assert!(web.take(expected.len()) == expected, "packets {start} to {last}");
    web.expect_end();
    say(&format!("two seconds of a channel were had within {:?}", began.elapsed()));
    kept.mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "played")], 1.0);
}

#[test]
fn set_top_boxes_write_the_time_of_their_clock() {
    let kept = Kept::with(400, "time_zone = \"Asia/Tokyo\"");
    let second = kept.second_after(200);
    let start = kept.start_by(second);
    // Tokyo has no summer time.
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(9));
    let written = |second: u64| {
        let at = jiff::Timestamp::from_second(second as i64).expect("a moment");
        zone.to_datetime(at).strftime("%Y%m%d%H%M%S").to_string()
    };
    let target = format!("/news?playseek={}-{}", written(second), written(second + 60));
    let mut web = Web::get(kept.mirrorball.web(), &target).expect(200);
    let expected = kept.from(start..400);
    assert!(web.take(expected.len()) == expected);
}

#[test]
fn what_is_not_kept_is_told() {
    let kept = Kept::of(100);
    let told = |target: &str, status: u16| Web::get(kept.mirrorball.web(), target).expect(status);
    told("/news?utc=yesterday", 400);
    told("/news?playseek=20261301000000-20261301000001", 400);
    told("/news?start=1000&duration=60", 404);
    told("/nothing?utc=1000", 404);
    // Before all that is kept, and without an end: from the oldest on.
    let mut web = told("/news?utc=1000", 200);
    assert!(web.take(188)[0] == 0x47);
    let source = Source::new();
    let other = Setup::new().channel("live", source.group).over_web().start();
    Web::get(other.web(), "/live?utc=1000").expect(404);
}

#[test]
fn playlists_say_where_what_was_on_is_to_be_had() {
    let recordings = TempDir::new().expect("a directory");
    let setup = Setup::new().channel("news", Group::fresh()).channel_line("record = \"30h\"");
    let setup = setup.channel("sport", Group::fresh());
    let storage = storage_in(recordings.path(), "");
    let mirrorball = setup.section("storage", &storage).over_web().start();
    let mut web = Web::get(mirrorball.web(), "/playlist.m3u").expect(200);
    let length = web.header("Content-Length").and_then(|length| length.parse().ok()).expect("a length");
    let list = String::from_utf8(web.take(length)).expect("text");
    let lines: Vec<_> = list.lines().filter(|line| line.contains("#EXTINF")).collect();
    let catchup = "catchup=\"default\" catchup-source=\"http://edge:8080/news.ts?utc={utc}&utcend={utcend}&lutc={lutc}\" catchup-days=\"2\"";
    assert!(lines[0].contains(catchup), "{list}");
    assert!(!lines[1].contains("catchup"), "{list}");
}

#[test]
fn players_play_what_was_on() {
    let (group, recordings) = (Group::fresh(), TempDir::new().expect("a directory"));
    let storage = storage_in(recordings.path(), "");
    let setup = Setup::new().channel("news", group).channel_line("record = \"10min\"");
    let mirrorball = setup.section("storage", &storage).over_web().start();
    send_pictures(group, 5);
    let tape = Tape::of(recordings.path(), "news");
    let kept = || tape.track(1).last().map(|kept| kept.record.arrived_us);
    let last = eventually("all is kept", || {
        let last = kept();
        std::thread::sleep(Duration::from_millis(600));
        last.filter(|last| kept() == Some(*last))
    });
    let (begin, web) = (last / 1_000_000 - 3, mirrorball.web());
    let url = format!("http://{web}/news.ts?start={begin}&duration=2");
    let (said, wrong) = frames_of(&url);
    let frames: u32 =
        said.lines().find_map(|line| line.strip_prefix("h264,")?.parse().ok()).expect("a picture");
    assert!((50..=76).contains(&frames), "{said}");
    // The last picture is cut where the time is over; the first one is whole.
    let begins_wrong =
        ["non-existing", "no frame", "unspecified", "missing"].iter().any(|what| wrong.contains(what));
    assert!(!begins_wrong, "{wrong}");
}
