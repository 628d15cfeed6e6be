//! Many viewers at once: nothing is mixed, who stays loses nothing, and who leaves frees everything.

use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::vocabulary::{Connection, Crowd, Mirrorball, Over, Setup, Source, Tally, Viewer, passes};

const ENDED: &str = "mirrorball_sessions_ended_total";

#[test]
fn two_channels_on_one_port_keep_their_viewers_apart_while_many_leave_in_every_way() {
    allow_many_descriptors();
    let first = Source::new();
    let second = Source::to(first.group.beside());
    let programmes = [first.programme, second.programme];
    let mirrorball = Setup::new()
        .channel("first", first.group)
        .channel("second", second.group)
        .rtsp("session_timeout = \"5s\"\nclose_grace = \"0s\"")
        .section("engine", "poll_table_entries = 16")
        .start();
    let beams = [first.beam(150), second.beam(150)];
    // A pair of ports is opened by its first viewer, and kept.
    Viewer::playing(&mirrorball, "first", Over::Udp).teardown();
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
    let before = mirrorball.holdings();

    // Fifty for each channel, by turns; every third over TCP.
    let over = |place: usize| if place.is_multiple_of(3) { Over::Tcp } else { Over::Udp };
    let crowd = Crowd::of((0..100).map(|place| {
        let channel = ["first", "second"][place % 2];
        (Viewer::playing(&mirrorball, channel, over(place)), programmes[place % 2])
    }));
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[("channel", "first")], 50.0);
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[("channel", "second")], 50.0);
    let all_go_on = || {
        for (beam, programme) in beams.iter().zip(programmes) {
            crowd.expect_all_past(programme, beam.sent() + 50);
        }
    };
    all_go_on();
    // Twenty of each fifth leave, in one of three ways; two fifths stay.
    (0..100).filter(|place| place / 2 % 5 == 0).for_each(|place| crowd.fall_silent(place));
    let mut leaving = Vec::new();
    for place in 0..100 {
        match place / 2 % 5 {
            1 => {
                let (viewer, tally) = crowd.take(place);
                viewer.teardown();
                leaving.push((place, tally));
            }
            2 => {
                let (viewer, tally) = crowd.take(place);
                viewer.vanish();
                leaving.push((place, tally));
            }
            _ => {}
        }
    }
    all_go_on();
    // Over TCP who says nothing still acknowledges what it gets.
    let silent: Vec<_> = (0..100).filter(|place| place / 2 % 5 == 0).collect();
    let unheard = silent.iter().filter(|place| over(**place) == Over::Udp).count();
    mirrorball.expect_metric(ENDED, &[("reason", "timeout")], unheard as f64);
    mirrorball.expect_metric(ENDED, &[("reason", "connection closed")], 20.0);
    mirrorball.expect_metric(ENDED, &[("reason", "teardown")], 21.0);
    mirrorball.expect_metric("mirrorball_sessions", &[], (40 + silent.len() - unheard) as f64);
    leaving.extend(silent.into_iter().map(|place| (place, crowd.take(place).1)));
    all_go_on();

    // One by one, while those who wait for their turn still report.
    for place in (0..100).filter(|place| place / 2 % 5 > 2) {
        let (viewer, tally) = crowd.take(place);
        assert!(tally.is_flawless(), "viewer {place} stayed and got {tally:?}");
        viewer.teardown();
    }
    for (place, tally) in leaving {
        assert!(tally.is_flawless(), "viewer {place} got {tally:?} before it left");
    }
    expect_nothing_dropped(&mirrorball);
    mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[], 0.0);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
    mirrorball.expect_holdings(before);
}

/// Media is late where packets are old for their ring. A busy machine does not make it so where they may get old.
fn patient() -> Setup {
    Setup::new().section("ring", "max_age = \"60s\"")
}

