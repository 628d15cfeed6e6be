//! The Announcer: channels that go to groups of their own are announced (RFC 2974), for receivers that ask nobody. What is
//! announced is sent, so their groups get them whoever plays.
//!
//! All are looked at each second; of each one datagram is sent now and then.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::event::{Episode, Follows, Timers, clock, lock};
use crate::net::open_to_group;
use crate::relay::{Catalogue, Channel, Claim, LineFull};
use crate::wire::sap::{Announcement, Kind, PORT, announced_in, interval};
use crate::wire::sdp;

use super::media::{OutGroup, OutGroups, StandIn};

/// What could not be sent is sent after so long: sooner than an episode of it is over.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Announces for as long as the program runs.
pub struct Announcer {
    catalogue: Arc<Catalogue>,
    out_groups: Arc<OutGroups>,
    /// Announcements of others that are heard, with whom the bandwidth is shared.
    others: Box<dyn Fn() -> usize + Send + Sync>,
    /// Absent once it is over.
    programmes: Mutex<Option<BTreeMap<String, Programme>>>,
    fails: Episode,
    stats: AnnouncerStats,
}

/// What was sent.
#[derive(Debug, Default)]
pub struct AnnouncerStats {
    announcements: AtomicU64,
    deletions: AtomicU64,
    failures: AtomicU64,
}

/// A channel that is announced.
struct Programme {
    channel: Arc<Channel>,
    group: OutGroup,
    claim: Option<Claim>,
    /// One for each track, once its group can be sent to.
    stand_ins: Vec<StandIn>,
    due: Instant,
    said: Option<Said>,
}

/// What was announced last.
struct Said {
    version: u64,
    from: IpAddr,
    description: String,
}

impl Announcer {
    /// Nothing is announced yet.
    pub fn new(
        catalogue: Arc<Catalogue>,
        out_groups: Arc<OutGroups>,
        others: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Arc<Self> {
        let programmes = Mutex::new(Some(BTreeMap::new()));
        let (fails, stats) = Default::default();
        Arc::new(Self { catalogue, out_groups, others: Box::new(others), programmes, fails, stats })
    }

    /// Announces what there is to be announced; each second it is looked what is due.
    pub fn begin(self: &Arc<Self>, timers: &Arc<Timers>) {
        self.look_each_second(timers);
    }

    /// What was sent.
    pub fn stats(&self) -> &AnnouncerStats {
        &self.stats
    }

    /// Says of all that they are no more.
    pub fn stop(&self) {
        let gone = lock(&self.programmes).take();
        gone.iter().flatten().for_each(|(_, programme)| self.delete(programme));
    }

    /// What is announced no longer, or elsewhere.
    fn part_from_others(&self, announced: &HashMap<String, OutGroup>) {
        let mut programmes = lock(&self.programmes);
        let Some(programmes) = programmes.as_mut() else { return };
        programmes.retain(|name, programme| {
            let stays = announced.get(name) == Some(&programme.group);
            if !stays {
                self.delete(programme);
            }
            stays
        });
    }

    /// Sends what is due, and what there is no more.
    fn look_at(&self, name: &str, group: &OutGroup, among: usize, now: Instant) {
        let mut programmes = lock(&self.programmes);
        let Some(programmes) = programmes.as_mut() else { return };
        let channel = self.catalogue.find(name);
        let before = programmes.get(name).map(|programme| programme.channel.clone());
        match (before, channel) {
            (None, None) => return,
            (Some(_), None) => {
                let gone = programmes.remove(name);
                return gone.iter().for_each(|gone| self.delete(gone));
            }
            (Some(before), Some(channel)) if Arc::ptr_eq(&before, &channel) => {}
            // Its tracks are others.
            (_, Some(channel)) => {
                let said = programmes.remove(name).and_then(|before| before.said);
                programmes.insert(name.to_owned(), Programme::new(channel, group.clone(), said, now));
            }
        }
        let Some(programme) = programmes.get_mut(name).filter(|programme| programme.due <= now) else {
            return;
        };
        let streams = self.send_stream(name, programme, now);
        if let Err(error) = streams.and_then(|()| self.announce(name, group, programme, among, now)) {
            programme.due = now + RETRY_AFTER;
            self.stats.failures.fetch_add(1, Relaxed);
            if self.fails.begins(now) {
                tracing::warn!(channel = name, group = %group.group, "not announced, and tried again: {error}");
            }
        }
    }

    fn send_stream(&self, name: &str, programme: &mut Programme, now: Instant) -> io::Result<()> {
        let Programme { channel, claim, stand_ins, .. } = programme;
        if claim.is_none() {
            let full = |LineFull| io::Error::other("the line carries no more (limits.line_groups)");
            *claim = Some(channel.claim(now).map_err(full)?);
        }
        for track in &channel.tracks[stand_ins.len()..] {
            stand_ins.push(self.out_groups.stand_in(name, track)?);
        }
        Ok(())
    }

    fn announce(
        &self,
        name: &str,
        group: &OutGroup,
        programme: &mut Programme,
        among: usize,
        now: Instant,
    ) -> io::Result<()> {
        let (socket, from) = open(group)?;
        // Our address is a part of which session it is.
        if programme.said.as_ref().is_some_and(|said| said.from != from) {
            self.delete(programme);
        }
        let said = programme.say(name, group, from);
        let datagram = announcement(Kind::Announcement, said).build();
        socket.send(&datagram)?;
        let drawn = getrandom::u32().map_or(0.5, |drawn| f64::from(drawn) / f64::from(u32::MAX));
        programme.due = now + interval(among, datagram.len(), drawn);
        self.stats.announcements.fetch_add(1, Relaxed);
        Ok(())
    }

    fn delete(&self, programme: &Programme) {
        let Some(said) = &programme.said else { return };
        let origin = said.description.lines().find(|line| line.starts_with("o=")).unwrap_or_default();
        let deletion = Announcement {
            description: &[origin.as_bytes(), b"\r\n"].concat(),
            ..announcement(Kind::Deletion, said)
        };
        let sent = open(&programme.group).and_then(|(socket, _)| socket.send(&deletion.build()));
        match sent {
            Ok(_) => self.stats.deletions.fetch_add(1, Relaxed),
            Err(_) => self.stats.failures.fetch_add(1, Relaxed),
        };
    }
}

impl Follows for Announcer {
    const TASK: &'static str = "Announce";

