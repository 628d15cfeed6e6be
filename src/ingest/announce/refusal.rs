//! Why an announcement changes nothing, and how often that was so.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::wire::sap::NotSap;

/// Why an announcement is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The kernel had no room for it any more.
    Queue,
    /// It is none that can be read.
    NotSap(NotSap),
    /// It was not sent to a group that is listened to.
    Place,
    /// Who sends it, or says that it is his, is none of those who are believed.
    Origin,
    /// More new ones came than are looked at.
    Pace,
    /// What it describes can not be received.
    Description,
    /// There are as many sessions as there may be.
    Sessions,
    /// There are as many of this sender.
    Sender,
    /// The session is announced by somebody else.
    OtherSender,
    /// It is a version that was replaced, and what replaced it is still announced.
    Superseded,
    /// The session changes too often, or its sender begins too many.
    Changes,
    /// It describes what we send ourselves, or would take from another channel what is its own.
    Barred,
    /// It comes to a port that media leaves from.
    Port,
    /// No session that is known is to be deleted.
    Unknown,
}

impl Refusal {
    /// All reasons, so that counters can be laid out once.
    pub const ALL: [Self; 20] = [
        Self::Queue,
        Self::NotSap(NotSap::Short),
        Self::NotSap(NotSap::Version),
        Self::NotSap(NotSap::Encrypted),
        Self::NotSap(NotSap::Compressed),
        Self::NotSap(NotSap::Type),
        Self::NotSap(NotSap::Empty),
        Self::NotSap(NotSap::Long),
        Self::Place,
        Self::Origin,
        Self::Pace,
        Self::Description,
        Self::Sessions,
        Self::Sender,
        Self::OtherSender,
        Self::Superseded,
        Self::Changes,
        Self::Barred,
        Self::Port,
        Self::Unknown,
    ];

    /// Whether it is one who is believed that is refused, and what he sends is not ours: the network brings what others announce.
    pub const fn is_of_a_sender(self) -> bool {
        !matches!(self, Self::Queue | Self::Place | Self::Origin | Self::NotSap(_) | Self::Barred)
    }

    /// A stable word for this reason, for metric labels.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotSap(not) => not.reason(),
            Self::Queue => "queue",
            Self::Place => "place",
            Self::Origin => "origin",
            Self::Pace => "pace",
            Self::Description => "description",
            Self::Sessions => "sessions",
            Self::Sender => "sender",
            Self::OtherSender => "other_sender",
            Self::Superseded => "superseded",
            Self::Changes => "changes",
            Self::Barred => "barred",
            Self::Port => "port",
            Self::Unknown => "unknown",
        }
    }
}

impl From<NotSap> for Refusal {
    fn from(not: NotSap) -> Self {
        Self::NotSap(not)
    }
}

/// A refusal, and what the log may be told of it, if it was not yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub Refusal, pub Option<String>);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal, None)
    }
}

/// What became of all that was heard.
#[derive(Debug, Default)]
pub struct AnnouncementStats {
    /// Announcements that were taken, those of sessions that are known among them.
    pub(super) taken: AtomicU64,
    /// Sessions now.
    pub(super) sessions: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl AnnouncementStats {
    /// Announcements that were taken, those of sessions that are known among them.
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Sessions now.
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Relaxed)
    }

    /// Those that were not, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Refusal::ALL.iter().zip(&self.refused);
        counts.map(|(refusal, count)| (refusal.reason(), count.load(Relaxed)))
    }

    pub(super) fn refuse(&self, refusal: Refusal, count: u64) {
        if let Some(place) = Refusal::ALL.iter().position(|known| *known == refusal) {
            self.refused[place].fetch_add(count, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_refusal_is_counted_under_a_word_of_its_own() {
        let stats = AnnouncementStats::default();
        Refusal::ALL.iter().for_each(|refusal| stats.refuse(*refusal, 1));
        let words: HashSet<_> = stats.refused().map(|(reason, _)| reason).collect();
        assert_eq!(words.len(), Refusal::ALL.len());
        assert!(stats.refused().all(|(_, count)| count == 1));
        assert_eq!(NotSap::ALL.iter().filter(|not| words.contains(not.reason())).count(), NotSap::ALL.len());
    }
}
