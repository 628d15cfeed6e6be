//! Requests over real connections: which status answers what, and what a session holds.

use super::*;
use crate::event::{Class, TaskQueue, clock};
use crate::relay::rig::{ROOMY, by_hand, packet};
use crate::relay::{Channel, Coalesce, Lateness, Leg};
use crate::serve::addresses::Good;
use crate::wire::sdp;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::sync::Barrier;

const TWO_TRACKS: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=duo\r\nc=IN IP4 239.77.60.1/8\r\nt=0 0\r\n\
    m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 5006 RTP/AVP 0\r\n";

struct Rig {
    queue: Arc<TaskQueue>,
    poller: Arc<Poller>,
    server: Arc<RtspServer>,
    listener: Arc<RtspListener>,
}

impl Rig {
    fn new() -> Self {
        Self::patient_for(Duration::from_secs(60))
    }

    fn patient_for(session_timeout: Duration) -> Self {
        let queue = TaskQueue::start("t-serve", 2).expect("threads");
        let poller = Poller::new(64, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Control).expect("a timer");
        let group = IpAddr::V4(Ipv4Addr::new(239, 77, 60, 2));
        let channel = |name: &str, presentation| {
            let silent_after = Duration::from_secs(2);
            Channel::new(
                name.into(),
                presentation,
                silent_after,
                ROOMY,
                Coalesce::Auto,
                &by_hand(),
                clock::now(),
            )
        };
        let catalogue = Catalogue::new([
            channel("news", sdp::mpegts("news", group, 5004, None)),
            channel("duo", sdp::parse(TWO_TRACKS.as_bytes()).expect("a description")),
        ]);
        let limits = Limits {
            connections: 3,
            connections_per_address: 3,
            sessions: 3,
            sessions_per_address: 2,
            unread_bytes_per_address: 28 << 10,
            egress_per_address: 1_000_000,
        };
        let longest_silence = 4 * session_timeout;
        let config = ServerConfig { udp_ports: None, session_timeout, longest_silence, limits };
        let to_come = clock::now() + Duration::from_secs(3600); // no time passes before
        let lateness = Lateness::new(ROOMY.age, to_come);
        let server = RtspServer::new(Arc::new(catalogue), poller.clone(), timers, lateness, config);
        let listener = server.listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        Self { queue, poller, server, listener }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.listener.address()).expect("a listener");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        Client { stream, cseq: 0 }
    }

    fn stop(self) {
        self.listener.stop();
        self.server.stop();
        self.poller.stop();
        self.server.timers.stop();
        self.queue.stop();
        let server = Arc::downgrade(&self.server);
        drop((self.server, self.listener));
        assert_eq!(server.strong_count(), 0, "nothing holds the server");
    }
}

struct Client {
    stream: TcpStream,
    cseq: u32,
}

struct Answer {
    status: u16,
    head: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn session(&self) -> String {
        let session = self.header("Session").expect("a session");
        assert!([60, 4, 1].iter().any(|s| session.ends_with(&format!(";timeout={s}"))), "{session}");
        session.split(';').next().unwrap_or_default().to_owned()
    }
}

impl Client {
    /// Sends a request and reads its reply; CSeq is always echoed.
    fn ask(&mut self, line: &str, headers: &str) -> Answer {
        self.cseq += 1;
        let request = format!("{line} RTSP/1.0\r\nCSeq: {}\r\n{headers}\r\n", self.cseq);
        self.stream.write_all(request.as_bytes()).expect("sent");
        let answer = self.read();
        assert_eq!(answer.header("CSeq"), Some(self.cseq.to_string().as_str()), "{line}: {}", answer.head);
        answer
    }

    fn read(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("a reply");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let answer = Answer { status, head };
        let length = answer.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        self.stream.read_exact(&mut vec![0; length]).expect("the body");
        answer
    }

    fn status(&mut self, line: &str, headers: &str) -> u16 {
        self.ask(line, headers).status
    }

    /// Sets up a track of `duo` or the one of `news`, interleaved.
    fn set_up(&mut self, url: &str, session: Option<&str>) -> String {
        let session = session.map(|id| format!("Session: {id}\r\n")).unwrap_or_default();
        let answer = self.ask(&format!("SETUP {url}"), &format!("{TCP}{session}"));
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer.session()
    }
}

