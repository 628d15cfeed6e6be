//! Transport streams over HTTP, and the lists by which they are found.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use mirrorball::serve::{Scope, Users, write_users};
use tempfile::TempDir;

use crate::vocabulary::{
    Bare, Group, Mirrorball, Over, Setup, Source, Viewer, Web, eventually, is_there, skip, through_tls,
    ts_packets,
};

const JOINS: &str = "mirrorball_group_joins_total";
const REFUSED: &str = "mirrorball_http_requests_total";

/// The same in RTP.
fn in_rtp(payload: &[u8], number: u8) -> Vec<u8> {
    [&[0x80, 33, 0, number, 0, 0, 0, number, 0, 0, 0, 7][..], payload].concat()
}

/// What HTTP has of a stream.
fn without_parity(stream: &[u8], packet_bytes: usize) -> Vec<u8> {
    stream.chunks(packet_bytes).flat_map(|packet| packet[..188].to_vec()).collect()
}

fn watchers(mirrorball: &Mirrorball, count: f64) {
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[("transport", "http")], count);
}

#[test]
fn a_stream_is_byte_for_byte_what_its_source_sends_whatever_it_comes_in() {
    let (bare, rtp) = (Bare::to(Group::fresh()), Bare::to(Group::fresh()));
    let setup = Setup::new().channel_from("bare", &format!("udp://{}", bare.group)).channel("rtp", rtp.group);
    let mirrorball = setup.over_web().start();
    let targets = [
        "/bare",
        "/bare.ts",
        "/rtp?fccip=192.0.2.1",
        &format!("/udp/{}", bare.group),
        &format!("/rtp/{}", rtp.group),
    ];
    let mut viewers = targets.map(|target| Web::get(mirrorball.web(), target).expect(200));
    for web in &viewers {
        assert_eq!(web.header("Content-Type"), Some("video/mp2t"));
        assert_eq!((web.header("Connection"), web.header("Content-Length")), (Some("close"), None));
    }
    watchers(&mirrorball, 5.0);
    let sizes = [(1, 188), (7, 188), (7, 204), (3, 188), (1, 204), (46, 204), (47, 188)];
    for ((count, size), number) in sizes.into_iter().zip(1..) {
        let sent = ts_packets(count, size, number);
        bare.send(&sent);
        rtp.send(&in_rtp(&sent, number));
        let expected = without_parity(&sent, size);
        for web in &mut viewers {
            assert!(web.take(expected.len()) == expected, "{count} of {size}");
        }
    }
    rtp.send(&in_rtp(&ts_packets(7, 188, 9)[1..], 8));
    rtp.send(&in_rtp(&ts_packets(1, 188, 10), 9));
    assert!(viewers[2].take(188) == ts_packets(1, 188, 10), "what is no transport stream is left out");
    mirrorball.expect_metric("mirrorball_drops_total", &[("reason", "no_ts")], 2.0);
    let line = mirrorball.expect_logged("a session plays", 5).remove(0);
    assert!(line.contains("transport=\"http\""), "{line}");
    drop(viewers);
    watchers(&mirrorball, 0.0);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "connection closed")], 5.0);
}

#[test]
fn what_is_asked_for_otherwise_is_answered_so() {
    let source = Source::new();
    let sdp = "v=0\ns=x\nc=IN IP4 239.77.8.9/8\nm=audio 5004 RTP/AVP 0\n";
    let mirrorball = Setup::new().channel("news", source.group).described("tone", sdp).over_web().start();
    let web = mirrorball.web();
    let ask = |request: &str| Web::ask(web, &format!("{request}\r\nHost: edge:8080\r\n\r\n"));
    let head = ask("HEAD /news HTTP/1.1\r\nConnection: close").expect(200);
    assert_eq!(head.header("Content-Type"), Some("video/mp2t"));
    assert_eq!(head.rest(), [0; 0], "and nothing else, at once");
    for request in
        ["GET /news HTTP/1.1\r\nRange: bytes=0-", "GET /news HTTP/1.0", "GET http://edge/news HTTP/1.1"]
    {
        let mut viewer = ask(request).expect(200);
        eventually("it is served", || {
            source.send_bytes(&in_rtp(&ts_packets(7, 188, 1), 1));
            (!viewer.within(Duration::from_millis(50)).is_empty()).then_some(())
        });
    }
    for (request, status, words) in [
        ("GET /film HTTP/1.1", 404, "/playlist.m3u"),
        ("GET / HTTP/1.1", 404, "no such channel"),
        ("GET /film.sdp HTTP/1.1", 404, "no such channel"),
        ("GET /udp/239.99.1.2:5004 HTTP/1.1", 403, "[http] open"),
        ("GET /tone.ts HTTP/1.1", 415, &format!("rtsp://edge:{}/tone", mirrorball.rtsp.port())),
        ("HEAD /film HTTP/1.1\r\nConnection: close", 404, ""),
    ] {
        let answer = ask(request).expect(status);
        let text = answer.text();
        assert!(text.contains(words), "{request}: {text}");
    }
    for request in ["PUT /news HTTP/1.1", "POST /news HTTP/1.1"] {
        assert_eq!(ask(request).expect(405).header("Allow"), Some("GET, HEAD"), "{request}");
    }
    ask("GET /%zz HTTP/1.1").expect(400);
    mirrorball.expect_metric(REFUSED, &[("method", "GET"), ("status", "404")], 3.0);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
}

