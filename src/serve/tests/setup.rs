//! SETUP of what is set up already: what is granted, what it holds, and that what is refused changes nothing.

use super::*;
use crate::relay::{Carriage, StreamSink, Track};
use crate::serve::rtsp::Session;
use crate::serve::stream::Sink;

const PICTURE: &str = "rtsp://edge/duo/trackID=1";
const SOUND: &str = "rtsp://edge/duo/trackID=2";
const DUO: &str = "rtsp://edge/duo";

impl Rig {
    fn track(&self, number: usize) -> Arc<Track> {
        self.server.catalogue.find("duo").expect("a channel").tracks[number - 1].clone()
    }

    fn session(&self) -> Arc<Session> {
        self.server.sessions.all().pop().expect("a session")
    }

    /// The next frame, which is written as a lane has it written, once the client's request is done with.
    fn frame(&self, client: &mut Client) -> (u8, Vec<u8>) {
        let output = self.session().home().and_then(|home| home.output.clone()).expect("a connection");
        client.stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
        let began = clock::now();
        let waits = |client: &Client| client.frames.is_empty() && client.stream.peek(&mut [0]).is_err();
        while waits(client) && began.elapsed() < Duration::from_secs(20) {
            Sink(output.clone()).pump(None);
        }
        client.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        client.frame()
    }

    fn egress(&self) -> u64 {
        self.server.addresses.account(Ipv4Addr::LOCALHOST.into()).held(Good::Egress)
    }
}

impl Client {
    /// Sets a track up by a transport; returns the one that was granted.
    fn grant(&mut self, url: &str, session: &str, transport: &str) -> String {
        let answer = self.ask(&format!("SETUP {url}"), &format!("{session}Transport: {transport}\r\n"));
        assert_eq!(answer.status, 200, "{transport}: {}", answer.head);
        answer.header("Transport").expect("granted").to_owned()
    }

    /// Sets a track up by a transport, in a session of its own; returns that as a header, and the transport.
    fn begin(&mut self, url: &str, transport: &str) -> (String, String) {
        let answer = self.ask(&format!("SETUP {url}"), &format!("Transport: {transport}\r\n"));
        let granted = answer.header("Transport").expect("granted").to_owned();
        (format!("Session: {}\r\n", answer.session()), granted)
    }

    /// Plays, and waits until it does.
    fn play(&mut self, session: &str) {
        assert_eq!(self.status(&format!("PLAY {DUO}"), session), 200);
        assert_eq!(self.status("OPTIONS *", ""), 200, "answered when all before is done");
    }

    /// The next frame: its channel and payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        self.frames.pop_front().unwrap_or_else(|| {
            let mut dollar = [0];
            self.stream.read_exact(&mut dollar).expect("a frame");
            assert_eq!(dollar, *b"$");
            self.read_frame()
        })
    }
}

fn udp(port: u16) -> String {
    format!("RTP/AVP;unicast;client_port={port}-{}", port + 1)
}

#[test]
fn the_same_again_is_granted_the_same_whether_it_plays_or_not() {
    for transport in [udp(41_000).as_str(), "RTP/AVP/TCP;unicast;interleaved=6-7", "RTP/AVP/TCP;unicast"] {
        let rig = Rig::new();
        rig.track(1).receive(
            &crate::wire::rtp::check(&MEDIA).expect("RTP"),
            &MEDIA,
            ([127, 0, 0, 1], 4000).into(),
            clock::now(),
        );
        let mut client = rig.client();
        let (session, granted) = client.begin(PICTURE, transport);
        assert!(granted.ends_with(";ssrc=0000002A"), "{granted}");
        for again in [PICTURE, "rtsp://edge/duo.sdp/trackid=1/", "rtsp://other/duo?key=1/trackID=1"] {
            assert_eq!(client.grant(again, &session, transport), granted, "ready");
        }
        let played = client.ask(&format!("PLAY {DUO}"), &session);
        assert!(played.head.contains("url=rtsp://other/duo?key=1/trackID=1;"), "as in its newest SETUP");
        let held = rig.egress();
        // Its packets come by the connection from here on, or not.
        if transport.contains("TCP") {
            rig.frame(&mut client);
        }
        for _ in 0..100 {
            assert_eq!(client.grant(PICTURE, &session, transport), granted, "playing");
        }
        assert_eq!((rig.egress(), rig.session().tracks()), (held, 1), "for once is enough");
        assert_eq!(client.status(&format!("PAUSE {DUO}"), &session), 200);
        assert_eq!(client.grant(PICTURE, &session, transport), granted, "paused");
        assert_eq!(client.status(&format!("TEARDOWN {DUO}"), &session), 200);
        assert_eq!(rig.egress(), 0);
        rig.stop();
    }
}

