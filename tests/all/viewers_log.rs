//! What the log tells of each viewer: who came, what he got, why he left, who was refused. And what it never tells.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use nix::sys::signal::Signal;

use crate::vocabulary::{
    Connection, Mirrorball, Over, Setup, Source, Stamp, Viewer, binary, bye, eventually, receiver_report,
    report_of_loss, sender_report, skip,
};

const PLAYS: &str = "a session plays";
const ENDS: &str = "a session has ended";
const QUIET: Duration = Duration::from_millis(300);
const UDP: (&str, &str) = ("Transport", "RTP/AVP;unicast;client_port=5000-5001");

#[test]
fn a_viewer_over_udp_got_what_its_last_line_says() {
    expect_true_line(Over::Udp);
}

#[test]
fn a_viewer_over_tcp_got_what_its_last_line_says() {
    expect_true_line(Over::Tcp);
}

/// It leaves in the midst of a stream, with another beside it that came before and stays, and after a pause.
fn expect_true_line(over: Over) {
    let source = Source::new();
    let mut mirrorball = Setup::new().channel("news", source.group).start();
    let beam = source.beam(800);
    let mut stays = Viewer::playing(&mirrorball, "news", over);
    stays.stamp();
    let mut viewer = Viewer::playing(&mirrorball, "news", over);
    let got_before = (0..150).map(|_| viewer.packet().len()).collect::<Vec<_>>();
    viewer.request("PAUSE").expect(200);
    let got_late = rest(&mut viewer);
    viewer.play();
    let got_after = (0..150).map(|_| viewer.packet().len()).collect::<Vec<_>>();
    let began = mirrorball.expect_logged(PLAYS, 2);
    viewer.request("TEARDOWN").expect(200);
    let got_last = rest(&mut viewer);
    let got = [got_before, got_late, got_after, got_last].concat();
    let own = viewer.connection.stream.local_addr().expect("connected").port().to_string();
    let ended = &mirrorball.expect_logged(ENDS, 1)[0];
    let began = began.iter().find(|line| field(line, "port") == own).expect("its first line");
    assert_eq!(field(began, "session"), field(ended, "session"));
    assert_eq!(field(began, "transport"), if over == Over::Udp { "udp" } else { "tcp" });
    match viewer.rtp_port() {
        Some(port) => assert!(field(began, "client_ports").starts_with(&format!("{port}-")), "{began}"),
        None => assert_eq!(field(began, "channels"), "0-1"),
    }
    for (name, value) in
        [("client", "127.0.0.1"), ("port", &own), ("channel", "news"), ("reason", "teardown")]
    {
        assert_eq!(field(ended, name), value, "{ended}");
    }
    assert_eq!(field(ended, "packets"), got.len().to_string(), "{ended}");
    assert_eq!(field(ended, "bytes"), got.iter().sum::<usize>().to_string(), "{ended}");
    assert_eq!(field(ended, "missed"), "0", "{ended}");
    assert!(
        field(ended, "seconds").parse::<f64>().is_ok_and(|seconds| (0.3..60.0).contains(&seconds)),
        "{ended}"
    );
    assert!(!ended.contains(" lost=") && !ended.contains(" round_trip_ms="), "it has said nothing: {ended}");
    mirrorball.signal(Signal::SIGTERM);
    let stopped = &mirrorball.expect_logged(ENDS, 2)[1];
    let got = 1 + rest(&mut stays).len();
    assert_eq!((field(stopped, "reason"), field(stopped, "packets")), ("shutdown", got.to_string().as_str()));
    assert!(mirrorball.ended().is_some_and(|status| status.success()));
    beam.stop();
}

#[test]
fn a_viewer_that_was_stuck_has_missed_what_it_did_not_get() {
    let mut source = Source::new();
    let setup = Setup::new().section("ring", "max_bytes = 65536").channel("news", source.group);
    let mirrorball = setup.start();
    let connect = || {
        let connection = Connection::with_little_room(mirrorball.rtsp);
        Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp)
    };
    source.send(1);
    let (mut reads_again, mut never_reads) = (connect(), connect());
    never_reads.stamp();
    let mut got = vec![reads_again.stamp().number];
    for _ in 0..300 {
        source.send(10);
        thread::sleep(Duration::from_millis(1));
    }
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[], 3001.0);
    never_reads.vanish();
    let ended = &mirrorball.expect_logged(ENDS, 1)[0];
    assert_eq!(field(ended, "reason"), "connection closed");
    let [sent, missed] = ["packets", "missed"].map(|name| number(ended, name));
    assert!(missed > 100 && sent + missed <= 3001, "what the ring still has is not missed: {ended}");
    assert!(sent + missed > 3001 - 60, "{ended}");
    let mut take = |viewer: &mut Viewer| {
        while let Some(packet) = viewer.packet_within(0, QUIET) {
            got.push(Stamp::read(&packet).expect("a whole packet").number);
        }
    };
    take(&mut reads_again);
    source.send(1);
    take(&mut reads_again);
    reads_again.request("TEARDOWN").expect(200);
    let ended = &mirrorball.expect_logged(ENDS, 2)[1];
    assert_eq!(number(ended, "packets"), got.len() as u64, "{ended}");
    let due = got[got.len() - 1] - got[0] + 1;
    assert_eq!(number(ended, "missed"), due - got.len() as u64, "{ended}");
    assert!(number(ended, "missed") > 100, "it was stuck: {ended}");
}

