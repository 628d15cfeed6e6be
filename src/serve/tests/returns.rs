//! Sessions whose connections come and go, and newcomers who are sent elsewhere.

use super::*;
use crate::serve::OutGroup;
use crate::serve::rtsp::Session;
use crate::wire::rtsp::Redirect;

const TIMEOUT: Duration = Duration::from_secs(60);
const SERVER: &str = "rtsp://edge/";

impl Rig {
    /// One whose viewers over UDP have so long to come back.
    fn with_grace(grace: Duration) -> Self {
        Self::with(TIMEOUT, |config| config.close_grace = grace)
    }

    fn the_session(&self) -> Arc<Session> {
        self.server.sessions.all().pop().expect("a session")
    }

    fn ended(&self, reason: &str) -> u64 {
        self.server.stats().sessions_ended[reason]
    }
}

impl Client {
    /// Sets a channel up over UDP; the session as a header.
    fn set_up_udp(&mut self, url: &str, port: u16) -> String {
        let udp = format!("Transport: RTP/AVP;unicast;client_port={port}-{}\r\n", port + 1);
        let answer = self.ask(&format!("SETUP {url}"), &udp);
        assert_eq!(answer.status, 200, "{}", answer.head);
        format!("Session: {}\r\n", answer.session())
    }
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = clock::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_connection_for_each_request_is_enough_for_a_session_over_udp() {
    let rig = Rig::with_grace(TIMEOUT);
    let session = rig.client().set_up_udp(NEWS, 46_000);
    for line in ["PLAY rtsp://edge/news", "OPTIONS rtsp://edge/", "PAUSE rtsp://edge/", "PLAY rtsp://edge/"] {
        wait_until("its connection is closed", || rig.the_session().signs().left_at.is_some());
        assert_eq!(rig.client().status(line, &session), 200, "{line}");
    }
    wait_until("it plays again", || rig.the_session().is_playing());
    assert_eq!(rig.client().status(&format!("TEARDOWN {NEWS}"), &session), 200);
    assert_eq!((rig.server.stats().sessions, rig.ended("teardown")), (0, 1));
    rig.stop();
}

#[test]
fn who_closes_its_connection_and_says_nothing_is_let_go_in_time() {
    let grace = Duration::from_millis(300);
    let rig = Rig::with_grace(grace);
    let (mut over_tcp, mut over_udp) = (rig.client(), rig.client());
    over_tcp.set_up(NEWS, None);
    let session = over_udp.set_up_udp(NEWS, 46_010);
    assert_eq!(over_udp.status(&format!("PLAY {NEWS}"), &session), 200);
    let began = clock::now();
    drop((over_tcp, over_udp));
    wait_until("it ends", || rig.server.stats().sessions == 0);
    assert!(began.elapsed() >= grace, "it is waited for");
    assert_eq!((rig.ended("connection closed"), rig.ended("not back")), (1, 1), "over TCP nobody waits");
    // Lanes are run by hand here: one that would rest first keeps its viewer's ports, which somebody looks after.
    let watches = || usize::from(rig.server.pairs.is_in_use());
    wait_until("nothing else is kept of them", || {
        rig.server.addresses.is_empty() && rig.server.timers.len() == watches()
    });
    rig.stop();
}

#[test]
fn without_a_grace_a_session_ends_with_its_connection() {
    let rig = Rig::with_grace(Duration::ZERO);
    rig.client().set_up_udp(NEWS, 46_020);
    wait_until("it ends", || rig.ended("connection closed") == 1);
    rig.stop();
}

#[test]
fn a_session_is_of_the_connection_that_asked_last_and_of_no_other() {
    let rig = Rig::with_grace(Duration::from_millis(300));
    let (mut first, mut second) = (rig.client(), rig.client());
    let session = first.set_up_udp(NEWS, 46_030);
    let before = rig.the_session().home().expect("a connection");
    assert_eq!(second.status(&format!("GET_PARAMETER {NEWS}"), &session), 200);
    assert!(before.is_empty(), "it has moved");
    drop(first);
    wait_until("the first is closed", || rig.server.stats().all_connections() == 1);
    assert!(rig.the_session().signs().left_at.is_none(), "which is nothing to it");
    // It may be set up otherwise where it is now, and stays there from then on.
    let moved = second.ask(&format!("SETUP {NEWS}"), &format!("{session}{TCP}"));
    assert_eq!(moved.status, 200, "{}", moved.head);
    let mut third = rig.client();
    assert_eq!(third.status(&format!("SETUP {NEWS}"), &format!("{session}{TCP}")), 461);
    drop(second);
    wait_until("it ends with its connection", || rig.ended("connection closed") == 1);
    rig.stop();
}

#[test]
fn a_connection_that_asked_before_stands_for_a_session_as_long_as_it_is_open() {
    let grace = Duration::from_millis(300);
    let rig = Rig::with_grace(grace);
    let (mut first, mut second) = (rig.client(), rig.client());
    let session = first.set_up_udp(NEWS, 46_034);
    assert_eq!(second.status(&format!("GET_PARAMETER {NEWS}"), &session), 200);
    let kept = rig.the_session();
    drop(second);
    wait_until("it is nobody's", || kept.home().is_none());
    assert_eq!(kept.signs().left_at, None, "the first is there, and may ask as rarely as others");
    let looked_at = clock::now() + 2 * grace;
    wait_until("it is looked at", || clock::now() > looked_at);
    assert!(!kept.has_ended());
    assert_eq!(first.status(&format!("PLAY {NEWS}"), &session), 200);
    assert!(kept.home().is_some(), "it is the first one's again");
    let mut third = rig.client();
    assert_eq!(third.status(&format!("GET_PARAMETER {NEWS}"), &session), 200);
    drop(third);
    wait_until("it is nobody's", || kept.home().is_none());
    drop(first);
    wait_until("it ends with the last of them", || rig.ended("not back") == 1);
    rig.stop();
}

#[test]
fn a_player_without_rtcp_that_hangs_is_let_go_in_the_end_and_one_that_asks_is_not() {
    let rig = Rig::with(Duration::from_secs(1), |config| config.longest_silence = Duration::from_secs(2));
    let (mut asks, mut hangs) = (rig.client(), rig.client());
    let sessions = [(&mut asks, 46_036), (&mut hangs, 46_038)].map(|(client, port)| {
        let raw = format!("Transport: RAW/RAW/UDP;unicast;client_port={port}\r\n");
        let session = format!("Session: {}\r\n", client.ask(&format!("SETUP {NEWS}"), &raw).session());
        assert_eq!(client.status(&format!("PLAY {NEWS}"), &session), 200);
        session
    });
    let began = clock::now();
    wait_until("it is let go, though its host keeps its connection", || {
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(asks.status("OPTIONS *", &sessions[0]), 200);
        rig.ended("timeout") == 1
    });
    assert!(began.elapsed() > Duration::from_secs(2), "by which it has lived for a while");
    assert_eq!((asks.status("OPTIONS *", &sessions[0]), rig.server.stats().sessions), (200, 1));
    rig.stop();
}

#[test]
fn what_is_set_up_counts_where_the_session_is() {
    let rig = Rig::with_grace(TIMEOUT);
    let (mut first, mut second) = (rig.client(), rig.client());
    let own = second.set_up_udp(NEWS, 46_050);
    let home = rig.the_session().home().expect("a connection");
    let session = first.set_up_udp("rtsp://edge/duo/trackID=1", 46_040);
    let moves = |second: &mut Client| {
        assert_eq!(second.status("OPTIONS *", &session), 200);
        let sessions = rig.server.sessions.all();
        sessions.iter().filter(|session| session.belongs_to(&home)).count() == 2
    };
    let room = &home.output.as_ref().expect("a socket").room;
    let taken: Vec<_> = std::iter::from_fn(|| room.for_setup(0)).collect();
    assert!(!moves(&mut second), "there is no room for it");
    let more = second.ask("SETUP rtsp://edge/duo/trackID=2", &format!("{session}{TCP}"));
    assert_eq!(more.status, 461, "not of its connection");
    drop(taken);
    assert!(moves(&mut second));
    assert!(rig.server.sessions.all().iter().all(|session| session.home().is_some()));
    assert_eq!(second.status("TEARDOWN *", &own), 200);
    rig.stop();
}

#[test]
fn who_comes_back_without_its_session_gets_its_ports_for_itself() {
    let rig = Rig::with_grace(TIMEOUT);
    let session = rig.client().set_up_udp(NEWS, 46_060);
    assert_eq!(rig.client().status(&format!("PLAY {NEWS}"), &session), 200);
    wait_until("its connection is closed", || rig.the_session().signs().left_at.is_some());
    let mut again = rig.client();
    let session = again.set_up_udp("rtsp://edge/duo/trackID=1", 46_060);
    assert_eq!((rig.server.stats().sessions, rig.ended("not back")), (1, 1), "nothing else comes there");
    let mut other = rig.client();
    other.set_up_udp(NEWS, 46_060);
    assert_eq!(rig.server.stats().sessions, 2, "who is there keeps what it has");
    assert_eq!(again.status("TEARDOWN *", &session), 200);
    rig.stop();
}

#[test]
fn who_has_left_counts_for_its_address_until_it_is_let_go() {
    let rig = Rig::with_grace(Duration::from_millis(500));
    for port in [46_070, 46_072] {
        rig.client().set_up_udp(NEWS, port);
    }
    let mut third = rig.client();
    assert_eq!(third.status(&format!("SETUP {NEWS}"), TCP), 503, "two are what an address may have");
    wait_until("they are let go", || rig.ended("not back") == 2);
    assert_eq!(third.status(&format!("SETUP {NEWS}"), TCP), 200);
    rig.stop();
}

#[test]
fn a_connection_whose_session_has_moved_is_closed_as_any_that_is_idle() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let (mut first, mut second) = (rig.client(), rig.client());
    let session = first.set_up_udp(NEWS, 46_080);
    first.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
    wait_until("it is closed", || {
        assert_eq!(second.status("GET_PARAMETER *", &session), 200);
        matches!(first.stream.read(&mut [0]), Ok(0))
    });
    assert!(rig.server.stats().connections_cut.contains(&("idle", 1)));
    assert_eq!(rig.server.stats().sessions, 1, "it lives where it is");
    rig.stop();
}

