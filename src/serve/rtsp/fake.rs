//! A world of memory, for conversations that are led without a socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::event::{TaskQueue, Timers, lock};
use crate::relay::rig::{FORGETS_NOTHING, by_hand, outward, packet, stopped};
use crate::relay::{
    Carriage, Catalogue, Channel, Dispatch, Expected, Keeping, OfferRepair, Place, Sent, Track,
};
use crate::storage::Programme;
use crate::wire::rtsp::Request;
use crate::wire::sdp::{self, Repairs};

use super::super::access::{Account, Addresses, Good, PerAddress};
use super::super::guard::{Acquaintance, Verdict};
use super::super::journal::{Story, Teller};
use super::super::kept::{Extent, NotKept, Rerun};
use super::super::media::{Grant, Heirs, Way};
use super::super::stats::{Counters, FELL_BACK, RefusedFor};
use super::super::stream::Room;
use super::home::Home;
use super::repair_offer::RepairAgents;
use super::session::Session;
use super::sessions::{SessionLimits, Sessions};
use super::setup::Costs;
use super::world::{About, Wanted, World};

const DUO: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=duo\r\nc=IN IP4 239.77.60.1/8\r\nt=0 0\r\n\
    m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 5006 RTP/AVP 0\r\n";

/// Sessions that there may be.
pub const MOST_SESSIONS: usize = 3;

/// What becomes of whatever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It is done, if it can be.
    Friendly,
    /// 401.
    Asking,
    /// 403.
    Closed,
    /// 503.
    Waiting,
}

/// The server, as one client finds it.
pub struct Fake {
    peer: SocketAddr,
    pub catalogue: Catalogue,
    pub sessions: Sessions,
    account: Arc<Account>,
    _addresses: Arc<Addresses>,
    counters: Arc<Counters>,
    teller: Arc<Teller>,
    room: Room,
    /// By what nothing is sent.
    pub not_served: Vec<Carriage>,
    /// Nobody new is welcome.
    pub is_full: bool,
    /// How requests are judged.
    pub mood: Mood,
    repair_agents: Arc<RepairAgents>,
    begun: AtomicUsize,
    /// Ways that are on.
    pub on: Arc<AtomicUsize>,
    /// Clients' places that are in use.
    pub taken: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Fake {
    pub fn new(now: Instant) -> Self {
        /// Queues that have stopped, for what only ever asks to be run.
        struct Stopped(Dispatch, Arc<TaskQueue>, Arc<Timers>);
        static STOPPED: OnceLock<Stopped> = OnceLock::new();
        let Stopped(dispatch, queue, timers) = STOPPED.get_or_init(|| {
            let (queue, timers) = stopped();
            Stopped(by_hand(), queue, timers)
        });
        let keeping = Keeping { offer_repair: OfferRepair::All(Repairs::RtxSession), ..FORGETS_NOTHING };
        let channel = |name: &str, presentation| {
            Channel::new(&outward(name), presentation, keeping, Arc::default(), dispatch, now)
        };
        let peer = SocketAddr::from(([192, 0, 2, 9], 50_000));
        let per_address = PerAddress { connections: 9, sessions: 9, unread_bytes: 1 << 20, egress: 1 << 20 };
        let (addresses, counters) = (Addresses::new(per_address, 1 << 20), Arc::<Counters>::default());
        let limits =
            SessionLimits { all: MOST_SESSIONS, per_channel: MOST_SESSIONS, of_channels: HashMap::new() };
        let news = sdp::mpegts("news", [239, 77, 60, 2].into(), 5004, None);
        Self {
            peer,
            catalogue: Catalogue::new([
                channel("news", news),
                channel("duo", sdp::parse(DUO.as_bytes()).expect("a description")),
            ]),
            sessions: Sessions::new(limits, counters.clone()),
            account: addresses.account(peer.ip()),
            _addresses: addresses,
            counters,
            teller: Teller::new(queue.clone(), timers.clone()),
            room: Room::default(),
            not_served: Vec::new(),
            is_full: false,
            mood: Mood::Friendly,
            repair_agents: Arc::default(),
            begun: AtomicUsize::new(0),
            on: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// A packet comes for one of the channels.
    pub fn receive(&self, number: u8) {
        let name = if number.is_multiple_of(2) { "news" } else { "duo" };
        let channel = self.catalogue.find(name).expect("it is there");
        channel.tracks[0].rtp.push([packet(number.into(), 10)]);
    }

    pub fn has_ended(&self, session: &Session) -> bool {
        self.sessions.find(&session.id).is_none()
    }

    pub fn held(&self, good: Good) -> u64 {
        self.account.held(good)
    }
}

impl World for Fake {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn local(&self) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 554))
    }

    fn repair_agents(&self) -> Arc<RepairAgents> {
        self.repair_agents.clone()
    }

    fn instance(&self) -> &str {
        "c0ffee"
    }

    fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.catalogue.find(name)
    }

    fn expected(&self, name: &str) -> Option<Arc<Expected>> {
        self.catalogue.expected(name)
    }

    fn is_no_film(&self, _: &str) -> bool {
        false
    }

    fn out_group(&self, channel: &Channel) -> Option<(SocketAddr, u8)> {
        (channel.name == "news").then_some((SocketAddr::from(([239, 2, 2, 2], 5000)), 1))
    }

    fn session(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions.find(id)
    }

    fn judge(&self, _: &Request, _: &About<'_>, _: &mut Acquaintance, _: Instant) -> Verdict {
        match self.mood {
            Mood::Friendly => Verdict::Allowed,
            Mood::Asking => {
                let challenges = vec![r#"Digest realm="edge", nonce="7""#.to_owned()];
                Verdict::Challenge { challenges, failed: Some("unknown user") }
            }
            Mood::Closed => Verdict::Forbidden("network"),
            Mood::Waiting => Verdict::NotNow(Duration::from_secs(1), "failures"),
        }
    }

    fn welcome(&self, _: &Channel, _: Instant) -> Result<(), RefusedFor> {
        if self.is_full { Err(RefusedFor::Late) } else { Ok(()) }
    }

    fn is_guessing(&self, _: Instant) -> bool {
        false
    }

    fn elsewhere(&self, uri: &str) -> Option<String> {
        uri.len().is_multiple_of(2).then(|| "rtsp://elsewhere/news".to_owned())
    }

    fn begin(
        &self,
        home: &Arc<Home>,
        channel: Arc<Channel>,
        instead_of: Option<&Session>,
        now: Instant,
    ) -> Result<Arc<Session>, RefusedFor> {
        instead_of.into_iter().for_each(|before| drop(self.sessions.end(before, FELL_BACK, now)));
        let id = format!("session-{}", self.begun.fetch_add(1, Relaxed));
        let place = self.account.take(Good::Sessions, 1).map_err(|_| RefusedFor::Address)?;
        let story = Story::new(&self.teller, self.peer, channel.clone());
        let session = Arc::new(Session::new(id, channel, (self.peer.ip(), home), (place, story), now));
        self.sessions.add(&session).map(|()| session)
    }

    fn extent(&self, _: &Channel) -> Option<Extent> {
        None
    }

    fn rerun(&self, _: &Channel, _: Programme, _: Instant) -> Result<Rerun, NotKept> {
        Err(NotKept::Never)
    }

    fn costs(&self, _: &Session, _: &Track, url: &str) -> Result<Costs, RefusedFor> {
        let memory = self.room.for_setup(url.len()).ok_or(RefusedFor::Connection)?;
        Ok(Costs { egress: self.account.take(Good::Egress, 0).map_err(RefusedFor::egress)?, memory })
    }

    fn way(
        &self,
        _: &Arc<Session>,
        _: &Track,
        wanted: Wanted,
        _: Instant,
    ) -> Result<Box<dyn Way>, RefusedFor> {
        let local = self.local();
        let (grant, place) = match wanted {
            Wanted::Interleaved { channels } => (Grant::Interleaved { channels }, None),
            Wanted::Udp { client } => {
                (Grant::Udp { local, client, at: client, server: (6970, 6971) }, Some(client.0))
            }
            Wanted::Multicast => {
                (Grant::Multicast { group: [239, 2, 2, 2].into(), ports: (5000, 5001), ttl: 1 }, None)
            }
            Wanted::Raw { client } => (Grant::Raw { local, client, at: client, server: 6970 }, Some(client)),
        };
        let mut taken = lock(&self.taken);
        if place.is_some_and(|place| taken.contains(&place)) {
            return Err(RefusedFor::Limit);
        }
        taken.extend(place);
        Ok(Box::new(Noted { grant, place, is_on: false, on: self.on.clone(), taken: self.taken.clone() }))
    }

    fn serves(&self, by: Carriage) -> bool {
        !self.not_served.contains(&by)
    }

    fn allows_udp(&self) -> bool {
        true
    }

    fn timeout_seconds(&self) -> u32 {
        60
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// A way that notes whether it is on.
struct Noted {
    grant: Grant,
    /// The client's place that it takes.
    place: Option<SocketAddr>,
    is_on: bool,
    on: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Way for Noted {
    fn grant(&self) -> Grant {
        self.grant
    }

    fn start(&mut self, _: &Track, _: (Place, Place), _: &Arc<Story>) {
        assert!(!self.is_on, "started twice");
        self.is_on = true;
        self.on.fetch_add(1, Relaxed);
    }

    fn stop(&mut self, _: Option<&Heirs>) {
        assert!(self.is_on, "stopped and not on");
        self.is_on = false;
        self.on.fetch_sub(1, Relaxed);
    }

    fn progress(&self) -> Option<(Sent, u64)> {
        None
    }

    fn say(&self, _: &[u8]) {}

    fn settled(&self) -> Option<u64> {
        None
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        assert!(!self.is_on || std::thread::panicking(), "let go while it is on");
        lock(&self.taken).retain(|place| Some(*place) != self.place);
    }
}
