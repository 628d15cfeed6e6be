//! Clients of others, as they were captured: their requests in files named by client, with what is right as an answer.
//!
//! ```text
//!  > a line that is sent, and CR LF; one that ends in `\n` has LF alone
//!  x 24010000       these bytes are sent
//!  u rtcp 80c90001  so are these, from the client's port to the server's
//!  < 200|404        a reply with such a status is awaited
//!  < Name: value    it has this header; `*` stands for anything
//!  ! Name: value    it has none such
//!  ~                the client closes its connection, and opens another one
//!  # a word on what follows, and where it was reported
//! ```
//!
//! `{url}` is the channel's, `{server}` and `{host}` the program's, `{ports}` and `{port}` are the client's, and `{session}` is the one
//! that was told last.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use crate::conversation::one_channel;
use crate::vocabulary::{Connection, Mirrorball, Over, Reply, Viewer};

#[test]
fn every_client_is_answered_as_it_wants() {
    let (source, mirrorball) = one_channel();
    let beam = source.beam(50);
    Viewer::playing(&mirrorball, "news", Over::Udp).stamp(); // it flows
    let mut files: Vec<_> =
        fs::read_dir(directory()).expect("clients").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        Client::of(&mirrorball).act(&file);
    }
    beam.stop();
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/clients")
}

/// One who does as a file says.
struct Client {
    rtsp: SocketAddr,
    connection: Connection,
    /// For RTP and RTCP.
    sockets: [UdpSocket; 2],
    session: String,
    /// The server's ports.
    server: [u16; 2],
    unsent: Vec<u8>,
    reply: Option<Reply>,
}

impl Client {
    fn of(mirrorball: &Mirrorball) -> Self {
        let sockets = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
        let (rtsp, connection) = (mirrorball.rtsp, Connection::open(mirrorball.rtsp));
        Self {
            rtsp,
            connection,
            sockets,
            session: String::new(),
            server: [0; 2],
            unsent: Vec::new(),
            reply: None,
        }
    }

    fn act(&mut self, file: &Path) {
        let text = fs::read_to_string(file).expect("text");
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}: {line}", file.display(), number + 1);
            let line = self.filled_in(line);
            let (what, rest) = line.split_at(line.len().min(1));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match what {
                ">" => self.unsent.extend(on_the_wire(rest)),
                "x" => self.unsent.extend(bytes(rest)),
                "u" => self.send_datagram(rest),
                "<" if rest.starts_with(|first: char| first.is_ascii_digit()) => {
                    self.expect_status(rest, &place)
                }
                "<" => assert!(self.has_header(rest), "{place}\n{:?}", self.reply),
                "!" => assert!(!self.has_header(rest), "{place}\n{:?}", self.reply),
                "~" => self.connection = Connection::open(self.rtsp),
                "#" | "" => {}
                _ => panic!("{place}: means nothing"),
            }
        }
    }

    fn filled_in(&self, line: &str) -> String {
        let [rtp, rtcp] = self.ports();
        let server = format!("rtsp://{}", self.rtsp);
        line.replace("{url}", &format!("{server}/news"))
            .replace("{server}", &server)
            .replace("{host}", &self.rtsp.to_string())
            .replace("{ports}", &format!("{rtp}-{rtcp}"))
            .replace("{port}", &rtp.to_string())
            .replace("{session}", &self.session)
    }

    fn ports(&self) -> [u16; 2] {
        self.sockets.each_ref().map(|socket| socket.local_addr().expect("bound").port())
    }

    fn send_datagram(&self, line: &str) {
        let (to, hex) = line.split_once(' ').unwrap_or((line, ""));
        let place = usize::from(to == "rtcp");
        let server = SocketAddr::new(self.rtsp.ip(), self.server[place]);
        self.sockets[place].send_to(&bytes(hex), server).expect("lo takes packets");
    }

    fn expect_status(&mut self, statuses: &str, place: &str) {
        self.connection.send(std::mem::take(&mut self.unsent));
        let reply = self.connection.reply();
        assert!(statuses.split('|').any(|status| status == reply.status.to_string()), "{place}\n{reply:?}");
        if let Some(session) = reply.header("Session") {
            self.session = session.split(';').next().unwrap_or_default().to_owned();
        }
        let transport = reply.header("Transport").unwrap_or_default();
        if let Some((_, ports)) = transport.split_once("server_port=") {
            let ports: Vec<_> =
                ports.split([';', '-']).take(2).map(|port| port.parse().expect("a port")).collect();
            self.server = [ports[0], ports[1]];
        }
        self.reply = Some(reply);
    }

    fn has_header(&self, wanted: &str) -> bool {
        let (name, pattern) = wanted.split_once(": ").expect("a name and a value");
        let value = self.reply.as_ref().and_then(|reply| reply.header(name));
        value.is_some_and(|value| matches(pattern, value))
    }
}

/// A line as it is sent.
fn on_the_wire(line: &str) -> Vec<u8> {
    match line.strip_suffix("\\n") {
        Some(line) => format!("{line}\n"),
        None => format!("{line}\r\n"),
    }
    .into_bytes()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Whether a value is as a pattern has it.
fn matches(pattern: &str, value: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == value,
        Some((start, rest)) => value.strip_prefix(start).is_some_and(|value| {
            (0..=value.len()).any(|at| value.get(at..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}
