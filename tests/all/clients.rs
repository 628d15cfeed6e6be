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

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::vocabulary::{
    Carrier, Connection, Mirrorball, Over, Reply, Row, Setup, Source, Table, Viewer, datagram, parameter,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// What carries the sequences, one after another.
const CARRIERS: [Carrier; 4] =
    [Carrier::Plain, Carrier::Tls, Carrier::Tunnel { part: 1000 }, Carrier::SecretTunnel];

/// The table of these clients is in the documents.
#[test]
fn every_client_is_answered_as_it_wants() {
    let source = Source::new();
    let setup = Setup::new().channel("news", source.group).through_tls().rtsp("clear_media = true");
    let mirrorball = setup.section("ring", "max_age = \"60s\"").start(); // so that nobody is refused as late
    let beam = source.beam(50);
    Viewer::playing(&mirrorball, "news", Over::Udp).stamp(); // it flows
    let mut files: Vec<_> =
        fs::read_dir(directory()).expect("clients").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    let rows: Vec<_> = files.iter().map(|file| row(&mirrorball, file)).collect();
    beam.stop();
    Table::of("docs/clients.md", "sequences").expect(&["file", "UDP", "TCP", "known for"], &rows, &[]);
}

/// What becomes of a client, which is the same whatever carries it.
fn row(mirrorball: &Mirrorball, file: &Path) -> Row {
    let [plain, others @ ..] = CARRIERS.map(|carrier| {
        let mut client = Client::of(mirrorball, carrier);
        client.act(file);
        [Over::Udp, Over::Tcp].map(|over| client.came_to(over))
    });
    for (carrier, other) in CARRIERS.iter().skip(1).zip(others) {
        assert_eq!(other, plain, "{} over {carrier:?}", file.display());
    }
    let name = file.file_name().expect("a file").to_string_lossy();
    let text = fs::read_to_string(file).expect("text");
    let remark = text.lines().map_while(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join(" ");
    let remark = remark.rsplit_once(" (").map_or(remark.as_str(), |(remark, _)| remark);
    let link = format!("[{name}](../tests/all/clients/{name})");
    Row {
        name: link,
        version: None,
        cells: [plain.map(str::to_owned).as_slice(), &[remark.to_owned()]].concat(),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/clients")
}

/// One who does as a file says.
struct Client<'m> {
    mirrorball: &'m Mirrorball,
    carrier: Carrier,
    connection: Connection,
    /// For RTP and RTCP.
    sockets: [UdpSocket; 2],
    session: String,
    /// The server's ports.
    server: [u16; 2],
    unsent: Vec<u8>,
    reply: Option<Reply>,
    /// How sessions were set up: the channel if it is in the connection.
    ways: HashMap<String, Option<u8>>,
    /// What was set up, and what of it has played.
    set_up: BTreeSet<&'static str>,
    played: BTreeSet<&'static str>,
}

impl<'m> Client<'m> {
    fn of(mirrorball: &'m Mirrorball, carrier: Carrier) -> Self {
        let sockets = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
        Self {
            mirrorball,
            carrier,
            connection: Connection::by(carrier.connect(mirrorball)),
            sockets,
            session: String::new(),
            server: [0; 2],
            unsent: Vec::new(),
            reply: None,
            ways: HashMap::new(),
            set_up: BTreeSet::new(),
            played: BTreeSet::new(),
        }
    }

    /// What came of it over that.
    fn came_to(&self, over: Over) -> &'static str {
        match (self.played.contains(&name(over)), self.set_up.contains(&name(over))) {
            (true, _) => "plays",
            (false, true) => "sets up",
            (false, false) => "–",
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
                "~" => self.connection = Connection::by(self.carrier.connect(self.mirrorball)),
                "#" | "" => {}
                _ => panic!("{place}: means nothing"),
            }
        }
    }

    fn filled_in(&self, line: &str) -> String {
        let [rtp, rtcp] = self.ports();
        let rtsp = self.mirrorball.rtsp;
        let server = format!("rtsp://{rtsp}");
        line.replace("{url}", &format!("{server}/news"))
            .replace("{server}", &server)
            .replace("{host}", &rtsp.to_string())
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
        let server = SocketAddr::new(self.mirrorball.rtsp.ip(), self.server[place]);
        self.sockets[place].send_to(&bytes(hex), server).expect("lo takes packets");
    }

    fn expect_status(&mut self, statuses: &str, place: &str) {
        while datagram(&self.sockets[0], Duration::from_millis(1)).is_some() {} // of what has ended
        let request = std::mem::take(&mut self.unsent);
        self.connection.send(&request);
        let reply = self.connection.reply();
        assert!(statuses.split('|').any(|status| status == reply.status.to_string()), "{place}\n{reply:?}");
        if let Some(session) = reply.header("Session") {
            self.session = session.split(';').next().unwrap_or_default().to_owned();
        }
        if let Some(transport) = reply.header("Transport") {
            self.learn(transport);
        }
        let asks_for_media = request.windows(10).any(|window| window == b"PLAY rtsp:");
        if reply.status == 200 && asks_for_media {
            self.expect_media(place);
        }
        self.reply = Some(reply);
    }

    /// Where media will come from, and come to.
    fn learn(&mut self, transport: &str) {
        let pair = |name| {
            let pair = parameter(transport, name)?;
            let (first, second) = pair.split_once('-').unwrap_or((pair, pair));
            Some([first, second].map(|number| number.parse::<u16>().expect("a number")))
        };
        if let Some(server) = pair("server_port") {
            self.server = server;
        }
        let channel = pair("interleaved").map(|[channel, _]| u8::try_from(channel).expect("a channel"));
        self.set_up.insert(name(if channel.is_some() { Over::Tcp } else { Over::Udp }));
        self.ways.insert(self.session.clone(), channel);
    }

    /// What plays is there to be seen.
    fn expect_media(&mut self, place: &str) {
        let (over, came) = match self.ways[&self.session] {
            Some(channel) => (Over::Tcp, self.connection.frame(channel, PATIENCE)),
            None => (Over::Udp, datagram(&self.sockets[0], PATIENCE)),
        };
        assert!(came.is_some(), "{place}: no media over {over:?} through {:?}", self.carrier);
        self.played.insert(name(over));
    }

    fn has_header(&self, wanted: &str) -> bool {
        let (name, pattern) = wanted.split_once(": ").expect("a name and a value");
        let value = self.reply.as_ref().and_then(|reply| reply.header(name));
        value.is_some_and(|value| matches(pattern, value))
    }
}

fn name(over: Over) -> &'static str {
    match over {
        Over::Udp => "UDP",
        Over::Tcp => "TCP",
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