const TCP: &str = "Transport: RTP/AVP/TCP;unicast\r\n";
const NEWS: &str = "rtsp://edge/news";

#[test]
fn each_wrong_request_has_its_status() {
    let rig = Rig::new();
    let mut client = rig.client();
    for (line, headers, status) in [
        ("OPTIONS *", "", 200),
        ("OPTIONS rtsp://edge/news", "", 200),
        ("OPTIONS rtsp://edge/news", "Session: none\r\n", 454),
        ("OPTIONS rtsp://edge/news", "Require: magic\r\n", 551),
        ("DESCRIBE rtsp://edge/news", "Accept: application/sdp\r\n", 200),
        ("DESCRIBE rtsp://edge/news.sdp", "", 200),
        ("DESCRIBE rtsp://edge/nothing", "", 404),
        ("DESCRIBE rtsp://edge/news/trackID=2", "", 404),
        ("DESCRIBE rtsp://edge/news", "Accept: text/html\r\n", 406),
        ("DESCRIBE http://edge/news", "", 400),
        ("SETUP rtsp://edge/duo", TCP, 459),
        ("SETUP rtsp://edge/news", "", 400),
        ("SETUP rtsp://edge/news", "Transport: nonsense\r\n", 400),
        ("SETUP rtsp://edge/news", "Transport: RTP/AVP;multicast\r\n", 461),
        ("SETUP rtsp://edge/news", "Transport: RTP/AVP/TCP\r\nSession: none\r\n", 454),
        ("PLAY rtsp://edge/news", "", 454),
        ("PAUSE rtsp://edge/news", "Session: none\r\n", 454),
        ("TEARDOWN rtsp://edge/news", "Session: none\r\n", 454),
        ("GET_PARAMETER *", "", 200),
        ("SET_PARAMETER rtsp://edge/news", "", 200),
        ("RECORD rtsp://edge/news", "", 405),
        ("ANNOUNCE rtsp://edge/nothing", "", 404),
        ("DANCE rtsp://edge/news", "", 501),
    ] {
        assert_eq!(client.status(line, headers), status, "{line} {headers}");
    }
    assert_eq!(rig.server.stats().sessions, 0, "what was refused holds nothing");
    rig.stop();
}

#[test]
fn what_clients_ask_beside_the_matter_is_answered() {
    let rig = Rig::new();
    let mut client = rig.client();
    let asked = client.ask("OPTIONS rtsp://user:word@edge/news", "Timestamp: 3.25\r\n");
    assert!(
        asked.head.contains("\r\nTimestamp: 3.25\r\n") && asked.head.contains("\r\nDate: "),
        "{}",
        asked.head
    );
    let described = client.ask("DESCRIBE rtsp://user:word@edge/duo/trackID=2", "");
    assert!(described.head.contains("Content-Base: rtsp://edge/duo/\r\n"), "{}", described.head);
    let id = client.set_up(NEWS, None);
    let session = format!("Session: {id}\r\n");
    let played = client.ask(&format!("PLAY {NEWS}"), &format!("{session}Scale: 2.0\r\nSpeed: 3\r\n"));
    assert!(
        played.head.contains("\r\nScale: 1\r\n") && played.head.contains("\r\nSpeed: 1\r\n"),
        "{}",
        played.head
    );
    assert_eq!(client.status(&format!("SET_PARAMETER {NEWS}"), &session), 200, "a sign of life");
    for server in ["*", "rtsp://edge", "rtsp://edge:8554/"] {
        assert_eq!(client.status(&format!("TEARDOWN {server}"), "Session: none\r\n"), 454);
        let id = client.set_up(NEWS, None);
        assert_eq!(client.status(&format!("TEARDOWN {server}"), &format!("Session: {id}\r\n")), 200);
    }
    assert_eq!(client.status("TEARDOWN *", &session), 200);
    assert_eq!(rig.server.stats().sessions, 0);
    rig.stop();
}

