//! A Leg: one feed of a track, and how what comes by it becomes the track's packets.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::relay::{Numbers, Track};
use crate::wire::merge::Useless;
use crate::wire::packetizer::Packetizer;
use crate::wire::renumbering::Renumbering;
use crate::wire::rtcp::Reflectable;
use crate::wire::rtp::RtpHeader;
use crate::wire::sdp::{Feed, Framing, TrackDescription};
use crate::wire::{rtp, transport_stream};

use super::arrivals::Came;
use super::merging::{Merging, Sockets};
use super::redundancy::{Brought, LegStats, Redundancy};
use super::standby::Standby;
use super::switching::{Incoming, Switching};

pub(super) struct Leg {
    pub track: Arc<Track>,
    /// Which of the track's feeds it is, from 0.
    pub place: usize,
    /// Where it comes from.
    pub feed: Feed,
    framing: Framing,
    /// Makes packets of a bare transport stream.
    packetizer: Mutex<Packetizer>,
    company: Company,
    /// Where it is one of several: microseconds from the track's epoch to the newest packet, 0 before the first; and whether
    /// nothing comes by it.
    heard_us: AtomicU64,
    silent: AtomicBool,
}

/// What other legs its track has.
#[derive(Clone)]
enum Company {
    /// None: what it brings is the track's.
    Alone,
    /// Some that carry the same packets.
    Merged(Arc<Merging>),
    /// Some that carry the same programme, of which one is followed.
    Switched(Arc<Switching>),
}

impl Leg {
    /// One for each feed of a track.
    #[cfg(all(test, not(model)))]
    pub fn all_of(track: &Arc<Track>, redundancy: Redundancy, sockets: &Weak<dyn Sockets>) -> Vec<Arc<Self>> {
        Self::by(track, &track.description, redundancy, sockets).0
    }

    /// One for each of the feeds by which a track comes now to these sockets, and what stands by for them.
    pub fn by(
        track: &Arc<Track>,
        TrackDescription { feeds, has_standby, .. }: &TrackDescription,
        redundancy: Redundancy,
        sockets: &Weak<dyn Sockets>,
    ) -> (Vec<Arc<Self>>, Option<Arc<Standby>>) {
        let (own, count) = (|| track.clone(), feeds.len() + usize::from(*has_standby));
        let company = match redundancy {
            _ if count < 2 => Company::Alone,
            Redundancy::Merge { skew } => Company::Merged(Merging::new(own(), count, skew, sockets.clone())),
            Redundancy::Failover(rules) => {
                let switching = Switching::new(own(), count, rules);
                track.numbered_by(Arc::downgrade(&switching) as _);
                Company::Switched(switching)
            }
        };
        let standby = match &company {
            Company::Switched(switching) if *has_standby => {
                Some(Standby::new(own(), feeds.len(), switching.clone()))
            }
            _ => None,
        };
        let places = feeds.iter().cloned().enumerate();
        (places.map(|(place, feed)| Self::of(own(), place, feed, company.clone())).collect(), standby)
    }

    fn of(track: Arc<Track>, place: usize, feed: Feed, company: Company) -> Arc<Self> {
        let random = RandomState::new();
        let [ssrc, timestamp, sequence] = ["ssrc", "timestamp", "sequence"].map(|what| random.hash_one(what));
        let packetizer = Mutex::new(Packetizer::new(ssrc as u32, sequence as u16, timestamp as u32));
        let (framing, silent) = (track.description.framing, AtomicBool::new(true));
        let heard_us = AtomicU64::new(0);
        let leg = Arc::new(Self { framing, track, place, feed, packetizer, company, heard_us, silent });
        if leg.is_alone() && framing != Framing::Rtp {
            leg.track.numbered_by(Arc::downgrade(&leg) as _);
        }
        leg
    }

    /// Its number for people, from 1.
    pub fn number(&self) -> usize {
        self.place + 1
    }

    pub fn is_joined(&self) -> bool {
        self.track.is_feed_joined(self.place)
    }

    pub fn set_joined(&self, joined: bool) {
        self.track.set_joined(self.place, joined);
    }

    /// Whether no media comes by it.
    pub fn is_silent(&self) -> bool {
        match self.company {
            Company::Alone => self.track.is_silent(),
            Company::Merged(_) | Company::Switched(_) => self.silent.load(Relaxed),
        }
    }

    pub fn is_alone(&self) -> bool {
        matches!(self.company, Company::Alone)
    }

