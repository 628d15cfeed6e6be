//! Sessions that are announced by SAP and become channels, and channels of ours that are announced.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mirrorball::event::clock;
use mirrorball::wire::sap::{Announcement, Kind, PORT, parse};
use mirrorball::wire::sdp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::SockRef;

use crate::vocabulary::{
    Group, Mirrorball, Needs, Over, Plug, Setup, Source, Viewer, datagram, eventually,
    in_a_network_of_its_own, passes,
};

/// Where sessions of a site are announced.
const PLACE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 255), PORT);
const OWN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 21);
const ANOTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 22);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 7);
const PATIENCE: Duration = Duration::from_secs(20);
const ALONE: Needs = Needs { programs: &["ip"], route: false, ipv6: false };

/// A network where announcements of ours have an address.
const HALL: Plug = Plug { name: "hall", address: Ipv4Addr::new(10, 78, 0, 1) };
const SAP: &str = "announce = true\nlisten = true\norigins = [\"10.78.0.0/24\"]\ninterface = \"hall\"";

/// A sender of announcements, and what it announces.
struct Device {
    socket: UdpSocket,
    address: Ipv4Addr,
    id: u64,
    version: u64,
    hash: u16,
    clock: u32,
    group: Group,
}

impl Device {
    fn new(address: Ipv4Addr, id: u64, group: Group) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a socket to announce from");
        SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("lo takes multicast");
        Self { socket, address, id, version: 5, hash: 0x1234, clock: 7, group }
    }

    fn description(&self) -> String {
        let (ip, port) = (self.group.0.ip(), self.group.0.port());
        format!(
            "v=0\r\no=- {} {} IN IP4 {}\r\ns=Stage {}\r\nc=IN IP4 {ip}/1\r\nt=0 0\r\nm=video {port} RTP/AVP 33\r\n\
             a=mediaclk:direct={}\r\n",
            self.id, self.version, self.address, self.id, self.clock
        )
    }

    fn datagram(&self, kind: Kind) -> Vec<u8> {
        let description = self.description();
        let text = match kind {
            Kind::Announcement => description,
            Kind::Deletion => format!("{}\r\n", description.lines().nth(1).unwrap_or_default()),
        };
        Announcement { kind, hash: self.hash, origin: self.address.into(), description: text.as_bytes() }
            .build()
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, PLACE).expect("lo takes packets");
    }

    fn announce(&self) {
        self.send(&self.datagram(Kind::Announcement));
    }

    fn delete(&self) {
        self.send(&self.datagram(Kind::Deletion));
    }
}

/// A program of others, which ends with its story.
struct Other(Child);

impl Other {
    fn start(command: &mut Command, stdout: impl Into<Stdio>) -> Self {
        let child = command.stdin(Stdio::null()).stdout(stdout).spawn();
        Self(child.expect("it starts"))
    }

    /// Asks it to end, as a user would.
    fn end(&mut self) {
        let process = Pid::from_raw(i32::try_from(self.0.id()).expect("small"));
        kill(process, Signal::SIGTERM).expect("it runs");
        self.0.wait().expect("it ends");
    }

