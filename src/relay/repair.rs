//! Repair: what one viewer over UDP has lost of a track is sent to it again, from the ring (RFC 4585). It is media work: it runs
//! where lanes run, and waits for nobody.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{mem, slice};

use bytes::Bytes;

use crate::event::lock;
use crate::wire::rtcp::Nack;
use crate::wire::rtx::Rtx;

use super::alias::Alias;
use super::allowance::Allowance;
use super::books::{Books, Passed};
use super::burst_budget::Held;
use super::flow::Flow;
use super::look_up::Found;
use super::reach::Reach;
use super::repair_counts::{RepairRefusal, RepairTotals};
use super::server_socket::ServerSocket;

/// The way there and back that is assumed of a viewer whose reports do not tell, and what is believed of those who do.
const ROUND_TRIP: Duration = Duration::from_millis(50);
const BELIEVED: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(500)];
/// Packets that the NACKs of one datagram may name; a viewer that has lost more needs no repair.
const MOST_ASKED: usize = 256;

/// What one viewer may ask for again of a track, and where it is sent.
pub struct Repair {
    flow: Arc<Flow>,
    /// The first packet that it was sent: it has lost none before.
    since: u64,
    /// By what numbers it has the packets, if not by their own.
    alias: Option<Alias>,
    sent: Arc<Passed>,
    _books: Option<Arc<dyn Books>>,
    /// Its SSRC and one bit more, once it is known.
    ssrc: AtomicU64,
    round_trip_us: AtomicU64,
    state: Mutex<State>,
}

/// Where it is sent.
pub struct RepairTo {
    /// From here.
    pub socket: Arc<ServerSocket>,
    /// To the viewer's place there.
    pub at: SocketAddr,
    /// Keeps the address from being given to others.
    pub reservation: Arc<dyn Any + Send + Sync>,
}

struct State {
    to: RepairTo,
    reach: Reach,
    allowance: Allowance,
    /// What was sent again goes by a stream of its own.
    rtx: Option<Rtx>,
}

/// What comes of what one datagram asks for.
struct Answer {
    totals: RepairTotals,
    packets: Vec<Bytes>,
    /// So many more may be named.
    left: usize,
}