#[test]
fn sessions_that_another_connection_ends_leave_nothing_behind() {
    let rig = Rig::new();
    let (mut sets_up, mut tears_down) = (rig.client(), rig.client());
    for _ in 0..50 {
        let id = sets_up.set_up(NEWS, None);
        let session = rig.server.sessions().pop().expect("just set up");
        let dead = Arc::downgrade(&session);
        drop(session);
        assert_eq!(tears_down.status(&format!("TEARDOWN {NEWS}"), &format!("Session: {id}\r\n")), 200);
        let next = sets_up.set_up(NEWS, None);
        assert!(dead.upgrade().is_none(), "the connection that set it up has let it go");
        assert_eq!(sets_up.status(&format!("TEARDOWN {NEWS}"), &format!("Session: {next}\r\n")), 200);
    }
    rig.stop();
}

#[test]
fn a_session_goes_through_its_states() {
    let rig = Rig::new();
    let mut client = rig.client();
    let id = client.set_up(NEWS, None);
    let session = format!("Session: {id}\r\n");
    let news = |method: &str| format!("{method} {NEWS}");
    assert_eq!(client.status(&news("PAUSE"), &session), 455, "it does not play");
    assert_eq!(client.status(&news("PLAY"), &format!("{session}Range: npt=soon-\r\n")), 400);
    assert_eq!(client.status(&news("PLAY"), &format!("{session}Range: npt=10-20\r\n")), 200, "live is now");
    assert_eq!(client.status(&news("SETUP"), &format!("{session}{TCP}")), 200, "it plays on");
    assert_eq!(client.status(&news("PLAY"), &session), 200);
    assert_eq!(client.status(&news("GET_PARAMETER"), &session), 200);
    assert_eq!(client.status(&news("PAUSE"), &session), 200);
    assert_eq!(client.status("PLAY rtsp://edge/duo", &session), 454, "it is not of that channel");
    assert_eq!(client.status("TEARDOWN rtsp://edge/duo", &session), 454);
    assert_eq!(rig.server.stats().sessions, 1);
    assert_eq!(client.status(&news("TEARDOWN"), &session), 200);
    assert_eq!(client.status(&news("PLAY"), &session), 454);
    let stats = rig.server.stats();
    assert_eq!((stats.sessions, stats.sessions_ended["teardown"]), (0, 1));
    rig.stop();
}

#[test]
fn tracks_are_set_up_one_by_one_and_played_together() {
    let rig = Rig::new();
    let mut client = rig.client();
    let id = client.set_up("rtsp://edge/duo/trackID=1", None);
    assert_eq!(client.set_up("rtsp://edge/duo/trackID=2", Some(&id)), id);
    let session = format!("Session: {id}\r\n");
    assert_eq!(client.status("PLAY rtsp://edge/duo/trackID=1", &session), 460);
    assert_eq!(client.status("PLAY rtsp://edge/duo/", &session), 200);
    assert_eq!(client.status("TEARDOWN rtsp://edge/duo/trackID=1", &session), 200);
    assert_eq!(rig.server.stats().sessions, 1, "the other track plays on");
    assert_eq!(client.status("TEARDOWN rtsp://edge/duo/trackID=2", &session), 200);
    assert_eq!(rig.server.stats().sessions, 0);
    rig.stop();
}

#[test]
fn a_client_that_collides_gets_the_next_port_pair() {
    let rig = Rig::new();
    let (mut first, mut second) = (rig.client(), rig.client());
    let udp = "Transport: RTP/AVP;unicast;client_port=40000-40001\r\n";
    let ports = |client: &mut Client| {
        let answer = client.ask(&format!("SETUP {NEWS}"), udp);
        let transport = answer.header("Transport").expect("granted").to_owned();
        transport.split("server_port=").nth(1).expect("ports").split(';').next().map(str::to_owned)
    };
    assert_ne!(ports(&mut first), ports(&mut second));
    rig.stop();
}

