//! The line that groups come by: of how many at a time, and how much. What nobody watches any more makes room for who comes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crate::event::lock;

use super::demand::{Claim, Demand};
use super::flow::Flow;

/// How much a line carries. What is absent is not limited.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// Groups that are joined at once.
    pub groups: Option<usize>,
    /// Bits a second, of the channels that are joined, as fast as each came last.
    pub bits: Option<u64>,
}

/// The line of all channels.
pub struct Line {
    limits: LineLimits,
    passages: Mutex<Vec<Weak<Passage>>>,
}

/// A channel's part of the line, for as long as it is kept.
pub struct Passage {
    line: Arc<Line>,
    demand: Arc<Demand>,
    groups: BTreeSet<IpAddr>,
    flows: Vec<Arc<Flow>>,
}

/// There is no room on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineFull;

/// What is on the line now.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Load {
    /// Each with the channels that have it.
    groups: BTreeMap<IpAddr, usize>,
    bits: u64,
}

impl Load {
    /// Groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Bits a second; nothing where they are not limited.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    fn add(&mut self, passage: &Passage) {
        passage.groups.iter().for_each(|group| *self.groups.entry(*group).or_default() += 1);
        self.bits += passage.bits();
    }

    fn take(&mut self, passage: &Passage) {
        for group in &passage.groups {
            if let Entry::Occupied(mut channels) = self.groups.entry(*group) {
                *channels.get_mut() -= 1;
                if *channels.get() == 0 {
                    channels.remove();
                }
            }
        }
        self.bits = self.bits.saturating_sub(passage.bits());
    }
}

impl Passage {
    /// By a line, for who wants what is sent to these groups. One takes the place of another in one step, so that nobody comes
    /// between.
    ///
    /// # Errors
    /// It is received always, and there is no room for it; the other one has its place still.
    pub(super) fn open(
        line: &Arc<Line>,
        demand: Arc<Demand>,
        groups: impl Iterator<Item = IpAddr>,
        flows: Vec<Arc<Flow>>,
        instead_of: Option<&Arc<Self>>,
        now: Instant,
    ) -> Result<Arc<Self>, LineFull> {
        let groups = groups.filter(IpAddr::is_multicast).collect();
        let own = Arc::new(Self { line: line.clone(), demand, groups, flows });
        let mut passages = lock(&line.passages);
        passages.retain(|passage| passage.strong_count() > 0);
        let others =
            |passage: &Weak<Self>| instead_of.is_none_or(|before| passage.as_ptr() != Arc::as_ptr(before));
        let mut all: Vec<_> = passages.iter().filter(|passage| others(passage)).cloned().collect();
        if own.demand.is_there(now) {
            own.find_room(&all, now)?;
        }
        all.push(Arc::downgrade(&own));
        *passages = all;
        Ok(own)
    }

    /// Somebody wants it.
    pub(super) fn claim(self: &Arc<Self>, now: Instant) -> Result<Claim, LineFull> {
        // Held until it is claimed: of two who come at once one may be too many.
        let passages = lock(&self.line.passages);
        if !self.demand.is_there(now) {
            self.find_room(&passages, now)?;
        }
        Ok(Claim::on(&self.demand))
    }

    /// Makes room for it: others that are received for nobody, for the moment, let go, those first that nobody has wanted for the
    /// longest time. Nobody does in vain.
    fn find_room(&self, passages: &[Weak<Self>], now: Instant) -> Result<(), LineFull> {
        let present =
            passages.iter().filter_map(Weak::upgrade).filter(|passage| passage.demand.is_there(now));
        let present: Vec<_> = present.collect();
        let mut with = Load::default();
        present.iter().for_each(|passage| with.add(passage));
        with.add(self);
        let lingers = |passage: &Arc<Self>| Some((passage.demand.lingers_since(now)?, passage.clone()));
        let mut lingering: Vec<_> = present.iter().filter_map(lingers).collect();
        lingering.sort_by_key(|(since, _)| *since);
        let mut leave = lingering.iter();
        while !self.line.has_room_for(&with) {
            with.take(&leave.next().ok_or(LineFull)?.1);
        }
        let left = lingering.len() - leave.len();
        lingering[..left].iter().for_each(|(_, passage)| passage.demand.let_go());
        Ok(())
    }

    /// How fast it came last, where that counts: a ring is the media thread's too.
    fn bits(&self) -> u64 {
        let counts = self.line.limits.bits.is_some();
        self.flows.iter().filter(|_| counts).map(|flow| flow.ring().bits_per_second()).sum()
    }
}

impl Line {
    /// A line without channels.
    pub fn new(limits: LineLimits) -> Arc<Self> {
        Arc::new(Self { limits, passages: Mutex::default() })
    }