#[test]
fn channels_are_joined_for_who_watches_by_http_and_no_longer() {
    let source = Source::new();
    let setup =
        Setup::new().channel("news", source.group).channel_line("join = \"on-demand\"\nlinger = \"0s\"");
    let mirrorball = setup.over_web().start();
    Web::ask(mirrorball.web(), "HEAD /news HTTP/1.1\r\n\r\n").expect(200);
    assert!(!source.group.is_joined(), "for HEAD it is not");
    for _ in 0..2 {
        let mut viewer = Web::get(mirrorball.web(), "/news").expect(200);
        eventually("it is joined", || source.group.is_joined().then_some(()));
        source.send_bytes(&in_rtp(&ts_packets(7, 188, 3), 1));
        assert!(viewer.take(7 * 188) == ts_packets(7, 188, 3));
        drop(viewer);
        eventually("it is left", || (!source.group.is_joined()).then_some(()));
    }
    assert!(mirrorball.metric(JOINS, &[]) >= 2.0);
}

#[test]
fn who_watches_by_http_is_within_the_same_limits() {
    let source = Source::new();
    let setup = Setup::new()
        .channel("news", source.group)
        .channel_line("sessions = 2")
        .channel("film", source.group.beside());
    let mirrorball = setup.section("limits", "sessions_per_address = 3").over_web().start();
    let first = Web::get(mirrorball.web(), "/news").expect(200);
    let _second = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let full = Web::get(mirrorball.web(), "/news").expect(503);
    assert!(full.header("Retry-After").is_some() && full.text().contains("no room"));
    let _third = Web::get(mirrorball.web(), "/film").expect(200);
    let much = Web::get(mirrorball.web(), "/film").expect(503);
    assert!(much.text().contains("Your address"));
    for reason in ["channel", "address"] {
        mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", reason)], 1.0);
        mirrorball.expect_logged(&format!("reason=\"{reason}\""), 1);
    }
    drop(first);
    watchers(&mirrorball, 1.0);
    Web::get(mirrorball.web(), "/news").expect(200);
}

#[test]
fn groups_are_open_within_what_is_open_and_closed_when_nobody_asks_any_more() {
    let (group, source) = (Group::fresh(), Source::new());
    let open = format!(
        "open = [\"{}/32\", \"{}/32\"]\ninterface = \"lo\"\nlinger = \"0s\"\nopen_channels = 1",
        group.0.ip(),
        group.beside().0.ip()
    );
    let mirrorball = Setup::new().channel("news", source.group).over_web_with(&open).start();
    let web = mirrorball.web();
    let target = format!("/udp/{group}");
    Web::ask(web, &format!("HEAD {target} HTTP/1.1\r\n\r\n")).expect(200);
    assert!(!group.is_joined());
    let mut viewer = Web::get(web, &target).expect(200);
    eventually("it is joined", || group.is_joined().then_some(()));
    for sent in [ts_packets(7, 188, 1), in_rtp(&ts_packets(7, 188, 2), 1)] {
        Bare::to(group).send(&sent);
        assert!(viewer.take(7 * 188) == sent[sent.len() - 7 * 188..], "with RTP and without");
    }
    let mut beside = Web::get(web, &format!("/rtp/lo@{group}")).expect(200);
    assert!(beside.take(7 * 188) == ts_packets(7, 188, 2), "one channel has it, and its newest packet");
    let name = format!("udp/{group}");
    mirrorball.expect_metric(
        "mirrorball_channel_subscribers",
        &[("channel", &name), ("transport", "http")],
        2.0,
    );
    for (target, status) in [
        ("/udp/239.98.0.1:5004".to_owned(), 403),
        (format!("/udp/eth9@{}", group.beside()), 403),
        ("/udp/127.0.0.1:5004".to_owned(), 403),
        (format!("/udp/{}:5004", group.0.ip()), 503),
    ] {
        Web::get(web, &target).expect(status);
    }
    drop((viewer, beside));
    mirrorball.expect_logged("nobody asks for the group any more", 1);
    assert!(!group.is_joined());
    Web::get(web, &format!("/udp/{}:5004", group.0.ip())).expect(200);
}

