//! A server that is pulled from and behaves as servers in the field do, each in its own way and none as it should.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mirrorball::event::clock;
use mirrorball::wire::rtsp::authorization::{Credentials, parse};
use mirrorball::wire::rtsp::digest::{Algorithm, Ha1};

/// How long a firewall remembers that somebody has sent out.
const REMEMBERS: Duration = Duration::from_secs(2);

/// How it behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ways {
    /// It wants a login: `MD5` or `SHA-256` alone, `both` in headers of their own, or `basic`; `weaker`: `MD5`, and `basic` once
    /// a session has played.
    pub login: Option<&'static str>,
    /// Each nonce is good for a second, and nobody is told that it is stale.
    pub nonces_expire: bool,
    /// A session lives for so long.
    pub timeout_s: Option<u64>,
    /// It counts this request as a sign of life, and no other.
    pub counts: Option<&'static str>,
    /// It refuses all signs of life, and counts them all the same.
    pub refuses_signs: bool,
    /// Its controls and base name a host of another network.
    pub wrong_host: bool,
    /// It is asked for with a query, which tracks stand before.
    pub query: bool,
    /// It has no controls.
    pub no_control: bool,
    /// Between frames there is something else.
    pub rubbish: bool,
    /// It grants other channels than it is asked for, and sends on some that nobody has asked for.
    pub other_channels: bool,
    /// It leads to itself so often.
    pub redirects: u32,
    /// And then there.
    pub leads_to: Option<SocketAddr>,
    /// The first session brings so many packets and no more, and is answered as ever.
    pub forgets_after: Option<u32>,
    /// It describes a second track that it does not serve. In the first session, after so many packets, it announces that this
    /// is another one from now on.
    pub announces_after: Option<u32>,
    /// Lines end with LF alone.
    pub line_feeds: bool,
    /// So many connections get no answer, the first ones.
    pub mute: u32,
}

pub struct Origin {
    pub address: SocketAddr,
    ways: Ways,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<String>,
    is_over: AtomicBool,
    /// Another stream is announced.
    is_announced: AtomicBool,
    /// Sessions that have begun to play.
    played: AtomicU32,
}

impl Origin {
    pub fn start(ways: Ways) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming().flatten()) {
                if own.is_over.load(Relaxed) {
                    break;
                }
                let shared = own.clone();
                let is_mute = number < ways.mute;
                thread::spawn(move || Talk::new(ways, address, shared, stream).lead(is_mute));
            }
        });
        Self { address, ways, shared }
    }

    pub fn url(&self) -> String {
        let login = if self.ways.login.is_some() { "anna:sesame@" } else { "" };
        let query = if self.ways.query { "?channel=1" } else { "" };
        format!("rtsp://{login}{}/live{query}", self.address)
    }

    /// How often anybody has said this.
    pub fn heard(&self, text: &str) -> usize {
        self.shared.heard.lock().expect("no panic").matches(text).count()
    }

    /// The number of a packet, which is one of its own.
    #[track_caller]
    pub fn expect_packet(&self, bytes: &[u8]) -> u32 {
        let number = u32::from_be_bytes(bytes[12..16].try_into().expect("four bytes"));
        assert_eq!(bytes, packet(number));
        number
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        let _ = TcpStream::connect(self.address); // which wakes it
    }
}

fn packet(number: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 33];
    packet.extend((number as u16).to_be_bytes());
    packet.extend((number * 90).to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend(number.to_be_bytes());
    packet.extend([0x47; 184]);
    packet
}

/// One connection.
struct Talk {
    ways: Ways,
    address: SocketAddr,
    shared: Arc<Shared>,
    stream: TcpStream,
    bytes: Vec<u8>,
    nonces: u32,
    nonce_at: Instant,
    plays: bool,
    /// Sessions that played before it.
    before: u32,
    number: u32,
    sign_at: Instant,
    channels: (u8, u8),
    udp: Option<Udp>,
}

