//! The legs of a channel: several sources, the interface of each, and how they are one stream.

use std::time::Duration;

use toml::Spanned;

use super::input::Input;
use super::report::Report;
use super::scalar;
use super::section::Typed;
use super::shown;
use super::truth_channel::{ChannelSettings, Interface};
use super::typed_channel::TypedChannel;
use super::within::{duration_within, number_within, parsed};
use crate::ingest::Redundancy;
use crate::storage::FileSource;
use crate::wire::failover::Rules;
use crate::wire::sdp::{Framing, MAX_FEEDS, Presentation};

/// What to write where it is not said how several sources are one stream.
const REMEDY: &str = "write redundancy = \"merge\" if they carry the same packets (SMPTE ST 2022-7), \
                      redundancy = \"failover\" if each is the same programme by itself";

/// What `sources` say, each read as a `source` is.
pub(super) fn from_sources(
    typed: &TypedChannel,
    read: impl Fn(&str) -> Result<Input, String>,
    report: &mut Report<'_>,
) -> Option<Input> {
    let (place, list) = (&typed.place, typed.sources.as_ref()?);
    let count = list.get_ref().len();
    if !(2..=MAX_FEEDS).contains(&count) {
        let wrong = format!("{place} sources: {count} of them; write 2 to {MAX_FEEDS}, or source = for one");
        report.add(list.span().start, wrong);
        return None;
    }
    let noted = report.noted();
    let (sent, standby) = match list.get_ref().split_last() {
        Some((last, sent)) if shown::is_file(last.get_ref()) => (sent, Some(last)),
        _ => (&list.get_ref()[..], None),
    };
    for early in sent.iter().filter(|text| shown::is_file(text.get_ref())) {
        let wrong = "it is always there, so what follows it is never taken; write it last, and one of them";
        report.add(early.span().start, format!("{place}: source {:?}: {wrong}", early.get_ref()));
    }
    let standby = standby.and_then(|text| {
        let file = shown::file(text.get_ref(), typed);
        file.map_err(|wrong| report.add(text.span().start, format!("{place}: {wrong}"))).ok()
    });
    let inputs = sent.iter().filter(|text| !shown::is_file(text.get_ref())).filter_map(|text| {
        read(text.get_ref()).map_err(|wrong| report.add(text.span().start, format!("{place}: {wrong}"))).ok()
    });
    let inputs: Vec<_> = inputs.collect();
    if report.noted() > noted {
        return None;
    }
    let file = |source: &FileSource| format!("file://{}", source.path.display());
    let texts = inputs.iter().map(|input| input.text.clone()).chain(standby.as_ref().map(file));
    let texts: Vec<_> = texts.collect();
    let mut inputs = inputs.into_iter();
    let mut all = inputs.next()?;
    all.text = texts.join(" and ");
    for input in inputs {
        all.interfaces.extend(input.interfaces);
        for (track, more) in all.presentation.tracks.iter_mut().zip(input.presentation.tracks) {
            if track.framing != more.framing {
                let wrong = "sources of several kinds; write rtp:// for all of them, or udp:// for all";
                report.add(list.span().start, format!("{place}: {wrong}"));
                return None;
            }
            track.feeds.extend(more.feeds);
        }
    }
    all.presentation.tracks.iter_mut().for_each(|track| track.has_standby = standby.is_some());
    all.standby = standby;
    Some(all)
}

/// How several legs are one stream; that of a description, where nothing is said.
pub(super) fn redundancy(typed: &TypedChannel, report: &mut Report<'_>) -> Redundancy {
    let named = |key: &str| format!("{} {key}", typed.place);
    let skew = duration_within(&typed.skew, &named("skew"), "50ms", ["1ms", "1s"], report);
    let rules = rules(typed, report);
    let said = parsed(&typed.redundancy, &named("redundancy"), scalar::redundancy, report);
    if said.is_some() || typed.redundancy.is_none() {
        note_useless(typed, said != Some(false), report);
    }
    if said == Some(false) { Redundancy::Failover(rules) } else { Redundancy::Merge { skew } }
}

/// The interface of each leg, as the key says.
pub(super) fn interfaces(typed: &TypedChannel, report: &mut Report<'_>) -> Vec<Option<Interface>> {
    let Some(list) = &typed.interfaces else { return Vec::new() };
    if typed.interface.is_some() {
        let wrong = format!("{}: both interface and interfaces; leave one out", typed.place);
        report.add(list.span().start, wrong);
    }
    let mut each = Vec::new();
    for text in list.get_ref() {
        let named = scalar::interface(text.get_ref());
        each.push(named.map_err(|wrong| note(typed, "interfaces", text.span().start, &wrong, report)).ok());
    }
    each
}

fn note(typed: &TypedChannel, key: &str, offset: usize, wrong: &str, report: &mut Report<'_>) {
    report.add(offset, format!("{} {key}: {wrong}", typed.place));
}

