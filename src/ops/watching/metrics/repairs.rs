//! What viewers have asked for again, by channel.

use crate::relay::{Channel, RepairRefusal, RepairTotals};

use super::families::Families;

pub(super) fn collect(channel: &Channel, out: &mut Families) {
    let mut sum = RepairTotals::default();
    channel.tracks.iter().for_each(|track| sum += track.rtp.repaired());
    let labels = [("channel", channel.name.as_str())];
    let help = "Packets that viewers over UDP have asked for again.";
    out.counter("mirrorball_repair_asked_total", help, &labels, sum.asked);
    let help = "Packets that were sent again.";
    out.counter("mirrorball_repair_sent_total", help, &labels, sum.repaired);
    let help = "Bytes of packets that were sent again.";
    out.counter("mirrorball_repair_bytes_total", help, &labels, sum.bytes);
    let help = "Packets that were asked for and are not there.";
    out.counter("mirrorball_repair_not_held_total", help, &labels, sum.not_held);
    // As in `channels.rs`: those that there were.
    let refused = RepairRefusal::ALL.into_iter().zip(sum.refused);
    for ((_, reason), count) in refused.filter(|(_, count)| *count > 0) {
        let labels = [labels[0], ("reason", reason)];
        let help = "Packets that were asked for and not sent again, though some are there.";
        out.counter("mirrorball_repair_refused_total", help, &labels, count);
    }
}
