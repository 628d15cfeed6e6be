//! The ring and the lane without sockets: what the relay's own code costs beside the kernel's.
//!
//! `cargo bench --bench relay`

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mirrorball::event::{Class, Poller, RunState, TaskQueue, Timers, clock};
use mirrorball::net::Marks;
use mirrorball::relay::{
    Batch, BurstBudget, Busy, Carriage, Coalesce, Cursor, Dispatch, Flow, Lateness, Outward, Packet, Ring,
    RingLimits, StreamSink, Track,
};
use mirrorball::wire::random_access::Starts;
use mirrorball::wire::{rtp, sdp};

const LIMITS: RingLimits = RingLimits { age: Duration::from_secs(2), bytes: 8 << 20 };
const PACKET_BYTES: usize = 1328;

fn packet(data: &Bytes, at: Instant) -> Packet {
    Packet { data: data.clone(), sequence: 0, timestamp: 0, arrived_at: at }
}

fn outward(channel: &str) -> Arc<Outward> {
    Outward::new(channel, Marks::default(), 20)
}

fn ring(c: &mut Criterion) {
    let data = Bytes::from(vec![0; PACKET_BYTES]);
    let ring = Ring::new(LIMITS);
    let at = clock::now();
    let mut group = c.benchmark_group("ring");
    group.bench_function("push", |b| b.iter(|| ring.push([packet(&data, at)])));
    let mut out = Vec::with_capacity(64);
    for count in [1, 16, 64] {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("read", count), &count, |b, &count| {
            b.iter(|| {
                out.clear();
                black_box(ring.read(ring.head() - count, u64::MAX, 64, &mut out));
            });
        });
    }
}

/// What a packet costs on its way in: measured, copied, kept.
fn track(c: &mut Criterion) {
    let (media, control, poller, dispatch) = parts();
    let description = sdp::mpegts("news", Ipv4Addr::new(239, 9, 9, 1).into(), 5004, None).tracks.remove(0);
    let track = Track::new(&outward("news"), 1, description, LIMITS, Coalesce::Auto, &dispatch, clock::now());
    let mut datagram = vec![0x80, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    datagram.resize(PACKET_BYTES, 0x47);
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000));
    let mut at = clock::now();
    let mut sequence = 0u16;
    c.bench_function("track: receive", |b| {
        b.iter(|| {
            sequence = sequence.wrapping_add(1);
            at += Duration::from_micros(100);
            datagram[2..4].copy_from_slice(&sequence.to_be_bytes());
            let header = rtp::check(&datagram).expect("RTP");
            black_box(track.receive(&header, &datagram, from, at))
        });
    });
    poller.stop();
    control.stop();
    media.stop();
}

/// What it costs to tell where a stream can be started with: a datagram of a transport stream, of one picture in fifty a start.
fn starts(c: &mut Criterion) {
    let packet = |begin: &[u8]| {
        let mut packet = begin.to_vec();
        packet.resize(188, 0xff);
        packet
    };
    let pat =
        packet(&[0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0x2a, 0xb1, 4, 0xb2]);
    let pmt = packet(&[
        0x47, 0x50, 0, 0x10, 0, 2, 0xb0, 18, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0,
        0x15, 0xbd, 0x4d, 0x56,
    ]);
    let begins = [0x47, 0x41, 0, 0x10, 0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1];
    let picture = |kind: u8| packet(&[&begins[..], &[0, 0, 1, 9, 0xf0, 0, 0, 1, kind, 0x9a]].concat());
    let rest = packet(&[0x47, 1, 0, 0x10]);
    let datagram =
        |first: &Vec<u8>| [first, &rest.repeat(6)].into_iter().flatten().copied().collect::<Vec<u8>>();
    let tables = [pat, pmt, rest.repeat(5)].concat();
    let [start, other, middle] = [&picture(0x65), &picture(0x41), &rest].map(datagram);
    let mut group = c.benchmark_group("starts");
    for (name, datagram) in
        [("middle of a picture", &middle), ("a picture", &other), ("a start", &start), ("tables", &tables)]
    {
        let mut starts = Starts::of("video", Some("MP2T"), false);
        starts.take(0, &tables);
        assert!(starts.take(0, &start).is_some(), "the tables are read");
        group.bench_function(name, |b| b.iter(|| black_box(starts.take(0, datagram))));
    }
}

fn run_state(c: &mut Criterion) {
    let state = RunState::default();
    c.bench_function("run state: request, begin, finish", |b| {
        b.iter(|| {
            black_box(state.request());
            state.begin();
            black_box(state.finish(|| false))
        });
    });
}

/// Takes what is due from its cursor and counts it, as a connection does before it writes.
struct Counter {
    cursor: std::sync::Mutex<(Cursor, Vec<Bytes>)>,
    served: Arc<AtomicU64>,
}

impl StreamSink for Counter {
    fn pump(&self, batch: Option<&Batch<'_>>) {
        let mut guard = self.cursor.lock().expect("no sink panics");
        let (cursor, taken) = &mut *guard;
        taken.clear();
        cursor.take(batch.map_or(u64::MAX, |batch| batch.end(cursor)), 64, taken);
        self.served.fetch_add(taken.len() as u64, Relaxed);
    }

    fn close(&self) {}
}

fn parts() -> (Arc<TaskQueue>, Arc<TaskQueue>, Arc<Poller>, Dispatch) {
    let media = TaskQueue::start("media", 1).expect("a thread can be started");
    let control = TaskQueue::start("control", 1).expect("a thread can be started");
    let poller = Poller::new(256, 1, media.clone(), control.clone()).expect("a thread");
    let timers = Timers::start(&poller, Class::Media).expect("a timer can be made");
    let lateness = Lateness::new(LIMITS.age, clock::now());
    let bursts = BurstBudget::new(1000, lateness.clone(), clock::now());
    let dispatch =
        Dispatch::new(media.clone(), timers, Busy::new(1, 0.5, || false), lateness, bursts.clone(), bursts);
    (media, control, poller, dispatch)
}

/// From a packet in the receiver's hands to the last subscriber served, through the task queue.
fn lane(c: &mut Criterion) {
    let (media, control, poller, dispatch) = parts();
    let data = Bytes::from(vec![0; PACKET_BYTES]);
    let mut group = c.benchmark_group("lane: a packet to all");
    for subscribers in [1, 100, 1000] {
        let flow = Flow::new(&outward("bench"), LIMITS, Coalesce::Fixed(Duration::ZERO), dispatch.clone());
        let served = Arc::new(AtomicU64::new(0));
        let _subscriptions: Vec<_> = (0..subscribers)
            .map(|_| {
                let cursor = flow.cursor(Carriage::Tcp, 0);
                let place = cursor.place();
                let cursor = std::sync::Mutex::new((cursor, Vec::with_capacity(64)));
                flow.subscribe_stream(
                    Carriage::Tcp,
                    Arc::new(Counter { cursor, served: served.clone() }),
                    place,
                )
            })
            .collect();
        group.throughput(Throughput::Elements(subscribers));
        group.bench_function(BenchmarkId::from_parameter(subscribers), |b| {
            b.iter(|| {
                let due = served.load(Relaxed) + subscribers;
                let at = clock::now();
                flow.push([packet(&data, at)]);
                flow.tell();
                flow.rhythm().go(at);
                while served.load(Relaxed) < due {
                    std::hint::spin_loop();
                }
            });
        });
    }
    group.finish();
    poller.stop();
    control.stop();
    media.stop();
}

criterion_group!(benches, ring, track, starts, run_state, lane);
criterion_main!(benches);