    /// What it says until it ends.
    fn said(&mut self) -> String {
        let mut said = String::new();
        passes(PATIENCE, || matches!(self.0.try_wait(), Ok(Some(_))));
        let _ = self.0.kill();
        let mut stdout = self.0.stdout.take().expect("it was asked for");
        stdout.read_to_string(&mut said).expect("text");
        said
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that believes the devices of one network, and has a channel of its own.
fn listening(channel: Group, more: &str) -> Mirrorball {
    let sap = format!("listen = true\norigins = [\"127.0.0.16/28\"]\ninterface = \"lo\"\n{more}");
    let mirrorball = Setup::new().channel("news", channel).section("sap", &sap).start();
    let place = Group(PLACE);
    eventually("it listens", || place.is_joined().then_some(()));
    mirrorball
}

fn refused(mirrorball: &Mirrorball, reason: &str) -> f64 {
    mirrorball.metric("mirrorball_sap_refused_total", &[("reason", reason)])
}

fn sessions(mirrorball: &Mirrorball) -> f64 {
    mirrorball.metric("mirrorball_sap_sessions", &[])
}

#[test]
fn an_announced_session_plays_under_its_name_changes_moves_and_ends() {
    in_a_network_of_its_own("an announced session", &ALONE, || {
        let (mut first, mut second) = (Source::new(), Source::new());
        let mirrorball = listening(Group::fresh(), "");
        let mut stage = Device::new(OWN, 7, first.group);
        stage.announce();
        let told = mirrorball.expect_logged("a session is announced", 1);
        assert!(told[0].contains("sap/Stage-7") && told[0].contains("127.0.0.21"), "{told:?}");
        assert!(!first.group.is_joined(), "nobody watches");
        let mut viewer = Viewer::playing(&mirrorball, "sap/Stage-7", Over::Udp);
        eventually("it is joined", || first.group.is_joined().then_some(()));
        first.send(5);
        viewer.expect_packets(&first, 0..5);
        // It was started anew: its versions begin at 0, and its clock is another one.
        (stage.version, stage.clock, stage.hash) = (0, 99, 0x4321);
        stage.announce();
        mirrorball.expect_logged("the session is announced otherwise", 1);
        let url = mirrorball.url("sap/Stage-7");
        let described = viewer.connection.request("DESCRIBE", &url, &[]).expect(200).body;
        assert!(described.contains("a=mediaclk:direct=99"), "{described}");
        first.send(5);
        viewer.expect_packets(&first, 5..10);
        // Nobody deletes what has gone on under another hash.
        let deletion = Device { hash: 0x1234, ..Device::new(OWN, 7, first.group) };
        deletion.delete();
        eventually("it is refused", || (refused(&mirrorball, "unknown") == 1.0).then_some(()));
        (stage.version, stage.group, stage.hash) = (1, second.group, 0x5678);
        stage.announce();
        eventually("the other is joined", || second.group.is_joined().then_some(()));
        assert!(!first.group.is_joined());
        second.send(5);
        viewer.expect_packets(&second, 0..5);
        second.send_bytes(b"no packet of RTP");
        let told = mirrorball.expect_logged("not taken", 1);
        assert!(told[0].contains(&second.group.0.ip().to_string()), "the log knows where it is: {told:?}");
        let url = mirrorball.url("sap/Stage-7");
        mirrorball.expect_metric("mirrorball_sessions_ended_total", &[], 0.0);
        assert_eq!(sessions(&mirrorball), 1.0);
        stage.delete();
        mirrorball.expect_logged("the session was deleted", 1);
        mirrorball.expect_metric("mirrorball_sap_sessions", &[], 0.0);
        mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
        Viewer::of(&mirrorball, "news").connection.request("DESCRIBE", &url, &[]).expect(404);
    });
}

#[test]
fn what_a_channel_has_already_plays_beside_it() {
    in_a_network_of_its_own("a session that is a channel too", &ALONE, || {
        let mut source = Source::new();
        let mirrorball = listening(source.group, "join = \"always\"");
        let stage = Device::new(OWN, 7, source.group);
        stage.announce();
        mirrorball.expect_logged("a session is announced", 1);
        let names = ["news", "sap/Stage-7"];
        let mut viewers = names.map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
        source.send(5);
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 0..5));
        stage.delete();
        mirrorball.expect_logged("the session was deleted", 1);
        source.send(5);
        viewers[0].expect_packets(&source, 5..10);
    });
}

