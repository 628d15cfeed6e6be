//! The tracks of a channel, as a screen.

use std::sync::Arc;
use std::time::Instant;

use crate::relay::{Channel, NOWHERE, Screen};
use crate::wire::rtcp::{Counts, Reflectable, SenderTime, sender_report};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// Those of a channel of its own.
pub(super) struct Tracks(pub Arc<Channel>);

impl Screen for Tracks {
    fn show(
        &self,
        track: usize,
        header: (&RtpHeader, &[u8; FIXED_HEADER_LEN]),
        payload: &[u8],
        now: Instant,
    ) {
        let Some(track) = self.0.tracks.get(track) else { return };
        track.receive_bare((header.0, header.1), payload, NOWHERE, now);
    }

    fn report(&self, track: usize, time: &SenderTime, counts: Counts, now: Instant) {
        let Some(track) = self.0.tracks.get(track) else { return };
        let packet = sender_report(&self.0.name, time, counts);
        track.receive_rtcp(&Reflectable { packet: &packet, sender: Some(*time) }, now);
        track.rtcp.tell_now(now);
    }

    fn pass_on(&self, track: usize, now: Instant) {
        self.0.tracks.get(track).iter().for_each(|track| track.rtp.tell_now(now));
    }
}