#[test]
fn what_a_viewer_reports_is_told_and_the_way_there_and_back_is_what_is_left_of_the_time() {
    let mut source = Source::new();
    let ssrc = source.ssrc;
    let mirrorball = Setup::new().channel("news", source.group).start();
    source.send(1);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    viewer.stamp();
    let sent_at = clock::now();
    source.send_rtcp(&sender_report(ssrc, 0));
    viewer.rtcp();
    thread::sleep(Duration::from_millis(400));
    // It says that it has had the report for a quarter of a second. Its name is the middle of its time.
    viewer.send_rtcp(0, &report_of_loss(ssrc, 7, 0x8000, 65_536 / 4));
    mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 1.0);
    let longest = sent_at.elapsed().as_secs_f64() * 1e3 - 250.0;
    // Names that nothing is known by change nothing.
    viewer.send_rtcp(0, &[report_of_loss(ssrc, 9, 0x7777, 1), bye(0x7e57)].concat());
    let ended = &mirrorball.expect_logged(ENDS, 1)[0];
    assert_eq!((field(ended, "reason"), field(ended, "lost")), ("goodbye", "9"));
    let round_trip: f64 = field(ended, "round_trip_ms").parse().expect("a number");
    assert!((150.0..=longest).contains(&round_trip), "{ended}, at most {longest}");
}

#[test]
fn each_way_of_leaving_has_its_reason() {
    let source = Source::new();
    let of_channel = || Setup::new().channel("news", source.group);
    let (mirrorball, patient) = (of_channel().rtsp("session_timeout = \"2s\"").start(), of_channel().start());
    let beam = source.beam(50);
    let mut never_plays = Viewer::of(&mirrorball, "news");
    never_plays.set_up(1, Over::Udp);
    Viewer::playing(&mirrorball, "news", Over::Tcp).vanish();
    let _silent = Viewer::playing(&mirrorball, "news", Over::Udp);
    // A closed port is found by two looks; on a busy machine that is not before a short time is up.
    let mut port_closed = Viewer::playing(&patient, "news", Over::Udp);
    port_closed.stamp();
    port_closed.move_port(true);
    for (mirrorball, reason) in
        [(&mirrorball, "connection closed"), (&patient, "refused"), (&mirrorball, "timeout")]
    {
        mirrorball.expect_logged(&format!("reason=\"{reason}\""), 1);
    }
    let unplayed = mirrorball.expect_logged("a session has ended before it played", 1);
    assert_eq!(field(&unplayed[0], "reason"), "timeout");
    beam.stop();
}

#[test]
fn sixty_sessions_and_fifteen_refusals_each_leave_their_lines() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let absent = mirrorball.url("absent");
    let over = |place: usize| if place.is_multiple_of(2) { Over::Udp } else { Over::Tcp };
    let viewers: Vec<_> = (0..60).map(|place| Viewer::playing(&mirrorball, "news", over(place))).collect();
    for host in 1..=15 {
        let mut connection = Connection::from(Ipv4Addr::new(127, 0, 1, host), mirrorball.rtsp);
        connection.request("DESCRIBE", &absent, &[("User-Agent", "VLC/3.0")]).expect(404);
    }
    viewers.into_iter().for_each(Viewer::teardown);
    for of in [PLAYS, ENDS] {
        let lines = mirrorball.expect_logged(of, 60);
        let mut sessions: Vec<_> = lines.iter().map(|line| number(line, "session")).collect();
        sessions.sort_unstable();
        assert_eq!(sessions, (1..=60).collect::<Vec<_>>(), "each once");
    }
    let refused = mirrorball.expect_logged(": refused client=", 15);
    for (line, host) in refused.iter().zip(1..) {
        let expected = format!("refused client=127.0.1.{host} port=");
        assert!(line.contains(&expected) && line.contains(" INFO "), "{expected} in {line}");
        for (name, value) in
            [("status", "404"), ("method", "DESCRIBE"), ("asked", "absent"), ("agent", "VLC/3.0")]
        {
            assert_eq!(field(line, name), value, "{line}");
        }
    }
    assert_eq!((mirrorball.lines_logged("refused"), mirrorball.lines_logged("and more")), (15, 0));
}

