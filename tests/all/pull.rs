//! Channels that are pulled from other servers: from a program like this one, from GStreamer's, and from one that behaves
//! as the worst of them do.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mirrorball::event::clock;
use mirrorball::serve::{Scope, Users, write_users};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::origin::{Origin, Ways};
use crate::vocabulary::{
    Connection, Mirrorball, Needs, Over, Setup, Source, Stamp, Viewer, block_tcp_port, certificate,
    eventually, in_a_network_of_its_own, is_there, raise_firewall, sender_report, skip, unblock_all,
};

const STATE: &str = "mirrorball_pull_state";
const SECOND: Duration = Duration::from_secs(1);
const NEWS: &[(&str, &str)] = &[("channel", "news")];

/// A program that pulls `news` from a URL, with these lines.
fn pulling(url: &str, lines: &[&str]) -> Mirrorball {
    let setup = Setup::new().channel_by_route("news", url);
    lines.iter().fold(setup, |setup, line| setup.channel_line(line)).start()
}

/// The same, once it does.
fn playing(url: &str, lines: &[&str]) -> Mirrorball {
    let mirrorball = pulling(url, lines);
    expect_state(&mirrorball, "playing");
    mirrorball
}

fn expect_state(mirrorball: &Mirrorball, state: &str) {
    mirrorball.expect_metric(STATE, &[("channel", "news"), ("state", state)], 1.0);
}

fn failures(mirrorball: &Mirrorball, reason: &str) -> f64 {
    mirrorball.metric("mirrorball_pull_failures_total", &[("channel", "news"), ("reason", reason)])
}

/// Sends some packets that all of them get, whatever they are given of before.
fn expect_flow(source: &mut Source, viewers: &mut [Viewer]) {
    let first = source.next;
    source.send(5);
    for viewer in viewers {
        let new = |stamp: &Stamp| stamp.number >= first;
        let came = std::iter::from_fn(|| Some(viewer.stamp())).find(new).map(|stamp| stamp.number);
        assert_eq!(came, Some(first));
        viewer.expect_packets(source, first + 1..first + 5);
    }
}

#[test]
fn a_chain_over_tcp_hands_on_every_packet_as_it_is() {
    let mut source = Source::new();
    let upstream = Setup::new().channel("news", source.group).start();
    let middle = playing(&upstream.url("news"), &[]);
    let lower = playing(&middle.url("news"), &[]);
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&lower, "news", over));
    for _ in 0..20 {
        let first = source.next;
        source.send(40);
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, first..first + 40));
    }
    let beam = source.beam(2000);
    std::thread::sleep(SECOND);
    let source = beam.stop();
    source.send_rtcp(&sender_report(source.ssrc, 0));
    viewers.iter_mut().for_each(|viewer| drop(viewer.rtcp()));
    for each in [&upstream, &middle, &lower] {
        each.expect_metric("mirrorball_channel_packets_total", NEWS, source.next as f64);
        each.expect_metric("mirrorball_channel_lost_total", NEWS, 0.0);
    }
    middle.expect_metric("mirrorball_channel_sessions", NEWS, 1.0);
    lower.expect_metric("mirrorball_channel_sessions", NEWS, 2.0);
    assert_eq!(lower.metric("mirrorball_pull_connects_total", NEWS), 1.0, "however many watch");
    eventually("the way up is reported on", || {
        (upstream.metric("mirrorball_rtcp_reports_total", &[]) > 0.0).then_some(())
    });
    drop((viewers, lower));
    middle.expect_metric("mirrorball_sessions_ended_total", &[("reason", "teardown")], 1.0);
}

#[test]
fn other_tracks_than_before_are_found_by_who_asks_again() {
    let mut source = Source::new();
    let mut upstream = Setup::new().channel("news", source.group).start();
    let address = upstream.rtsp.to_string();
    let lower = playing(&upstream.url("news"), &[]);
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    expect_flow(&mut source, std::slice::from_mut(&mut viewer));
    upstream.signal(Signal::SIGKILL);
    upstream.ended().expect("it has no choice");
    let (ip, port) = (source.group.0.ip(), source.group.0.port());
    let sdp = format!(
        "v=0\r\nc=IN IP4 {ip}/1\r\nm=video {port} RTP/AVP 33\r\nm=audio {} RTP/AVP 97\r\na=rtpmap:97 L16/8000\r\n",
        port + 4
    );
    upstream = Setup::new().listening_on(&address).described("news", &sdp).start();
    let changed = [("channel", "news"), ("reason", "changed")];
    lower.expect_metric("mirrorball_pull_failures_total", &changed, 1.0);
    assert!(viewer.connection.is_closed_within(20 * SECOND), "its session is over");
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    expect_flow(&mut source, std::slice::from_mut(&mut viewer));
    let described = Connection::open(lower.rtsp).request("DESCRIBE", &lower.url("news"), &[]).expect(200);
    assert!(described.body.contains("m=audio 0 RTP/AVP 97"), "{}", described.body);
    drop(upstream);
}