/// As if a session were asked for while its connection is being closed.
#[test]
fn whatever_comes_first_a_session_is_kept_by_somebody_or_ends() {
    let rig = Rig::with_grace(Duration::from_millis(50));
    for round in 0..30u16 {
        let mut first = rig.client();
        let session = first.set_up_udp(NEWS, 46_100 + 2 * round);
        let mut second = rig.client();
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                together.wait();
                drop(first);
            });
            together.wait();
            let status = second.status("GET_PARAMETER *", &session);
            assert!([200, 454].contains(&status), "{status}");
        });
        drop(second);
        wait_until("it ends", || {
            rig.server.stats().sessions == 0 && rig.server.stats().all_connections() == 0
        });
    }
    assert_eq!(rig.ended("not back"), 30);
    wait_until("nobody is looked after", || rig.server.timers.is_empty());
    rig.stop();
}

#[test]
fn who_guesses_sessions_is_hung_up_on_and_who_is_wrong_now_and_then_is_not() {
    let rig = Rig::new();
    let mut guesser = rig.client();
    for _ in 0..3 {
        assert_eq!(guesser.status("PLAY rtsp://edge/news", "Session: 0123456789ab\r\n"), 454);
    }
    let account = rig.server.addresses.account(Ipv4Addr::LOCALHOST.into());
    (3..999).for_each(|_| assert!(!account.guesses.add(clock::now())));
    assert_eq!(guesser.status("OPTIONS *", "Session: 0\r\n"), 454, "the thousandth");
    assert_eq!(guesser.status("PLAY rtsp://edge/news", ""), 454, "which names none");
    let two = "OPTIONS * RTSP/1.0\r\nCSeq: 900\r\nSession: 1\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 901\r\n\r\n";
    guesser.stream.write_all(two.as_bytes()).expect("sent");
    assert_eq!(guesser.read().status, 454);
    assert_eq!(guesser.stream.read(&mut [0]).expect("an end"), 0, "it is heard no further");
    assert!(rig.server.stats().connections_cut.contains(&("session ids", 1)));
    assert_eq!(rig.client().status("OPTIONS *", ""), 200, "who does not guess is welcome");
    drop((guesser, account));
    rig.stop();
}

