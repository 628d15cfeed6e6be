//! PLAY of what was on, of a moment or from where it was paused (RFC 2326 sections 10.5 and 10.6), as it is answered.
//!
//! ```text
//!  PLAY clock=… ─▶ Where::Moment ─┐
//!  PAUSE ─▶ places, kept ─▶ PLAY ─┴▶ a deck is loaded, and looks where it begins; the request waits
//!                                       └▶ the same PLAY once more: what plays rests, and the request waits until all of that is sent
//!                                             └▶ and again: what the first packets are is known, with their numbers, and said
//! ```

use std::sync::Arc;

use crate::relay::Expected;
use crate::storage::{Cued, Pace};
use crate::wire::rtsp::range::{self, Part};
use crate::wire::rtsp::{Method, Reply, RtpInfo, StatusCode};

use super::super::kept::{Extent, NotKept};
use super::super::stats::RefusedFor;
use super::refusal::Refusal;
use super::requests::Asked;
use super::rerun::Coming;
use super::session::Session;
use super::talk::Action;
use super::tempo::{self, Tempo};
use super::wait::Waited;

impl Asked<'_> {
    /// What has to be known before a PLAY that the past is about can be answered, step by step.
    pub fn past_awaited(&mut self) -> Option<Arc<Expected>> {
        if self.request.method != Method::Play {
            return None;
        }
        // Whether the client may have it is found as it is answered.
        let session = self.request.session().and_then(|id| self.world.session(id))?;
        if self.waited.is_none() {
            session.unload();
        }
        // Who does not read goes on from where he is likely to be.
        let paused = session.is_being_paused().filter(|_| self.waited != Some(Waited::TooLong));
        paused.or_else(|| self.past_to_come(&session)).or_else(|| self.past_to_settle(&session))
    }

    /// What has to be found out.
    fn past_to_come(&mut self, session: &Arc<Session>) -> Option<Arc<Expected>> {
        if session.coming().is_some() {
            return None;
        }
        let (range, tempo) = (self.range(session).ok()?, Tempo::of(self.request));
        if range == range::Asked::Anything
            && tempo.scale() == 1
            && (self.is_kept(session) || session.has_alias())
        {
            self.resumed = session.resumed(self.now);
        }
        if self.resumed.is_some() {
            return None;
        }
        let programme = session.programme(range, tempo, self.now)?;
        let rerun = self.world.rerun(&session.channel, programme, self.now);
        self.has_no_seat = matches!(rerun, Err(NotKept::Full));
        let rerun = rerun.ok()?;
        let cue = rerun.deck.cue();
        session.load(rerun);
        Some(cue)
    }

    /// What has to be sent, once it is known what follows that.
    fn past_to_settle(&mut self, session: &Session) -> Option<Arc<Expected>> {
        let asked = self.range(session).ok()?;
        if !session.is_about_to_change(asked) {
            return None;
        }
        // Who may not have it takes nothing from who watches.
        self.aggregate().ok()?.settle(asked, self.now)
    }

    /// Whether what comes of its channel is kept.
    pub fn is_kept(&self, session: &Session) -> bool {
        matches!(self.world.extent(&session.channel), Some(Extent::Since(_)))
    }

    /// What of it is asked for.
    pub fn range(&self, session: &Session) -> Result<range::Asked, Refusal> {
        let header = self.request.header("Range");
        match self.world.extent(&session.channel) {
            Some(Extent::Lasts(duration_us)) => self.part(session, duration_us),
            Some(Extent::Since(_)) | None => {
                range::asked(header).map_err(|not_live| not_live.status().into())
            }
        }
    }

    /// What of a film: from where it is, or from its beginning.
    fn part(&self, session: &Session, duration_us: u64) -> Result<range::Asked, Refusal> {
        let header = self.request.header("Range");
        let Part { from, until } =
            range::part(header).map_err(|not_stored| Refusal::from(not_stored.status()))?;
        let goes_back = Tempo::of(self.request).goes_back();
        let begins_at = if goes_back { duration_us } else { 0 };
        let Some(from) = from.or_else(|| (!session.has_place()).then_some(begins_at)) else {
            return Ok(range::Asked::Anything);
        };
        let is_behind = if goes_back { from > duration_us } else { from >= duration_us };
        let is_reversed = until.is_some_and(|until| if goes_back { until >= from } else { until <= from });
        if is_behind || is_reversed {
            Err(StatusCode::InvalidRange.into())
        } else {
            Ok(range::Asked::Past(from, until))
        }
    }

    /// The answer to a PLAY of the past. `None`: it is of what comes now.
    pub fn play_past(&mut self, session: &Arc<Session>) -> Result<Option<Reply>, Refusal> {
        let asked = self.range(session)?;
        let is_past = matches!(asked, range::Asked::Past(..));
        if self.has_no_seat {
            return Err(self.too_much(RefusedFor::Past));
        }
        if self.resumed.is_some() {
            return Ok(None);
        }
        let Some(Coming { deck, urls }) = session.coming() else {
            // Nothing was kept, or what was asked for has no end that is past: so it is of a channel that is not recorded.
            return if is_past { Err(StatusCode::InvalidRange.into()) } else { Ok(None) };
        };
        session.number_coming(self.now);
        let Some(Cued { from_us, firsts }) = deck.cued() else {
            session.unload();
            return Err(StatusCode::InvalidRange.into());
        };
        let until_us = match asked {
            range::Asked::Past(_, until_us) => until_us,
            range::Asked::Anything | range::Asked::Now => None,
        };
        let first = |number: usize| firsts.get(number.checked_sub(1)?).copied().flatten();
        let info: Vec<_> = urls
            .iter()
            .map(|(number, url)| {
                let (sequence, rtptime) = first(*number).unzip();
                RtpInfo { url, sequence, rtptime }
            })
            .collect();
        let range = match self.world.extent(&session.channel) {
            Some(Extent::Lasts(duration_us)) => {
                let goes_back = matches!(deck.pace(), Pace::Scaled(scale, _) if scale < 0);
                let end_us = if goes_back { Some(until_us.unwrap_or(0)) } else { until_us };
                // BYE tells the end of all. Who is told by both waits for its own clock too: GStreamer's stands still with that.
                range::npt(from_us, end_us.filter(|end_us| *end_us < duration_us))
            }
            _ => range::clock(from_us, until_us),
        };
        let reply = self.ok(Some(session)).range(&range);
        let reply = tempo::told(reply, self.request, deck.pace());
        let agent = self.request.header("User-Agent").map(str::to_owned);
        self.then = Some(Action::StartPast { session: session.clone(), agent });
        Ok(Some(reply.rtp_info(&info)))
    }
}