/// Where the legs of a channel are received, and whether they can be one stream.
pub(super) fn resolve(
    typed: &TypedChannel,
    input: &Input,
    settings: &mut ChannelSettings,
    report: &mut Report<'_>,
) {
    let legs = input.presentation.tracks.iter().map(|track| track.feeds.len()).max().unwrap_or_default();
    let all = legs + usize::from(input.standby.is_some());
    check_redundancy(typed, input, settings.redundancy, all, report);
    if let Some(list) = typed.interfaces.as_ref().filter(|list| list.get_ref().len() != legs) {
        let count = list.get_ref().len();
        let wrong = format!("{count} of them for {legs}; write one for each source, in their order");
        note(typed, "interfaces", list.span().start, &wrong, report);
    }
    let named = |leg| input.interfaces.get(leg).cloned().flatten();
    let each: Vec<_> = (0..legs)
        .map(|leg| one_interface(typed, named(leg), settings.interface_of(leg).cloned(), report))
        .collect();
    if legs < 2 {
        settings.interface = each.into_iter().next().flatten().or(settings.interface.take());
    } else {
        settings.interfaces = each;
    }
}

/// The interface may be named by the input or by a key, if they agree.
fn one_interface(
    typed: &TypedChannel,
    by_input: Option<Interface>,
    by_key: Option<Interface>,
    report: &mut Report<'_>,
) -> Option<Interface> {
    if let (Some(input), Some(key)) = (&by_input, &by_key)
        && input != key
    {
        let wrong = format!("the source names interface {input}, the key {key}; leave one out");
        report.add(typed.input_offset(), format!("{}: {wrong}", typed.place));
    }
    by_key.or(by_input)
}

/// Two legs that are received alike are one.
pub(super) fn check_twins(presentation: &Presentation, settings: &ChannelSettings) -> Result<(), String> {
    for track in &presentation.tracks {
        let legs: Vec<_> =
            track.feeds.iter().zip(0..).map(|(feed, leg)| (feed, settings.interface_of(leg))).collect();
        for (other, leg) in legs.iter().enumerate() {
            if let Some(one) = legs[..other].iter().position(|one| one == leg) {
                return Err(format!(
                    "leg {} is leg {} again; if they come by two networks, name the interface of each: interfaces = \
                     [\"eth0\", \"eth1\"]",
                    other + 1,
                    one + 1
                ));
            }
        }
    }
    Ok(())
}

fn check_redundancy(
    typed: &TypedChannel,
    input: &Input,
    redundancy: Redundancy,
    legs: usize,
    report: &mut Report<'_>,
) {
    let place = &typed.place;
    let offset = typed.redundancy.as_ref().map_or(typed.input_offset(), |text| text.span().start);
    if legs < 2 {
        if typed.redundancy.is_some() {
            let remedy = "write sources = [\"rtp://239.9.9.1:5004\", \"rtp://239.9.10.1:5004\"]";
            let wrong = format!("there is one source; {remedy}, or leave it out");
            note(typed, "redundancy", offset, &wrong, report);
        }
        return;
    }
    // A description says that they are the same.
    if typed.redundancy.is_none() && typed.sources.is_some() {
        if !typed.spoiled {
            report.add(offset, format!("{place}: several sources; {REMEDY}"));
        }
        return;
    }
    if input.standby.is_some() && matches!(redundancy, Redundancy::Merge { .. }) {
        let wrong = "no file has the packets of other sources; write redundancy = \"failover\"";
        note(typed, "redundancy", offset, wrong, report);
        return;
    }
    let has_no_numbers = input.presentation.tracks.iter().any(|track| track.framing != Framing::Rtp);
    if has_no_numbers && matches!(redundancy, Redundancy::Merge { .. }) {
        let wrong = "without RTP packets have no numbers to merge them by; write redundancy = \"failover\", \
                     or rtp:// where the sources send RTP";
        note(typed, "redundancy", offset, wrong, report);
    }
}

fn rules(typed: &TypedChannel, report: &mut Report<'_>) -> Rules {
    let named = |key: &str| format!("{} {key}", typed.place);
    let mut within = |value: &Typed<String>, key, default, bounds: [&str; 2]| -> Duration {
        duration_within(value, &named(key), default, bounds, report)
    };
    let failover_after = within(&typed.failover_after, "failover_after", "500ms", ["50ms", "60s"]);
    let return_after = within(&typed.return_after, "return_after", "10s", ["1s", "24h"]);
    let loss = number_within(&typed.failover_loss, &named("failover_loss"), 5, 1..=100, report);
    Rules { failover_after, failover_loss: u8::try_from(loss).unwrap_or(100), return_after }
}

/// Keys of a redundancy that there is not.
fn note_useless(typed: &TypedChannel, is_merge: bool, report: &mut Report<'_>) {
    let of_failover = [
        ("failover_after", typed.failover_after.as_ref().map(Spanned::span)),
        ("failover_loss", typed.failover_loss.as_ref().map(Spanned::span)),
        ("return_after", typed.return_after.as_ref().map(Spanned::span)),
    ];
    let of_merge = [("skew", typed.skew.as_ref().map(Spanned::span))];
    let useless = of_merge.iter().filter(|_| !is_merge).map(|key| (key, "merge"));
    let useless = useless.chain(of_failover.iter().filter(|_| is_merge).map(|key| (key, "failover")));
    for ((key, span), of) in useless {
        if let Some(span) = span {
            let wrong = format!("{} {key}: it is for redundancy = \"{of}\" alone; leave it out", typed.place);
            report.warn(span.start, wrong);
        }
    }
}
