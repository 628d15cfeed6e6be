//! No more memory than a cgroup has: what viewers do who read nothing does not have the program killed.

use crate::crowds::allow_many_descriptors;
use crate::vocabulary::{
    Cgroup, Connection, Crowd, Over, Quiet, Setup, Source, Viewer, binary, is_thorough, say, skip,
};

const STALLED: usize = 200;
/// What docs/operations.md makes of this ring and these viewers.
const LIMIT_BYTES: usize = 128 << 20;

#[test]
fn below_a_limit_on_memory_two_hundred_stalled_viewers_have_nobody_killed() {
    allow_many_descriptors();
    let cgroup = match Cgroup::of_memory(LIMIT_BYTES) {
        Ok(cgroup) => cgroup,
        Err(error) => return skip("a limit on memory", &format!("no cgroup: {error}")),
    };
    let _quiet = Quiet::beside_others();
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .section("ring", "max_bytes = 4000000\nmax_age = \"10s\"")
        .section("limits", "egress_mbit_per_address = 1000000")
        .rtsp("session_timeout = \"600s\"")
        .start_by(cgroup.run(&binary()));
    let watch = |place: usize| {
        let over = if place.is_multiple_of(2) { Over::Udp } else { Over::Tcp };
        (Viewer::playing(&mirrorball, "news", over), programme)
    };
    let crowd = Crowd::of((0..20).map(watch));
    let beam = source.beam(800);
    let stalled = (0..STALLED).map(|_| {
        let connection = Connection::with_little_room(mirrorball.rtsp);
        Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp)
    });
    let stalled: Vec<_> = stalled.collect();
    // By then each has been sent what takes ten times the limit, were it kept.
    let packets = if is_thorough() { 16_000 } else { 6_000 };
    let last = beam.sent() + packets;
    for some in (beam.sent()..=last).step_by(2000) {
        crowd.expect_all_past(programme, some);
    }
    let overrun = mirrorball.metric("mirrorball_drops_total", &[("leg", "out"), ("reason", "overrun")]);
    assert!(overrun > 0.0, "who reads nothing falls out of the ring");
    assert_eq!(mirrorball.metric("mirrorball_sessions", &[]), (20 + STALLED) as f64);
    let peak = cgroup.peak_bytes().map(|bytes| format!("{} MiB", bytes >> 20));
    say(&format!(
        "memory: at most {} of {} MiB, and {} MiB resident",
        peak.unwrap_or_else(|| "an unknown part".to_owned()),
        LIMIT_BYTES >> 20,
        mirrorball.resident_bytes() >> 20
    ));
    assert_eq!(cgroup.kills(), 0);
    drop(stalled);
    crowd.expect_all_past(programme, beam.sent() + 100);
    crowd.expect_flawless();
    beam.stop();
    drop(mirrorball);
}
