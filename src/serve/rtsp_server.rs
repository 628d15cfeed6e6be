//! What all listeners and connections of the RTSP server share.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::event::{Class, Episode, Poller, Timers, clock, lock};
use crate::relay::{Carriage, Catalogue, Channel, Lateness};
use crate::storage::Archive;
use crate::wire::rtsp::Redirect;

use super::access::{Addresses, PerAddress, counted_as};
use super::announcer::Announcer;
use super::attendance::Attendance;
use super::certificates::Certificates;
use super::guard::{Access, AccessStats, DoorRules, Rule};
use super::journal::{Refused, Teller, Why};
use super::listing::Listing;
use super::media::{Learning, OutGroup, OutGroups, PortPairs};
use super::rtsp::{MESSAGE_TIMEOUT, Patience, Quality, RepairAgents, Session, SessionLimits, Sessions};
use super::stats::{CHANNEL_GONE, Counters, CutFor, EGRESS, RefusedFor, ServerStats};

/// What the RTSP server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Server ports that media over UDP leaves from; any free ones when absent.
    pub udp_ports: Option<RangeInclusive<u16>>,
    /// Nobody cuts up what leaves over UDP.
    pub dont_fragment: bool,
    /// How it is learnt at which ports viewers behind a NAT are.
    pub learning: Learning,
    /// By what media may reach viewers.
    pub transports: Vec<Carriage>,
    /// A session without a sign of its viewer for this long is ended; whole seconds.
    pub session_timeout: Duration,
    /// Likewise, one that plays while its source is silent.
    pub longest_silence: Duration,
    /// Likewise, one over UDP whose client has closed its connection; zero: it ends with that.
    pub close_grace: Duration,
    /// Who is known to ask again for what it has lost, and how it takes that.
    pub repair_agents: Arc<RepairAgents>,
    /// Whether media may go in the clear to those who ask through TLS.
    pub clear_media: bool,
    /// What TLS is served with, if it is.
    pub certificates: Option<Arc<Certificates>>,
    /// How much is taken on.
    pub limits: Limits,
    /// Where newcomers are sent who would be too many.
    pub redirect: Option<Redirect>,
    /// Where those of them are who come through TLS.
    pub redirect_tls: Option<Redirect>,
    /// Where channels go by multicast, by name.
    pub multicast_out: HashMap<String, OutGroup>,
    /// What this program is called among those that pull from each other.
    pub instance: String,
    /// Sessions at a time of channels for which that is said otherwise, by name.
    pub channel_sessions: HashMap<String, usize>,
    /// How channels are listed, by name.
    pub listings: HashMap<String, Listing>,
}

/// Beyond these, requests are refused and counted.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address.
    pub connections_per_address: usize,
    /// Sessions at a time.
    pub sessions: usize,
    /// Sessions at a time from one address.
    pub sessions_per_address: usize,
    /// Sessions at a time of one channel.
    pub sessions_per_channel: usize,
    /// Bytes of one address that nobody has read: unfinished requests and unread replies.
    pub unread_bytes_per_address: usize,
    /// Bits a second of all the tracks that are set up.
    pub egress: u64,
    /// Bits a second of all the tracks that one address has set up.
    pub egress_per_address: u64,
}

impl ServerConfig {
    /// Where newcomers are sent. Nobody is led out of TLS.
    pub(super) fn other_server(&self, is_secret: bool) -> Option<Redirect> {
        let Self { redirect, redirect_tls, .. } = self;
        if !is_secret {
            return redirect.clone();
        }
        redirect_tls.clone().or(redirect.clone().filter(|other| other.is_secret()))
    }

    fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            all: self.limits.sessions,
            per_channel: self.limits.sessions_per_channel,
            of_channels: self.channel_sessions.clone(),
        }
    }
}

impl Limits {
    fn per_address(&self) -> PerAddress {
        PerAddress {
            connections: self.connections_per_address as u64,
            sessions: self.sessions_per_address as u64,
            unread_bytes: self.unread_bytes_per_address as u64,
            egress: self.egress_per_address,
        }
    }
}

/// The RTSP server.
pub struct RtspServer {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) poller: Arc<Poller>,
    pub(super) timers: Arc<Timers>,
    pub(super) lateness: Arc<Lateness>,
    config: Mutex<Arc<ServerConfig>>,
    /// What this program is called among those that pull from each other.
    pub(super) instance: String,
    pub(super) sessions: Sessions,
    pub(super) guard: Access,
    pub(super) addresses: Arc<Addresses>,
    pub(super) pairs: PortPairs,
    pub(super) out_groups: Arc<OutGroups>,
    pub(super) counters: Arc<Counters>,
    pub(super) teller: Arc<Teller>,
    /// Connections that may be moved.
    pub(super) attendance: Attendance,
    listings: Mutex<HashMap<String, Listing>>,
    stopping: AtomicBool,
    draining: AtomicBool,
    refuses_newcomers: Episode,
    pub(super) lacks_pairs: Episode,
    pub(super) has_crowds: Episode,
    pub(super) lacks_groups: Episode,
    /// What channels keep is played from there.
    pub(super) archive: OnceLock<Arc<Archive>>,
}

