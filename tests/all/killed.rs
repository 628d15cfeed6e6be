//! The program is killed, and started again as deploy/mirrorball.service says, by a stand-in for systemd.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use std::{fs, thread};

use mirrorball::event::clock;
use nix::sys::signal::Signal;

use crate::crowds::{all_at_once, allow_many_descriptors};
use crate::program::free_pairs;
use crate::vocabulary::{
    Connection, Crowd, Mirrorball, Over, Quiet, Setup, Source, Viewer, binary, eventually, is_thorough, say,
};

/// Of viewers who connect again, from the kill on: three seconds are promised, and some for a busy machine.
const PLAY_AGAIN_WITHIN: Duration = Duration::from_secs(10);

/// What the unit says of a program that has ended.
struct Unit {
    after: Duration,
    never_after: Vec<i32>,
}

impl Unit {
    /// As it is shipped. What this stand-in does not know of is no longer told here, so it has to be as it was.
    fn shipped() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/mirrorball.service");
        let text = fs::read_to_string(file).expect("the unit");
        let values = |key: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(values("Restart"), ["on-failure"]);
        assert_eq!(values("StartLimitIntervalSec"), ["0"], "as often as it takes");
        for unknown in ["StartLimitBurst", "SuccessExitStatus", "RestartForceExitStatus", "RestartSteps"] {
            assert!(values(unknown).is_empty(), "{unknown}");
        }
        let after = values("RestartSec").concat();
        let after = after.strip_suffix("ms").expect("milliseconds").parse().expect("a number");
        let never_after = values("RestartPreventExitStatus").concat();
        let never_after = never_after.split_whitespace().map(|code| code.parse().expect("a code")).collect();
        Self { after: Duration::from_millis(after), never_after }
    }

    /// After how long a program that ended so is started again, systemd.service(5).
    fn restarts_after(&self, status: ExitStatus) -> Option<Duration> {
        const CLEAN: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE];
        let is_clean = status.success() || CLEAN.iter().any(|signal| status.signal() == Some(*signal as i32));
        let is_prevented = status.code().is_some_and(|code| self.never_after.contains(&code));
        (!is_clean && !is_prevented).then_some(self.after)
    }

    /// Starts a program again that has ended, if it is to be.
    #[track_caller]
    fn restart(&self, mirrorball: &mut Mirrorball, status: ExitStatus) {
        thread::sleep(self.restarts_after(status).expect("it is started again"));
        mirrorball.start_again();
    }
}

/// A viewer that tries until it is served, and when it had its first packet.
fn come_back(mirrorball: &Mirrorball, over: Over) -> (Viewer, Duration) {
    let stream = eventually("somebody listens", || {
        let stream = TcpStream::connect(mirrorball.rtsp).ok();
        stream.or_else(|| {
            thread::sleep(Duration::from_millis(40));
            None
        })
    });
    let mut viewer = Viewer::playing_by(Connection::by(stream), mirrorball, "news", over);
    viewer.stamp();
    (viewer, clock::monotonic())
}

fn files(mirrorball: &Mirrorball) -> Vec<PathBuf> {
    let entries = fs::read_dir(mirrorball.directory()).expect("its directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn over(place: usize) -> Over {
    if place.is_multiple_of(2) { Over::Udp } else { Over::Tcp }
}

#[test]
fn killed_under_load_it_is_back_before_viewers_give_up_and_nothing_is_in_its_way() {
    allow_many_descriptors();
    let quiet = Quiet::alone();
    let (viewers, rounds) = if is_thorough() { (300, 5) } else { (100, 3) };
    let unit = Unit::shipped();
    let source = Source::new();
    let (programme, group) = (source.programme, source.group);
    // All that it binds are ports of the config: who is killed leaves none of them taken.
    let (first, free) = eventually("two free pairs of ports", free_pairs);
    drop(free);
    let mut mirrorball = Setup::new()
        .udp_ports(&format!("{first}-{}", first + 3))
        .channel("news", group)
        .at_known_addresses()
        .start_in(quiet);
    let beam = source.beam(100);
    let watch = |place| (Viewer::playing(&mirrorball, "news", over(place)), programme);
    let mut crowd = Crowd::of((0..viewers).map(watch));
    crowd.expect_all_past(programme, beam.sent() + 20);
    let before = files(&mirrorball);
    for round in 0..rounds {
        let gone = crowd.disband();
        let killed_at = clock::monotonic();
        let status = mirrorball.kill();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
        eventually("its group is left", || (!group.is_joined()).then_some(()));
        assert_eq!(files(&mirrorball), before);
        if round == 1 {
            // Once more while it starts.
            unit.restart(&mut mirrorball, status);
            mirrorball.kill();
        }
        unit.restart(&mut mirrorball, status);
        let back = all_at_once(0..viewers, |place| come_back(&mirrorball, over(place)));
        let last = back.iter().map(|(_, at)| *at).max().expect("viewers");
        let took = last - killed_at;
        say(&format!("killed: {viewers} viewers play again {took:?} after the kill"));
        assert!(took < PLAY_AGAIN_WITHIN, "after {took:?}");
        // Until here they had kept what they had: connections to nobody, and the ports of their own.
        for (place, _viewer, tally) in gone {
            assert!(tally.is_flawless(), "viewer {place} got {tally:?} before the kill");
        }
        crowd = Crowd::of(back.into_iter().map(|(viewer, _)| (viewer, programme)));
        crowd.expect_all_past(programme, beam.sent() + 20);
    }
    crowd.expect_flawless();
    beam.stop();
}

#[test]
fn what_does_not_get_better_by_starting_again_is_not_started_again() {
    let unit = Unit::shipped();
    let mut mirrorball = Setup::new().at_known_addresses().start();
    let good = mirrorball.config();
    let status = mirrorball.kill();
    mirrorball.write_config(&good.replace("udp_ports", "udp_prots"));
    unit.restart(&mut mirrorball, status);
    let status = mirrorball.ended().expect("it ends by itself");
    assert_eq!((status.code(), unit.restarts_after(status)), (Some(78), None), "a wrong config");
    let status = binary().args(["serve", "--no-such-option"]).status().expect("it runs");
    assert_eq!((status.code(), unit.restarts_after(status)), (Some(2), None), "a wrong command line");
    // Put right, and started by hand.
    mirrorball.write_config(&good);
    mirrorball.start_again();
    mirrorball.expect_page("/ready", 200);
    mirrorball.signal(Signal::SIGTERM);
    let status = mirrorball.ended().expect("it is asked to stop");
    assert_eq!((status.code(), unit.restarts_after(status)), (Some(0), None), "a stop that was asked for");
}

#[test]
fn a_port_that_is_taken_is_tried_again_until_it_is_free() {
    let unit = Unit::shipped();
    let mut mirrorball = Setup::new().at_known_addresses().start();
    let mut status = mirrorball.kill();
    let taken = std::net::TcpListener::bind(mirrorball.rtsp).expect("it is free");
    for _ in 0..6 {
        // More often than systemd's own limit of five.
        unit.restart(&mut mirrorball, status);
        status = mirrorball.ended().expect("it ends by itself");
        assert_eq!(status.code(), Some(1));
    }
    mirrorball.expect_logged("another program has this port", 6);
    drop(taken);
    unit.restart(&mut mirrorball, status);
    mirrorball.expect_page("/ready", 200);
    Connection::open(mirrorball.rtsp).request("OPTIONS", "*", &[]).expect(200);
}