#[test]
fn viewers_stay_while_the_upstream_is_gone_and_media_is_back_soon_after_it() {
    let mut source = Source::new();
    let mut upstream = Setup::new().channel("news", source.group).start();
    let address = upstream.rtsp.to_string();
    let lower = playing(&upstream.url("news"), &[]);
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&lower, "news", over));
    expect_flow(&mut source, &mut viewers);
    for outage in [Duration::from_millis(100), 6 * SECOND] {
        upstream.signal(Signal::SIGKILL);
        upstream.ended().expect("it has no choice");
        expect_state(&lower, "waiting");
        std::thread::sleep(outage);
        source.begin_anew();
        upstream = Setup::new().listening_on(&address).channel("news", source.group).start();
        let returned = clock::now();
        expect_state(&lower, "playing");
        assert!(returned.elapsed() < 3 * SECOND, "after {outage:?}: {:?}", returned.elapsed());
        expect_flow(&mut source, &mut viewers);
    }
    assert_eq!(lower.metric("mirrorball_sessions", &[]), 2.0);
    assert!(lower.lines_logged("it is not pulled, and tried again") <= 2, "an episode is a line");
    lower.expect_logged("it is pulled again", 1);
}

#[test]
fn over_udp_it_comes_from_the_server_and_from_nobody_else() {
    let mut source = Source::new();
    let upstream = Setup::new().channel("news", source.group).start();
    let lower = playing(&upstream.url("news"), &["transport = \"udp\""]);
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    for _ in 0..10 {
        expect_flow(&mut source, std::slice::from_mut(&mut viewer));
    }
    upstream.expect_metric("mirrorball_channel_sessions", NEWS, 1.0);
    assert!(upstream.has_logged("transport=\"udp\""));
    let ports = upstream.logged("a session plays")[0].clone();
    let port = ports.split_once("client_ports=\"").and_then(|(_, rest)| rest.split_once('-'));
    let port: u16 = port.and_then(|(port, _)| port.parse().ok()).expect("it is told");
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    stranger.send_to(&source.packet(99), ("127.0.0.1", port)).expect("sent");
    lower.expect_metric("mirrorball_pull_strays_total", &[("channel", "news"), ("what", "datagram")], 1.0);
    expect_flow(&mut source, std::slice::from_mut(&mut viewer));
    lower.expect_metric("mirrorball_channel_packets_total", NEWS, source.next as f64);
}

#[test]
fn it_is_asked_for_when_somebody_wants_it_and_left_behind_the_last() {
    let mut source = Source::new();
    let upstream = Setup::new().channel("news", source.group).start();
    let on_demand = ["join = \"on-demand\"", "linger = \"0s\"", "silent_after = \"30s\""];
    let lower = pulling(&upstream.url("news"), &on_demand);
    expect_state(&lower, "idle");
    assert_eq!(upstream.metric("mirrorball_rtsp_connections_total", &[]), 0.0, "nobody has asked");
    for _ in 0..3 {
        let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
        expect_state(&lower, "playing");
        expect_flow(&mut source, std::slice::from_mut(&mut viewer));
        viewer.teardown();
        expect_state(&lower, "idle");
        upstream.expect_metric("mirrorball_sessions", &[], 0.0);
        source.send(3); // nobody hears it
    }
    let ended = [("reason", "teardown")];
    assert!(upstream.metric("mirrorball_sessions_ended_total", &ended) >= 3.0, "it says goodbye");
    lower.expect_metric("mirrorball_channel_lost_total", NEWS, 0.0);
}

