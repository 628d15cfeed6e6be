//! Cursors: what is taken, given back and skipped; and that each sink is asked while it is a member.

use super::*;
use crate::event::{Work, clock};
use crate::relay::rig::{self, ROOMY, Record, flow, packet};
use crate::relay::{
    Burst, BurstPace, Carriage, Cursor, Framing, Handover, Lateness, Packet, Place, RingLimits, Sent, Spot,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::super::cursor::Bursts;
use super::super::lane::Outlet;

#[derive(Default)]
struct Sink(AtomicUsize);

impl StreamSink for Sink {
    fn pump(&self, _: Option<&Batch<'_>>) {
        self.0.fetch_add(1, Relaxed);
    }

    fn close(&self) {}
}

/// Panics whenever it is asked, until it was closed.
#[derive(Default)]
struct Faulty(AtomicUsize);

impl StreamSink for Faulty {
    fn pump(&self, _: Option<&Batch<'_>>) {
        assert!(self.0.load(Relaxed) > 0, "a fault of one connection");
    }

    fn close(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_sink_that_panics_is_closed_and_the_others_are_served() {
    let ring = Arc::new(Ring::new(ROOMY));
    let lane = rig::lane(&ring, Outlet::Streams, &Arc::default());
    let (faulty, sound) = (Arc::<Faulty>::default(), Arc::<Sink>::default());
    lane.change(Change::JoinStream { number: 1, sink: faulty.clone() });
    lane.change(Change::JoinStream { number: 2, sink: sound.clone() });
    lane.clone().run();
    lane.clone().run();
    assert_eq!((faulty.0.load(Relaxed), sound.0.load(Relaxed)), (1, 2));
}

#[test]
fn a_sink_is_asked_in_each_run_while_it_is_a_member() {
    let ring = Arc::new(Ring::new(ROOMY));
    let lane = rig::lane(&ring, Outlet::Streams, &Arc::default());
    let (first, second) = (Arc::<Sink>::default(), Arc::<Sink>::default());
    lane.change(Change::JoinStream { number: 1, sink: first.clone() });
    lane.clone().run();
    lane.change(Change::JoinStream { number: 2, sink: second.clone() });
    lane.clone().run();
    lane.change(Change::Leave { number: 1, heir: None });
    lane.clone().run();
    assert_eq!((first.0.load(Relaxed), second.0.load(Relaxed)), (2, 2));
    assert_eq!(Arc::strong_count(&first), 1, "a sink that has left is let go");
}

/// More sinks than a run serves. Who tells the lane between the runs finds it queued, and asks for nothing.
/// Whoever writes for a connection just then may be another thread, which comes to its cursor later than the lane.
#[test]
fn the_lane_comes_back_for_one_who_was_told_where_to_go_on_and_has_not_begun() {
    let (ring, underway, handover) = (Arc::new(Ring::new(ROOMY)), Arc::default(), Handover::new());
    let budget = rig::boundless(Lateness::new(Duration::ZERO, clock::now()));
    let bursts = Bursts { underway: Arc::clone(&underway), budget };
    let cursor = Cursor::new(ring.clone(), Place::After(handover.clone()), Arc::default(), bursts);
    let mut group = StreamGroup::new(0, Arc::default(), underway);
    let mut comes_back = || {
        let progress = group.serve(&Mailbox::default(), &ring);
        matches!(progress, Progress::Done(Served { is_bursting: true, .. }))
    };
    handover.tell(0_u64);
    assert!(comes_back());
    drop(cursor);
    assert!(!comes_back());
}

#[test]
fn what_arrives_between_two_runs_of_a_round_has_a_round_of_its_own() {
    let ring = Arc::new(Ring::new(ROOMY));
    let lane = rig::lane(&ring, Outlet::Streams, &Arc::default());
    let sinks: Vec<_> = (0..=SINKS_PER_RUN).map(|_| Arc::<Sink>::default()).collect();
    for (number, sink) in (0..).zip(&sinks) {
        lane.change(Change::JoinStream { number, sink: sink.clone() });
    }
    lane.clone().run();
    ring.push([packet(0, 100)]);
    lane.wait_for_beat();
    lane.clone().run();
    assert!(sinks.iter().all(|sink| sink.0.load(Relaxed) == 1));
    assert!(lane.is_queued(), "another round is to come");
    (0..2).for_each(|_| lane.clone().run());
    assert!(sinks.iter().all(|sink| sink.0.load(Relaxed) == 2));
    assert!(!lane.is_queued(), "and no more than that");
}

#[test]
fn a_batch_is_framed_once_for_all_who_stand_where_it_begins() {
    let flow = flow(ROOMY);
    flow.push((0..4).map(|number| packet(number, 10)));
    let batch = Batch::new(flow.ring(), 1, 3);
    let (channel, other) = (Framing::Channel(7), Framing::TransportStream);
    let frame = |packet: &[u8], out: &mut Vec<u8>| out.extend([&[b'$', 7, 0, 10], packet].concat());
    let image = batch.image(&flow.cursor(Carriage::Tcp, 1), channel, frame).expect("it stands there");
    assert_eq!(image.bytes.len(), 28);
    assert_eq!(image.ends, [14, 28]);
    assert_eq!(image.bytes[..5], [b'$', 7, 0, 10, 1]);
    let again = batch
        .image(&flow.cursor(Carriage::Tcp, 1), channel, |_, _| panic!("framed again"))
        .expect("the same");
    assert!(std::rc::Rc::ptr_eq(&image, &again));
    let fewer = |packet: &[u8], out: &mut Vec<u8>| out.extend(packet.iter().filter(|byte| **byte == 2));
    let beside = batch.image(&flow.cursor(Carriage::Tcp, 1), other, fewer).expect("in another framing");
    assert_eq!((&beside.bytes[..], &beside.ends[..]), (&[2; 10][..], &[0, 10][..]));
    assert_eq!([1, 2].map(|count| beside.left_out_of(count)), [1, 1]);
    assert!(batch.image(&flow.cursor(Carriage::Tcp, 0), channel, frame).is_none(), "it stands elsewhere");
    assert!(
        batch.image(&super::super::rig::flow(ROOMY).cursor(Carriage::Tcp, 1), channel, frame).is_none(),
        "of another ring"
    );
}

#[test]
fn a_slow_reader_goes_on_with_the_newest_random_access_point() {
    let flow = flow(RingLimits { bytes: 50, ..ROOMY });
    let mut cursor = flow.cursor(Carriage::Tcp, 0);
    flow.push((0..8).map(|number| packet(number, 10)));
    flow.ring().start_before(0, None, None);
    flow.push((8..10).map(|number| packet(number, 10)));
    let mut taken = Vec::new();
    cursor.take(u64::MAX, 64, &mut taken);
    assert_eq!(taken.iter().map(|packet| packet[0]).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 7);
}

#[test]
fn a_reader_that_begins_in_the_past_gets_what_goes_before_and_the_picture_and_is_no_part_of_a_batch() {
    let hour = std::time::Duration::from_secs(3600);
    let (flow, now) = (flow(RingLimits { age: 100 * hour, ..ROOMY }), clock::now());
    flow.push((0..9_u16).map(|n| Packet { arrived_at: now - hour * u32::from(8 - n), ..packet(n, 10) }));
    let came_at = flow.ring().arrival(4).expect("it came");
    let burst = Some(Burst::new(BurstPace::default(), 5, came_at, flow.ring().pin(2), now));
    let spot = Spot { number: 2, prologue: Some(Bytes::from_static(b"tables")), burst, alias: None };
    let mut cursor = flow.cursor(Carriage::Tcp, spot);
    let taken = |cursor: &mut Cursor, max| {
        let mut packets = Vec::new();
        cursor.take(u64::MAX, max, &mut packets);
        packets.iter().map(|packet| packet[0]).collect::<Vec<_>>()
    };
    assert_eq!(taken(&mut cursor, 2), [b't', 2]);
    cursor.give_back(2);
    assert_eq!(taken(&mut cursor, 64), [b't', 2, 3, 4], "all of it is due again");
    cursor.give_back(1);
    assert_eq!(taken(&mut cursor, 64), [4]);
    assert_eq!(taken(&mut cursor, 64), [0; 0], "nothing is due for an hour");
    assert!(Batch::new(flow.ring(), 5, 9).image(&cursor, Framing::Channel(7), |_, _| ()).is_none());
    let (heir, place) = (Handover::new(), cursor.place());
    place.bequeath(heir.clone());
    drop(cursor);
    let on = heir.place().expect("told");
    assert!((on.number, on.prologue.is_none(), on.burst.is_some()) == (5, true, true), "{on:?}");
}

#[test]
fn a_reader_that_was_stuck_to_the_end_has_missed_what_has_gone() {
    let (flow, books) = (flow(RingLimits { bytes: 50, ..ROOMY }), Arc::<Record>::default());
    let mut cursor = flow.cursor(Carriage::Tcp, 0).told_to(books.clone());
    flow.push((0..3).map(|number| packet(number, 10)));
    cursor.take(u64::MAX, 2, &mut Vec::new());
    cursor.count_sent(2, 20);
    flow.push((3..10).map(|number| packet(number, 10)));
    drop(cursor);
    let sent = Sent { packets: 2, bytes: 20, missed: 3 };
    assert_eq!(books.settled(), [sent], "five are left in the ring, and 2 to 4 are gone");
}

#[test]
fn what_a_reader_that_never_reads_again_misses_is_counted_while_it_misses_it() {
    let flow = flow(RingLimits { bytes: 50, ..ROOMY });
    let mut deaf = flow.cursor(Carriage::Tcp, 0);
    let subscription = flow.subscribe_stream(Carriage::Tcp, Arc::<Sink>::default(), deaf.place());
    flow.push((0..5).map(|number| packet(number, 10)));
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 0, "all is still there");
    flow.push((5..12).map(|number| packet(number, 10)));
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 7);
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 7, "once");
    flow.push((12..15).map(|number| packet(number, 10)));
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 10);
    flow.push([packet(15, 10)]);
    drop(subscription);
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 11, "also what it had missed by its end");
    flow.push((16..30).map(|number| packet(number, 10)));
    let mut taken = Vec::new();
    deaf.take(u64::MAX, 64, &mut taken);
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 11, "and nothing after that");
}