#[test]
fn of_a_storm_of_three_thousand_few_lines_are_told_and_all_is_summed() {
    const ALL: u64 = 3000;
    let source = Source::new();
    let setup = Setup::new().channel("news", source.group);
    let mirrorball = setup.section("ring", "max_age = \"60s\"").start(); // so that nobody is refused as late
    let beam = source.beam(100);
    let mut connection = Connection::open(mirrorball.rtsp);
    let (url, began) = (mirrorball.url("news"), clock::now());
    for _ in 0..ALL {
        let granted = connection.request("SETUP", &url, &[("Transport", "RTP/AVP/TCP;unicast")]).expect(200);
        let session = granted.header("Session").expect("a session").split(';').next().unwrap_or_default();
        connection.request("PLAY", &url, &[("Session", session)]).expect(200);
        connection.request("TEARDOWN", &url, &[("Session", session)]).expect(200);
    }
    let seconds = began.elapsed().as_secs() + 1;
    let mut got = 0;
    while connection.frame(0, QUIET).is_some() {
        got += 1;
    }
    let sum = |lines: &[String], name: &str| lines.iter().map(|line| number(line, name)).sum::<u64>();
    let told = |each: &str, more: &str| {
        let told = || (mirrorball.logged(&format!("{each} client=")), mirrorball.logged(more));
        eventually("all are told, or in a sum", || {
            let (each, more) = told();
            (each.len() as u64 + sum(&more, "sessions") == ALL).then_some((each, more))
        })
    };
    let (begun, _) = told(PLAYS, "and more sessions play");
    let (ended, more_ended) = told(ENDS, "and more sessions have ended");
    assert_eq!(sum(&ended, "packets") + sum(&more_ended, "packets"), got);
    for each in [begun, ended] {
        assert!(each.len() as u64 <= 64 + 8 * seconds, "{} lines in {seconds} s", each.len());
    }
    assert!(more_ended.len() as u64 <= seconds + 2, "{more_ended:#?}");
    assert!(more_ended[0].contains("reasons=\"teardown "), "{}", more_ended[0]);
    beam.stop();
}

#[test]
fn who_is_refused_again_and_again_is_told_of_once_and_counted() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let (url, absent) = (mirrorball.url("news"), mirrorball.url("absent"));
    let mut connection = Connection::open(mirrorball.rtsp);
    for _ in 0..500 {
        connection.request("DESCRIBE", &absent, &[]).expect(404);
    }
    connection.request("SETUP", &url, &[("Transport", "RTP/AVP;multicast")]).expect(461);
    let well_known = [("Transport", "RTP/AVP;unicast;client_port=53-54")];
    connection.request("SETUP", &url, &well_known).expect(461);
    let again = mirrorball.expect_logged("refused again", 1);
    assert_eq!((field(&again[0], "client"), number(&again[0], "times")), ("127.0.0.1", 499));
    let reasons: Vec<_> =
        mirrorball.logged(": refused client=").iter().map(|line| field(line, "reason").to_owned()).collect();
    assert_eq!(reasons, ["no such channel or track", "transport not supported", "port"]);
}

#[test]
fn nobody_outside_writes_lines_of_his_own_or_long_ones() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let mut connection = Connection::open(mirrorball.rtsp);
    let forged = "x\" client=6.6.6.6\u{202e}\u{85}\u{9b}31m";
    let agents = [forged.to_owned(), "y".repeat(7000)];
    let path = format!("a%22 refused client=7.7.7.7 {}", "z".repeat(600));
    let uris = [mirrorball.url("absent"), format!("rtsp://{}/{}", mirrorball.rtsp, path.replace(' ', "%20"))];
    for ((agent, uri), host) in agents.iter().zip(uris).zip(1..) {
        let mut connection = Connection::from(Ipv4Addr::new(127, 0, 2, host), mirrorball.rtsp);
        connection.request("DESCRIBE", &uri, &[("User-Agent", agent)]).expect(404);
    }
    connection.send("DESCRIBE rtsp://edge/\x1b]0;x\x07 RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    connection.reply().expect(400);
    let lines = mirrorball.expect_logged(": refused client=", 3);
    for (line, client) in lines.iter().zip(["127.0.2.1", "127.0.2.2", "127.0.0.1"]) {
        assert!(line.contains(&format!("mirrorball::viewers: refused client={client} port=")), "{line}");
        assert!(
            line.chars().count() < 700 && !line.contains(char::is_control) && !line.contains('\u{202e}'),
            "{line}"
        );
    }
    assert_eq!(mirrorball.lines_logged("refused client="), 3, "the forged ones are within quotes of another");
}