#[test]
fn who_asks_before_the_upstream_is_there_waits_for_it() {
    let nowhere = Setup::new().at_known_addresses();
    let source = Source::new();
    let upstream = Setup::new().channel("news", source.group).start();
    let address = upstream.rtsp.to_string();
    drop((nowhere, upstream));
    let lower = pulling(&format!("rtsp://{address}/news"), &[]);
    lower.expect_logged("it is not pulled, and tried again: connecting failed: connection refused", 1);
    assert_eq!(lower.expect_page("/ready", 200), "ready\nnot pulled, the log says why: news\n");
    let mut early = Connection::open(lower.rtsp);
    early.request("DESCRIBE", &lower.url("news"), &[]).expect(504);
    let (rtsp, url) = (lower.rtsp, lower.url("news"));
    let asks = std::thread::spawn(move || Connection::open(rtsp).request("DESCRIBE", &url, &[]));
    let _upstream = Setup::new().listening_on(&address).channel("news", source.group).start();
    let reply = asks.join().expect("no panic").expect(200);
    assert!(reply.body.contains("m=video 0 RTP/AVP 33"), "{}", reply.body);
}

#[test]
fn a_login_is_given_to_who_asks_and_told_to_nobody() {
    let directory = TempDir::new().expect("a directory");
    let mut users = Users::of_realm("Mirrorball").expect("a realm");
    assert_eq!(users.set("anna", "open:sesame@x", Some(Scope::All)), Ok(true));
    let file = directory.path().join("users");
    write_users(&file, &users).expect("a file");
    let mut source = Source::new();
    let setup = Setup::new().channel("news", source.group);
    let upstream =
        setup.section("access", &format!("users = \"{}\"\nnonce_lifetime = \"10s\"", file.display())).start();
    let url = format!("rtsp://anna:open%3Asesame%40x@{}/news", upstream.rtsp);
    let lower = playing(&url, &[]);
    let login = directory.path().join("login");
    fs::write(&login, "anna:open:sesame@x\n").expect("a file");
    let by_file = playing(&upstream.url("news"), &[&format!("login = \"{}\"", login.display())]);
    for lower in [&lower, &by_file] {
        let mut viewer = Viewer::playing(lower, "news", Over::Tcp);
        expect_flow(&mut source, std::slice::from_mut(&mut viewer));
    }
    let wrong = pulling(&format!("rtsp://anna:wrong@{}/news", upstream.rtsp), &[]);
    wrong.expect_logged("the server answered 401: it refuses the login", 1);
    let nobody = pulling(&upstream.url("news"), &[]);
    nobody.expect_logged("the server answered 401: it wants a login, and none is configured", 1);
    for any in [&lower, &by_file, &wrong, &nobody] {
        assert_eq!(any.lines_logged("sesame") + any.lines_logged("wrong@"), 0);
    }
    assert_eq!(failures(&wrong, "login"), 1.0, "it is not asked about again and again");
}

#[test]
fn through_tls_it_comes_from_whom_is_trusted() {
    let directory = TempDir::new().expect("a directory");
    let mut source = Source::new();
    let upstream = Setup::new().channel("news", source.group).through_tls().start();
    let address = upstream.rtsps().to_string();
    let url = format!("rtsps://{address}/news");
    let pinned = directory.path().join("edge.pem");
    fs::write(&pinned, upstream.certificate()).expect("a file");
    let other = directory.path().join("other.pem");
    fs::write(&other, certificate(2040).0).expect("a file");
    let trusting = |file: &Path| format!("tls_ca = \"{}\"", file.display());
    let lower = playing(&url, &[&trusting(&pinned)]);
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    for _ in 0..10 {
        expect_flow(&mut source, std::slice::from_mut(&mut viewer));
    }
    let wary = pulling(&url, &[&trusting(&other)]);
    wary.expect_logged("TLS failed: invalid peer certificate", 1);
    assert!(failures(&wary, "tls") > 0.0);
}

