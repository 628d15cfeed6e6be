//! Another config while viewers watch: what it changes is touched, and nothing else.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::crowds::allow_many_descriptors;
use crate::vocabulary::{
    Beam, Connection, Crowd, Mirrorball, Over, Reply, Setup, Source, Viewer, eventually, is_thorough,
};

fn channel(name: &str, source: &Source, lines: &str) -> String {
    format!(
        "[[channel]]\nname = \"{name}\"\nsource = \"rtp://{}\"\ninterface = \"lo\"\n{lines}\n",
        source.group
    )
}

fn refused(mirrorball: &Mirrorball) -> f64 {
    mirrorball.metric("mirrorball_config_reloads_total", &[("result", "refused")])
}

fn describe(mirrorball: &Mirrorball) -> Reply {
    Connection::open(mirrorball.rtsp).request("DESCRIBE", &mirrorball.url("news"), &[])
}

fn set_up(mirrorball: &Mirrorball) -> Reply {
    let (url, over) = (mirrorball.url("news/trackID=1"), "RTP/AVP/TCP;unicast;interleaved=0-1");
    Connection::open(mirrorball.rtsp).request("SETUP", &url, &[("Transport", over)])
}

/// One channel that plays by two ways while a story goes on; nobody there may notice it.
struct Bystanders {
    crowd: Crowd,
    beam: Beam,
    programme: u32,
}

impl Bystanders {
    fn of(mirrorball: &Mirrorball, name: &str, source: Source) -> Self {
        let programme = source.programme;
        let viewers = [Over::Udp, Over::Tcp].map(|over| (Viewer::playing(mirrorball, name, over), programme));
        Self { beam: source.beam(500), crowd: Crowd::of(viewers), programme }
    }

    fn expect_flawless(self) {
        self.crowd.expect_all_past(self.programme, self.beam.sent() + 20);
        self.crowd.expect_flawless();
    }
}

#[test]
fn channels_come_and_go_and_others_do_not_notice() {
    let (stays, goes, mut comes) = (Source::new(), Source::new(), Source::new());
    let mirrorball = Setup::new().channel("stays", stays.group).channel("goes", goes.group).start();
    let before = mirrorball.config();
    let mut dismissed = Viewer::playing(&mirrorball, "goes", Over::Tcp);
    let bystanders = Bystanders::of(&mirrorball, "stays", stays);
    let without = before[..before.find("[[channel]]\nname = \"goes\"").expect("it is there")].to_owned();
    mirrorball.reload(&(without.clone() + &channel("comes", &comes, "")));
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "channel gone")], 1.0);
    assert!(dismissed.connection.is_closed_within(Duration::from_secs(5)), "it is told, and may come again");
    Connection::open(mirrorball.rtsp).request("DESCRIBE", &mirrorball.url("goes"), &[]).expect(404);
    let mut viewer = Viewer::playing(&mirrorball, "comes", Over::Udp);
    comes.send(20);
    viewer.expect_packets(&comes, 0..20);
    assert!(!goes.group.is_joined(), "the group of the other is left");
    mirrorball.reload(&without);
    assert_eq!(mirrorball.metric("mirrorball_channel_packets_total", &[("channel", "comes")]), 0.0);
    assert_eq!(mirrorball.metric("mirrorball_config_last_reload_successful", &[]), 1.0);
    bystanders.expect_flawless();
}

#[test]
fn a_config_that_is_wrong_changes_nothing_and_says_all_that_is_wrong() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let before = mirrorball.config();
    let bystanders = Bystanders::of(&mirrorball, "news", source);
    let wrong =
        before.replace("udp_ports = \"0\"", "udp_ports = \"0\"\nsession_timeout = \"soon\"\nlisten_on = 7");
    mirrorball.reload(&wrong);
    mirrorball.expect_logged("session_timeout", 1);
    mirrorball.expect_logged("listen_on", 1);
    mirrorball.expect_metric("mirrorball_config_last_reload_successful", &[], 0.0);
    // Nothing at all, which is how a file begins that is being written; or none.
    mirrorball.reload("");
    let file = mirrorball.directory().join("mirrorball.toml");
    fs::remove_file(&file).expect("it is there");
    let count = refused(&mirrorball);
    mirrorball.signal(Signal::SIGHUP);
    eventually("it is missed", || (refused(&mirrorball) > count).then_some(()));
    mirrorball.reload(&before);
    mirrorball.expect_metric("mirrorball_config_last_reload_successful", &[], 1.0);
    bystanders.expect_flawless();
}

