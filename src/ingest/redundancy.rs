//! Redundancy: what becomes of a stream that comes by several legs.

use std::time::Duration;

use crate::wire::failover::Rules;

/// How the legs of a track are one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redundancy {
    /// They carry the same packets (SMPTE ST 2022-7), and one may be so far behind another.
    Merge {
        /// What follows a gap waits so long.
        skew: Duration,
    },
    /// They are sources of one programme each, of which one is followed at a time.
    Failover(Rules),
}

impl Default for Redundancy {
    fn default() -> Self {
        Self::Merge { skew: Duration::from_millis(50) }
    }
}

/// One leg of a track that has several, and what it has brought.
#[derive(Debug, Clone, Default)]
pub struct LegStats {
    /// Its channel.
    pub channel: String,
    /// Its track's number.
    pub track: usize,
    /// Its own, from 1.
    pub leg: usize,
    /// Whether its groups are joined.
    pub joined: bool,
    /// Whether nothing comes by it.
    pub silent: bool,
    /// What it has brought.
    pub brought: Brought,
}

/// What a leg has brought.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// Packets that came, of the track's payload types.
    pub packets: u64,
    /// Sequence numbers that were given up, as if it were the only leg.
    pub lost: u64,
    /// Packets that viewers have by it.
    pub used: u64,
    /// Packets that they do not have by it, by reason.
    pub unused: Vec<(&'static str, u64)>,
    /// How far it is behind the first copies: a mean of the newest, and the largest of half a minute or a whole one.
    pub skew: Option<(Duration, Duration)>,
    /// Times that it was switched to.
    pub switches: u64,
    /// Whether it is the one that is followed; or brings what the other legs bring.
    pub active: bool,
}