/// A packet of type 96.
const MEDIA: [u8; 13] = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 42, 7];

#[test]
fn a_transport_is_changed_as_often_as_the_client_likes_and_nothing_piles_up() {
    let rig = Rig::new();
    let stream = rig.track(1);
    stream.rtp.push((0..5).map(|number| packet(number, 1000)));
    let mut client = rig.client();
    let (session, _) = client.begin(PICTURE, "RTP/AVP/TCP;unicast");
    let weight = rig.egress();
    assert!(weight > 300_000, "twice as much, and a second one would not fit: {weight}");
    client.grant(SOUND, &session, "RTP/AVP/TCP;unicast");
    assert_eq!(client.status(&format!("PLAY {DUO}"), &session), 200);
    rig.frame(&mut client);
    for round in 0..50u16 {
        client.grant(PICTURE, &session, &udp(42_000 + 2 * round));
        assert!(rig.session().is_playing());
        let channel = 2 + 2 * round;
        let asked = format!("RTP/AVP/TCP;unicast;interleaved={}-{}", channel + 2, channel + 3);
        assert!(client.grant(PICTURE, &session, &asked).contains(&format!("interleaved={}-", channel + 2)));
        assert_eq!((rig.egress(), rig.session().tracks()), (weight, 2), "round {round}");
    }
    let audience = &rig.server.catalogue.find("duo").expect("a channel").audience;
    assert_eq!((audience.by(Carriage::Tcp), audience.by(Carriage::Udp)), (1, 0));
    // What is not used any more is free for others, and what is used is not.
    let (news, granted) = client.begin(NEWS, "RTP/AVP/TCP;unicast;interleaved=0-1");
    assert!(granted.contains("interleaved=0-1"), "{granted}");
    let granted = client.grant(NEWS, &news, "RTP/AVP/TCP;unicast;interleaved=102-103");
    assert!(granted.contains("interleaved=0-1"), "{granted}");
    rig.stop();
}

#[test]
fn channels_of_another_track_are_not_taken_away() {
    let rig = Rig::new();
    let mut client = rig.client();
    let (session, _) = client.begin(PICTURE, "RTP/AVP/TCP;unicast;interleaved=0-1");
    let channels = |granted: String| granted.split("interleaved=").nth(1).map(|rest| rest[..3].to_owned());
    let mut ask = |url, asked: &str| {
        channels(client.grant(url, &session, &format!("RTP/AVP/TCP;unicast{asked}"))).expect("channels")
    };
    assert_eq!(ask(SOUND, ";interleaved=0-1"), "2-3", "the next that are free");
    assert_eq!(ask(SOUND, ";interleaved=1-2"), "2-3", "it keeps its own where it can not have others");
    assert_eq!(ask(PICTURE, ";interleaved=1-0"), "1-0", "its own are its own");
    assert_eq!(ask(PICTURE, ";interleaved=4-5"), "4-5");
    assert_eq!(ask(SOUND, ";interleaved=0-1"), "0-1", "they are free now");
    assert_eq!(ask(PICTURE, ""), "4-5", "whoever does not mind keeps what is there");
    rig.stop();
}