#[test]
fn packets_go_to_no_port_of_a_well_known_service() {
    let rig = Rig::new();
    let mut client = rig.client();
    for ports in ["53-54", "1023-1024", "40000-123"] {
        let udp = format!("Transport: RTP/AVP;unicast;client_port={ports}\r\n");
        assert_eq!(client.status(&format!("SETUP {NEWS}"), &udp), 461, "{ports}");
    }
    let stats = rig.server.stats();
    let ended: u64 = stats.sessions_ended.values().sum();
    assert_eq!((stats.sessions, ended), (0, 0), "no session is begun for it");
    assert_eq!(stats.sessions_refused[..3], [("late", 0), ("limit", 0), ("port", 3)]);
    let lowest = "Transport: RTP/AVP;unicast;client_port=1024-1025\r\n";
    assert_eq!(client.status(&format!("SETUP {NEWS}"), lowest), 200);
    rig.stop();
}

#[test]
fn a_session_that_plays_outlives_silence_of_its_source_and_one_that_does_not_does_not() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let (mut waits, mut plays) = (rig.client(), rig.client());
    waits.set_up(NEWS, None);
    let began = clock::now();
    let session = plays.set_up(NEWS, None);
    assert_eq!(plays.status(&format!("PLAY {NEWS}"), &format!("Session: {session}\r\n")), 200);
    assert_eq!(waits.stream.read(&mut [0]).expect("an end"), 0);
    assert_eq!(rig.server.stats().sessions, 1, "who only set up is let go, and the connection too");
    assert_eq!(plays.stream.read(&mut [0]).expect("an end"), 0, "who plays in time");
    assert!(began.elapsed() > Duration::from_millis(3900), "after the longest silence");
    assert_eq!(rig.server.stats().sessions_ended["timeout"], 2);
    rig.stop();
}

#[test]
fn a_session_that_times_out_leaves_the_connection_to_another() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let mut client = rig.client();
    client.set_up(NEWS, None);
    let lives = client.set_up(NEWS, None);
    let lives = format!("Session: {lives}\r\n");
    // What names a session comes by another connection: on its own it would be a sign of both.
    let mut other = rig.client();
    while rig.server.stats().sessions == 2 {
        assert_eq!(other.status("GET_PARAMETER *", &lives), 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.status("GET_PARAMETER *", &lives), 200, "the connection is there");
    rig.stop();
}

#[test]
fn a_session_is_controlled_from_another_connection_but_not_moved_there() {
    let rig = Rig::new();
    let (mut own, mut other) = (rig.client(), rig.client());
    let id = own.set_up("rtsp://edge/duo/trackID=1", None);
    let session = format!("Session: {id}\r\n");
    assert_eq!(other.status("GET_PARAMETER rtsp://edge/duo", &session), 200);
    let moved = other.status("SETUP rtsp://edge/duo/trackID=2", &format!("{session}{TCP}"));
    assert_eq!(moved, 461, "its channels are those of the first connection");
    assert_eq!(other.status("TEARDOWN rtsp://edge/duo", &session), 200);
    rig.stop();
}

#[test]
fn limits_are_answered_and_give_way_when_others_leave() {
    let rig = Rig::new();
    let mut client = rig.client();
    let first = client.set_up(NEWS, None);
    client.set_up(NEWS, None);
    assert_eq!(client.status(&format!("SETUP {NEWS}"), TCP), 503, "two sessions of an address");
    assert_eq!(client.status(&format!("TEARDOWN {NEWS}"), &format!("Session: {first}\r\n")), 200);
    client.set_up(NEWS, None);
    let others = [rig.client(), rig.client()];
    let mut refused = rig.client();
    assert_eq!(refused.read().status, 503, "three connections");
    assert_eq!(refused.stream.read(&mut [0]).unwrap_or(0), 0, "and it is closed");
    assert!(rig.server.stats().connections_refused.contains(&("limit", 1)));
    assert!(rig.server.stats().sessions_refused.contains(&("address", 1)));
    drop(others);
    rig.stop();
}

