//! What was received by viewers who come and go: numbers and times by viewer and crowd, and no socket.
//!
//! A viewer's *stay* is from its connection to its end. What it has to get begins with the packet that the
//! reply to PLAY announced, or with the first that came if that was earlier or none was announced. It ends with
//! the last packet due where the viewer stays, and with the last that came where it does not.

use crate::histogram::Histogram;
use crate::ledger::Notes;
use crate::mark::Mark;

use super::slices::Slices;

/// The pace of the source, which any packet tells.
#[derive(Clone, Copy)]
struct Pace {
    began_ns: u64,
    interval_ns: u64,
}

/// One viewer now.
#[derive(Clone, Copy, Default)]
struct Stay {
    channel: u64,
    /// When it was wished for, until its first packet has come.
    wished_ns: Option<u64>,
    /// When the reply to PLAY was read, and what it announced.
    plays_since: Option<(u64, Option<u16>)>,
    first: Option<u64>,
    next: u64,
    counted: u64,
}

/// Viewers of one channel.
#[derive(Default)]
pub struct Crowd {
    stays: Vec<Option<Stay>>,
    /// Delays of packets that were sent when their viewer played already.
    pub slices: Slices,
    /// Packets that stays had to get, and those that they did not.
    pub expected: u64,
    pub lost: u64,
    /// Stays that lost any.
    pub losers: u64,
    /// Packets that came behind a later one, or twice.
    pub reordered: u64,
    /// From the wish for another channel until its first packet.
    pub changes: Histogram,
}

/// Both crowds: subscribers from 0 on are the others, those behind them the viewers of the storm.
pub struct Crowds {
    pub others: Crowd,
    pub viewers: Crowd,
    pub damaged: u64,
    /// When what is noted was looked for.
    pub now_ns: u64,
    pace: Option<Pace>,
}

impl Crowds {
    /// Crowds of which nobody is there.
    pub fn new(others: usize, viewers: usize) -> Self {
        Self { others: Crowd::of(others), viewers: Crowd::of(viewers), damaged: 0, now_ns: 0, pace: None }
    }

    /// Delays count from now on.
    pub fn begin_slices(&mut self, now_ns: u64) {
        self.others.slices.begin(now_ns);
        self.viewers.slices.begin(now_ns);
    }

    /// A viewer connects for a channel: what comes of it from now on is for it. It may have wished for it some time ago.
    pub fn open(&mut self, subscriber: usize, channel: usize, wished_ns: Option<u64>) {
        *self.stay(subscriber) = Some(Stay { channel: channel as u64, wished_ns, ..Stay::default() });
    }

    /// A viewer reads the reply to PLAY.
    pub fn plays(&mut self, subscriber: usize, announced: Option<u16>, now_ns: u64) {
        if let Some(stay) = self.stay(subscriber) {
            stay.plays_since = Some((now_ns, announced));
        }
    }

    /// A viewer is gone.
    pub fn close(&mut self, subscriber: usize) {
        let pace = self.pace;
        let stay = self.stay(subscriber).take();
        self.crowd(subscriber).0.add(stay, pace, None);
    }

    /// Whether all that was due by then has come.
    pub fn has_all(&self, until_ns: u64) -> bool {
        let behind = self.pace.map_or(0, |pace| pace.number_due(until_ns));
        let mut stays = self.others.stays.iter().chain(&self.viewers.stays).flatten();
        stays.all(|stay| stay.next >= behind)
    }

    /// All who stay have to have got what was due by then.
    pub fn close_all(&mut self, until_ns: u64) {
        let Some(pace) = self.pace else { return };
        for crowd in [&mut self.others, &mut self.viewers] {
            for stay in std::mem::take(&mut crowd.stays) {
                crowd.add(stay, Some(pace), Some(pace.number_due(until_ns)));
            }
        }
    }

    fn crowd(&mut self, subscriber: usize) -> (&mut Crowd, usize) {
        match subscriber.checked_sub(self.others.stays.len()) {
            Some(index) => (&mut self.viewers, index),
            None => (&mut self.others, subscriber),
        }
    }

    fn stay(&mut self, subscriber: usize) -> &mut Option<Stay> {
        let (crowd, index) = self.crowd(subscriber);
        &mut crowd.stays[index]
    }
}

impl Notes for Crowds {
    fn note(&mut self, subscriber: usize, first: &Mark, count: u64) {
        self.pace.get_or_insert(Pace { began_ns: first.began_ns, interval_ns: first.interval_ns.max(1) });
        let now_ns = self.now_ns;
        let (crowd, index) = self.crowd(subscriber);
        match crowd.stays.get_mut(index) {
            Some(Some(stay)) if stay.channel == first.channel => {
                crowd.reordered += stay.note(first.number, count);
                if let Some(wished_ns) = stay.wished_ns.take() {
                    crowd.changes.record(now_ns.saturating_sub(wished_ns) / 1000);
                }
            }
            // What is under way when a viewer goes.
            Some(_) => {}
            None => self.damaged += count,
        }
    }

    fn note_delay(&mut self, subscriber: usize, mark: &Mark, arrived_ns: u64) {
        let (crowd, index) = self.crowd(subscriber);
        let Some(Some(stay)) = crowd.stays.get(index) else { return };
        let plays_it = stay.channel == mark.channel;
        if plays_it && stay.plays_since.is_some_and(|(since_ns, _)| mark.sent_ns > since_ns) {
            crowd.slices.record(mark.sent_ns, arrived_ns.saturating_sub(mark.sent_ns) / 1000);
        }
    }

    fn note_damaged(&mut self, count: u64) {
        self.damaged += count;
    }
}

impl Crowd {
    fn of(size: usize) -> Self {
        Self { stays: vec![None; size], ..Self::default() }
    }

