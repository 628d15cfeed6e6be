//! The announced sessions: what is heard, from whom and when, in; what comes, changes and goes, out.
//!
//! A session is its origin without the version (RFC 8866 section 5.2), and is its first sender's for as long as he is heard.
//! What he announced last holds, whatever its version: a device that was started again may count from 0. Only what was
//! replaced already does not come back while that which replaced it is announced: an old packet that is repeated, by whomever,
//! moves nothing to and fro.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sha2::{Digest, Sha256};

use crate::wire::sap::{self, Announcement, Kind};
use crate::wire::sdp::{self, Presentation};

use super::allowance::Allowance;
use super::name::channel_name;
use super::refusal::Refusal;
use super::session::{Fingerprint, Session};

/// Descriptions that are read at once, and how soon one more is: of all senders, and of each.
const READ: (u32, Duration) = (200, Duration::from_millis(5));
const READ_OF_ONE: (u32, Duration) = (50, Duration::from_millis(50));
/// Senders whose haste is known.
const SENDERS: usize = 256;
/// Descriptions that can not be received, and are known again.
const USELESS: usize = 64;

/// Whose announcements are taken, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Who is believed: where packets come from, and who they say announces it, is in one of these.
    pub origins: Vec<IpNet>,
    /// Sessions at a time.
    pub sessions: usize,
    /// Those of one sender.
    pub sessions_per_sender: usize,
    /// One that is not heard for so long, and for ten of its intervals, is over.
    pub timeout: Duration,
    /// What the names of their channels begin with.
    pub prefix: String,
}

/// What there is besides announced sessions.
pub trait Besides {
    /// Whether a channel has this name that was not announced.
    fn is_taken(&self, name: &str) -> bool;

    /// Whether this is to be no channel: we send it ourselves, and it would come back in; or it would take something from another.
    fn is_barred(&self, presentation: &Presentation) -> bool;
}

/// What becomes of the channels.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is one more.
    New { name: String, presentation: Presentation },
    /// One has moved, or is described otherwise.
    Changed { name: String, presentation: Presentation },
    /// One is no more: by its sender's word, or since he has fallen silent.
    Gone { name: String, is_deleted: bool },
}

/// A refusal, and of a description what is wrong with it, if nobody was told yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub Refusal, pub Option<String>);

/// All announced sessions.
pub(super) struct Table {
    rules: Rules,
    sessions: HashMap<sdp::SessionIdentity, Session>,
    useless: VecDeque<Fingerprint>,
    read: Allowance,
    read_of: HashMap<IpAddr, Allowance>,
}

