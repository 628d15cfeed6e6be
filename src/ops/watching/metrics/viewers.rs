//! What goes out, by channel and transport, and what viewers ask and report.

use std::collections::BTreeMap;

use super::super::super::running::engine::Engine;
use crate::relay::{Began, Carriage, Channel};
use crate::serve::{Quality, ServerStats};

use super::families::Families;

pub(super) fn collect(engine: &Engine, out: &mut Families) {
    for channel in engine.catalogue.channels() {
        forwarded(&channel, out);
        fragmented(&channel, out);
        sessions(engine, &channel, out);
    }
    qualities(engine, out);
    let stats = engine.server.stats();
    out.gauge("mirrorball_sessions", "RTSP sessions.", &[], stats.sessions as f64);
    limits(engine, out);
    for (transport, count) in stats.connections {
        let labels = [("transport", transport)];
        out.gauge("mirrorball_rtsp_connections", "RTSP connections.", &labels, count as f64);
    }
    connections(&stats, out);
    for (reason, count) in stats.connections_refused {
        let help = "RTSP connections that were not taken on.";
        out.counter("mirrorball_rtsp_connections_refused_total", help, &[("reason", reason)], count);
    }
    for (reason, count) in stats.connections_cut {
        let help = "RTSP connections that were ended for what their clients did or left undone.";
        out.counter("mirrorball_rtsp_connections_cut_total", help, &[("reason", reason)], count);
    }
    for (reason, count) in stats.accept_errors {
        let help = "Times that a connection could not be accepted.";
        out.counter("mirrorball_accept_errors_total", help, &[("reason", reason)], count);
    }
    learnt(&stats, out);
    for ((method, status), count) in stats.requests {
        let status = status.to_string();
        let labels = [("method", method), ("status", status.as_str())];
        out.counter("mirrorball_rtsp_requests_total", "RTSP requests answered.", &labels, count);
    }
    for (reason, count) in stats.sessions_refused {
        let help = "Sessions that were not begun.";
        out.counter("mirrorball_sessions_refused_total", help, &[("reason", reason)], count);
    }
    for (reason, count) in stats.sessions_ended {
        out.counter("mirrorball_sessions_ended_total", "Sessions ended.", &[("reason", reason)], count);
    }
    logins(engine, out);
    out.counter("mirrorball_rtcp_reports_total", "Reports from subscribers.", &[], stats.rtcp_reports);
    let help = "Sockets that were opened beside full ones, to send RTP from.";
    out.gauge("mirrorball_sockets_beside", help, &[], engine.server.sockets_beside() as f64);
    let help = "RTCP from addresses that no subscriber has.";
    out.counter("mirrorball_rtcp_strangers_total", help, &[], stats.rtcp_strangers);
}

/// How many may come, and how much of the network they have been given.
fn limits(engine: &Engine, out: &mut Families) {
    let limits = engine.server.limits();
    out.gauge("mirrorball_session_limit", "RTSP sessions that there may be.", &[], limits.sessions as f64);
    let help = "RTSP connections that there may be.";
    out.gauge("mirrorball_rtsp_connection_limit", help, &[], limits.connections as f64);
    let help = "Media of all tracks that are set up, as fast as it was when they were weighed.";
    out.gauge("mirrorball_egress_bits_per_second", help, &[], engine.server.egress() as f64);
    let help = "Media that may be set up.";
    out.gauge("mirrorball_egress_limit_bits_per_second", help, &[], limits.egress as f64);
    let (pairs, most) = engine.server.port_pairs();
    let help = "Server port pairs of the address that has the most.";
    out.gauge("mirrorball_port_pairs", help, &[], pairs as f64);
    out.gauge("mirrorball_port_pair_limit", "Pairs that an address may have.", &[], most as f64);
    if let Some(groups) = &engine.open_groups {
        let (open, most) = groups.fill();
        let help = "Groups that are open by URL, over HTTP.";
        out.gauge("mirrorball_open_groups", help, &[], open as f64);
        out.gauge("mirrorball_open_group_limit", "Such groups that there may be.", &[], most as f64);
    }
}

fn sessions(engine: &Engine, channel: &Channel, out: &mut Families) {
    let (now, limit) = engine.server.channel_sessions(&channel.name);
    let labels = [("channel", channel.name.as_str())];
    out.gauge("mirrorball_channel_sessions", "RTSP sessions of the channel.", &labels, now as f64);
    let help = "RTSP sessions that there may be of the channel.";
    out.gauge("mirrorball_channel_session_limit", help, &labels, limit as f64);
}

/// Where viewers behind a NAT are.
fn learnt(stats: &ServerStats, out: &mut Families) {
    for (port, count) in stats.learnt {
        let help = "Ports of viewers that were learnt from what they sent.";
        out.counter("mirrorball_ports_learnt_total", help, &[("port", port)], count);
    }
    let help = "Tracks whose ports are not learnt, since too many of their address are looked for.";
    out.counter("mirrorball_ports_not_learnt_total", help, &[], stats.not_learnt);
    let help = "Datagrams to an RTP port, while a viewer is looked for there, from addresses that no subscriber has.";
    out.counter("mirrorball_rtp_strangers_total", help, &[], stats.rtp_strangers);
}

