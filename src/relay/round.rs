//! A round of a lane: what was there when it began, to all of its members. It takes one run or several.

use std::time::Instant;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The round is over: everything that was there when it began is out.
    Done(Served),
    /// The budget of one run is used up, and the round goes on; its packets arrived no earlier.
    More(Option<Instant>),
    /// The sockets are full, and the round goes on when there is room.
    Blocked,
}

/// What a round has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Served {
    /// The number of the packet that the next round begins with.
    pub head: u64,
    /// When the oldest of its packets arrived; `None` if there was none.
    pub oldest: Option<Instant>,
    /// There is more for who is brought level: the next round is soon, whether anything comes or not.
    pub is_bursting: bool,
}