#[test]
fn what_was_silent_at_its_setup_is_weighed_when_it_sends() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let mut early = rig.client();
    let id = early.set_up(NEWS, None);
    assert_eq!(
        early.status(&format!("PLAY {NEWS}"), &format!("Session: {id}\r\n")),
        200,
        "nothing comes yet"
    );
    let stream = rig.server.catalogue.find("news").expect("a channel").tracks[0].clone();
    stream.rtp.push((0..80).map(|number| packet(number, 1000)));
    let deadline = clock::now() + Duration::from_secs(20);
    while rig.server.stats().sessions > 0 {
        assert!(clock::now() < deadline, "it is ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(rig.server.stats().sessions_ended["egress"], 1);
    rig.stop();
}

#[test]
fn an_address_gets_no_more_than_its_egress() {
    let rig = Rig::new();
    let stream = &rig.server.catalogue.find("news").expect("a channel").tracks[0];
    let mut client = rig.client();
    let early = client.set_up(NEWS, None);
    // 80 kB in a tenth of a second are 6.4 Mbit/s, and one is what an address may have.
    stream.rtp.push((0..80).map(|number| packet(number, 1000)));
    assert_eq!(client.status(&format!("PLAY {NEWS}"), &format!("Session: {early}\r\n")), 453);
    assert_eq!(client.status(&format!("SETUP {NEWS}"), TCP), 453);
    assert_eq!(client.status("SETUP rtsp://edge/duo/trackID=1", TCP), 200, "who sends less is welcome");
    let stats = rig.server.stats();
    assert_eq!((stats.sessions, stats.sessions_ended["not granted"]), (2, 1));
    assert!(stats.sessions_refused.contains(&("egress", 2)), "{:?}", stats.sessions_refused);
    rig.stop();
}

#[test]
fn what_an_address_held_is_free_once_it_has_left() {
    let rig = Rig::new();
    let mut client = rig.client();
    let held = (client.set_up(NEWS, None), client.set_up("rtsp://edge/duo/trackID=1", None));
    assert_eq!(client.status("SETUP rtsp://edge/duo/trackID=1", TCP), 503, "two are there");
    assert!(!rig.server.addresses.is_empty(), "{held:?}");
    drop(client);
    let began = clock::now();
    while !rig.server.addresses.is_empty() && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    assert!(rig.server.addresses.is_empty(), "nothing is kept of an address that is gone");
    let mut client = rig.client();
    client.set_up(NEWS, None);
    client.set_up(NEWS, None);
    rig.stop();
}

#[test]
fn an_address_has_so_many_bytes_held_unread_and_no_more() {
    let rig = Rig::new();
    let mut clients = [rig.client(), rig.client(), rig.client()];
    let (filler, body) = ("x".repeat(7_900), "x".repeat(4_000));
    let unfinished =
        format!("SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nX: {filler}\r\nContent-Length: 4096\r\n\r\n{body}");
    for client in &mut clients {
        client.stream.write_all(unfinished.as_bytes()).expect("sent");
    }
    let began = clock::now();
    let cut = || rig.server.stats().connections_cut.contains(&("unread bytes", 1));
    let left = || rig.server.stats().connections;
    while !(cut() && left() == 2) && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    assert!(cut(), "two times 12 kB are within 28 KiB, three times are not");
    assert_eq!(left(), 2);
    rig.stop();
}

#[test]
fn a_connection_sets_up_so_much_and_no_more() {
    let rig = Rig::new();
    let mut client = rig.client();
    // The limits of sessions are not what it comes up against: it is one session, set up again and again elsewhere.
    let long = "x".repeat(1000 - "rtsp:///duo/trackID=1".len());
    let id = client.set_up(&format!("rtsp://{long}/duo/trackID=1"), None);
    let session = format!("Session: {id}\r\n{TCP}");
    assert_eq!(
        client.status(&format!("SETUP rtsp://{long}/duo/trackID=1"), &session),
        200,
        "anew, in its place"
    );
    let output = rig.server.sessions()[0].output.clone();
    let taken: Vec<_> = std::iter::from_fn(|| output.room_for_setup(1000)).collect();
    assert_eq!(client.status(&format!("SETUP rtsp://{long}/duo/trackID=2"), &session), 503);
    assert!(rig.server.stats().sessions_refused.contains(&("connection", 1)));
    drop(taken);
    assert_eq!(client.status(&format!("SETUP rtsp://{long}/duo/trackID=2"), &session), 200);
    rig.stop();
}

/// The kernel's buffers fill up first; from then on nothing is read, and all is answered in the end.
#[test]
fn who_reads_no_replies_is_not_heard_until_it_does() {
    let rig = Rig::new();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a small buffer");
    socket.set_send_buffer_size(16 << 10).expect("a small buffer");
    socket.connect(&rig.listener.address().into()).expect("a listener");
    let mut client = TcpStream::from(socket);
    client.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let requests: String =
        (1..=400_000).map(|cseq| format!("OPTIONS * RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n")).collect();
    let mut asked = 0;
    while let Ok(written) = client.write(&requests.as_bytes()[asked..]) {
        asked += written;
        assert!(asked < requests.len(), "the program goes on reading");
    }
    let held = rig.server.addresses.account(Ipv4Addr::LOCALHOST.into()).held(Good::UnreadBytes);
    assert!((1..28 << 10).contains(&held), "{held} bytes are held");

    let last = requests[..asked].matches("\r\n\r\n").count();
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut replies = BufReader::new(client).lines().map(|line| line.expect("the program answers"));
    for cseq in 1..=last {
        let line = replies.find(|line| line.starts_with("CSeq: ")).expect("a reply");
        assert_eq!(line, format!("CSeq: {cseq}"));
    }
    rig.stop();
}

#[test]
fn sessions_end_with_their_connection_and_keep_no_timer_waiting() {
    let rig = Rig::new();
    for _ in 0..5 {
        let mut client = rig.client();
        client.set_up(NEWS, None);
        client.stream.shutdown(std::net::Shutdown::Write).expect("open");
        let mut rest = Vec::new();
        client.stream.read_to_end(&mut rest).expect("an end");
    }
    // The connection is closed after its sessions; its figures follow.
    let began = clock::now();
    while rig.server.stats().connections > 0 && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    let stats = rig.server.stats();
    assert_eq!((stats.sessions, stats.connections, stats.sessions_ended["connection closed"]), (0, 0, 5));
    assert!(rig.server.timers.is_empty());
    rig.stop();
}

#[test]
fn who_comes_while_media_stays_too_late_is_told_when_to_come_back() {
    let rig = Rig::new();
    let mut viewer = rig.client();
    let url = format!("rtsp://{}/news", rig.listener.address());
    let transport = "Transport: RTP/AVP;unicast;client_port=40000-40001\r\n";
    let session = viewer.ask(&format!("SETUP {url}/trackID=1"), transport).session();
    rig.server.lateness.observe(Leg::Udp, ROOMY.age, false, clock::now());
    let mut newcomer = rig.client();
    for line in [format!("DESCRIBE {url}"), format!("SETUP {url}/trackID=1")] {
        let refused = newcomer.ask(&line, transport);
        assert_eq!(refused.status, 503, "{}", refused.head);
        let seconds: u16 = refused.header("Retry-After").and_then(|s| s.parse().ok()).expect("seconds");
        assert!((3..11).contains(&seconds), "{seconds}");
    }
    let played = viewer.ask(&format!("PLAY {url}"), &format!("Session: {session}\r\n"));
    assert_eq!(played.status, 200, "who is there plays on: {}", played.head);
    assert_eq!(rig.server.stats().sessions_refused[..3], [("late", 2), ("limit", 0), ("port", 0)]);
    rig.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order_and_noise_ends_the_connection() {
    let rig = Rig::new();
    let mut client = rig.client();
    let requests: String =
        (1..=20).map(|cseq| format!("OPTIONS * RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n")).collect();
    client.stream.write_all(requests.as_bytes()).expect("sent");
    client.stream.write_all(b"\x16\x03\x01\x02\x00\x01").expect("sent");
    for cseq in 1..=20 {
        assert_eq!(client.read().header("CSeq"), Some(cseq.to_string().as_str()));
    }
    assert_eq!(client.read().status, 400);
    assert_eq!(client.stream.read(&mut [0]).expect("an end"), 0);
    rig.stop();
}

#[test]
fn sessions_that_others_end_are_kept_by_no_connection() {
    let rig = Rig::new();
    let (mut own, mut other) = (rig.client(), rig.client());
    let mut known = Vec::new();
    for _ in 0..50 {
        let session = format!("Session: {}\r\n", own.set_up(NEWS, None));
        known.push(Arc::downgrade(&rig.server.sessions()[0]));
        assert_eq!(other.status(&format!("TEARDOWN {NEWS}"), &session), 200);
    }
    assert_eq!(own.status("OPTIONS *", ""), 200, "and the one before is done");
    let kept = known.iter().filter(|session| session.strong_count() > 0).count();
    assert!(kept <= 1, "{kept} sessions that have ended are kept");
    rig.stop();
}

#[test]
fn who_asks_and_waits_for_its_turn_is_not_taken_for_silent() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let (mut asks, mut silent) = (rig.client(), rig.client());
    let began = clock::now();
    while rig.server.stats().connections < 2 && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    let account = rig.server.addresses.account(Ipv4Addr::LOCALHOST.into());
    account.turns.take_all();
    asks.stream.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").expect("sent");
    assert_eq!(silent.stream.read(&mut [0]).expect("an end"), 0, "after its time");
    let next = account.turns.over().expect("one that waits, and is there");
    rig.queue.push(crate::event::Task::new("RtspTask", next));
    assert_eq!(asks.read().status, 200);
    assert!(rig.server.stats().connections_cut.contains(&("silent", 1)));
    drop(account);
    rig.stop();
}

#[test]
fn a_session_that_ends_as_it_is_played_leaves_no_viewer() {
    let rig = Rig::new();
    let channel = rig.server.catalogue.find("news").expect("a channel").clone();
    let mut client = rig.client();
    for _ in 0..500 {
        client.set_up(NEWS, None);
        let session = rig.server.sessions().pop().expect("a session");
        let plan = session.plan(clock::now());
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                together.wait();
                (0..20).for_each(|_| session.play(&plan, clock::now()));
            });
            together.wait();
            rig.server.end_session(&session, "teardown");
        });
        assert!(!session.is_playing(), "it has ended");
        assert_eq!(channel.audience.over_tcp(), 0);
    }
    rig.stop();
}