/// A program of three channels and a tone, listed in many ways.
fn listed(setup: Setup) -> Setup {
    let lines = "number = 2\ntitle = \"The News\"\nlogo = \"http://tv/news.png\"\ngroup = \"Info\"\ntvg_id = \"news.tv\"";
    let sdp = "v=0\ns=x\nc=IN IP4 239.77.8.9/8\nm=audio 5004 RTP/AVP 0\n";
    let setup = setup.channel("news", Group::fresh()).channel_line(lines);
    let setup =
        setup.channel("uk/film", Group::fresh()).channel("sport", Group::fresh()).channel_line("number = 1");
    setup.described("tone", sdp)
}

#[test]
fn channels_are_listed_for_players_and_recorders() {
    let more = "guide = \"http://tv/guide.xml\"\nname = \"Attic\"";
    let mirrorball = listed(Setup::new()).over_web_with(more).start();
    let web = mirrorball.web();
    let playlist = Web::get(web, "/playlist.m3u").expect(200);
    assert_eq!(playlist.header("Content-Type"), Some("audio/x-mpegurl; charset=utf-8"));
    let port = mirrorball.rtsp.port();
    let expected = format!(
        "#EXTM3U x-tvg-url=\"http://tv/guide.xml\"\n\
         #EXTINF:-1 tvg-id=\"sport\" tvg-chno=\"1\" tvg-name=\"sport\",sport\nhttp://edge:8080/sport.ts\n\
         #EXTINF:-1 tvg-id=\"news.tv\" tvg-chno=\"2\" tvg-name=\"The News\" tvg-logo=\"http://tv/news.png\" group-title=\"Info\",The News\n\
         http://edge:8080/news.ts\n\
         #EXTINF:-1 tvg-id=\"tone\" tvg-name=\"tone\",tone\nrtsp://edge:{port}/tone\n\
         #EXTINF:-1 tvg-id=\"uk/film\" tvg-name=\"uk/film\",uk/film\nhttp://edge:8080/uk/film.ts\n"
    );
    assert_eq!(playlist.text(), expected);
    let json = |target: &str| -> serde_json::Value {
        let answer = Web::get(web, target).expect(200);
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        serde_json::from_str(&answer.text()).expect("JSON")
    };
    let discover = json("/discover.json");
    assert_eq!(
        (&discover["FriendlyName"], &discover["BaseURL"]),
        (&"Attic".into(), &"http://edge:8080".into())
    );
    assert_eq!(discover["LineupURL"], "http://edge:8080/lineup.json");
    assert_eq!(discover["DeviceID"].as_str().map(str::len), Some(8));
    assert!(discover["TunerCount"].as_u64().is_some_and(|count| count > 0));
    let line_up = json("/lineup.json");
    let told: Vec<_> = line_up
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().expect("text").to_owned();
            (text("GuideNumber"), text("GuideName"), text("URL"))
        })
        .collect();
    let one = |number: &str, name: &str, path: &str| {
        (number.into(), name.into(), format!("http://edge:8080/{path}.ts"))
    };
    assert_eq!(
        told,
        [one("1", "sport", "sport"), one("2", "The News", "news"), one("1002", "uk/film", "uk/film")]
    );
    assert_eq!(json("/lineup_status.json")["ScanInProgress"], 0);
    let status = Web::get(web, "/status").expect(200).text();
    assert!(
        status.contains("<h1>Attic</h1>") && status.contains("<td>The News</td><td>silent</td>"),
        "{status}"
    );
    let sdp = Web::get(web, "/tone.sdp").expect(200).text();
    assert!(sdp.contains(&format!("a=control:rtsp://edge:{port}/tone")), "{sdp}");
    let strange = Web::ask(web, "GET /lineup.json HTTP/1.1\r\nHost: \"><script>\r\n\r\n").expect(200).text();
    assert!(
        strange.contains(&format!("http://{web}/news.ts")),
        "a host that is none is not said again: {strange}"
    );
}