/// The ports of a track over UDP. Its client is behind a firewall, which lets in only what comes from a port that the client
/// has sent to a moment ago.
struct Udp {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    client: SocketAddr,
    opened_at: Option<Instant>,
}

impl Udp {
    fn towards(client_port: u16) -> Self {
        let [rtp, rtcp] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
        rtp.set_nonblocking(true).expect("an option");
        Self { rtp, rtcp, client: (Ipv4Addr::LOCALHOST, client_port).into(), opened_at: None }
    }

    fn ports(&self) -> [u16; 2] {
        [&self.rtp, &self.rtcp].map(|socket| socket.local_addr().expect("bound").port())
    }

    fn send(&mut self, packet: &[u8]) -> std::io::Result<()> {
        while self.rtp.recv(&mut [0; 64]).is_ok() {
            self.opened_at = Some(clock::now());
        }
        if self.opened_at.is_some_and(|at| at.elapsed() < REMEMBERS) {
            self.rtp.send_to(packet, self.client)?;
        }
        Ok(())
    }
}

impl Talk {
    fn new(ways: Ways, address: SocketAddr, shared: Arc<Shared>, stream: TcpStream) -> Self {
        let now = clock::now();
        stream.set_read_timeout(Some(Duration::from_millis(10))).expect("an option");
        Self {
            ways,
            address,
            shared,
            stream,
            bytes: Vec::new(),
            nonces: 0,
            nonce_at: now,
            plays: false,
            before: 0,
            number: 0,
            sign_at: now,
            channels: (0, 1),
            udp: None,
        }
    }

