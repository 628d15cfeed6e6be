//! UDP subscribers of one ring that share a server socket: the same run of packets to each address.
//!
//! All of them stand at one common cursor. A newcomer starts at the packet its PLAY reply announced, so
//! it is first brought level alone; the common batch ends early where a newcomer's start lies ahead.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use crate::event::clock;
use crate::net::{Destination, Position, Sender, split_run};

use super::lane::{Change, Mailbox, Progress, Served};
use super::ring::Ring;
use super::server_socket::ServerSocket;
use super::totals::Totals;

/// Packets of one batch: a few runs of the largest size.
const BATCH_PACKETS: usize = 256;
/// Steps of one run of the lane, each a batch or a part of one. A lane with more to do goes to the queue's
/// tail, so none starves.
const STEPS_PER_RUN: usize = 4;
/// Destinations of one run of packets that are served in one step.
const DESTINATIONS_PER_STEP: usize = 256;

thread_local! {
    static SENDER: RefCell<Sender> = RefCell::default();
}

pub(super) struct DatagramGroup {
    socket: Arc<ServerSocket>,
    destinations: Vec<Destination>,
    /// Beside `destinations`: who stands at each place.
    members: Vec<Place>,
    newcomers: VecDeque<Newcomer>,
    /// What all members want next.
    cursor: u64,
    /// How far the ring was when this round began.
    head: u64,
    batch: Batch,
}

/// One UDP subscriber.
pub(super) struct DatagramMember {
    pub destination: Destination,
    /// Keeps the address taken for as long as packets may still be sent to it.
    pub reservation: Arc<dyn Any + Send + Sync>,
}

struct Place {
    number: u64,
    _reservation: Arc<dyn Any + Send + Sync>,
}

struct Newcomer {
    number: u64,
    from: u64,
    member: DatagramMember,
}

/// Packets on their way out, and how far they got.
#[derive(Default)]
struct Batch {
    packets: Vec<Bytes>,
    sent: usize,
    at: Position,
    /// The batch brings the first newcomer level, and goes to nobody else.
    for_newcomer: bool,
    /// Runs that it has gone out in so far.
    runs: u64,
    /// The sockets were full when it was tried last.
    waits: bool,
}

/// How a step of sending ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The batch is out.
    Done,
    /// Others may have their turn before the rest of it.
    Paused,
    /// The sockets are full, and the batch waits where it is.
    Blocked,
}

impl DatagramGroup {
    pub fn new(socket: Arc<ServerSocket>, cursor: u64) -> Self {
        let (destinations, members) = (Vec::new(), Vec::new());
        let (newcomers, batch) = (VecDeque::new(), Batch::default());
        Self { socket, destinations, members, newcomers, cursor, head: cursor, batch }
    }

    /// One run: what is left of the batch, then who came and went, then what is due. What arrives while a
    /// round is under way is for the next one, which comes after the lane's hold.
    pub fn serve(&mut self, mailbox: &Mailbox, ring: &Ring, totals: &Totals) -> Served {
        if self.batch.packets.is_empty() {
            self.head = ring.head();
        }
        let mut served = Served { progress: Progress::More, packets: 0, messages: 0, head: self.head };
        for _ in 0..STEPS_PER_RUN {
            match self.send(totals) {
                Step::Done => self.finish_batch(&mut served),
                Step::Paused => continue,
                Step::Blocked => {
                    served.progress = Progress::Blocked;
                    break;
                }
            }
            mailbox.take().into_iter().for_each(|change| self.apply(change));
            if !self.next_batch(ring, totals) {
                served.progress = Progress::Done;
                break;
            }
        }
        served
    }