#[test]
fn a_connection_that_is_closed_from_here_has_its_reason() {
    let source = Source::new();
    let mirrorball = Setup::new().rtsp("session_timeout = \"2s\"").channel("news", source.group).start();
    let mut idle = Connection::open(mirrorball.rtsp);
    idle.request("OPTIONS", "*", &[]).expect(200);
    let _silent = Connection::open(mirrorball.rtsp);
    let mut unfinished = Connection::open(mirrorball.rtsp);
    unfinished.send("DESC");
    for reason in ["idle", "silent", "unfinished"] {
        let line = &mirrorball.expect_logged(&format!("reason=\"{reason}\""), 1)[0];
        assert!(line.contains("mirrorball::viewers: connection closed client=127.0.0.1 port="), "{line}");
    }
    let limits = Setup::new().section("limits", "connections_per_address = 1").channel("news", source.group);
    let mirrorball = limits.start();
    let _first = Connection::open(mirrorball.rtsp);
    let _second = Connection::open(mirrorball.rtsp);
    let line = &mirrorball.expect_logged("connection refused client=", 1)[0];
    assert_eq!((field(line, "status"), field(line, "reason")), ("503", "address"));
}

#[test]
fn json_is_an_object_a_line_with_its_fields() {
    let mut source = Source::new();
    let setup = Setup::new().section("log", "format = \"json\"").channel("news", source.group);
    let mirrorball = setup.start();
    source.send(1);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    viewer.stamp();
    viewer.teardown();
    let mut connection = Connection::open(mirrorball.rtsp);
    connection.request("DESCRIBE", &mirrorball.url("absent"), &[("User-Agent", "\"}\u{202e}")]).expect(404);
    mirrorball.expect_logged("\"refused\"", 1);
    mirrorball.expect_logged(ENDS, 1);
    let lines = mirrorball.logged("");
    let parse = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect(line);
    let objects: Vec<_> = lines.iter().map(parse).collect();
    let of = |message: &str| objects.iter().find(|object| object["message"] == message).expect("told");
    let ended = of(ENDS);
    assert_eq!((ended["level"].as_str(), ended["client"].as_str()), (Some("INFO"), Some("127.0.0.1")));
    assert_eq!((ended["packets"].as_u64(), ended["missed"].as_u64()), (Some(1), Some(0)));
    assert!(ended["seconds"].is_f64() && ended["timestamp"].is_string(), "{ended}");
    assert_eq!(of("refused")["agent"], "\"}?");
    assert_eq!(of("refused")["status"], 404);
}

#[test]
fn errors_of_a_config_are_json_where_that_was_asked_for() {
    let setup = Setup::new().rtsp("lisen = 5");
    let output = binary()
        .args(["serve", "--log-format", "json", "--config"])
        .arg(setup.write())
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("unknown key `lisen`"), "{text}");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn under_journald_lines_have_priorities_and_no_time_of_their_own() {
    let source = Source::new();
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("journal");
    let file = File::create(&path).expect("a file");
    let about = file.metadata().expect("a file");
    let mut command = binary();
    command.env("JOURNAL_STREAM", format!("{}:{}", about.dev(), about.ino()));
    let setup = Setup::new().channel("news", source.group).at_known_addresses();
    let mut mirrorball = setup.launch(command, file);
    mirrorball.expect_page("/ready", 200);
    Connection::open(mirrorball.rtsp).request("DESCRIBE", &mirrorball.url("absent"), &[]).expect(404);
    mirrorball.signal(Signal::SIGHUP);
    let log = eventually("both are told", || {
        let log = fs::read_to_string(&path).expect("text");
        (log.contains("refused") && log.contains("SIGHUP")).then_some(log)
    });
    for line in log.lines() {
        let starts = ["<4> WARN mirrorball::", "<6> INFO mirrorball::"];
        assert!(starts.iter().any(|start| line.starts_with(start)), "{line}");
    }
    mirrorball.signal(Signal::SIGTERM);
    assert_eq!(mirrorball.ended().and_then(|status| status.code()), Some(0));
}