fn sending_to(url: &str, sessions: usize) -> Rig {
    let redirect = Redirect::parse(url);
    assert!(redirect.is_some());
    Rig::with(TIMEOUT, |config| (config.redirect, config.limits.sessions) = (redirect, sessions))
}

#[test]
fn a_newcomer_whom_there_is_no_room_for_is_sent_elsewhere() {
    let rig = sending_to("rtsp://other.example:8554", 1);
    let mut viewer = rig.client();
    let describe = "DESCRIBE rtsp://edge/news?key=1";
    assert_eq!(viewer.status(describe, ""), 200, "there is room yet");
    let id = viewer.set_up(NEWS, None);
    let mut newcomer = rig.client();
    for (line, location) in [
        (describe, "rtsp://other.example:8554/news?key=1"),
        ("SETUP rtsp://edge/news/trackID=1", "rtsp://other.example:8554/news/trackID=1"),
    ] {
        let sent = newcomer.ask(line, TCP);
        assert_eq!((sent.status, sent.header("Location")), (302, Some(location)), "{}", sent.head);
    }
    assert_eq!(
        newcomer.status("DESCRIBE rtsp://edge/absent", ""),
        404,
        "what is not here is not said to be there"
    );
    assert_eq!(newcomer.status("OPTIONS rtsp://edge/news", ""), 200);
    assert_eq!(viewer.status(&format!("SETUP {NEWS}"), TCP), 503, "who is here is no newcomer");
    assert_eq!(viewer.status(&format!("PLAY {NEWS}"), &format!("Session: {id}\r\n")), 200);
    let stats = rig.server.stats();
    assert_eq!((stats.requests[&("DESCRIBE", 302)], stats.requests[&("SETUP", 302)]), (1, 1));
    assert!(stats.sessions_refused.contains(&("limit", 3)), "{:?}", stats.sessions_refused);
    rig.stop();
}

