//! UDP subscribers of one ring that share a server socket: the same run of packets to each address.
//!
//! Those who stand at one place are a [`Party`]. A newcomer starts at the packet that its PLAY reply announced,
//! which may be another place than the others': rounds bring each party level with the ring, and parties
//! that stand at one place are one from there on. So a crowd that joins never splits the batches of those who play, who are
//! served before it.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::event::clock;
use crate::net::{Control, Marks, Position, Refusal, Refused, Sender, split_run};

use super::burst::Spot;
use super::burst_budget::BurstBudget;
use super::carriage::{Carriage, keep_payloads};
use super::handover::{Handover, Place};
use super::mailbox::{Change, DatagramMember, Mailbox};
use super::outward::Oversize;
use super::party::{Gone, Party, smallest_whole, stays};
use super::ring::Ring;
use super::round::{Progress, Served};
use super::server_socket::ServerSocket;
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
    control: Control,
    /// Only the payload of each packet is sent.
    is_raw: bool,
    may_have_alias: bool,
    parties: Vec<Party>,
    /// Who begins where another lets them go, and is not told yet.
    waiting: Vec<(Arc<Handover>, DatagramMember)>,
    /// The party that is being served; all of them between two rounds.
    turn: usize,
    batch: Batch,
    /// How far the ring was when this round began, or when there was none yet.
    head: u64,
    /// When the oldest packet of this round arrived.
    oldest: Option<Instant>,
    /// A packet that is larger than a path takes whole, of which the log has not heard.
    oversize: Option<Oversize>,
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
    pub fn new(socket: Arc<ServerSocket>, by: Carriage, marks: Marks, head: u64) -> Self {
        Self {
            control: socket.control(marks),
            socket,
            is_raw: by == Carriage::Raw,
            may_have_alias: by.may_have_alias(),
            parties: Vec::new(),
            waiting: Vec::new(),
            turn: 0,
            batch: Batch::default(),
            head,
            oldest: None,
            oversize: None,
        }
    }

    /// A packet that was larger than a path takes whole, since the last look.
    pub fn take_oversize(&mut self) -> Option<Oversize> {
        self.oversize.take()
    }

    /// One run: a part of the round that is under way, or of a new one. What arrives meanwhile is for the next.
    pub fn serve(
        &mut self,
        mailbox: &Mailbox,
        ring: &Ring,
        totals: &Totals,
        bursts: &BurstBudget,
    ) -> Progress {
        if self.turn == self.parties.len() {
            self.begin(mailbox, ring, totals, bursts);
        }
        let mut budget = DESTINATIONS_PER_RUN;
        while self.turn < self.parties.len() {
            if self.batch.packets.is_empty() && !self.load(ring, totals, bursts) {
                self.turn += 1;
                continue;
            }
            if budget == 0 {
                return Progress::More(self.oldest);
            }
            match self.send(totals) {
                Some(destinations) => budget = budget.saturating_sub(destinations),
                None => {
                    self.count_missed(ring, totals);
                    return Progress::Blocked;
                }
            }
        }
        self.merge();
        let is_bursting = self.parties.iter().any(Party::is_behind);
        Progress::Done(Served { head: self.head, oldest: mem::take(&mut self.oldest), is_bursting })
    }

    /// While the round waits for room, the ring goes on: what has left it nobody here is sent any more.
    fn count_missed(&mut self, ring: &Ring, totals: &Totals) {
        let (fresh, tail) = (ring.oldest_fresh(), ring.tail());
        let oldest = |party: &Party| if party.is_behind() { tail } else { fresh };
        self.parties.iter_mut().for_each(|party| party.miss(oldest(party), totals));
    }

    /// What is left of the batch under way was not sent, though it has passed its party. Returns how many packets that is,
    /// over all destinations.
    fn except_what_is_left(&mut self) -> u64 {
        let Batch { packets, sent, at, .. } = &self.batch;
        let (Some(party), left) = (self.parties.get_mut(self.turn), &packets[*sent..]) else { return 0 };
        let (run, behind) = split_run(left);
        let excepted = party.members.iter().enumerate().map(|(place, member)| {
            let begun = if place == at.destination { &run[at.packet.min(run.len())..] } else { run };
            let of_run = if place < at.destination { &[] } else { begun };
            let packets = (of_run.len() + behind.len()) as u64;
            member.stake.except(packets, bytes_of(of_run) + bytes_of(behind));
            packets
        });
        excepted.sum()
    }

    /// Lets go of a round that a fault has ended, and of its packets: the next one begins with what comes from here on.
    pub fn abandon(&mut self, head: u64, totals: &Totals) {
        totals.overrun(self.except_what_is_left());
        self.batch = Batch::default();
        self.parties.iter_mut().for_each(|party| party.miss(head, totals));
        (self.head, self.oldest) = (head, None);
        self.merge();
    }

    fn begin(&mut self, mailbox: &Mailbox, ring: &Ring, totals: &Totals, bursts: &BurstBudget) {
        let now = clock::now();
        self.admit(mailbox.take(), now);
        self.turn = 0;
        self.oldest = ring.arrival(self.head); // what a newcomer gets beside that is old on purpose
        let level = self.parties.iter().filter(|party| !party.is_behind());
        let largest = level.max_by_key(|party| party.members.len());
        self.head = largest.map_or(u64::MAX, |party| party.cursor + ROUND_PACKETS as u64).min(ring.head());
        self.parties.iter_mut().for_each(|party| party.begin((ring, self.head), bursts, totals, now));
    }

    fn admit(&mut self, changes: Vec<Change>, now: Instant) {
        let mut gone = Gone::new();
        for change in changes {
            match change {
                Change::JoinDatagrams { from: Place::At(from), member } => {
                    self.party_at(from, now).add(member)
                }
                Change::JoinDatagrams { from: Place::After(before), member } => {
                    self.waiting.push((before, member))
                }
                Change::Told => {}
                Change::Leave { number, heir } => drop(gone.insert(number, heir)),
                Change::JoinStream { .. } => debug_assert!(false, "a stream joins a lane of streams"),
            }
        }
        if !gone.is_empty() {
            self.parties.iter_mut().for_each(|party| party.dismiss(&gone));
            self.parties.retain(|party| !party.members.is_empty());
            self.waiting.retain(|(before, member)| stays(&gone, member.number, |heir| before.pass_on(heir)));
        }
        let is_told = |(before, _): &mut (Arc<Handover>, _)| before.place().is_some();
        for (before, member) in self.waiting.extract_if(.., is_told).collect::<Vec<_>>() {
            let from = before.place().expect("told, and told for good");
            self.party_at(from, now).add(member);
        }
    }

    fn party_at(&mut self, spot: Spot, now: Instant) -> &mut Party {
        let alias = spot.alias.filter(|_| self.may_have_alias);
        let (spot, is_alone) = (spot.under(alias), alias.is_some());
        let same = self.parties.iter().position(|party| !is_alone && party.is_at(&spot));
        let place = same.unwrap_or_else(|| {
            self.parties.push(Party::at(spot, now));
            self.parties.len() - 1
        });
        &mut self.parties[place]
    }

    /// Loads the next batch of the party whose turn it is. `false`: it is served.
    fn load(&mut self, ring: &Ring, totals: &Totals, bursts: &BurstBudget) -> bool {
        let party = &mut self.parties[self.turn];
        let packets = &mut self.batch.packets;
        // Where the ring has let packets go, a place moves on without any: more may be due behind them.
        while packets.is_empty() && party.load((ring, bursts), ROUND_PACKETS, packets, totals) {
            if self.is_raw {
                keep_payloads(packets);
            } else if let Some(alias) = party.alias {
                alias.give(packets);
            }
        }
        party.passed.send(packets.len() as u64, bytes_of(packets));
        let largest = packets.iter().map(Bytes::len).max().unwrap_or(0);
        if largest > party.whole && self.socket.fragments() {
            totals.fragmented(party.fragments_of(packets));
            self.oversize = party.oversize(largest);
        }
        !packets.is_empty()
    }

    /// Sends one run of packets to the next destinations; returns to how many. `None`: the sockets are full.
    fn send(&mut self, totals: &Totals) -> Option<usize> {
        let Batch { packets, sent, at, waits } = &mut self.batch;
        let Party { destinations, members, whole, .. } = &mut self.parties[self.turn];
        let (control, oversize) = (&mut self.control, &mut self.oversize);
        let (run, _) = split_run(&packets[*sent..]);
        let (start, all) = (at.destination, destinations.len());
        let end = (start + DESTINATIONS_PER_STEP).min(all);
        let mut socket = self.socket.current();
        let mut has_waited = mem::take(waits);
        loop {
            let before = *at;
            let report = SENDER.with_borrow_mut(|sender| {
                let report = sender.send(&*socket, control, &mut destinations[..end], run, *at);
                for Refused { destination, packets, bytes, reason } in sender.refused() {
                    members[destination].stake.except(packets, bytes);
                    if reason == Refusal::TooLarge {
                        let to = destinations[destination].address();
                        *oversize = to.map(|to| Oversize { bytes: bytes as usize, to, is_dropped: true });
                    }
                }
                report
            });
            totals.sent(report.packets, report.bytes);
            totals.refused(report.refused);
            totals.demoted(report.demoted);
            if report.demoted > 0 {
                *whole = smallest_whole(destinations);
            }
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

    /// Parties that stand at one place are one. Who has numbers of its own is one alone, and is looked for with nobody.
    fn merge(&mut self) {
        let room = Vec::with_capacity(self.parties.len());
        let mut parties = mem::replace(&mut self.parties, room);
        parties.sort_by_key(|party| {
            (party.is_behind(), party.alias.is_some(), usize::MAX - party.members.len())
        });
        for party in parties {
            let is_alone = party.alias.is_some();
            match self.parties.iter_mut().find(|other| !is_alone && other.is_with(&party)) {
                Some(other) => other.join(party),
                None => self.parties.push(party),
            }
        }
        self.turn = self.parties.len();
    }
}

/// Its lane may go in the middle of a round, at a stop.
impl Drop for DatagramGroup {
    fn drop(&mut self) {
        self.except_what_is_left();
    }
}

fn bytes_of(packets: &[Bytes]) -> u64 {
    packets.iter().map(|packet| packet.len() as u64).sum()
}

#[cfg(test)]
#[path = "datagram_group_tests.rs"]
mod tests;
