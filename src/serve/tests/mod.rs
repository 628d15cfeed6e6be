//! Requests over real connections: which status answers what, and what a session holds.

mod limits;
mod listening;
mod requests;
mod returns;
mod sessions;
mod setup;

use super::access::Good;
use super::guard::Access;
use super::{FrontDoor, Learning, Limits, Listener, RtspServer, ServerConfig};
use crate::event::{Class, Poller, TaskQueue, Timers, clock};
use crate::relay::rig::{self, ROOMY, packet};
use crate::relay::{Carriage, Catalogue, Lateness, Leg};
use crate::wire::sdp;
use socket2::{Domain, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::Duration;

const TWO_TRACKS: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=duo\r\nc=IN IP4 239.77.60.1/8\r\nt=0 0\r\n\
    m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 5006 RTP/AVP 0\r\n";

pub(super) struct Rig {
    queue: Arc<TaskQueue>,
    poller: Arc<Poller>,
    pub server: Arc<RtspServer>,
    listener: Arc<Listener>,
}

impl Rig {
    fn new() -> Self {
        Self::patient_for(Duration::from_secs(60))
    }

    fn patient_for(session_timeout: Duration) -> Self {
        Self::with(session_timeout, |_| {})
    }

    /// One that takes on so many connections.
    pub fn with_connections(connections: usize) -> Self {
        Self::with(Duration::from_secs(60), |config| {
            (config.limits.connections, config.limits.connections_per_address) = (connections, connections);
        })
    }

    fn with(session_timeout: Duration, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let queue = TaskQueue::start("t-serve", 2).expect("threads");
        let poller = Poller::new(64, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Control).expect("a timer");
        let group = IpAddr::V4(Ipv4Addr::new(239, 77, 60, 2));
        let catalogue = Catalogue::new([
            rig::channel("news", sdp::mpegts("news", group, 5004, None)),
            rig::channel("duo", sdp::parse(TWO_TRACKS.as_bytes()).expect("a description")),
        ]);
        let limits = Limits {
            connections: 3,
            connections_per_address: 3,
            sessions: 3,
            sessions_per_address: 2,
            sessions_per_channel: 3,
            unread_bytes_per_address: 28 << 10,
            egress: 10_000_000,
            egress_per_address: 1_000_000,
        };
        let longest_silence = 4 * session_timeout;
        let close_grace = session_timeout / 6;
        let (redirect, redirect_tls) = (None, None);
        let mut config = ServerConfig {
            udp_ports: None,
            dont_fragment: false,
            learning: Learning::Immediate,
            transports: Carriage::OF_RTSP.into(),
            session_timeout,
            longest_silence,
            close_grace,
            repair_agents: Arc::default(),
            clear_media: false,
            certificates: None,
            limits,
            redirect,
            redirect_tls,
            instance: "c0ffee".to_owned(),
            multicast_out: HashMap::new(),
            channel_sessions: HashMap::new(),
            listings: HashMap::new(),
        };
        change(&mut config);
        let to_come = clock::now() + Duration::from_secs(3600); // no time passes before
        let lateness = Lateness::new(ROOMY.age, to_come);
        let server = RtspServer::new(
            Arc::new(catalogue),
            poller.clone(),
            (timers.clone(), timers),
            lateness,
            Access::to_all(),
            config,
        );
        let front_door = FrontDoor::new(server.clone(), None, false);
        let socket = crate::net::listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let listener = front_door.listen_rtsp(socket).expect("it is polled");
        Self { queue, poller, server, listener }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.listener.address()).expect("a listener");
        Client::of(stream)
    }

    pub fn stop(self) {
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
    /// What came while a reply was waited for.
    frames: VecDeque<(u8, Vec<u8>)>,
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
        assert!([60, 9, 4, 1].iter().any(|s| session.ends_with(&format!(";timeout={s}"))), "{session}");
        session.split(';').next().unwrap_or_default().to_owned()
    }
}

impl Client {
    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        Self { stream, cseq: 0, frames: VecDeque::new() }
    }

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
            if head.is_empty() && byte == *b"$" {
                let frame = self.read_frame();
                self.frames.push_back(frame);
                continue;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let answer = Answer { status, head };
        let length = answer.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        self.stream.read_exact(&mut vec![0; length]).expect("the body");
        answer
    }

    /// The rest of a frame that has begun: its channel and payload.
    fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 3];
        self.stream.read_exact(&mut header).expect("a frame");
        let mut payload = vec![0; usize::from(u16::from_be_bytes([header[1], header[2]]))];
        self.stream.read_exact(&mut payload).expect("the whole frame");
        (header[0], payload)
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
