//! What one client may have of the server: the world of its conversation.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::relay::{Carriage, Channel, Expected, LineFull, Track};
use crate::storage::Programme;
use crate::wire::rtsp::{Redirect, Request};

use super::access::{Account, Good};
use super::guard::{Acquaintance, Asked, Verdict};
use super::journal::Story;
use super::kept::{Extent, NotKept, Rerun};
use super::media::{Client, Followed, Interleaved, Learnt, Multicast, OverUdp, Raw, Taker, Way};
use super::refusal_watch::RefusalWatch;
use super::rtsp::{About, Costs, Home, RepairAgents, Session, Wanted, World};
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::stats::{CHANNEL_GONE, Counters, FELL_BACK, NOT_BACK, OF_RTX, RefusedFor};

impl World for RtspConnection {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn repair_agents(&self) -> Arc<RepairAgents> {
        self.server.config().repair_agents.clone()
    }

    fn instance(&self) -> &str {
        &self.server.instance
    }

    fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.server.find(name)
    }

    fn expected(&self, name: &str) -> Option<Arc<Expected>> {
        self.server.expected(name)
    }

    fn is_no_film(&self, name: &str) -> bool {
        self.server.is_no_film(name)
    }

    fn out_group(&self, channel: &Channel) -> Option<(SocketAddr, u8)> {
        self.server.out_groups.of(&channel.name).map(|out| (out.group, out.ttl))
    }

    fn session(&self, id: &str) -> Option<Arc<Session>> {
        self.server.sessions.find(id).filter(|session| session.peer == self.peer.ip())
    }

    fn is_guessing(&self, now: Instant) -> bool {
        self.account.guesses.add(now)
    }

    fn elsewhere(&self, uri: &str) -> Option<String> {
        self.other_server()?.location(uri, self.local)
    }

    fn judge(&self, request: &Request, about: &About<'_>, known: &mut Acquaintance, now: Instant) -> Verdict {
        let asked = Asked {
            method: &request.method,
            target: &request.target,
            channel: about.channel,
            names_session: about.names_session,
            authorization: about.login,
            client: self.peer.ip(),
            over_tls: self.stream.is_secret(),
            over_http: None,
        };
        self.server.guard.judge(&asked, known, now)
    }

    fn welcome(&self, channel: &Channel, now: Instant) -> Result<(), RefusedFor> {
        self.server.welcome(now)?;
        // Players follow at DESCRIBE rather than later.
        if self.other_server().is_some() { self.server.has_room(channel) } else { Ok(()) }
    }

    fn begin(
        &self,
        home: &Arc<Home>,
        channel: Arc<Channel>,
        instead_of: Option<&Session>,
        now: Instant,
    ) -> Result<Arc<Session>, RefusedFor> {
        instead_of.into_iter().for_each(|before| drop(self.server.sessions.end(before, FELL_BACK, now)));
        self.server.begin((self.peer, &self.account), home, channel, now)
    }

    fn extent(&self, channel: &Channel) -> Option<Extent> {
        self.server.extent(channel)
    }

    fn rerun(&self, channel: &Channel, programme: Programme, now: Instant) -> Result<Rerun, NotKept> {
        self.server.rerun(channel, programme, now)
    }

    fn costs(&self, session: &Session, track: &Track, url: &str) -> Result<Costs, RefusedFor> {
        // Of the connection that it belongs to, which is this one, or where its packets go; of this one where it has just ended.
        let output =
            session.home().and_then(|home| home.output.clone()).unwrap_or_else(|| self.output.clone());
        let memory = output.room.for_setup(url.len()).ok_or(RefusedFor::Connection)?;
        // One that is set up already weighs no more for being so again.
        let is_new = session.granted(track.number).is_none();
        let weight = if is_new { track.rtp.ring().bits_per_second() } else { 0 };
        let egress = self.account.take(Good::Egress, weight).map_err(RefusedFor::egress)?;
        Ok(Costs { egress, memory })
    }

    fn way(
        &self,
        session: &Arc<Session>,
        track: &Track,
        wanted: Wanted,
        now: Instant,
    ) -> Result<Box<dyn Way>, RefusedFor> {
        if !matches!(wanted, Wanted::Interleaved { .. }) && self.is_to_stay_secret(session) {
            return Err(RefusedFor::Clear);
        }
        let places = match wanted {
            Wanted::Udp { client } => client,
            Wanted::Raw { client } => (client, client),
            Wanted::Multicast => return self.by_multicast(session, track, now),
            Wanted::Interleaved { channels } => {
                return Ok(Box::new(Interleaved::new(self.output.clone(), channels, track.rtp.marks())));
            }
        };
        let Self { server, peer, local, .. } = self;
        let owner = server.taker_of(session, track.number);
        server.pairs.takers(places).iter().for_each(|taker| taker.give_way(now));
        let reserved = server.pairs.reserve(*local, places, owner).map_err(|error| {
            if server.lacks_pairs.begins(now) {
                tracing::warn!(%peer, %error, "no server port pair for a subscriber");
            }
            RefusedFor::Limit
        })?;
        if reserved.is_of_crowd() {
            server.counters.not_learnt();
            if server.has_crowds.begins(now) {
                tracing::warn!(
                    client = %peer.ip(),
                    "too many viewers of one address have not been heard yet: some are not found if they are behind a NAT"
                );
            }
        }
        RefusalWatch::start(server, now);
        Ok(match wanted {
            Wanted::Raw { .. } => Box::new(Raw::new(reserved)),
            _ => Box::new(OverUdp::new(reserved, track.rtcp.marks())),
        })
    }

    fn serves(&self, by: Carriage) -> bool {
        self.server.config().transports.contains(&by)
    }

    fn allows_udp(&self) -> bool {
        !self.stream.is_secret() || self.server.config().clear_media
    }

    fn timeout_seconds(&self) -> u32 {
        self.server.timeout_seconds()
    }

    fn counters(&self) -> &Counters {
        &self.server.counters
    }
}

