//! The Ring: the newest packets of one track, refcounted and immutable, bounded by time and bytes.
//!
//! One receiver writes, any number of cursors read. Packets are numbered from 0 for as long as the ring
//! lives; a cursor is the number of the packet it wants next.
//!
//! ```text
//!     tail: the newest start     oldest that is fresh       head
//!  ────┴─────────────────────────────────┴───────────────────┴──▶
//! ```
//!
//! What is no longer fresh is there back to the newest place where a decoder can start, for who begins, or lags over a
//! connection: these fall out when there is a newer place to go on with, but for those who are brought level. A lane of datagrams
//! that lags has what is fresh.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::event::lock;
use crate::wire::renumbering::Renumbering;
use crate::wire::rtp;

use super::burst::{Burst, Pin};
use super::look_up::{Found, look_up};
use super::places::{RingStart, StartCounts, StartPoint};
use super::standing::Standing;

/// A rate is measured over at least so long: a few packets that came together say nothing.
const RATE_SPAN: Duration = Duration::from_millis(100);

/// A place to start that is older is of no use, and costs memory: no pictures are so far apart.
const OLDEST_START: Duration = Duration::from_secs(30);

/// One packet of a track, as it came.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The whole datagram.
    pub data: Bytes,
    /// RTP sequence number; 0 for RTCP.
    pub sequence: u16,
    /// RTP timestamp; 0 for RTCP.
    pub timestamp: u32,
    /// When it was received.
    pub arrived_at: Instant,
}

/// What became of a place as packets were taken there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Took {
    /// Packets that it missed and that were not counted before.
    pub missed: u64,
    /// It had fallen out of the ring, and goes on.
    pub is_back: bool,
}

/// How much a ring keeps.
#[derive(Debug, Clone, Copy)]
pub struct RingLimits {
    /// The age of the oldest packet that is fresh, counted from the newest.
    pub age: Duration,
    /// Payload bytes in all.
    pub bytes: usize,
}

/// The newest packets of one track.
#[derive(Debug)]
pub struct Ring {
    limits: RingLimits,
    /// Those of tracks that this one's is entered with: it reaches back as far.
    leads: OnceLock<Vec<Arc<Ring>>>,
    /// How fast what is to come will be, in bits a second, where that is known.
    expected_rate: OnceLock<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    packets: VecDeque<Packet>,
    /// The number of the packet to come.
    head: u64,
    /// The number of the oldest one that is fresh.
    fresh: u64,
    bytes: usize,
    start: Option<StartPoint>,
    /// When the newest start came that there was.
    started_at: Option<Instant>,
    starts: StartCounts,
    /// Of those who are brought level.
    pins: Vec<Pin>,
}

impl Ring {
    /// An empty ring.
    pub fn new(limits: RingLimits) -> Self {
        Self { limits, leads: OnceLock::new(), expected_rate: OnceLock::new(), state: Mutex::default() }
    }

    /// How long a packet is fresh.
    pub(super) fn kept_for(&self) -> Duration {
        self.limits.age
    }

    /// What is to come will be so fast, in bits a second.
    pub fn expect_rate(&self, bits_per_second: u64) {
        let _ = self.expected_rate.set(bits_per_second); // it is known once
    }

    /// Has it reach back as far as the newest starts of these.
    pub(super) fn follow(&self, leads: Vec<Arc<Self>>) {
        let _ = self.leads.set(leads);
    }

    /// Appends packets and lets go of what is too old or too much; the newest packet always stays. `true`: the newest place
    /// to start had to go, as the bytes do not suffice.
    pub fn push(&self, packets: impl IntoIterator<Item = Packet>) -> bool {
        let leads = self.leads.get().into_iter().flatten();
        let entered_at = leads.filter_map(|lead| lead.figures().1).min();
        let mut state = self.state();
        let lost = state.starts.lost;
        for packet in packets {
            state.bytes += packet.data.len();
            state.head += 1;
            state.packets.push_back(packet);
        }
        state.trim(&self.limits, entered_at);
        state.starts.lost > lost
    }

