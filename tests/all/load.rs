//! The load that the first release promises, on a machine that runs source and viewers too.
//!
//! At full size in release builds with `CI=true`; smaller elsewhere, as it says.

use std::time::Duration;

use crate::crowds::{allow_many_descriptors, expect_nothing_dropped};
use crate::vocabulary::{Crowd, Over, Quiet, Setup, Source, Viewer, is_thorough, passes, say};

struct Load {
    over_udp: usize,
    over_tcp: usize,
    packets_per_second: u64,
    seconds: u64,
}

const PROMISED: Load = Load { over_udp: 200, over_tcp: 50, packets_per_second: 800, seconds: 12 };
const SMALL: Load = Load { over_udp: 40, over_tcp: 10, packets_per_second: 200, seconds: 3 };

#[test]
fn two_hundred_viewers_over_udp_and_fifty_over_tcp_lose_nothing() {
    let load = if is_thorough() && !cfg!(debug_assertions) { PROMISED } else { SMALL };
    let Load { over_udp, over_tcp, packets_per_second, seconds } = load;
    let size =
        format!("{over_udp} viewers over UDP and {over_tcp} over TCP, {packets_per_second} packets a second");
    say(&format!("load: {size}, {seconds} s"));
    allow_many_descriptors();
    let quiet = Quiet::alone();
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new().channel("news", source.group).start_in(quiet);
    let viewers = (0..over_udp + over_tcp).map(|place| {
        let over = if place < over_udp { Over::Udp } else { Over::Tcp };
        (Viewer::playing(&mirrorball, "news", over), programme)
    });
    let crowd = Crowd::of(viewers);
    let beam = source.beam(packets_per_second);
    let last = packets_per_second * seconds;
    assert!(
        passes(Duration::from_secs(2 * seconds + 10), || beam.sent() > last),
        "the source keeps its pace"
    );
    let sent = beam.stop().next;
    crowd.expect_all_past(programme, sent - 1);
    let tallies = crowd.disband();
    let (lost, stale): (u64, u64) =
        tallies.iter().fold((0, 0), |sum, (_, _, tally)| (sum.0 + tally.lost, sum.1 + tally.stale));
    assert_eq!((lost, stale), (0, 0), "of {sent} packets to each of {}", tallies.len());
    for (place, _, tally) in &tallies {
        assert!(tally.is_flawless() && tally.packets == sent, "viewer {place} of {sent} got {tally:?}");
    }
    expect_nothing_dropped(&mirrorball);
}