    fn look(&self) {
        let now = clock::now();
        let announced = self.out_groups.announced();
        self.part_from_others(&announced);
        let among = announced.len() + (self.others)();
        for (name, group) in &announced {
            self.look_at(name, group, among, now);
        }
    }
}

impl Programme {
    fn new(channel: Arc<Channel>, group: OutGroup, said: Option<Said>, now: Instant) -> Self {
        Self { channel, group, claim: None, stand_ins: Vec::new(), due: now, said }
    }

    /// What is to be announced, under another version if it is not what was.
    fn say(&mut self, name: &str, group: &OutGroup, from: IpAddr) -> &Said {
        let (presentation, to) = (self.channel.presentation(), (group.group, group.ttl));
        let describe = |version| sdp::announced(&presentation, (id_of(name), version), from, to);
        let before = self.said.take();
        let as_before = before.as_ref().map(|said| describe(said.version));
        let said = match before {
            Some(said) if Some(&said.description) == as_before.as_ref() => Said { from, ..said },
            before => {
                let version = clock::unix_now().as_secs().max(before.map_or(0, |said| said.version + 1));
                Said { version, from, description: describe(version) }
            }
        };
        self.said.insert(said)
    }
}

impl AnnouncerStats {
    /// Announcements that were sent.
    pub fn announcements(&self) -> u64 {
        self.announcements.load(Relaxed)
    }

    /// Deletions that were.
    pub fn deletions(&self) -> u64 {
        self.deletions.load(Relaxed)
    }

    /// Those of both that could not be.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }
}

fn announcement(kind: Kind, said: &Said) -> Announcement<'_> {
    let digest = Sha256::digest(said.description.as_bytes());
    // 0 would say nothing.
    let hash = u16::from_be_bytes([digest[0], digest[1]]).max(1);
    Announcement { kind, hash, origin: said.from, description: said.description.as_bytes() }
}

/// The id of a channel's session, the same whenever the program runs.
fn id_of(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    // Some read it as a signed number.
    digest[..8].iter().fold(0, |id, byte| id << 8 | u64::from(*byte)) >> 1
}

/// A socket to where a group's session is announced, and our address there. It is opened each time: routes and interfaces
/// come and go, and an announcement is rare.
fn open(group: &OutGroup) -> io::Result<(std::net::UdpSocket, IpAddr)> {
    let to = SocketAddr::new(announced_in(group.group.ip()), PORT);
    let socket = open_to_group(to, group.interface_index()?, group.ttl)?;
    socket.connect(to)?;
    match socket.local_addr()?.ip() {
        from if from.is_unspecified() => {
            Err(io::Error::other("the interface has no address to announce from"))
        }
        from => Ok((socket, from)),
    }
}
