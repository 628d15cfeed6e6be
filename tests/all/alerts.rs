//! What a real Prometheus says of the program by this repository's rules: each fault fires its own alert and no other one. And
//! whatever its dashboards and rules ask for is there to be answered.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::repair::nack;
use crate::vocabulary::{
    Connection, Group, Mirrorball, Needs, Over, Prometheus, Setup, Source, Viewer, Web, block_udp_port,
    eventually, in_a_network_of_its_own, is_there, passes, raise_firewall, report_of_loss, skip,
};

/// Packets a second: a look each few seconds has to see some.
const PACE: u64 = 400;

/// A channel and who watches over it, who has nothing to say while it plays.
fn at_rest(story: &str, setup: impl FnOnce(Setup) -> Setup) -> Option<(Source, Mirrorball, Prometheus)> {
    at_rest_by(story, |channel| setup(channel).start())
}

/// The same, started like this.
fn at_rest_by(
    story: &str,
    start: impl FnOnce(Setup) -> Mirrorball,
) -> Option<(Source, Mirrorball, Prometheus)> {
    let source = Source::new();
    let setup = Setup::new().channel("news", source.group);
    let mirrorball = start(setup.channel_line("silent_after = \"1s\""));
    let beam = source.beam(PACE);
    let prometheus = Prometheus::watching(&mirrorball, story);
    let prometheus = prometheus.inspect(|prometheus| {
        mirrorball.expect_metric("mirrorball_channel_silent", &[], 0.0);
        prometheus.expect_rest();
    });
    let source = beam.stop();
    prometheus.map(|prometheus| (source, mirrorball, prometheus))
}

/// Sends for a moment, and leaves numbers out: one in so many.
fn send_with_gaps(source: &mut Source, one_in: u64) {
    let until = clock::now() + Duration::from_millis(100);
    while clock::now() < until {
        source.send(one_in - 1);
        source.next += 1;
        thread::sleep(Duration::from_millis(1000 * one_in / PACE));
    }
}

/// A fault, and what is done about it: told beside the others, as each is waiting most of the time.
type Story = (&'static str, fn(&str));

/// What becomes of packets.
const FAULTS: [Story; 7] = [
    ("packets are lost before us, as viewers report too", lost_before_us),
    ("packets are lost in the receive buffer", lost_in_the_buffer),
    ("packets are lost in the ring", lost_in_the_ring),
    ("packets leave late", late),
    ("packets are not sent", lost_at_the_send),
    ("packets are lost after us", lost_after_us),
    ("a viewer does not keep up", not_kept_up),
];

/// Of the program, and of who watches over it.
const FAILURES: [Story; 6] = [
    ("the program is gone", gone),
    ("the program is stuck", stuck),
    ("the program has a fault", faulty),
    ("the program has ended", ended),
    ("the program is started again and again", started_again),
    ("nothing is scraped", nothing_scraped),
];

/// What is about to end, and what is not as it is written any more.
const ENDS: [Story; 4] = [
    ("hardly a descriptor is left", descriptors_run_out),
    ("limits are reached", limits_reached),
    ("the certificate ends soon", certificate_ends),
    ("a config is refused", config_refused),
];

/// What is wanted and not to be had, in part or altogether.
const LACKS: [Story; 7] = [
    ("the source is gone", source_gone),
    ("one track of two is silent", track_gone),
    ("one leg of two is silent", leg_gone),
    ("an interface is not there", not_joined),
    ("a server is not there", pull_fails),
    ("the line carries no more", viewers_refused),
    ("the disk takes nothing", not_recorded),
];

#[test]
fn each_fault_has_an_alert_of_its_own() {
    tell(&FAULTS);
}

#[test]
fn so_has_each_failure_of_the_program() {
    tell(&FAILURES);
}

#[test]
fn so_has_each_end_that_comes_near() {
    tell(&ENDS);
}

#[test]
fn so_has_each_thing_that_is_not_to_be_had() {
    tell(&LACKS);
}

/// One list at a time, as each story has a program and a Prometheus of its own.
fn tell(stories: &[Story]) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for &(name, story) in stories {
            let told = thread::Builder::new().name(name.to_owned());
            told.spawn_scoped(scope, move || story(name)).expect("a thread");
        }
    });
}

