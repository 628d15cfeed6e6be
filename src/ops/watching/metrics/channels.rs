//! What comes in, by channel and track.

use std::time::Instant;

use super::super::super::running::engine::Engine;
use crate::ingest::PortStats;
use crate::net::Refusal;
use crate::relay::TrackStats;

use super::families::{Families, Labels};
use super::repairs;

pub(super) fn collect(engine: &Engine, now: Instant, out: &mut Families) {
    for channel in engine.catalogue.channels() {
        for track in &channel.tracks {
            let number = track.number.to_string();
            let labels = [("channel", channel.name.as_str()), ("track", number.as_str())];
            let stats = track.stats(now);
            arrivals(&stats, &labels, out);
            state(channel.demand.is_there(now), &stats, &labels, out);
            out.gauge("mirrorball_ring_bytes", "Packets in the ring.", &labels, stats.ring_bytes as f64);
            let help = "Times that a viewer over TCP who had fallen out of the ring went on.";
            out.counter("mirrorball_track_reentries_total", help, &labels, track.rtp.reentries());
        }
        repairs::collect(&channel, out);
        let labels = [("channel", channel.name.as_str())];
        let help = "Whether all tracks are silent.";
        out.gauge("mirrorball_channel_silent", help, &labels, f64::from(u8::from(channel.is_silent())));
    }
    let most = engine.line_up.ring_bytes();
    out.gauge("mirrorball_ring_limit_bytes", "What each ring may keep.", &[], most as f64);
    line(engine, now, out);
    let help = "Groups that were joined on a socket, renewals apart.";
    out.counter("mirrorball_group_joins_total", help, &[], engine.receivers.joins());
    let help = "Times that a track, or a leg of it, could not be joined.";
    out.counter("mirrorball_group_join_failures_total", help, &[], engine.receivers.join_failures());
    let help = "Times that a silent group was joined again.";
    out.counter("mirrorball_group_renewals_total", help, &[], engine.receivers.renewals());
    let help = "Groups that the network was told of again without being left.";
    out.counter("mirrorball_groups_retold_total", help, &[], engine.receivers.retold());
    for (interface, protocol) in engine.receivers.spoken() {
        let labels = [("interface", interface.as_str()), ("protocol", protocol.name())];
        let help = "The version by which an interface's network is told of groups.";
        out.gauge("mirrorball_group_protocol_version", help, &labels, f64::from(protocol.version()));
    }
    let ports = engine.receivers.stats();
    let help = "Times that receiving failed.";
    out.counter("mirrorball_receive_errors_total", help, &[], ports.iter().map(|port| port.errors).sum());
    let help = "Groups that were left.";
    out.counter("mirrorball_group_leaves_total", help, &[], ports.iter().map(|port| port.left).sum());
    for PortStats { port, overflow, .. } in ports {
        let help = "Datagrams that the kernel dropped as the receive buffer was full.";
        let port = port.to_string();
        out.counter("mirrorball_receive_queue_overflow_total", help, &[("port", port.as_str())], overflow);
    }
    for (port, fill) in engine.receivers.queues() {
        let (port, help) = (port.to_string(), "What waits in the receive buffer, as the kernel reckons.");
        let labels = [("port", port.as_str())];
        out.gauge("mirrorball_receive_queue_bytes", help, &labels, f64::from(fill.bytes));
        let help = "What may wait there.";
        out.gauge("mirrorball_receive_queue_limit_bytes", help, &labels, f64::from(fill.limit));
    }
    drops(engine, out);
}

/// What the line carries, where that is limited.
fn line(engine: &Engine, now: Instant, out: &mut Families) {
    let line = engine.line_up.line();
    let load = line.load(now);
    if let Some(most) = line.limits().groups {
        let help = "Groups that are received, of those that the line has.";
        out.gauge("mirrorball_line_groups", help, &[], load.groups() as f64);
        out.gauge("mirrorball_line_group_limit", "Groups that the line has.", &[], most as f64);
    }
    if let Some(most) = line.limits().bits {
        let help = "Media of the channels that are received, as fast as each came last.";
        out.gauge("mirrorball_line_bits_per_second", help, &[], load.bits() as f64);
        let help = "Media that the line carries.";
        out.gauge("mirrorball_line_limit_bits_per_second", help, &[], most as f64);
    }
}

