//! UDP subscribers of one ring that share a server socket: the same run of packets to each address.
//!
//! Those who stand at one place are a [`Party`]. A newcomer starts at the packet that its PLAY reply announced,
//! which may be another place than the others': a round brings each party level with the ring, and parties
//! that stand at one place are one from there on. So a crowd that joins never splits the batches of those who play.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::event::clock;
use crate::net::{Destination, Position, Sender, split_run};

use super::mailbox::{Change, DatagramMember, Mailbox};
use super::ring::Ring;
use super::round::{Progress, Served};
use super::server_socket::ServerSocket;
use super::standing::Missed;
use super::totals::Totals;

/// Packets of one round: a few runs of the largest size. Who comes, and who goes, waits no longer than it takes.
const ROUND_PACKETS: usize = 256;
/// Destinations of one run of packets that are served in one step.
const DESTINATIONS_PER_STEP: usize = 256;
/// Destinations that one run of the lane serves. A lane with more to do goes to the queue's tail, so none starves.
const DESTINATIONS_PER_RUN: usize = 4 * DESTINATIONS_PER_STEP;

thread_local! {
    static SENDER: RefCell<Sender> = RefCell::default();
}

pub(super) struct DatagramGroup {
    socket: Arc<ServerSocket>,
    parties: Vec<Party>,
    /// The party that is being served; all of them between two rounds.
    turn: usize,
    batch: Batch,
    /// How far the ring was when this round began, or when there was none yet.
    head: u64,
    /// When the oldest packet of this round arrived.
    oldest: Option<Instant>,
}

/// Subscribers who want the same packet next.
struct Party {
    cursor: u64,
    destinations: Vec<Destination>,
    /// Beside `destinations`: who stands at each place.
    members: Vec<Place>,
}

struct Place {
    number: u64,
    missed: Arc<Missed>,
    _reservation: Arc<dyn Any + Send + Sync>,
}

/// Packets on their way out, and how far they got.
#[derive(Default)]
struct Batch {
    packets: Vec<Bytes>,
    sent: usize,
    at: Position,
    /// The sockets were full when it was tried last.
    waits: bool,
}

impl DatagramGroup {
    pub fn new(socket: Arc<ServerSocket>, head: u64) -> Self {
        let (parties, batch) = (Vec::new(), Batch::default());
        Self { socket, parties, turn: 0, batch, head, oldest: None }
    }

    /// One run: a part of the round that is under way, or of a new one. What arrives meanwhile is for the next.
    pub fn serve(&mut self, mailbox: &Mailbox, ring: &Ring, totals: &Totals) -> Progress {
        if self.turn == self.parties.len() {
            self.begin(mailbox, ring);
        }
        let mut budget = DESTINATIONS_PER_RUN;
        while self.turn < self.parties.len() {
            if self.batch.packets.is_empty() && !self.load(ring, totals) {
                self.turn += 1;
                continue;
            }
            if budget == 0 {
                return Progress::More(self.oldest);
            }
            match self.send(totals) {
                Some(destinations) => budget = budget.saturating_sub(destinations),
                None => {
                    self.count_missed(ring.tail(), totals);
                    return Progress::Blocked;
                }
            }
        }
        self.merge();
        Progress::Done(Served { head: self.head, oldest: mem::take(&mut self.oldest) })
    }

    /// While the round waits for room, the ring goes on: what has left it nobody here is sent any more.
    fn count_missed(&mut self, tail: u64, totals: &Totals) {
        for party in self.parties.iter_mut().filter(|party| party.cursor < tail) {
            party.miss(tail, totals);
        }
    }

    /// Counts the packets of the batch that is under way as missed by those that were not sent them yet.
    fn miss_batch(&mut self, totals: &Totals) {
        let Batch { packets, sent, at, .. } = mem::take(&mut self.batch);
        let (Some(party), left) = (self.parties.get(self.turn), &packets[sent..]) else { return };
        let (run, _) = split_run(left);
        for (place, member) in party.members.iter().enumerate() {
            let has_run = place < at.destination;
            let missed = left.len() - if has_run { run.len() } else { 0 };
            totals.overrun(member.missed.add(missed as u64));
        }
    }

    /// Lets go of a round that a fault has ended, and of its packets: the next one begins with what comes from here on.
    pub fn abandon(&mut self, head: u64, totals: &Totals) {
        self.miss_batch(totals);
        self.parties.iter_mut().for_each(|party| party.miss(head, totals));
        (self.head, self.oldest) = (head, None);
        self.merge();
    }