    /// Answers, and sends some hundred packets a second, until somebody goes.
    fn lead(mut self, is_mute: bool) {
        while !self.shared.is_over.load(Relaxed) {
            let mut part = [0; 4096];
            match self.stream.read(&mut part) {
                Ok(0) => return,
                Ok(count) => self.bytes.extend_from_slice(&part[..count]),
                Err(_) => {} // nothing has come
            }
            while let Some(request) = self.next().filter(|_| !is_mute) {
                let Some(reply) = self.answer(&request) else { return };
                let reply = if self.ways.line_feeds { reply.replace("\r\n", "\n") } else { reply };
                if self.stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
            if self.plays && self.send().is_err() {
                return;
            }
            let lives = self.ways.timeout_s.map(Duration::from_secs);
            if lives.is_some_and(|lives| self.plays && self.sign_at.elapsed() > lives + lives / 4) {
                return; // nobody has shown life
            }
        }
    }

    /// The next request; reports are not heard.
    fn next(&mut self) -> Option<String> {
        while let [b'$', _, high, low, rest @ ..] = self.bytes.as_slice() {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            if rest.len() < len {
                return None;
            }
            assert_eq!(rest[1], 201, "a receiver's report");
            if self.ways.counts == Some("reports") {
                self.sign_at = clock::now();
            }
            self.bytes.drain(..4 + len);
        }
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let end = text.find("\r\n\r\n")? + 4;
        self.bytes.drain(..end);
        self.shared.heard.lock().expect("no panic").push_str(&text[..end]);
        Some(text[..end].to_owned())
    }

    fn answer(&mut self, request: &str) -> Option<String> {
        let header = |name: &str| {
            let line =
                request.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            line.map(|line| line[name.len() + 1..].trim())
        };
        let mut words = request.split(' ');
        let (method, uri) = (words.next()?, words.next()?);
        if method == "RTSP/1.0" {
            return Some(String::new()); // it is an answer
        }
        let cseq = header("cseq")?;
        if let Some(challenge) = self.challenge(header("authorization"), method) {
            return Some(format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n{challenge}\r\n"));
        }
        if self.ways.counts.is_none_or(|counts| counts == method) {
            self.sign_at = clock::now();
        }
        assert!(uri.contains(&self.address.to_string()), "another host is asked for: {uri}");
        let ok = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
        Some(match method {
            "DESCRIBE" => self.describe(uri, cseq),
            "SETUP" => self.set_up(uri, cseq, header("transport")?),
            "PLAY" => {
                self.plays = true;
                self.before = self.shared.played.fetch_add(1, Relaxed);
                self.sign_at = clock::now();
                format!("{ok}Session: 12345678\r\n\r\n")
            }
            "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER" if self.ways.refuses_signs => {
                format!("RTSP/1.0 551 Option not supported\r\nCSeq: {cseq}\r\n\r\n")
            }
            "OPTIONS" if self.ways.counts == Some("SET_PARAMETER") => {
                format!("{ok}Public: DESCRIBE, SETUP, PLAY, SET_PARAMETER\r\n\r\n")
            }
            "GET_PARAMETER" if self.ways.counts == Some("OPTIONS") => {
                format!("RTSP/1.0 501 Not Implemented\r\nCSeq: {cseq}\r\n\r\n")
            }
            "TEARDOWN" => return None,
            _ => format!("{ok}\r\n"),
        })
    }

    /// What somebody is challenged with who has not logged in.
    fn challenge(&mut self, authorization: Option<&str>, method: &str) -> Option<String> {
        let way = match (self.ways.login?, self.shared.played.load(Relaxed)) {
            ("weaker", 0) => "MD5",
            ("weaker", _) if !self.plays => "basic",
            ("weaker", _) => return None,
            (way, _) => way,
        };
        let nonce = format!("nonce{}", self.nonces);
        let ha1 = Ha1::of("anna", "a", "sesame");
        let is_old = self.ways.nonces_expire && self.nonce_at.elapsed() > Duration::from_secs(1);
        let is_right = match authorization.map(parse) {
            Some(Ok(Credentials::Basic { user, password })) => {
                way == "basic" && (user.as_str(), password.as_str()) == ("anna", "sesame")
            }
            Some(Ok(Credentials::Digest(answer))) => {
                let strongest = if way == "MD5" { Algorithm::Md5 } else { Algorithm::Sha256 };
                let is_counted = answer.counted.is_some() == (strongest == Algorithm::Sha256);
                answer.nonce == nonce
                    && answer.algorithm == strongest
                    && is_counted
                    && answer.is_right(&ha1, method)
            }
            _ => false,
        };
        if is_right && !is_old {
            return None;
        }
        self.nonces += 1;
        self.nonce_at = clock::now();
        let md5 = format!("WWW-Authenticate: Digest realm=\"a\", nonce=\"nonce{}\"\r\n", self.nonces);
        let sha256 = md5.replace("\r\n", ", algorithm=\"SHA-256\", qop=\"auth\"\r\n");
        Some(match way {
            "basic" => "WWW-Authenticate: Basic realm=\"a\"\r\n".to_owned(),
            "MD5" => md5,
            "SHA-256" => sha256,
            _ => format!("WWW-Authenticate: Basic realm=\"a\"\r\n{md5}{sha256}"),
        })
    }

    fn describe(&self, uri: &str, cseq: &str) -> String {
        let address = self.address;
        let station = uri.rsplit_once("/station").and_then(|(_, station)| station.parse().ok()).unwrap_or(0);
        if station < self.ways.redirects {
            let to = format!("rtsp://{address}/live{}/station{}", self.query(), station + 1);
            return format!("RTSP/1.0 302 Found\r\nCSeq: {cseq}\r\nLocation: {to}\r\n\r\n");
        }
        if let Some(other) = self.ways.leads_to {
            return format!("RTSP/1.0 301 Moved\r\nCSeq: {cseq}\r\nLocation: rtsp://{other}/live\r\n\r\n");
        }
        let host = if self.ways.wrong_host { "10.0.0.9".to_owned() } else { address.to_string() };
        let control = match (self.ways.no_control, self.ways.wrong_host) {
            (true, _) => String::new(),
            (_, true) => format!("a=control:rtsp://{host}/live/track1{}\r\n", self.query()),
            (_, false) => "a=control:track1\r\n".to_owned(),
        };
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=live\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\nc=IN IP4 0.0.0.0\r\n{control}"
        );
        let base = if self.ways.wrong_host {
            format!("Content-Base: rtsp://{host}/live/\r\n")
        } else {
            String::new()
        };
        let body = match self.ways.announces_after {
            None => body,
            Some(_) => format!("{body}{}", self.other_tracks()),
        };
        let body = if self.ways.line_feeds { body.replace("\r\n", "\n") } else { body };
        let length = body.len();
        format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{base}Content-Length: {length}\r\n\r\n{body}")
    }

    fn set_up(&mut self, uri: &str, cseq: &str, transport: &str) -> String {
        let path = uri.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        let is_known = match (self.ways.no_control, self.ways.redirects > 0) {
            (true, _) => path == Some("/live"),
            (_, true) => path.is_some_and(|path| path.contains("track1")),
            _ => path == Some(&format!("/live/track1{}", self.query())),
        };
        if !is_known {
            return format!("RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n");
        }
        let timeout = self.ways.timeout_s.map_or_else(String::new, |timeout| format!(";timeout={timeout}"));
        let ok = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 12345678{timeout}\r\n");
        if let Some((_, ports)) = transport.split_once("client_port=") {
            let port = ports.split('-').next().and_then(|port| port.parse().ok()).expect("a port");
            let [rtp, rtcp] = self.udp.insert(Udp::towards(port)).ports();
            let transport = format!("RTP/AVP;unicast;client_port={ports};server_port={rtp}-{rtcp}");
            return format!("{ok}Transport: {transport}\r\n\r\n");
        }
        assert!(transport.contains("interleaved=0-1"), "{transport}");
        self.channels = if self.ways.other_channels { (6, 7) } else { (0, 1) };
        let (rtp, rtcp) = self.channels;
        format!("{ok}Transport: RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}\r\n\r\n")
    }

    /// A track that is not served, another one once another stream is announced.
    fn other_tracks(&self) -> &'static str {
        let is_new = self.shared.is_announced.load(Relaxed);
        let new = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:gone\r\n";
        let old = "m=audio 0 RTP/AVP 8\r\na=control:gone\r\n";
        if is_new { new } else { old }
    }