#[test]
fn what_others_say_changes_nothing() {
    in_a_network_of_its_own("forged announcements", &ALONE, || {
        let (source, elsewhere) = (Source::new(), Group::fresh());
        let mirrorball = listening(Group::fresh(), "");
        let stage = Device::new(OWN, 7, source.group);
        stage.announce();
        mirrorball.expect_metric("mirrorball_sap_sessions", &[], 1.0);
        let forged = |address| {
            let by = Device::new(address, 7, elsewhere);
            let device = Device { address: OWN, version: 6, hash: 0x1234, ..by };
            device.announce();
            device.delete();
            device
        };
        forged(STRANGER);
        eventually("both are refused", || (refused(&mirrorball, "origin") == 2.0).then_some(()));
        let other = forged(ANOTHER);
        eventually("it is refused", || (refused(&mirrorball, "other_sender") == 1.0).then_some(()));
        eventually("it is refused", || (refused(&mirrorball, "unknown") == 1.0).then_some(()));
        let alone = (Ipv4Addr::LOCALHOST, PORT);
        other.socket.send_to(&stage.datagram(Kind::Deletion), alone).expect("lo takes packets");
        eventually("it came to no group", || (refused(&mirrorball, "place") == 1.0).then_some(()));
        let useless = stage.description().replace("RTP/AVP", "RTP/SAVP").replace("- 7 5", "- 8 5");
        let announcement = Announcement {
            kind: Kind::Announcement,
            hash: 1,
            origin: OWN.into(),
            description: useless.as_bytes(),
        };
        stage.send(&announcement.build());
        let told = mirrorball.expect_logged("can not be a channel", 1);
        assert!(told[0].contains("encrypted RTP is not reflected"), "{told:?}");
        let mut viewer = Viewer::playing(&mirrorball, "sap/Stage-7", Over::Udp);
        eventually("it is joined where it is", || source.group.is_joined().then_some(()));
        viewer.expect_silence();
        assert!(!elsewhere.is_joined());
        assert_eq!(sessions(&mirrorball), 1.0);
    });
}

#[test]
fn an_announced_session_is_watched_on_while_another_process_takes_over() {
    in_a_network_of_its_own("an announced session that is taken over", &ALONE, || {
        let mut source = Source::new();
        let device = Device::new(OWN, 1, source.group);
        let mut mirrorball = listening(Group::fresh(), "");
        device.announce();
        mirrorball.expect_logged("a session is announced", 1);
        let mut viewer = Viewer::playing(&mirrorball, "sap/Stage-1", Over::Tcp);
        eventually("it is joined", || source.group.is_joined().then_some(()));
        source.send(3);
        viewer.expect_packets(&source, 0..3);
        mirrorball.upgrade();
        source.send(3);
        viewer.expect_packets(&source, 3..6);
    });
}

#[test]
fn what_is_announced_while_the_program_is_held_up_is_kept_or_counted() {
    in_a_network_of_its_own("announcements for who is held up", &ALONE, || {
        let mirrorball = listening(Group::fresh(), "");
        let stage = Device::new(OWN, 7, Group::fresh());
        let datagram = stage.datagram(Kind::Announcement);
        const COUNT: usize = 20_000;
        mirrorball.signal(Signal::SIGSTOP);
        (0..COUNT).for_each(|_| stage.send(&datagram));
        mirrorball.signal(Signal::SIGCONT);
        // The kernel tells with the next one what it had no room for.
        let counted = || {
            stage.announce();
            let heard = mirrorball.metric("mirrorball_sap_announcements_total", &[]);
            let lost = refused(&mirrorball, "queue");
            (lost > 0.0 && heard + lost >= COUNT as f64).then_some(heard)
        };
        let heard = eventually("all are heard or counted", counted);
        assert!(heard > 200.0, "a burst is kept: {heard}");
    });
}