/// What it must live through, one by one and all at once.
#[test]
fn a_server_that_behaves_as_the_worst_do_is_pulled_from() {
    let worst = [
        Ways { login: Some("SHA-256"), ..Ways::default() },
        Ways { login: Some("MD5"), ..Ways::default() },
        Ways { login: Some("both"), nonces_expire: true, timeout_s: Some(2), ..Ways::default() },
        Ways { login: Some("basic"), ..Ways::default() },
        Ways { timeout_s: Some(2), counts: Some("OPTIONS"), ..Ways::default() },
        Ways { timeout_s: Some(2), counts: Some("GET_PARAMETER"), ..Ways::default() },
        Ways { timeout_s: Some(2), counts: Some("SET_PARAMETER"), ..Ways::default() },
        Ways { timeout_s: Some(2), counts: Some("reports"), ..Ways::default() },
        Ways { timeout_s: Some(2), counts: Some("OPTIONS"), refuses_signs: true, ..Ways::default() },
        Ways { wrong_host: true, ..Ways::default() },
        Ways { query: true, ..Ways::default() },
        Ways { no_control: true, ..Ways::default() },
        Ways { rubbish: true, ..Ways::default() },
        Ways { other_channels: true, ..Ways::default() },
        Ways { redirects: 3, ..Ways::default() },
        Ways { line_feeds: true, ..Ways::default() },
        Ways {
            login: Some("both"),
            nonces_expire: true,
            timeout_s: Some(2),
            counts: Some("GET_PARAMETER"),
            wrong_host: true,
            query: true,
            rubbish: true,
            other_channels: true,
            redirects: 2,
            line_feeds: true,
            ..Ways::default()
        },
    ];
    std::thread::scope(|scope| {
        for ways in worst {
            scope.spawn(move || {
                let origin = Origin::start(ways);
                let lower = pulling(&origin.url(), &["silent_after = \"30s\""]);
                let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
                let first = origin.expect_packet(&viewer.packet());
                // As long as a session lives that is shown no life.
                let length = if ways.timeout_s.is_some() { 600 } else { 100 };
                for number in first + 1..first + length {
                    assert_eq!(origin.expect_packet(&viewer.packet()), number, "{ways:?}");
                }
                let connects = lower.metric("mirrorball_pull_connects_total", NEWS);
                assert_eq!(connects, f64::from(1 + ways.redirects), "{ways:?}: it is one session");
                let rubbish = lower.metric("mirrorball_pull_rubbish_bytes_total", NEWS);
                assert_eq!(rubbish > 0.0, ways.rubbish, "{ways:?}");
                assert_eq!(lower.lines_logged("it is not pulled"), 0, "{ways:?}");
            });
        }
    });
}

#[test]
fn a_session_that_brings_nothing_is_set_up_anew_while_viewers_stay() {
    std::thread::scope(|scope| {
        for after in [0, 300] {
            scope.spawn(move || {
                let origin = Origin::start(Ways { forgets_after: Some(after), ..Ways::default() });
                let lower = playing(&origin.url(), &["silent_after = \"30s\""]);
                let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
                let mut numbers = std::iter::from_fn(|| Some(origin.expect_packet(&viewer.packet())));
                // Its last packet, or none; then the first one of the next session.
                if after > 0 {
                    numbers.find(|number| number + 1 == after);
                }
                let first = numbers.next().expect("without end");
                numbers.zip(first + 1..first + 100).for_each(|(came, next)| assert_eq!(came, next));
                assert_eq!(failures(&lower, "silent"), 1.0);
                assert_eq!(origin.heard("TEARDOWN"), 1, "of the session that brought nothing");
                assert_eq!(lower.metric("mirrorball_sessions", &[]), 1.0);
                lower.expect_logged("it is pulled again", 1);
                assert_eq!(lower.lines_logged("no media has come for 10 s"), 1);
            });
        }
    });
}

#[test]
fn a_server_that_has_wanted_a_hash_does_not_get_the_password_on_the_next_connection() {
    let origin = Origin::start(Ways { login: Some("weaker"), forgets_after: Some(0), ..Ways::default() });
    let lower = playing(&origin.url(), &[]);
    lower.expect_metric("mirrorball_pull_failures_total", &[("channel", "news"), ("reason", "login")], 1.0);
    assert!(origin.heard("Authorization: Digest") > 0);
    assert_eq!(origin.heard("Authorization: Basic"), 0);
}

#[test]
fn a_change_that_is_announced_is_one_and_a_track_that_is_refused_a_line() {
    let origin = Origin::start(Ways { announces_after: Some(50), ..Ways::default() });
    let lower =
        pulling(&origin.url(), &["join = \"on-demand\"", "linger = \"30s\"", "silent_after = \"30s\""]);
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    assert!(viewer.connection.is_closed_within(20 * SECOND), "its session is over");
    viewer = Viewer::playing(&lower, "news", Over::Tcp);
    origin.expect_packet(&viewer.packet());
    assert_eq!(lower.metric("mirrorball_pull_connects_total", NEWS), 2.0);
    assert_eq!(failures(&lower, "changed"), 1.0);
    assert_eq!(lower.lines_logged("describes another stream than before"), 1);
    assert_eq!(lower.lines_logged("the server does not serve a track"), 1);
}

