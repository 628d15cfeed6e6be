//! A Viewer speaks RTSP by hand, and gets packets over UDP or in the connection.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use mirrorball::event::clock;

use super::connection::{Connection, Reply};
use super::mirrorball::Mirrorball;
use super::source::{Source, Stamp, bye};
use nix::sys::socket::{setsockopt, sockopt};

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a packet that ought not to come.
const SILENCE: Duration = Duration::from_millis(150);
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// The SSRC that viewers report under.
const OWN_SSRC: u32 = 0x7e57;

/// How packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Udp,
    Tcp,
}

/// Someone who watches one channel.
pub struct Viewer {
    pub connection: Connection,
    pub url: String,
    pub session: String,
    /// What it says that it is, as it sets tracks up.
    pub agent: Option<&'static str>,
    /// By track, in the order of their SETUPs.
    pub media: Vec<Medium>,
    /// RTP-Info of the last PLAY: sequence and timestamp of each track.
    pub announced: Vec<(u16, u32)>,
}

/// Where a track's packets come.
pub enum Medium {
    Udp { rtp: UdpSocket, rtcp: UdpSocket, server_rtp: SocketAddr, server_rtcp: SocketAddr },
    Tcp { rtp: u8, rtcp: u8 },
}

impl Viewer {
    /// Connected, with nothing asked yet.
    pub fn of(mirrorball: &Mirrorball, channel: &str) -> Self {
        Self::by(Connection::open(mirrorball.rtsp), mirrorball, channel)
    }

    /// On a connection that is there.
    pub fn by(connection: Connection, mirrorball: &Mirrorball, channel: &str) -> Self {
        let (session, media, announced) = (String::new(), vec![], vec![]);
        Self { connection, url: mirrorball.url(channel), session, agent: None, media, announced }
    }

    /// Playing the only track of a channel.
    #[track_caller]
    pub fn playing(mirrorball: &Mirrorball, channel: &str, over: Over) -> Self {
        Self::playing_by(Connection::open(mirrorball.rtsp), mirrorball, channel, over)
    }

    /// The same, on a connection that is there.
    #[track_caller]
    pub fn playing_by(connection: Connection, mirrorball: &Mirrorball, channel: &str, over: Over) -> Self {
        let mut viewer = Self::by(connection, mirrorball, channel);
        viewer.set_up(1, over);
        viewer.play();
        viewer
    }

    /// Sets a track up.
    #[track_caller]
    pub fn set_up(&mut self, track: usize, over: Over) {
        let own = self.connection.stream.local_addr().expect("connected").ip();
        let sockets = || UdpSocket::bind((own, 0)).expect("a port");
        match over {
            Over::Udp => {
                self.set_up_at(track, sockets(), sockets());
                if let Some(Medium::Udp { rtp, server_rtp, .. }) = self.media.last() {
                    // As a firewall does: what comes from elsewhere is kept out.
                    rtp.connect(server_rtp).expect("the address that was connected to");
                }
            }
            Over::Tcp => self.set_up_interleaved(track, "RTP/AVP/TCP;unicast"),
        }
    }

    /// Sets a track up in the connection.
    #[track_caller]
    pub fn set_up_interleaved(&mut self, track: usize, transport: &str) {
        let granted = self.ask_for(track, transport);
        let (rtp, rtcp) = pair(&granted, "interleaved");
        let channel = |value: u16| u8::try_from(value).expect("a channel");
        self.media.push(Medium::Tcp { rtp: channel(rtp), rtcp: channel(rtcp) });
    }

    /// Sets a track up to come to these sockets.
    #[track_caller]
    pub fn set_up_at(&mut self, track: usize, rtp: UdpSocket, rtcp: UdpSocket) {
        self.set_up_by("RTP/AVP", track, rtp, rtcp);
    }

    /// The same, by a profile.
    #[track_caller]
    pub fn set_up_by(&mut self, profile: &str, track: usize, rtp: UdpSocket, rtcp: UdpSocket) {
        self.set_up_control(profile, &format!("trackID={track}"), rtp, rtcp);
    }

    /// The same, of what a control of the description names.
    #[track_caller]
    pub fn set_up_control(&mut self, profile: &str, control: &str, rtp: UdpSocket, rtcp: UdpSocket) {
        let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
        make_room(&rtp);
        let granted = self.ask_for_control(
            control,
            &format!("{profile};unicast;client_port={}-{}", port(&rtp), port(&rtcp)),
        );
        assert!(granted.starts_with(&format!("{profile};")), "{granted}");
        assert_eq!(pair(&granted, "client_port"), (port(&rtp), port(&rtcp)), "the client's ports, echoed");
        let server = pair(&granted, "server_port");
        let ip = self.connection.stream.peer_addr().expect("connected").ip();
        let (server_rtp, server_rtcp) = (SocketAddr::new(ip, server.0), SocketAddr::new(ip, server.1));
        self.media.push(Medium::Udp { rtp, rtcp, server_rtp, server_rtcp });
    }

