//! The two classes of work: media, and control, which yields to it.

use super::Priority;

/// Which tables a descriptor may share, and which queue runs its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Packets: receive sockets, connections that wait for room, and the timers of both.
    Media,
    /// Everything else: listeners, connections that are read, viewers' reports, all other timers.
    Control,
}

impl Class {
    /// As metrics and thread names carry it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Control => "control",
        }
    }

    /// What the threads of its tables run at.
    pub(super) fn priority(self) -> Priority {
        match self {
            Self::Media => Priority::Usual,
            Self::Control => Priority::Low,
        }
    }
}
