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
    /// The viewers change to another channel.
    Zap,
    /// Noise: receiver reports of the viewers who play.
    Reports,
    /// Noise: DESCRIBE alone, as fast as it is answered.
    Describe,
    /// Noise: scrapes of the metrics, back to back.
    Scrape,
    /// Noise: connections that are opened, and closed at once.
    Connect,
    /// Noise: connections of all bad kinds at once.
    Hostile,
}

impl Kind {
    /// As it is written in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Teardown => "leave by TEARDOWN",
            Self::Close => "leave by closing",
            Self::Restart => "restart",
            Self::Zap => "zap",
            Self::Reports => "receiver reports",
            Self::Describe => "DESCRIBE",
            Self::Scrape => "scrapes",
            Self::Connect => "connections",
            Self::Hostile => "hostile connections",
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

    /// Whether nobody comes or goes.
    pub fn is_noise(self) -> bool {
        matches!(self, Self::Reports | Self::Describe | Self::Scrape | Self::Connect | Self::Hostile)
    }

    /// Whether the storm is measured by the calm before it, not by the one after: the viewers who leave are a
    /// load no more, and noise is to be told from what was right before.
    pub fn compares_before(self) -> bool {
        self.is_noise() || !self.has_viewers_after()
    }
}