#[test]
fn a_flood_of_announcements_takes_a_bounded_place_and_a_channel_plays_on() {
    in_a_network_of_its_own("a flood of announcements", &ALONE, || {
        let source = Source::new();
        let mirrorball = listening(source.group, "sessions = 20\nsessions_per_sender = 12");
        let stage = Device::new(OWN, 1, Group::fresh());
        stage.announce();
        mirrorball.expect_metric("mirrorball_sap_sessions", &[], 1.0);
        let flooding = |from: u64, count: u64| {
            let by = [OWN, ANOTHER, STRANGER].map(|address| Device::new(address, 0, Group::fresh()));
            let began = clock::now();
            for number in from..from + count {
                let device = &by[(number % 3) as usize];
                let mut session = Device::new(device.address, 2 + number, Group::fresh());
                session.hash = number as u16;
                let mut datagram = session.datagram(Kind::Announcement);
                match number % 5 {
                    0 => datagram.truncate((number % 97) as usize),
                    1 => datagram[(number % 40) as usize] ^= 1 << (number % 8),
                    2 => datagram = vec![number as u8; 1400],
                    _ => {}
                }
                device.send(&datagram);
                if number % 50 == 49 {
                    let due = Duration::from_millis(number - from);
                    std::thread::sleep(due.saturating_sub(began.elapsed()));
                }
            }
        };
        flooding(0, 1000);
        let before = mirrorball.resident_bytes();
        let beam = source.beam(200);
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        let first = viewer.stamp().number;
        flooding(1000, 3000);
        let last = beam.stop().next - 1;
        assert!((first + 1..=last).all(|number| viewer.stamp().number == number), "a packet is missing");
        assert!(sessions(&mirrorball) <= 20.0);
        for reason in ["short", "type", "origin", "pace"] {
            assert!(refused(&mirrorball, reason) > 0.0, "{reason}");
        }
        let grown = mirrorball.resident_bytes().saturating_sub(before);
        assert!(grown < 8 << 20, "{grown} bytes more");
        assert!(mirrorball.lines_logged("a session is announced") < 40, "the log is not flooded");
        Viewer::of(&mirrorball, "sap/Stage-1"); // it is there as ever
    });
}

#[test]
fn a_channel_that_goes_to_a_group_is_announced_and_sent_until_the_program_stops() {
    in_a_network_of_its_own("a channel that is announced", &ALONE, || {
        HALL.plug_in();
        let place = Group(PLACE).ear_on(HALL.address, 0);
        let (mut source, group) = (Source::new(), Group::fresh());
        let to = |group| format!("multicast_out = \"{group}\"\nmulticast_out_interface = \"hall\"");
        let setup = Setup::new().section("sap", SAP).channel("news", source.group).channel_line(&to(group));
        let setup = setup.channel("quiet", Group::fresh()).channel_line(&to(Group::fresh()));
        let mut mirrorball = setup.channel_line("announce = false").start();
        let came = datagram(&place, PATIENCE).expect("it is announced");
        let announced = parse(&came).expect("an announcement");
        assert_eq!((announced.kind, announced.origin), (Kind::Announcement, IpAddr::from(HALL.address)));
        let session = sdp::parse(announced.description).expect("a description");
        let feed = &session.tracks[0].feeds[0];
        assert_eq!((feed.group, feed.port), (IpAddr::V4(*group.0.ip()), group.0.port()));
        let ear = group.ear_on(HALL.address, 0);
        source.send(3);
        for number in 0..3 {
            assert_eq!(datagram(&ear, PATIENCE), Some(source.packet(number)), "nobody has to ask");
        }
        eventually("it comes back, and is known as ours", || {
            (refused(&mirrorball, "barred") == 1.0).then_some(())
        });
        assert_eq!(sessions(&mirrorball), 0.0);
        mirrorball.expect_metric("mirrorball_sap_sent_total", &[("kind", "announcement")], 1.0);
        mirrorball.signal(Signal::SIGTERM);
        assert!(mirrorball.ended().is_some_and(|status| status.success()));
        let came = datagram(&place, PATIENCE).expect("it is deleted");
        let deleted = parse(&came).expect("a deletion");
        assert_eq!((deleted.kind, deleted.hash), (Kind::Deletion, announced.hash));
        assert!(
            announced.description.windows(deleted.description.len()).any(|part| part == deleted.description)
        );
        assert_eq!(datagram(&place, Duration::from_millis(100)), None, "the other one is nobody's business");
    });
}

