//! A Standby: one more leg of a track, which nobody sends: what comes from files, for as long as nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::relay::{NOWHERE, Screen, Track};
use crate::wire::rtcp::{Counts, SenderTime};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

use super::arrivals::Came;
use super::redundancy::LegStats;
use super::switching::{Incoming, Switching};

/// It is silent when nothing was shown for so long.
const SILENT_AFTER: Duration = Duration::from_secs(2);

pub(super) struct Standby {
    track: Arc<Track>,
    /// Which of the track's legs it is, from 0: the last.
    place: usize,
    switching: Arc<Switching>,
    /// Microseconds from the track's epoch to the newest packet, 0 before the first.
    shown_us: AtomicU64,
    /// Something of it is one of the track's, and was not passed on.
    has_news: AtomicBool,
}

impl Standby {
    pub fn new(track: Arc<Track>, place: usize, switching: Arc<Switching>) -> Arc<Self> {
        track.set_joined(place, true);
        let (shown_us, has_news) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { track, place, switching, shown_us, has_news })
    }

    /// What it has brought.
    pub fn stats(&self, now: Instant) -> LegStats {
        let shown_at = Duration::from_micros(self.shown_us.load(Relaxed));
        let silent = shown_at.is_zero() || self.track.signs.since_epoch(now) > shown_at + SILENT_AFTER;
        LegStats {
            channel: self.track.channel().to_owned(),
            track: self.track.number,
            leg: self.place + 1,
            joined: true,
            silent,
            brought: self.switching.brought(self.place),
        }
    }
}

impl Screen for Standby {
    fn show(
        &self,
        _track: usize,
        (header, bytes): (&RtpHeader, &[u8; FIXED_HEADER_LEN]),
        payload: &[u8],
        now: Instant,
    ) {
        let us = (self.track.signs.since_epoch(now).as_micros() as u64).max(1);
        self.shown_us.store(us, Relaxed);
        let packet = Incoming { header, own_header: Some(bytes), datagram: payload, from: NOWHERE };
        let is_news = self.switching.receive(self.place, packet, Came { at: now, taken_at: now });
        self.has_news.fetch_or(is_news, Relaxed);
    }

    /// A transport stream says itself what time it is.
    fn report(&self, _track: usize, _time: &SenderTime, _counts: Counts, _now: Instant) {}

    fn pass_on(&self, _track: usize, now: Instant) {
        if self.has_news.swap(false, Relaxed) {
            self.track.rtp.tell_now(now);
        }
    }
}