#[test]
fn hundreds_of_viewers_come_and_go_and_nothing_is_left_of_them() {
    allow_many_descriptors();
    let source = Source::new();
    let programme = source.programme;
    let mirrorball =
        patient().channel("news", source.group).section("engine", "poll_table_entries = 64").start();
    let beam = source.beam(25);
    Viewer::playing(&mirrorball, "news", Over::Udp).teardown();
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
    let before = mirrorball.holdings();
    for _ in 0..2 {
        let crowd = Crowd::of((0..400).map(|place| {
            let over = if place % 4 == 0 { Over::Tcp } else { Over::Udp };
            (Viewer::playing(&mirrorball, "news", over), programme)
        }));
        mirrorball.expect_metric("mirrorball_sessions", &[], 400.0);
        mirrorball.expect_metric("mirrorball_channel_subscribers", &[("transport", "udp")], 300.0);
        mirrorball.expect_metric("mirrorball_channel_subscribers", &[("transport", "tcp")], 100.0);
        crowd.expect_all_past(programme, beam.sent() + 25);
        for (place, viewer, tally) in crowd.disband() {
            assert!(tally.is_flawless(), "viewer {place} got {tally:?}");
            if place % 2 == 0 { viewer.teardown() } else { viewer.vanish() }
        }
        mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
        mirrorball.expect_holdings(before);
    }
    expect_nothing_dropped(&mirrorball);
    beam.stop();
}

#[test]
fn a_crowd_that_comes_and_goes_all_at_once_costs_nobody_a_packet() {
    allow_many_descriptors();
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = patient().channel("news", source.group).start();
    let over = |place: usize| if place.is_multiple_of(4) { Over::Tcp } else { Over::Udp };
    let watch = |place| Viewer::playing(&mirrorball, "news", over(place));
    let stays = Crowd::of((0..8).map(|place| (watch(place), programme)));
    let beam = source.beam(200);
    stays.expect_all_past(programme, 20);
    for _ in 0..2 {
        let crowd = Crowd::of(all_at_once(0..120, watch).into_iter().map(|viewer| (viewer, programme)));
        mirrorball.expect_metric("mirrorball_channel_subscribers", &[("channel", "news")], 128.0);
        crowd.expect_all_past(programme, beam.sent() + 20);
        let gone = all_at_once(crowd.disband(), |(place, viewer, tally)| {
            if place % 2 == 0 {
                viewer.teardown()
            } else {
                viewer.vanish()
            }
            tally
        });
        assert!(gone.iter().all(Tally::is_flawless), "{gone:?}");
        mirrorball.expect_metric("mirrorball_sessions", &[], 8.0);
        stays.expect_all_past(programme, beam.sent() + 20);
    }
    stays.expect_flawless();
    expect_nothing_dropped(&mirrorball);
    beam.stop();
}

