//! Legs that do not help: silent ones, and ones that bring another stream, or bring it too late. Looked at each second, told
//! once an episode; media flows by the other legs meanwhile.

use std::time::{Duration, Instant};

use crate::event::Episode;
use crate::wire::merge::Useless;

use super::leg::Leg;
use super::said::Said;
use super::unheard;

/// What was seen of one leg, and told.
#[derive(Debug, Default)]
pub(super) struct LegWatch {
    joined_since: Option<Instant>,
    silence: Said,
    useless: Episode,
}

/// What is new of a leg.
#[derive(Debug)]
pub(super) enum News {
    Silent,
    Sends,
    Useless(Useless),
}

impl LegWatch {
    /// Looks at a leg that is one of several.
    pub fn look(&mut self, leg: &Leg, silent_after: Duration, now: Instant) -> Vec<News> {
        if !leg.is_joined() {
            self.joined_since = None;
            leg.set_silent(true);
            return Vec::new();
        }
        let since = *self.joined_since.get_or_insert(now);
        let silent_since = leg.last_heard().map_or(since, |last| last.max(since));
        let is_silent = now.saturating_duration_since(silent_since) >= silent_after;
        leg.set_silent(is_silent);
        // What its track's silence explains is told already.
        let is_told_of = is_silent && (self.silence.silent || !leg.track.is_silent());
        let silence = self.silence.change(is_told_of, now);
        let useless = leg.useless(now).filter(|_| self.useless.begins(now)).map(News::Useless);
        let silence = silence.map(|silent| if silent { News::Silent } else { News::Sends });
        silence.into_iter().chain(useless).collect()
    }
}

impl News {
    /// Tells the log of it. What is asked for is the interface that the leg is joined on.
    pub fn tell(&self, leg: &Leg, interface: impl Fn() -> Option<String>) {
        let (channel, track, number) = (leg.track.channel(), leg.track.number, leg.number());
        match self {
            Self::Sends => tracing::info!(channel, track, leg = number, "leg {number} sends"),
            Self::Silent if leg.last_heard().is_some() => {
                tracing::warn!(
                    channel,
                    track,
                    leg = number,
                    "leg {number} is silent; others bring the stream"
                );
            }
            Self::Silent => {
                let interface = interface().unwrap_or_else(|| "any".to_owned());
                let advice = unheard::advice(leg.feed.group, &leg.feed.filter, &interface);
                tracing::warn!(channel, track, leg = number, "leg {number} is silent: {advice}");
            }
            Self::Useless(Useless::OtherStream) => tracing::warn!(
                channel,
                track,
                leg = number,
                "the legs are not the same stream: leg {number} brings another one, which nobody gets; let both \
                 senders send the same packets, or write redundancy = \"failover\""
            ),
            Self::Useless(Useless::TooLate) => tracing::warn!(
                channel,
                track,
                leg = number,
                "leg {number} is further behind than skew allows, and what others lose is not made up by it; \
                 mirrorball_leg_skew_seconds says how far: write a longer skew"
            ),
        }
    }
}
