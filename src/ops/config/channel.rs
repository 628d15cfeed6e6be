//! The channels: names that are unique, one input each, no group twice. Knows what a source and a
//! session description are by their parsers in `wire` alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::access::{Door, Watchers, rule};
use super::description::{described_by, remarks};
use super::directory::resolve_directory;
use super::http::listing;
use super::input::Input;
use super::legs;
use super::out_groups::out_group;
use super::password::without_password;
use super::pulled::{self, is_pulled, pull};
use super::recordings;
use super::repair;
use super::report::Report;
use super::scalar;
use super::shown;
use super::truth_channel::{ChannelConfig, ChannelSettings, DirectoryConfig, Interface, Origin};
use super::typed_channel::TypedChannel;
use super::within::{AT_A_TIME, duration_within, number_within, octet_within, parsed};
use crate::net::Marks;
use crate::relay::{BurstPace, EnterAt};
use crate::wire::sdp::{Feed, Presentation};
use crate::wire::source_filter::SourceFilter;
use crate::wire::source_url::SourceUrl;

/// The most channels there may be. Each has sockets, rings and metrics of its own.
pub(crate) const MOST_CHANNELS: usize = 4096;

/// What holds for all channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// They are announced, where they do not say otherwise.
    pub(super) announces_all: bool,
    /// There is a directory for recordings.
    pub(super) has_storage: bool,
}

/// The channels that were meant, and directories of channels. What has an error is noted and left out.
pub(super) fn resolve_channels(
    typed: &[TypedChannel],
    (door, site): (&Door, Site),
    directory: &Path,
    report: &mut Report<'_>,
) -> (Vec<ChannelConfig>, Vec<DirectoryConfig>) {
    if let Some(beyond) = typed.get(MOST_CHANNELS) {
        report.add(beyond.offset, format!("{} channels; write at most {MOST_CHANNELS}", typed.len()));
    }
    let mut first_uses = FirstUses::default();
    let (mut channels, mut directories) = (Vec::new(), Vec::new());
    for typed in typed {
        if typed.directory.is_some() {
            let settings = settings(typed, door, site, report);
            directories.extend(resolve_directory(typed, settings, &directories, directory, report));
            continue;
        }
        first_uses.check_name(typed, report);
        if let Some(channel) = resolve_channel(typed, (door, site), directory, report) {
            first_uses.check_tracks(typed, &channel, report);
            remark_groups(typed, &channel, report);
            channels.push(channel);
        }
    }
    (channels, directories)
}