    /// Says that there is another stream now.
    fn announce(&mut self) -> std::io::Result<()> {
        self.shared.is_announced.store(true, Relaxed);
        let body = format!("v=0\r\nm=video 0 RTP/AVP 33\r\n{}", self.other_tracks());
        let head = format!("CSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: {}", body.len());
        write!(self.stream, "ANNOUNCE rtsp://us/ RTSP/1.0\r\n{head}\r\n\r\n{body}")
    }

    fn query(&self) -> &'static str {
        if self.ways.query { "?channel=1" } else { "" }
    }

    fn send(&mut self) -> std::io::Result<()> {
        if self.before == 0 && self.ways.forgets_after.is_some_and(|after| self.number >= after) {
            return Ok(());
        }
        if self.before == 0 && self.ways.announces_after == Some(self.number) {
            self.announce()?;
        }
        let mut bytes = Vec::new();
        let packet = packet(self.number);
        if let Some(udp) = &mut self.udp {
            self.number += 1;
            return udp.send(&packet);
        }
        let mut frame = |channel: u8, payload: &[u8]| {
            bytes.extend([b'$', channel]);
            bytes.extend((payload.len() as u16).to_be_bytes());
            bytes.extend(payload);
        };
        if self.ways.other_channels {
            frame(0, b"of no track");
        }
        frame(self.channels.0, &packet);
        if self.ways.rubbish && self.number.is_multiple_of(3) {
            bytes.extend([0, 0, b'$', 0]);
        }
        self.number += 1;
        self.stream.write_all(&bytes)
    }
}
