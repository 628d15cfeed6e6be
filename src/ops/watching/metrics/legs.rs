//! What comes by each leg, of tracks that come by several.

use std::time::Instant;

use super::super::super::running::engine::Engine;
use crate::ingest::{Brought, LegStats};

use super::families::{Families, Labels};

pub(super) fn collect(engine: &Engine, now: Instant, out: &mut Families) {
    for LegStats { channel, track, leg, joined, silent, brought } in engine.receivers.legs(now) {
        let (track, leg) = (track.to_string(), leg.to_string());
        let labels = [("channel", channel.as_str()), ("track", track.as_str()), ("leg", leg.as_str())];
        let gauges = [
            ("mirrorball_leg_joined", "Whether the leg's groups are joined.", joined),
            ("mirrorball_leg_silent", "Whether nothing comes by the leg.", silent),
            ("mirrorball_leg_active", "Whether viewers get what comes by the leg.", brought.active),
        ];
        for (name, help, is_so) in gauges {
            out.gauge(name, help, &labels, f64::from(u8::from(is_so)));
        }
        arrivals(&brought, &labels, out);
    }
}

fn arrivals(brought: &Brought, labels: Labels<'_>, out: &mut Families) {
    let counters = [
        ("mirrorball_leg_packets_total", "RTP packets received by the leg.", brought.packets),
        (
            "mirrorball_leg_lost_total",
            "Sequence numbers that a hundred others followed by the leg.",
            brought.lost,
        ),
        ("mirrorball_leg_used_total", "Packets that viewers have by the leg.", brought.used),
        ("mirrorball_leg_switches_total", "Times that the leg was switched to.", brought.switches),
    ];
    for (name, help, value) in counters {
        out.counter(name, help, labels, value);
    }
    for (reason, value) in &brought.unused {
        let help = "Packets that viewers do not have by the leg.";
        let labels = [labels, &[("reason", *reason)]].concat();
        out.counter("mirrorball_leg_unused_total", help, &labels, *value);
    }
    if let Some((mean, largest)) = brought.skew {
        let help = "How far the leg is behind the first copies.";
        out.gauge("mirrorball_leg_skew_seconds", help, labels, mean.as_secs_f64());
        let help = "The largest of the last minute.";
        out.gauge("mirrorball_leg_skew_max_seconds", help, labels, largest.as_secs_f64());
    }
}
