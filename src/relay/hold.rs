//! The hold: how long a lane lets packets gather before it sends them together.
//!
//! A message to a subscriber costs nearly the same whether it carries one packet or twenty, so waiting a
//! few milliseconds divides the cost per packet. `auto` waits only where that matters. It estimates the
//! lane's *demand*: the share of a worker that sending each packet at once would take, which is the
//! measured time of a round of its members, times packets a second. The demands of all lanes add up to the
//! load of the program. Below [`LIGHT_LOAD`] of a worker nothing is held; from there the hold grows in
//! proportion and reaches its limit at [`HEAVY_LOAD`]. A lane whose own demand is [`NEGLIGIBLE`] would save
//! nothing and is never held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::event::Window;

/// Of one worker: below this, packets go out at once.
const LIGHT_LOAD: f64 = 0.10;
/// Of one worker: from here on, packets wait for the whole of the longest hold.
const HEAVY_LOAD: f64 = 0.30;
/// Of one worker: a lane that takes less is never held.
const NEGLIGIBLE: f64 = 0.01;
/// The longest hold of `auto` for UDP subscribers.
const MAX_DATAGRAM_HOLD: Duration = Duration::from_millis(5);
/// The longest hold of `auto` for subscribers over a connection, whose players buffer more.
const MAX_STREAM_HOLD: Duration = Duration::from_millis(20);
/// One in so many of a hold is given up for company.
const SLACK_DIVISOR: u32 = 4;
/// The weight of the newest run in the estimate.
const SMOOTHING: f64 = 1.0 / 16.0;

/// How long packets of a channel may wait to be sent together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coalesce {
    /// Not at all while that is cheap, and up to 5 ms (20 ms over connections) when it is not.
    #[default]
    Auto,
    /// Always this long; zero is never.
    Fixed(Duration),
}

/// The demand of all lanes, in millionths of a worker.
#[derive(Debug)]
pub struct Load {
    demand_ppm: AtomicU64,
    workers: f64,
}

impl Load {
    /// The load on so many media workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { demand_ppm: AtomicU64::new(0), workers: workers.max(1) as f64 })
    }

    /// Workers that lanes are spread over.
    pub fn workers(&self) -> usize {
        self.workers as usize
    }

    /// The demand of all lanes as a share of all workers; 1 and more cannot be served packet by packet.
    pub fn demand(&self) -> f64 {
        self.demand_ppm.load(Relaxed) as f64 / 1e6 / self.workers
    }
}

/// One lane's hold.
pub(super) struct Hold {
    rule: Coalesce,
    longest: Duration,
    load: Arc<Load>,
    /// This lane's part of the load.
    demand_ppm: AtomicU64,
    hold_ns: AtomicU64,
}

/// One round of a lane: all members were served what was due.
pub(super) struct Round {
    /// Time spent on it.
    pub busy: Duration,
    /// Time since the round before it.
    pub since: Duration,
    /// Packets of the ring that were served.
    pub packets: u64,
    /// Messages that each member was sent, at least 1.
    pub messages: u64,
}

impl Hold {
    pub fn new(rule: Coalesce, over_connections: bool, load: Arc<Load>) -> Self {
        let longest = if over_connections { MAX_STREAM_HOLD } else { MAX_DATAGRAM_HOLD };
        let hold_ns = match rule {
            Coalesce::Auto => 0,
            Coalesce::Fixed(hold) => nanoseconds(hold),
        };
        Self { rule, longest, load, demand_ppm: AtomicU64::new(0), hold_ns: AtomicU64::new(hold_ns) }
    }

    /// When packets are due that wait since `since`. The last part of the hold is given up for company: lanes
    /// that are due in a short while share a wake-up.
    pub fn due(&self, since: Instant) -> Window {
        let hold = self.current();
        Window::ending(since + hold, hold / SLACK_DIVISOR)
    }

    /// Packets are not held at all.
    pub fn is_zero(&self) -> bool {
        self.current().is_zero()
    }

    /// How long the next packet waits for more.
    fn current(&self) -> Duration {
        Duration::from_nanos(self.hold_ns.load(Relaxed))
    }