#[test]
fn nobody_sees_in_a_list_what_is_not_for_him_and_a_token_stands_for_a_login() {
    let directory = TempDir::new().expect("a directory");
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, "# ours\nsesame-open\n").expect("a file");
    let setup = listed(Setup::new()).channel_line("public = true");
    let setup = setup.channel("film", Group::fresh()).channel_line("deny = [\"127.0.0.0/8\"]");
    let mirrorball = setup.over_web_with(&format!("tokens = \"{}\"", tokens.display())).start();
    let web = mirrorball.web();
    let names = |target: &str| -> Vec<String> {
        let text = Web::get(web, target).expect(200).text();
        text.lines().filter(|line| line.contains("://edge")).map(str::to_owned).collect()
    };
    let tone = format!("rtsp://edge:{}/tone", mirrorball.rtsp.port());
    assert_eq!(names("/playlist.m3u"), [tone.as_str()], "what is public");
    let with = |path: &str| format!("http://edge:8080/{path}.ts?token=sesame-open");
    assert_eq!(
        names("/playlist.m3u?token=sesame-open"),
        [with("sport"), with("news"), tone, with("uk/film")]
    );
    Web::get(web, "/news").expect(403);
    Web::get(web, "/news?token=sesame-opens").expect(403);
    Web::get(web, "/playlist.m3u?token=sesame").expect(403);
    Web::get(web, "/film?token=sesame-open").expect(403);
    Web::get(web, "/news?token=sesame-open").expect(200);
    Viewer::playing(&mirrorball, "news", Over::Udp);
    mirrorball.expect_metric("mirrorball_login_failures_total", &[("reason", "token")], 2.0);
    mirrorball.expect_metric("mirrorball_access_refused_total", &[("reason", "no token")], 1.0);
    mirrorball.expect_logged("reason=\"wrong token\"", 1);
    assert_eq!(mirrorball.lines_logged("sesame"), 0);
}

#[test]
fn rtsp_and_http_are_served_on_each_others_ports_and_through_tls() {
    let source = Bare::to(Group::fresh());
    let setup = Setup::new().channel("news", source.group).through_tls();
    let mirrorball = setup.over_web_with("tls_listen = [\"127.0.0.1:0\"]\nshare_ports = true").start();
    for address in [mirrorball.web(), mirrorball.rtsp] {
        for request in ["GET /news HTTP/1.1\r\n\r\n", "HEAD /news HTTP/1.1\r\n\r\n"] {
            Web::ask(address, request).expect(200);
        }
        let options = Web::told(address, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        assert!(options.starts_with("RTSP/1.0 200 "), "{options}");
    }
    for address in [mirrorball.secret_web(), mirrorball.rtsps()] {
        let (secret, _) = through_tls(TcpStream::connect(address).expect("somebody listens"));
        let mut viewer = Web::ask_by(secret, "GET /news HTTP/1.1\r\n\r\n").expect(200);
        let sent = ts_packets(7, 188, 3);
        source.send(&in_rtp(&sent, 1));
        assert!(viewer.take(sent.len()) == sent);
    }
    let alone = Setup::new().channel("news", source.group).over_web().start();
    let refused = Web::told(alone.rtsp, "GET /news HTTP/1.1\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 404 "), "unless it is said: {refused}");
    let refused = Web::told(alone.web(), "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
}

#[test]
fn a_viewer_is_told_by_the_end_of_its_connection_that_there_is_nothing_more() {
    let source = Source::new();
    let directory = TempDir::new().expect("a directory");
    let (file, address, port) =
        (directory.path().join("news.sdp"), source.group.0.ip(), source.group.0.port());
    let sdp = format!("v=0\ns=x\nc=IN IP4 {address}/8\nm=video {port} RTP/AVP 33\n");
    fs::write(&file, sdp).expect("a file");
    let setup = Setup::new().channel_lines(&format!("directory = \"{}\"", directory.path().display()));
    let mirrorball = setup.over_web().start();
    let viewer = Web::get(mirrorball.web(), "/news").expect(200);
    fs::remove_file(&file).expect("it is there");
    assert_eq!(viewer.rest(), [0; 0]);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "channel gone")], 1.0);
    Web::get(mirrorball.web(), "/news").expect(404);
    let mut other = Setup::new().channel("news", source.group).over_web().start();
    let viewer = Web::get(other.web(), "/news").expect(200);
    other.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(viewer.rest(), [0; 0]);
    assert!(other.ended().is_some_and(|status| status.success()));
}

