//! One transport stream, as it comes: how much of what, what is missing, and what its tables say.

use std::collections::BTreeMap;

use crate::wire::psi::Psi;
use crate::wire::transport_stream::{Pcr, packet_len, packets};
use crate::wire::ts_packet::{NULL_PID, TsPacket};

/// The most PIDs that are told apart.
const MAX_PIDS: usize = 512;
/// Clock references are in units of 90 kHz and wrap at 33 bits.
const PCR_WRAP: u64 = 1 << 33;
/// A reference so far from the one before tells of another clock.
const LONGEST_INTERVAL: u64 = 90_000 * 10;

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Packets.
    pub packets: u64,
    /// The sizes that they had.
    pub sizes: Vec<usize>,
    /// Packets whose header makes no sense.
    pub unreadable: u64,
    /// By PID.
    pub pids: BTreeMap<u16, Pid>,
    /// Packets of PIDs beyond those that are told apart.
    pub of_more_pids: u64,
    /// What the tables said.
    pub psi: Psi,
}

/// One PID.
#[derive(Debug, Default)]
pub struct Pid {
    /// Its packets.
    pub packets: u64,
    /// How often its count did not go on.
    pub continuity_errors: u64,
    /// Packets that are encrypted.
    pub scrambled: u64,
    /// Packets that whoever received them before could not correct.
    pub broken: u64,
    /// Its clock.
    pub clock: Clock,
    continuity: Option<u8>,
    is_repeated: bool,
}

/// How often clock references come, by themselves.
#[derive(Debug, Default)]
pub struct Clock {
    /// How many.
    pub references: u64,
    last: Option<u64>,
    intervals: u64,
    sum: u64,
    longest: u64,
}

impl Survey {
    /// Takes a payload of whole packets.
    pub fn take(&mut self, payload: &[u8]) {
        if let Some(size) = packet_len(payload).filter(|size| !self.sizes.contains(size)) {
            self.sizes.push(size);
        }
        for packet in packets(payload) {
            self.packets += 1;
            let Some(packet) = TsPacket::read(packet) else {
                self.unreadable += 1;
                continue;
            };
            self.psi.take(&packet);
            if self.pids.len() == MAX_PIDS && !self.pids.contains_key(&packet.pid) {
                self.of_more_pids += 1;
                continue;
            }
            self.pids.entry(packet.pid).or_default().take(&packet);
        }
    }

    /// Something of all PIDs together.
    pub fn sum(&self, of: impl Fn(&Pid) -> u64) -> u64 {
        self.pids.values().map(of).sum()
    }

    /// Which part of the stream this many packets are.
    pub fn share(&self, packets: u64) -> f64 {
        packets as f64 / self.packets.max(1) as f64
    }

    /// Packets that carry nothing.
    pub fn nulls(&self) -> u64 {
        self.pids.get(&NULL_PID).map_or(0, |pid| pid.packets)
    }
}

impl Pid {
    fn take(&mut self, packet: &TsPacket<'_>) {
        self.packets += 1;
        self.scrambled += u64::from(packet.is_scrambled);
        self.broken += u64::from(packet.is_broken);
        if let Some(pcr) = packet.pcr {
            self.clock.take(pcr);
        }
        if packet.pid == NULL_PID {
            return;
        }
        let before = self.continuity.replace(packet.continuity);
        let step = before.map_or(1, |before| packet.continuity.wrapping_sub(before) & 0xf);
        // A packet may come twice, and one without payload does not count (section 2.4.3.3).
        let (fits, is_repeat) = match (packet.payload.is_some(), step) {
            (true, 1) => (true, false),
            (true, 0) => (!self.is_repeated, true),
            (false, 0) => (true, false),
            _ => (false, false),
        };
        self.is_repeated = is_repeat;
        self.continuity_errors += u64::from(!fits && before.is_some() && !packet.is_discontinuous);
    }
}

impl Clock {
    fn take(&mut self, pcr: Pcr) {
        self.references += 1;
        let Some(last) = self.last.replace(pcr.base).filter(|_| !pcr.is_discontinuous) else { return };
        let interval = pcr.base.wrapping_sub(last) % PCR_WRAP;
        if interval <= LONGEST_INTERVAL {
            self.intervals += 1;
            self.sum += interval;
            self.longest = self.longest.max(interval);
        }
    }

    /// From one reference to the next, in milliseconds: in the mean, and at most.
    pub fn interval_ms(&self) -> Option<(f64, f64)> {
        let mean = self.sum as f64 / self.intervals.max(1) as f64;
        (self.intervals > 0).then(|| (mean / 90.0, self.longest as f64 / 90.0))
    }
}