#[test]
fn a_track_that_is_refused_keeps_nobody_from_being_ready() {
    let origin = Origin::start(Ways { announces_after: Some(u32::MAX), ..Ways::default() });
    let lower = playing(&origin.url(), &[]);
    assert_eq!(lower.expect_page("/ready", 200), "ready\n");
    assert_eq!(lower.lines_logged("the server does not serve a track"), 1);
}

#[test]
fn the_way_through_a_firewall_is_kept_open() {
    let origin = Origin::start(Ways { timeout_s: Some(2), ..Ways::default() });
    let lower = playing(&origin.url(), &["transport = \"udp\"", "silent_after = \"30s\""]);
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    let first = origin.expect_packet(&viewer.packet());
    for number in first + 1..first + 600 {
        assert_eq!(origin.expect_packet(&viewer.packet()), number);
    }
}

#[test]
fn a_redirect_in_a_circle_is_left_and_the_login_stays_at_home() {
    let origin = Origin::start(Ways { redirects: 99, login: Some("MD5"), ..Ways::default() });
    let lower = pulling(&origin.url(), &[]);
    lower.expect_logged("it is one too many", 1);
    expect_state(&lower, "waiting");
    let other = Origin::start(Ways::default());
    let elsewhere =
        Origin::start(Ways { leads_to: Some(other.address), login: Some("MD5"), ..Ways::default() });
    let lower = pulling(&elsewhere.url(), &[]);
    expect_state(&lower, "playing");
    assert_eq!(other.heard("Authorization"), 0, "the login is the first server's");
    let gone = Origin::start(Ways::default()).address;
    let elsewhere = Origin::start(Ways { leads_to: Some(gone), ..Ways::default() });
    let _lower = pulling(&elsewhere.url(), &[]);
    eventually("it goes back to the first server", || (elsewhere.heard("DESCRIBE") > 2).then_some(()));
}

/// An address of ours where nobody listens yet.
fn unused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr()).expect("a port")
}

#[test]
fn a_redirect_leads_into_no_other_network_and_not_back_to_the_edge() {
    let inside = Origin::start(Ways { leads_to: "10.0.0.9:554".parse().ok(), ..Ways::default() });
    let lower = pulling(&inside.url(), &[]);
    lower.expect_logged("it leads to this machine, or into a network that its server is not in", 1);
    assert!(failures(&lower, "redirect") > 0.0);
    let own = unused();
    let back = Origin::start(Ways { leads_to: Some(own), ..Ways::default() });
    let setup = Setup::new().listening_on(&own.to_string()).channel_by_route("live", &back.url());
    let lower = setup.start();
    lower.expect_logged("answered 482 Loop Detected: the channel is pulled from itself", 1);
}

#[test]
fn a_ring_of_edges_is_told_and_a_chain_is_none() {
    let [own, one, other] = [(); 3].map(|()| unused());
    let edge = |at: SocketAddr, from: SocketAddr| {
        let setup = Setup::new().listening_on(&at.to_string());
        setup.channel_by_route("news", &format!("rtsp://{from}/news")).start()
    };
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("users");
    write_users(&file, &Users::of_realm("Mirrorball").expect("a realm")).expect("a file");
    let setup =
        Setup::new().listening_on(&own.to_string()).channel_by_route("news", &format!("rtsp://{own}/news"));
    let itself = setup.section("access", &format!("users = \"{}\"", file.display())).start();
    itself.expect_logged("answered 482 Loop Detected", 1); // whoever may watch
    let ring = [edge(one, other), edge(other, one)];
    let below = pulling(&ring[0].url("news"), &[]);
    ring.iter().for_each(|edge| drop(edge.expect_logged("answered 482 Loop Detected", 1)));
    assert!(!below.has_logged("482"), "it is in no ring");
}

