//! The legs of a track that carry the same packets: what each has brought, and what of it becomes the track's.
//!
//! One mutex for a track, held until a packet is in the ring: legs are received by several threads, and packets leave in one
//! order. A timer alone gives gaps up; it is set once for many. What fills a gap may have arrived and lie in the socket of another
//! leg, whose thread is held up: so all that has arrived by then is taken in first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{clock, lock};
use crate::relay::Track;
use crate::wire::merge::{Fate, LegCounts, Merge, Useless};
use crate::wire::reception::Reception;
use crate::wire::rtcp::{self, Reflectable, Renamed};
use crate::wire::rtp::RtpHeader;

use super::arrivals::Came;
use super::redundancy::Brought;

/// Reports are taken by another leg once the first has been unheard for so long.
const REPORTS_CHANGE_AFTER: Duration = Duration::from_secs(1);

/// The merge of one track.
pub(super) struct Merging {
    track: Arc<Track>,
    sockets: Weak<dyn Sockets>,
    state: Mutex<State>,
}

/// Where the packets of all legs arrive.
pub(super) trait Sockets: Send + Sync {
    /// Takes in what has arrived for a track until now, each socket by its own thread. Each drops `done` when it has.
    fn take_in(&self, track: &Arc<Track>, done: &Arc<dyn Send + Sync>);
}

/// What had waited long enough then is given up as this is dropped.
struct GivesUp {
    merging: Weak<Merging>,
    then: Instant,
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
    /// Of so many legs, of which one may be so far behind another.
    pub fn new(track: Arc<Track>, legs: usize, skew: Duration, sockets: Weak<dyn Sockets>) -> Arc<Self> {
        let receptions = vec![Reception::new(track.description.clock_rate); legs];
        let state = State { merge: Merge::new(legs, skew), receptions, look: None };
        Arc::new(Self { track, sockets, state: Mutex::new(state) })
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
            let Some(merging) = this.upgrade() else { return };
            let done: Arc<dyn Send + Sync> = Arc::new(GivesUp { merging: this, then: clock::now() });
            if let Some(sockets) = merging.sockets.upgrade() {
                sockets.take_in(&merging.track, &done);
            }
        });
    }

    /// Gives up what had waited long enough then.
    fn look(self: &Arc<Self>, then: Instant) {
        let mut state = self.state();
        state.look.take_if(|look| *look <= then);
        let has_gone = self.let_go(&mut state, then, true);
        let look = self.next_look(&mut state, then);
        drop(state);
        if has_gone {
            self.track.rtp.tell_now(clock::now());
        }
        self.look_at(look);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for GivesUp {
    fn drop(&mut self) {
        if let Some(merging) = self.merging.upgrade() {
            merging.look(self.then);
        }
    }
}
