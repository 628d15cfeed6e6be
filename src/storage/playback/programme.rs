//! What a deck plays, and where that begins.

use std::sync::Arc;

use super::numbering::Sent;
use super::pace::Pace;
use super::reel::Kept;
use super::seats::Seat;

/// What is played.
pub struct Programme {
    /// From where on.
    pub from: Begin,
    /// Up to what came then, in microseconds since 1970; on to what comes now where absent.
    pub until_us: Option<u64>,
    /// How fast.
    pub pace: Pace,
    /// What the viewer was sent of each track before, if it was sent anything.
    pub after: Vec<Option<Sent>>,
    /// The viewer's place among those who watch the past, if it has one.
    pub seat: Option<Arc<Seat>>,
}

/// Where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// At the newest picture that a decoder can start with and that came by then, in microseconds since 1970.
    Picture(u64),
    /// Each track at the packet that came then, and has this SSRC and sequence number if these are known.
    Packets(Vec<Kept>),
}

impl Begin {
    /// When that came, in microseconds, where it is said.
    pub fn us(&self) -> Option<u64> {
        match self {
            Self::Picture(from_us) => Some(*from_us),
            Self::Packets(_) => None,
        }
    }
}

/// Where it has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cued {
    /// When what is played first came, in microseconds since 1970.
    pub from_us: u64,
    /// Sequence number and timestamp of each track's first packet, as far as one is there.
    pub firsts: Vec<Option<(u16, u32)>>,
}