#[test]
fn one_who_changes_over_and_never_reads_misses_what_goes_from_where_it_was_let_go() {
    let (flow, before) = (flow(RingLimits { bytes: 50, ..ROOMY }), Handover::new());
    let cursor = flow.cursor(Carriage::Tcp, Place::After(before.clone()));
    let _subscription = flow.subscribe_stream(Carriage::Tcp, Arc::<Sink>::default(), cursor.place());
    flow.push((0..8).map(|number| packet(number, 10)));
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 0, "who served it before may still do so");
    before.tell(5);
    flow.push((8..15).map(|number| packet(number, 10)));
    assert_eq!(flow.sent(Carriage::Tcp).overrun, 10 - 5);
}

/// What a reader does, or what happens to it.
#[derive(Debug, Clone)]
enum Step {
    Look,
    Publish(u16),
    /// Takes up to so many and gives the last of them back, as many as there are.
    Take(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let publish = (1u16..20).prop_map(Step::Publish);
    let take = (1usize..20, 0usize..20).prop_map(|(max, back)| Step::Take(max, back));
    prop::collection::vec(prop_oneof![publish, take, Just(Step::Look)], 0..60)
}

proptest! {
    /// No packet reaches a reader twice, and none is forgotten: each is either read, skipped and counted, or still due.
    #[test]
    fn every_packet_is_read_skipped_or_due(steps in steps()) {
        let flow = flow(RingLimits { bytes: 250, ..ROOMY });
        let mut cursor = flow.cursor(Carriage::Tcp, 0);
        let subscription = flow.subscribe_stream(Carriage::Tcp, Arc::<Sink>::default(), cursor.place());
        let (mut published, mut read) = (0u16, 0u64);
        for step in steps {
            match step {
                Step::Look => {
                    let missed = flow.sent(Carriage::Tcp).overrun;
                    prop_assert_eq!(read + missed, cursor.place().next().max(flow.ring().tail()));
                }
                Step::Publish(count) => {
                    flow.push((published..published + count).map(|number| packet(number, 10)));
                    published += count;
                }
                Step::Take(max, back) => {
                    let mut taken = Vec::new();
                    cursor.take(u64::MAX, max, &mut taken);
                    prop_assert!(taken.len() <= max);
                    let keep = taken.len() - back.min(taken.len());
                    cursor.give_back(taken.len() - keep);
                    read += keep as u64;
                }
            }
        }
        let mut rest = Vec::new();
        cursor.take(u64::MAX, usize::MAX, &mut rest);
        drop(subscription);
        let skipped = flow.sent(Carriage::Tcp).overrun;
        prop_assert_eq!(read + skipped + rest.len() as u64, u64::from(published));
    }
}
