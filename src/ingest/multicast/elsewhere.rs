//! Channels whose streams are sent elsewhere from some moment on, and go on for who watches them.

use std::sync::Arc;

use crate::relay::Channel;
use crate::wire::sdp::TrackDescription;

use super::super::leg::Leg;
use super::super::redundancy::Redundancy;
use super::receivers::Receivers;

impl Receivers {
    /// Receives a channel's tracks from where these come from now on, of which each has as many feeds. What the stream has left
    /// out on its way is no loss.
    pub fn receive_elsewhere(
        &self,
        channel: &Arc<Channel>,
        tracks: &[TrackDescription],
        on: impl Fn(usize) -> Option<String>,
        redundancy: Redundancy,
    ) {
        self.forget(channel);
        let both = || channel.tracks.iter().zip(tracks);
        for (track, from) in both() {
            track.pause();
            track.comes_from(&from.feeds);
        }
        let sockets = self.sockets();
        let legs = both().flat_map(|(track, from)| Leg::by(track, &from.feeds, redundancy, &sockets));
        self.begin(channel, legs, on);
    }
}