    /// What was found, where it is one of several; over as soon as something comes.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Relaxed);
    }

    /// When something came by it, where it is one of several.
    pub fn last_heard(&self) -> Option<Instant> {
        let after_us = self.heard_us.load(Relaxed);
        (after_us > 0).then(|| self.track.signs.at(Duration::from_micros(after_us)))
    }

    /// Why it does not help.
    pub fn useless(&self, now: Instant) -> Option<Useless> {
        match &self.company {
            Company::Merged(merging) => merging.useless(self.place, now),
            Company::Alone | Company::Switched(_) => None,
        }
    }

    /// What it has brought, where it is one of several.
    pub fn stats(&self, now: Instant) -> Option<LegStats> {
        let (channel, track, leg) = (self.track.channel().to_owned(), self.track.number, self.number());
        let (joined, silent) = (self.is_joined(), self.is_silent());
        let brought = match &self.company {
            Company::Alone => return None,
            Company::Merged(merging) => {
                let active = !silent && self.useless(now).is_none();
                Brought { active, ..merging.brought(self.place) }
            }
            Company::Switched(switching) => switching.brought(self.place),
        };
        Some(LegStats { channel, track, leg, joined, silent, brought })
    }

    /// Takes in what was sent to it. `true`: the track has packets more.
    pub fn receive(&self, datagram: &[u8], from: SocketAddr, came: Came) -> bool {
        if self.framing == Framing::Rtp {
            return self.receive_rtp(datagram, from, came);
        }
        match transport_stream::check(datagram) {
            Ok(()) => self.receive_bare(datagram, from, came),
            // A version of RTP that there is does not begin as a transport stream does.
            Err(_) if self.framing == Framing::Either => self.receive_rtp(datagram, from, came),
            Err(reason) => {
                self.track.refuse_bare(reason, datagram, came.at);
                false
            }
        }
    }

    /// Takes in what may be passed on of its RTCP. `true`: it is.
    pub fn receive_rtcp(&self, reflectable: &Reflectable<'_>, came: Came) -> bool {
        match &self.company {
            Company::Alone => {
                self.track.receive_rtcp(reflectable, came.at);
                true
            }
            Company::Merged(merging) => merging.receive_rtcp(self.place, reflectable, came),
            Company::Switched(switching) => switching.receive_rtcp(self.place, reflectable, came.at),
        }
    }

    fn receive_rtp(&self, datagram: &[u8], from: SocketAddr, came: Came) -> bool {
        match rtp::check(datagram) {
            Ok(header) => self.take(&header, datagram, from, came),
            Err(reason) => {
                self.track.refuse(reason, datagram, came.at);
                false
            }
        }
    }

    #[inline]
    fn take(&self, header: &RtpHeader, datagram: &[u8], from: SocketAddr, came: Came) -> bool {
        match &self.company {
            Company::Alone => self.track.receive(header, datagram, from, came.at),
            // What the track does not offer is refused there, and no leg helps by it.
            _ if !self.track.offers(header.payload_type) => {
                self.track.receive(header, datagram, from, came.at)
            }
            Company::Merged(merging) => {
                self.is_heard(came.taken_at);
                merging.receive(self.place, header, datagram, from, came)
            }
            Company::Switched(switching) => {
                self.is_heard(came.taken_at);
                switching.receive(self.place, Incoming { header, own_header: None, datagram, from }, came)
            }
        }
    }

    fn is_heard(&self, now: Instant) {
        let us = (self.track.signs.since_epoch(now).as_micros() as u64).max(1);
        self.heard_us.store(us, Relaxed);
        if self.silent.load(Relaxed) {
            self.silent.store(false, Relaxed);
        }
    }

    fn receive_bare(&self, datagram: &[u8], from: SocketAddr, came: Came) -> bool {
        // Held until the packet is in the ring: what comes by several sockets is numbered in one order.
        let mut packetizer = lock(&self.packetizer);
        let (header, bytes) = packetizer.next(datagram, self.track.signs.since_epoch(came.at));
        if let Company::Switched(switching) = &self.company {
            self.is_heard(came.taken_at);
            let packet = Incoming { header: &header, own_header: Some(&bytes), datagram, from };
            return switching.receive(self.place, packet, came);
        }
        self.track.receive_bare((&header, &bytes), datagram, from, came.at);
        true
    }
}

impl Numbers for Leg {
    fn renumber(&self, by: &Renumbering, then: &dyn Fn()) {
        let mut packetizer = lock(&self.packetizer);
        packetizer.renumber(by);
        then();
    }
}
