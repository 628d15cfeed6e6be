//! One connection for many requests over HTTP: small ones one after the other, and then a channel or a tunnel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mirrorball::event::clock;
use mirrorball::serve::{Users, write_users};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::vocabulary::{
    Bare, Connection, Group, Mirrorball, Setup, Web, eventually, fresh_cookie, is_there, send_get, skip,
    through_tls, ts_packets,
};

const CONNECTIONS: &str = "mirrorball_rtsp_connections";
const CUT: &str = "mirrorball_rtsp_connections_cut_total";

fn asking(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: edge:8080\r\n\r\n")
}

fn connections(mirrorball: &Mirrorball, count: f64) {
    mirrorball.expect_metric(CONNECTIONS, &[("transport", "http")], count);
}

#[test]
fn who_has_read_an_answer_asks_for_more_by_the_same_connection_and_at_last_for_a_channel() {
    let source = Bare::to(Group::fresh());
    let setup = Setup::new().channel_from("news", &format!("udp://{}", source.group)).through_tls();
    let mirrorball = setup.over_web_with("tls_listen = [\"127.0.0.1:0\"]\nshare_ports = true").start();
    let connect = |address| TcpStream::connect(address).expect("somebody listens");
    let tls = |address| through_tls(connect(address)).0;
    for stream in [
        connect(mirrorball.web()),
        connect(mirrorball.rtsp),
        tls(mirrorball.secret_web()),
        tls(mirrorball.rtsps()),
    ] {
        let mut web = Web::ask_by(stream, &asking("/playlist.m3u")).expect(200);
        assert_eq!(web.header("Connection"), None);
        let playlist = web.body();
        assert!(playlist.starts_with(b"#EXTM3U\n"));
        for (request, status) in [
            ("GET /lineup.json HTTP/1.1\r\n\r\n", 200),
            ("GET /film HTTP/1.1\r\n\r\n", 404),
            ("GET /%zz HTTP/1.1\r\n\r\n", 400),
            ("HEAD /playlist.m3u HTTP/1.1\r\nHost: edge:8080\r\n\r\n", 200),
            ("HEAD /news HTTP/1.1\r\n\r\n", 200),
            ("PUT /news HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /", 405),
        ] {
            web = web.then(request).expect(status);
            if request.starts_with("HEAD /playlist") {
                assert_eq!(web.header("Content-Length"), Some(playlist.len().to_string().as_str()));
            } else if !request.starts_with("HEAD") {
                web.body();
            }
        }
        let mut viewer = web.then(&(asking("/news") + &asking("/status"))).expect(200);
        assert_eq!(viewer.header("Connection"), Some("close"));
        let sent = ts_packets(7, 188, 3);
        source.send(&sent);
        assert!(viewer.take(sent.len()) == sent, "and nothing before it");
        viewer.say("GET and on and on\r\n\r\n");
        source.send(&sent);
        assert!(viewer.take(sent.len()) == sent, "and nothing between");
    }
}

#[test]
fn what_is_asked_at_once_is_answered_in_turn_however_late_it_is_read() {
    let source = Bare::to(Group::fresh());
    let setup = Setup::new().channel_from("news", &format!("udp://{}", source.group)).through_tls();
    let mirrorball = setup.over_web_with("tls_listen = [\"127.0.0.1:0\"]").start();
    let all = 3000;
    let targets = [("/status", "<!DOCTYPE"), ("/discover.json", "{\"BaseURL\"")];
    let (secret, _) = through_tls(TcpStream::connect(mirrorball.secret_web()).expect("somebody listens"));
    for stream in [TcpStream::connect(mirrorball.web()).expect("somebody listens"), secret] {
        let mut speaks = stream.try_clone().expect("a descriptor");
        let asks = thread::spawn(move || {
            for number in 0..all {
                speaks.write_all(asking(targets[number % 2].0).as_bytes()).expect("the program reads");
            }
            speaks.write_all(asking("/news").as_bytes()).expect("the program reads");
        });
        thread::sleep(Duration::from_millis(300)); // until neither side takes more
        let mut web = Web::ask_by(stream, "");
        for number in 0..all {
            web = web.expect(200);
            let text = web.body();
            let begins = targets[number % 2].1.as_bytes();
            assert!(text.starts_with(begins), "{number}: {}", String::from_utf8_lossy(&text));
            web = web.next();
        }
        asks.join().expect("no panic");
        let sent = ts_packets(7, 188, 3);
        source.send(&sent);
        assert!(web.take(sent.len()) == sent);
    }
    let asked = mirrorball.metric("mirrorball_http_requests_total", &[("status", "200")]);
    assert_eq!(asked, 2.0 * (f64::from(all as u32) + 1.0));
}

