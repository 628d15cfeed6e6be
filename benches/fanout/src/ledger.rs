//! What was received, by subscriber: it knows numbers and times, and no socket.
//!
//! Loss is counted over a window of packet numbers that is known beforehand, so a packet that is missing at
//! its very end counts as well.

use crate::histogram::Histogram;
use crate::mark::Mark;

/// Takes note of what comes to subscribers.
pub trait Notes {
    /// `count` packets with successive numbers from that of `first` came to a subscriber.
    fn note(&mut self, subscriber: usize, first: &Mark, count: u64);

    /// A packet came to a subscriber, or to its interface, at this time.
    fn note_delay(&mut self, subscriber: usize, mark: &Mark, arrived_ns: u64);

    /// Packets came that are not as the source sent them.
    fn note_damaged(&mut self, count: u64);
}

/// The packets that count: those due between two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// CLOCK_MONOTONIC of its start and end.
    pub start_ns: u64,
    /// The time from which on no more packets of the window are due.
    pub end_ns: u64,
    first: u64,
    behind: u64,
}

/// One subscriber.
#[derive(Debug, Clone, Copy, Default)]
struct Seat {
    next: u64,
    counted: u64,
    /// The number of its first packet.
    first: Option<u64>,
    /// The least that one of its packets took from the source's sending until it came.
    least_ns: Option<u64>,
}

/// All subscribers.
pub struct Ledger {
    warm_up_ns: u64,
    length_ns: u64,
    window: Option<Window>,
    seats: Vec<Seat>,
    /// Subscribers who stop reading for a while, and may lose packets: the first of all.
    stalling: usize,
    /// All watch the past, each from another moment, but for the first of all, who are so many.
    beside: Option<usize>,
    /// Packets of all subscribers, also outside of the window.
    pub arrived: u64,
    /// Packets that came behind a later one, or twice.
    pub reordered: u64,
    /// Packets that are not as the source sent them.
    pub damaged: u64,
    /// Delays of packets in the window.
    pub delays: Histogram,
    /// Those of viewers who watch what comes beside others who watch the past.
    pub delays_beside: Histogram,
}

impl Ledger {
    /// A ledger whose window opens `warm_up_ns` after the source began.
    pub fn new(subscribers: usize, stalling: usize, warm_up_ns: u64, length_ns: u64) -> Self {
        Self {
            warm_up_ns,
            length_ns,
            window: None,
            seats: vec![Seat::default(); subscribers],
            stalling: stalling.min(subscribers),
            beside: None,
            arrived: 0,
            reordered: 0,
            damaged: 0,
            delays: Histogram::default(),
            delays_beside: Histogram::default(),
        }
    }

    /// One of viewers of the past but for the first of all, who are so many: what they get is counted from their first packet of the
    /// window on, and delays are against that of their own packets that came earliest for its time.
    pub fn past(subscribers: usize, beside: usize, start_ns: u64, length_ns: u64) -> Self {
        let window = Window { start_ns, end_ns: start_ns + length_ns, first: 0, behind: u64::MAX };
        let all = Self::new(subscribers, 0, 0, length_ns);
        Self { window: Some(window), beside: Some(beside), ..all }
    }

    /// The window begins. What viewers of the past missed before, while nobody drained the sockets, is none of it.
    pub fn begin_window(&mut self) {
        if self.beside.is_some() {
            self.seats.iter_mut().for_each(|seat| (seat.first, seat.counted) = (None, 0));
        }
    }

    /// The window, known from the first packet on.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Packets of the window that subscribers have to get, and those that they did not.
    pub fn expected_and_lost(&self) -> (u64, u64) {
        self.sum(&self.seats[self.stalling..])
    }

    /// The same of those who stopped reading for a while.
    pub fn stalled_expected_and_lost(&self) -> (u64, u64) {
        self.sum(&self.seats[..self.stalling])
    }

    /// Subscribers who got nothing at all.
    pub fn silent(&self) -> usize {
        self.seats.iter().filter(|seat| seat.first.is_none()).count()
    }

    fn sum(&self, seats: &[Seat]) -> (u64, u64) {
        if self.beside.is_some() {
            let due = |seat: &Seat| seat.first.map_or(0, |first| seat.next - first);
            let expected: u64 = seats.iter().map(due).sum();
            return (expected, expected - seats.iter().map(|seat| seat.counted.min(due(seat))).sum::<u64>());
        }
        let each = self.window.map_or(0, |window| window.behind - window.first);
        let lost = seats.iter().map(|seat| each.saturating_sub(seat.counted)).sum();
        (each * seats.len() as u64, lost)
    }
}

impl Ledger {
    fn note_past(&mut self, subscriber: usize, beside: usize, mark: &Mark, arrived_ns: u64) {
        let Some(seat) = self.seats.get_mut(subscriber) else { return };
        let took_ns = arrived_ns.saturating_sub(mark.sent_ns);
        let least_ns = seat.least_ns.unwrap_or(took_ns).min(took_ns);
        seat.least_ns = Some(least_ns);
        if !self.window.is_some_and(|window| (window.start_ns..window.end_ns).contains(&arrived_ns)) {
            return;
        }
        if subscriber < beside {
            self.delays_beside.record(took_ns / 1000);
        } else {
            self.delays.record((took_ns - least_ns) / 1000);
        }
    }

