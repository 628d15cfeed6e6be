//! Films as channels: what is in files, shown to all who watch, over and over; and what stands by for sources.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::players::programme::ffmpeg;
use crate::vocabulary::film::{MS, PACKET, TOGETHER, film, read};
use crate::vocabulary::{
    Group, Mirrorball, Needs, Over, Setup, Source, Viewer, eventually, in_a_network_of_its_own, say,
    storage_in,
};

/// A millisecond of a clock of 90 kHz, which is as exactly as an MP4 says how long it is.
const MS_IN_TICKS: i64 = 90;
/// Packets of the film that goes round: 2.1 s.
const FILM: usize = 420;

/// A place for films, and for their indexes.
struct Reels {
    films: TempDir,
    kept: TempDir,
}

impl Reels {
    fn new() -> Self {
        let [films, kept] = [(); 2].map(|()| TempDir::new().expect("a directory"));
        Self { films, kept }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.films.path().join(name)
    }

    fn keep(&self, name: &str, film: &[u8]) -> String {
        fs::write(self.path(name), film).expect("there is room");
        self.url(name)
    }

    fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    /// Two seconds of pictures and a tone.
    fn make(&self, name: &str, made_by: &str) -> String {
        let pictures = "testsrc2=size=160x120:rate=25";
        let mut make =
            ffmpeg(&["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", "sine=sample_rate=48000"]);
        make.args(["-t", "2", "-c:v", "libx264", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac"]);
        make.args(made_by.split_ascii_whitespace()).arg(self.path(name));
        assert!(make.status().expect("ffmpeg runs").success(), "{name}");
        self.url(name)
    }

    fn setup(&self) -> Setup {
        Setup::new().section("storage", &storage_in(self.kept.path(), ""))
    }

    fn show(&self, source: &str, lines: &str) -> Mirrorball {
        self.setup().channel_lines(&format!("name = \"loop\"\nsource = \"{source}\"\n{lines}")).start()
    }
}

/// What the clock of a packet says.
fn clock(packet: &[u8]) -> u64 {
    let high = u32::from_be_bytes(packet[6..10].try_into().expect("four"));
    u64::from(high) << 1 | u64::from(packet[10] >> 7)
}

/// When ffmpeg decodes what it has of a stream in so many seconds, in its ticks.
fn decoded(url: &str, stream: &str, seconds: &str) -> Vec<i64> {
    let told = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-t", seconds])
        .args(["-map", stream, "-c", "copy", "-f", "framecrc", "-"])
        .output()
        .expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let frames = text.lines().filter(|line| !line.starts_with('#'));
    frames.map(|line| line.split(',').nth(1).expect("a time").trim().parse().expect("a number")).collect()
}

/// Each comes as long after the one before, whatever film it is of.
#[track_caller]
fn expect_even(times: &[i64], least: usize, tolerance: i64) {
    assert!(times.len() >= least, "{} are too few", times.len());
    let step = times[1] - times[0];
    let odd = times.windows(2).find(|pair| (pair[1] - pair[0] - step).abs() > tolerance);
    assert!(odd.is_none(), "{odd:?} in {times:?}");
}

#[test]
fn a_film_goes_round_as_one_stream_whose_clocks_and_counters_go_on() {
    let reels = Reels::new();
    let source = reels.keep("loop.ts", &film(FILM));
    let mirrorball = reels.show(&source, "start = \"live\"");
    let mut viewer = Viewer::playing(&mirrorball, "loop", Over::Udp);
    let (mut last, mut clocks, mut counters) = (None, Vec::new(), Vec::new());
    for _ in 0..3 * FILM / TOGETHER {
        let packet = viewer.packet();
        let (sequence, timestamp, payload) = read(&packet);
        if let Some((before, time)) = last.replace((sequence, timestamp)) {
            assert_eq!(sequence.wrapping_sub(before), 1);
            let passed = timestamp.wrapping_sub(time);
            assert!((3100..3200).contains(&passed), "{passed} ticks of seven packets");
        }
        clocks.extend(payload.chunks(PACKET).map(clock));
        counters.extend(payload.chunks(PACKET).map(|packet| packet[3] & 0xf));
    }
    let odd = clocks.windows(2).find(|pair| pair[1] - pair[0] != 90 * MS as u64);
    assert_eq!(odd, None, "the clock goes on over the seam");
    let seams = counters.windows(2).filter(|pair| pair[1] != pair[0]).count();
    assert!((2..=3).contains(&seams), "it counts on, at each seam: {seams}");
    assert!(mirrorball.metric("mirrorball_films_begun_total", &[("channel", "loop")]) >= 3.0);
    mirrorball.expect_metric("mirrorball_film_delays_total", &[("channel", "loop")], 0.0);
}

#[test]
fn real_films_go_round_without_a_step() {
    let needs = Needs { programs: &["ip", "ffmpeg"], route: false, ipv6: false };
    in_a_network_of_its_own("real_films_go_round_without_a_step", &needs, || {
        let reels = Reels::new();
        for (file, made_by) in [("a.ts", "-bf 2 -f mpegts"), ("b.mp4", "-bf 2 -movflags +faststart")] {
            let mirrorball = reels.show(&reels.make(file, made_by), "");
            let url = mirrorball.url("loop");
            mirrorball.expect_logged("films are shown", 1);
            let (video, audio) = (decoded(&url, "0:v", "5"), decoded(&url, "0:a", "5"));
            expect_even(&video, 100, MS_IN_TICKS);
            let step = audio[1] - audio[0];
            let seams = audio.windows(2).filter(|pair| (pair[1] - pair[0] - step).abs() > step);
            assert_eq!(seams.count(), 0, "{file}: no more than a frame of sound is missing: {audio:?}");
            say(&format!("{file}: {} pictures and {} frames of sound", video.len(), audio.len()));
        }
    });
}

#[test]
fn a_list_is_shown_in_its_order_and_what_can_not_be_shown_is_passed_over_and_told() {
    let reels = Reels::new();
    reels.keep("one.ts", &film(FILM / 3));
    reels.keep("two.ts", &film(FILM / 3));
    reels.keep("text.ts", b"no film at all");
    let list = "#EXTM3U\none.ts\nabsent.ts\ntext.ts\ntwo.ts\n";
    let source = reels.keep("list.m3u", list.as_bytes());
    let mirrorball = reels.show(&source, "loop = false");
    let mut viewer = Viewer::playing(&mirrorball, "loop", Over::Tcp);
    let mut packets = 0;
    while viewer.packet_within(0, Duration::from_secs(3)).is_some() {
        packets += 1;
    }
    assert!((30..=41).contains(&packets), "both of twenty, and it is over: {packets}");
    mirrorball.expect_metric("mirrorball_film_faults_total", &[("channel", "loop")], 2.0);
    let told = &mirrorball.expect_logged("a film is not shown", 1)[0];
    assert!(told.contains("absent.ts") && told.contains("No such file"), "{told}");
    mirrorball.expect_logged("was shown to the end", 1);
}

#[test]
fn a_channel_waits_for_its_film_and_takes_another_one_in_its_place() {
    let reels = Reels::new();
    let mirrorball = reels.show(&reels.url("later.ts"), "");
    mirrorball.expect_logged("a film is not shown", 1);
    // What is whole when it is there has been renamed.
    reels.keep("later.new", &film(FILM / 3));
    fs::rename(reels.path("later.new"), reels.path("later.ts")).expect("renamed");
    let mut viewer = Viewer::playing(&mirrorball, "loop", Over::Udp);
    let first = viewer.packet();
    assert_eq!(read(&first).2.len(), TOGETHER * PACKET);
    let mut other = film(FILM / 3);
    other.chunks_mut(PACKET).for_each(|packet| packet[20] = 7);
    fs::write(reels.path("later.new"), other).expect("there is room");
    fs::rename(reels.path("later.new"), reels.path("later.ts")).expect("renamed");
    eventually("the other one is shown", || (read(&viewer.packet()).2[20] == 7).then_some(()));
}

#[test]
fn nobody_wants_it_and_it_rests_somebody_does_and_has_it_from_its_beginning() {
    let reels = Reels::new();
    let source = reels.keep("long.ts", &film(20 * FILM));
    let mirrorball = reels.show(&source, "join = \"on-demand\"\nlinger = \"0s\"");
    for _ in 0..2 {
        let mut viewer = Viewer::playing(&mirrorball, "loop", Over::Udp);
        let packet = viewer.packet();
        let begins = clock(read(&packet).2);
        assert!(begins < 90 * 1000, "{begins} is not its beginning");
        (0..10).for_each(|_| drop(viewer.packet()));
        viewer.teardown();
        eventually("it rests", || {
            (mirrorball.metric("mirrorball_channel_joined", &[("channel", "loop")]) == 0.0).then_some(())
        });
    }
}

#[test]
fn what_stands_by_is_shown_while_no_source_sends_in_one_stream_with_it() {
    let reels = Reels::new();
    let standby = reels.keep("standby.ts", &film(FILM));
    let mut source = Source::new();
    let mirrorball = reels
        .setup()
        .channel_of_sources("news", &format!("\"rtp://{}\", \"{standby}\"", source.group))
        .channel_line("redundancy = \"failover\"\nfailover_after = \"300ms\"\nreturn_after = \"1s\"")
        .start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let is_film = |packet: &[u8]| packet.len() == 12 + TOGETHER * PACKET && packet[12] == 0x47;
    let mut last = None;
    let mut next = |viewer: &mut Viewer| {
        let packet = viewer.packet();
        let (sequence, _, _) = read(&packet);
        let before: Option<u16> = last.replace(sequence);
        assert!(before.is_none_or(|before| sequence.wrapping_sub(before) == 1), "{before:?} {sequence}");
        packet
    };
    assert!(is_film(&next(&mut viewer)), "nobody sends yet");
    for _ in 0..2 {
        let beam = source.beam(200);
        while is_film(&next(&mut viewer)) {}
        source = beam.stop();
        while !is_film(&next(&mut viewer)) {}
    }
    let leg = |name: &str, leg: &str| mirrorball.metric(name, &[("channel", "news"), ("leg", leg)]);
    assert!(leg("mirrorball_leg_switches_total", "2") >= 2.0, "what stands by is a leg as others are");
    mirrorball.expect_metric("mirrorball_leg_active", &[("channel", "news"), ("leg", "2")], 1.0);
}

#[test]
fn a_film_goes_to_a_group_as_any_channel_does() {
    let reels = Reels::new();
    let group = Group::fresh();
    let lines = format!("multicast_out = \"{group}\"\nmulticast_out_interface = \"lo\"\nannounce = true");
    let source = reels.keep("loop.ts", &film(FILM));
    let _mirrorball = reels.show(&source, &lines);
    let ear = group.ear(0);
    ear.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    let mut datagram = [0; 2048];
    let length = ear.recv(&mut datagram).expect("it is sent there");
    assert_eq!((length, datagram[12]), (12 + TOGETHER * PACKET, 0x47));
}

#[test]
fn a_reload_shows_another_film_and_takes_none_from_who_watches_another_channel() {
    let reels = Reels::new();
    let [one, two] = ["one.ts", "two.ts"].map(|name| reels.keep(name, &film(FILM)));
    let channel = |name: &str, source: &str| format!("name = \"{name}\"\nsource = \"{source}\"");
    let mirrorball =
        reels.setup().channel_lines(&channel("a", &one)).channel_lines(&channel("b", &one)).start();
    let mut stays = Viewer::playing(&mirrorball, "b", Over::Udp);
    let first = read(&stays.packet()).0;
    let config = mirrorball.config();
    let (before, after) = config.split_once("name = \"b\"").expect("both are there");
    mirrorball.reload(&format!("{}name = \"b\"{after}", before.replace(&one, &two)));
    let mut other = Viewer::playing(&mirrorball, "a", Over::Udp);
    assert_eq!(read(&other.packet()).2.len(), TOGETHER * PACKET);
    for number in 1..100 {
        assert_eq!(read(&stays.packet()).0, first.wrapping_add(number));
    }
    mirrorball.reload(before.trim_end().trim_end_matches("[[channel]]"));
    let metrics = mirrorball.expect_page("/metrics", 200);
    assert!(metrics.contains("mirrorball_films_begun_total{channel=\"a\"}"));
    assert!(!metrics.contains("channel=\"b\""), "nothing is left of it");
}