    /// Sets a transport stream up to come without RTP: to a port that fills the place of `PORT`. Returns where it comes,
    /// and what was granted.
    #[track_caller]
    pub fn set_up_raw(&mut self, transport: &str) -> (UdpSocket, String) {
        let own = self.connection.stream.local_addr().expect("connected").ip();
        let socket = UdpSocket::bind((own, 0)).expect("a port");
        make_room(&socket);
        let port = socket.local_addr().expect("bound").port();
        let granted = self.ask_for(1, &transport.replace("PORT", &port.to_string()));
        (socket, granted)
    }

    /// What is asked for to get the first track as it comes now.
    pub fn transport(&self) -> String {
        match &self.media[0] {
            Medium::Udp { rtp, rtcp, .. } => {
                let [rtp, rtcp] = [rtp, rtcp].map(|socket| socket.local_addr().expect("bound").port());
                format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}")
            }
            Medium::Tcp { rtp, rtcp } => format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}"),
        }
    }

    /// Asks for a track's transport; returns what is granted.
    #[track_caller]
    pub fn ask_for(&mut self, track: usize, transport: &str) -> String {
        self.ask_for_control(&format!("trackID={track}"), transport)
    }

    #[track_caller]
    fn ask_for_control(&mut self, control: &str, transport: &str) -> String {
        let uri = format!("{}/{control}", self.url);
        let mut headers = vec![("Transport", transport)];
        headers.extend(self.agent.map(|agent| ("User-Agent", agent)));
        let session = self.session.clone();
        if !session.is_empty() {
            headers.push(("Session", &session));
        }
        let reply = self.connection.request("SETUP", &uri, &headers).expect(200);
        let session = reply.header("Session").expect("a session").split(';').next().unwrap_or_default();
        self.session = session.to_owned();
        reply.header("Transport").expect("a transport").to_owned()
    }

    /// A request about the session.
    #[track_caller]
    pub fn request(&mut self, method: &str) -> Reply {
        let (url, session) = (self.url.clone(), self.session.clone());
        self.connection.request(method, &url, &[("Session", &session)])
    }

    /// Plays what was set up.
    #[track_caller]
    pub fn play(&mut self) {
        let reply = self.request("PLAY").expect(200);
        self.heed(&reply);
    }

    /// Asks for all of that before it is answered anything.
    #[track_caller]
    pub fn request_at_once(&mut self, methods: &[&str]) {
        let (url, session) = (self.url.clone(), self.session.clone());
        let asked =
            methods.iter().map(|method| self.connection.compose(method, &url, &[("Session", &session)]));
        let asked: String = asked.collect();
        self.connection.send(asked);
        for _ in methods {
            let reply = self.connection.reply().expect(200);
            self.heed(&reply);
        }
    }

    /// Plays a range of it.
    #[track_caller]
    pub fn play_range(&mut self, range: &str) -> Reply {
        self.play_as(&[("Range", range)])
    }

    /// Asks to play so.
    pub fn play_as(&mut self, headers: &[(&str, &str)]) -> Reply {
        let (url, session) = (self.url.clone(), self.session.clone());
        let headers = [&[("Session", &*session)], headers].concat();
        let reply = self.connection.request("PLAY", &url, &headers);
        self.heed(&reply);
        reply
    }

    fn heed(&mut self, reply: &Reply) {
        let info = reply.header("RTP-Info").unwrap_or_default();
        let tracks = info.split(',').filter_map(|entry| {
            let sequence = parameter(entry, "seq")?.parse().expect("a sequence number");
            Some((sequence, parameter(entry, "rtptime")?.parse().expect("a timestamp")))
        });
        self.announced = tracks.collect();
    }

    /// The next RTP packet of the first track.
    #[track_caller]
    pub fn packet(&mut self) -> Vec<u8> {
        self.packet_within(0, PATIENCE).expect("no packet came")
    }

    /// The next stamp of the first track.
    #[track_caller]
    pub fn stamp(&mut self) -> Stamp {
        Stamp::read(&self.packet()).expect("a whole packet of a source")
    }

    /// The next stamp of the first track, or `None` for a reply before it.
    #[track_caller]
    pub fn stamp_or_reply(&mut self) -> Option<Stamp> {
        let Medium::Tcp { rtp, .. } = self.media[0] else { return Some(self.stamp()) };
        let packet = self.connection.frame_or_reply(rtp)?;
        Some(Stamp::read(&packet).expect("a whole packet of a source"))
    }

    /// The next RTP packet of a track, if one comes in time.
    pub fn packet_within(&mut self, track: usize, patience: Duration) -> Option<Vec<u8>> {
        match &self.media[track] {
            Medium::Udp { rtp, server_rtp, .. } => datagram_from(rtp, |from| from == *server_rtp, patience),
            Medium::Tcp { rtp, .. } => self.connection.frame(*rtp, patience),
        }
    }

    /// The next RTCP packet of the first track, if one comes in time.
    pub fn rtcp_within(&mut self, patience: Duration) -> Option<Vec<u8>> {
        self.rtcp_of(0, patience)
    }

    /// The same of any track.
    pub fn rtcp_of(&mut self, track: usize, patience: Duration) -> Option<Vec<u8>> {
        match &self.media[track] {
            Medium::Udp { rtcp, server_rtcp, .. } => {
                datagram_from(rtcp, |from| from == *server_rtcp, patience)
            }
            Medium::Tcp { rtcp, .. } => self.connection.frame(*rtcp, patience),
        }
    }

    /// The next RTCP packet of the first track.
    #[track_caller]
    pub fn rtcp(&mut self) -> Vec<u8> {
        self.rtcp_within(PATIENCE).expect("no RTCP came")
    }

    /// The next packets are those of the source from a number on, bit for bit.
    #[track_caller]
    pub fn expect_packets(&mut self, source: &Source, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let packet = self.packet();
            assert_eq!(Stamp::read(&packet), Stamp::read(&source.packet(number)), "packet {number}");
            assert!(packet == source.packet(number), "packet {number} was changed on its way");
        }
    }

    /// No RTP comes.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        for track in 0..self.media.len() {
            let stray = self.packet_within(track, SILENCE);
            assert_eq!(stray.as_deref().map(Stamp::read), None, "a packet came, of track {track}");
        }
    }

    /// Sends RTCP about a track.
    pub fn send_rtcp(&mut self, track: usize, packet: &[u8]) {
        match &self.media[track] {
            Medium::Udp { rtcp, server_rtcp, .. } => {
                rtcp.send_to(packet, server_rtcp).expect("lo takes packets");
            }
            Medium::Tcp { rtcp, .. } => {
                let length = u16::try_from(packet.len()).expect("a short packet").to_be_bytes();
                let frame = [&[b'$', *rtcp, length[0], length[1]], packet].concat();
                self.connection.send(frame);
            }
        }
    }

    /// Sends something to our ports of a track from its own, as players do to open a way through a NAT.
    pub fn punch(&self, track: usize, bytes: &[u8]) {
        let Medium::Udp { rtp, rtcp, server_rtp, server_rtcp } = &self.media[track] else {
            panic!("in the connection there is no port")
        };
        rtp.send_to(bytes, server_rtp).expect("the network takes packets");
        rtcp.send_to(bytes, server_rtcp).expect("the network takes packets");
    }

    /// Says that it is alive.
    pub fn report(&mut self) {
        self.send_rtcp(0, &receiver_report());
    }

    /// Says how it hears what comes under this SSRC.
    pub fn report_on(&mut self, ssrc: u32) {
        self.send_rtcp(0, &report(OWN_SSRC, &[ssrc]));
    }

    /// Says goodbye by RTCP to what comes under this SSRC.
    pub fn say_bye_to(&mut self, ssrc: u32) {
        let packet = [report(OWN_SSRC, &[ssrc]), bye(OWN_SSRC)].concat();
        self.send_rtcp(0, &packet);
    }

    /// Opens another port for RTP, or RTCP, and tells nobody.
    pub fn move_port(&mut self, of_rtp: bool) {
        let Some(Medium::Udp { rtp, rtcp, .. }) = self.media.first_mut() else {
            panic!("in the connection there is no port")
        };
        let moved = if of_rtp { rtp } else { rtcp };
        let ip = moved.local_addr().expect("bound").ip();
        *moved = UdpSocket::bind((ip, 0)).expect("a port");
    }

    /// Leaves as it should.
    #[track_caller]
    pub fn teardown(mut self) {
        self.request("TEARDOWN").expect(200);
    }

    /// Leaves by closing its connection.
    pub fn vanish(self) {}

    /// Where the first track's packets come from, over UDP.
    pub fn server_rtp(&self) -> SocketAddr {
        match &self.media[0] {
            Medium::Udp { server_rtp, .. } => *server_rtp,
            Medium::Tcp { .. } => panic!("in the connection there is no port"),
        }
    }

    /// The port that the first track's packets come to, over UDP.
    pub fn rtp_port(&self) -> Option<u16> {
        match &self.media[0] {
            Medium::Udp { rtp, .. } => rtp.local_addr().ok().map(|address| address.port()),
            Medium::Tcp { .. } => None,
        }
    }

    /// Where the first track's reports go, over UDP.
    pub fn server_rtcp(&self) -> SocketAddr {
        match &self.media[0] {
            Medium::Udp { server_rtcp, .. } => *server_rtcp,
            Medium::Tcp { .. } => panic!("in the connection there is no port"),
        }
    }

    /// Nobody waits for anything any more, or everybody does again.
    pub(super) fn set_nonblocking(&self, nonblocking: bool) {
        self.connection.stream.set_nonblocking(nonblocking).expect("a flag");
        for medium in &self.media {
            if let Medium::Udp { rtp, .. } = medium {
                rtp.set_nonblocking(nonblocking).expect("a flag");
            }
        }
    }

    /// Takes all packets of the first track that are there.
    pub(super) fn drain(&mut self, buffer: &mut [u8], mut take: impl FnMut(&[u8])) {
        match &self.media[0] {
            Medium::Udp { rtp, server_rtp, .. } => {
                while let Ok((length, from)) = rtp.recv_from(buffer) {
                    if from == *server_rtp {
                        take(&buffer[..length]);
                    }
                }
            }
            Medium::Tcp { rtp, .. } => {
                let own = *rtp;
                self.connection.drain(|channel, packet| {
                    if channel == own {
                        take(packet);
                    }
                });
            }
        }
    }
}