/// One channel more.
fn add(mirrorball: &Mirrorball, lines: &str) {
    let lines = format!("[[channel]]\ninterface = \"lo\"\nsilent_after = \"1s\"\n{lines}\n");
    mirrorball.reload(&(mirrorball.config() + &lines));
}

fn track_gone(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let _beam = source.beam(PACE);
    let (picture, sound) = (Source::new(), Group::fresh());
    let of = |media: &str, Group(at): Group| {
        format!("m={media} {} RTP/AVP 33\r\nc=IN IP4 {}/1\r\n", at.port(), at.ip())
    };
    let tracks = of("video", picture.group) + &of("audio", sound);
    let sdp = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=duo\r\nt=0 0\r\n{tracks}");
    fs::write(mirrorball.directory().join("duo.sdp"), sdp).expect("a file");
    let _picture = picture.beam(PACE);
    add(&mirrorball, "name = \"duo\"\nsdp = \"duo.sdp\"");
    prometheus.expect_alone("MirrorballTrackGone", || {});
}

fn leg_gone(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let _beam = source.beam(PACE);
    let (first, second) = (Source::new(), Group::fresh());
    let sources = format!("sources = [\"rtp://{}\", \"rtp://{second}\"]", first.group);
    let _first = first.beam(PACE);
    add(&mirrorball, &format!("name = \"two\"\nredundancy = \"merge\"\n{sources}"));
    prometheus.expect_alone("MirrorballLegGone", || {});
}

fn not_joined(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let lines = format!(
        "[[channel]]\nname = \"far\"\nsource = \"rtp://{}\"\ninterface = \"away0\"\n",
        Group::fresh()
    );
    let _beam = source.beam(PACE);
    mirrorball.reload(&(mirrorball.config() + &lines));
    prometheus.expect_alone("MirrorballNotJoined", || {});
}

fn pull_fails(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let _beam = source.beam(PACE);
    mirrorball.reload(
        &(mirrorball.config() + "[[channel]]\nname = \"far\"\nsource = \"rtsp://127.0.0.1:1/far\"\n"),
    );
    prometheus.expect_alone("MirrorballPullFails", || {});
}

fn viewers_refused(story: &str) {
    let narrow = |setup: Setup| setup.section("limits", "line_groups = 1");
    let Some((source, mirrorball, prometheus)) = at_rest(story, narrow) else { return };
    let _beam = source.beam(PACE);
    add(
        &mirrorball,
        &format!("name = \"other\"\nsource = \"rtp://{}\"\njoin = \"on-demand\"", Group::fresh()),
    );
    let (url, over) = (mirrorball.url("other/trackID=1"), "RTP/AVP/TCP;unicast;interleaved=0-1");
    prometheus.expect_alone("MirrorballRefusesViewers", || {
        let mut connection = Connection::open(mirrorball.rtsp);
        connection.request("SETUP", &url, &[("Transport", over)]).expect(453);
    });
}

fn not_recorded(story: &str) {
    let recordings = TempDir::new().expect("a directory");
    let lines = format!("directory = \"{}\"\nmin_free_bytes = 0", recordings.path().display());
    let recorded = |setup: Setup| setup.channel_line("record = \"10s\"").section("storage", &lines);
    let Some((source, mirrorball, prometheus)) = at_rest(story, recorded) else { return };
    let _beam = source.beam(PACE);
    mirrorball.expect_metric("mirrorball_recording", &[("channel", "news")], 1.0);
    // The next segment has no place any more.
    let place = recordings.path().join("news");
    fs::rename(&place, recordings.path().join("old")).expect("a directory");
    fs::write(&place, "in the way").expect("a file");
    prometheus.expect_alone("MirrorballNotRecording", || {});
}

