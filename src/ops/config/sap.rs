//! `[sap]`: whose announcements become channels, and whether ours are announced.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::access::{entries, network_list};
use super::report::Report;
use super::scalar;
use super::section::Typed;
use super::truth::SapConfig;
use super::typed::TypedSap;
use super::within::{duration_within, number_within, parsed};
use crate::ingest::announce::Rules;
use crate::wire::sap::GROUPS;

/// Sessions at a time; each may be a channel with sockets, rings and metrics of its own.
const SESSIONS: RangeInclusive<usize> = 1..=1024;
/// The longest beginning of their channels' names.
const PREFIX_BYTES: usize = 32;
const ORIGINS: &str = "[sap] origins";
const GROUPS_KEY: &str = "[sap] groups";

/// Whose announcements are taken. `None`: nobody's.
pub(super) fn resolve(typed: &TypedSap, report: &mut Report<'_>) -> Option<SapConfig> {
    let listens = typed.listen.as_ref().is_some_and(|listen| *listen.get_ref());
    if !listens {
        note_useless(typed, report);
    }
    let origins =
        typed.origins.as_ref().map(|origins| network_list(origins, ORIGINS, report)).unwrap_or_default();
    if let Some(listen) =
        typed.listen.as_ref().filter(|_| listens && typed.origins.is_none() && !typed.spoiled)
    {
        let wrong = "[sap] listen: anybody can announce, and nobody is named who is believed; write origins = [\"192.0.2.0/24\"]";
        report.add(listen.span().start, wrong);
    }
    let sessions = number_within(&typed.sessions, "[sap] sessions", 64, SESSIONS, report);
    let of_sender = number_within(
        &typed.sessions_per_sender,
        "[sap] sessions_per_sender",
        sessions.div_ceil(2),
        SESSIONS,
        report,
    );
    let rules = Rules {
        origins,
        sessions,
        sessions_per_sender: of_sender,
        timeout: duration_within(&typed.timeout, "[sap] timeout", "60min", ["10s", "24h"], report),
        prefix: parsed(&typed.prefix, "[sap] prefix", prefix, report).unwrap_or_else(|| "sap/".to_owned()),
    };
    let linger = duration_within(&typed.linger, "[sap] linger", "10s", ["0s", "60min"], report);
    let is_on_demand = parsed(&typed.join, "[sap] join", scalar::join, report).unwrap_or(true);
    let config = SapConfig {
        rules,
        groups: groups(&typed.groups, report),
        interface: parsed(&typed.interface, "[sap] interface", scalar::interface, report),
        on_demand: is_on_demand.then_some(linger),
    };
    listens.then_some(config)
}

/// Keys about listening where nobody does.
fn note_useless(typed: &TypedSap, report: &mut Report<'_>) {
    let texts = [&typed.interface, &typed.timeout, &typed.prefix, &typed.join, &typed.linger];
    let lists = [&typed.origins, &typed.groups];
    let numbers = [&typed.sessions, &typed.sessions_per_sender];
    let offsets = texts.into_iter().flatten().map(|key| key.span().start);
    let offsets = offsets.chain(lists.into_iter().flatten().map(|key| key.span().start));
    let first = offsets.chain(numbers.into_iter().flatten().map(|key| key.span().start)).min();
    if let Some(offset) = first.filter(|_| !typed.spoiled) {
        let useless = "[sap]: no announcement is listened to, so this is of no use; add listen = true";
        report.warn(offset, useless);
    }
}

/// The groups that announcements come to; the customary ones where none are named.
fn groups(typed: &Typed<Vec<toml::Spanned<String>>>, report: &mut Report<'_>) -> Vec<IpAddr> {
    let Some(typed) = typed else { return GROUPS.into() };
    let mut groups = Vec::new();
    for text in entries(typed, GROUPS_KEY, "[\"239.255.255.255\"]", report) {
        match text.get_ref().parse::<IpAddr>() {
            Ok(group) if groups.contains(&group) => {
                report.add(text.span().start, format!("{GROUPS_KEY}: {group} is there twice; leave one out"));
            }
            Ok(group) if group.is_multicast() => groups.push(group),
            _ => {
                let wrong = format!(
                    "{GROUPS_KEY}: {:?} is no multicast group; write one such as \"239.255.255.255\"",
                    text.get_ref()
                );
                report.add(text.span().start, wrong);
            }
        }
    }
    groups
}

/// What a channel's name may begin with, or nothing.
fn prefix(typed: &str) -> Result<String, String> {
    if typed.len() > PREFIX_BYTES {
        return Err(format!("{typed:?} has {} bytes; write at most {PREFIX_BYTES}", typed.len()));
    }
    scalar::channel_name(&format!("{typed}x")).map_err(|wrong| {
        format!("{typed:?} begins no channel's name: {wrong}; write one such as \"sap/\", or \"\"")
    })?;
    Ok(typed.to_owned())
}
