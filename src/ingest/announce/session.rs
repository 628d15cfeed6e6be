//! One announced session: by whom, in which version, and when it was heard last.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::wire::sap::Announcement;
use crate::wire::sdp::{Presentation, SessionIdentity};

use super::allowance::Allowance;

/// What a description's bytes come to.
pub(super) type Fingerprint = [u8; 32];

/// So many replaced versions are known again.
const REPLACED: usize = 8;
/// A session may change so often at once, and once more each so often: each change has its viewers' tracks made anew.
const CHANGES: (u32, Duration) = (5, Duration::from_secs(10));
/// The same announcement comes by several interfaces, and a device that starts repeats it: those tell no interval.
const LEAST_GAP: Duration = Duration::from_secs(1);
/// Who was not heard for twice his interval has fallen silent; but not sooner.
const LEAST_PATIENCE: Duration = Duration::from_secs(60);
/// Nobody who announces less often is waited for longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// An announcement as it came.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    pub announcement: &'a Announcement<'a>,
    /// What its description's bytes come to.
    pub fingerprint: Fingerprint,
    pub sender: IpAddr,
    /// Where it was sent to.
    pub group: IpAddr,
}

impl Heard<'_> {
    /// Who announces it by his own word, or whom it comes from if he gives none.
    pub fn announcer(&self) -> IpAddr {
        announcer(self.announcement, self.sender)
    }
}

/// Who makes an announcement that comes from there.
pub(super) fn announcer(announcement: &Announcement<'_>, sender: IpAddr) -> IpAddr {
    if announcement.origin.is_unspecified() { sender } else { announcement.origin }
}

/// What is known of it.
#[derive(Debug)]
pub(super) struct Session {
    /// Its channel.
    pub name: String,
    pub identity: SessionIdentity,
    /// Who alone may change or delete it.
    pub sender: IpAddr,
    /// What its channel is to be, until it is.
    pub owed: Option<Presentation>,
    /// There is its channel, as it is or was.
    pub is_served: bool,
    /// That somebody else announces it was told.
    pub is_contested: bool,
    /// One that is not heard for so long, and for ten of its intervals, is over.
    timeout: Duration,
    fingerprint: Fingerprint,
    hash: u16,
    origin: IpAddr,
    /// By whomever it was.
    heard_at: Instant,
    sender_heard_at: Instant,
    /// Where its sender's announcements are counted, and when the last came there: to other groups he sends copies of them.
    counted: (IpAddr, Instant),
    /// Between the latest that were counted.
    gaps: [Option<Duration>; 2],
    replaced: VecDeque<Fingerprint>,
    changes: Allowance,
}

impl Session {
    pub fn new(
        name: String,
        identity: SessionIdentity,
        heard: Heard<'_>,
        presentation: Presentation,
        timeout: Duration,
        now: Instant,
    ) -> Self {
        Self {
            name,
            identity,
            sender: heard.sender,
            owed: Some(presentation),
            is_served: false,
            is_contested: false,
            timeout,
            fingerprint: heard.fingerprint,
            hash: heard.announcement.hash,
            origin: heard.announcement.origin,
            heard_at: now,
            sender_heard_at: now,
            counted: (heard.group, now),
            gaps: [None; 2],
            replaced: VecDeque::new(),
            changes: Allowance::new(CHANGES.0, CHANGES.1, now),
        }
    }

    /// Whether it is announced as it is.
    pub fn is(&self, heard: &Heard<'_>) -> bool {
        self.fingerprint == heard.fingerprint && self.identity.is_the_same_by(heard.announcer())
    }

    /// It was heard as it is, from whom it is or from another one, who is not heard himself thereby.
    pub fn hear(&mut self, heard: Heard<'_>, is_his: bool, now: Instant) {
        self.heard_at = now;
        if !is_his {
            return;
        }
        self.be_of(heard, now);
        self.count(heard.group, now);
        // One that was started anew gives it another hash.
        (self.hash, self.origin) = (heard.announcement.hash, heard.announcement.origin);
    }

    /// Its sender has announced what it does not become.
    pub fn hear_otherwise(&mut self, now: Instant) {
        (self.heard_at, self.sender_heard_at) = (now, now);
    }

    /// It is another version from now on.
    pub fn change(&mut self, heard: Heard<'_>, presentation: Presentation, now: Instant) {
        self.replaced.retain(|replaced| *replaced != heard.fingerprint);
        self.replaced.push_back(self.fingerprint);
        if self.replaced.len() > REPLACED {
            self.replaced.pop_front();
        }
        (self.fingerprint, self.owed, self.heard_at) = (heard.fingerprint, Some(presentation), now);
        self.be_of(heard, now);
        (self.hash, self.origin) = (heard.announcement.hash, heard.announcement.origin);
    }

    /// It is this sender's, of whom nothing is known if he is another one than before.
    fn be_of(&mut self, heard: Heard<'_>, now: Instant) {
        self.sender_heard_at = now;
        if heard.sender != self.sender {
            (self.sender, self.is_contested) = (heard.sender, false);
            (self.counted, self.gaps) = ((heard.group, now), [None; 2]);
            self.changes = Allowance::new(CHANGES.0, CHANGES.1, now);
        }
    }

    fn count(&mut self, group: IpAddr, now: Instant) {
        let gap = now.saturating_duration_since(self.counted.1);
        if group != self.counted.0 {
            // It is not announced there any more.
            if gap > self.patience() {
                self.counted = (group, now);
            }
            return;
        }
        self.counted.1 = now;
        if gap >= LEAST_GAP {
            self.gaps = [Some(gap), self.gaps[0]];
        }
    }

    /// Whether its sender is heard, and has it as it is.
    pub fn is_kept(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sender_heard_at) <= self.patience()
    }

    /// Whether it may be had by somebody else than its sender: by the host that it is of at once, and by others once its
    /// sender has fallen silent; of that host for as long as the session lasts.
    pub fn is_open_to(&self, sender: IpAddr, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.sender_heard_at);
        let is_of_its_host = self.identity.host() == self.sender;
        self.identity.host() == sender
            || if is_of_its_host { silent >= self.timeout() } else { !self.is_kept(now) }
    }

    /// Whether this is what it once was.
    pub fn was(&self, fingerprint: &Fingerprint) -> bool {
        self.replaced.contains(fingerprint)
    }

    /// Whether it may change now. That counts as a change.
    pub fn may_change(&mut self, now: Instant) -> bool {
        self.changes.take(now)
    }

    /// Whether a deletion may be about this very version. One of a version that was replaced is not (RFC 2974 section 6).
    pub fn may_be_meant(&self, deletion: &Announcement<'_>) -> bool {
        if deletion.hash == 0 {
            return !deletion.description.is_empty();
        }
        (deletion.hash, deletion.origin) == (self.hash, self.origin)
    }

    /// When it is over, if nothing is heard of it: ten intervals after the last time, and its timeout (RFC 2974 section 4).
    pub fn ends_at(&self) -> Instant {
        self.heard_at + self.timeout()
    }

    fn timeout(&self) -> Duration {
        let by_interval = self.interval().map_or(Duration::ZERO, |interval| 10 * interval);
        by_interval.min(LONGEST_TIMEOUT).max(self.timeout)
    }

    /// How long its sender is waited for.
    fn patience(&self) -> Duration {
        let most = self.timeout();
        self.interval().map_or(most, |interval| (2 * interval).max(LEAST_PATIENCE).min(most))
    }

    /// How often it is announced, where one that was lost does not count.
    fn interval(&self) -> Option<Duration> {
        self.gaps.iter().flatten().min().copied()
    }
}