    /// Sends a part of the batch: one run of packets to the next destinations.
    fn send(&mut self, totals: &Totals) -> Step {
        let Batch { packets, sent, at, for_newcomer, runs, waits } = &mut self.batch;
        let destinations = match self.newcomers.front_mut().filter(|_| *for_newcomer) {
            Some(newcomer) => std::slice::from_mut(&mut newcomer.member.destination),
            None => self.destinations.as_mut_slice(),
        };
        let (run, _) = split_run(&packets[*sent..]);
        if run.is_empty() {
            return Step::Done;
        }
        let end = (at.destination + DESTINATIONS_PER_STEP).min(destinations.len());
        let now = &mut destinations[..end];
        let mut socket = self.socket.current();
        let mut has_waited = mem::take(waits);
        loop {
            let before = *at;
            let report = SENDER.with_borrow_mut(|sender| sender.send(&*socket, now, run, *at));
            totals.sent(report.packets, report.bytes);
            totals.refused(report.refused);
            totals.demoted(report.demoted);
            let Some(position) = report.blocked else { break };
            *at = position;
            let instead = self.socket.instead_of(&socket, clock::now(), mem::take(&mut has_waited));
            // Where there is room and yet nothing went, it is not room that the kernel waits for.
            match instead.filter(|roomy| position != before || !Arc::ptr_eq(roomy, &socket)) {
                Some(roomy) => socket = roomy,
                None => {
                    *waits = true;
                    totals.waited();
                    return Step::Blocked;
                }
            }
        }
        *at = Position { destination: end, packet: 0 };
        if end == destinations.len() {
            *at = Position::default();
            *sent += run.len();
            *runs += 1;
        }
        if *sent == packets.len() { Step::Done } else { Step::Paused }
    }

    fn finish_batch(&mut self, served: &mut Served) {
        if !self.batch.for_newcomer {
            served.packets += self.batch.packets.len() as u64;
            served.messages += self.batch.runs;
        }
        self.batch = Batch { packets: mem::take(&mut self.batch.packets), ..Batch::default() };
        self.batch.packets.clear();
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::JoinDatagrams { number, from, member } => {
                self.newcomers.push_back(Newcomer { number, from, member });
            }
            Change::Leave { number } => {
                self.newcomers.retain(|newcomer| newcomer.number != number);
                if let Some(place) = self.members.iter().position(|member| member.number == number) {
                    self.members.swap_remove(place);
                    self.destinations.swap_remove(place);
                }
            }
            Change::JoinStream { .. } => debug_assert!(false, "a stream joins a lane of streams"),
        }
    }

    /// Loads what is to be sent next. `false`: nothing is due.
    fn next_batch(&mut self, ring: &Ring, totals: &Totals) -> bool {
        // Where the ring has let packets go, a place moves on without any: more may be due behind them.
        while self.load(ring, totals) {
            if !self.batch.packets.is_empty() {
                return true;
            }
        }
        false
    }

    /// Loads the next batch, possibly an empty one. `false`: nobody's place has moved.
    fn load(&mut self, ring: &Ring, totals: &Totals) -> bool {
        if self.destinations.is_empty() {
            let first_start = self.newcomers.iter().map(|newcomer| newcomer.from).min();
            self.cursor = first_start.unwrap_or_else(|| ring.head());
        }
        self.admit_level_newcomers();
        let behind = self.newcomers.iter().position(|newcomer| newcomer.from < self.cursor);
        self.batch.for_newcomer = behind.is_some();
        if let Some(place) = behind {
            self.newcomers.swap(0, place);
            let newcomer = &mut self.newcomers[0];
            let first = ring.read(newcomer.from, self.cursor, BATCH_PACKETS, &mut self.batch.packets);
            let first = first.min(self.cursor); // from there on, it shares the common fate
            totals.overrun(first - newcomer.from);
            newcomer.from = first + self.batch.packets.len() as u64;
            true
        } else {
            let before = self.cursor;
            let next_start = self.newcomers.iter().map(|newcomer| newcomer.from).min().unwrap_or(u64::MAX);
            let first = ring.read(before, next_start.min(self.head), BATCH_PACKETS, &mut self.batch.packets);
            totals.overrun((first - before) * self.destinations.len() as u64);
            self.cursor = first + self.batch.packets.len() as u64;
            self.cursor > before
        }
    }

    fn admit_level_newcomers(&mut self) {
        while let Some(place) = self.newcomers.iter().position(|newcomer| newcomer.from == self.cursor) {
            let Some(Newcomer { number, member, .. }) = self.newcomers.remove(place) else { return };
            self.destinations.push(member.destination);
            self.members.push(Place { number, _reservation: member.reservation });
        }
    }
}

#[cfg(test)]
#[path = "datagram_group_tests.rs"]
mod tests;
