//! What `mirrorball listen` says of a group: who sends what, and why nothing comes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::SockRef;
use tempfile::TempDir;

use crate::vocabulary::{
    Group, Needs, Plug, Quiet, binary, eventually, in_a_network_of_its_own, sender_report,
};

/// Between two datagrams.
const PAUSE: Duration = Duration::from_millis(4);
const VIDEO: u16 = 256;

/// One who sends to a group over loopback.
struct Sender {
    group: Group,
    socket: UdpSocket,
    /// Numbers of RTP.
    sequence: u16,
    /// The count of a transport stream's packets.
    count: u8,
}

impl Sender {
    fn to(group: Group) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, group)
    }

    fn from(address: Ipv4Addr, group: Group) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a port");
        SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
        Self { group, socket, sequence: u16::MAX - 20, count: 0 }
    }

    fn address(&self) -> String {
        self.socket.local_addr().expect("bound").to_string()
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.group.0).expect("lo takes packets");
    }

    fn send_rtcp(&self, datagram: &[u8]) {
        let to = SocketAddrV4::new(*self.group.0.ip(), self.group.0.port() + 1);
        self.socket.send_to(datagram, to).expect("lo takes packets");
    }

    /// Seven packets of a transport stream.
    fn ts(&mut self) -> Vec<u8> {
        let packets = (0..7).map(|_| {
            let mut packet = vec![0; 188];
            packet[..4].copy_from_slice(&[0x47, 0x01, 0, 0x10 | self.count]);
            self.count = (self.count + 1) & 0xf;
            packet
        });
        packets.collect::<Vec<_>>().concat()
    }

    /// The same in RTP.
    fn rtp(&mut self, payload_type: u8) -> Vec<u8> {
        let sequence = self.sequence.to_be_bytes();
        self.sequence = self.sequence.wrapping_add(1);
        [&[0x80, payload_type, sequence[0], sequence[1], 0, 0, 0, 1, 0, 0, 0, 9], &self.ts()[..]].concat()
    }
}

fn command(source: &str, options: &[&str]) -> Command {
    let mut command = binary();
    command.args(["listen", source]).args(options).stdin(Stdio::null()).env_remove("RUST_LOG");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Listens on loopback while it is sent to.
fn listen(source: &str, options: &[&str], mut send: impl FnMut()) -> Output {
    let _quiet = Quiet::beside_others();
    let child = command(source, options).spawn().expect("the program runs");
    let output = thread::spawn(move || child.wait_with_output().expect("the program ends"));
    while !output.is_finished() {
        send();
        thread::sleep(PAUSE);
    }
    output.join().expect("it was waited for")
}

/// Listens to a group until all is sent.
fn listen_until_sent(source: &str, group: Group, options: &[&str], send: impl FnOnce()) -> Output {
    let _quiet = Quiet::beside_others();
    let child =
        command(source, &[options, &["--seconds", "600"]].concat()).spawn().expect("the program runs");
    eventually("it is joined", || group.is_joined().then_some(()));
    send();
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGINT).expect("it runs");
    child.wait_with_output().expect("the program ends")
}

/// Listens while something is sent fifty times, and returns its code and what it said of the one track.
fn heard(source: &str, mut send: impl FnMut()) -> (Option<i32>, Value) {
    let at = source.rsplit(['@', '/']).next().and_then(|at| at.parse().ok());
    let group = Group(at.expect("a group behind the @, or alone"));
    let output = listen_until_sent(source, group, &["--interface", "lo", "--json"], || {
        for _ in 0..50 {
            send();
            thread::sleep(PAUSE);
        }
    });
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(report["as_said"], output.status.code() == Some(0));
    assert_eq!(report["tracks"].as_array().map(Vec::len), Some(1));
    (output.status.code(), report["tracks"][0].clone())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} is not in\n{said}"));
}

