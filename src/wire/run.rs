//! One unbroken numbering of one source: which packets came, which are missed, and which are given up
//! (RFC 3550 appendix A.1).

use std::ops::Range;

/// A step forward of this many packets is a source that started anew, unless as many would have come in the time that
/// has passed.
const MAX_DROPOUT: u16 = 3000;

/// A packet that so many numbers have followed is given up.
const MAX_MISORDER: u16 = 100;

/// How many of the latest sequence numbers are remembered, to tell a duplicate from a late packet. A packet
/// further behind belongs to no known run. Divides 65536, so that the window stays aligned across the wrap.
const WINDOW: u16 = 512;

/// How a packet stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The very first packet.
    First,
    /// The one expected next.
    InOrder,
    /// Ahead of the one expected: `missing` packets between are lost, or late.
    Gap {
        /// How many numbers were passed over: more than 2998 only where the time that has passed explains them.
        missing: u64,
    },
    /// Behind the newest and not seen before.
    Reordered,
    /// Seen before.
    Duplicate,
    /// The first of another SSRC: the source restarted or was replaced, or a second one sends beside it.
    NewSource {
        /// The SSRC that was heard until now.
        previous_ssrc: u32,
    },
    /// From a third SSRC while two others are heard. It is not measured.
    ThirdSource,
    /// Same SSRC, far from the numbers expected, and alone so far. If the next packet continues it, that
    /// next one is the `Restart`; a lone one changes nothing (RFC 3550 A.1, `bad_seq`).
    Stray,
    /// Same SSRC, but two packets in a row follow a new numbering: the source started anew.
    Restart,
}

/// What a packet was found to be.
pub(super) struct Taken {
    pub what: Arrival,
    /// Numbers that are given up with it.
    pub lost: u64,
    /// It had been given up.
    pub late: bool,
}

impl Taken {
    fn plain(what: Arrival) -> Self {
        Self { what, lost: 0, late: false }
    }
}

/// One unbroken numbering of one source.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub ssrc: u32,
    pub highest: u16,
    pub cycles: u16,
    /// How far `highest` has come since the first packet; stops counting at its maximum.
    length: u32,
    /// The number that would confirm a restart: the successor of a stray that came last.
    confirming: Option<u16>,
    seen: Seen,
}

impl Run {
    pub fn new(ssrc: u32, first: u16) -> Self {
        let mut seen = Seen::default();
        seen.insert(first);
        Self { ssrc, highest: first, cycles: 0, length: 0, confirming: None, seen }
    }

    /// Tells how the packet stands, and what becomes of those before it. `explain` says how far a step of so many
    /// numbers is, wraps included, if the time that has passed explains it.
    pub fn take(&mut self, sequence: u16, explain: impl FnOnce(u16) -> Option<u64>) -> Taken {
        let confirming = self.confirming.take();
        let ahead = sequence.wrapping_sub(self.highest);
        let behind = self.highest.wrapping_sub(sequence);
        if (1..MAX_DROPOUT).contains(&ahead) {
            return self.advance(sequence, u64::from(ahead));
        }
        if behind < WINDOW {
            if !self.seen.insert(sequence) {
                return Taken::plain(Arrival::Duplicate);
            }
            // What came before the run's first packet was never counted as lost.
            let late = behind >= MAX_MISORDER && u32::from(behind) <= self.length;
            return Taken { what: Arrival::Reordered, lost: 0, late };
        }
        if let Some(ahead) = explain(ahead) {
            return self.advance(sequence, ahead);
        }
        if confirming == Some(sequence) {
            let lost = self.missing();
            *self = Self::new(self.ssrc, sequence.wrapping_sub(1));
            self.advance(sequence, 1);
            return Taken { what: Arrival::Restart, lost, late: false };
        }
        self.confirming = Some(sequence.wrapping_add(1));
        Taken::plain(Arrival::Stray)
    }

    /// Numbers that were passed over, have not come, and are not given up yet.
    pub fn missing(&self) -> u64 {
        self.unseen(1..MAX_MISORDER)
    }

    fn advance(&mut self, sequence: u16, ahead: u64) -> Taken {
        let still_open = u64::from(MAX_MISORDER).saturating_sub(ahead).max(1) as u16;
        let lost = self.unseen(still_open..MAX_MISORDER) + ahead.saturating_sub(u64::from(MAX_MISORDER));
        self.cycles = self.cycles.wrapping_add(((u64::from(self.highest) + ahead) >> 16) as u16);
        self.seen.forget_after(self.highest, ahead);
        self.seen.insert(sequence);
        self.highest = sequence;
        self.length = self.length.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX));
        let what = match ahead {
            1 => Arrival::InOrder,
            _ => Arrival::Gap { missing: ahead - 1 },
        };
        Taken { what, lost, late: false }
    }

    /// How many numbers so far behind the highest are of this run, and have not come.
    fn unseen(&self, behind: Range<u16>) -> u64 {
        let of_run = |behind: &u16| u32::from(*behind) <= self.length;
        let unseen = |behind: &u16| !self.seen.contains(self.highest.wrapping_sub(*behind));
        behind.take_while(of_run).filter(unseen).count() as u64
    }
}

/// Which of the latest `WINDOW` sequence numbers came, one bit each.
#[derive(Debug, Clone, Default)]
struct Seen([u64; WINDOW as usize / 64]);

impl Seen {
    /// Marks a number; false if it was marked already.
    fn insert(&mut self, sequence: u16) -> bool {
        let (word, bit) = Self::place(sequence);
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }

    fn contains(&self, sequence: u16) -> bool {
        let (word, bit) = Self::place(sequence);
        self.0[word] & bit != 0
    }

    /// Makes room for the `count` numbers that follow `highest`.
    fn forget_after(&mut self, highest: u16, count: u64) {
        if count >= u64::from(WINDOW) {
            self.0 = Default::default();
            return;
        }
        for step in 1..=count as u16 {
            let (word, bit) = Self::place(highest.wrapping_add(step));
            self.0[word] &= !bit;
        }
    }

    fn place(sequence: u16) -> (usize, u64) {
        let index = sequence % WINDOW;
        (usize::from(index / 64), 1 << (index % 64))
    }
}
