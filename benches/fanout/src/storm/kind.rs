//! The kinds of storm.

/// What happens all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The viewers join.
    Join,
    /// The viewers leave: TEARDOWN on each connection.
    Teardown,
    /// The viewers leave: their connections are closed.
    Close,
    /// The relay is killed and started again.
    Restart,
}

impl Kind {
    /// As it is written in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Teardown => "leave by TEARDOWN",
            Self::Close => "leave by closing",
            Self::Restart => "restart",
        }
    }

    /// Whether the viewers play before the storm.
    pub fn has_viewers_before(self) -> bool {
        self != Self::Join
    }

    /// Whether the viewers play after the storm.
    pub fn has_viewers_after(self) -> bool {
        !matches!(self, Self::Teardown | Self::Close)
    }

    /// Whether calm is what was before the storm: what comes after it is another load, or the same.
    pub fn compares_before(self) -> bool {
        matches!(self, Self::Teardown | Self::Close)
    }
}
