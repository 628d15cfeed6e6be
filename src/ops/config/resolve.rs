//! From what was typed to what is true: defaults, ranges, and what must not be there twice. Knows the
//! meaning of every key but the channels'.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use crate::relay::Carriage;

use super::access::access;
use super::admin;
use super::channel::{Site, resolve_channels};
use super::http;
use super::library;
use super::out_groups;
use super::pairs;
use super::recordings;
use super::repair;
use super::report::Report;
use super::sap;
use super::scalar;
use super::section::{Number, Typed};
use super::tls;
use super::truth::{Config, EngineConfig, LimitsConfig, LogConfig, RingConfig, RtspConfig, UdpPorts};
use super::typed::{TypedConfig, TypedEngine, TypedLimits, TypedLog, TypedRing, TypedRtsp};
use super::within::{AT_A_TIME, duration_within, listeners, number_within, parsed};

const RTSP_PORT: u16 = 8554;
const WORKERS: usize = 256;

/// The config that was meant. Where a value is wrong it is noted, and the default stands in, so that
/// the rest of the file is still looked at; a caller uses the result only when nothing was noted.
/// `directory` is where relative paths begin.
pub(super) fn resolve(mut typed: TypedConfig, directory: &Path, report: &mut Report<'_>) -> Config {
    let log = log(&typed.log, report);
    let noted = report.noted();
    let https = typed.http.tls_listen.as_ref().map(|list| list.span().start);
    let rtsp = rtsp(&typed.rtsp, https, directory, report);
    let after_rtsp = report.noted();
    let http = http::resolve(&typed.http, directory, report);
    let after_http = report.noted();
    let admin = admin::resolve(&typed.admin, directory, report);
    let after_admin = report.noted();
    let (engine, ring) = (engine(&typed.engine, report), ring(&typed.ring, report));
    let after_ring = report.noted();
    let limits = limits(&typed.limits, &rtsp, report);
    typed.rtsp.spoiled |= after_rtsp > noted;
    typed.http.spoiled |= after_http > after_rtsp;
    typed.admin.spoiled |= after_admin > after_http;
    typed.ring.spoiled |= after_ring > after_admin;
    typed.limits.spoiled |= report.noted() > after_ring;
    let (access, door) = access(&typed.access, directory, report);
    let sap = sap::resolve(&typed.sap, report);
    let announces_all = typed.sap.announce.as_ref().is_some_and(|announce| *announce.get_ref());
    let mut storage = recordings::resolve(&typed.storage, directory, report);
    let has_storage = storage.is_some() || typed.storage.spoiled;
    let site = Site { announces_all, has_storage };
    let (channels, directories) = resolve_channels(&typed.channels, (&door, site), directory, report);
    let libraries = library::resolve(&typed, &channels, &door, directory, report);
    storage.iter_mut().for_each(|storage| storage.libraries.clone_from(&libraries));
    let config = Config {
        rtsp,
        http,
        admin,
        log,
        engine,
        ring,
        limits,
        access,
        sap,
        storage,
        channels,
        directories,
        warnings: Vec::new(),
        file: None,
        channels_file: None,
        revision: String::new(),
    };
    pairs::check(&typed, &config, report);
    out_groups::check(&typed, &config, report);
    config
}

fn rtsp(typed: &TypedRtsp, https: Option<usize>, directory: &Path, report: &mut Report<'_>) -> RtspConfig {
    let udp_ports = parsed(&typed.udp_ports, "[rtsp] udp_ports", scalar::udp_ports, report);
    let session_timeout = session_timeout(&typed.session_timeout, report);
    RtspConfig {
        listen: rtsp_listeners(&typed.listen, report),
        tls: tls::resolve(typed, https, directory, report),
        http_listen: listeners(&typed.http_listen, "[rtsp] http_listen", "[\"0.0.0.0:8080\"]", report),
        udp_ports: udp_ports.unwrap_or(UdpPorts::Range { first: 6970, last: 6999 }),
        dont_fragment: typed.dont_fragment.as_ref().is_some_and(|value| *value.get_ref()),
        learn_ports: parsed(&typed.learn_ports, "[rtsp] learn_ports", scalar::learning, report)
            .unwrap_or_default(),
        transports: transports(&typed.transports, report),
        session_timeout,
        longest_silence: longest_silence(&typed.longest_silence, session_timeout, report),
        close_grace: close_grace(&typed.close_grace, session_timeout, report),
        repair_agents: repair::agents(&typed.repair_agents, report),
    }
}

fn transports(typed: &Typed<Vec<Spanned<String>>>, report: &mut Report<'_>) -> Vec<Carriage> {
    const PLACE: &str = "[rtsp] transports";
    let Some(typed) = typed else { return Carriage::OF_RTSP.into() };
    let (most, count) = (Carriage::OF_RTSP.len(), typed.get_ref().len());
    if !(1..=most).contains(&count) {
        let wrong = format!("{PLACE}: {count} transports; write 1 to {most}, such as [\"udp\", \"tcp\"]");
        report.add(typed.span().start, wrong);
    }
    let mut all = Vec::new();
    for text in typed.get_ref().iter().take(most) {
        match scalar::transport(text.get_ref()) {
            Ok(by) if all.contains(&by) => {
                let again = format!("{PLACE}: {:?} is there twice; leave one out", by.label());
                report.add(text.span().start, again);
            }
            Ok(by) => all.push(by),
            Err(wrong) => report.add(text.span().start, format!("{PLACE}: {wrong}")),
        }
    }
    all
}

