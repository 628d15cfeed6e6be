//! A track apart: for one who watches what is past. Its packets leave as those of the channel do.

use std::sync::Arc;
use std::time::Instant;

use crate::wire::renumbering::Renumbering;

use super::ring::{Packet, RingLimits};
use super::track::Track;

impl Track {
    /// Another track that carries the same, and nothing comes to but what is put into it.
    #[must_use]
    pub fn apart(&self, limits: RingLimits, now: Instant) -> Arc<Self> {
        let (outward, dispatch, coalesce) =
            (&self.rtp.outward, &self.rtp.dispatch, self.rtp.rhythm().coalesce());
        Self::new(outward, self.number, self.description.clone(), limits, coalesce, dispatch, now)
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
