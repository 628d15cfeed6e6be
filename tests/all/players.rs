//! Real senders and real players: ffmpeg multicasts, and ffmpeg, ffprobe, GStreamer and retina watch through
//! Mirrorball, each over UDP and over TCP, in a network of the story's own.

mod hearing;
mod player;
pub mod programme;
pub mod retina_player;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::vocabulary::{
    Group, Mirrorball, Needs, Over, Setup, Town, Viewer, eventually, in_a_network_of_its_own, is_thorough,
    say,
};
use hearing::Ear;
use player::{Player, probe};
use programme::{Form, Programme};

const NEEDS: Needs =
    Needs { programs: &["ip", "ffmpeg", "ffprobe", "gst-launch-1.0"], route: true, ipv6: false };
/// Before the middle, players start; after it, they may be late.
const MARGIN_SECONDS: u32 = 4;

#[test]
fn every_frame_of_a_transport_stream_arrives_in_every_player() {
    in_a_network_of_its_own("a transport stream in real players", &NEEDS, || {
        every_frame_arrives(Form::TransportStream);
    });
}

#[test]
fn every_frame_of_separate_tracks_arrives_in_every_player() {
    in_a_network_of_its_own("separate tracks in real players", &NEEDS, || {
        every_frame_arrives(Form::Tracks);
    });
}

#[test]
fn players_stay_while_the_source_is_away_and_see_it_return() {
    in_a_network_of_its_own("a source that is away for a while", &NEEDS, || {
        let timeout_s = if is_thorough() { 6 } else { 3 };
        let away = Duration::from_secs(3 * timeout_s + 1);
        let programme = Programme::of_seconds(MARGIN_SECONDS + 4);
        let group = Group::fresh();
        let timeout = format!("session_timeout = \"{timeout_s}s\"");
        let mirrorball = Setup::new().channel("film", group).rtsp(&timeout).start();
        let url = mirrorball.url("film");
        let ear = Ear::at_the_group(group);
        let raw = raw_ears(&mirrorball, Form::TransportStream);
        let mut sender = programme.send_from(1, group);
        let directory = programme.directory();
        let players = [Over::Udp, Over::Tcp].map(|over| Player::ffmpeg(over, &url, directory));
        sender.ends();
        mirrorball.expect_metric("mirrorball_channel_silent", &[("channel", "film")], 1.0);
        // The one wait of these stories that is about time itself: players say nothing meanwhile, for three timeouts.
        thread::sleep(away);
        mirrorball.expect_metric("mirrorball_sessions", &[], 4.0);
        // Another process has another SSRC. Its sequence numbers are ahead of those before: ffmpeg would take
        // what is behind them for late, and drop it.
        programme.send_from(30_000, group).ends();
        mirrorball.expect_metric("mirrorball_channel_ssrc_changes_total", &[("channel", "film")], 1.0);
        mirrorball.expect_metric("mirrorball_sessions", &[], 4.0);
        mirrorball.expect_metric("mirrorball_channel_lost_total", &[("channel", "film")], 0.0);
        expect_whole_packets(&ear.packets(), raw);
        expect_all_reports_taken(&mirrorball);
        end(mirrorball);
        // The second time nobody has to start first, so nearly all of it has to be there.
        let middle = programme.middle(MARGIN_SECONDS..MARGIN_SECONDS + 3);
        let later = programme.middle(1..MARGIN_SECONDS + 3);
        for player in players {
            let heard = player.heard();
            heard.expect_times(&middle, 2);
            heard.expect(&later);
        }
    });
}

#[test]
fn a_player_sees_a_backup_take_over_and_every_frame_from_the_next_picture_on() {
    in_a_network_of_its_own("a backup that takes over", &NEEDS, || {
        let programme = Programme::of_seconds(2 * MARGIN_SECONDS + 4);
        let groups = [Group::fresh(), Group::fresh()];
        let sources = groups.map(|group| format!("\"rtp://{group}\"")).join(", ");
        let mirrorball = Setup::new()
            .channel_of_sources("film", &sources)
            .channel_line("redundancy = \"failover\"\nfailover_after = \"100ms\"")
            .start();
        let url = mirrorball.url("film");
        let [_, (_, ear)] = raw_ears(&mirrorball, Form::TransportStream);
        let first = programme.send_from(1, groups[0]);
        let mut second = programme.send_from(30_000, groups[1]);
        let player = Player::ffmpeg(Over::Tcp, &url, programme.directory());
        thread::sleep(Duration::from_secs(u64::from(MARGIN_SECONDS) + 1));
        drop(first);
        second.ends();
        mirrorball.expect_metric("mirrorball_leg_switches_total", &[("channel", "film"), ("leg", "2")], 1.0);
        mirrorball.expect_metric("mirrorball_channel_lost_total", &[("channel", "film")], 0.0);
        end(mirrorball);
        let packets = ear.packets().remove(0);
        let follows = |pair: &[Vec<u8>]| {
            let sequence = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
            sequence(&pair[1]) == sequence(&pair[0]).wrapping_add(1) && pair[0][8..12] == pair[1][8..12]
        };
        assert!(packets.len() > 100 && packets.windows(2).all(follows), "one stream");
        // A picture that can be started with comes each second; what was cut off is one second at most.
        let after = programme.middle(MARGIN_SECONDS + 3..2 * MARGIN_SECONDS + 2);
        player.heard().expect(&after);
    });
}