#[test]
fn a_session_is_heard_over_ipv6_and_on_an_interface_that_is_made_anew() {
    let needs = Needs { ipv6: true, ..ALONE };
    in_a_network_of_its_own("announcements over IPv6", &needs, || {
        let plug_in = || {
            HALL.plug_in();
            HALL.add_ipv6("2001:db8::1".parse().expect("right"));
        };
        plug_in();
        let sap = "listen = true\norigins = [\"2001:db8::/64\"]\ninterface = \"hall\"";
        let mirrorball = Setup::new().channel("news", Group::fresh()).section("sap", sap).start();
        let announce = |id: u64, place: &str| {
            let description = Device::new(Ipv4Addr::LOCALHOST, id, Group::fresh()).description();
            let (kind, origin) = (Kind::Announcement, "2001:db8::1".parse().expect("right"));
            let announcement = Announcement { kind, hash: 7, origin, description: description.as_bytes() };
            HALL.send_over_ipv6(&announcement.build(), place.parse().expect("right"));
        };
        let hears = |id: u64, place: &str| {
            eventually(&format!("session {id} is heard"), || {
                announce(id, place);
                mirrorball.has_logged(&format!("sap/Stage-{id}")).then_some(())
            });
        };
        hears(1, "[ff05::2:7ffe]:9875");
        hears(2, "[ff0e::2:7ffe]:9875");
        HALL.unplug();
        plug_in();
        hears(3, "[ff05::2:7ffe]:9875");
        mirrorball.expect_metric("mirrorball_sap_sessions", &[], 3.0);
    });
}

#[test]
fn what_ffmpeg_announces_is_a_channel_and_what_we_announce_is_found_by_ffprobe() {
    let needs = Needs { programs: &["ip", "ffmpeg", "ffprobe"], ..ALONE };
    in_a_network_of_its_own("announcements of ffmpeg", &needs, || {
        HALL.plug_in();
        HALL.take_route();
        let (group, out) = (Group::fresh(), Group::fresh());
        let ffmpeg = |arguments: &[&str]| {
            let mut command = Command::new("ffmpeg");
            command.args([
                "-nostdin",
                "-v",
                "error",
                "-re",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=160x120:rate=25",
            ]);
            Other::start(command.args(["-c:v", "mpeg2video", "-g", "5", "-f"]).args(arguments), Stdio::null())
        };
        let probing = |url: &str| {
            let mut command = Command::new("ffprobe");
            command.args(["-v", "error", "-show_entries", "stream=codec_name,width", "-of", "compact", url]);
            Other::start(&mut command, Stdio::piped())
        };
        let mut listens = probing("sap://239.255.255.255:9875");
        eventually("it listens", || Group(PLACE).is_joined().then_some(()));
        let setup = Setup::new().section("sap", SAP).channel("news", group);
        let mirrorball = setup.channel_line(&format!("multicast_out = \"{out}\"")).start();
        let _sends =
            ffmpeg(&["rtp_mpegts", &format!("rtp://{group}?ttl=1&localaddr=127.0.0.1&pkt_size=1328")]);
        let found = listens.said();
        assert!(found.contains("mpeg2video") && found.contains("160"), "of ours: {found}");
        let place = format!("sap://{}?announce_addr=239.255.255.255&ttl=1", Group::fresh());
        let mut announces = ffmpeg(&["sap", &place]);
        let told = mirrorball.expect_logged("a session is announced", 1);
        assert!(told[0].contains("sap/No-Name"), "{told:?}");
        let found = probing(&mirrorball.url("sap/No-Name")).said();
        assert!(found.contains("mpeg2video") && found.contains("160"), "of ffmpeg's: {found}");
        announces.end();
        mirrorball.expect_logged("the session was deleted", 1);
    });
}
