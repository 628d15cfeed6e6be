//! A source's description, read from a file's bytes. Errors name the line and what to write there.
//!
//! It reads no file and joins no group.

use sdp_types::{Media, ParserError, Session};

use super::filter::{self, values};
use super::invalid::InvalidSdp;
use super::lines::Lines;
use super::mend::{mend, without_disabled};
use super::presentation::{Presentation, TrackDescription};
use super::track::{self, Reader};

/// The largest description taken, in bytes. Real ones have hundreds, with parameter sets a few thousand.
pub const MAX_SDP_LEN: usize = 64 * 1024;

/// The most tracks a program may have; interleaved in one connection they take two channels each of 256.
pub const MAX_TRACKS: usize = 32;

/// Reads a source's description: every medium that is not disabled (port 0) becomes a track, and must be RTP
/// (`RTP/AVP` or `RTP/AVPF`, or `MP2T/AVP` for the first) sent to a multicast group.
///
/// # Errors
/// The first thing that cannot be used.
pub fn parse(text: &[u8]) -> Result<Presentation, InvalidSdp> {
    if text.len() > MAX_SDP_LEN {
        return Err(about_all(format!(
            "the description is longer than {MAX_SDP_LEN} bytes; is it an SDP file?"
        )));
    }
    let lines = mend(Lines::of(text)).ok_or_else(|| InvalidSdp {
        line: Some(1),
        problem: "no line such as v=0 or m=video 5004 RTP/AVP 33; is it an SDP file?".into(),
    })?;
    let lines = without_disabled(&lines);
    let mut session = Session::parse(lines.to_text().as_bytes()).map_err(|error| syntax(&error, &lines))?;
    let tracks = tracks(&session, &lines)?;
    // The profile is RTP's, whatever the source calls it.
    session.medias.iter_mut().for_each(track::name_profile);
    Ok(Presentation { name: session.session_name.trim().to_owned(), tracks, session })
}

fn tracks(session: &Session, lines: &Lines) -> Result<Vec<TrackDescription>, InvalidSdp> {
    let problem = |index: usize, key, problem| {
        let section = lines.medium(index);
        Err(InvalidSdp { line: section.first(key).or_else(|| section.first("m=")), problem })
    };
    let mut tracks: Vec<TrackDescription> = Vec::new();
    for (index, medium) in session.medias.iter().enumerate() {
        let track = Reader { session, medium, lines: lines.medium(index) }.track()?;
        if tracks.len() == MAX_TRACKS {
            let many = format!("m=: more than {MAX_TRACKS} tracks; spread them over several channels");
            return problem(index, "m=", many);
        }
        if let Some(other) = duplicated(session, index) {
            let twice = format!(
                "a=group:DUP: this medium and that of line {} are one stream on two networks (RFC 7104); keep one m=",
                lines.medium(other).first("m=").unwrap_or_default()
            );
            return problem(index, "m=", twice);
        }
        if let Some(other) = tracks.iter().position(|other| track::arrive_alike(other, &track)) {
            let alike = format!(
                "m=: the port of line {} in the same group; let the source send each medium to a port of its own, or keep one m=",
                lines.medium(other).first("m=").unwrap_or_default()
            );
            return problem(index, "m=", alike);
        }
        tracks.push(track);
    }
    if tracks.is_empty() {
        return Err(about_all(
            "no medium is enabled; write an m= line with the port the source sends to".into(),
        ));
    }
    filter::check_session(session, &tracks)
        .map_err(|problem| InvalidSdp { line: lines.session().first("a=source-filter"), problem })?;
    Ok(tracks)
}

/// The medium before this one that the session says is the same (RFC 7104 section 3.2).
fn duplicated(session: &Session, index: usize) -> Option<usize> {
    let own = mid(&session.medias[index])?;
    let groups = values(&session.attributes, "group").filter_map(|group| group.strip_prefix("DUP "));
    let with_own = groups.filter(|group| names(group, own)).collect::<Vec<_>>();
    session.medias[..index]
        .iter()
        .position(|other| mid(other).is_some_and(|other| with_own.iter().any(|group| names(group, other))))
}

fn mid(medium: &Media) -> Option<&str> {
    values(&medium.attributes, "mid").next().map(|mid| mid.trim_end_matches(';').trim())
}

fn names(group: &str, mid: &str) -> bool {
    group.split_ascii_whitespace().any(|name| name == mid)
}

fn syntax(error: &ParserError, lines: &Lines) -> InvalidSdp {
    let (place, what) = match *error {
        ParserError::InvalidLineFormat(place, what)
        | ParserError::InvalidFieldEncoding(place, what)
        | ParserError::InvalidFieldFormat(place, what)
        | ParserError::MissingField(place, what)
        | ParserError::FieldTrailingData(place, what) => (place, what),
        _ => return about_all(format!("{error}; RFC 8866 says how it is written")),
    };
    let problem = format!("{what} is missing or not understood; RFC 8866 says how the line is written");
    InvalidSdp { line: lines.number(place), problem }
}

fn about_all(problem: String) -> InvalidSdp {
    InvalidSdp { line: None, problem }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
