//! Source filters (RFC 4570): from whom a group is to be taken.

use std::net::IpAddr;

use sdp_types::{Attribute, Session};

use super::super::source_filter::{MAX_HOSTS, SourceFilter};
use super::presentation::TrackDescription;

/// How one is written.
pub(super) const SHAPE: &str = "write a=source-filter: incl IN IP4 group source";

/// What a description's filters say of a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// From whom it is taken.
    From(SourceFilter),
    /// Nothing: they are about another group.
    Of(String),
}

/// What one of them says.
enum One {
    Incl(Vec<IpAddr>),
    Excl(Vec<IpAddr>),
    Of(String),
}

/// Reads the filters among attributes. `None`: there is none.
pub(super) fn read(attributes: &[Attribute], group: IpAddr) -> Result<Option<Filter>, String> {
    let (mut included, mut excluded, mut of_another) = (Vec::new(), Vec::new(), None);
    for filter in values(attributes, "source-filter") {
        match one(filter, group)? {
            One::Incl(more) => included.extend(more),
            One::Excl(more) => excluded.extend(more),
            One::Of(other) => of_another = Some(other),
        }
    }
    let most = included.len().max(excluded.len());
    if most > MAX_HOSTS {
        return Err(format!(
            "a=source-filter: {most} hosts for one group; write {MAX_HOSTS} at most, or remove the line"
        ));
    }
    Ok(match (included.is_empty(), excluded.is_empty()) {
        (true, true) => of_another.map(Filter::Of),
        (false, true) => Some(Filter::From(SourceFilter::only(included))),
        (true, false) => Some(Filter::From(SourceFilter::all_but(excluded))),
        (false, false) => {
            return Err(format!(
                "a=source-filter: incl and excl for one group; {SHAPE}, and remove the lines with excl"
            ));
        }
    })
}

/// A filter of the session that is about none of its groups was meant for one of them.
pub(super) fn check_session(session: &Session, tracks: &[TrackDescription]) -> Result<(), String> {
    let destinations = values(&session.attributes, "source-filter").filter_map(destination);
    let groups = tracks.iter().flat_map(|track| &track.feeds).map(|feed| feed.group);
    for destination in destinations {
        let is_known = destination == "*" || groups.clone().any(|group| destination.parse() == Ok(group));
        if !is_known {
            return Err(format!(
                "a=source-filter: it is about {destination}, to which no medium is sent; {SHAPE}, or remove the line"
            ));
        }
    }
    Ok(())
}

/// The values of all attributes of a name.
pub(super) fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = attributes.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
    named.map(|attribute| attribute.value.as_deref().unwrap_or_default().trim())
}

/// The group that a filter is about, without the TTL that some senders leave on it.
fn destination(filter: &str) -> Option<&str> {
    filter.split_ascii_whitespace().nth(3)?.split('/').next()
}

/// Read here and not as `sdp_types::SourceFilter`, which refuses that TTL.
fn one(filter: &str, group: IpAddr) -> Result<One, String> {
    let mut words = filter.split_ascii_whitespace();
    let (Some(mode), Some(destination)) = (words.next(), destination(filter)) else {
        return Err(format!("a=source-filter: \"{filter}\" is incomplete; {SHAPE}"));
    };
    if destination != "*" && destination.parse() != Ok(group) {
        return Ok(One::Of(destination.to_owned()));
    }
    let sources = words.skip(3).map(|word| match word.parse::<IpAddr>() {
        Ok(source) if source.is_ipv4() == group.is_ipv4() && !source.is_multicast() => Ok(source),
        _ => Err(format!(
            "a=source-filter: \"{word}\" is no address of a sender to {group} (names are not resolved); {SHAPE}"
        )),
    });
    let sources: Vec<IpAddr> = sources.collect::<Result<_, _>>()?;
    if sources.is_empty() {
        return Err(format!("a=source-filter: no source follows the group; {SHAPE}"));
    }
    match mode.to_ascii_lowercase().as_str() {
        "incl" => Ok(One::Incl(sources)),
        "excl" => Ok(One::Excl(sources)),
        _ => Err(format!(
            "a=source-filter: \"{mode}\" is no mode, which is incl or excl; {SHAPE}, or remove the line"
        )),
    }
}