/// What `each` makes of all of them, each on a thread of its own.
pub fn all_at_once<T: Send, U: Send>(
    all: impl IntoIterator<Item = T>,
    each: impl Fn(T) -> U + Sync,
) -> Vec<U> {
    thread::scope(|scope| {
        let each = &each;
        let threads: Vec<_> = all.into_iter().map(|one| scope.spawn(move || each(one))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no viewer fails")).collect()
    })
}

#[test]
fn a_viewer_who_reads_slowly_over_tcp_holds_up_nobody_and_gets_whole_packets() {
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .section("ring", "max_bytes = 3000000\nmax_age = \"10s\"") // some 1.5 s, which no busy machine takes from the others
        .start();
    let slow = Connection::with_little_room(mirrorball.rtsp);
    let mut slow = Viewer::by(slow, &mirrorball, "news");
    slow.set_up(1, Over::Tcp);
    slow.play();
    let others = [Over::Udp, Over::Tcp, Over::Udp, Over::Tcp];
    let crowd = Crowd::of(others.map(|over| (Viewer::playing(&mirrorball, "news", over), programme)));
    let beam = source.beam(1500);
    let overrun = || mirrorball.metric("mirrorball_drops_total", &[("leg", "out"), ("reason", "overrun")]);
    crowd.expect_all_past(programme, 3000);
    // Its room is used up; requests are still answered, once it reads.
    let text = slow.connection.compose("GET_PARAMETER", "*", &[]);
    slow.connection.send(&text);
    let at = beam.sent() + 500;
    crowd.expect_all_past(programme, at);
    let mut due = 0;
    let mut skipped = 0;
    while due < at + 1500 {
        let stamp = slow.stamp_or_reply();
        let Some(stamp) = stamp else { continue };
        assert_eq!(stamp.programme, programme);
        assert!(stamp.number >= due, "{} after {due}", stamp.number);
        skipped += stamp.number - due;
        due = stamp.number + 1;
    }
    assert!(skipped > 0, "the story needs a reader that falls behind");
    assert!(passes(Duration::from_secs(5), || overrun() > 0.0), "what it skipped is counted");
    crowd.expect_flawless();
    beam.stop();
}

#[test]
fn what_a_viewer_misses_who_never_reads_again_is_counted_while_he_is_there() {
    let source = Source::new();
    let ring = "max_bytes = 300000\nmax_age = \"200ms\"";
    let mirrorball = Setup::new().channel("news", source.group).section("ring", ring).start();
    let mut deaf = Viewer::by(Connection::with_little_room(mirrorball.rtsp), &mirrorball, "news");
    deaf.set_up(1, Over::Tcp);
    deaf.play();
    let beam = source.beam(1500);
    let overrun = || mirrorball.metric("mirrorball_drops_total", &[("leg", "out"), ("reason", "overrun")]);
    assert!(passes(Duration::from_secs(20), || overrun() > 500.0), "it is counted");
    assert_eq!(mirrorball.metric("mirrorball_sessions", &[]), 1.0, "as he stands there, and reads nothing");
    let sent = || mirrorball.metric("mirrorball_forwarded_packets_total", &[("transport", "tcp")]);
    let came = || mirrorball.metric("mirrorball_channel_packets_total", &[]);
    assert!(overrun() + sent() <= came(), "and nothing twice");
    drop(deaf);
    mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
    let at_the_end = overrun();
    let at = came();
    assert!(passes(Duration::from_secs(20), || came() > at + 1000.0));
    assert_eq!(overrun(), at_the_end, "who is gone misses nothing");
    beam.stop();
}

#[test]
fn a_viewer_who_reads_nothing_does_not_delay_the_end_of_the_program() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let deaf = Connection::with_little_room(mirrorball.rtsp);
    let mut deaf = Viewer::by(deaf, &mirrorball, "news");
    deaf.set_up(1, Over::Tcp);
    deaf.play();
    let programme = source.programme;
    let crowd = Crowd::of([(Viewer::playing(&mirrorball, "news", Over::Udp), programme)]);
    let beam = source.beam(1500);
    crowd.expect_all_past(programme, 2000);
    // That it ends, and soon enough, is what the end of every story holds.
    drop(mirrorball);
    beam.stop();
}

/// Viewers and the program are many descriptors in two processes, which both go by this limit.
pub fn allow_many_descriptors() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if soft < 4096 {
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(4096), hard).expect("below the hard limit");
    }
}

/// Nothing was lost on the way in, nor dropped on the way out.
#[track_caller]
pub fn expect_nothing_dropped(mirrorball: &Mirrorball) {
    for name in [
        "mirrorball_channel_lost_total",
        "mirrorball_receive_queue_overflow_total",
        "mirrorball_drops_total",
        "mirrorball_task_panics_total",
    ] {
        // A viewer that has vanished may have a packet on its way: its port says that it is closed.
        let labels: &[_] = if name == "mirrorball_drops_total" { &[("reason", "overrun")] } else { &[] };
        assert_eq!(mirrorball.metric(name, labels), 0.0, "{name}");
    }
}