/// A receiver report under the viewers' SSRC that so many packets of a source were lost, and how long ago the sender
/// report came that it has heard last, in 1/65536 s.
pub fn report_of_loss(source: u32, lost: u32, last_sender_report: u32, since: u32) -> Vec<u8> {
    let mut report = report(OWN_SSRC, &[source]);
    report[12..16].copy_from_slice(&lost.to_be_bytes());
    report[24..28].copy_from_slice(&last_sender_report.to_be_bytes());
    report[28..32].copy_from_slice(&since.to_be_bytes());
    report
}

/// An empty receiver report (RFC 3550, 6.4.2).
pub fn receiver_report() -> Vec<u8> {
    report(OWN_SSRC, &[])
}

/// A receiver report under an SSRC with a block on each source, of which nothing was lost.
pub fn report(own: u32, sources: &[u32]) -> Vec<u8> {
    let mut report = vec![0x80 | sources.len() as u8, 201, 0, 1 + 6 * sources.len() as u8];
    report.extend(own.to_be_bytes());
    for source in sources {
        report.extend(source.to_be_bytes());
        report.extend([0; 20]);
    }
    report
}

fn make_room(socket: &UdpSocket) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES).expect("a larger buffer");
    }
}

/// The next datagram, if one comes in time.
pub fn datagram(socket: &UdpSocket, patience: Duration) -> Option<Vec<u8>> {
    datagram_from(socket, |_| true, patience)
}

/// The next one of those who are meant. Another program of this machine may still send to who had the port before.
fn datagram_from(
    socket: &UdpSocket,
    is_meant: impl Fn(SocketAddr) -> bool,
    patience: Duration,
) -> Option<Vec<u8>> {
    let (mut buffer, until) = (vec![0; 1 << 16], clock::now() + patience);
    loop {
        let left = until.saturating_duration_since(clock::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left)).expect("a timeout");
        let (length, from) = socket.recv_from(&mut buffer).ok()?;
        if is_meant(from) {
            buffer.truncate(length);
            return Some(buffer);
        }
    }
}

fn pair(transport: &str, name: &str) -> (u16, u16) {
    let value = parameter(transport, name).unwrap_or_else(|| panic!("no {name} in {transport}"));
    let (first, second) = value.split_once('-').expect("a pair");
    (first.parse().expect("a number"), second.parse().expect("a number"))
}

/// A parameter of a Transport header.
pub fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let value = header.split(';').filter_map(|part| part.split_once('='));
    value.into_iter().find(|(own, _)| own.trim() == name).map(|(_, value)| value)
}