#[test]
fn a_stream_in_rtp_is_told_with_what_it_lost_and_who_sends_it() {
    let group = Group::fresh();
    let mut sender = Sender::to(group);
    let address = sender.address();
    let mut sent = 0;
    let (code, track) = heard(&format!("rtp://{group}"), || {
        let packet = sender.rtp(33);
        sent += 1;
        match sent % 10 {
            0 => {}
            5 => (0..2).for_each(|_| sender.send(&packet)),
            _ => sender.send(&packet),
        }
        let mut report = sender_report(9, 1);
        report.extend(b"\x81\xca\0\x04\0\0\0\x09\x01\x08cam\x1b[31m\0\0");
        sender.send_rtcp(&report);
    });
    assert_eq!((code, &track["heard"]), (Some(0), &"as said".into()), "{track}");
    let (told, stream) = (&track["senders"][0], &track["senders"][0]["rtp"][0]);
    assert_eq!(told["address"], address.as_str());
    assert_eq!((number(&stream["ssrc"]), &stream["payload_types"]), (9, &serde_json::json!([33])));
    let (packets, lost, twice) =
        (number(&stream["packets"]), number(&stream["lost"]), number(&stream["duplicates"]));
    // Of ten numbers one is lost, and one comes twice.
    assert!(
        packets >= 20 && lost.abs_diff(packets / 10) <= 1 && twice.abs_diff(packets / 10) <= 1,
        "{stream}"
    );
    assert_eq!((number(&told["packets"]), number(&told["bytes"])), (packets, packets * (12 + 7 * 188)));
    let ts = &told["ts"];
    assert_eq!((&ts["pids"][0]["pid"], &ts["packet_bytes"]), (&VIDEO.into(), &serde_json::json!([188])));
    assert!(
        number(&ts["continuity_errors"]).abs_diff(lost) <= 1,
        "a datagram lost is one step of the count: {ts}"
    );
    assert!(told["bits_per_second"]["mean"].as_f64().is_some_and(|rate| rate > 1e5), "{told}");
    let rtcp = &track["rtcp"];
    assert!(number(&rtcp["sender_reports"]) >= 5, "{rtcp}");
    assert_eq!(rtcp["names"]["9"], "cam?[31m", "text from outside is legible");
    let interface = &track["interface"];
    assert_eq!((&interface["name"], &interface["by_route"]), (&"lo".into(), &false.into()));
    assert_eq!((&interface["addresses"][0], &track["dropped_here"]), (&"127.0.0.1".into(), &0.into()));
}

#[test]
fn two_senders_are_told_apart() {
    let group = Group::fresh();
    let mut both = [1, 2].map(|host| Sender::from(Ipv4Addr::new(127, 0, 0, host), group));
    let addresses = both.each_ref().map(Sender::address);
    let (code, track) = heard(&format!("udp://{group}"), || {
        both.iter_mut().for_each(|sender| {
            let datagram = sender.ts();
            sender.send(&datagram);
        });
    });
    assert_eq!(code, Some(0));
    for address in &addresses {
        let told =
            track["senders"].as_array().expect("senders").iter().find(|told| told["address"] == **address);
        assert_eq!(told.map(|told| &told["ts"]["continuity_errors"]), Some(&0.into()), "{track}");
    }
    assert_says(
        &track["notes"].to_string(),
        &["several senders: ", &addresses[0], &addresses[1], "in front of an @"],
    );
}

#[test]
fn one_source_alone_is_heard_where_one_is_named() {
    let group = Group::source_specific();
    let mut both = [3, 4].map(|host| Sender::from(Ipv4Addr::new(127, 0, 0, host), group));
    let (code, track) = heard(&format!("udp://127.0.0.4@{group}"), || {
        both.iter_mut().for_each(|sender| {
            let datagram = sender.ts();
            sender.send(&datagram);
        });
    });
    assert_eq!((code, &track["sources"]), (Some(0), &serde_json::json!(["127.0.0.4"])));
    assert_eq!(track["senders"].as_array().map(Vec::len), Some(1), "{track}");
    assert!(track["senders"][0]["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.4:")));
}

#[test]
fn where_nothing_comes_the_code_is_1_and_advice_is_given() {
    let group = Group::fresh();
    let output = listen(&format!("rtp://{group}"), &["--interface", "127.0.0.1", "--seconds", "1"], || ());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let ip = group.0.ip();
    assert_says(
        &text(&output.stdout),
        &[
            &format!("{group} on lo (127.0.0.1"),
            "as named: joined for any source by IGMPv",
            "heard        nothing",
            &format!("tcpdump -pni lo udp and dst host {ip}"),
            "IGMP snooping",
        ],
    );
}

