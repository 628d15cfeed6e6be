//! One announced session: by whom, in which version, and when it was heard last.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::wire::sap::Announcement;
use crate::wire::sdp::SessionIdentity;

use super::allowance::Allowance;

/// What a description's bytes come to.
pub(super) type Fingerprint = [u8; 32];

/// So many replaced versions are known again.
const REPLACED: usize = 8;
/// A session may change so often at once, and once more each so often: each change has its viewers' tracks made anew.
const CHANGES: (u32, Duration) = (5, Duration::from_secs(10));
/// The same announcement comes by several groups and interfaces, and a device that starts repeats it: those tell no interval.
const LEAST_GAP: Duration = Duration::from_secs(1);
/// Who was not heard for twice his interval has fallen silent; but not sooner, and so long at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// Nobody who announces less often is waited for longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// What is known of it.
#[derive(Debug)]
pub(super) struct Session {
    /// Its channel.
    pub name: String,
    /// Who alone may change or delete it, as long as he is heard.
    pub sender: IpAddr,
    /// What its description's bytes come to.
    pub fingerprint: Fingerprint,
    identity: SessionIdentity,
    hash: u16,
    origin: IpAddr,
    /// By whomever it was.
    heard_at: Instant,
    sender_heard_at: Instant,
    /// Between the latest announcements of its sender.
    gaps: [Option<Duration>; 2],
    replaced: VecDeque<Fingerprint>,
    changes: Allowance,
}

impl Session {
    pub fn new(
        name: String,
        identity: SessionIdentity,
        announcement: &Announcement<'_>,
        (sender, fingerprint): (IpAddr, Fingerprint),
        now: Instant,
    ) -> Self {
        Self {
            name,
            sender,
            fingerprint,
            identity,
            hash: announcement.hash,
            origin: announcement.origin,
            heard_at: now,
            sender_heard_at: now,
            gaps: [None; 2],
            replaced: VecDeque::new(),
            changes: Allowance::new(CHANGES.0, CHANGES.1, now),
        }
    }

    /// The same description was heard again. Of a sender who has fallen silent it is another one's, who announces it as well.
    pub fn hear(&mut self, announcement: &Announcement<'_>, sender: IpAddr, now: Instant) {
        self.heard_at = now;
        if sender != self.sender && self.is_kept(now) {
            return;
        }
        let gap = now.saturating_duration_since(self.sender_heard_at);
        if gap >= LEAST_GAP {
            self.gaps = [Some(gap), self.gaps[0]];
        }
        (self.sender, self.sender_heard_at) = (sender, now);
        // One that was started anew gives it another hash.
        (self.hash, self.origin) = (announcement.hash, announcement.origin);
    }

    /// Whether its sender is heard, and has it as it is.
    pub fn is_kept(&self, now: Instant) -> bool {
        let (least, most) = PATIENCE;
        let patience = self.interval().map_or(most, |interval| (2 * interval).clamp(least, most));
        now.saturating_duration_since(self.sender_heard_at) <= patience
    }

    /// Whether this is what it once was.
    pub fn was(&self, fingerprint: &Fingerprint) -> bool {
        self.replaced.contains(fingerprint)
    }

    /// Whether it may change now. That counts as a change.
    pub fn may_change(&mut self, now: Instant) -> bool {
        self.changes.take(now)
    }

    /// It is another version from now on.
    pub fn change(
        &mut self,
        announcement: &Announcement<'_>,
        (sender, fingerprint): (IpAddr, Fingerprint),
        now: Instant,
    ) {
        self.replaced.retain(|replaced| *replaced != fingerprint);
        self.replaced.push_back(self.fingerprint);
        if self.replaced.len() > REPLACED {
            self.replaced.pop_front();
        }
        self.fingerprint = fingerprint;
        (self.sender, self.heard_at, self.sender_heard_at) = (sender, now, now);
        (self.hash, self.origin) = (announcement.hash, announcement.origin);
    }

    /// Whether a deletion may be about this very version. One of a version that was replaced is not (RFC 2974 section 6).
    pub fn may_be_meant(&self, deletion: &Announcement<'_>) -> bool {
        if deletion.hash == 0 {
            return !deletion.description.is_empty();
        }
        (deletion.hash, deletion.origin) == (self.hash, self.origin)
    }

    /// Whether it is of the origin that a deletion names.
    pub fn is_of(&self, named: &SessionIdentity) -> bool {
        named.is_of_origin(&self.identity)
    }

    /// When it is over, if nothing is heard of it: ten intervals after the last time, and `least` (RFC 2974 section 4).
    pub fn ends_at(&self, least: Duration) -> Instant {
        let by_interval = self.interval().map_or(Duration::ZERO, |interval| 10 * interval);
        self.heard_at + by_interval.min(LONGEST_TIMEOUT).max(least)
    }

    /// How often it is announced, where one that was lost does not count.
    fn interval(&self) -> Option<Duration> {
        self.gaps.iter().flatten().min().copied()
    }
}