    fn begin(&mut self, mailbox: &Mailbox, ring: &Ring) {
        self.admit(mailbox.take());
        self.turn = 0;
        self.oldest = ring.arrival(self.head); // what a newcomer gets beside that is old on purpose
        let largest = self.parties.iter().max_by_key(|party| party.members.len());
        self.head = largest.map_or(u64::MAX, |party| party.cursor + ROUND_PACKETS as u64).min(ring.head());
    }

    fn admit(&mut self, changes: Vec<Change>) {
        let mut gone = HashSet::new();
        for change in changes {
            match change {
                Change::JoinDatagrams { from, member } => self.party_at(from).add(member),
                Change::Leave { number } => drop(gone.insert(number)),
                Change::JoinStream { .. } => debug_assert!(false, "a stream joins a lane of streams"),
            }
        }
        if !gone.is_empty() {
            self.parties.iter_mut().for_each(|party| party.dismiss(&gone));
            self.parties.retain(|party| !party.members.is_empty());
        }
    }

    fn party_at(&mut self, cursor: u64) -> &mut Party {
        let place = self.parties.iter().position(|party| party.cursor == cursor).unwrap_or_else(|| {
            self.parties.push(Party { cursor, destinations: Vec::new(), members: Vec::new() });
            self.parties.len() - 1
        });
        &mut self.parties[place]
    }

    /// Loads the next batch of the party whose turn it is. `false`: it is level.
    fn load(&mut self, ring: &Ring, totals: &Totals) -> bool {
        let party = &mut self.parties[self.turn];
        // Where the ring has let packets go, a place moves on without any: more may be due behind them.
        while party.cursor < self.head && self.batch.packets.is_empty() {
            let first = ring.read(party.cursor, self.head, ROUND_PACKETS, &mut self.batch.packets);
            party.miss(first, totals);
            party.cursor += self.batch.packets.len() as u64;
        }
        !self.batch.packets.is_empty()
    }

    /// Sends one run of packets to the next destinations; returns to how many. `None`: the sockets are full.
    fn send(&mut self, totals: &Totals) -> Option<usize> {
        let Batch { packets, sent, at, waits } = &mut self.batch;
        let destinations = &mut self.parties[self.turn].destinations;
        let (run, _) = split_run(&packets[*sent..]);
        let (start, all) = (at.destination, destinations.len());
        let end = (start + DESTINATIONS_PER_STEP).min(all);
        let mut socket = self.socket.current();
        let mut has_waited = mem::take(waits);
        loop {
            let before = *at;
            let report =
                SENDER.with_borrow_mut(|sender| sender.send(&*socket, &mut destinations[..end], run, *at));
            totals.sent(report.packets, report.bytes);
            totals.refused(report.refused);
            totals.demoted(report.demoted);
            let Some(position) = report.blocked else { break };
            *at = position;
            let instead = self.socket.instead_of(&socket, clock::now(), mem::take(&mut has_waited));
            // Where there is room and yet nothing went, it is not room that the kernel waits for.
            let Some(roomy) = instead.filter(|roomy| position != before || !Arc::ptr_eq(roomy, &socket))
            else {
                *waits = true;
                totals.waited();
                return None;
            };
            socket = roomy;
        }
        *at = Position { destination: end, packet: 0 };
        if end == all {
            *at = Position::default();
            *sent += run.len();
        }
        if *sent == packets.len() {
            packets.clear();
            *sent = 0;
        }
        Some(end - start)
    }

    /// Parties that stand at one place are one.
    fn merge(&mut self) {
        let mut parties = mem::take(&mut self.parties);
        parties.sort_by_key(|party| usize::MAX - party.members.len());
        for party in parties {
            match self.parties.iter_mut().find(|other| other.cursor == party.cursor) {
                Some(other) => other.join(party),
                None => self.parties.push(party),
            }
        }
        self.turn = self.parties.len();
    }
}

impl Party {
    fn add(&mut self, member: DatagramMember) {
        let DatagramMember { number, destination, missed, reservation } = member;
        self.destinations.push(destination);
        self.members.push(Place { number, missed, _reservation: reservation });
    }

    /// Goes on with packet `next`; what is before it, its members miss.
    fn miss(&mut self, next: u64, totals: &Totals) {
        let missed = next.saturating_sub(self.cursor);
        if missed > 0 {
            totals.overrun(self.members.iter().map(|member| member.missed.add(missed)).sum());
        }
        self.cursor = next;
    }

    fn join(&mut self, other: Self) {
        self.destinations.extend(other.destinations);
        self.members.extend(other.members);
    }

    fn dismiss(&mut self, gone: &HashSet<u64>) {
        let mut stays = self.members.iter().map(|member| !gone.contains(&member.number));
        self.destinations.retain(|_| stays.next().unwrap_or(true));
        self.members.retain(|member| !gone.contains(&member.number));
    }
}

#[cfg(test)]
#[path = "datagram_group_tests.rs"]
mod tests;