fn longest_silence(typed: &Typed<String>, session_timeout: Duration, report: &mut Report<'_>) -> Duration {
    const PLACE: &str = "[rtsp] longest_silence";
    let silence = duration_within(typed, PLACE, "24h", ["60s", "720h"], report);
    if silence < session_timeout {
        let offset = typed.as_ref().map_or(0, |text| text.span().start);
        let least = session_timeout.as_secs();
        report.add(offset, format!("{PLACE} is below session_timeout; write \"{least}s\" or more"));
    }
    silence
}

fn close_grace(typed: &Typed<String>, session_timeout: Duration, report: &mut Report<'_>) -> Duration {
    const PLACE: &str = "[rtsp] close_grace";
    let grace = duration_within(typed, PLACE, "10s", ["0s", "60min"], report);
    if grace > session_timeout
        && let Some(text) = typed
    {
        let most = session_timeout.as_secs();
        report.add(text.span().start, format!("{PLACE} is above session_timeout; write \"{most}s\" or less"));
    }
    grace.min(session_timeout)
}

fn rtsp_listeners(typed: &Typed<Vec<Spanned<String>>>, report: &mut Report<'_>) -> Vec<SocketAddr> {
    if typed.is_none() {
        return vec![(Ipv4Addr::UNSPECIFIED, RTSP_PORT).into()];
    }
    listeners(typed, "[rtsp] listen", "[\"0.0.0.0:8554\"]", report)
}

fn session_timeout(typed: &Typed<String>, report: &mut Report<'_>) -> Duration {
    const PLACE: &str = "[rtsp] session_timeout";
    let timeout = duration_within(typed, PLACE, "60s", ["2s", "60min"], report);
    if timeout.subsec_nanos() != 0 {
        let offset = typed.as_ref().map_or(0, |text| text.span().start);
        report.add(
            offset,
            format!("{PLACE}: RTSP counts it in whole seconds; write \"{}s\"", timeout.as_secs()),
        );
    }
    timeout
}

fn log(typed: &TypedLog, report: &mut Report<'_>) -> LogConfig {
    let format = parsed(&typed.format, "[log] format", scalar::log_format, report);
    LogConfig { format: format.unwrap_or_default() }
}

fn engine(typed: &TypedEngine, report: &mut Report<'_>) -> EngineConfig {
    let media_workers = number_within(&typed.media_workers, "[engine] media_workers", 0, 0..=WORKERS, report);
    EngineConfig {
        poll_table_entries: number_within(
            &typed.poll_table_entries,
            "[engine] poll_table_entries",
            256,
            8..=65_536,
            report,
        ),
        media_workers: if media_workers == 0 { cores() } else { media_workers },
        busy_percent: number_within(&typed.busy_percent, "[engine] busy_percent", 60, 5..=100, report),
        control_workers: number_within(
            &typed.control_workers,
            "[engine] control_workers",
            2,
            1..=WORKERS,
            report,
        ),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS)
}

fn ring(typed: &TypedRing, report: &mut Report<'_>) -> RingConfig {
    RingConfig {
        max_age: duration_within(&typed.max_age, "[ring] max_age", "2s", ["100ms", "60s"], report),
        max_bytes: number_within(&typed.max_bytes, "[ring] max_bytes", 8 << 20, 64 << 10..=1 << 30, report),
    }
}

fn limits(typed: &TypedLimits, rtsp: &RtspConfig, report: &mut Report<'_>) -> LimitsConfig {
    let through_tls = rtsp.tls.iter().flat_map(|tls| &tls.listen);
    let own: Vec<_> = rtsp.listen.iter().chain(through_tls).copied().collect();
    let other = |text: &str| scalar::redirect(text, &own);
    let redirect = parsed(&typed.redirect, "[limits] redirect", other, report);
    let other = |text: &str| scalar::redirect_tls(text, &own);
    let redirect_tls = parsed(&typed.redirect_tls, "[limits] redirect_tls", other, report);
    const DRAIN: &str = "[limits] drain_timeout";
    let drain_timeout = duration_within(&typed.drain_timeout, DRAIN, "5min", ["0s", "24h"], report);
    let bytes = number_within(
        &typed.unread_bytes_per_address,
        "[limits] unread_bytes_per_address",
        4 << 20,
        64 << 10..=1 << 30,
        report,
    );
    let mut limit =
        |value: &Typed<Number>, place, default| number_within(value, place, default, AT_A_TIME, report);
    let sessions = limit(&typed.sessions, "[limits] sessions", 20_000);
    LimitsConfig {
        connections: limit(&typed.connections, "[limits] connections", 20_000),
        connections_per_address: limit(
            &typed.connections_per_address,
            "[limits] connections_per_address",
            2_000,
        ),
        sessions,
        sessions_per_address: limit(&typed.sessions_per_address, "[limits] sessions_per_address", 2_000),
        sessions_per_channel: limit(&typed.sessions_per_channel, "[limits] sessions_per_channel", sessions),
        unread_bytes_per_address: bytes,
        egress_mbit: limit(&typed.egress_mbit, "[limits] egress_mbit", 1_000_000),
        burst_mbit: limit(&typed.burst_mbit, "[limits] burst_mbit", 1_000),
        repair_mbit: limit(&typed.repair_mbit, "[limits] repair_mbit", 1_000),
        line_groups: typed.line_groups.as_ref().map(|_| limit(&typed.line_groups, "[limits] line_groups", 1)),
        line_mbit: typed.line_mbit.as_ref().map(|_| limit(&typed.line_mbit, "[limits] line_mbit", 1)),
        membership_changes: limit(&typed.membership_changes, "[limits] membership_changes", 10),
        egress_mbit_per_address: limit(
            &typed.egress_mbit_per_address,
            "[limits] egress_mbit_per_address",
            1_000,
        ),
        drain_timeout,
        redirect,
        redirect_tls,
    }
}
