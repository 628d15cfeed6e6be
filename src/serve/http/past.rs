//! What was on, for who asks for that: played from what is kept of the channel, as far as it is.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::clock;
use crate::relay::{Channel, Track};
use crate::storage::{Begin, Deck, Pace, Programme};
use crate::wire::http::Past;

use super::super::kept::{NotKept, Rerun};
use super::super::stats::RefusedFor;
use super::asked::Asked;
use super::refusal::Refusal;

/// A recording that is about to be the body of a reply.
pub(super) struct Film {
    pub deck: Arc<Deck>,
    /// What it goes into.
    pub track: Arc<Track>,
    /// What it is called where it is saved.
    pub called: String,
}

impl Film {
    /// What is asked for of a channel with one track. `None`: what comes now.
    pub fn of(
        asked: &Asked<'_>,
        channel: &Channel,
        past: &Past,
        now: Instant,
    ) -> Result<Option<Self>, Refusal> {
        let zone = &asked.presence.config().time_zone;
        let (from_us, until_us) = past.span_us(zone).map_err(|text| Refusal::of(400, text))?;
        if clock::unix_now().as_micros() < from_us.into() {
            return Ok(None);
        }
        // What has an end is a file to be had, and what has none is watched.
        let pace = if until_us.is_some() { Pace::AsItIsTaken } else { Pace::AS_IT_CAME };
        let programme =
            Programme { from: Begin::Picture(from_us), until_us, pace, after: Vec::new(), seat: None };
        let rerun = asked.server().rerun(channel, programme, now);
        let Rerun { deck, tracks } = rerun.map_err(|not_kept| match not_kept {
            NotKept::Never => Refusal::of(404, "This channel is not recorded."),
            NotKept::NotThen => Refusal::of(404, "Of that time nothing is kept."),
            NotKept::Full => {
                asked.server().counters.session_refused(RefusedFor::Past);
                Refusal::too_much(RefusedFor::Past, asked.request.client.peer.port())
            }
        })?;
        let film = |track| Self { deck, track, called: called(&channel.name, from_us, zone) };
        Ok(tracks.into_iter().next().map(film))
    }
}

/// `news-20261128-093719.ts`
fn called(channel: &str, from_us: u64, zone: &TimeZone) -> String {
    let at =
        i64::try_from(from_us).ok().and_then(|us| Timestamp::from_microsecond(us).ok()).unwrap_or_default();
    let time = zone.to_datetime(at).strftime("%Y%m%d-%H%M%S");
    format!("{}-{time}.ts", channel.replace('/', "-"))
}