    /// A packet that was lost came when it was asked for.
    pub fn note_repaired(&mut self, subscriber: usize, mark: &Mark) {
        self.arrived += 1;
        let window = self.window.filter(|window| (window.first..window.behind).contains(&mark.number));
        if let (Some(_), Some(seat)) = (window, self.seats.get_mut(subscriber)) {
            seat.counted += 1;
        }
    }
}

impl Notes for Ledger {
    fn note(&mut self, subscriber: usize, first: &Mark, count: u64) {
        let window = *self.window.get_or_insert_with(|| Window::new(first, self.warm_up_ns, self.length_ns));
        let Some(seat) = self.seats.get_mut(subscriber) else {
            self.damaged += count;
            return;
        };
        seat.first.get_or_insert(first.number);
        let behind = first.number + count;
        self.arrived += count;
        if first.number < seat.next {
            self.reordered += count;
        }
        seat.next = seat.next.max(behind);
        seat.counted += behind.min(window.behind).saturating_sub(first.number.max(window.first));
    }

    fn note_delay(&mut self, subscriber: usize, mark: &Mark, arrived_ns: u64) {
        if let Some(beside) = self.beside {
            return self.note_past(subscriber, beside, mark, arrived_ns);
        }
        let counts = self.window.is_some_and(|window| (window.first..window.behind).contains(&mark.number));
        if counts && subscriber >= self.stalling {
            self.delays.record(arrived_ns.saturating_sub(mark.sent_ns) / 1000);
        }
    }

    fn note_damaged(&mut self, count: u64) {
        self.damaged += count;
    }
}

impl Window {
    fn new(mark: &Mark, warm_up_ns: u64, length_ns: u64) -> Self {
        let interval_ns = mark.interval_ns.max(1);
        let start_ns = mark.began_ns + warm_up_ns;
        let end_ns = start_ns + length_ns;
        let number_due = |ns: u64| (ns - mark.began_ns).div_ceil(interval_ns);
        Self { start_ns, end_ns, first: number_due(start_ns), behind: number_due(end_ns) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark { number, sent_ns: number * 10 + 1000, began_ns: 1000, interval_ns: 10, channel: 0 }
    }

    /// The window is of the numbers 2 to 11.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(2, 0, 20, 100);
        ledger.note(0, &mark(0), 1);
        ledger.note(1, &mark(0), 1);
        ledger
    }

    #[test]
    fn nothing_is_lost_when_all_of_the_window_came_in_runs_of_any_length() {
        let mut ledger = ledger();
        ledger.note(0, &mark(1), 40);
        (1..20).for_each(|number| ledger.note(1, &mark(number), 1));
        assert_eq!(ledger.expected_and_lost(), (20, 0));
        assert_eq!(ledger.reordered, 0);
    }

    #[test]
    fn loss_counts_at_the_end_and_inside_of_the_window_but_not_outside() {
        let mut ledger = ledger();
        ledger.note(0, &mark(2), 3);
        ledger.note(0, &mark(6), 4);
        ledger.note(1, &mark(3), 9);
        assert_eq!(ledger.expected_and_lost(), (20, 3 + 1));
    }

    #[test]
    fn who_watches_the_past_is_late_against_its_own_earliest_packet() {
        let mut ledger = Ledger::past(2, 1, 0, 10_000_000);
        let sent = |number: u64| Mark { sent_ns: number * 1_000_000, ..mark(number) };
        ledger.note(0, &sent(1), 1);
        ledger.begin_window();
        for (subscriber, number, arrived_ns) in
            [(0, 5, 5_500_000), (0, 6, 6_500_000), (1, 2, 7_000_000), (1, 3, 7_500_000), (1, 5, 12_000_000)]
        {
            ledger.note(subscriber, &sent(number), 1);
            ledger.note_delay(subscriber, &sent(number), arrived_ns);
        }
        assert_eq!(ledger.expected_and_lost(), (6, 1), "of the second viewer one is missing");
        assert_eq!(
            (ledger.delays_beside.total(), ledger.delays.total()),
            (2, 2),
            "what comes after the window is none"
        );
        let late_ms = ledger.delays.largest_ms();
        assert!(late_ms < 0.1, "the earliest of those before is what counts: {late_ms}");
        assert_eq!(ledger.silent(), 0);
    }

    #[test]
    fn a_late_packet_is_reordered_and_not_lost() {
        let mut ledger = ledger();
        ledger.note(0, &mark(2), 4);
        ledger.note(0, &mark(7), 5);
        ledger.note(0, &mark(6), 1);
        ledger.note(1, &mark(2), 10);
        assert_eq!((ledger.expected_and_lost().1, ledger.reordered), (0, 1));
    }
}
