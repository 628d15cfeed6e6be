//! A track apart: for one who watches what is past. Its packets leave as those of the channel do, by a dispatch of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::wire::renumbering::Renumbering;

use super::beat::Coalesce;
use super::dispatch::Dispatch;
use super::ring::{Packet, RingLimits};
use super::track::Track;

impl Track {
    /// Another track that carries the same, and nothing comes to but what is put into it.
    #[must_use]
    pub fn apart(&self, limits: RingLimits, dispatch: &Dispatch, now: Instant) -> Arc<Self> {
        // What is put into it is much at a time as it is.
        let (outward, coalesce) = (&self.rtp.outward, Coalesce::Fixed(Duration::ZERO));
        Self::new(outward, self.number, self.description.clone(), limits, coalesce, dispatch, now)
    }

    /// Ticks a second of its timestamps: where nothing tells it, as most have.
    #[must_use]
    pub fn clock_rate(&self) -> u32 {
        self.description.clock_rate.unwrap_or(90_000)
    }

    /// Numbers what was put into it otherwise. Nobody has been sent any of it.
    pub fn renumber(&self, by: &Renumbering) {
        self.rtp.ring().renumber(by);
    }

    /// Takes in packets that were kept, and has them sent.
    pub fn replay(&self, packets: Vec<Packet>, now: Instant) {
        if packets.is_empty() {
            return;
        }
        self.rtp.push(packets);
        self.signs.came(self.signs.since_epoch(now));
        self.rtp.tell_now(now);
    }
}
