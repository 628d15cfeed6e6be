//! The announced sessions: what is heard, from whom and when, in; what comes, changes and goes, out.
//!
//! A session is its origin without the version (RFC 8866 section 5.2). It is the host's that its origin names, as soon as that one
//! announces it; else its first sender's, for as long as he is heard. What he announced last holds, whatever its version: a
//! device that was started again may count from 0. Only what was replaced already does not come back while that which replaced it
//! is announced: an old packet that is repeated, by whomever, moves nothing to and fro.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sha2::{Digest, Sha256};

use crate::net::counted_as;
use crate::wire::sap::{self, Announcement, Kind};
use crate::wire::sdp::{self, InvalidSdp, Presentation, SessionIdentity};

use super::allowance::{Each, Shared};
use super::name::{Names, channel_name};
use super::refusal::{Refusal, Refused};
use super::session::{Fingerprint, Heard, Session, announcer};

/// Descriptions that are read at once, and how soon one more is: of all senders, and of each. Those who have sessions share
/// one allowance, and the others another: who has none yet costs them nothing.
const READ: (u32, Duration) = (200, Duration::from_millis(5));
const READ_OF_ONE: (u32, Duration) = (50, Duration::from_millis(50));
/// How soon a sender may have one more new session, once he had as many as there may be of him.
const ONE_MORE_AFTER: Duration = Duration::from_secs(10);
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

    /// Whether this may be a channel, or what it would take from others.
    ///
    /// # Errors
    /// Says why it may not.
    fn may_be(&self, presentation: &Presentation) -> Result<(), Refused>;
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

/// What can be no channel, and is known again.
struct Useless {
    fingerprint: Fingerprint,
    identity: SessionIdentity,
    refusal: Refusal,
}

/// All announced sessions.
pub(super) struct Table {
    rules: Rules,
    sessions: HashMap<SessionIdentity, Session>,
    useless: VecDeque<Useless>,
    read_of_owners: Shared,
    read_of_others: Shared,
    begun: Each,
    names: Names,
}

impl Table {
    /// No session yet.
    pub fn new(rules: Rules, now: Instant) -> Self {
        let shared = || Shared::new(READ, READ_OF_ONE, now);
        let at_once = u32::try_from(rules.sessions_per_sender).unwrap_or(u32::MAX);
        Self {
            rules,
            sessions: HashMap::new(),
            useless: VecDeque::new(),
            read_of_owners: shared(),
            read_of_others: shared(),
            begun: Each::new((at_once, ONE_MORE_AFTER)),
            names: Names::default(),
        }
    }

    /// How many there are that are channels.
    pub fn served(&self) -> usize {
        self.sessions.values().filter(|session| session.is_served).count()
    }

    /// What was to be made of channels, and is not.
    pub fn owed(&self) -> Vec<Change> {
        let owed = self.sessions.values().filter_map(|session| {
            let (name, presentation) = (session.name.clone(), session.owed.clone()?);
            Some(match session.is_served {
                true => Change::Changed { name, presentation },
                false => Change::New { name, presentation },
            })
        });
        owed.collect()
    }

    /// The channel of that name is what it was to be.
    pub fn settle(&mut self, name: &str) {
        if let Some(session) = self.sessions.values_mut().find(|session| session.name == name) {
            (session.owed, session.is_served) = (None, true);
        }
    }

    /// Takes a datagram that came from a sender to a group. `None`: what it says is known.
    pub fn hear(
        &mut self,
        datagram: &[u8],
        (sender, group): (IpAddr, IpAddr),
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
        let fingerprint = Sha256::digest(announcement.description).into();
        let heard = Heard { announcement: &announcement, fingerprint, sender, group };
        match announcement.kind {
            Kind::Announcement => self.announce(heard, besides, now),
            Kind::Deletion => Ok(Some(self.delete(&announcement, sender, now)?)),
        }
    }

    /// Lets go of those that were not heard for too long.
    pub fn let_go(&mut self, now: Instant) -> Vec<Change> {
        let over = self.sessions.extract_if(|_, session| session.ends_at() <= now);
        over.map(|(_, session)| gone(&mut self.names, session, false)).collect()
    }

    fn believes(&self, address: IpAddr) -> bool {
        self.rules.origins.iter().any(|network| network.contains(&address))
    }