#[test]
fn a_source_that_comes_back_sends_an_address_no_more_than_it_may_have() {
    let rig = Rig::patient_for(Duration::from_secs(4));
    let (mut first, mut newest) = (rig.client(), rig.client());
    let ids = [&mut first, &mut newest].map(|client| {
        let id = client.set_up(NEWS, None);
        let played = client.status(&format!("PLAY {NEWS}"), &format!("Session: {id}\r\n"));
        assert_eq!(played, 200, "the source is silent");
        id
    });
    let stream = &rig.server.catalogue.find("news").expect("a channel").tracks[0];
    // 640 kbit/s each, and one Mbit/s is what an address may have.
    stream.rtp.push((0..8).map(|number| packet(number, 1000)));
    newest.stream.read_to_end(&mut Vec::new()).expect("an end");
    assert_eq!(rig.server.stats().sessions_ended["egress"], 1);
    let left: Vec<_> = rig.server.sessions().iter().map(|session| session.id.clone()).collect();
    assert_eq!(left, ids[..1], "who was there first stays");
    rig.stop();
}

#[test]
fn a_listening_socket_that_fails_for_good_is_opened_again() {
    let rig = Rig::new();
    let fail = || {
        let socket = rig.listener.socket().expect("open");
        socket2::SockRef::from(&*socket).shutdown(Shutdown::Both).expect("a listening socket");
    };
    fail();
    let began = clock::now();
    let mut client = loop {
        match TcpStream::connect(rig.listener.address()) {
            Ok(stream) => break Client { stream, cseq: 0 },
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    assert_eq!(client.status("OPTIONS *", ""), 200);
    assert_eq!(rig.poller.vitals().given_up(), None);

    fail();
    let taken = crate::net::listen(rig.listener.address()).expect("its port is free");
    let began = clock::now();
    while rig.poller.vitals().given_up().is_none() && began.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let reason = rig.poller.vitals().given_up().expect("a program that nobody can reach ends");
    assert!(reason.starts_with("listener: "), "{reason}");
    drop(taken);
    rig.stop();
}

#[path = "setup_tests.rs"]
mod setup;