fn source_gone(story: &str) {
    let Some((_source, _mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    prometheus.expect_alone("MirrorballSourceGone", || {});
}

fn lost_before_us(story: &str) {
    let Some((mut source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    send_with_gaps(&mut source, 20);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    prometheus.expect_alone("MirrorballLossBeforeUs", || {
        send_with_gaps(&mut source, 20);
        viewer.send_rtcp(0, &report_of_loss(source.ssrc, 13 << 24, 0, 0)); // of 256, as one in twenty is
    });
}

fn lost_in_the_buffer(story: &str) {
    let Some((mut source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    prometheus.expect_alone("MirrorballLossInUs: kernel buffer", || {
        // More than it has room for comes while nobody takes it.
        mirrorball.signal(Signal::SIGSTOP);
        source.send(9000);
        mirrorball.signal(Signal::SIGCONT);
        source.send(1); // with which the kernel tells how many it dropped
        thread::sleep(Duration::from_millis(300));
    });
}

fn lost_in_the_ring(story: &str) {
    let slow =
        |setup: Setup| setup.section("engine", "media_workers = 1").section("ring", "max_age = \"400ms\"");
    let Some((source, mirrorball, prometheus)) = at_rest(story, slow) else { return };
    let _beam = source.beam(PACE);
    let _viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    if let Err(error) = mirrorball.hold_still("media-0") {
        return skip(story, &format!("ptrace: {error}"));
    }
    prometheus.expect_alone("MirrorballLossInUs: ring", || hold_the_worker(&mirrorball));
}

/// The only one of media, for a moment.
fn hold_the_worker(mirrorball: &Mirrorball) {
    let worker = mirrorball.hold_still("media-0").expect("as before");
    thread::sleep(Duration::from_millis(300));
    drop(worker);
    thread::sleep(Duration::from_millis(100));
}

/// As in the ring that has lost some, but for its room.
fn late(story: &str) {
    let slow =
        |setup: Setup| setup.section("engine", "media_workers = 1").section("ring", "max_age = \"10s\"");
    let Some((source, mirrorball, prometheus)) = at_rest(story, slow) else { return };
    let _beam = source.beam(PACE);
    let _viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    if let Err(error) = mirrorball.hold_still("media-0") {
        return skip(story, &format!("ptrace: {error}"));
    }
    prometheus.expect_alone("MirrorballLate", || hold_the_worker(&mirrorball));
}

fn lost_at_the_send(story: &str) {
    let needs = Needs { programs: &["nft"], route: false, ipv6: false };
    in_a_network_of_its_own(story, &needs, || {
        let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
        let _beam = source.beam(PACE);
        let viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        raise_firewall();
        block_udp_port(viewer.rtp_port().expect("over UDP"));
        prometheus.expect_alone("MirrorballLossInUs: send", || {});
    });
}

fn lost_after_us(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let ssrc = source.ssrc;
    let _beam = source.beam(PACE);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    prometheus.expect_alone("MirrorballLossAfterUs: way", || {
        viewer.send_rtcp(0, &report_of_loss(ssrc, 26 << 24, 0, 0)); // one in ten
        thread::sleep(Duration::from_millis(100));
    });
}

/// He reads nothing.
fn not_kept_up(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let _beam = source.beam(PACE);
    let connection = Connection::with_little_room(mirrorball.rtsp);
    let _slow = Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp);
    prometheus.expect_alone("MirrorballLossAfterUs: slow connections", || {});
}

fn gone(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let _beam = source.beam(PACE);
    mirrorball.signal(Signal::SIGSTOP);
    prometheus.expect_alone("MirrorballStuckOrGone: gone", || {});
    mirrorball.signal(Signal::SIGCONT);
}

fn stuck(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let _beam = source.beam(PACE);
    let table = mirrorball.threads("poll-control-").pop().expect("one at least");
    let still = match mirrorball.hold_still(&table) {
        Ok(still) => still,
        Err(error) => return skip(story, &format!("ptrace: {error}")),
    };
    prometheus.expect_alone("MirrorballStuckOrGone: stuck", || {});
    drop(still); // before it ends itself
}

/// One who asks while it has cost him his connection, and nobody else anything.
fn faulty(story: &str) {
    let one = |setup: Setup| setup.section("engine", "control_workers = 1");
    let Some((source, mut mirrorball, prometheus)) = at_rest(story, one) else { return };
    let beam = source.beam(PACE);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let lie = match mirrorball.deceive("control-0") {
        Ok(lie) => lie,
        Err(error) => return skip(story, &format!("strace: {error}")),
    };
    let mut unlucky = Connection::open(mirrorball.rtsp);
    unlucky.send("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    assert_eq!(unlucky.all_until_closed(Duration::from_secs(20)), b"", "it is closed, and unanswered");
    drop(lie);
    mirrorball.expect_metric("mirrorball_panics_total", &[], 1.0);
    mirrorball.expect_metric("mirrorball_task_panics_total", &[("queue", "control")], 1.0);
    let url = mirrorball.url("news");
    Connection::open(mirrorball.rtsp).request("DESCRIBE", &url, &[]).expect(200);
    let sent = beam.sent();
    while viewer.stamp().number < sent {}
    prometheus.expect_alone("MirrorballFaults", || {});
    // Where a story ends by itself, it is to have had none.
    mirrorball.signal(Signal::SIGTERM);
    assert!(mirrorball.ended().is_some_and(|status| status.success()), "it ends as any other");
}

fn descriptors_run_out(story: &str) {
    let start = |setup: Setup| setup.start_with_descriptors(64);
    let Some((source, mirrorball, prometheus)) = at_rest_by(story, start) else { return };
    let _beam = source.beam(PACE);
    // Who asks for something may stay.
    let ask = || {
        let mut stream =
            TcpStream::connect(mirrorball.rtsp).expect("it is accepted, if only to be turned away");
        let _ = stream.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        stream
    };
    let _flood: Vec<_> = (0..64).map(|_| ask()).collect();
    prometheus.expect_alone("MirrorballDescriptorsNearLimit", || drop(ask()));
}

/// One by one, below those who are there.
fn limits_reached(story: &str) {
    let open = |setup: Setup| {
        let setup = setup.rtsp("session_timeout = \"10min\"");
        setup.over_web_with("open = [\"239.0.0.0/8\"]\ninterface = \"lo\"\nopen_channels = 1")
    };
    let Some((source, mirrorball, prometheus)) = at_rest(story, open) else { return };
    let (other, config) = (Source::new(), mirrorball.config());
    let url = format!("/rtp/{}", other.group);
    let _beams = [source, other].map(|source| source.beam(PACE));
    let _viewers = [(); 3].map(|()| Viewer::playing(&mirrorball, "news", Over::Udp));
    let limits = [
        "sessions = 1\nsessions_per_channel = 9", // which would be as many
        "connections = 1",
        "sessions_per_channel = 1",
        "egress_mbit = 1",
    ];
    for lines in limits {
        mirrorball.reload(&format!("{config}\n[limits]\n{lines}\n"));
        let (key, _) = lines.split_once(" = ").expect("a key");
        prometheus.expect_alone(&format!("MirrorballNearLimit: limits.{key}"), || {});
    }
    mirrorball.reload(&config);
    let _open = Web::get(mirrorball.web(), &url);
    prometheus.expect_alone("MirrorballNearLimit: http.open_channels", || {});
}

fn certificate_ends(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, Setup::through_tls) else { return };
    let _beam = source.beam(PACE);
    mirrorball.renew_certificate_for(Duration::from_secs(3 * 86_400));
    prometheus.expect_alone("MirrorballCertificateExpires", || {});
}

fn config_refused(story: &str) {
    let Some((source, mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    let _beam = source.beam(PACE);
    let right = mirrorball.config();
    mirrorball.write_config(&format!("{right}\n[ring]\nmax_rage = \"1s\"\n"));
    prometheus.expect_alone("MirrorballConfigRefused", || {});
    mirrorball.write_config(&right);
    prometheus.expect_rest();
}

fn ended(story: &str) {
    let Some((_source, mut mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    mirrorball.kill();
    prometheus.expect_alone("MirrorballStuckOrGone: gone", || {});
}

fn started_again(story: &str) {
    let Some((source, mut mirrorball, prometheus)) = at_rest(story, Setup::at_known_addresses) else {
        return;
    };
    let _beam = source.beam(PACE);
    prometheus.expect_alone("MirrorballStuckOrGone: restarts", || {
        mirrorball.kill();
        mirrorball.start_again();
        mirrorball.expect_page("/ready", 200);
        thread::sleep(Duration::from_millis(1500)); // it is scraped each second
    });
}

fn nothing_scraped(story: &str) {
    let Some((_source, _mirrorball, prometheus)) = at_rest(story, |setup| setup) else { return };
    prometheus.lose_its_target();
    prometheus.expect_alone("MirrorballAbsent", || {});
}

#[test]
fn the_rules_pass_their_unit_tests() {
    const STORY: &str = "the_rules_pass_their_unit_tests";
    if !is_there("promtool") {
        return skip(STORY, "promtool is not installed");
    }
    let tests = dashboards().join("mirrorball-rules.test.yml");
    let told = Command::new("promtool").args(["test", "rules"]).arg(tests).output().expect("promtool runs");
    let text = [told.stdout, told.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(told.status.success(), "{text}");
}

#[test]
fn whatever_dashboards_and_rules_ask_for_is_there_to_be_answered() {
    const STORY: &str = "whatever_dashboards_and_rules_ask_for_is_there_to_be_answered";
    let [mut news, film, leg, other_leg] = [(); 4].map(|()| Source::new());
    let recordings = TempDir::new().expect("a directory");
    let kept =
        format!("directory = \"{}\"\nmin_free_bytes = 0\nmax_bytes = 2_000_000", recordings.path().display());
    let setup =
        Setup::new().channel("news", news.group).channel_line("record = \"10s\"").section("storage", &kept);
    let setup = setup.channel("film", film.group);
    let setup =
        setup.channel_of_sources("two", &format!("\"rtp://{}\", \"rtp://{}\"", leg.group, other_leg.group));
    let setup = setup.channel_line("redundancy = \"merge\"");
    let pulled = "name = \"gate\"\nsource = \"rtsp://127.0.0.1:1/gate\"\njoin = \"on-demand\"";
    let setup = setup.channel_lines(pulled).through_tls().over_web_with("open = [\"239.1.0.0/16\"]");
    let mirrorball = setup.section("limits", "line_groups = 64\nline_mbit = 500").start();
    let Some(prometheus) = Prometheus::watching(&mirrorball, STORY) else { return };
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    // What is there from its first time on.
    let rare = [
        "reported_jitter_seconds",
        "repair_refused_total",
        "channel_refused_total",
        "leg_skew_seconds",
        "track_start_age_seconds",
    ];
    let mut names = BTreeSet::new();
    let mut missing = Vec::new();
    let is_counted = passes(Duration::from_secs(20), || {
        news.send(1);
        news.send_bytes(b"no packet of RTP");
        film.send_bytes(&[&film.packet(news.next)[..12], &PICTURE, &[0xff; 188 - PICTURE.len()]].concat());
        [&leg, &other_leg].iter().for_each(|other| other.send_bytes(&leg.packet(news.next)));
        viewer.report_on(news.ssrc);
        viewer.send_rtcp(0, &nack(1, 1, &[(7, 0)])); // of nothing that it is sent
        names = prometheus.names();
        missing = rare.to_vec();
        missing.retain(|name| !names.contains(&format!("mirrorball_{name}")));
        missing.is_empty()
    });
    assert!(is_counted, "nothing is called {missing:?}");
    let rules = eventually("all rules are evaluated", || {
        let rules = prometheus.rules();
        rules.iter().all(|rule| rule.health != "unknown").then_some(rules)
    });
    let mut asked = panels();
    for rule in rules {
        assert_eq!(rule.health, "ok", "{}: {}", rule.name, rule.query);
        asked.push((rule.name, rule.query));
    }
    assert!(asked.len() > 100, "only {} expressions were found", asked.len());
    for (place, expression) in asked {
        prometheus.query(&expression).unwrap_or_else(|error| panic!("{place}: {expression}: {error}"));
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_ours = |word: &&str| word.starts_with("mirrorball_") || word.starts_with("process_");
        // Where operators come through TLS, which Prometheus does not do here.
        let is_there = |word: &str| names.contains(word) || word.starts_with("mirrorball_admin_certificate_");
        let unknown: Vec<_> = words.filter(is_ours).filter(|word| !is_there(word)).collect();
        assert!(unknown.is_empty(), "{place}: nothing is called {unknown:?}");
    }
}

/// A packet of a transport stream that a decoder can start with begins so.
const PICTURE: [u8; 16] = [0x47, 0x41, 0, 0x30, 7, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xe0];

fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// What the panels of all dashboards ask for, with all instances, and any channel.
fn panels() -> Vec<(String, String)> {
    let files = fs::read_dir(dashboards()).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found = Vec::new();
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let text = fs::read_to_string(&file).expect("a dashboard");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            let place = format!("{}: {}", file.display(), panel["title"].as_str().unwrap_or_default());
            let targets = panel["targets"].as_array().into_iter().flatten();
            let asked = targets.filter_map(|target| target["expr"].as_str()).map(filled_in);
            found.extend(asked.map(|expression| (place.clone(), expression)));
        }
    }
    found
}

/// As Grafana would ask it.
fn filled_in(expression: &str) -> String {
    let values = [("$instance", ".*"), ("$channel", ".*"), ("$__rate_interval", "1m"), ("$__range", "1h")];
    values.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}