impl Repair {
    /// For a viewer that is sent packets from this one on. What is sent again is in `books`.
    pub fn new(
        flow: &Arc<Flow>,
        to: RepairTo,
        (since, alias, reach): (u64, Option<Alias>, Reach),
        rtx: Option<Rtx>,
        books: Option<Arc<dyn Books>>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { to, reach, allowance: Allowance::default(), rtx });
        let sent = Arc::<Passed>::default();
        books.iter().for_each(|books| books.open(sent.clone()));
        Arc::new(Self {
            flow: flow.clone(),
            since,
            alias,
            sent,
            _books: books,
            ssrc: AtomicU64::new(0),
            round_trip_us: AtomicU64::new(ROUND_TRIP.as_micros() as u64),
            state,
        })
    }

    /// The viewer is there from now on.
    pub fn move_to(&self, to: RepairTo) {
        let before = mem::replace(&mut self.state().to, to);
        drop(before); // outside the lock
    }

    /// So far it is sent packets from now on.
    pub fn goes_on(&self, reach: Reach) {
        self.state().reach = reach;
    }

    /// The SSRC under which the viewer reports, and how long the way there and back is, as far as its reports tell.
    pub fn know(&self, ssrc: Option<u32>, round_trip: Option<Duration>) {
        if let Some(ssrc) = ssrc {
            self.ssrc.store(u64::from(ssrc) | 1 << 32, Relaxed);
        }
        if let Some(round_trip) = round_trip {
            let believed = round_trip.clamp(BELIEVED[0], BELIEVED[1]);
            self.round_trip_us.store(believed.as_micros() as u64, Relaxed);
        }
    }

    /// What it is sent again goes by a stream of its own from now on, or as it was.
    pub fn goes_by(&self, rtx: Option<Rtx>) {
        self.state().rtx = rtx;
    }

    /// Sends what the NACKs of one datagram ask for, as far as it may be sent.
    pub fn answer<'n>(&self, nacks: impl Iterator<Item = Nack<'n>>, now: Instant) {
        let held = self.flow.repair_budget().judge(now).err().map(|held| match held {
            Held::Late => RepairRefusal::Late,
            Held::Budget => RepairRefusal::Total,
        });
        let mut answer = Answer { totals: RepairTotals::default(), packets: Vec::new(), left: MOST_ASKED };
        let mut state = self.state();
        state.allowance.refill(self.flow.repair_bytes_per_second(), now);
        for nack in nacks {
            let asked = nack.count();
            answer.totals.asked += asked;
            let refused = if self.is_of_another(&nack) { Some(RepairRefusal::Ssrc) } else { held };
            match refused {
                Some(reason) => answer.totals.refuse(reason, asked),
                None => self.gather(&mut state, &nack, &mut answer, now),
            }
        }
        let totals = self.send(&mut state, answer, now);
        drop(state);
        tracing::debug!(channel = self.flow.channel(), ?totals, "asked for again");
        self.flow.repairs().add(&totals);
    }

    /// Whether somebody else asks than the viewer.
    fn is_of_another(&self, nack: &Nack<'_>) -> bool {
        let known = self.ssrc.load(Relaxed);
        known != 0 && known != u64::from(nack.sender_ssrc) | 1 << 32
    }

    /// Adds what there is of what a NACK names, as far as it may be sent.
    fn gather(&self, state: &mut State, nack: &Nack<'_>, answer: &mut Answer, now: Instant) {
        let Answer { totals, packets, left } = answer;
        let ring = self.flow.ring();
        let round_trip = Duration::from_micros(self.round_trip_us.load(Relaxed));
        let State { allowance, rtx, reach, .. } = state;
        let next = reach.next();
        let heard = usize::try_from(nack.count()).unwrap_or(*left).min(*left);
        *left -= heard;
        totals.refuse(RepairRefusal::TooMany, nack.count() - heard as u64);
        for sequence in nack.lost().take(heard) {
            if allowance.is_used_up() {
                totals.refuse(RepairRefusal::Budget, 1);
                continue;
            }
            let named = (nack.media_ssrc, sequence);
            let (ssrc, sequence) = self.alias.map_or(named, |alias| alias.as_it_came(named.0, named.1));
            match ring.find(ssrc, sequence) {
                Found::OtherStream => {
                    allowance.look();
                    totals.refuse(RepairRefusal::Ssrc, 1);
                }
                Found::ToCome => totals.refuse(RepairRefusal::Early, 1),
                Found::There { number, .. } if number >= next => totals.refuse(RepairRefusal::Early, 1),
                Found::There { number, data } if number >= self.since => {
                    match allowance.take(number, data.len(), round_trip, now) {
                        Ok(()) => packets.extend(self.as_sent(data, rtx.as_mut())),
                        Err(reason) => totals.refuse(reason, 1),
                    }
                }
                Found::There { .. } | Found::Nowhere => {
                    allowance.look();
                    totals.not_held += 1;
                }
            }
        }
    }

    fn send(&self, state: &mut State, answer: Answer, now: Instant) -> RepairTotals {
        let Answer { mut totals, packets, .. } = answer;
        if !packets.is_empty() {
            let count = packets.len() as u64;
            let report = state.to.socket.say(&packets, state.to.at, self.flow.marks());
            self.flow.repair_budget().spend(report.bytes, now);
            (totals.repaired, totals.bytes) = (report.packets, report.bytes);
            totals.refuse(RepairRefusal::Late, count - report.packets.min(count));
            self.sent.send(report.packets, report.bytes); // under the state's lock: one at a time
        }
        totals
    }

    /// A packet as it goes again: as it was sent, or in a stream of its own.
    fn as_sent(&self, packet: Bytes, rtx: Option<&mut Rtx>) -> Option<Bytes> {
        let mut packet = packet;
        self.alias.iter().for_each(|alias| alias.give(slice::from_mut(&mut packet)));
        match rtx {
            Some(rtx) => rtx.packet(&packet).map(Bytes::from),
            None => Some(packet),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(all(test, not(model)))]
#[path = "repair_tests.rs"]
mod tests;