    /// A decoder can start so many packets before the newest one, with a payload that goes before; the picture there is so many
    /// packets, or goes on.
    pub fn start_before(&self, back: u64, prologue: Option<Vec<u8>>, packets: Option<u64>) {
        let mut state = self.state();
        let Some(number) = state.head.checked_sub(back + 1).filter(|number| *number >= state.tail()) else {
            return;
        };
        let end = packets.map(|packets| number + packets);
        if let Some(known) = state.start.as_mut().filter(|start| start.number == number) {
            known.end = end;
            return;
        }
        let Some(packet) = state.packet(number) else { return };
        let prologue = prologue.and_then(|payload| rtp::before(&packet.data, &payload)).map(Bytes::from);
        state.started_at = Some(packet.arrived_at);
        state.start = Some(StartPoint { number, prologue, end });
        state.starts.came += 1;
    }

    /// The newest place where a decoder can start.
    pub fn newest_start(&self) -> Option<StartPoint> {
        self.state().start.clone()
    }

    /// How many places to start there were, when the newest one came, and how many bytes the packets take.
    pub fn figures(&self) -> (StartCounts, Option<Instant>, usize) {
        let state = self.state();
        (state.starts, state.started_at.filter(|_| state.start.is_some()), state.bytes)
    }

    /// Whether its stream says where a decoder can start.
    pub(super) fn has_starts(&self) -> bool {
        self.state().has_starts()
    }

    /// The number of the packet to come.
    pub fn head(&self) -> u64 {
        self.state().head
    }

    /// The newest packet, unless it is older than `max_age`: where a new subscriber starts.
    pub fn newest(&self, now: Instant, max_age: Duration) -> Option<RingStart> {
        let state = self.state();
        let newest = state.packets.back()?;
        let fresh = now.saturating_duration_since(newest.arrived_at) <= max_age;
        let (sequence, timestamp) = (newest.sequence, newest.timestamp);
        fresh.then(|| RingStart { number: state.head - 1, sequence, timestamp })
    }

    /// Appends to `out` the packets from number `from` up to `to` (exclusive), at most `max`. Returns the
    /// number of the first one: larger than `from` where the ring has already let some go.
    pub fn read(&self, from: u64, to: u64, max: usize, out: &mut Vec<Bytes>) -> u64 {
        let state = self.state();
        let first = from.max(state.fresh).min(state.head);
        state.copy(first, to, max, out);
        first
    }

    /// The same for who is brought level: also what is no longer fresh.
    pub(super) fn read_past(&self, from: u64, to: u64, max: usize, out: &mut Vec<Bytes>) -> u64 {
        let state = self.state();
        let first = from.max(state.tail()).min(state.head);
        state.copy(first, to, max, out);
        first
    }

    /// Appends to `out` the packets from number `from` on, at most `max`, also those that are no longer fresh. Returns the number of the
    /// first one: larger than `from` where the ring has already let some go.
    pub fn packets(&self, from: u64, max: usize, out: &mut Vec<Packet>) -> u64 {
        let state = self.state();
        let first = from.max(state.tail()).min(state.head);
        out.extend(state.packets.range((first - state.tail()) as usize..).take(max).cloned());
        first
    }

    /// Keeps what there is from a packet on for who begins there, as far as the bytes go and no older than 30 s.
    pub(super) fn pin(&self, number: u64) -> Pin {
        let pin = Pin::at(number);
        self.state().pins.push(pin.clone());
        pin
    }

    /// The number up to which a burst may go that wants packet `next`, faster than it came if it `may`. `None`: to the end, it is
    /// level.
    pub(super) fn due(&self, burst: &mut Burst, next: u64, may: bool, now: Instant) -> Option<u64> {
        let state = self.state();
        let reached = state.packet(next.max(state.tail())).map_or(now, |packet| packet.arrived_at);
        let came_by = burst.advance(next, reached, may, now);
        if next < burst.whole() {
            return (next < state.head).then(|| burst.whole().min(state.head));
        }
        let first = next.clamp(state.tail(), state.head);
        let behind = state.packets.range((first - state.tail()) as usize..);
        let due = first + behind.take_while(|packet| packet.arrived_at <= came_by).count() as u64;
        (due < state.head).then_some(due)
    }

    /// A packet by its sequence number, with the number that it has here.
    pub(super) fn find(&self, ssrc: u32, sequence: u16) -> Found {
        let state = self.state();
        let is_of_it = |packet: &&Packet| packet.data.get(8..12) == Some(&ssrc.to_be_bytes());
        let Some(newest) = state.packets.back().filter(is_of_it) else { return Found::OtherStream };
        if (1..1 << 15).contains(&sequence.wrapping_sub(newest.sequence)) {
            return Found::ToCome;
        }
        let place = look_up(state.packets.len(), |place| state.packets[place].sequence, sequence);
        let found = place.and_then(|place| Some((place, state.packets.get(place).filter(is_of_it)?)));
        found.map_or(Found::Nowhere, |(place, packet)| Found::There {
            number: state.tail() + place as u64,
            data: packet.data.clone(),
        })
    }