#[test]
fn who_wants_what_is_full_here_is_sent_elsewhere_and_others_are_served() {
    let rig = Rig::with(TIMEOUT, |config| {
        config.redirect = Redirect::parse("rtsp://other.example");
        config.limits.sessions_per_channel = 1;
        config.limits.egress = 1_000_000;
    });
    let mut viewer = rig.client();
    viewer.set_up(NEWS, None);
    let mut newcomer = rig.client();
    for line in ["DESCRIBE rtsp://edge/news", "SETUP rtsp://edge/news/trackID=1"] {
        assert_eq!(newcomer.status(line, TCP), 302, "{line}");
    }
    assert_eq!(newcomer.status("DESCRIBE rtsp://edge/duo", ""), 200);
    let track = &rig.server.catalogue.find("duo").expect("a channel").tracks[0];
    track.rtp.push((0..80).map(|number| packet(number, 1000)));
    for line in ["DESCRIBE rtsp://edge/duo", "SETUP rtsp://edge/duo/trackID=1"] {
        assert_eq!(newcomer.status(line, TCP), 302, "{line}: 6.4 Mbit/s, and one is what there is");
    }
    rig.stop();
}

#[test]
fn a_group_that_can_not_be_sent_to_is_told_as_that_and_sends_nobody_elsewhere() {
    let rig = Rig::with(TIMEOUT, |config| {
        config.redirect = Redirect::parse("rtsp://other.example");
        let group = (Ipv4Addr::new(239, 77, 60, 9), 5000).into();
        let out = OutGroup { group, ttl: 1, interface: Some("absent0".to_owned()), is_announced: false };
        config.multicast_out.insert("news".to_owned(), out);
    });
    let refused = rig.client().ask(&format!("SETUP {NEWS}"), "Transport: RTP/AVP;multicast\r\n");
    assert_eq!(refused.status, 503, "{}", refused.head);
    assert!(
        refused.header("Retry-After").is_some() && refused.header("Location").is_none(),
        "{}",
        refused.head
    );
    let refused = rig.server.stats().sessions_refused;
    assert!(refused.contains(&("multicast_out", 1)) && refused.contains(&("limit", 0)), "{refused:?}");
    assert_eq!(rig.client().status(&format!("SETUP {NEWS}"), TCP), 200, "the edge is not full");
    rig.stop();
}

#[test]
fn who_comes_while_media_is_late_is_sent_elsewhere_too_and_nobody_to_where_it_is() {
    for (other, status) in [("rtsp://other.example", 302), ("rtsp://EDGE:554", 503)] {
        let rig = sending_to(other, 3);
        rig.server.lateness.observe(Leg::Udp, ROOMY.age, false, clock::now());
        assert_eq!(rig.client().status("DESCRIBE rtsp://edge/news", ""), status, "{other}");
        rig.stop();
    }
}

#[test]
fn a_session_says_what_is_meant_by_the_servers_url() {
    let rig = Rig::new();
    let mut client = rig.client();
    let session = format!("Session: {}\r\n", client.set_up(NEWS, None));
    for server in [SERVER, "*"] {
        assert_eq!(client.status(&format!("PLAY {server}"), &session), 200);
        assert_eq!(client.status(&format!("PAUSE {server}"), &session), 200);
        assert_eq!(client.status(&format!("PLAY {server}"), ""), 404, "nothing does");
    }
    rig.stop();
}
