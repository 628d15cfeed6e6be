//! How far a viewer over UDP has been sent a track: what is beyond that it has not lost.

use std::sync::Weak;

use super::burst::Pinned;
use super::handover::Place;
use super::lane::Lane;

/// How far one viewer has been sent a track.
#[derive(Clone)]
pub struct Reach {
    lane: Weak<Lane>,
    /// Where it stands while it is brought level.
    behind: Option<Pinned>,
}

impl Reach {
    /// Of one who begins there in a lane.
    pub(super) fn of(lane: Weak<Lane>, from: &Place) -> Self {
        let behind = match from {
            Place::At(spot) => spot.burst.as_ref().map(|burst| burst.place()),
            Place::After(_) => None,
        };
        Self { lane, behind }
    }

    /// The number of the packet up to which it is sent all, or is about to be.
    pub fn next(&self) -> u64 {
        let behind = self.behind.as_ref().and_then(Pinned::number);
        self.lane.upgrade().map_or(0, |lane| lane.reached()).min(behind.unwrap_or(u64::MAX))
    }

    /// The number of the packet up to which it was sent all; of a round that is under way it may have more.
    pub fn settled(&self) -> u64 {
        self.lane.upgrade().map_or(0, |lane| lane.settled()).min(self.next())
    }
}
