//! The legs of a track that are sources of one programme each: the packets of one of them are the track's, and go on where those
//! of another ended.
//!
//! One mutex for a track, held until a packet is in the ring: legs are received by several threads.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::{Episode, lock};
use crate::relay::{Numbers, Track};
use crate::wire::failover::{Failover, Rules, Verdict, Why};
use crate::wire::reception::Reception;
use crate::wire::renumbering::Renumbering;
use crate::wire::rtcp::{self, Reflectable};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};
use crate::wire::splice::{ReportFate, Splice};

use super::arrivals::Came;
use super::redundancy::Brought;

/// The legs of one track.
pub(super) struct Switching {
    track: Arc<Track>,
    state: Mutex<State>,
    /// Lines of the log about legs that are left, and returned to.
    left: Episode,
    returned: Episode,
}

struct State {
    failover: Failover,
    splice: Splice,
    legs: Vec<Leg>,
}

/// One leg, as it would have been alone, and what was made of it.
struct Leg {
    reception: Reception,
    used: u64,
    standby: u64,
    switches: u64,
}

/// A packet, and a header in front of it where it is a bare transport stream.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub header: &'a RtpHeader,
    pub own_header: Option<&'a [u8; FIXED_HEADER_LEN]>,
    pub datagram: &'a [u8],
    pub from: SocketAddr,
}

impl Switching {
    /// Of so many legs.
    pub fn new(track: Arc<Track>, legs: usize, rules: Rules) -> Arc<Self> {
        let rate = track.description.clock_rate;
        let new = || Leg { reception: Reception::new(rate), used: 0, standby: 0, switches: 0 };
        let (failover, splice) = (Failover::new(legs, rules), Splice::new(rate));
        let legs = (0..legs).map(|_| new()).collect();
        let state = Mutex::new(State { failover, splice, legs });
        Arc::new(Self { track, state, left: Episode::default(), returned: Episode::default() })
    }

    /// Takes in a packet of a leg. `true`: it is one of the track's.
    pub fn receive(&self, leg: usize, packet: Incoming<'_>, came: Came) -> bool {
        let Incoming { header, own_header, datagram, .. } = packet;
        let [arrived, now] = [came.at, came.taken_at].map(|at| self.track.signs.since_epoch(at));
        let mut state = self.state();
        let State { failover, splice, legs } = &mut *state;
        let (own, before) = (&mut legs[leg], failover.active());
        own.reception.receive(header, arrived);
        let verdict = failover.take(leg, own.reception.packets(), own.reception.missing(), now);
        if verdict == Verdict::Standby {
            own.standby += 1;
            return false;
        }
        if let Verdict::Switch(why) = verdict {
            own.switches += 1;
            self.tell(before, leg, why, came.taken_at);
        }
        own.used += 1;
        let payload = if own_header.is_some() { datagram } else { header.payload(datagram) };
        let out = splice.next(header, payload.len(), matches!(verdict, Verdict::Switch(_)), arrived);
        self.deliver(&out, packet, came.at);
        true
    }

    /// Takes in what may be passed on of a leg's RTCP. `true`: it is.
    pub fn receive_rtcp(&self, leg: usize, reflectable: &Reflectable<'_>, at: Instant) -> bool {
        let mut state = self.state();
        if state.failover.active() != leg {
            return false;
        }
        match state.splice.report(reflectable.sender, rtcp::counts(reflectable.packet)) {
            ReportFate::AsItIs => self.track.receive_rtcp(reflectable, at),
            ReportFate::OfAnother => return false,
            ReportFate::Renamed(stream) => {
                let packet = rtcp::rename(reflectable.packet, &stream);
                self.track.receive_rtcp(&Reflectable { packet: &packet, ..*reflectable }, at);
            }
        }
        true
    }

    /// What a leg has brought.
    pub fn brought(&self, leg: usize) -> Brought {
        let state = self.state();
        let Leg { reception, used, standby, switches } = &state.legs[leg];
        Brought {
            packets: reception.packets(),
            lost: reception.lost(),
            used: *used,
            unused: vec![("standby", *standby)],
            skew: None,
            switches: *switches,
            active: state.failover.active() == leg && *used > 0,
        }
    }

    fn deliver(&self, out: &RtpHeader, packet: Incoming<'_>, at: Instant) {
        let Incoming { header, own_header, datagram, from } = packet;
        match (own_header.map_or_else(|| out.rewritten(datagram), |own| out.rewritten(own)), own_header) {
            (Some(bytes), Some(_)) => self.track.receive_bare((out, &bytes), datagram, from, at),
            (Some(bytes), None) if out != header => {
                self.track.receive_rewritten((out, &bytes), datagram, from, at)
            }
            _ => drop(self.track.receive(out, datagram, from, at)),
        }
    }

    /// One line an episode: legs that come and go are no news.
    #[cold]
    fn tell(&self, before: usize, leg: usize, why: Why, at: Instant) {
        let (channel, track) = (self.track.channel(), self.track.number);
        let (from, to) = (before + 1, leg + 1);
        match why {
            Why::Returned if self.returned.begins(at) => {
                tracing::info!(channel, track, from, to, "switched back to leg {to}: it has returned");
            }
            Why::Silence | Why::Loss(_) if self.left.begins(at) => {
                tracing::warn!(channel, track, from, to, "switched to leg {to}: leg {from} {why}");
            }
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Numbers for Switching {
    fn renumber(&self, by: &Renumbering, then: &dyn Fn()) {
        let mut state = self.state();
        state.splice.renumber(by);
        then();
    }
}