fn resolve_channel(
    typed: &TypedChannel,
    (door, site): (&Door, Site),
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<ChannelConfig> {
    if typed.name.is_none() && !typed.spoiled {
        report.add(typed.offset, format!("{}: no name; write one such as name = \"news\"", typed.place));
    }
    let name = parsed(&typed.name, "[[channel]]", scalar::channel_name, report);
    let mut settings = settings(typed, door, site, report);
    let input = input(typed, directory, report)?;
    if input.standby.is_some() || matches!(input.origin, Origin::Files(_)) {
        shown::check_storage(typed, site.has_storage, report);
    }
    legs::resolve(typed, &input, &mut settings, report);
    let Input { text, file, presentation, origin, standby, .. } = input;
    let multicast_out = out_group(typed, presentation.tracks.len().max(1), site.announces_all, report);
    Some(ChannelConfig {
        name: name?,
        input: text,
        file,
        presentation,
        origin,
        standby,
        settings,
        multicast_out,
    })
}

/// How it is received and served.
fn settings(typed: &TypedChannel, door: &Door, site: Site, report: &mut Report<'_>) -> ChannelSettings {
    let named = |key: &str| format!("{} {key}", typed.place);
    let silent_after =
        duration_within(&typed.silent_after, &named("silent_after"), "2s", ["100ms", "60min"], report);
    let on_demand = on_demand(typed, report);
    let renew = duration_within(&typed.renew, &named("renew"), "60s", ["500ms", "60min"], report);
    let coalesce = parsed(&typed.coalesce, &named("coalesce"), scalar::coalesce, report).unwrap_or_default();
    let enter_at = enter_at(typed, report);
    let repair_percent =
        number_within(&typed.repair_percent, &named("repair_percent"), 20, 0..=100, report) as u32;
    let offer_repair =
        parsed(&typed.offer_repair, &named("offer_repair"), repair::offer_repair, report).unwrap_or_default();
    let interface = parsed(&typed.interface, &named("interface"), scalar::interface, report);
    let (interfaces, redundancy) = (legs::interfaces(typed, report), legs::redundancy(typed, report));
    let marks = Marks {
        dscp: octet_within(&typed.dscp, &named("dscp"), 0..=63, report),
        ttl: octet_within(&typed.ttl, &named("ttl"), 1..=255, report),
    };
    let sessions = number_within(&typed.sessions, &named("sessions"), 0, AT_A_TIME, report);
    let TypedChannel { place, users, public, allow, deny, .. } = typed;
    let rule = rule(&Watchers { place, users, public, allow, deny }, door, report);
    let (rule, sessions) = (rule, typed.sessions.as_ref().map(|_| sessions));
    let renew = typed.renew.as_ref().map(|_| renew);
    ChannelSettings {
        interface,
        interfaces,
        redundancy,
        on_demand,
        renew,
        silent_after,
        coalesce,
        enter_at,
        repair_percent,
        offer_repair,
        marks,
        rule,
        sessions,
        listing: listing(typed, report),
        keep: recordings::keep(typed, site.has_storage, report),
    }
}

/// Where those begin who come, and how fast they are brought level.
fn enter_at(typed: &TypedChannel, report: &mut Report<'_>) -> EnterAt {
    let named = |key: &str| format!("{} {key}", typed.place);
    let percent = number_within(&typed.burst_percent, &named("burst_percent"), 130, 105..=1000, report);
    let is_at_start = parsed(&typed.start, &named("start"), scalar::start, report).unwrap_or(true);
    if let Some(key) = typed.burst_percent.as_ref().filter(|_| !is_at_start) {
        let useless = format!(
            "{}: with start = \"live\" nobody is brought level; leave one out",
            named("burst_percent")
        );
        report.warn(key.span().start, useless);
    }
    if is_at_start { EnterAt::RandomAccess(BurstPace::of_percent(percent as u32)) } else { EnterAt::Live }
}

/// How long it stays joined after the last who watched, if it is not always.
fn on_demand(typed: &TypedChannel, report: &mut Report<'_>) -> Option<Duration> {
    let named = |key: &str| format!("{} {key}", typed.place);
    let linger = duration_within(&typed.linger, &named("linger"), "10s", ["0s", "60min"], report);
    let said = parsed(&typed.join, &named("join"), scalar::join, report);
    let (is_on_demand, is_clear) = (said == Some(true), said.is_some() || typed.join.is_none());
    if let Some(key) = typed.linger.as_ref().filter(|_| !is_on_demand && is_clear && !typed.spoiled) {
        let useless = format!("{}: it is joined always; add join = \"on-demand\"", named("linger"));
        report.warn(key.span().start, useless);
    }
    is_on_demand.then_some(linger)
}

/// Exactly one of source, sources and sdp.
fn input(typed: &TypedChannel, directory: &Path, report: &mut Report<'_>) -> Option<Input> {
    let place = &typed.place;
    let name = typed.name.as_ref().map_or("", |name| name.get_ref());
    if !is_pulled(typed) {
        pulled::note_useless(typed, report);
    }
    let is_shown = typed.source.as_ref().is_some_and(|source| shown::is_file(source.get_ref()));
    let stands_by = typed.sources.as_ref().and_then(|all| all.get_ref().last());
    let has_files = is_shown || stands_by.is_some_and(|last| shown::is_file(last.get_ref()));
    shown::note_useless(typed, !is_shown, has_files, report);
    let starts = [
        ("source", typed.source.as_ref().map(Spanned::span)),
        ("sources", typed.sources.as_ref().map(Spanned::span)),
        ("sdp", typed.sdp.as_ref().map(Spanned::span)),
    ];
    let mut given = starts.iter().filter_map(|(key, span)| Some((*key, span.as_ref()?.start)));
    match (given.next(), given.next()) {
        (Some(("source", _)), None) if is_pulled(typed) => {
            let pull = pull(typed, directory, report)?;
            let text = format!("{}://{}{}", pull.url.scheme(), pull.server(), pull.url.path());
            let presentation = Presentation::unknown(&pull.name);
            Some(Input { origin: Origin::Server(pull), ..Input::new(text, presentation) })
        }
        (Some(("source", _)), None) if is_shown => {
            let source = parsed(&typed.source, place, |text| shown::file(text, typed), report)?;
            let text = format!("file://{}", source.path.display());
            Some(Input { origin: Origin::Files(source), ..Input::new(text, Presentation::unknown(name)) })
        }
        (Some(("source", _)), None) => parsed(&typed.source, place, |text| from_source(text, name), report),
        (Some(("sdp", _)), None) => parsed(&typed.sdp, place, |text| from_sdp(text, directory), report),
        (Some(_), None) => legs::from_sources(typed, |text| from_source(text, name), report),
        (Some((first, _)), Some((second, offset))) => {
            report.add(offset, format!("{place}: both {first} and {second}; leave one out"));
            None
        }
        (None, _) => {
            if !typed.spoiled {
                let remedy = "write one such as source = \"rtp://239.9.9.1:5004\"";
                report.add(typed.offset, format!("{place}: neither source nor sdp nor directory; {remedy}"));
            }
            None
        }
    }
}

fn from_source(text: &str, channel_name: &str) -> Result<Input, String> {
    let text = &without_password(text);
    let wrong = |wrong: &dyn std::fmt::Display| format!("source {text:?}: {wrong}");
    let url: SourceUrl = text.parse().map_err(|error| wrong(&error))?;
    let interface =
        url.interface.as_deref().map(scalar::interface).transpose().map_err(|error| wrong(&error))?;
    let presentation = url.presentation(channel_name);
    Ok(Input { interfaces: vec![interface], ..Input::new(url.to_string(), presentation) })
}

fn from_sdp(text: &str, directory: &Path) -> Result<Input, String> {
    let file = directory.join(text);
    let path = file.display().to_string();
    let presentation = described_by(&file, &format!("sdp {path:?}"))?;
    Ok(Input { file: Some(file), ..Input::new(path, presentation) })
}

/// What is to be said of the groups that it is sent to.
fn remark_groups(typed: &TypedChannel, channel: &ChannelConfig, report: &mut Report<'_>) {
    let (offset, place) = (typed.input_offset(), &typed.place);
    match remarks(&channel.presentation, &channel.settings) {
        Err(wrong) => report.add(offset, format!("{place}: {wrong}")),
        Ok(worse) => worse.iter().for_each(|worse| report.warn(offset, format!("{place}: {worse}"))),
    }
}

/// From whom and where a group and port are taken, by which channel, and in which line that is.
type Taken = (SourceFilter, Option<Interface>, String, usize);

/// Where each name and each group was first used, to say so when it is used again.
#[derive(Default)]
struct FirstUses {
    names: HashMap<String, usize>,
    groups: HashMap<SocketAddr, Vec<Taken>>,
    /// By port and family: whether whatever is sent there to this machine is one's.
    ports: HashMap<(u16, bool), (bool, String, usize)>,
}

impl FirstUses {
    fn check_name(&mut self, typed: &TypedChannel, report: &mut Report<'_>) {
        let Some(name) = &typed.name else { return };
        let line = report.line(name.span().start);
        if let Some(first) = self.names.insert(name.get_ref().clone(), line) {
            let wrong = format!("{}: the name is line {first}'s already; write another", typed.place);
            report.add(name.span().start, wrong);
        }
    }

    /// Where all that is sent to this machine's port is one channel's, it is the only one there: of several sockets the
    /// kernel chooses one.
    fn check_ports(&mut self, typed: &TypedChannel, feed: &Feed, report: &mut Report<'_>) {
        let (offset, is_all) = (typed.input_offset(), feed.group.is_unspecified());
        let line = report.line(offset);
        for port in [Some(feed.port), feed.rtcp_port].into_iter().flatten() {
            let here = (is_all, typed.place.clone(), line);
            let (first_is_all, first, at) = self.ports.entry((port, feed.group.is_ipv4())).or_insert(here);
            if (is_all || *first_is_all) && *at != line {
                let wrong = format!(
                    "port {port} is {first}'s in line {at} too; name the address of this machine that each is sent to"
                );
                report.add(offset, format!("{}: {wrong}", typed.place));
                break;
            }
        }
    }

    /// A group is joined once, and its packets have one way to go.
    fn check_tracks(&mut self, typed: &TypedChannel, channel: &ChannelConfig, report: &mut Report<'_>) {
        let offset = typed.input_offset();
        let own_line = report.line(offset);
        for (feed, interface) in channel.feeds() {
            let group = SocketAddr::new(feed.group, feed.port);
            let (filter, is_own) = (&feed.filter, !feed.group.is_multicast());
            let all = self.groups.entry(group).or_default();
            // To an address of this machine there is one socket for all of a port.
            let taken = all.iter().find(|(other, place, _, line)| {
                let is_there = (other, place.as_ref()) == (filter, interface);
                *line != own_line && (is_there || is_own && other.overlap(filter))
            });
            if let Some((.., first, line)) = taken {
                let wrong = format!("{group} is taken by {first} in line {line}; leave one out");
                report.add(offset, format!("{}: {wrong}", typed.place));
            } else {
                all.push((filter.clone(), interface.cloned(), typed.place.clone(), own_line));
                self.check_ports(typed, feed, report);
            }
        }
    }
}