#[test]
fn who_wants_no_more_is_hung_up_on_and_has_read_all() {
    let mirrorball = Setup::new().channel("news", Group::fresh()).over_web().start();
    let web = mirrorball.web();
    for (request, status, closes) in [
        ("GET /status HTTP/1.0\r\n\r\n", 200, true),
        ("GET /status HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, false),
        ("GET /status HTTP/1.1\r\nConnection: close\r\n\r\n", 200, true),
        ("GET /film HTTP/1.1\r\n\r\n", 404, false),
        ("GET /film HTTP/1.0\r\n\r\n", 404, true),
        // A body that has come with its head is passed over; one in parts, or that is to come, is not waited for.
        ("POST /status HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405, false),
        ("GET /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, true),
        ("POST /status HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nabc", 405, true),
        ("POST /status HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", 405, true),
        ("GET /status HTTP/1.1\r\nX y\r\n\r\n", 400, true),
    ] {
        let mut answer = Web::ask(web, request);
        assert!(answer.head[8..].starts_with(&format!(" {status} ")), "{request}: {}", answer.head);
        answer.body();
        if closes {
            answer.say("GET /status HTTP/1.1\r\n\r\n");
            answer.expect_end();
        } else {
            answer.then("GET /status HTTP/1.1\r\n\r\n").expect(200);
        }
    }
    let mut half = TcpStream::connect(web).expect("somebody listens");
    half.write_all(asking("/status").as_bytes()).expect("the program reads");
    half.shutdown(std::net::Shutdown::Write).expect("connected");
    let mut told = String::new();
    half.read_to_string(&mut told).expect("text");
    assert!(told.ends_with("</html>\n"), "who says no more may still read: {told}");
    connections(&mirrorball, 0.0);
}

#[test]
fn who_asks_for_nothing_more_is_let_go_and_who_does_not_finish_is_cut() {
    let setup = Setup::new().channel("news", Group::fresh()).rtsp("session_timeout = \"2s\"");
    let mut mirrorball = setup.over_web().start();
    let (web, before) = (mirrorball.web(), mirrorball.holdings());
    let silent = TcpStream::connect(web).expect("somebody listens");
    let mut kept = Web::ask(web, &asking("/status")).expect(200);
    kept.body();
    let mut begun = Web::ask(web, &asking("/status")).expect(200);
    begun.body();
    begun.say("GET /status HTTP/1.1\r\n");
    connections(&mirrorball, 3.0);
    let busy = thread::spawn(move || {
        let (began, mut web) = (clock::now(), Web::ask(web, &asking("/status")).expect(200));
        while began.elapsed() < Duration::from_secs(5) {
            web.body();
            thread::sleep(Duration::from_millis(500));
            web = web.then(&asking("/status")).expect(200);
        }
    });
    kept.expect_end();
    begun.expect_end();
    mirrorball.expect_metric(CUT, &[("reason", "silent")], 1.0);
    mirrorball.expect_metric(CUT, &[("reason", "unfinished")], 1.0);
    busy.join().expect("who goes on asking is answered");
    assert_eq!(mirrorball.metric(CUT, &[]), 2.0, "who has read all and asks for nothing has done no wrong");
    drop(silent);
    mirrorball.expect_holdings(before);
    let mut kept = Web::ask(mirrorball.web(), &asking("/status")).expect(200);
    kept.body();
    mirrorball.signal(Signal::SIGTERM);
    kept.expect_end();
    assert!(mirrorball.ended().is_some_and(|status| status.success()));
}

#[test]
fn who_asks_on_and_on_and_reads_nothing_is_hung_up_on() {
    let setup = Setup::new().channel("news", Group::fresh()).rtsp("session_timeout = \"2s\"");
    let mirrorball = setup.over_web().start();
    let before = mirrorball.holdings();
    let mut stream = Connection::with_little_room(mirrorball.web()).stream;
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let many = asking("/status").repeat(100);
    let stuffed = (0..1000).any(|_| stream.write_all(many.as_bytes()).is_err());
    assert!(stuffed, "it is not heard any more");
    mirrorball.expect_holdings(before);
    let asked = || mirrorball.metric("mirrorball_http_requests_total", &[]);
    assert!(asked() > 1.0 && asked() < 100_000.0, "{}", asked());
}

#[test]
fn who_leaves_while_a_channel_is_waited_for_is_waited_with_no_longer() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("rtsp://{}/gate", server.local_addr().expect("bound"));
    let setup = Setup::new().channel_by_route("gate", &url).channel_line("join = \"on-demand\"");
    let mirrorball = setup.over_web().start();
    let mut stream = TcpStream::connect(mirrorball.web()).expect("somebody listens");
    stream.write_all(asking("/gate").as_bytes()).expect("the program reads");
    let _asked = server.accept().expect("it is asked for");
    let began = clock::now();
    drop(stream);
    connections(&mirrorball, 0.0);
    assert!(began.elapsed() < Duration::from_secs(4), "it was noticed");
    let mut late = Web::ask(mirrorball.web(), &asking("/gate")).expect(504);
    late.body();
    let answer = late.then(&asking("/status")).expect(200);
    assert!(answer.text().contains("gate"));
}

#[test]
fn a_tunnel_comes_by_a_connection_that_was_used_before_and_loses_nothing() {
    let setup = Setup::new().channel("news", Group::fresh()).rtsp("http_listen = [\"127.0.0.1:0\"]");
    let mirrorball = setup.start();
    let kept = || {
        let mut web = Web::ask(mirrorball.http(), &asking("/nothing")).expect(404);
        web.body();
        web.into_stream()
    };
    let options = |cseq: u32| STANDARD.encode(format!("OPTIONS * RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n"));
    // What a POST says of its length means nothing, and what of its body comes with its head is heard.
    for length in ["", "Content-Length: 0\r\n", "Content-Length: 7\r\n", "Content-Length: 32767\r\n"] {
        let cookie = fresh_cookie();
        let get = send_get(kept(), &cookie);
        let mut post = kept();
        let head = format!("POST / HTTP/1.1\r\nx-sessioncookie: {cookie}\r\n{length}\r\n");
        post.write_all((head + &options(1) + &options(2)).as_bytes()).expect("the program reads");
        post.write_all(options(3).as_bytes()).expect("the program reads");
        let connection = Connection::by(get);
        let text = eventually("all three are answered", || {
            let mut told = [0; 4096];
            let count = connection.stream.peek(&mut told).expect("it is open");
            let text = String::from_utf8_lossy(&told[..count]).into_owned();
            text.contains("CSeq: 3\r\n").then_some(text)
        });
        assert!(text.starts_with("HTTP/1.0 200 OK\r\n"), "{text}");
        assert_eq!(text.matches("CSeq: ").count(), 3, "{text}");
        connection.stream.shutdown(std::net::Shutdown::Both).expect("connected");
    }
}

/// What curl does with many URLs.
fn curl(arguments: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["-v", "-k", "-m", "20", "-w", "connects=%{num_connects}\n"])
        .args(arguments)
        .output()
        .expect("curl runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn curl_asks_twice_by_one_connection_and_logs_in_by_it() {
    if !is_there("curl") {
        return skip("kept connections in curl", "curl is not installed");
    }
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("users");
    let mut users = Users::of_realm("Mirrorball").expect("a realm");
    users.set("anna", "opensesame", None).expect("a user");
    write_users(&file, &users).expect("a file");
    let setup = Setup::new().section("access", &format!("users = \"{}\"", file.display()));
    let setup = setup.channel("news", Group::fresh()).through_tls();
    let mirrorball = setup.over_web_with("tls_listen = [\"127.0.0.1:0\"]").start();
    let (clear, secret) = (mirrorball.web(), mirrorball.secret_web());
    let url = |scheme: &str, target: &str| match scheme {
        "http" => format!("http://{clear}{target}"),
        _ => format!("https://{secret}{target}"),
    };
    for scheme in ["http", "https"] {
        let (sdp, list) = (url(scheme, "/news.sdp"), url(scheme, "/playlist.m3u"));
        let (told, how) = curl(&["--digest", "-u", "anna:opensesame", &sdp, &list, &sdp]);
        assert!(told.matches("v=0").count() == 2 && told.contains("/news.ts"), "{told}{how}");
        assert_eq!(told.matches("connects=0").count(), 2, "the first alone: {how}");
    }
    assert_eq!(mirrorball.metric("mirrorball_logins_total", &[]), 2.0, "once on each connection");
    // A password as it is goes through TLS alone.
    let get = |scheme, login: &str| curl(&["-I", "--basic", "-u", login, &url(scheme, "/news")]).0;
    assert!(get("https", "anna:opensesame").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(get("https", "anna:sesame").starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    let challenge = curl(&["-I", &url("https", "/news")]).0;
    assert!(challenge.contains("\r\nWww-Authenticate: Basic realm="), "{challenge}");
    let refused = get("http", "anna:opensesame");
    assert!(refused.starts_with("HTTP/1.1 401 ") && !refused.contains("Basic"), "{refused}");
}
