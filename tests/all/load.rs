//! The load that the first release promises, on a machine that runs source and viewers too.
//!
//! At full size with `CI=true`; smaller elsewhere, as it says.

use std::fs;
use std::time::Duration;

use crate::crowds::{allow_many_descriptors, expect_nothing_dropped};
use crate::vocabulary::{Crowd, Mirrorball, Over, Quiet, Setup, Source, Viewer, is_thorough, passes, say};

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
    let load = if is_thorough() { PROMISED } else { SMALL };
    let Load { over_udp, over_tcp, packets_per_second, seconds } = load;
    let size =
        format!("{over_udp} viewers over UDP and {over_tcp} over TCP, {packets_per_second} packets a second");
    say(&format!("load: {size}, {seconds} s"));
    allow_many_descriptors();
    let quiet = Quiet::alone();
    let source = Source::new();
    let programme = source.programme;
    let one_address = "egress_mbit_per_address = 10000"; // all of them come from it
    let mirrorball =
        Setup::new().channel("news", source.group).section("limits", one_address).start_in(quiet);
    let viewers: Vec<_> = (0..over_udp + over_tcp)
        .map(|place| {
            let over = if place < over_udp { Over::Udp } else { Over::Tcp };
            Viewer::playing(&mirrorball, "news", over)
        })
        .collect();
    let ports: Vec<_> = viewers.iter().filter_map(Viewer::rtp_port).collect();
    let crowd = Crowd::of(viewers.into_iter().map(|viewer| (viewer, programme)));
    let beam = source.beam(packets_per_second);
    let last = packets_per_second * seconds;
    let patience = Duration::from_secs(2 * seconds + 10);
    assert!(passes(patience, || beam.sent() > last), "the source keeps its pace");
    let sent = beam.stop().next;
    // Whoever lacks the last packet is told of below, with where packets were lost.
    passes(Duration::from_secs(20), || crowd.has_all_past(programme, sent - 1));
    let whereabouts = whereabouts(&mirrorball, &ports);
    let short: Vec<_> = crowd
        .disband()
        .into_iter()
        .filter(|(_, _, tally)| !tally.is_flawless() || tally.packets != sent)
        .map(|(place, _, tally)| (place, tally))
        .collect();
    let some = &short[..short.len().min(5)];
    let count = short.len();
    assert!(count == 0, "{count} viewers lack some of {sent} packets: {some:?}\n{whereabouts}");
    expect_nothing_dropped(&mirrorball);
}

/// Where packets are counted on their way, for the one who has to find the lost ones.
fn whereabouts(mirrorball: &Mirrorball, ports: &[u16]) -> String {
    let metric = |name: &str, labels: &[(&str, &str)]| mirrorball.metric(name, labels);
    let forwarded = |transport| metric("mirrorball_forwarded_packets_total", &[("transport", transport)]);
    let dropped = |reason| metric("mirrorball_drops_total", &[("leg", "out"), ("reason", reason)]);
    format!(
        "received {}, lost before that {}, dropped at the receive socket {}; forwarded over UDP {}, over TCP {}; \
         refused {}, overrun {}; dropped at the viewers' own sockets {}",
        metric("mirrorball_channel_packets_total", &[]),
        metric("mirrorball_channel_lost_total", &[]),
        metric("mirrorball_receive_queue_overflow_total", &[]),
        forwarded("udp"),
        forwarded("tcp"),
        dropped("refused"),
        dropped("overrun"),
        dropped_at(ports),
    )
}

/// What the kernel dropped because these ports' receive buffers were full (proc(5), /proc/net/udp).
fn dropped_at(ports: &[u16]) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let drops = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.split_once(':')?;
        let own = ports.contains(&u16::from_str_radix(port, 16).ok()?);
        own.then(|| fields.last()?.parse::<u64>().ok())?
    });
    drops.sum()
}
