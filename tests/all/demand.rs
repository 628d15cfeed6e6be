//! Channels that are joined for who watches them, and no longer.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use mirrorball::event::clock;

use crate::vocabulary::{Group, Mirrorball, Over, Setup, Source, Viewer, eventually};

const JOINS: &str = "mirrorball_group_joins_total";

/// A program whose channel is joined on demand.
fn on_demand(group: Group, linger: &str) -> Mirrorball {
    let setup = Setup::new().channel("news", group).channel_line("join = \"on-demand\"");
    let setup = setup.channel_line("silent_after = \"30s\""); // what has come once is live, however busy the machine
    setup.channel_line(&format!("linger = \"{linger}\"")).start()
}

fn state(mirrorball: &Mirrorball) -> Option<&'static str> {
    let is = |state: &&str| {
        mirrorball.metric("mirrorball_track_state", &[("channel", "news"), ("state", state)]) == 1.0
    };
    ["idle", "joining", "live", "stalled"].into_iter().find(is)
}

fn expect_state(mirrorball: &Mirrorball, expected: &'static str) {
    eventually(&format!("it is {expected}"), || (state(mirrorball) == Some(expected)).then_some(()));
}

#[test]
fn it_is_joined_for_the_first_who_watches_and_left_behind_the_last() {
    let mut source = Source::new();
    let mirrorball = on_demand(source.group, "0s");
    assert_eq!((state(&mirrorball), source.group.is_joined()), (Some("idle"), false));
    assert_eq!(mirrorball.expect_page("/ready", 200), "ready\n", "it is as it is to be");
    for over in [Over::Udp, Over::Tcp] {
        let mut viewers = [over, Over::Udp].map(|over| Viewer::playing(&mirrorball, "news", over));
        eventually("it is joined", || source.group.is_joined().then_some(()));
        let first = source.next;
        source.send(5);
        expect_state(&mirrorball, "live");
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, first..first + 5));
        let [one, other] = viewers;
        one.teardown();
        eventually("one is left", || source.group.is_joined().then_some(()));
        other.teardown();
        eventually("it is left", || (!source.group.is_joined()).then_some(()));
        expect_state(&mirrorball, "idle");
        source.next += 40_000; // nobody hears what is sent meanwhile
    }
    for none in ["lost", "restarts", "ssrc_changes"] {
        mirrorball.expect_metric(&format!("mirrorball_channel_{none}_total"), &[], 0.0);
    }
    assert_eq!(mirrorball.lines_logged("silent"), 0, "nobody has waited for it");
}

#[test]
fn who_comes_back_in_time_finds_it_joined() {
    let mut source = Source::new();
    let mirrorball = on_demand(source.group, "60s");
    Viewer::playing(&mirrorball, "news", Over::Udp).teardown();
    eventually("it is joined", || source.group.is_joined().then_some(()));
    mirrorball.expect_metric(JOINS, &[], 2.0);
    for _ in 0..20 {
        Viewer::playing(&mirrorball, "news", Over::Udp).teardown();
    }
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
    mirrorball.expect_metric(JOINS, &[], 2.0);
}

#[test]
fn hundreds_that_nobody_watches_cost_no_membership_and_no_socket() {
    let bases = [Group::fresh(), Group::fresh()];
    let alone = Setup::new().channel("news", bases[0]).channel_line("join = \"on-demand\"").start();
    let groups: Vec<_> = bases.into_iter().flat_map(|base| (0..150).map(move |_| base.beside())).collect();
    let all = groups.iter().enumerate().fold(Setup::new(), |setup, (number, group)| {
        setup.channel(&format!("channel-{number}"), *group).channel_line("join = \"on-demand\"")
    });
    let all = all.start();
    all.expect_metric(JOINS, &[], 0.0);
    all.expect_holdings(alone.holdings());
}

#[test]
fn however_fast_viewers_zap_the_network_hears_of_few_changes() {
    const CHANNELS: usize = 40;
    let mut source = Source::new();
    let setup = (0..CHANNELS).fold(Setup::new(), |setup, number| {
        let setup = setup.channel(&format!("channel-{number}"), source.group.beside());
        setup.channel_line("join = \"on-demand\"").channel_line("linger = \"0s\"")
    });
    let setup = setup.channel("news", source.group).channel_line("join = \"on-demand\"");
    let mirrorball = setup.start();
    let began = clock::now();
    thread::scope(|scope| {
        for zapper in 0..20 {
            let mirrorball = &mirrorball;
            scope.spawn(move || {
                for step in 0..50 {
                    let name = format!("channel-{}", (zapper * 7 + step) % CHANNELS);
                    Viewer::playing(mirrorball, &name, Over::Udp).teardown();
                }
            });
        }
    });
    // One group, of media and of RTCP each.
    let changes = mirrorball.metric(JOINS, &[]) / 2.0;
    let seconds = began.elapsed().as_secs_f64();
    assert!(changes >= 1.0 && changes <= 10.0 * (seconds + 1.0), "{changes} in {seconds} s");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    expect_state(&mirrorball, "stalled");
    source.send(3);
    viewer.expect_packets(&source, 0..3);
}

#[test]
fn what_can_not_be_joined_is_told_to_whom_it_concerns_once() {
    let group = Group(SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 1), 18_004));
    let setup = Setup::new().channel_on("nowhere9", "news", &format!("rtp://{group}"));
    let mirrorball = setup.channel_line("join = \"on-demand\"").start();
    assert_eq!(mirrorball.lines_logged("nowhere9"), 0, "nobody wants it");
    let viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    expect_state(&mirrorball, "joining");
    mirrorball.expect_logged("wanted and not received, and tried again", 1);
    let not_joined = mirrorball.expect_page("/ready", 503);
    assert!(not_joined.contains("no channel is joined"), "{not_joined}");
    viewer.teardown();
    assert_eq!(mirrorball.lines_logged("wanted and not received"), 1);
}

#[test]
fn a_line_of_two_groups_takes_who_lingers_off_for_who_comes_and_refuses_who_is_one_too_many() {
    let groups = [(); 4].map(|()| Group::fresh());
    let setup = groups.iter().enumerate().fold(Setup::new(), |setup, (number, group)| {
        let setup = setup.channel(&format!("channel-{number}"), *group);
        setup.channel_line("join = \"on-demand\"").channel_line("linger = \"60s\"")
    });
    let mirrorball = setup.section("limits", "line_groups = 2").start();
    let expect_joined = |expected: [bool; 4]| {
        eventually(&format!("{expected:?} are joined"), || {
            (groups.map(|group| group.is_joined()) == expected).then_some(())
        });
    };
    let watch = |number: usize| Viewer::playing(&mirrorball, &format!("channel-{number}"), Over::Udp);
    let first = watch(0);
    watch(1).teardown();
    expect_joined([true, true, false, false]);
    let third = watch(2);
    expect_joined([true, false, true, false]);
    mirrorball.expect_metric("mirrorball_line_groups", &[], 2.0);
    let mut fourth = Viewer::of(&mirrorball, "channel-3");
    let url = format!("{}/trackID=1", fourth.url);
    let transport = [("Transport", "RTP/AVP;unicast;client_port=40000-40001")];
    fourth.connection.request("SETUP", &url, &transport).expect(453);
    mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", "line")], 1.0);
    mirrorball.expect_logged("reason=\"line\"", 1);
    let beside = watch(0);
    third.teardown();
    let fourth = watch(3);
    expect_joined([true, false, false, true]);
    [first, beside, fourth].into_iter().for_each(Viewer::teardown);
}