#[test]
fn a_file_that_is_saved_is_read_and_one_that_is_saved_as_it_was_changes_nothing() {
    let (news, sport) = (Source::new(), Source::new());
    let mirrorball = Setup::new().channel("news", news.group).start();
    let before = mirrorball.config();
    let bystanders = Bystanders::of(&mirrorball, "news", news);
    let outcome = |result| mirrorball.metric("mirrorball_config_reloads_total", &[("result", result)]);
    mirrorball.write_config(&format!("{before}# as it was\n"));
    eventually("it is looked at", || (outcome("unchanged") == 1.0).then_some(()));
    mirrorball.write_config(&(before.clone() + &channel("sport", &sport, "")));
    eventually("it is read", || (outcome("applied") == 1.0).then_some(()));
    assert_eq!((outcome("unchanged"), outcome("refused")), (1.0, 0.0));
    bystanders.expect_flawless();
}

#[test]
fn a_description_that_is_written_anew_is_read() {
    let (mut before, mut after) = (Source::new(), Source::new());
    after.programme = before.programme;
    let sdp = |source: &Source| {
        let (group, port) = (source.group.0.ip(), source.group.0.port());
        format!(
            "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=News\nc=IN IP4 {group}/1\nt=0 0\nm=video {port} RTP/AVP 33\n"
        )
    };
    let mirrorball = Setup::new().described("news", &sdp(&before)).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    before.send(5);
    viewer.expect_packets(&before, 0..5);
    fs::write(mirrorball.directory().join("news.sdp"), sdp(&after)).expect("written");
    mirrorball.expect_metric("mirrorball_config_reloads_total", &[("result", "applied")], 1.0);
    after.ssrc = before.ssrc;
    after.next = 5;
    eventually("the group is joined", || after.group.is_joined().then_some(()));
    after.send(5);
    viewer.expect_packets(&after, 5..10);
}

#[test]
fn a_channel_that_comes_from_elsewhere_is_watched_on() {
    let (mut before, mut after, other) = (Source::new(), Source::new(), Source::new());
    (after.programme, after.ssrc, after.next) = (before.programme, before.ssrc, 10);
    let mirrorball = Setup::new().channel("news", before.group).channel("other", other.group).start();
    let bystanders = Bystanders::of(&mirrorball, "other", other);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    before.send(10);
    viewer.expect_packets(&before, 0..10);
    let moved = mirrorball.config().replace(&before.group.to_string(), &after.group.to_string());
    mirrorball.reload(&moved);
    assert!(!before.group.is_joined());
    after.send(10);
    viewer.expect_packets(&after, 10..20);
    // Who may watch it, and how many, is no reason to begin anew.
    mirrorball.reload(&moved.replace("name = \"news\"\n", "name = \"news\"\nsessions = 1\n"));
    set_up(&mirrorball).expect(503);
    after.send(10);
    viewer.expect_packets(&after, 20..30);
    // What a channel is made of is.
    mirrorball.reload(&moved.replace("name = \"news\"\n", "name = \"news\"\nsilent_after = \"5s\"\n"));
    assert!(viewer.connection.is_closed_within(Duration::from_secs(5)), "it is told, and may come again");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    after.send(10);
    viewer.expect_packets(&after, 30..40);
    bystanders.expect_flawless();
}

#[test]
fn limits_and_where_newcomers_are_sent_hold_at_once() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let before = mirrorball.config();
    let bystanders = Bystanders::of(&mirrorball, "news", source);
    let with = |lines: &str| format!("{before}\n[limits]\nsessions = 2\n{lines}\n");
    let status = || describe(&mirrorball).status;
    mirrorball.reload(&with(""));
    set_up(&mirrorball).expect(503);
    mirrorball.reload(&with("redirect = \"rtsp://other.example:8554\""));
    assert_eq!(status(), 302);
    mirrorball.reload(&before);
    assert_eq!(status(), 200);
    Viewer::playing(&mirrorball, "news", Over::Tcp).teardown();
    bystanders.expect_flawless();
}