const BEHIND_A_NAT: Needs =
    Needs { programs: &["ip", "nft", "ffmpeg", "ffprobe", "gst-launch-1.0"], route: true, ipv6: false };

#[test]
fn players_behind_a_nat_see_every_frame_over_udp() {
    in_a_network_of_its_own("players behind a NAT", &BEHIND_A_NAT, || {
        let town = Town::build();
        let programme = Programme::of_seconds(2 * MARGIN_SECONDS + 2);
        let group = Group::fresh();
        let described = programme.describe(group);
        let mirrorball = Setup::new().listening_on(Town::EDGE).described("film", &described).start();
        let (url, directory) = (mirrorball.url("film"), programme.directory());
        let mut sender = programme.send(Form::Tracks, group);
        for track in ["1", "2"] {
            let arrived = || mirrorball.metric("mirrorball_channel_packets_total", &[("track", track)]) > 0.0;
            eventually("the track begins", || arrived().then_some(()));
        }
        let players = town.homes[0].within(|| {
            let gstreamer = Player::gstreamer(Form::Tracks, Over::Udp, &url, directory);
            [Player::ffmpeg(Over::Udp, &url, directory), gstreamer]
        });
        let probe = town.homes[1].within(|| probe(Over::Udp, &url));
        // Both tracks of all three, at both ports.
        let learnt = |port| mirrorball.metric("mirrorball_ports_learnt_total", &[("port", port)]);
        eventually("all are found", || (learnt("rtp") >= 6.0 && learnt("rtcp") >= 6.0).then_some(()));
        sender.ends();
        probe.expect_h264_and_aac();
        expect_all_reports_taken(&mirrorball);
        mirrorball.expect_metric("mirrorball_sessions_refused_total", &[], 0.0);
        end(mirrorball);
        let middle = programme.middle(MARGIN_SECONDS..MARGIN_SECONDS + 2);
        players.into_iter().for_each(|player| player.heard().expect(&middle));
        fs::remove_dir_all(directory).expect("the programme's directory");
    });
}

#[test]
fn ffmpeg_falls_back_to_its_connection_where_udp_gets_nowhere() {
    in_a_network_of_its_own("a path that passes no UDP", &BEHIND_A_NAT, || {
        let town = Town::build();
        town.pass_no_udp();
        let programme = Programme::of_seconds(2 * MARGIN_SECONDS + 4);
        let group = Group::fresh();
        let setup = Setup::new().listening_on(Town::EDGE).channel("film", group);
        let mirrorball = setup.section("limits", "sessions_per_address = 1").start();
        let (url, directory) = (mirrorball.url("film"), programme.directory());
        let mut sender = programme.send(Form::TransportStream, group);
        let player = town.homes[0].within(|| Player::ffmpeg_that_tries(&url, directory));
        mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "fell back")], 1.0);
        mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
        sender.ends();
        end(mirrorball);
        player.heard().expect(&programme.middle(MARGIN_SECONDS + 2..MARGIN_SECONDS + 4));
        fs::remove_dir_all(directory).expect("the programme's directory");
    });
}