    /// A packet as a subscriber's first one.
    pub(super) fn start_at(&self, number: u64) -> Option<RingStart> {
        let state = self.state();
        let Packet { sequence, timestamp, .. } = *state.packet(number)?;
        Some(RingStart { number, sequence, timestamp })
    }

    /// The number of the oldest packet that arrived no earlier than that, or later.
    pub(super) fn first_since(&self, moment: Instant) -> u64 {
        let state = self.state();
        state.tail() + state.packets.partition_point(|packet| packet.arrived_at < moment) as u64
    }

    /// Appends to `out` what is due at a place up to `to` (exclusive), at most `max`, and moves the place past it. One that
    /// is no longer there goes on with the newest packet that a decoder can start from, or the next one to come; in a stream
    /// that has none with the newest of all.
    pub(super) fn take(&self, place: &Standing, to: u64, max: usize, out: &mut Vec<Bytes>) -> Took {
        let state = self.state();
        let (mut first, mut took) = (place.next().min(state.head), Took::default());
        if first < state.tail() || place.waits() {
            let entry = state.entry(first);
            took.is_back = entry.is_some();
            first = entry.unwrap_or(state.head);
            took.missed = place.settle(first);
            place.wait(entry.is_none());
        }
        place.move_to(first + state.copy(first, to, max, out));
        took
    }

    /// Counts what a place that stands still has missed by now; returns how much of it was not counted before.
    pub(super) fn settle(&self, place: &Standing) -> u64 {
        let state = self.state();
        place.settle(state.tail())
    }

    /// Gives a place up; returns where whoever has it next goes on.
    pub(super) fn give_up(&self, place: &Standing) -> u64 {
        let _state = self.state();
        place.give_up()
    }

    /// Makes its packets those of another stream.
    pub(super) fn renumber(&self, by: &Renumbering) {
        let again = |data: &mut Bytes| by.packet(data).into_iter().for_each(|packet| *data = packet.into());
        let mut state = self.state();
        for Packet { data, sequence, timestamp, .. } in &mut state.packets {
            again(data);
            *sequence = sequence.wrapping_add(by.sequence);
            *timestamp = timestamp.wrapping_add(by.timestamp);
        }
        state.start.iter_mut().filter_map(|start| start.prologue.as_mut()).for_each(again);
    }

    /// The number of the oldest packet that is there.
    pub(super) fn tail(&self) -> u64 {
        self.state().tail()
    }

    /// The number of the oldest packet that is fresh.
    pub(super) fn oldest_fresh(&self) -> u64 {
        self.state().fresh
    }

    /// How fast the packets came that are there. A stream that has fallen silent is as fast as it was.
    pub fn bits_per_second(&self) -> u64 {
        let state = self.state();
        let (Some(oldest), Some(newest)) = (state.packets.front(), state.packets.back()) else {
            return self.expected_rate.get().copied().unwrap_or(0);
        };
        let span = newest.arrived_at.saturating_duration_since(oldest.arrived_at).max(RATE_SPAN);
        (state.bytes as f64 * 8.0 / span.as_secs_f64()) as u64
    }