#[test]
fn addresses_are_listened_on_and_left_and_one_that_is_taken_refuses_all() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).at_known_addresses().start();
    let before = mirrorball.config();
    let bystanders = Bystanders::of(&mirrorball, "news", source);
    let own = mirrorball.rtsp;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = |address: &str| before.replace(&format!("\"{own}\""), &format!("\"{own}\", \"{address}\""));
    let other = taken.local_addr().expect("bound");
    mirrorball.reload(&(at(&other.to_string()) + "[limits]\nsessions = 1\n"));
    mirrorball.expect_logged("another program has this port", 1);
    Viewer::playing(&mirrorball, "news", Over::Tcp).teardown();
    drop(taken);
    mirrorball.reload(&at(&other.to_string()));
    let options = |address| Connection::open(address).request("OPTIONS", "*", &[]).status;
    assert_eq!([options(own), options(other)], [200, 200]);
    mirrorball.reload(&before);
    assert!(std::net::TcpStream::connect(other).is_err(), "it is left");
    // By another address at the same port: who has come by the first stays. And back, where nothing comes of it.
    let everywhere =
        |more: &str| before.replace(&format!("\"{own}\""), &format!("\"0.0.0.0:{}\"{more}", own.port()));
    mirrorball.reload(&everywhere(""));
    let by_another = std::net::SocketAddr::from(([127, 0, 0, 2], own.port()));
    assert_eq!([options(own), options(by_another)], [200, 200]);
    mirrorball.reload(&before);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    mirrorball.reload(&everywhere(&format!(", \"{}\"", taken.local_addr().expect("bound"))));
    assert_eq!(options(own), 200, "it is listened on again");
    bystanders.expect_flawless();
}

#[test]
fn who_may_watch_is_as_it_is_written() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let before = mirrorball.config();
    let status = || describe(&mirrorball).status;
    mirrorball.reload(&format!("{before}\n[access]\ndeny = [\"127.0.0.0/8\"]\n"));
    assert_eq!(status(), 403);
    mirrorball.reload(&format!("{before}\n[access]\nusers = \"nobody\"\n"));
    assert_eq!(status(), 403, "the file of users is missing, so that all stays as it was");
    mirrorball.reload(&before);
    assert_eq!(status(), 200);
}

#[test]
fn what_waits_for_a_start_is_named() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let before = mirrorball.config();
    mirrorball.reload(&format!("{before}\n[ring]\nmax_age = \"3s\"\n[engine]\ncontrol_workers = 1\n"));
    let told = mirrorball.expect_logged("until the program is started again", 1);
    assert!(told[0].contains("[engine] control_workers; [ring] max_age"), "{told:?}");
    mirrorball.expect_metric("mirrorball_config_keys_waiting", &[], 2.0);
    mirrorball.reload(&before);
    mirrorball.expect_metric("mirrorball_config_keys_waiting", &[], 0.0);
}

/// Numbers that look like chance, and are the same each time.
fn chance(round: u64) -> u64 {
    let mut bits = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits ^= bits >> 29;
    bits.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

#[test]
fn a_hundred_reloads_cost_nobody_a_packet_and_leave_nothing_behind() {
    allow_many_descriptors();
    let (viewers, rounds) = if is_thorough() { (300, 100) } else { (40, 20) };
    let kept = Source::new();
    let others: Vec<_> = (0..6).map(|_| Source::new()).collect();
    let mirrorball = Setup::new().channel("kept", kept.group).rtsp("session_timeout = \"60s\"").start();
    let before = mirrorball.config();
    let programme = kept.programme;
    // What is opened once, and kept.
    let all = others.iter().zip(0..).map(|(source, place)| channel(&format!("other{place}"), source, ""));
    mirrorball.reload(&(before.clone() + &all.collect::<String>()));
    Viewer::playing(&mirrorball, "kept", Over::Udp).teardown();
    mirrorball.reload(&before);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
    let held = mirrorball.holdings();
    let crowd = Crowd::of((0..viewers).map(|place| {
        let over = if place % 3 == 0 { Over::Tcp } else { Over::Udp };
        (Viewer::playing(&mirrorball, "kept", over), programme)
    }));
    let beam = kept.beam(100);
    let with = |round: u64| {
        let mut text = before.clone();
        for (place, source) in others.iter().enumerate() {
            match chance(round * 6 + place as u64) % 16 {
                0..3 => {}
                3..6 => text += &channel(&format!("other{place}"), source, "join = \"on-demand\""),
                6 => text += &channel(&format!("other{place}"), &others[(place + 1) % 6], ""),
                7..10 => text += &channel(&format!("other{place}"), source, "sessions = 3"),
                _ => text += &channel(&format!("other{place}"), source, ""),
            }
        }
        // A source is one channel's: it is refused where two have it.
        if round % 7 == 3 { text + "[limits]\nsessions = 1000\n" } else { text }
    };
    let mut last = 0;
    for round in 0..rounds {
        mirrorball.reload(&with(round));
        if beam.sent() - last > 500 {
            last = beam.sent();
            crowd.expect_all_past(programme, last);
        }
    }
    mirrorball.reload(&before);
    let outcomes = ["applied", "refused"]
        .map(|result| mirrorball.metric("mirrorball_config_reloads_total", &[("result", result)]));
    assert!(outcomes[0] >= rounds as f64 / 2.0, "{outcomes:?}");
    crowd.expect_all_past(programme, beam.sent() + 50);
    crowd.expect_flawless();
    mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
    mirrorball.expect_holdings(held);
}