#[test]
fn what_the_kernel_does_on_the_interface_is_told_where_nothing_comes() {
    const NAME: &str = "what_the_kernel_does_on_the_interface_is_told_where_nothing_comes";
    let needs = Needs { programs: &["ip"], route: false, ipv6: false };
    in_a_network_of_its_own(NAME, &needs, || {
        let plug = Plug { name: "plug-listen", address: Ipv4Addr::new(10, 78, 5, 1) };
        plug.plug_in();
        plug.speak_igmp(2);
        fs::write("/proc/sys/net/ipv4/conf/plug-listen/rp_filter", "1").expect("a setting of this network");
        let group = Group::source_specific();
        let source = format!("rtp://10.79.5.9@{group}");
        let output = listen(&source, &["--interface", "plug-listen", "--seconds", "1"], || ());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_says(
            &text(&output.stdout),
            &[
                &format!("{group} on plug-listen (10.78.5.1"),
                "joined for source 10.79.5.9 by IGMPv2",
                "plug-listen speaks IGMPv2, so the network is told of the group and of no source",
                "set sysctl net.ipv4.conf.plug-listen.force_igmp_version=0",
                "rp_filter is 1 on plug-listen: what 10.79.5.9 sends is dropped, for no route leads to it",
                "It is taken from source 10.79.5.9 alone",
            ],
        );
        let any = format!("rtp://{}", Group::fresh());
        let output = listen(&any, &["--interface", "plug-listen", "--seconds", "1"], || ());
        let remedy = "are dropped; set sysctl net.ipv4.conf.plug-listen.rp_filter=2";
        assert_says(&text(&output.stdout), &["joined for any source by IGMPv2", remedy]);
    });
}

#[test]
fn what_is_something_else_than_the_source_says_has_its_remedy() {
    let group = Group::fresh();
    let mut sender = Sender::to(group);
    let mut expect = |source: String, payload_type: Option<u8>, remedy: &str| {
        let (code, track) = heard(&source, || {
            let datagram = match payload_type {
                Some(payload_type) => sender.rtp(payload_type),
                None => sender.ts(),
            };
            sender.send(&datagram);
        });
        assert_eq!((code, &track["heard"]), (Some(1), &"something else".into()), "{track}");
        assert_says(&track.to_string(), &[remedy]);
        assert_eq!(track["senders"][0]["as_said"], 0);
    };
    expect(format!("rtp://{group}"), None, "write udp:// in place of rtp://");
    expect(format!("udp://{group}"), Some(33), "write rtp:// in place of udp://");
    expect(format!("rtp://{group}"), Some(96), "describe them in a session description");
}