    /// When packet `number` arrived, or the oldest after it that is still there; `None` if it is to come.
    pub fn arrival(&self, number: u64) -> Option<Instant> {
        let state = self.state();
        state.packet(number.max(state.tail())).map(|packet| packet.arrived_at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn tail(&self) -> u64 {
        self.head - self.packets.len() as u64
    }

    fn packet(&self, number: u64) -> Option<&Packet> {
        self.packets.get(number.checked_sub(self.tail())? as usize)
    }

    /// Appends what is there from `first` up to `to`, at most `max`; returns how many packets that was.
    fn copy(&self, first: u64, to: u64, max: usize, out: &mut Vec<Bytes>) -> u64 {
        let start = (first - self.tail()) as usize;
        let count = (to.min(self.head).saturating_sub(first) as usize).min(max);
        out.extend(self.packets.range(start..start + count).map(|packet| packet.data.clone()));
        count as u64
    }

    /// The number to go on with for a reader that wants this packet and has none before it. `None`: a start that is to come.
    fn entry(&self, wanted: u64) -> Option<u64> {
        if let Some(start) = self.start.as_ref().filter(|start| start.number >= wanted) {
            return Some(start.number);
        }
        (!self.has_starts()).then_some(self.head.saturating_sub(1)).filter(|newest| *newest >= wanted)
    }

    /// Whether one came lately, though it may have gone.
    fn has_starts(&self) -> bool {
        let newest_at = self.packets.back().map(|newest| newest.arrived_at);
        let age =
            newest_at.zip(self.started_at).map(|(newest, start)| newest.saturating_duration_since(start));
        age.is_some_and(|age| age <= OLDEST_START)
    }

    /// `entered_at`: where others of the channel are entered.
    fn trim(&mut self, limits: &RingLimits, entered_at: Option<Instant>) {
        let Some(newest_at) = self.packets.back().map(|newest| newest.arrived_at) else { return };
        let age = |packet: &Packet| newest_at.saturating_duration_since(packet.arrived_at);
        let first = self.tail();
        let at = |number: u64| &self.packets[(number - first) as usize];
        while self.fresh + 1 < self.head && age(at(self.fresh)) > limits.age {
            self.fresh += 1;
        }
        self.start.take_if(|start| age(at(start.number)) > OLDEST_START);
        let needed = self.start.as_ref().map_or(self.fresh, |start| self.fresh.min(start.number));
        self.pins.retain(|pin| pin.number().is_some());
        let pinned = self.pins.iter().filter_map(Pin::number).min();
        let is_wanted = |number: u64, packet: &Packet| {
            let age = newest_at.saturating_duration_since(packet.arrived_at);
            let is_entered = entered_at.is_some_and(|at| at <= packet.arrived_at);
            age <= OLDEST_START && (is_entered || pinned.is_some_and(|pinned| pinned <= number))
        };
        while self.packets.len() > 1 {
            let is_over = self.bytes > limits.bytes;
            if !is_over && (self.tail() >= needed || is_wanted(self.tail(), &self.packets[0])) {
                break;
            }
            let gone = self.packets.pop_front();
            self.bytes -= gone.map_or(0, |gone| gone.data.len());
        }
        let tail = self.tail();
        self.fresh = self.fresh.max(tail);
        if self.start.take_if(|start| start.number < tail).is_some() {
            self.starts.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const LIMITS: RingLimits = RingLimits { age: Duration::from_secs(1), bytes: 100 };

    fn packet(sequence: u16, at: Instant) -> Packet {
        let data = Bytes::from(vec![sequence as u8; 10]);
        Packet { data, sequence, timestamp: u32::from(sequence) * 100, arrived_at: at }
    }

    fn read(ring: &Ring, from: u64, to: u64, max: usize) -> (u64, Vec<u8>) {
        let mut out = Vec::new();
        let first = ring.read(from, to, max, &mut out);
        (first, out.iter().map(|data| data[0]).collect())
    }

    #[test]
    fn a_cursor_reads_what_is_due_and_no_more() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        ring.push((0..5).map(|n| packet(n, at)));
        assert_eq!(read(&ring, 2, u64::MAX, 64), (2, vec![2, 3, 4]));
        assert_eq!(read(&ring, 2, 4, 64), (2, vec![2, 3]));
        assert_eq!(read(&ring, 0, u64::MAX, 1), (0, vec![0]));
        assert_eq!(read(&ring, 5, u64::MAX, 64), (5, vec![]));
    }

    #[test]
    fn the_ring_is_bounded_by_bytes_and_by_time() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        ring.push((0..12).map(|n| packet(n, at)));
        assert_eq!(read(&ring, 0, u64::MAX, 64).0, 2, "100 bytes hold ten of them");
        ring.push([packet(12, at + Duration::from_millis(1500))]);
        assert_eq!(read(&ring, 0, u64::MAX, 64), (12, vec![12]));
    }

    #[test]
    fn a_packet_tells_when_it_arrived_or_the_oldest_that_is_left_does() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        ring.push((0..12).map(|n| packet(n, at + Duration::from_millis(u64::from(n)))));
        let after = |number| ring.arrival(number).map(|arrived| (arrived - at).as_millis());
        assert_eq!([0, 2, 11, 12].map(after), [Some(2), Some(2), Some(11), None]);
    }

    #[test]
    fn a_ring_tells_the_rate_of_its_stream() {
        let ring = Ring::new(RingLimits { bytes: 1000, ..LIMITS });
        let at = clock::now();
        assert_eq!(ring.bits_per_second(), 0);
        ring.push([packet(0, at)]);
        assert_eq!(ring.bits_per_second(), 800, "10 bytes in 100 ms, and not in no time");
        ring.push((1..=50).map(|n| packet(n, at + Duration::from_millis(u64::from(n) * 10))));
        assert_eq!(ring.bits_per_second(), 51 * 10 * 8 * 2);
    }

    #[test]
    fn a_subscriber_starts_at_a_packet_that_is_there() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        assert_eq!(ring.newest(at, LIMITS.age), None);
        ring.push([packet(7, at), packet(8, at)]);
        let start = RingStart { number: 1, sequence: 8, timestamp: 800 };
        assert_eq!(ring.newest(at, LIMITS.age), Some(start));
        assert_eq!(ring.newest(at + Duration::from_secs(2), LIMITS.age), None, "a stale packet is no start");
    }