impl RtspServer {
    /// A server that nobody can reach before somebody listens for it ([`FrontDoor`](super::FrontDoor)).
    pub fn new(
        catalogue: Arc<Catalogue>,
        poller: Arc<Poller>,
        (timers, media_timers): (Arc<Timers>, Arc<Timers>),
        lateness: Arc<Lateness>,
        guard: Access,
        config: ServerConfig,
    ) -> Arc<Self> {
        guard.watch_users(&timers);
        let out_groups = OutGroups::new(config.multicast_out.clone(), config.dont_fragment);
        out_groups.follow(&timers);
        let counters = Arc::<Counters>::default();
        let teller = Teller::new(poller.queue(Class::Control).clone(), timers.clone());
        Arc::new(Self {
            catalogue,
            sessions: Sessions::new(config.session_limits(), counters.clone()),
            guard,
            addresses: Addresses::new(config.limits.per_address(), config.limits.egress),
            pairs: PortPairs::new(
                poller.clone(),
                media_timers,
                config.udp_ports.clone(),
                (config.dont_fragment, config.learning),
                counters.clone(),
            ),
            out_groups,
            poller,
            timers,
            lateness,
            listings: Mutex::new(config.listings.clone()),
            instance: config.instance.clone(),
            config: Mutex::new(Arc::new(config)),
            counters,
            teller,
            attendance: Attendance::default(),
            stopping: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            refuses_newcomers: Episode::default(),
            lacks_pairs: Episode::default(),
            has_crowds: Episode::default(),
            lacks_groups: Episode::default(),
            archive: OnceLock::new(),
        })
    }

    /// Serves by another config from now on, as far as that may change: not the port pairs, nor what TLS is served with. Who
    /// has what he would not get any more keeps it.
    pub fn serve_by(&self, config: ServerConfig) {
        self.sessions.limit_all(config.limits.sessions, config.limits.sessions_per_channel);
        self.addresses.limit(config.limits.per_address(), config.limits.egress);
        self.out_groups.set(config.multicast_out.clone());
        self.out_groups.follow(&self.timers);
        *lock(&self.config) = Arc::new(config);
    }

    /// Judges by these rules from now on.
    pub fn judge_by(&self, rules: DoorRules) {
        self.guard.judge_by(rules, &self.timers);
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        lock(&self.config).clone()
    }

    /// Its figures.
    pub fn stats(&self) -> ServerStats {
        let certificate_expires =
            self.config().certificates.as_ref().map(|certificates| certificates.expires());
        ServerStats { certificate_expires, ..self.counters.read(self.sessions.len()) }
    }

    /// How much it takes on.
    pub fn limits(&self) -> Limits {
        self.config().limits
    }

    /// Bits a second of all the tracks that are set up.
    pub fn egress(&self) -> u64 {
        self.addresses.egress()
    }

    /// Who announces the channels that are to be, where so many announcements of others are heard.
    pub fn announcer(&self, others: impl Fn() -> usize + Send + Sync + 'static) -> Arc<Announcer> {
        Announcer::new(self.catalogue.clone(), self.out_groups.clone(), others)
    }

    /// How many sessions a channel has, and how many it may have.
    pub fn channel_sessions(&self, channel: &str) -> (usize, usize) {
        self.sessions.of_channel(channel)
    }

    /// Serves a channel by this rule from now on, to so many at a time if that is said for it alone.
    pub fn admit(&self, channel: &str, rule: Rule, sessions: Option<usize>, listing: Listing) {
        self.guard.set_rule(channel, rule);
        self.sessions.limit(channel, sessions);
        lock(&self.listings).insert(channel.to_owned(), listing);
    }

    /// How a channel is listed.
    pub(super) fn listing(&self, channel: &str) -> Listing {
        lock(&self.listings).get(channel).cloned().unwrap_or_default()
    }

    /// Ends the sessions of a channel that has left the catalogue. Whoever comes for its name is judged as for one that is not there.
    pub fn dismiss(&self, channel: &Arc<Channel>) {
        self.guard.forget_rule(&channel.name);
        self.sessions.limit(&channel.name, None);
        lock(&self.listings).remove(&channel.name);
        self.part_from(channel);
    }

    /// Whether a channel goes to a group by multicast.
    pub fn sends_to(&self, group: IpAddr) -> bool {
        self.out_groups.holds(group)
    }

