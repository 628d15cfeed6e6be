//! `[http]`: where streams and lists of channels are served over HTTP, and how channels are listed.

use std::path::Path;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::access::network_list;
use super::report::Report;
use super::scalar;
use super::section::Typed;
use super::tokens::tokens;
use super::truth::HttpConfig;
use super::typed_channel::TypedChannel;
use super::typed_http::TypedHttp;
use super::within::{duration_within, listeners, number_within, parsed};
use crate::serve::Listing;
use crate::wire::http::host_of;

/// Channels that are made of groups; each has sockets, rings and metrics of its own.
const OPEN_CHANNELS: std::ops::RangeInclusive<usize> = 1..=1024;
/// The longest name, title, URL.
const TEXT_BYTES: usize = 256;

/// How HTTP is served. `None`: it is not.
pub(super) fn resolve(typed: &TypedHttp, directory: &Path, report: &mut Report<'_>) -> Option<HttpConfig> {
    let shares = typed.share_ports.as_ref().is_some_and(|shares| *shares.get_ref());
    let is_served = shares || typed.listen.is_some() || typed.tls_listen.is_some();
    if !is_served {
        note_useless(typed, report);
    }
    let tokens = |text: &str| tokens(&directory.join(text));
    let config = HttpConfig {
        listen: listeners(&typed.listen, "[http] listen", "[\"0.0.0.0:8080\"]", report),
        tls_listen: listeners(&typed.tls_listen, "[http] tls_listen", "[\"0.0.0.0:8443\"]", report),
        share_ports: shares,
        open: typed.open.as_ref().map(|open| open_groups(open, report)).unwrap_or_default(),
        open_channels: number_within(&typed.open_channels, "[http] open_channels", 64, OPEN_CHANNELS, report),
        interface: parsed(&typed.interface, "[http] interface", scalar::interface, report),
        linger: duration_within(&typed.linger, "[http] linger", "10s", ["0s", "60min"], report),
        url: parsed(&typed.url, "[http] url", url, report),
        guide: parsed(&typed.guide, "[http] guide", text, report),
        time_zone: parsed(&typed.time_zone, "[http] time_zone", time_zone, report).unwrap_or(TimeZone::UTC),
        name: parsed(&typed.name, "[http] name", text, report).unwrap_or_else(|| "Mirrorball".to_owned()),
        tokens: parsed(&typed.tokens, "[http] tokens", tokens, report).unwrap_or_default(),
    };
    is_served.then_some(config)
}

/// A zone by the name that IANA's database of them has.
fn time_zone(typed: &str) -> Result<TimeZone, String> {
    TimeZone::get(typed).map_err(|_| {
        format!("{typed:?} is no time zone that is known here; write one such as \"Europe/Berlin\"")
    })
}

/// How a channel is listed.
pub(super) fn listing(typed: &TypedChannel, report: &mut Report<'_>) -> Listing {
    let named = |key: &str| format!("{} {key}", typed.place);
    let number = number_within(&typed.number, &named("number"), 1, 1..=99_999, report);
    Listing {
        number: typed.number.as_ref().and_then(|_| u32::try_from(number).ok()),
        title: parsed(&typed.title, &named("title"), text, report),
        logo: parsed(&typed.logo, &named("logo"), text, report),
        group: parsed(&typed.group, &named("group"), text, report),
        tvg_id: parsed(&typed.tvg_id, &named("tvg_id"), text, report),
    }
}

fn open_groups(typed: &Spanned<Vec<Spanned<String>>>, report: &mut Report<'_>) -> Vec<ipnet::IpNet> {
    let open = network_list(typed, "[http] open", report);
    if let Some(other) = open.iter().find(|network| !network.addr().is_multicast()) {
        let wrong = format!("[http] open: {other} are no groups; write some such as \"239.9.0.0/16\"");
        report.add(typed.span().start, wrong);
    }
    open
}

fn url(typed: &str) -> Result<String, String> {
    let remedy = "write scheme, host and port, such as \"http://tv.example:8080\"";
    let base = typed.strip_suffix('/').unwrap_or(typed);
    let host = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
    let is_right = host.is_some_and(|host| host_of(host).is_some());
    if is_right { Ok(base.to_owned()) } else { Err(format!("{typed:?} is not where a site is; {remedy}")) }
}

/// Something that stands between quotes in a playlist.
fn text(typed: &str) -> Result<String, String> {
    if typed.is_empty() || typed.len() > TEXT_BYTES {
        return Err(format!("{} bytes; write 1 to {TEXT_BYTES}", typed.len()));
    }
    match typed.chars().find(|c| c.is_control() || *c == '"') {
        Some(strange) => {
            Err(format!("{typed:?} holds {strange:?}, which a playlist can not say; leave it out"))
        }
        None => Ok(typed.to_owned()),
    }
}

/// What is said of HTTP where nobody listens for it.
fn note_useless(typed: &TypedHttp, report: &mut Report<'_>) {
    let text = |text: &Typed<String>| text.as_ref().map(|text| text.span().start);
    let keys = [
        ("open", typed.open.as_ref().map(|list| list.span().start)),
        ("open_channels", typed.open_channels.as_ref().map(|number| number.span().start)),
        ("interface", text(&typed.interface)),
        ("linger", text(&typed.linger)),
        ("url", text(&typed.url)),
        ("guide", text(&typed.guide)),
        ("time_zone", text(&typed.time_zone)),
        ("name", text(&typed.name)),
        ("tokens", text(&typed.tokens)),
    ];
    let first = keys.iter().find_map(|(key, offset)| Some((*key, (*offset)?)));
    if let Some((key, offset)) = first.filter(|_| !typed.spoiled) {
        let useless = format!("[http] {key}: nothing is served over HTTP; add listen = [\"0.0.0.0:8080\"]");
        report.warn(offset, useless);
    }
}