    /// What a reader that has fallen out of the ring gets of it, and whether it is back.
    fn fallen(ring: &Ring, place: &Standing) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let took = ring.take(place, u64::MAX, 64, &mut out);
        (out.iter().map(|data| data[0]).collect(), took.is_back)
    }

    #[test]
    fn who_has_fallen_out_goes_on_where_a_decoder_can_start() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        ring.push((0..18).map(|n| packet(n, at)));
        ring.start_before(2, None, None);
        assert_eq!(ring.newest_start(), Some(StartPoint { number: 15, prologue: None, end: None }));
        assert_eq!(fallen(&ring, &Standing::new(3.into())), (vec![15, 16, 17], true));
    }

    #[test]
    fn where_no_start_is_there_who_has_fallen_out_waits_for_one_and_gets_no_packet_before() {
        let ring = Ring::new(LIMITS);
        let (at, place) = (clock::now(), Standing::new(0.into()));
        ring.push([packet(0, at)]);
        ring.start_before(0, None, None);
        ring.push((1..20).map(|n| packet(n, at)));
        for number in 20..23 {
            assert_eq!(fallen(&ring, &place), (vec![], false));
            ring.push([packet(number, at)]);
        }
        ring.start_before(0, None, None);
        assert_eq!(fallen(&ring, &place), (vec![22], true));
        assert_eq!((fallen(&ring, &place), place.missed()), ((vec![], false), 22));
    }

    #[test]
    fn in_a_stream_without_starts_who_has_fallen_out_goes_on_with_the_newest_packet() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        ring.push((0..20).map(|n| packet(n, at)));
        assert_eq!(fallen(&ring, &Standing::new(0.into())), (vec![19], true));
        ring.start_before(0, None, None);
        ring.push((20..40).map(|n| packet(n, at + OLDEST_START + Duration::from_millis(1))));
        assert_eq!(fallen(&ring, &Standing::new(0.into())), (vec![39], true), "it has none any more");
    }

    #[test]
    fn the_ring_reaches_back_to_the_newest_start_and_lanes_have_what_is_fresh() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        let second = |number: u16| packet(number, at + Duration::from_secs(number.into()));
        ring.push([second(0)]);
        ring.start_before(0, None, None);
        ring.push((1..8).map(second));
        assert_eq!(ring.newest_start().map(|start| start.number), Some(0), "it is eight seconds old");
        assert_eq!(read(&ring, 0, u64::MAX, 64), (6, vec![6, 7]));
        assert_eq!(ring.arrival(0), Some(at), "and there");
        ring.start_before(0, None, None);
        ring.push([second(8)]);
        assert_eq!(ring.arrival(0), Some(at + Duration::from_secs(7)), "the one before is needed no longer");
    }

    #[test]
    fn a_start_goes_when_it_is_too_old_or_the_bytes_do_not_suffice() {
        let ring = Ring::new(LIMITS);
        let at = clock::now();
        ring.push([packet(0, at)]);
        ring.start_before(0, None, None);
        ring.push([packet(1, at + OLDEST_START + Duration::from_millis(1))]);
        assert_eq!((ring.newest_start(), ring.figures().0.lost), (None, 0));
        ring.start_before(0, None, None);
        ring.push((2..11).map(|n| packet(n, at + OLDEST_START)));
        assert!(ring.newest_start().is_some(), "100 bytes hold ten of them");
        ring.push([packet(11, at + OLDEST_START)]);
        assert_eq!((ring.newest_start(), ring.figures().0.lost), (None, 1));
    }
}
