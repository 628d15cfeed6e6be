//! The way by multicast: a channel goes to a group of its own, once for all who ask for it, and only while one of them
//! plays. RTP and RTCP of each track have two ports there.
//!
//! The stream is everybody's: who comes later takes it as it flows, and what a viewer says by RTCP stays in the group.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use bytes::Bytes;

use crate::event::{Follows, Timers, lock};
use crate::net::{Marks, forbid_fragments, interface_index, leave_by, open_to_group, with_port};
use crate::relay::{Account, Books, Carriage, Flow, Place, Sent, ServerSocket, Subscription, Track};
use crate::wire::sdp::ports_of;

use super::super::journal::Story;
use super::way::{Grant, Heirs, Way};

/// Where a channel goes by multicast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutGroup {
    /// The group, and the port of the first track's RTP.
    pub group: SocketAddr,
    /// How many routers packets may pass, and one.
    pub ttl: u8,
    /// By which interface, if not by the route's.
    pub interface: Option<String>,
    /// Whether it is announced, and the channel is sent there whoever asks.
    pub is_announced: bool,
}

/// The groups of all channels that have one, and what is sent there.
pub struct OutGroups {
    by_channel: Mutex<HashMap<String, OutGroup>>,
    /// Nobody is to cut packets into fragments.
    dont_fragment: bool,
    seats: Mutex<HashMap<(String, usize), Weak<Seat>>>,
    is_followed: AtomicBool,
}

/// A track's ports at its channel's group.
pub struct Seat {
    group: OutGroup,
    at: (SocketAddr, SocketAddr),
    rtp: Arc<ServerSocket>,
    rtcp: Arc<ServerSocket>,
    /// By which interface packets leave now, where that is said.
    index: AtomicU32,
    stage: Mutex<Stage>,
}

/// How many play, and what they share.
#[derive(Default)]
struct Stage {
    players: usize,
    feed: Option<(Subscription, Subscription)>,
}

/// Has a track sent to its group as if somebody played, for all who listen without asking.
pub struct StandIn(Arc<Seat>);

/// A viewer's part in it.
pub struct Multicast {
    seat: Arc<Seat>,
    /// What our own reports say.
    marks: Marks,
    part: Option<Part>,
}

struct Part {
    rtp: Arc<Flow>,
    rtcp: Arc<Flow>,
    listening: Arc<Listening>,
    _story: Arc<Story>,
}

/// What is sent to the group while one viewer plays.
struct Listening {
    group: Arc<dyn Account>,
    /// What had been when it came.
    before: Sent,
    /// What it has come to.
    end: OnceLock<Sent>,
}

impl OutGroup {
    /// The interface as it is now.
    pub fn interface_index(&self) -> io::Result<Option<u32>> {
        self.interface.as_deref().map(interface_index).transpose().map_err(io::Error::other)
    }
}

impl OutGroups {
    pub fn new(by_channel: HashMap<String, OutGroup>, dont_fragment: bool) -> Arc<Self> {
        let (by_channel, seats) = (Mutex::new(by_channel), Mutex::default());
        Arc::new(Self { by_channel, dont_fragment, seats, is_followed: AtomicBool::new(false) })
    }

    /// Follows their interfaces from now on, if there are any.
    pub fn follow(self: &Arc<Self>, timers: &Arc<Timers>) {
        let are_some = !lock(&self.by_channel).is_empty();
        if are_some && !self.is_followed.swap(true, Relaxed) {
            self.look_each_second(timers);
        }
    }

    /// Channels go there from now on. Who plays has the group that he was told of for as long as he does.
    pub fn set(&self, by_channel: HashMap<String, OutGroup>) {
        *lock(&self.by_channel) = by_channel;
    }

    pub fn of(&self, channel: &str) -> Option<OutGroup> {
        lock(&self.by_channel).get(channel).cloned()
    }

    /// Whether a channel goes to a group.
    pub fn holds(&self, group: IpAddr) -> bool {
        lock(&self.by_channel).values().any(|out| out.group.ip() == group)
    }

    /// Those that are announced, by their channels' names.
    pub fn announced(&self) -> HashMap<String, OutGroup> {
        let by_channel = lock(&self.by_channel);
        let announced = by_channel.iter().filter(|(_, group)| group.is_announced);
        announced.map(|(name, group)| (name.clone(), group.clone())).collect()
    }

    /// Has a channel's track sent to its group, from now on and for as long as this is kept.
    pub fn stand_in(&self, channel: &str, track: &Track) -> io::Result<StandIn> {
        let seat = self.seat(channel, track.number)?;
        seat.join(track, (track.rtp.ring().head().into(), track.rtcp.ring().head().into()));
        Ok(StandIn(seat))
    }

    /// The ports of a channel's track. They are opened for the first who comes, and closed behind the last.
    pub fn seat(&self, channel: &str, track: usize) -> io::Result<Arc<Seat>> {
        let group = self.of(channel).ok_or(io::ErrorKind::NotFound)?;
        let mut seats = lock(&self.seats);
        let key = (channel.to_owned(), track);
        let open = seats.get(&key).and_then(Weak::upgrade);
        if let Some(seat) = open.filter(|seat| seat.group == group) {
            return Ok(seat);
        }
        let seat = Arc::new(Seat::open(&group, track, self.dont_fragment)?);
        seats.insert(key, Arc::downgrade(&seat));
        Ok(seat)
    }
}