    /// Learns from a round, which the lane's one runner reports.
    pub fn learn(&self, round: &Round) {
        let (busy, since) = (round.busy.as_secs_f64(), round.since.as_secs_f64().max(1e-6));
        let packet_by_packet = busy / round.messages.max(1) as f64 * round.packets as f64 / since;
        let before = self.demand_ppm.load(Relaxed) as f64;
        let now = before + (packet_by_packet * 1e6 - before) * SMOOTHING;
        self.set_demand(now as u64);
        if self.rule == Coalesce::Auto {
            let own = now / 1e6;
            let hold = if own < NEGLIGIBLE { Duration::ZERO } else { auto(self.load.demand(), self.longest) };
            self.hold_ns.store(nanoseconds(hold), Relaxed);
        }
    }

    fn set_demand(&self, demand_ppm: u64) {
        let before = self.demand_ppm.swap(demand_ppm, Relaxed);
        // A difference modulo 2^64, so that a falling demand subtracts.
        self.load.demand_ppm.fetch_add(demand_ppm.wrapping_sub(before), Relaxed);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.set_demand(0);
    }
}

fn auto(demand: f64, longest: Duration) -> Duration {
    let part = (demand - LIGHT_LOAD) / (HEAVY_LOAD - LIGHT_LOAD);
    longest.mul_f64(part.clamp(0.0, 1.0))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of `busy` that serve one packet each, every `since`, until the estimate has settled.
    fn settle(hold: &Hold, busy: Duration, since: Duration) {
        for _ in 0..200 {
            hold.learn(&Round { busy, since, packets: 1, messages: 1 });
        }
    }

    const EVERY: Duration = Duration::from_micros(1250); // 800 packets a second

    #[test]
    fn a_cheap_lane_is_not_held() {
        let hold = Hold::new(Coalesce::Auto, false, Load::new(1));
        settle(&hold, Duration::from_micros(90), EVERY);
        assert_eq!(hold.current(), Duration::ZERO);
    }

    #[test]
    fn a_costly_lane_is_held_up_to_the_limit() {
        let hold = Hold::new(Coalesce::Auto, false, Load::new(1));
        settle(&hold, Duration::from_micros(250), EVERY);
        let partly = hold.current();
        assert!(partly > Duration::from_millis(2) && partly < Duration::from_millis(3), "{partly:?}");
        settle(&hold, Duration::from_micros(900), EVERY);
        assert_eq!(hold.current(), MAX_DATAGRAM_HOLD);
        settle(&hold, Duration::from_micros(50), EVERY);
        assert_eq!(hold.current(), Duration::ZERO, "and let go again");
    }

    #[test]
    fn many_cheap_lanes_together_are_held_and_a_tiny_one_is_not() {
        let load = Load::new(1);
        let lanes: Vec<_> = (0..10).map(|_| Hold::new(Coalesce::Auto, false, load.clone())).collect();
        let tiny = Hold::new(Coalesce::Auto, false, load.clone());
        lanes.iter().for_each(|lane| settle(lane, Duration::from_micros(50), EVERY));
        settle(&lanes[0], Duration::from_micros(50), EVERY);
        settle(&tiny, Duration::from_micros(5), EVERY);
        assert_eq!((lanes[0].current(), tiny.current()), (MAX_DATAGRAM_HOLD, Duration::ZERO));
        drop(lanes);
        assert!(load.demand() < 0.01, "what lanes took is given back: {}", load.demand());
    }

    #[test]
    fn more_workers_stand_more_before_they_hold() {
        let hold = Hold::new(Coalesce::Auto, false, Load::new(4));
        settle(&hold, Duration::from_micros(400), EVERY);
        assert_eq!(hold.current(), Duration::ZERO);
    }

    #[test]
    fn a_fixed_hold_stays() {
        let hold = Hold::new(Coalesce::Fixed(Duration::from_millis(2)), false, Load::new(1));
        settle(&hold, Duration::from_micros(900), EVERY);
        assert_eq!(hold.current(), Duration::from_millis(2));
    }
}