#[test]
fn every_track_of_a_description_is_listened_to() {
    let [video, sound] = [(), ()].map(|()| Sender::to(Group::fresh()));
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("camera.sdp");
    let medium = |media: &str, sender: &Sender, map: &str| {
        format!(
            "m={media} {} RTP/AVP 96\r\nc=IN IP4 {}/1\r\na=rtpmap:96 {map}\r\n",
            sender.group.0.port(),
            sender.group.0.ip()
        )
    };
    let media = [medium("video", &video, "H264/90000"), medium("audio", &sound, "L16/48000/2")].concat();
    fs::write(&file, format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n{media}")).expect("a file");
    let mut both = [video, sound];
    let options = ["--interface", "lo", "--seconds", "1", "--json"];
    let path = file.to_str().expect("a plain path").to_owned();
    let both_come = listen(&path, &options, || {
        both.iter_mut().for_each(|sender| {
            let datagram = sender.rtp(96);
            sender.send(&datagram);
        });
    });
    let report: Value = serde_json::from_slice(&both_come.stdout).expect("JSON");
    assert_eq!(
        (both_come.status.code(), report["tracks"].as_array().map(Vec::len)),
        (Some(0), Some(2)),
        "{report}"
    );
    let one_comes = listen(&path, &options, || {
        let datagram = both[0].rtp(96);
        both[0].send(&datagram);
    });
    let report: Value = serde_json::from_slice(&one_comes.stdout).expect("JSON");
    let told = [0, 1].map(|track| report["tracks"][track]["heard"].as_str().map(str::to_owned));
    assert_eq!(told.map(Option::unwrap_or_default), ["as said", "nothing"]);
    assert_eq!(one_comes.status.code(), Some(1));
}

#[test]
fn what_it_says_of_a_programme_is_what_others_say() {
    const NAME: &str = "what_it_says_of_a_programme_is_what_others_say";
    let needs = Needs { programs: &["ffmpeg", "ffprobe"], route: true, ipv6: false };
    in_a_network_of_its_own(NAME, &needs, || {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("news.ts").to_str().expect("a plain path").to_owned();
        let made = run(
            "ffmpeg",
            &[
                "-f",
                "lavfi",
                "-i",
                "testsrc2=s=160x90:r=25",
                "-f",
                "lavfi",
                "-i",
                "sine",
                "-t",
                "2",
                "-c:v",
                "mpeg2video",
                "-c:a",
                "mp2",
                "-metadata",
                "service_name=News",
                "-metadata",
                "service_provider=Acme",
                "-metadata:s:a",
                "language=eng",
                "-muxrate",
                "2M",
                "-f",
                "mpegts",
                &file,
            ],
        );
        assert!(made.status.success(), "{}", text(&made.stderr));
        let probed = run("ffprobe", &["-show_programs", "-of", "json", &file]);
        let probed: Value = serde_json::from_slice(&probed.stdout).expect("JSON of ffprobe");
        let theirs = &probed["programs"][0];
        let (stream, group) = (fs::read(&file).expect("just made"), Group::fresh());
        let sender = Sender::to(group);
        let output = listen_until_sent(&format!("udp://{group}"), group, &["--json"], || {
            for datagram in stream.chunks(7 * 188) {
                sender.send(datagram);
                thread::sleep(PAUSE);
            }
        });
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let track = &report["tracks"][0];
        assert_eq!(track["interface"]["by_route"], true);
        let ts = &track["senders"][0]["ts"];
        let ours = &ts["programmes"][0];
        for (our_key, their_key) in [("number", "program_id"), ("pmt_pid", "pmt_pid"), ("pcr_pid", "pcr_pid")]
        {
            assert_eq!(ours[our_key], theirs[their_key], "{ours} and {theirs}");
        }
        assert_eq!(
            (&ours["name"], &ours["provider"]),
            (&theirs["tags"]["service_name"], &theirs["tags"]["service_provider"])
        );
        assert_eq!((&ours["name"], &ours["number"]), (&"News".into(), &1.into()));
        let their_pids: Vec<_> = theirs["streams"]
            .as_array()
            .expect("streams")
            .iter()
            .map(|stream| {
                let id = stream["id"].as_str().and_then(|id| id.strip_prefix("0x")).expect("in hexadecimal");
                u64::from_str_radix(id, 16).expect("a number")
            })
            .collect();
        let streams = ours["streams"].as_array().expect("streams");
        assert_eq!(streams.iter().map(|stream| number(&stream["pid"])).collect::<Vec<_>>(), their_pids);
        assert_eq!((&streams[0]["kind"], &streams[1]["language"]), (&"MPEG-2 video".into(), &"eng".into()));
        assert_eq!((&ts["continuity_errors"], &ts["damaged_tables"]), (&0.into(), &0.into()));
        assert!(
            ts["null_share"].as_f64().is_some_and(|share| share > 0.1),
            "a constant rate is stuffed: {ts}"
        );
        let clock = ts["pids"].as_array().expect("PIDs").iter().find(|pid| pid["pid"] == ours["pcr_pid"]);
        let longest = clock.and_then(|pid| pid["pcr"]["max_ms"].as_f64()).expect("a clock");
        assert!((1.0..=100.0).contains(&longest), "{longest}");
    });
}

#[test]
fn ctrl_c_ends_it_early_with_the_report() {
    let group = Group::fresh();
    let mut sender = Sender::to(group);
    let _quiet = Quiet::beside_others();
    let mut child = command(&format!("udp://{group}"), &["--interface", "lo", "--seconds", "600"])
        .spawn()
        .expect("it runs");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut joined = String::new();
    said.read_line(&mut joined).expect("it says that it has joined");
    for _ in 0..20 {
        let datagram = sender.ts();
        sender.send(&datagram);
    }
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGINT).expect("it runs");
    let mut report = String::new();
    said.read_to_string(&mut report).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_says(&joined, &["listening for 600 s"]);
    assert_says(&report, &["s, interrupted", "what the source says", "packets      20, "]);
}