#[test]
fn who_comes_and_goes_has_no_login_guessed() {
    let origin = Origin::start(Ways { login: Some("MD5"), ..Ways::default() });
    let url = format!("rtsp://anna:wrong@{}/live", origin.address);
    let lower = pulling(&url, &["join = \"on-demand\"", "linger = \"0s\""]);
    for _ in 0..2 {
        Connection::open(lower.rtsp).request("DESCRIBE", &lower.url("news"), &[]).expect(504);
        expect_state(&lower, "idle");
    }
    assert_eq!((failures(&lower, "login"), origin.heard("Authorization")), (1.0, 1));
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again_before_who_waits_gives_up() {
    let origin = Origin::start(Ways { mute: 1, ..Ways::default() });
    let lower = pulling(&origin.url(), &["join = \"on-demand\""]);
    Connection::open(lower.rtsp).request("DESCRIBE", &lower.url("news"), &[]).expect(200);
    assert_eq!(failures(&lower, "timeout"), 1.0);
}

#[test]
fn what_a_firewall_has_swallowed_is_said_again_in_time() {
    let needs = Needs { programs: &["ip", "nft"], route: true, ipv6: false };
    in_a_network_of_its_own("connections that are swallowed", &needs, || {
        raise_firewall();
        // Linux asks each second since 6.5; before that it asked after one second and after three.
        let _ = fs::write("/proc/sys/net/ipv4/tcp_syn_linear_timeouts", "0");
        let mut source = Source::new();
        let mut upstream = Setup::new().channel("news", source.group).start();
        let address = upstream.rtsp;
        let lower = playing(&upstream.url("news"), &[]);
        let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
        block_tcp_port(address.port());
        upstream.signal(Signal::SIGKILL);
        let gone = clock::now();
        upstream.ended().expect("it has no choice");
        upstream = Setup::new().listening_on(&address.to_string()).channel("news", source.group).start();
        // Not long after a SYN has been swallowed which is not said again for two seconds.
        std::thread::sleep(Duration::from_millis(5300).saturating_sub(gone.elapsed()));
        unblock_all();
        let returned = clock::now();
        expect_state(&lower, "playing");
        assert!(returned.elapsed() < 2 * SECOND, "{:?}", returned.elapsed());
        source.begin_anew();
        expect_flow(&mut source, std::slice::from_mut(&mut viewer));
        drop(upstream);
    });
}

#[test]
fn what_nobody_wants_any_more_is_missed_by_nobody_though_its_server_was_gone() {
    let mut source = Source::new();
    let mut upstream = Setup::new().channel("news", source.group).start();
    let address = upstream.rtsp.to_string();
    let on_demand = ["join = \"on-demand\"", "linger = \"0s\""];
    let lower = pulling(&upstream.url("news"), &on_demand);
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    expect_flow(&mut source, std::slice::from_mut(&mut viewer));
    upstream.signal(Signal::SIGKILL);
    upstream.ended().expect("it has no choice");
    expect_state(&lower, "waiting");
    viewer.teardown();
    expect_state(&lower, "idle");
    source.send(50); // nobody hears it
    let _upstream = Setup::new().listening_on(&address).channel("news", source.group).start();
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    // As many as it takes until a packet counts as lost.
    (0..30).for_each(|_| expect_flow(&mut source, std::slice::from_mut(&mut viewer)));
    lower.expect_metric("mirrorball_channel_packets_total", NEWS, 155.0);
    lower.expect_metric("mirrorball_channel_lost_total", NEWS, 0.0);
}

#[test]
fn gstreamers_server_is_pulled_from_over_tcp_and_udp() {
    const NAME: &str = "gstreamers_server_is_pulled_from_over_tcp_and_udp";
    let Some(mut server) = gstreamer() else { return skip(NAME, "libgstrtspserver-1.0 is not installed") };
    let mut line = String::new();
    let mut says = BufReader::new(server.0.stdout.take().expect("asked for a pipe"));
    says.read_line(&mut line).expect("it speaks");
    let Ok(port) = line.trim().parse::<u16>() else {
        let mut rest = String::new();
        let _ = says.read_to_string(&mut rest);
        return skip(NAME, &format!("GStreamer's server does not start: {line}{rest}"));
    };
    for transport in ["tcp", "udp"] {
        let url = format!("rtsp://127.0.0.1:{port}/test");
        let lower = playing(&url, &[&format!("transport = \"{transport}\"")]);
        let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
        let sequence = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
        let mut last = sequence(&viewer.packet());
        for _ in 0..100 {
            let next = sequence(&viewer.packet());
            assert_eq!(next, last.wrapping_add(1), "over {transport}");
            last = next;
        }
        lower.expect_metric("mirrorball_channel_lost_total", NEWS, 0.0);
    }
}

#[test]
fn vlcs_server_is_pulled_from_by_what_it_serves() {
    const NAME: &str = "vlcs_server_is_pulled_from_by_what_it_serves";
    if let Some(missing) = ["cvlc", "ffmpeg", "setpriv"].iter().find(|program| !is_there(program)) {
        return skip(NAME, &format!("{missing} is not installed"));
    }
    let directory = TempDir::new().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("our own"); // VLC will not be root
    let film = directory.path().join("film.ts");
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=s=160x120:r=25",
        "-t",
        "60",
        "-c:v",
        "mpeg2video",
    ]);
    assert!(command.arg(&film).status().is_ok_and(|status| status.success()), "ffmpeg makes a film");
    let port = unused().port();
    let mut vlc = Command::new("setpriv");
    vlc.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cvlc", "-I", "dummy", "--loop"]);
    vlc.arg(&film).args(["--sout", &format!("#rtp{{sdp=rtsp://127.0.0.1:{port}/film,mux=ts}}")]);
    vlc.env("HOME", directory.path()).env("XDG_RUNTIME_DIR", directory.path());
    let quiet = vlc.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _server = Server(quiet.expect("it starts"));
    let url = format!("rtsp://127.0.0.1:{port}/film");
    let lower = playing(&url, &["transport = \"udp\""]);
    let mut viewer = Viewer::playing(&lower, "news", Over::Tcp);
    (0..100).for_each(|_| assert_eq!(viewer.packet()[1] & 0x7f, 33));
    let by_tcp = pulling(&url, &[]);
    by_tcp.expect_logged("461 Unsupported Transport: it does not serve this transport", 1);
}

