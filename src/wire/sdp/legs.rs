//! One stream by several ways (RFC 7104, SMPTE ST 2022-7), as a description says it: media that a group `DUP` names, or senders
//! of one group whose SSRCs an `ssrc-group` `DUP` names. Either is one track with a feed for each.

use sdp_types::{Media, Session};

use super::super::source_filter::SourceFilter;
use super::filter::values;
use super::presentation::{Feed, TrackDescription};

/// The most feeds of a track.
pub const MAX_FEEDS: usize = 8;

/// The medium before this one that the session says is the same.
pub(super) fn twin(session: &Session, index: usize) -> Option<usize> {
    let own = mid(&session.medias[index])?;
    let with_own = || duplicates(session).filter(|group| names(group, own));
    let is_twin = |other: &Media| mid(other).is_some_and(|other| with_own().any(|group| names(group, other)));
    session.medias[..index].iter().position(is_twin)
}

/// Gives a track the feeds of another medium that is said to be the same.
pub(super) fn join(track: &mut TrackDescription, twin: TrackDescription) -> Result<(), String> {
    let what = |of: &TrackDescription| {
        (of.media.clone(), of.payload_types.clone(), of.clock_rate, of.encoding.clone())
    };
    if what(track) != what(&twin) {
        return Err("are one stream on two networks, and are described as two: describe them alike, or \
                    leave the a=group:DUP out"
            .to_owned());
    }
    track.feeds.extend(twin.feeds);
    if track.feeds.len() > MAX_FEEDS {
        return Err(format!("and others are one stream on more than {MAX_FEEDS} networks; leave some out"));
    }
    Ok(())
}

/// The SSRCs of a medium that carry the same packets.
pub(super) fn same_ssrcs(medium: &Media) -> Vec<u32> {
    let group = values(&medium.attributes, "ssrc-group").find(|group| is_duplication(group));
    let ssrcs = group.into_iter().flat_map(str::split_ascii_whitespace).skip(1).take(MAX_FEEDS);
    ssrcs.filter_map(|ssrc| ssrc.parse().ok()).collect()
}

/// The feeds of a medium: one, or one for each of its senders where these send the same.
pub(super) fn feeds(feed: Feed, medium: &Media) -> Vec<Feed> {
    let is_one_each = values(&medium.attributes, "ssrc-group").any(is_duplication);
    match &feed.filter {
        SourceFilter::Only(hosts) if is_one_each && hosts.len() <= MAX_FEEDS => {
            hosts.iter().map(|host| Feed { filter: Some(*host).into(), ..feed.clone() }).collect()
        }
        _ => vec![feed],
    }
}

/// Leaves one medium for each track; what told them apart is gone, unless something else is said by it.
pub(super) fn keep_one_each(session: &mut Session, is_twin: &[bool]) {
    let mut twins = is_twin.iter();
    session.medias.retain(|_| twins.next() != Some(&true));
    let Session { attributes, medias, .. } = session;
    for medium in medias {
        let has_no_use = mid(medium).is_some_and(|mid| {
            let mut groups = values(attributes, "group").filter(|group| names(group, mid)).peekable();
            groups.peek().is_some() && groups.all(is_duplication)
        });
        if has_no_use {
            medium.attributes.retain(|attribute| !attribute.attribute.eq_ignore_ascii_case("mid"));
        }
        let gone: Vec<_> = same_ssrcs(medium).iter().skip(1).map(u32::to_string).collect();
        medium.attributes.retain(|attribute| {
            let ssrc = attribute.value.as_deref().and_then(|value| value.split_ascii_whitespace().next());
            let is_ssrc = attribute.attribute.eq_ignore_ascii_case("ssrc");
            !is_ssrc || ssrc.is_none_or(|ssrc| !gone.iter().any(|gone| gone == ssrc))
        });
    }
}

fn duplicates(session: &Session) -> impl Iterator<Item = &str> {
    values(&session.attributes, "group").filter(|group| is_duplication(group))
}

fn is_duplication(group: &str) -> bool {
    group.split_ascii_whitespace().next() == Some("DUP")
}

/// Published examples end it with a semicolon.
fn mid(medium: &Media) -> Option<&str> {
    values(&medium.attributes, "mid").next().map(|mid| mid.trim_end_matches(';').trim())
}

fn names(group: &str, mid: &str) -> bool {
    group.split_ascii_whitespace().skip(1).any(|name| name.trim_end_matches(';') == mid)
}
