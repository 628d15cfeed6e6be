//! One preview: a channel as a film, piece by piece.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::event::clock;
use crate::relay::{Channel, Claim};
use crate::wire::fmp4::{Film, NotShown, Source};

use super::no_preview::NoPreview;
use super::reader::{Read, Reader};
use super::seats::Seat;

/// How often the rings are looked at: twice a picture of 25 a second.
const LOOK: Duration = Duration::from_millis(20);

/// One channel, shown to one who asks for piece after piece: what a film begins with, and fragments. Ends as it goes.
pub struct Preview {
    channel: Arc<Channel>,
    film: Film,
    reader: Reader,
    ticks: Interval,
    /// What was made before it was asked for.
    first: Option<Bytes>,
    media_type: String,
    _claim: Claim,
    _seat: Seat,
}

pub(super) fn ticks() -> Interval {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Preview {
    pub(super) fn new(channel: Arc<Channel>, claim: Claim, seat: Seat) -> Result<Self, NoPreview> {
        let presentation = channel.presentation();
        let sources = channel.tracks.iter().enumerate().map(|(number, track)| Source {
            media: &track.description.media,
            encoding: track.description.encoding.as_deref(),
            payload_type: track.description.payload_types.first().copied().unwrap_or_default(),
            clock_rate: track.description.clock_rate,
            parameters: presentation.parameters(number),
        });
        let film = Film::new(&sources.collect::<Vec<_>>()).map_err(NoPreview::NotShown)?;
        let reader = Reader::enter(&channel, &film.wanted().collect::<Vec<_>>(), clock::now());
        let (first, media_type) = (None, String::new());
        Ok(Self { channel, film, reader, ticks: ticks(), first, media_type, _claim: claim, _seat: seat })
    }

    /// Waits until it is known how it is played.
    pub(super) async fn begin(&mut self) -> Result<(), NoPreview> {
        self.first = poll_fn(|context| self.poll_next(context)).await;
        self.media_type = self.film.media_type().ok_or_else(|| self.why_not())?;
        Ok(())
    }

    fn why_not(&self) -> NoPreview {
        self.film.refusal().cloned().map_or(NoPreview::Gone, NoPreview::NotShown)
    }

    /// Its media type with the codecs in it, as a page has to know before it takes any of it.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// What of the channel is not in it.
    #[must_use]
    pub fn left_out(&self) -> Option<&NotShown> {
        self.film.left_out()
    }

    /// The next piece, once there is one. `None`: the channel has gone, or is coded in another way now.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        loop {
            let film = &mut self.film;
            let has_more = self.reader.read(|track, read| match read {
                Read::Packet(packet, came) => film.take(track, packet, came),
                Read::Report(report) => film.hear(track, report),
                Read::Lost => film.lose(),
            });
            if let Some(piece) = film.give() {
                return Poll::Ready(Some(piece.into()));
            }
            if film.refusal().is_some() || self.channel.is_gone() {
                return Poll::Ready(None);
            }
            if has_more {
                // Others have their turn first.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(self.ticks.poll_tick(context));
        }
    }
}