#[test]
fn a_setup_that_is_refused_leaves_the_session_as_it_was() {
    let rig = Rig::new();
    let (mut client, mut other) = (rig.client(), rig.client());
    let transport = udp(43_000);
    let (session, granted) = client.begin(PICTURE, &transport);
    for plays in [false, true] {
        if plays {
            client.play(&session);
        }
        let picture = format!("SETUP {PICTURE}");
        for (line, transport, status) in [
            (picture.as_str(), "RTP/AVP;multicast", 461),
            (&picture, "RTP/AVP;unicast;client_port=53-54", 461),
            (&picture, "RTP/SAVP;unicast;client_port=43000-43001", 461),
            (&picture, "nonsense", 400),
            ("SETUP rtsp://edge/duo/trackID=3", &transport, 404),
            ("SETUP rtsp://edge/duo", &transport, 459),
            ("SETUP rtsp://edge/news", &transport, 459),
        ] {
            let headers = format!("{session}Transport: {transport}\r\n");
            assert_eq!(client.status(line, &headers), status, "{line} {transport}");
        }
        rig.track(2).rtp.push((0..80).map(|number| packet(number, 1000)));
        assert_eq!(client.status(&format!("SETUP {SOUND}"), &format!("{session}{TCP}")), 453);
        assert_eq!((rig.session().is_playing(), rig.session().tracks()), (plays, 1));
        assert_eq!(client.grant(PICTURE, &session, &transport), granted);
        assert_eq!(other.ask(&picture, &format!("{session}Transport: {transport}\r\n")).status, 200);
    }
    rig.stop();
}

#[test]
fn a_track_that_is_added_waits_for_the_next_play_and_the_others_go_on() {
    let rig = Rig::new();
    let mut client = rig.client();
    let (session, _) = client.begin(PICTURE, "RTP/AVP/TCP;unicast");
    for track in [1, 2] {
        rig.track(track).rtp.push((0..3).map(|number| packet(number, 10)));
    }
    assert_eq!(client.status(&format!("PLAY {DUO}"), &session), 200);
    assert_eq!(rig.frame(&mut client), (0, vec![2; 10]));
    client.grant(SOUND, &session, "RTP/AVP/TCP;unicast");
    rig.track(1).rtp.push([packet(3, 10)]);
    rig.track(2).rtp.push([packet(3, 10)]);
    let played = client.ask(&format!("PLAY {DUO}"), &session).head;
    assert!(played.contains(&format!("RTP-Info: url={SOUND};seq=3;rtptime=270\r\n")), "{played}");
    let mut frames = [rig.frame(&mut client), rig.frame(&mut client)];
    frames.sort();
    assert_eq!(frames, [(0, vec![3; 10]), (2, vec![3; 10])], "each once, and the sound none of before");
    let again = client.ask(&format!("PLAY {DUO}"), &session);
    assert!(again.status == 200 && !again.head.contains("RTP-Info"), "{}", again.head);
    assert_eq!(client.status(&format!("TEARDOWN {PICTURE}"), &session), 200);
    assert!(rig.session().is_playing(), "the sound goes on");
    assert_eq!(client.status(&format!("PLAY {PICTURE}"), &session), 455, "it is not set up");
    assert_eq!(client.status(&format!("PLAY {SOUND}"), &session), 200);
    rig.stop();
}

#[test]
fn what_is_torn_down_between_plan_and_play_does_not_mix_the_tracks_up() {
    let rig = Rig::new();
    let mut client = rig.client();
    let (session, _) = client.begin(PICTURE, "RTP/AVP/TCP;unicast");
    client.grant(SOUND, &session, "RTP/AVP/TCP;unicast");
    rig.track(1).rtp.push((0..90).map(|number| packet(number, 10)));
    rig.track(2).rtp.push((0..3).map(|number| packet(number, 10)));
    let plan = rig.session().plan(clock::now());
    assert_eq!(rig.client().status(&format!("TEARDOWN {PICTURE}"), &session), 200, "by another connection");
    rig.session().play(&plan, None, clock::now());
    rig.session().play(&plan, None, clock::now()); // by another PLAY: it plays already
    assert_eq!(rig.frame(&mut client), (2, vec![2; 10]));
    assert_eq!(client.status("OPTIONS *", ""), 200, "and nothing twice");
    rig.stop();
}