/// What RTSP is carried by.
fn connections(stats: &ServerStats, out: &mut Families) {
    let help = "Handshakes of TLS that came to their end.";
    out.counter("mirrorball_tls_handshakes_total", help, &[], stats.handshakes);
    for (reason, count) in stats.handshakes_failed {
        let help = "Handshakes of TLS that did not come to their end.";
        out.counter("mirrorball_tls_handshakes_failed_total", help, &[("reason", reason)], count);
    }
    if let Some(expires) = stats.certificate_expires {
        let help = "Until when the certificate is valid, in seconds since 1970.";
        out.gauge("mirrorball_certificate_expiry_seconds", help, &[], expires as f64);
    }
    for ((method, status), count) in &stats.http_requests {
        let status = status.to_string();
        let labels = [("method", *method), ("status", status.as_str())];
        out.counter("mirrorball_http_requests_total", "Requests of HTTP answered.", &labels, *count);
    }
}

fn logins(engine: &Engine, out: &mut Families) {
    let stats = engine.server.access_stats();
    out.counter(
        "mirrorball_logins_total",
        "Users who logged in, on each of their connections.",
        &[],
        stats.logins,
    );
    for (reason, count) in stats.challenges {
        let help = "Requests that were asked for a login, or for a new one.";
        out.counter("mirrorball_login_challenges_total", help, &[("reason", reason)], count);
    }
    for (reason, count) in stats.failures {
        let help = "Logins that failed.";
        out.counter("mirrorball_login_failures_total", help, &[("reason", reason)], count);
    }
    for (reason, count) in stats.barred {
        let help = "Requests that were refused whoever made them.";
        out.counter("mirrorball_access_refused_total", help, &[("reason", reason)], count);
    }
    let help = "Addresses whose failed logins were forgotten to make room for those of others.";
    out.counter("mirrorball_login_addresses_forgotten_total", help, &[], stats.forgotten);
    let help = "Nonces that were forgotten before their time, to make room for others.";
    out.counter("mirrorball_login_nonces_forgotten_total", help, &[], stats.nonces_forgotten);
}

fn forwarded(channel: &Channel, out: &mut Families) {
    for (began, at) in Began::ALL {
        let labels = [("channel", channel.name.as_str()), ("at", at)];
        let help = "Times that a viewer began to be sent the channel.";
        out.counter("mirrorball_viewer_starts_total", help, &labels, channel.audience.began(began));
    }
    for (by, transport) in Carriage::ALL {
        let subscribers = channel.audience.by(by);
        let sent = channel.tracks.iter().map(|track| track.rtp.sent(by));
        let (packets, bytes) =
            sent.fold((0, 0), |(packets, bytes), sent| (packets + sent.packets, bytes + sent.bytes));
        // Most channels never go by the others.
        if packets == 0 && subscribers == 0 && !matches!(by, Carriage::Udp | Carriage::Tcp) {
            continue;
        }
        let labels = [("channel", channel.name.as_str()), ("transport", transport)];
        out.gauge("mirrorball_channel_subscribers", "Subscribers being served.", &labels, subscribers as f64);
        let help = "RTP packets handed to the kernel for subscribers.";
        out.counter("mirrorball_forwarded_packets_total", help, &labels, packets);
        out.counter("mirrorball_forwarded_bytes_total", "Bytes of those packets.", &labels, bytes);
    }
}

/// What is cut up on its way out; over connections the kernel sends what a path takes.
fn fragmented(channel: &Channel, out: &mut Families) {
    let fragmented = |(by, _)| channel.tracks.iter().map(move |track| track.rtp.sent(by).fragmented);
    let packets = Carriage::ALL.into_iter().flat_map(fragmented).sum();
    let help = "RTP packets that were larger than a subscriber's path takes whole, and left in fragments.";
    out.counter("mirrorball_fragmented_packets_total", help, &[("channel", channel.name.as_str())], packets);
}

/// The mean of the subscribers' latest reports, by channel.
fn qualities(engine: &Engine, out: &mut Families) {
    let mut by_channel = BTreeMap::<String, Vec<Quality>>::new();
    for (channel, quality) in engine.server.qualities() {
        by_channel.entry(channel).or_default().push(quality);
    }
    for (channel, reports) in &by_channel {
        let labels = [("channel", channel.as_str())];
        let lost = mean(reports.iter().map(|report| report.fraction_lost));
        let help = "Mean loss in the subscribers' latest reports, 0 to 1.";
        out.gauge("mirrorball_reported_loss_ratio", help, &labels, lost.unwrap_or(0.0));
        if let Some(jitter) = mean(reports.iter().filter_map(|report| report.jitter_seconds)) {
            let help = "Mean jitter in the subscribers' latest reports.";
            out.gauge("mirrorball_reported_jitter_seconds", help, &labels, jitter);
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