/// A server that ends with the story.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// GStreamer's RTSP server, by its library, which many have who have not its examples. It tells its port.
fn gstreamer() -> Option<Server> {
    const SCRIPT: &str = r#"
import ctypes, ctypes.util, sys
try:
    load = lambda name: ctypes.CDLL(name)
    gst, rtsp, glib = load("libgstreamer-1.0.so.0"), load("libgstrtspserver-1.0.so.0"), load("libglib-2.0.so.0")
except OSError as error:
    sys.exit("no library")
p, s = ctypes.c_void_p, ctypes.c_char_p
def call(lib, name, result, *arguments):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, [kind for kind, _ in arguments]
    return function(*[value for _, value in arguments])
call(gst, "gst_init", None, (p, None), (p, None))
server = call(rtsp, "gst_rtsp_server_new", p)
call(rtsp, "gst_rtsp_server_set_address", None, (p, server), (s, b"127.0.0.1"))
call(rtsp, "gst_rtsp_server_set_service", None, (p, server), (s, b"0"))
factory = call(rtsp, "gst_rtsp_media_factory_new", p)
launch = b"( videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! jpegenc ! rtpjpegpay name=pay0 pt=26 audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! audioconvert ! rtpL16pay name=pay1 pt=97 )"
call(rtsp, "gst_rtsp_media_factory_set_launch", None, (p, factory), (s, launch))
call(rtsp, "gst_rtsp_media_factory_set_shared", None, (p, factory), (ctypes.c_int, 1))
mounts = call(rtsp, "gst_rtsp_server_get_mount_points", p, (p, server))
call(rtsp, "gst_rtsp_mount_points_add_factory", None, (p, mounts), (s, b"/test"), (p, factory))
if call(rtsp, "gst_rtsp_server_attach", ctypes.c_uint, (p, server), (p, None)) == 0:
    sys.exit("not attached")
print(call(rtsp, "gst_rtsp_server_get_bound_port", ctypes.c_int, (p, server)), flush=True)
call(glib, "g_main_loop_run", None, (p, call(glib, "g_main_loop_new", p, (p, None), (ctypes.c_int, 0))))
"#;
    let libraries = Command::new("ldconfig").arg("-p").output().ok()?;
    let is_there = String::from_utf8_lossy(&libraries.stdout).contains("libgstrtspserver-1.0.so.0");
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT]).stdin(Stdio::null()).stdout(Stdio::piped());
    is_there.then(|| command.spawn().ok().map(Server)).flatten()
}
