//! Packets that are made to be lost on their way to subscribers over UDP, who ask for them again: generic NACKs (RFC 4585), from their own
//! addresses, at once and then each 20 ms.
//!
//! They are lost here and not in the network, as a packet that the kernel drops costs the relay's core another amount.

use std::collections::{HashMap, VecDeque};
use std::io::Result;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::Socket;

use crate::address_plan::{self, WITNESS_PORT};
use crate::histogram::Histogram;
use crate::ledger::{Ledger, Notes};
use crate::mark::{Mark, SSRC};
use crate::sys;

const ASK_AGAIN_NS: u64 = 20_000_000;

/// What is lost, and what came of asking.
pub struct Losses {
    per_mille: u64,
    server: Ipv4Addr,
    /// Of those who are no witnesses, and of those who are.
    sockets: [Socket; 2],
    /// Whether each subscriber is a witness, and where the server hears its RTCP.
    viewers: Vec<(bool, u16)>,
    missing: HashMap<Lost, Missing>,
    /// When to ask for what.
    due: VecDeque<(u64, Lost)>,
    /// Packets that were asked for, each time.
    pub asked: u64,
    /// Those that came of it.
    pub repaired: u64,
    /// How long after they were asked for last.
    pub took: Histogram,
}

/// A packet that a subscriber has not got: whose, and which.
type Lost = (usize, u64);

struct Missing {
    channel: u64,
    asked_ns: u64,
}

impl Losses {
    /// So many in a thousand; `viewers` are the server's RTCP ports by subscriber.
    pub fn new(
        per_mille: u64,
        server: Ipv4Addr,
        sockets: [Socket; 2],
        viewers: impl Iterator<Item = Option<u16>>,
    ) -> Self {
        let viewers: Vec<_> = viewers.map(Option::unwrap_or_default).collect();
        let all = viewers.len();
        let is_witness = |index| address_plan::rtp_port(index, all) == WITNESS_PORT;
        Self {
            per_mille,
            server,
            sockets,
            viewers: viewers.into_iter().enumerate().map(|(index, port)| (is_witness(index), port)).collect(),
            missing: HashMap::new(),
            due: VecDeque::new(),
            asked: 0,
            repaired: 0,
            took: Histogram::default(),
        }
    }

    /// Asks for what is missing and was not asked for, or not of late.
    pub fn ask(&mut self, now_ns: u64) -> Result<()> {
        let mut wanted = HashMap::<(usize, u64), Vec<u16>>::new();
        while self.due.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns) {
            let Some((_, lost)) = self.due.pop_front() else { break };
            let Some(missing) = self.missing.get_mut(&lost) else { continue };
            missing.asked_ns = sys::monotonic_ns();
            self.due.push_back((now_ns + ASK_AGAIN_NS, lost));
            wanted.entry((lost.0, missing.channel)).or_default().push(lost.1 as u16);
        }
        for ((subscriber, channel), sequences) in wanted {
            self.asked += sequences.len() as u64;
            let (is_witness, port) = self.viewers[subscriber];
            let to = SocketAddrV4::new(self.server, port);
            let nack = nack(subscriber as u32, SSRC + channel as u32, &sequences);
            sys::send_from(
                &self.sockets[usize::from(is_witness)],
                address_plan::subscriber(subscriber),
                &to,
                &nack,
            )?;
        }
        Ok(())
    }

    /// By chance, and always the same ones.
    fn is_lost(&self, subscriber: usize, number: u64) -> bool {
        let mixed =
            (number ^ (subscriber as u64) << 40).wrapping_add(0x5eed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32 < (self.per_mille << 32) / 1000
    }
}

/// A ledger that is told of what is not lost alone.
pub struct Lossy<'a>(pub &'a mut Losses, pub &'a mut Ledger);

impl Notes for Lossy<'_> {
    fn note(&mut self, subscriber: usize, first: &Mark, count: u64) {
        let Self(losses, ledger) = self;
        for number in first.number..first.number + count {
            let mark = Mark { number, ..*first };
            if !losses.is_lost(subscriber, number) || subscriber >= losses.viewers.len() {
                ledger.note(subscriber, &mark, 1);
            } else if let Some(missing) = losses.missing.remove(&(subscriber, number)) {
                losses.repaired += 1;
                losses.took.record((sys::monotonic_ns() - missing.asked_ns) / 1000);
                ledger.note_repaired(subscriber, &mark);
            } else {
                let missing = Missing { channel: mark.channel, asked_ns: 0 };
                losses.missing.insert((subscriber, number), missing);
                losses.due.push_front((0, (subscriber, number)));
            }
        }
    }

    fn note_delay(&mut self, subscriber: usize, mark: &Mark, arrived_ns: u64) {
        if !self.0.is_lost(subscriber, mark.number) {
            self.1.note_delay(subscriber, mark, arrived_ns);
        }
    }

    fn note_damaged(&mut self, count: u64) {
        self.1.note_damaged(count);
    }
}

/// PIDs and BLPs of these packets (RFC 4585 section 6.2.1).
fn nack(subscriber: u32, media: u32, sequences: &[u16]) -> Vec<u8> {
    let mut words: Vec<(u16, u16)> = Vec::new();
    for &sequence in sequences {
        match words.last_mut() {
            Some((first, others)) if (1..=16).contains(&sequence.wrapping_sub(*first)) => {
                *others |= 1 << (sequence.wrapping_sub(*first) - 1);
            }
            _ => words.push((sequence, 0)),
        }
    }
    let mut nack = vec![0x81, 205];
    nack.extend((2 + words.len() as u16).to_be_bytes());
    nack.extend([(0x5245_0000 + subscriber).to_be_bytes(), media.to_be_bytes()].as_flattened());
    for (first, others) in words {
        nack.extend([first.to_be_bytes(), others.to_be_bytes()].as_flattened());
    }
    nack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nack_names_all_that_are_missing() {
        let nack = nack(1, 7, &[65_535, 0, 15, 16, 40]);
        assert_eq!(nack[..12], [0x81, 205, 0, 5, 0x52, 0x45, 0, 1, 0, 0, 0, 7]);
        assert_eq!(nack[12..], [0xff, 0xff, 0x80, 1, 0, 16, 0, 0, 0, 40, 0, 0]);
    }
}