#[test]
fn who_says_what_is_no_request_is_refused_and_who_says_nothing_is_hung_up_on() {
    let mirrorball = Setup::new().channel("news", Group::fresh()).over_web().start();
    let web = mirrorball.web();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
    for (request, status) in [
        (long.as_str(), 431),
        (&many, 431),
        ("GET\r\n\r\n", 400),
        ("\r\n\r\nHELLO\r\n\r\n", 400),
        ("GET /news HTTP/1.1\r\nX y\r\n\r\n", 400),
        ("GET /\u{7f}\u{1} HTTP/1.1\r\n\r\n", 400),
    ] {
        let told = Web::told(web, request);
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {told}");
    }
    let before = mirrorball.holdings();
    let mut viewer = Web::ask(web, "GET /news HTTP/1.1\r\n\r\nGET /news HTTP/1.1\r\n\r\n").expect(200);
    viewer.say(&"and on and on ".repeat(100_000));
    watchers(&mirrorball, 1.0);
    drop(viewer);
    for _ in 0..50 {
        drop(TcpStream::connect(web).expect("somebody listens"));
    }
    mirrorball.expect_holdings(before);
}

#[test]
fn who_has_to_log_in_does_so_by_digest_and_sees_its_own_channels_alone() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("users");
    let mut users = Users::of_realm("Mirrorball").expect("a realm");
    users.set("anna", "opensesame", None).expect("a user");
    users.set("ben", "opensesame", Some(Scope::parse("news").expect("a name"))).expect("a user");
    write_users(&file, &users).expect("a file");
    let setup = Setup::new().section("access", &format!("users = \"{}\"", file.display()));
    let setup = setup.channel("news", Group::fresh()).channel("film", Group::fresh());
    let mirrorball = setup.channel("open", Group::fresh()).channel_line("public = true").over_web().start();
    let web = mirrorball.web();
    let challenge = Web::get(web, "/news").expect(401);
    assert!(
        challenge.header("WWW-Authenticate").is_some_and(|value| value.starts_with("Digest ")),
        "{}",
        challenge.head
    );
    Web::get(web, "/no-such").expect(401);
    Web::get(web, "/open").expect(200);
    let curl = |user: &str, target: &str| {
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "--digest",
            "-u",
            user,
            "-w",
            "%{http_code}",
            "-I",
            &format!("http://{web}{target}"),
        ]);
        let output = curl.output().expect("curl runs");
        String::from_utf8_lossy(&output.stdout).rsplit('\n').next().unwrap_or_default().to_owned()
    };
    if !is_there("curl") {
        return skip("logins over HTTP", "curl is not installed");
    }
    for (user, target, status) in [
        ("anna:opensesame", "/news.ts?a=b", "200"),
        ("anna:opensesame", "/film", "200"),
        ("anna:sesame", "/film", "401"),
        ("ben:opensesame", "/news", "200"),
        ("ben:opensesame", "/film", "403"),
        ("anna:opensesame", "/no-such", "404"),
    ] {
        assert_eq!(curl(user, target), status, "{user} {target}");
    }
    let list = |arguments: &[&str], target: &str| {
        let output =
            Command::new("curl").arg("-s").args(arguments).arg(format!("http://{web}{target}")).output();
        let text = String::from_utf8_lossy(&output.expect("curl runs").stdout).into_owned();
        text.lines()
            .filter_map(|line| Some(line.split_once(&format!("{web}/"))?.1.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&[], "/playlist.m3u"), ["open.ts"], "what is public");
    let as_user = |user| list(&["--digest", "-u", user], "/playlist.m3u?login");
    assert_eq!(as_user("ben:opensesame"), ["news.ts", "open.ts"]);
    assert_eq!(as_user("anna:opensesame"), ["film.ts", "news.ts", "open.ts"]);
    mirrorball.expect_metric("mirrorball_login_failures_total", &[("reason", "password")], 1.0);
}

#[test]
fn who_waits_for_a_server_that_does_not_answer_is_told_so() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("rtsp://{}/gate", server.local_addr().expect("bound"));
    let setup = Setup::new().channel_by_route("gate", &url).channel_line("join = \"on-demand\"");
    let mirrorball = setup.over_web().start();
    let late = Web::get(mirrorball.web(), "/gate").expect(504);
    assert!(late.text().contains("has not answered"));
    let list = Web::get(mirrorball.web(), "/playlist.m3u").expect(200).text();
    assert!(list.contains(&format!("rtsp://edge:{}/gate", mirrorball.rtsp.port())), "{list}");
}