impl RtspConnection {
    /// Where its client is sent if there is no room. Nobody is led out of TLS.
    fn other_server(&self) -> Option<Redirect> {
        self.server.config().other_server(self.stream.is_secret())
    }

    /// Whether a session is of a connection through TLS, which may not be this one, and nothing of it is to leave that.
    fn is_to_stay_secret(&self, session: &Session) -> bool {
        let home = session.home();
        let output = home.as_ref().and_then(|home| home.output.as_ref());
        !self.server.config().clear_media && output.is_some_and(|output| output.is_secret())
    }

    fn by_multicast(
        &self,
        session: &Session,
        track: &Track,
        now: Instant,
    ) -> Result<Box<dyn Way>, RefusedFor> {
        let channel = session.channel.name.as_str();
        let seat = self.server.out_groups.seat(channel, track.number).map_err(|error| {
            if self.server.lacks_groups.begins(now) {
                tracing::warn!(channel, %error, "nothing can be sent to the channel's multicast_out");
            }
            RefusedFor::OutGroup
        })?;
        Ok(Box::new(Multicast::new(seat, track.rtcp.marks())))
    }
}

impl RtspServer {
    /// Whom what comes from a viewer's ports is about.
    pub(super) fn taker_of(self: &Arc<Self>, session: &Arc<Session>, track: usize) -> Client {
        let seat = Seat { server: Arc::downgrade(self), session: Arc::downgrade(session) };
        Client { taker: Arc::new(seat), track }
    }

    /// Whether one more can be served at all.
    pub(super) fn welcome(&self, now: Instant) -> Result<(), RefusedFor> {
        if self.is_draining() {
            return Err(RefusedFor::Draining);
        }
        if self.lateness.is_too_late(now) {
            self.say_that_newcomers_are_refused(now);
            return Err(RefusedFor::Late);
        }
        Ok(())
    }

    /// A new session of a client's, which belongs to its connection, if it may have one more.
    pub(super) fn begin(
        &self,
        (peer, account): (SocketAddr, &Arc<Account>),
        home: &Arc<Home>,
        channel: Arc<Channel>,
        now: Instant,
    ) -> Result<Arc<Session>, RefusedFor> {
        let id = session_id().map_err(|_| RefusedFor::Limit)?;
        let place = account.take(Good::Sessions, 1).map_err(|_| RefusedFor::Address)?;
        // Who is not taken on has nothing joined, nor others left. Given back where the session is not begun.
        self.sessions.has_room(&channel.name)?;
        let claim = channel.claim(now).map_err(|LineFull| RefusedFor::Line)?;
        let story = Story::new(&self.teller, peer, channel.clone());
        let session = Arc::new(Session::new(id, channel, (peer.ip(), home), (place, story), now));
        self.sessions.add(&session)?;
        // Behind that: who stops, or takes the channel out, ends all that are there, and this one may have come later.
        let is_over = if self.is_stopping() { Some("shutdown") } else { None };
        if let Some(reason) = is_over.or(session.channel.is_gone().then_some(CHANNEL_GONE)) {
            self.sessions.end(&session, reason, now);
            return Err(if reason == CHANNEL_GONE { RefusedFor::Gone } else { RefusedFor::Limit });
        }
        session.claim(claim);
        Ok(session)
    }
}

/// A session, where its viewer's ports are.
struct Seat {
    server: Weak<RtspServer>,
    session: Weak<Session>,
}

impl Seat {
    fn taken(&self) -> Option<(Arc<RtspServer>, Arc<Session>)> {
        self.server.upgrade().zip(self.session.upgrade())
    }
}

impl Taker for Seat {
    fn hear(&self, track: usize, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Some((server, session)) = self.taken() else { return };
        if session.takes_again_at(track, from) {
            return server.counters.rtcp_refused(OF_RTX);
        }
        if !session.is_at(track, from) {
            return server.counters.rtcp_stranger();
        }
        if session.hear(track, datagram, &server.counters, now) {
            server.sessions.end(&session, "goodbye", now);
        }
    }

    fn learn(&self, learnt: &Learnt, now: Instant) {
        let Some((server, session)) = self.taken() else { return };
        if session.follow(learnt, now) == Some(Followed::Moves) {
            server.counters.learnt(learnt.port);
        }
    }

    fn refuse(&self, track: usize, at: SocketAddr, now: Instant) {
        let Some((server, session)) = self.taken() else { return };
        if session.refuse(track, at, now) {
            let reason = if session.signs().is_not_back() { NOT_BACK } else { "refused" };
            server.cut(&session, reason, "nobody listens");
        }
    }

    fn give_way(&self, now: Instant) {
        let Some((server, session)) = self.taken() else { return };
        if session.signs().left_at.is_some() {
            server.sessions.end(&session, NOT_BACK, now);
        }
    }
}

/// 96 random bits: whoever knows the id controls the session.
fn session_id() -> Result<String, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random[4..])?;
    Ok(format!("{:024x}", u128::from_be_bytes(random)))
}