fn arrivals(stats: &TrackStats, labels: Labels<'_>, out: &mut Families) {
    let reception = &stats.reception;
    let counters = [
        ("mirrorball_channel_packets_total", "RTP packets received.", reception.packets()),
        ("mirrorball_channel_bytes_total", "RTP bytes received, without IP and UDP.", stats.bytes),
        (
            "mirrorball_channel_lost_total",
            "Sequence numbers that a hundred others followed.",
            reception.lost(),
        ),
        (
            "mirrorball_channel_late_total",
            "Packets that came after they were counted as lost.",
            reception.late(),
        ),
        ("mirrorball_channel_reordered_total", "Packets that came after a later one.", reception.reordered()),
        ("mirrorball_channel_duplicates_total", "Packets that had come before.", reception.duplicates()),
        ("mirrorball_channel_ssrc_changes_total", "How often the SSRC changed.", reception.ssrc_changes()),
        ("mirrorball_channel_restarts_total", "New numberings under one SSRC.", reception.restarts()),
        ("mirrorball_channel_empty_total", "RTP packets without payload.", stats.empty),
        ("mirrorball_track_starts_total", "Places where a decoder can start.", stats.starts.came),
        (
            "mirrorball_track_starts_lost_total",
            "Places where a decoder can start that ring.max_bytes had no room for.",
            stats.starts.lost,
        ),
    ];
    for (name, help, value) in counters {
        out.counter(name, help, labels, value);
    }
    let refused = stats.refused.not_media().chain([("payload_type", stats.refused.other_types)]);
    let not_rtcp = stats.refused.not_rtcp().map(|(reason, count)| (format!("rtcp_{reason}"), count));
    let refused = refused.map(|(reason, count)| (reason.to_owned(), count)).chain(not_rtcp);
    // Of hundreds of channels thousands would stay 0.
    for (reason, count) in refused.filter(|(_, count)| *count > 0) {
        let labels = [labels[0], labels[1], ("reason", reason.as_str())];
        let help = "Datagrams to the track's group and ports that are none of its packets.";
        out.counter("mirrorball_channel_refused_total", help, &labels, count);
    }
    let help = "SSRCs that send the track's payload types; 3 for more than two.";
    out.gauge("mirrorball_channel_senders", help, labels, f64::from(stats.senders));
    if let Some(jitter) = reception.jitter_seconds() {
        out.gauge(
            "mirrorball_channel_jitter_seconds",
            "Interarrival jitter (RFC 3550, A.8).",
            labels,
            jitter,
        );
    }
    if let Some(age) = stats.start_age {
        let help = "Time since the packet came that a decoder can start with.";
        out.gauge("mirrorball_track_start_age_seconds", help, labels, age.as_secs_f64());
    }
    if let Some(age) = stats.last_packet_age {
        let help = "Time since the latest packet.";
        out.gauge("mirrorball_channel_last_packet_age_seconds", help, labels, age.as_secs_f64());
    }
    let help = "Whether no packet with payload came for silent_after.";
    out.gauge("mirrorball_track_silent", help, labels, f64::from(u8::from(stats.silent)));
    let help = "Whether the track's groups are joined.";
    out.gauge("mirrorball_channel_joined", help, labels, f64::from(u8::from(stats.joined)));
}

/// Where a track is: one of its states is 1.
fn state(is_wanted: bool, stats: &TrackStats, labels: Labels<'_>, out: &mut Families) {
    let is = match (is_wanted, stats.joined, stats.silent) {
        (_, true, false) => "live",
        (_, true, true) => "stalled",
        (true, false, _) => "joining",
        (false, false, _) => "idle",
    };
    for state in ["idle", "joining", "live", "stalled"] {
        let labels = [labels[0], labels[1], ("state", state)];
        let help = "Whether the track is in this state.";
        out.gauge("mirrorball_track_state", help, &labels, f64::from(u8::from(state == is)));
    }
}

/// Everything that was not taken or not delivered, over all channels that there ever were, so that the labels stay few.
fn drops(engine: &Engine, out: &mut Families) {
    let mut drop = |leg: &'static str, reason: &str, count: u64| {
        let help = "Packets not taken (in) or not delivered (out), by reason.";
        out.counter("mirrorball_drops_total", help, &[("leg", leg), ("reason", reason)], count);
    };
    let refused = engine.dispatch.ledger.refused();
    for (reason, count) in refused.not_media() {
        drop("in", &format!("rtp_{reason}"), count);
    }
    drop("in", "payload_type", refused.other_types);
    for (reason, count) in refused.not_rtcp() {
        drop("in", &format!("rtcp_{reason}"), count);
    }
    drop("in", "stray", engine.receivers.stats().iter().map(|port| port.stray).sum());
    let channels = engine.catalogue.channels();
    let tracks = channels.iter().flat_map(|channel| channel.tracks.iter());
    tracks.flat_map(|track| [&track.rtp, &track.rtcp]).for_each(|flow| flow.count_missed());
    let sent = engine.dispatch.ledger.sent();
    for (refusal, reason) in Refusal::ALL {
        drop("out", reason, sent.refused[refusal as usize]);
    }
    drop("out", "overrun", sent.overrun);
    drop("out", "no_ts", sent.left_out);
    for (reason, count) in engine.server.stats().rtcp_refused {
        drop("reports", reason, count);
    }
    let help = "Subscribers whose route refused segmentation, and who are served packet by packet.";
    out.counter("mirrorball_segmentation_refused_total", help, &[], sent.demoted);
    let help = "Times that a lane fell so far behind that packets were about to be lost.";
    out.counter("mirrorball_fell_behind_total", help, &[], sent.fell_behind);
    let help = "Times that a lane waited because all sockets of its port were full.";
    out.counter("mirrorball_send_waits_total", help, &[], sent.waits);
}