/// An interface that was taken away and made again has another index.
impl Follows for OutGroups {
    const TASK: &'static str = "FollowOutGroups";

    fn look(&self) {
        let mut seats = lock(&self.seats);
        seats.retain(|_, seat| seat.strong_count() > 0);
        let open: Vec<_> =
            seats.iter().filter_map(|(key, seat)| Some((key.clone(), seat.upgrade()?))).collect();
        drop(seats);
        for ((channel, track), seat) in open {
            match seat.follow() {
                Ok(false) => {}
                Ok(true) => {
                    tracing::warn!(
                        channel,
                        track,
                        "the interface of multicast_out was replaced: sent by it again"
                    );
                }
                Err(error) => tracing::debug!(channel, track, %error, "multicast_out goes nowhere"),
            }
        }
    }
}

impl Seat {
    fn open(group: &OutGroup, track: usize, dont_fragment: bool) -> io::Result<Self> {
        let index = group.interface_index()?;
        let open = || {
            let socket = open_to_group(group.group, index, group.ttl)?;
            if dont_fragment {
                forbid_fragments(&socket)?;
            }
            ServerSocket::to_groups(socket)
        };
        let (rtp, rtcp) = ports_of(group.group.port(), track);
        let at = (with_port(group.group, rtp), with_port(group.group, rtcp));
        let index = AtomicU32::new(index.unwrap_or_default());
        Ok(Self { group: group.clone(), at, rtp: open()?, rtcp: open()?, index, stage: Mutex::default() })
    }

    /// Has packets leave by the interface as it is now. `true`: it is another one.
    fn follow(&self) -> io::Result<bool> {
        let Some(index) = self.group.interface_index()? else { return Ok(false) };
        if index == self.index.load(Relaxed) {
            return Ok(false);
        }
        for socket in [&self.rtp, &self.rtcp] {
            leave_by(&socket.current(), self.group.group, index)?;
        }
        self.index.store(index, Relaxed);
        Ok(true)
    }

    /// One more plays. The first has the stream begin. Returns what the group is sent.
    fn join(&self, track: &Track, (rtp, rtcp): (Place, Place)) -> Arc<dyn Account> {
        let mut stage = lock(&self.stage);
        stage.players += 1;
        let (by, nobodys) = (Carriage::Multicast, || Arc::new(()));
        let (feed, _) = stage.feed.get_or_insert_with(|| {
            (
                track.rtp.subscribe_datagrams(by, (&self.rtp, self.at.0), rtp, nobodys(), None),
                track.rtcp.subscribe_datagrams(by, (&self.rtcp, self.at.1), rtcp, nobodys(), None),
            )
        });
        feed.account()
    }

    /// One less does. The last has it end, and who goes on elsewhere is told where; before that he is told where the
    /// stream is.
    fn leave(&self, going_on: Option<(&Part, &Heirs)>) {
        let mut stage = lock(&self.stage);
        stage.players -= 1;
        let feed = if stage.players == 0 { stage.feed.take() } else { None };
        match (feed, going_on) {
            (Some((rtp, rtcp)), Some((_, heirs))) => {
                rtp.hand_over(&heirs.rtp);
                rtcp.hand_over(&heirs.rtcp);
            }
            (None, Some((part, heirs))) => {
                heirs.rtp.tell(part.rtp.ring().head());
                heirs.rtcp.tell(part.rtcp.ring().head());
            }
            (_, None) => {}
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.0.leave(None);
    }
}

impl Multicast {
    pub fn new(seat: Arc<Seat>, marks: Marks) -> Self {
        Self { seat, marks, part: None }
    }
}

impl Way for Multicast {
    fn grant(&self) -> Grant {
        let (rtp, rtcp) = self.seat.at;
        Grant::Multicast { group: rtp.ip(), ports: (rtp.port(), rtcp.port()), ttl: self.seat.group.ttl }
    }

    fn start(&mut self, track: &Track, from: (Place, Place), story: &Arc<Story>) {
        let group = self.seat.join(track, from);
        let listening = Arc::new(Listening { before: group.sent(), group, end: OnceLock::new() });
        story.open(listening.clone());
        let (rtp, rtcp) = (track.rtp.clone(), track.rtcp.clone());
        self.part = Some(Part { rtp, rtcp, listening, _story: story.clone() });
    }

    fn stop(&mut self, heirs: Option<&Heirs>) {
        let Some(part) = self.part.take() else { return };
        self.seat.leave(heirs.map(|heirs| (&part, heirs)));
    }

    fn progress(&self) -> Option<(Sent, u64)> {
        let part = self.part.as_ref()?;
        let (_, behind) = lock(&self.seat.stage).feed.as_ref()?.0.progress();
        Some((part.listening.sent(), behind))
    }

    fn settled(&self) -> Option<u64> {
        lock(&self.seat.stage).feed.as_ref()?.0.settled()
    }

    /// A goodbye to one would be one to all.
    fn say(&self, rtcp: &[u8]) {
        if lock(&self.seat.stage).players == 1 {
            self.seat.rtcp.say(&[Bytes::copy_from_slice(rtcp)], self.seat.at.1, self.marks);
        }
    }
}

/// What is sent from here on, others listen to.
impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.listening.end.set(self.listening.sent());
    }
}

impl Account for Listening {
    fn sent(&self) -> Sent {
        self.end.get().copied().unwrap_or_else(|| self.group.sent().minus(self.before))
    }
}