    /// Adds a stay that ends to the sums.
    fn add(&mut self, stay: Option<Stay>, pace: Option<Pace>, behind: Option<u64>) {
        let (Some(stay), Some(pace)) = (stay, pace) else { return };
        let (expected, lost) = stay.expected_and_lost(pace, behind);
        self.expected += expected;
        self.lost += lost;
        self.losers += u64::from(lost > 0);
    }
}

impl Pace {
    fn number_due(self, ns: u64) -> u64 {
        ns.saturating_sub(self.began_ns).div_ceil(self.interval_ns)
    }
}

impl Stay {
    /// Counts packets; gives how many of them were out of order.
    fn note(&mut self, number: u64, count: u64) -> u64 {
        self.first.get_or_insert(number);
        self.counted += count;
        let in_order = number >= self.next;
        self.next = self.next.max(number + count);
        if in_order { 0 } else { count }
    }

    fn expected_and_lost(&self, pace: Pace, behind: Option<u64>) -> (u64, u64) {
        let Some((since_ns, announced)) = self.plays_since else { return (0, 0) };
        let came = self.first.unwrap_or_else(|| pace.number_due(since_ns));
        let first = announced.map_or(came, |announced| came.min(nearest(announced, came)));
        let expected = self.next.max(behind.unwrap_or(0)).saturating_sub(first);
        (expected, expected.saturating_sub(self.counted))
    }
}

/// The whole number that has these low bits and is nearest to another.
fn nearest(low: u16, number: u64) -> u64 {
    number.saturating_add_signed(i64::from(low.wrapping_sub(number as u16) as i16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark { number, sent_ns: number * 10, began_ns: 0, interval_ns: 10, channel: 0 }
    }

    /// Subscriber 0 is of the others, subscriber 1 a viewer of the storm.
    fn crowds() -> Crowds {
        let mut crowds = Crowds::new(1, 1);
        crowds.begin_slices(0);
        crowds.open(0, 0, None);
        crowds.open(1, 0, None);
        crowds
    }

    fn sums(crowd: &Crowd) -> (u64, u64, u64) {
        (crowd.expected, crowd.lost, crowd.reordered)
    }

    #[test]
    fn what_counts_begins_with_what_was_announced() {
        let mut crowds = crowds();
        crowds.plays(0, Some(5), 50);
        crowds.note(0, &mark(7), 3);
        crowds.plays(1, None, 50);
        crowds.note(1, &mark(8), 2);
        crowds.close_all(100);
        assert_eq!(sums(&crowds.others), (5, 2, 0), "5 to 9, of which 5 and 6 are missing");
        assert_eq!(sums(&crowds.viewers), (2, 0, 0), "from the first on");
    }

    #[test]
    fn who_stays_has_to_get_the_last_and_who_leaves_does_not() {
        let mut crowds = crowds();
        for subscriber in [0, 1] {
            crowds.plays(subscriber, Some(0), 0);
            crowds.note(subscriber, &mark(0), 4);
            crowds.note(subscriber, &mark(5), 1);
        }
        crowds.close(1);
        crowds.note(1, &mark(9), 1);
        assert!(!crowds.has_all(100));
        crowds.close_all(100);
        assert_eq!((sums(&crowds.others), crowds.others.losers), ((10, 5, 0), 1));
        assert_eq!(sums(&crowds.viewers), (6, 1, 0));
    }

    #[test]
    fn stays_are_counted_each_for_itself() {
        let mut crowds = crowds();
        crowds.plays(1, Some(0), 0);
        crowds.note(1, &mark(0), 2);
        crowds.close(1);
        crowds.open(1, 0, None);
        crowds.plays(1, Some(90), 900);
        crowds.note(1, &mark(90), 10);
        crowds.close_all(1000);
        assert_eq!(sums(&crowds.viewers), (12, 0, 0));
    }

    #[test]
    fn what_is_still_under_way_of_another_channel_is_not_counted() {
        let mut crowds = crowds();
        crowds.open(1, 3, Some(1_000_000));
        crowds.plays(1, Some(4), 40);
        crowds.now_ns = 3_000_000;
        crowds.note(1, &mark(2), 5);
        crowds.now_ns = 9_000_000;
        crowds.note(1, &Mark { channel: 3, ..mark(4) }, 6);
        crowds.note(1, &Mark { channel: 3, ..mark(10) }, 1);
        crowds.close_all(110);
        assert_eq!(sums(&crowds.viewers), (7, 0, 0));
        assert_eq!((crowds.viewers.changes.total(), crowds.viewers.changes.largest_ms()), (1, 8.0));
    }

    #[test]
    fn one_who_plays_and_hears_nothing_loses_all() {
        let mut crowds = crowds();
        crowds.note(0, &mark(0), 100);
        crowds.plays(1, None, 900);
        crowds.close_all(1000);
        assert_eq!(sums(&crowds.viewers), (10, 10, 0));
    }

    #[test]
    fn the_delay_of_what_was_sent_before_the_reply_does_not_count() {
        let mut crowds = crowds();
        crowds.note_delay(1, &mark(1), 9_000_000);
        crowds.plays(1, Some(1), 20);
        crowds.note_delay(1, &mark(2), 9_000_000);
        crowds.note_delay(1, &mark(3), 3_000_030);
        let slices = crowds.viewers.slices.list(0, 1);
        assert_eq!((slices[0].packets, slices[0].p99_ms), (1, 3.0));
    }

    #[test]
    fn low_bits_mean_the_nearest_number() {
        assert_eq!(nearest(65_535, 65_536), 65_535);
        assert_eq!(nearest(1, 131_071), 131_073);
        assert_eq!(nearest(65_535, 3), 0, "never below the first");
    }
}