impl Table {
    /// No session yet.
    pub fn new(rules: Rules, now: Instant) -> Self {
        let read = Allowance::new(READ.0, READ.1, now);
        Self { rules, sessions: HashMap::new(), useless: VecDeque::new(), read, read_of: HashMap::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Takes a datagram. `None`: what it says is known.
    pub fn hear(
        &mut self,
        datagram: &[u8],
        sender: IpAddr,
        besides: &dyn Besides,
        now: Instant,
    ) -> Result<Option<Change>, Refused> {
        if !self.believes(sender) {
            return Err(Refusal::Origin.into());
        }
        let announcement = sap::parse(datagram).map_err(Refusal::from)?;
        if !announcement.origin.is_unspecified() && !self.believes(announcement.origin) {
            return Err(Refusal::Origin.into());
        }
        match announcement.kind {
            Kind::Announcement => self.announce(&announcement, sender, besides, now),
            Kind::Deletion => Ok(Some(self.delete(&announcement, sender, now)?)),
        }
    }

    /// Lets go of those that were not heard for too long.
    pub fn let_go(&mut self, now: Instant) -> Vec<Change> {
        let least = self.rules.timeout;
        let over = self.sessions.extract_if(|_, session| session.ends_at(least) <= now);
        over.map(|(_, session)| Change::Gone { name: session.name, is_deleted: false }).collect()
    }

    fn believes(&self, address: IpAddr) -> bool {
        self.rules.origins.iter().any(|network| network.contains(&address))
    }

    fn announce(
        &mut self,
        announcement: &Announcement<'_>,
        sender: IpAddr,
        besides: &dyn Besides,
        now: Instant,
    ) -> Result<Option<Change>, Refused> {
        let fingerprint: Fingerprint = Sha256::digest(announcement.description).into();
        let mut sessions = self.sessions.values_mut();
        if let Some(known) = sessions.find(|session| session.fingerprint == fingerprint) {
            known.hear(announcement, sender, now);
            return Ok(None);
        }
        if self.useless.contains(&fingerprint) {
            return Err(Refusal::Description.into());
        }
        if !self.may_read(sender, now) {
            return Err(Refusal::Pace.into());
        }
        let identity = sdp::identity(announcement.description);
        match self.sessions.get_mut(&identity) {
            Some(session) => may_change(session, sender, &fingerprint, now)?,
            None => self.has_room(sender)?,
        }
        let presentation = self.read(announcement.description, fingerprint)?;
        if besides.is_barred(&presentation) {
            return Err(Refusal::Barred.into());
        }
        if let Some(session) = self.sessions.get_mut(&identity) {
            session.change(announcement, (sender, fingerprint), now);
            return Ok(Some(Change::Changed { name: session.name.clone(), presentation }));
        }
        let name = self.name(&presentation.name, &identity, besides);
        let session = Session::new(name.clone(), identity, announcement, (sender, fingerprint), now);
        self.sessions.insert(identity, session);
        Ok(Some(Change::New { name, presentation }))
    }

    /// Only who announces a session says that it is no more.
    fn delete(
        &mut self,
        deletion: &Announcement<'_>,
        sender: IpAddr,
        now: Instant,
    ) -> Result<Change, Refusal> {
        let may_be_meant = |session: &Session| session.sender == sender && session.may_be_meant(deletion);
        if !self.sessions.values().any(may_be_meant) {
            return Err(Refusal::Unknown);
        }
        let is_named = !deletion.description.is_empty();
        if is_named && !self.may_read(sender, now) {
            return Err(Refusal::Pace);
        }
        let named = is_named.then(|| sdp::identity(deletion.description));
        let is_meant = |session: &Session| {
            may_be_meant(session) && named.as_ref().is_none_or(|named| session.is_of(named))
        };
        let meant = self.sessions.extract_if(|_, session| is_meant(session)).next();
        let (_, session) = meant.ok_or(Refusal::Unknown)?;
        Ok(Change::Gone { name: session.name, is_deleted: true })
    }

    fn has_room(&self, sender: IpAddr) -> Result<(), Refusal> {
        if self.sessions.len() >= self.rules.sessions {
            return Err(Refusal::Sessions);
        }
        let of_sender = self.sessions.values().filter(|session| session.sender == sender).count();
        if of_sender >= self.rules.sessions_per_sender { Err(Refusal::Sender) } else { Ok(()) }
    }

    fn read(&mut self, description: &[u8], fingerprint: Fingerprint) -> Result<Presentation, Refused> {
        let read = sdp::parse_announced(description).map_err(|invalid| invalid.to_string());
        let is_sent = |presentation: &Presentation| {
            let mut tracks = presentation.tracks.iter();
            tracks.all(|track| {
                !track.feeds.is_empty() && track.feeds.iter().all(|feed| feed.group.is_multicast())
            })
        };
        let read = read.and_then(|presentation| match is_sent(&presentation) {
            true => Ok(presentation),
            false => Err("not all of it is sent to a group".to_owned()),
        });
        read.map_err(|why| {
            if self.useless.len() == USELESS {
                self.useless.pop_front();
            }
            self.useless.push_back(fingerprint);
            Refused(Refusal::Description, Some(why))
        })
    }

    /// What takes more than a look is done so often, whoever sends so much.
    fn may_read(&mut self, sender: IpAddr, now: Instant) -> bool {
        if self.read_of.len() >= SENDERS && !self.read_of.contains_key(&sender) {
            self.read_of.retain(|_, allowance| !allowance.is_whole(now));
        }
        if self.read_of.len() >= SENDERS && !self.read_of.contains_key(&sender) {
            return false;
        }
        let (at_once, each) = READ_OF_ONE;
        let of_sender = self.read_of.entry(sender).or_insert_with(|| Allowance::new(at_once, each, now));
        of_sender.take(now) && self.read.take(now)
    }

    /// A name that no other channel has. Where the first choice is taken, what tells the session apart follows it.
    fn name(&self, session: &str, identity: &sdp::SessionIdentity, besides: &dyn Besides) -> String {
        let is_taken = |name: &String| {
            besides.is_taken(name) || self.sessions.values().any(|session| session.name == *name)
        };
        let plain = channel_name(&self.rules.prefix, session);
        let further = (0..).map(|nth| match nth {
            0 => plain.clone(),
            1 => format!("{plain}-{}", identity.short()),
            _ => format!("{plain}-{}-{nth}", identity.short()),
        });
        further.into_iter().find(|name| !is_taken(name)).unwrap_or_default()
    }
}

/// Whether a session that is known may become what has this fingerprint.
fn may_change(
    session: &mut Session,
    sender: IpAddr,
    fingerprint: &Fingerprint,
    now: Instant,
) -> Result<(), Refusal> {
    let is_kept = session.is_kept(now);
    if is_kept && session.sender != sender {
        return Err(Refusal::OtherSender);
    }
    if is_kept && session.was(fingerprint) {
        return Err(Refusal::Superseded);
    }
    if session.may_change(now) { Ok(()) } else { Err(Refusal::Changes) }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal, None)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