#[test]
fn a_session_of_which_nothing_plays_is_ready() {
    let rig = Rig::new();
    let mut client = rig.client();
    let (session, _) = client.begin(PICTURE, "RTP/AVP/TCP;unicast");
    client.play(&session);
    client.grant(SOUND, &session, "RTP/AVP/TCP;unicast");
    assert_eq!(client.status(&format!("TEARDOWN {PICTURE}"), &session), 200);
    assert!(!rig.session().is_playing());
    assert_eq!(client.status(&format!("PAUSE {DUO}"), &session), 455);
    client.play(&session);
    assert!(rig.session().is_playing());
    rig.stop();
}

#[test]
fn what_comes_from_ports_that_a_viewer_has_left_is_not_the_viewers() {
    let rig = Rig::new();
    let mut client = rig.client();
    let (session, _) = client.begin(PICTURE, &udp(44_000));
    client.play(&session);
    let at = |port| ([127, 0, 0, 1], port).into();
    assert!(rig.session().is_at(1, at(44_000)) && rig.session().is_at(1, at(44_001)));
    client.grant(PICTURE, &session, &udp(44_010));
    let (moved, now) = (rig.session(), clock::now());
    assert!(moved.is_at(1, at(44_010)) && !moved.is_at(1, at(44_001)));
    for later in [0, 1, 2] {
        assert!(
            !moved.refuse(1, at(44_000), now + Duration::from_secs(later)),
            "nobody listens there any more"
        );
    }
    assert!(!moved.refuse(1, at(44_010), now + Duration::from_secs(3)), "once is not enough");
    assert!(moved.refuse(1, at(44_010), now + Duration::from_secs(4)));
    rig.stop();
}

#[test]
fn what_can_not_be_read_is_answered_with_the_date_too() {
    let rig = Rig::new();
    let mut client = rig.client();
    let refused = client.ask("OPTIONS *", "X: a\u{1}b\r\n");
    assert!(refused.status == 400 && refused.header("Date").is_some(), "{}", refused.head);
    rig.stop();
}

/// A session is controlled from wherever its id is known: whatever comes at the same time, what it holds is given back.
#[test]
fn setups_from_two_connections_while_it_plays_pauses_and_ends_leave_nothing_behind() {
    let rig = Rig::new();
    let channel = rig.server.catalogue.find("duo").expect("a channel").clone();
    let mut own = rig.client();
    for round in 0..20u16 {
        let (session, _) = own.begin(PICTURE, &udp(45_000));
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut other = rig.client();
                together.wait();
                for (line, port) in [("PLAY", 0), ("SETUP", 2), ("PAUSE", 0), ("SETUP", 4), ("TEARDOWN", 0)] {
                    let url = if line == "SETUP" { PICTURE } else { DUO };
                    let port = 45_100 + 10 * round + port;
                    other.ask(&format!("{line} {url}"), &format!("{session}Transport: {}\r\n", udp(port)));
                }
            });
            together.wait();
            for transport in ["RTP/AVP/TCP;unicast", &udp(45_010), &udp(45_000), "RTP/AVP/TCP;unicast"] {
                let headers = format!("{session}Transport: {transport}\r\n");
                let status = own.status(&format!("SETUP {PICTURE}"), &headers);
                // The other may have asked last: it is that one's then, or nobody's.
                let lost = [454, if transport.contains("TCP") { 461 } else { 454 }];
                assert!(status == 200 || lost.contains(&status), "{transport}: {status}");
            }
        });
        own.status(&format!("TEARDOWN {DUO}"), &session);
        assert_eq!((channel.audience.by(Carriage::Tcp), channel.audience.by(Carriage::Udp)), (0, 0));
        assert_eq!((rig.server.stats().sessions, rig.egress()), (0, 0));
    }
    rig.stop();
}