    /// Ends the sessions of a channel that has left the catalogue.
    pub fn part_from(&self, channel: &Arc<Channel>) {
        for session in self.sessions.watching(channel) {
            self.cut(&session, CHANNEL_GONE, "the channel has ended");
        }
    }

    /// The figures of logins.
    pub fn access_stats(&self) -> AccessStats {
        self.guard.stats()
    }

    /// Sockets that were opened beside full ones.
    pub fn sockets_beside(&self) -> usize {
        self.pairs.sockets_beside()
    }

    /// Server port pairs of the address that has the most, and how many an address may have.
    pub fn port_pairs(&self) -> (usize, usize) {
        self.pairs.fill()
    }

    /// What viewers report now, each of each track, with the channel's name.
    pub fn qualities(&self) -> Vec<(String, Quality)> {
        let of = |session: Arc<Session>| {
            let name = session.channel.name.clone();
            session.qualities().into_iter().map(move |quality| (name.clone(), quality))
        };
        self.sessions.all().into_iter().flat_map(of).collect()
    }

    /// Says goodbye to all viewers, ends their sessions and closes the port pairs. The queues still run.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
        for session in self.sessions.all() {
            session.say_goodbye("the server is shutting down");
            let home = self.sessions.end(&session, "shutdown", clock::now());
            if let Some(output) = home.as_ref().and_then(|home| home.output.as_ref()) {
                output.close_when_written();
            }
        }
        self.pairs.stop();
    }

    /// Tells the log what is left to tell of viewers. The queues have ended.
    pub fn tell_the_rest(&self) {
        self.teller.close();
    }

    /// A message of a client has so long to come.
    pub(super) fn message_timeout(&self) -> Duration {
        MESSAGE_TIMEOUT.min(self.config().session_timeout)
    }

    /// Tells the log that a connection is ended from here.
    pub(super) fn tell_of_cut(&self, peer: SocketAddr, reason: CutFor) {
        let why = Why { what: "connection closed", status: 0, reason: reason.label() };
        self.teller.refuse(&Refused::unheard(peer, why), clock::now());
    }

    /// Takes nobody in any more, or does so again. Who is there stays.
    pub fn drain(&self, begins: bool) {
        self.draining.store(begins, Relaxed);
    }

    /// Whether nobody is taken in any more.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Sessions there are.
    pub fn sessions_now(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Whether there is room for one more who watches a channel, as fast as it is now.
    pub(super) fn has_room(&self, channel: &Channel) -> Result<(), RefusedFor> {
        self.sessions.has_room(&channel.name)?;
        let bits: u64 = channel.tracks.iter().map(|track| track.rtp.ring().bits_per_second()).sum();
        let is_within = self.addresses.egress().saturating_add(bits) <= self.config().limits.egress;
        if is_within { Ok(()) } else { Err(RefusedFor::TotalEgress) }
    }

    /// One line an episode: a flood of them would make it worse.
    pub(super) fn say_that_newcomers_are_refused(&self, now: Instant) {
        if self.refuses_newcomers.begins(now) {
            tracing::warn!(
                "newcomers are refused (503, Retry-After): media is too late to be served to more"
            );
        }
    }

    pub(super) fn patience(&self) -> Patience {
        let ServerConfig { session_timeout: timeout, longest_silence, close_grace, .. } = *self.config();
        Patience { timeout, longest_silence, close_grace }
    }

    pub(super) fn timeout_seconds(&self) -> u32 {
        u32::try_from(self.config().session_timeout.as_secs()).unwrap_or(u32::MAX)
    }

    /// Ends what an address is sent beyond its limit: tracks weigh nothing at SETUP and PLAY while their source is
    /// silent. Who came first keeps what fits.
    pub(super) fn shed_egress(&self, client: IpAddr) {
        let address = counted_as(client);
        let mut sessions = self.sessions.all();
        sessions.retain(|session| counted_as(session.peer) == address);
        sessions.sort_by_key(|session| session.epoch);
        let (most, mut taken) = (self.config().limits.egress_per_address, 0);
        for session in sessions {
            let with_it = session.bits_per_second() + taken;
            if with_it > most {
                self.cut(&session, EGRESS, "more than your address may have");
            } else {
                taken = with_it;
            }
        }
    }

    /// Ends a session whose viewer does not know that it ends. It is told, and its connection closed unless another
    /// session is on it: players then come back by themselves.
    pub(super) fn cut(&self, session: &Session, reason: &'static str, why: &str) {
        session.say_goodbye(why);
        let home = self.sessions.end(session, reason, clock::now());
        let alone = home.filter(|home| home.is_empty());
        if let Some(output) = alone.as_ref().and_then(|home| home.output.as_ref()) {
            output.close_soon();
        }
    }
}