#[test]
fn what_is_sent_to_this_machine_itself_is_listened_to_alike() {
    let free = Group::fresh().0.port();
    for (host, to) in [("127.0.0.1", "127.0.0.1"), ("@", "127.0.0.6")] {
        let mut sender = Sender::to(Group::fresh());
        let output = listen(&format!("udp://{host}:{free}"), &["--seconds", "1", "--json"], || {
            let datagram = sender.ts();
            sender.socket.send_to(&datagram, (to, free)).expect("lo takes packets");
        });
        assert_eq!(output.status.code(), Some(0), "{host}: {output:?}");
    }
}

#[test]
fn what_can_not_be_listened_to_is_a_wrong_command_line_or_said() {
    for (source, options, code, says) in [
        ("rtp://255.0.0.1:5004", &[] as &[&str], 2, "255.0.0.1 is not to be received"),
        ("nowhere.sdp", &[], 2, "nor is it the path of an SDP file"),
        ("rtp://eth7@239.9.9.1:5004", &["--interface", "eth8"], 2, "leave one out"),
        ("rtp://239.9.9.1:5004", &["--interface", "eth7-of-none"], 1, "no interface is named or addressed"),
        ("Cargo.toml", &[], 1, "is it an SDP file?"),
    ] {
        let output = listen(source, options, || ());
        assert_eq!(output.status.code(), Some(code), "{source}: {output:?}");
        assert_says(&text(&output.stderr), &[says]);
    }
    let taken = UdpSocket::bind("0.0.0.0:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let output = listen(&format!("udp://239.9.9.1:{port}"), &["--interface", "lo"], || ());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_says(&text(&output.stderr), &["another program has port"]);
}

#[test]
fn what_this_machine_has_no_room_for_is_not_the_networks_loss() {
    let group = Group::fresh();
    let mut sender = Sender::to(group);
    let _quiet = Quiet::beside_others();
    let options = ["--interface", "lo", "--seconds", "600"];
    let mut child = command(&format!("udp://{group}"), &options).spawn().expect("it runs");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
    said.read_line(&mut String::new()).expect("it says that it has joined");
    let signal = |signal| kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it runs");
    let waiting_and_dropped = || {
        let sockets = fs::read_to_string("/proc/thread-self/net/udp").expect("Linux tells");
        let port = format!(":{:04X}", group.0.port());
        let ours =
            sockets.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&port)));
        let words: Vec<_> = ours.expect("it listens").split_whitespace().collect();
        (
            words[4].ends_with(":00000000"),
            words.last().and_then(|count| count.parse::<u64>().ok()).expect("a count"),
        )
    };
    signal(Signal::SIGSTOP);
    let datagram = sender.ts();
    let dropped = eventually("it is full", || {
        (0..1000).for_each(|_| sender.send(&datagram));
        Some(waiting_and_dropped().1).filter(|dropped| *dropped > 0)
    });
    signal(Signal::SIGCONT);
    // The kernel tells of it with what comes next.
    for _ in 0..2 {
        eventually("all is read", || waiting_and_dropped().0.then_some(()));
        sender.send(&datagram);
    }
    signal(Signal::SIGINT);
    let mut report = String::new();
    said.read_to_string(&mut report).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_says(&report, &[&format!("{dropped} datagrams were lost in this machine, not in the network")]);
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let command = Command::new(program).args(["-v", "error"]).args(arguments).stdin(Stdio::null()).output();
    command.unwrap_or_else(|error| panic!("{program}: {error}"))
}
