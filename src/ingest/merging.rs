//! The legs of a track that carry the same packets: what each has brought, and what of it becomes the track's.
//!
//! One mutex for a track, held until a packet is in the ring: legs are received by several threads, and packets leave in one
//! order. A timer alone gives gaps up; it is set once for many. One that comes late was held up, and so may be what fills the gap, in
//! the socket of another leg: that has its turn first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::event::{clock, lock};
use crate::relay::Track;
use crate::wire::merge::{Fate, LegCounts, Merge, Useless};
use crate::wire::reception::Reception;
use crate::wire::rtcp::{self, Reflectable, Renamed};
use crate::wire::rtp::RtpHeader;

use super::arrivals::Came;
use super::redundancy::Brought;
use super::rtp_receiver::MAX_WAIT;

/// Reports are taken by another leg once the first has been unheard for so long.
const REPORTS_CHANGE_AFTER: Duration = Duration::from_secs(1);

/// A timer that is so late was held up.
const HELD_UP: Duration = Duration::from_millis(5);

/// The merge of one track.
pub(super) struct Merging {
    track: Arc<Track>,
    state: Mutex<State>,
}

struct State {
    merge: Merge<Waiting>,
    /// What each leg would have been alone.
    receptions: Vec<Reception>,
    /// When the timer that was set last is due.
    look: Option<Instant>,
}

/// A packet that waits.
#[derive(Debug)]
struct Waiting {
    header: RtpHeader,
    datagram: Box<[u8]>,
    from: SocketAddr,
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.datagram
    }
}

impl Merging {
    /// Of so many legs, of which one may be so far behind another. Packets are left in their sockets for a while: so much longer
    /// it is waited for them.
    pub fn new(track: Arc<Track>, legs: usize, skew: Duration) -> Arc<Self> {
        let receptions = vec![Reception::new(track.description.clock_rate); legs];
        let state = State { merge: Merge::new(legs, skew + MAX_WAIT), receptions, look: None };
        Arc::new(Self { track, state: Mutex::new(state) })
    }

    /// Takes in a packet of a leg. `true`: the track has more packets.
    pub fn receive(
        self: &Arc<Self>,
        leg: usize,
        header: &RtpHeader,
        datagram: &[u8],
        from: SocketAddr,
        came: Came,
    ) -> bool {
        if !self.track.offers(header.payload_type) {
            return self.track.receive(header, datagram, from, came.at); // which refuses it
        }
        let header = self.under_one_ssrc(header);
        let [arrived, now] = [came.at, came.taken_at].map(|at| self.track.signs.since_epoch(at));
        let mut state = self.state();
        state.receptions[leg].receive(&header, arrived);
        let own = || Waiting { header, datagram: datagram.into(), from };
        let is_next = state.merge.take(leg, &header, [arrived, now], own) == Fate::Next;
        if is_next {
            self.deliver(&header, datagram, from, came.at);
        }
        let has_more = self.let_go(&mut state, came.taken_at, false);
        let look = self.next_look(&mut state, came.taken_at);
        drop(state);
        self.look_at(look);
        is_next || has_more
    }

    /// Takes in what may be passed on of a leg's RTCP: one leg's is. `true`: this one's.
    pub fn receive_rtcp(&self, leg: usize, reflectable: &Reflectable<'_>, came: Came) -> bool {
        let (at, now) = (came.at, self.track.signs.since_epoch(came.taken_at));
        let state = self.state();
        if !state.merge.is_first_heard(leg, REPORTS_CHANGE_AFTER, now) {
            return false;
        }
        let same = &self.track.description.same_ssrcs;
        match (reflectable.sender.map(|sender| sender.ssrc), same.first()) {
            (Some(from), Some(&to)) if from != to && same.contains(&from) => {
                let stream = Renamed { from, to, timestamp_shift: 0, counts: None };
                let packet = rtcp::rename(reflectable.packet, &stream);
                self.track.receive_rtcp(&Reflectable { packet: &packet, ..*reflectable }, at);
            }
            _ => self.track.receive_rtcp(reflectable, at),
        }
        true
    }

    /// What a leg has brought; whether it helps is for others to say.
    pub fn brought(&self, leg: usize) -> Brought {
        let state = self.state();
        let (reception, counts) = (&state.receptions[leg], state.merge.counts(leg));
        let LegCounts { first, duplicate, late, of_another } = counts;
        Brought {
            packets: reception.packets(),
            lost: reception.lost(),
            used: first,
            unused: vec![("duplicate", duplicate), ("late", late), ("other_stream", of_another)],
            skew: Some(state.merge.skew(leg)),
            switches: 0,
            active: false,
        }
    }

    /// Why a leg does not help.
    pub fn useless(&self, leg: usize, now: Instant) -> Option<Useless> {
        self.state().merge.useless(leg, self.track.signs.since_epoch(now))
    }

    /// Legs may send the same packets under SSRCs of their own, if the description says so.
    fn under_one_ssrc(&self, header: &RtpHeader) -> RtpHeader {
        let same = &self.track.description.same_ssrcs;
        let first = same.first().filter(|_| same.contains(&header.ssrc));
        RtpHeader { ssrc: first.copied().unwrap_or(header.ssrc), ..*header }
    }

    fn deliver(&self, header: &RtpHeader, datagram: &[u8], from: SocketAddr, at: Instant) {
        match header.rewritten(datagram).filter(|bytes| !datagram.starts_with(bytes)) {
            Some(bytes) => self.track.receive_rewritten((header, &bytes), datagram, from, at),
            None => drop(self.track.receive(header, datagram, from, at)),
        }
    }

    /// Delivers what waits no longer. Whether there was something. `give_up`: whatever has waited long enough.
    fn let_go(&self, state: &mut State, at: Instant, give_up: bool) -> bool {
        let now = give_up.then(|| self.track.signs.since_epoch(at));
        let mut has_gone = false;
        while let Some(Waiting { header, datagram, from }) = state.merge.pop(now) {
            self.deliver(&header, &datagram, from, at);
            has_gone = true;
        }
        has_gone
    }

    /// When to look again, unless a timer is set.
    fn next_look(&self, state: &mut State, now: Instant) -> Option<Instant> {
        let due = self.track.signs.at(state.merge.deadline()?).max(now);
        let is_new = state.look.is_none_or(|before| due < before);
        is_new.then(|| *state.look.insert(due))
    }

    fn look_at(self: &Arc<Self>, at: Option<Instant>) {
        let Some(at) = at else { return };
        let this = Arc::downgrade(self);
        self.track.rtp.run_at(at, move || {
            let Some(this) = this.upgrade() else { return };
            let now = clock::now();
            if now < at + HELD_UP {
                return this.look(now);
            }
            let again = Arc::downgrade(&this);
            this.track.rtp.run_at(now + MAX_WAIT, move || {
                if let Some(this) = again.upgrade() {
                    this.look(clock::now());
                }
            });
        });
    }

    fn look(self: &Arc<Self>, now: Instant) {
        let mut state = self.state();
        state.look.take_if(|look| *look <= now);
        let has_gone = self.let_go(&mut state, now, true);
        let look = self.next_look(&mut state, now);
        drop(state);
        if has_gone {
            self.track.rtp.tell_now(now);
        }
        self.look_at(look);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