#[test]
fn a_stream_of_another_is_no_journal() {
    let mut command = binary();
    command.env("JOURNAL_STREAM", "8:12345").args(["demo", "--listen", "192.0.2.1:0"]).stdin(Stdio::null());
    let output = command.output().expect("the program runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.starts_with("20") && text.contains("Z ERROR "), "a time, and no prefix: {text}");
}

#[test]
fn a_terminal_has_colours_unless_they_are_not_wanted() {
    if let Err(error) = Command::new("script").arg("--version").stdin(Stdio::null()).output() {
        return skip("a_terminal_has_colours_unless_they_are_not_wanted", &format!("script: {error}"));
    }
    let typed = format!("{} demo --listen 192.0.2.1:0", env!("CARGO_BIN_EXE_mirrorball"));
    let shown = |no_color: &str| {
        let mut terminal = Command::new("script"); // of util-linux: gives the command a terminal
        terminal.args(["-qec", &typed, "/dev/null"]).env("NO_COLOR", no_color).stdin(Stdio::null());
        String::from_utf8(terminal.output().expect("it was there").stdout).expect("text")
    };
    let (coloured, plain) = (shown(""), shown("1"));
    assert!(coloured.contains("\x1b[31mERROR"), "an empty NO_COLOR means nothing: {coloured:?}");
    assert!(plain.contains("ERROR") && !plain.contains('\x1b'), "{plain:?}");
}

#[test]
fn the_log_carries_no_credentials_at_any_level() {
    const SECRET: &str = "Sesame42";
    let mut source = Source::new();
    let mirrorball = Setup::new().logging("trace").channel("news", source.group).start();
    source.send(1);
    let basic = format!("Basic {SECRET}");
    let headers = [("Authorization", basic.as_str()), ("Proxy-Authorization", &basic), UDP];
    let host = mirrorball.rtsp;
    let mut connection = Connection::open(mirrorball.rtsp);
    for user in [format!("user:{SECRET}@"), format!("user:x/{SECRET}@"), format!("{SECRET}@")] {
        for path in ["news", "absent", "news?token=x", "absent/trackID=9"] {
            for method in ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN", "RECORD", "FLY"] {
                connection.request(method, &format!("rtsp://{user}{host}/{path}"), &headers);
            }
        }
    }
    connection.request("DESCRIBE", &format!("//user:{SECRET}@{host}/absent"), &headers).expect(404);
    connection.request("DESCRIBE", &format!("rtsp://{host}/absent?token={SECRET}"), &headers).expect(404);
    connection.send(format!("DESCRIBE rtsp://user:{SECRET}@edge/ RTSP/9.9\r\nCSeq: 9\r\n\r\n"));
    connection.reply().expect(505);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    viewer.send_rtcp(0, &receiver_report());
    viewer.stamp();
    let id = viewer.session.clone();
    viewer.teardown();
    mirrorball.expect_logged(ENDS, 1);
    assert!(mirrorball.has_logged("refused client="));
    assert_none_tells(&mirrorball, &[SECRET, &id]);
    let setup = Setup::new().channel_from("news", &format!("rtp://user:{SECRET}@239.1.1.1:5004"));
    let (quoted, unquoted) = (setup.write(), setup.write().with_file_name("unquoted.toml"));
    let text = format!("[[channel]]\nname = \"news\"\nsource = rtp://user:{SECRET}@239.1.1.1:5004\n");
    fs::write(&unquoted, text).expect("a file");
    for (command, config) in ["check", "serve"].into_iter().flat_map(|of| [(of, &quoted), (of, &unquoted)]) {
        let output = binary().arg(command).arg("--config").arg(config).stdin(Stdio::null()).output();
        let output = output.expect("the program runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("user:…") && !text.contains(SECRET), "{text}");
    }
}

fn assert_none_tells(mirrorball: &Mirrorball, secrets: &[&str]) {
    for secret in secrets {
        assert_eq!(mirrorball.logged(secret), Vec::<String>::new());
    }
}

/// All that still comes; the length of each packet.
fn rest(viewer: &mut Viewer) -> Vec<usize> {
    std::iter::from_fn(|| viewer.packet_within(0, QUIET)).map(|packet| packet.len()).collect()
}

/// A field of a line, without its quotes.
fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let found = line.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {line}")).1;
    match found.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => found.split(' ').next().unwrap_or_default(),
    }
}

#[track_caller]
fn number(line: &str, name: &str) -> u64 {
    field(line, name).parse().unwrap_or_else(|_| panic!("{name} is no number in {line}"))
}