    fn announce(
        &mut self,
        heard: Heard<'_>,
        besides: &dyn Besides,
        now: Instant,
    ) -> Result<Option<Change>, Refused> {
        let known = self.sessions.values().find(|session| session.is(&heard));
        if let Some(identity) = known.map(|session| session.identity) {
            let is_his = self.may_have(&identity, heard.sender, now).is_ok();
            let session = self.sessions.get_mut(&identity);
            session.into_iter().for_each(|session| session.hear(heard, is_his, now));
            return Ok(None);
        }
        let useless = self.useless.iter().find(|useless| useless.fingerprint == heard.fingerprint);
        if let Some(Useless { identity, refusal, .. }) = useless {
            let session = self.sessions.get_mut(identity).filter(|session| session.sender == heard.sender);
            session.into_iter().for_each(|session| session.hear_otherwise(now));
            return Err((*refusal).into());
        }
        if !self.may_read(heard.sender, now) {
            return Err(Refusal::Pace.into());
        }
        let identity = sdp::identity(heard.announcement.description, heard.announcer());
        match self.sessions.contains_key(&identity) {
            true => self.may_change(&identity, &heard, now)?,
            false if self.sessions.len() >= self.rules.sessions => return Err(Refusal::Sessions.into()),
            false => self.has_room(heard.sender)?,
        }
        let presentation = read(heard.announcement.description)
            .and_then(|presentation| besides.may_be(&presentation).map(|()| presentation));
        let presentation = presentation.inspect_err(|refused| self.remember(&heard, identity, refused.0))?;
        if let Some(session) = self.sessions.get_mut(&identity) {
            session.change(heard, presentation.clone(), now);
            return Ok(Some(Change::Changed { name: session.name.clone(), presentation }));
        }
        if !self.begun.take(heard.sender, now) {
            return Err(Refusal::Changes.into());
        }
        let name = self.name(&presentation.name, &identity, besides);
        let timeout = self.rules.timeout;
        let session = Session::new(name.clone(), identity, heard, presentation.clone(), timeout, now);
        self.sessions.insert(identity, session);
        Ok(Some(Change::New { name, presentation }))
    }

    /// Only who announces a session says that it is no more, and of one alone.
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
        let named = is_named.then(|| sdp::identity(deletion.description, announcer(deletion, sender)));
        let mut meant = self.sessions.values().filter(|session| {
            may_be_meant(session) && named.as_ref().is_none_or(|named| named.is_of_origin(&session.identity))
        });
        let (Some(session), None) = (meant.next(), meant.next()) else { return Err(Refusal::Unknown) };
        let identity = session.identity;
        let session = self.sessions.remove(&identity).ok_or(Refusal::Unknown)?;
        Ok(gone(&mut self.names, session, true))
    }

    fn has_room(&self, sender: IpAddr) -> Result<(), Refusal> {
        if self.owned_by(sender) >= self.rules.sessions_per_sender { Err(Refusal::Sender) } else { Ok(()) }
    }

    /// Of all addresses of the sender's host.
    fn owned_by(&self, sender: IpAddr) -> usize {
        let host = counted_as(sender);
        self.sessions.values().filter(|session| counted_as(session.sender) == host).count()
    }

    /// Whether a session is a sender's, or may be from now on. Whose host it is of needs no room for what is his.
    fn may_have(&self, identity: &SessionIdentity, sender: IpAddr, now: Instant) -> Result<(), Refusal> {
        match self.sessions.get(identity) {
            Some(session) if session.sender == sender => Ok(()),
            Some(session) if !session.is_open_to(sender, now) => Err(Refusal::OtherSender),
            _ if identity.host() == sender => Ok(()),
            _ => self.has_room(sender),
        }
    }

    /// Whether a session that is known may become what is heard.
    fn may_change(
        &mut self,
        identity: &SessionIdentity,
        heard: &Heard<'_>,
        now: Instant,
    ) -> Result<(), Refused> {
        let may_have = self.may_have(identity, heard.sender, now);
        let Some(session) = self.sessions.get_mut(identity) else { return Ok(()) };
        match may_have {
            Err(Refusal::OtherSender) if !std::mem::replace(&mut session.is_contested, true) => {
                let why = format!("{} is {}'s", session.name, session.sender);
                return Err(Refused(Refusal::OtherSender, Some(why)));
            }
            may_have => may_have?,
        }
        if session.sender != heard.sender {
            // Whoever had it till now has taken nothing from him.
            let may_change = identity.host() == heard.sender || session.may_change(now);
            return if may_change { Ok(()) } else { Err(Refusal::Changes.into()) };
        }
        if session.is_kept(now) && session.was(&heard.fingerprint) {
            return Err(Refusal::Superseded.into());
        }
        session.hear_otherwise(now);
        if session.may_change(now) { Ok(()) } else { Err(Refusal::Changes.into()) }
    }

    fn remember(&mut self, heard: &Heard<'_>, identity: SessionIdentity, refusal: Refusal) {
        if self.useless.len() == USELESS {
            self.useless.pop_front();
        }
        self.useless.push_back(Useless { fingerprint: heard.fingerprint, identity, refusal });
    }

    /// What takes more than a look is done so often, whoever sends so much.
    fn may_read(&mut self, sender: IpAddr, now: Instant) -> bool {
        let of = if self.owned_by(sender) > 0 { &mut self.read_of_owners } else { &mut self.read_of_others };
        of.take(sender, now)
    }

    /// A name that no other channel has. Where the first choice is taken, what tells the session apart follows it.
    fn name(&self, session: &str, identity: &SessionIdentity, besides: &dyn Besides) -> String {
        let is_taken = |name: &String| {
            besides.is_taken(name)
                || self.names.is_of_another(name, identity.host())
                || self.sessions.values().any(|session| session.name == *name)
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

fn gone(names: &mut Names, session: Session, is_deleted: bool) -> Change {
    names.remember(&session.name, session.identity.host());
    Change::Gone { name: session.name, is_deleted }
}

fn read(description: &[u8]) -> Result<Presentation, Refused> {
    let useless = |invalid: InvalidSdp| Refused(Refusal::Description, Some(invalid.to_string()));
    sdp::parse_announced(description).map_err(useless)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