fn every_frame_arrives(form: Form) {
    let seconds = if is_thorough() { 10 } else { 4 };
    say(&format!("players: the middle {seconds} s of a programme, {form:?}"));
    let programme = Programme::of_seconds(2 * MARGIN_SECONDS + seconds);
    let group = Group::fresh();
    let setup = match form {
        Form::TransportStream => Setup::new().channel("film", group),
        Form::Tracks => Setup::new().described("film", &programme.describe(group)),
    };
    let mirrorball = setup.multicast_out(Group::fresh()).start();
    let url = mirrorball.url("film");
    let tracks = form.tracks();
    let ears: Vec<_> = (0..tracks).map(|track| Ear::at_the_group(form.group_of(group, track))).collect();
    let raw = raw_ears(&mirrorball, form);

    let mut sender = programme.send(form, group);
    for track in 1..=tracks {
        // Before its first packet a track has no time, and retina wants to know it.
        let track = track.to_string();
        let arrived = || mirrorball.metric("mirrorball_channel_packets_total", &[("track", &track)]) > 0.0;
        eventually("the track begins", || arrived().then_some(()));
    }
    let directory = programme.directory();
    let players: Vec<Player> = [Over::Udp, Over::Tcp]
        .into_iter()
        .flat_map(|over| {
            [
                Player::ffmpeg(over, &url, directory),
                Player::gstreamer(form, over, &url, directory),
                Player::retina(form, over, &url, directory),
            ]
        })
        .collect();
    let by_multicast = Player::ffmpeg_by("udp_multicast", &url, directory);
    let players: Vec<_> = players.into_iter().chain([by_multicast]).collect();
    let is_for_boxes = form == Form::TransportStream;
    let (set_top_box, without_rtp) = is_for_boxes.then(|| SetTopBox::new(&mirrorball, directory)).unzip();
    let players: Vec<_> = players.into_iter().chain(without_rtp).collect();
    let probes = [Over::Udp, Over::Tcp].map(|over| probe(over, &url));
    let set_top_box = set_top_box.map(SetTopBox::play);
    sender.ends();
    probes.into_iter().for_each(|probe| probe.expect_h264_and_aac());
    let sent: Vec<_> = ears.into_iter().flat_map(Ear::packets).collect();
    expect_whole_packets(&sent, raw);
    expect_all_reports_taken(&mirrorball);
    end(mirrorball);

    drop(set_top_box);
    let middle = programme.middle(MARGIN_SECONDS..MARGIN_SECONDS + seconds);
    for player in players {
        player.heard().expect(&middle);
    }
    fs::remove_dir_all(directory).expect("the programme's directory");
}

/// A set-top box, which plays what comes to its port.
struct SetTopBox {
    viewer: Viewer,
    port: u16,
}

impl SetTopBox {
    fn new(mirrorball: &Mirrorball, directory: &Path) -> (Self, Player) {
        let mut viewer = Viewer::of(mirrorball, "film");
        let (socket, _) = viewer.set_up_raw("MP2T/H2221/UDP;unicast;client_port=PORT");
        let port = socket.local_addr().expect("bound").port();
        (Self { viewer, port }, Player::at_port(socket, directory))
    }

    /// Asks for the stream once its player listens: a closed port would end the session.
    fn play(mut self) -> Viewer {
        let entry = format!(":{:04X} ", self.port);
        let sockets = || fs::read_to_string("/proc/thread-self/net/udp").expect("Linux");
        eventually("ffmpeg opens its port", || sockets().contains(&entry).then_some(()));
        self.viewer.play();
        self.viewer
    }
}

/// Viewers who keep every packet as it comes.
fn raw_ears(mirrorball: &Mirrorball, form: Form) -> [(Over, Ear); 2] {
    [Over::Udp, Over::Tcp].map(|over| {
        let mut viewer = Viewer::of(mirrorball, "film");
        (1..=form.tracks()).for_each(|track| viewer.set_up(track, over));
        viewer.play();
        (over, Ear::of(viewer))
    })
}

/// What raw viewers got is what was sent to each track's group, bit for bit.
fn expect_whole_packets(sent: &[Vec<Vec<u8>>], raw: [(Over, Ear); 2]) {
    assert!(sent.iter().all(|track| !track.is_empty()), "the source was heard");
    for (over, ear) in raw {
        for (track, (sent, got)) in sent.iter().zip(ear.packets()).enumerate() {
            let counts = (sent.len(), got.len());
            assert!(*sent == got, "track {track} over {over:?}: {counts:?} packets sent and got, or changed");
        }
    }
}

/// What real players say by RTCP is taken for theirs.
fn expect_all_reports_taken(mirrorball: &Mirrorball) {
    assert!(mirrorball.metric("mirrorball_rtcp_reports_total", &[]) > 0.0);
    mirrorball.expect_metric("mirrorball_drops_total", &[("leg", "reports")], 0.0);
}

/// Ends the program, and with it the players: they are told goodbye.
fn end(mut mirrorball: Mirrorball) {
    mirrorball.signal(Signal::SIGTERM);
    let status = mirrorball.ended();
    assert!(status.is_some_and(|status| status.success()), "ended with {status:?}");
}
