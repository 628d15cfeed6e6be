//! A source's description, read from a file's bytes. Errors name the line and what to write there.
//!
//! It reads no file and joins no group.

use sdp_types::{ParserError, Session};

use super::filter;
use super::invalid::InvalidSdp;
use super::legs;
use super::lines::Lines;
use super::mend::{mend, without_disabled};
use super::presentation::{Presentation, TrackDescription};
use super::spread::spread;
use super::track::{self, Reader};

/// The largest description taken, in bytes. Real ones have hundreds, with parameter sets a few thousand.
pub const MAX_SDP_LEN: usize = 64 * 1024;

/// The most tracks a program may have; interleaved in one connection they take two channels each of 256.
pub const MAX_TRACKS: usize = 32;

/// Reads a description that nobody here has written: it may name groups alone, and no port of this machine.
///
/// # Errors
/// The first thing that cannot be used.
pub fn parse_announced(text: &[u8]) -> Result<Presentation, InvalidSdp> {
    let read = parse(text)?;
    let feeds = read.tracks.iter().flat_map(|track| &track.feeds);
    let mut places = feeds.flat_map(|feed| [Some(feed.group), feed.rtcp_group]).flatten();
    match places.find(|place| !place.is_multicast()) {
        Some(place) => Err(about_all(format!("c=: {place} is not a multicast address"))),
        None => Ok(read),
    }
}

/// Reads a source's description: every medium that is not disabled (port 0) becomes a track, and must be RTP
/// (`RTP/AVP` or `RTP/AVPF`, or `MP2T/AVP` for the first) sent to a multicast
/// group, or to an address of this machine.
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
    let lines = spread(&without_disabled(&lines), MAX_TRACKS);
    let mut session = Session::parse(lines.to_text().as_bytes()).map_err(|error| syntax(&error, &lines))?;
    let Tracks { tracks, is_twin, .. } = tracks(&session, &lines)?;
    legs::keep_one_each(&mut session, &is_twin);
    // The profile is RTP's own, whatever the source calls it.
    session.medias.iter_mut().for_each(track::name_profile);
    Ok(Presentation { name: session.session_name.trim().to_owned(), tracks, session })
}

/// What the media are: tracks, or further ways by which one of them comes.
#[derive(Default)]
struct Tracks {
    tracks: Vec<TrackDescription>,
    /// The track of each medium.
    of: Vec<usize>,
    is_twin: Vec<bool>,
}

fn tracks(session: &Session, lines: &Lines) -> Result<Tracks, InvalidSdp> {
    let mut all = Tracks::default();
    let line_of = |index| lines.medium(index).first("m=").unwrap_or_default();
    for (index, medium) in session.medias.iter().enumerate() {
        let problem = |problem| Err(InvalidSdp { line: lines.medium(index).first("m="), problem });
        let track = Reader { session, medium, lines: lines.medium(index) }.track()?;
        if let Some(twin) = legs::twin(session, index) {
            let first = all.of[twin];
            if let Err(wrong) = legs::join(&mut all.tracks[first], track) {
                let line = line_of(twin);
                return problem(format!("a=group:DUP: this medium and that of line {line} {wrong}"));
            }
            all.of.push(first);
            all.is_twin.push(true);
            continue;
        }
        if all.tracks.len() == MAX_TRACKS {
            return problem(format!("m=: more than {MAX_TRACKS} tracks; spread them over several channels"));
        }
        if let Some(other) = all.tracks.iter().position(|other| track::arrive_alike(other, &track)) {
            let line = all.of.iter().position(|of| *of == other).map_or(0, line_of);
            return problem(format!(
                "m=: the port of line {line} in the same group; let the source send each medium to a port of its own, or keep one m="
            ));
        }
        all.of.push(all.tracks.len());
        all.is_twin.push(false);
        all.tracks.push(track);
    }
    if all.tracks.is_empty() {
        return Err(about_all(
            "no medium is enabled; write an m= line with the port the source sends to".into(),
        ));
    }
    filter::check_session(session, &all.tracks)
        .map_err(|problem| InvalidSdp { line: lines.session().first("a=source-filter"), problem })?;
    Ok(all)
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
