//! Why there is no preview, in words for who wanted one.

use crate::wire::fmp4::NotShown;

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPreview {
    /// No channel has this name.
    #[error("there is no such channel")]
    NoChannel,
    /// As many run as may.
    #[error("{0} previews run already, which is as many as may")]
    TooMany(usize),
    /// None may run.
    #[error("there are no previews here: [admin] previews is 0")]
    Off,
    /// Joining it would take more of the line than there is.
    #[error("there is no room on the line for this channel")]
    Line,
    /// Browsers do not play it.
    #[error("it can not be shown: {0}")]
    NotShown(NotShown),
    /// Nothing that a decoder can start with came in time.
    #[error("nothing came to begin with within {0} s: {1}")]
    Nothing(u64, &'static str),
    /// The channel is no more.
    #[error("the channel has gone")]
    Gone,
}

impl NoPreview {
    /// All reasons, so that counters can be laid out once.
    pub(super) const REASONS: [&'static str; 5] = ["channel", "limit", "line", "coding", "nothing"];

    /// A stable word for this reason, for metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoChannel | Self::Gone => "channel",
            Self::TooMany(_) | Self::Off => "limit",
            Self::Line => "line",
            Self::NotShown(_) => "coding",
            Self::Nothing(..) => "nothing",
        }
    }

    /// The same as a status of HTTP.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NoChannel | Self::Gone => 404,
            Self::NotShown(_) => 415,
            Self::TooMany(_) | Self::Off | Self::Line => 503,
            Self::Nothing(..) => 504,
        }
    }
}