    /// How much it carries.
    pub fn limits(&self) -> LineLimits {
        self.limits
    }

    /// What it carries now.
    pub fn load(&self, now: Instant) -> Load {
        let passages = lock(&self.passages).clone();
        let present =
            passages.iter().filter_map(Weak::upgrade).filter(|passage| passage.demand.is_there(now));
        let mut load = Load::default();
        present.for_each(|passage| load.add(&passage));
        load
    }

    fn has_room_for(&self, load: &Load) -> bool {
        let LineLimits { groups, bits } = self.limits;
        groups.is_none_or(|most| load.groups() <= most) && bits.is_none_or(|most| load.bits <= most)
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::{Channel, rig};
    use super::*;
    use crate::event::clock;
    use crate::wire::sdp;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn on_demand(line: &Arc<Line>, last: u8) -> Arc<Channel> {
        let group = Ipv4Addr::new(239, 77, 65, last).into();
        let channel = rig::channel(&format!("channel-{last}"), sdp::mpegts("a", group, 5004, None));
        channel.demand.be_needed(Duration::from_secs(3600));
        channel.come_by(line, None, clock::now()).expect("nobody wants it yet");
        channel
    }

    fn groups(count: usize) -> Arc<Line> {
        Line::new(LineLimits { groups: Some(count), bits: None })
    }

    fn claims(channel: &Arc<Channel>) -> Result<Claim, LineFull> {
        channel.claim(clock::now())
    }

    #[test]
    fn who_lingers_makes_room_and_the_longest_first_and_else_nobody_comes() {
        let line = groups(2);
        let [one, two, three, four] = [1, 2, 3, 4].map(|last| on_demand(&line, last));
        let is_there = |channel: &Arc<Channel>| channel.demand.is_there(clock::now());
        let first = claims(&one).expect("room");
        let second = claims(&two).expect("room");
        assert!(claims(&three).is_err() && claims(&one).is_ok(), "it is there already");
        drop(second);
        drop(first);
        assert!(is_there(&one) && is_there(&two), "both linger");
        let third = claims(&three).expect("one lets go");
        assert!(is_there(&one) && !is_there(&two), "the one that has lingered longer");
        let fourth = claims(&four).expect("the other one lets go");
        assert!(!is_there(&one) && claims(&one).is_err());
        drop((third, fourth));
        assert_eq!(line.load(clock::now()).groups(), 2);
    }

    #[test]
    fn nobody_lets_go_in_vain() {
        let line = groups(1);
        let [one, _two] = [1, 2].map(|last| on_demand(&line, last));
        let both = sdp::parse(
            b"v=0\ns=a\nc=IN IP4 239.77.65.8/8\nm=video 5004 RTP/AVP 33\nm=audio 5008 RTP/AVP 0\nc=IN IP4 239.77.65.9/8\n",
        );
        let both = rig::channel("both", both.expect("a description"));
        both.demand.be_needed(Duration::from_secs(3600));
        both.come_by(&line, None, clock::now()).expect("nobody wants it yet");
        drop(claims(&one).expect("room"));
        assert!(claims(&both).is_err(), "it would never fit");
        assert!(one.demand.is_there(clock::now()));
    }

    #[test]
    fn channels_of_one_group_take_it_once_and_what_is_always_there_has_its_place() {
        let line = groups(2);
        let always =
            rig::channel("always", sdp::mpegts("a", Ipv4Addr::new(239, 77, 65, 1).into(), 5004, None));
        assert_eq!(always.come_by(&line, None, clock::now()), Ok(()));
        let [same, other, third] = [1, 2, 3].map(|last| on_demand(&line, last));
        let held = [&same, &other].map(|channel| claims(channel).expect("room"));
        assert!(claims(&third).is_err());
        let another = rig::channel("b", sdp::mpegts("a", Ipv4Addr::new(239, 77, 65, 9).into(), 5004, None));
        assert_eq!(another.come_by(&line, None, clock::now()), Err(LineFull));
        assert_eq!(another.come_by(&line, Some(&always), clock::now()), Err(LineFull), "others hold both");
        drop(held);
        assert_eq!(
            another.come_by(&line, Some(&always), clock::now()),
            Ok(()),
            "in its place, and one lets go"
        );
        assert_eq!(line.load(clock::now()).groups(), 2);
    }

    #[test]
    fn what_came_last_is_reckoned_by_its_rate() {
        let line = Line::new(LineLimits { groups: None, bits: Some(200_000) });
        let [one, two] = [1, 2].map(|last| on_demand(&line, last));
        for channel in [&one, &two] {
            channel.tracks[0].rtp.push((0..16).map(|number| rig::packet(number, 100)));
        }
        let _first = claims(&one).expect("12 800 bits in a tenth of a second are 128 000 a second");
        assert!(claims(&two).is_err());
    }
}
