//! Beats under load: several workers and publishers, members who come, go and take nothing for a while. Each gets every
//! packet in order, and at the end nothing waits.

use super::*;
use crate::event::{Class, Poller};
use crate::relay::rig::{ROOMY, boundless, outward, packet};
use crate::relay::{
    Batch, Carriage, Cursor, Dispatch, Flow, Lateness, ServerSocket, StreamSink, Subscription,
};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

const PATIENCE: Duration = Duration::from_secs(20);
const STEPS: u16 = 150;

/// Numbers as good as random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Takes what is due, unless it is full.
struct Sink {
    cursor: Mutex<Cursor>,
    full: AtomicBool,
}

impl StreamSink for Sink {
    fn pump(&self, _: Option<&Batch<'_>>) {
        if !self.full.load(Relaxed) {
            lock(&self.cursor).take(u64::MAX, usize::MAX, &mut Vec::new());
        }
    }

    fn close(&self) {}
}

/// Passes on that its turn has come.
struct Told(Mutex<Sender<()>>);

impl Sleeper for Told {
    fn wake_at(&self, _: Instant) {
        let _ = lock(&self.0).send(());
    }
}

struct Member {
    _subscription: Subscription,
    reservation: Arc<()>,
    from: u64,
    place: Place,
}

enum Place {
    Udp(UdpSocket),
    Tcp(Arc<Sink>),
}

impl Member {
    fn udp(flow: &Arc<Flow>, server: &Arc<ServerSocket>) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        let (reservation, from) = (Arc::new(()), flow.ring().head());
        let address = socket.local_addr().expect("bound");
        let subscription =
            flow.subscribe_datagrams(Carriage::Udp, (server, address), from, reservation.clone(), None);
        Self { _subscription: subscription, reservation, from, place: Place::Udp(socket) }
    }

    fn tcp(flow: &Arc<Flow>) -> Self {
        let from = flow.ring().head();
        let cursor = flow.cursor(Carriage::Tcp, from);
        let place = cursor.place();
        let sink = Arc::new(Sink { cursor: Mutex::new(cursor), full: AtomicBool::new(false) });
        let subscription = flow.subscribe_stream(Carriage::Tcp, sink.clone(), place);
        Self { _subscription: subscription, reservation: Arc::new(()), from, place: Place::Tcp(sink) }
    }

    /// Whether it stands at `head`, for ever or from now on.
    fn has_all(&mut self, head: u64) -> bool {
        match &self.place {
            Place::Udp(socket) => {
                let mut buffer = [0; 10];
                while socket.recv(&mut buffer).is_ok() {
                    assert_eq!(buffer[0], self.from as u8, "each packet once, in order");
                    self.from += 1;
                }
                self.from == head
            }
            Place::Tcp(sink) => lock(&sink.cursor).place().next() == head,
        }
    }
}

/// Publishes as an intake does: when it is time, or at the latest when it is told.
fn publish(flow: &Arc<Flow>, mut dice: Dice) {
    let (sender, told): (_, Receiver<()>) = channel();
    let sleeper: Arc<dyn Sleeper> = Arc::new(Told(Mutex::new(sender)));
    for number in 0..STEPS {
        if dice.below(2) == 0
            && let Some(Turn::Told) = flow.rhythm().turn(&sleeper, clock::now())
        {
            told.recv_timeout(PATIENCE).expect("whoever is to be told is told");
        }
        flow.push([packet(number, 10)]);
        if dice.below(4) > 0 || number == STEPS - 1 {
            let now = clock::now();
            flow.tell();
            flow.rhythm().go(now);
        }
        thread::sleep(Duration::from_micros(dice.below(2000)));
    }
}

fn come_and_go(flow: &Arc<Flow>, server: &Arc<ServerSocket>, mut dice: Dice) -> Vec<Member> {
    let mut members = Vec::<Member>::new();
    for _ in 0..STEPS {
        match dice.below(6) {
            0 | 1 if members.len() < 12 => members.push(Member::udp(flow, server)),
            2 | 3 if members.len() < 12 => members.push(Member::tcp(flow)),
            4 if !members.is_empty() => {
                drop(members.swap_remove(dice.below(members.len() as u64) as usize));
            }
            _ => {
                for member in &members {
                    if let Place::Tcp(sink) = &member.place {
                        let was_full = sink.full.swap(dice.below(2) == 0, Relaxed);
                        was_full.then(|| sink.pump(None));
                    }
                }
            }
        }
        thread::sleep(Duration::from_micros(dice.below(1500)));
    }
    members
}

struct Rig {
    poller: Arc<Poller>,
    dispatch: Dispatch,
}

impl Rig {
    fn start() -> Self {
        let queue = TaskQueue::start("t-stress", 3).expect("threads");
        let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Media).expect("a timer");
        let lateness = Lateness::new(PATIENCE, clock::now());
        let bursts = boundless(lateness.clone());
        let busy = Busy::new(3, 0.5, || false);
        Self { poller, dispatch: Dispatch::new(queue, timers, busy, lateness, bursts.clone(), bursts) }
    }

    fn flow(&self, coalesce: Coalesce) -> Arc<Flow> {
        Flow::new(&outward("news"), ROOMY, coalesce, self.dispatch.clone())
    }

    fn server() -> Arc<ServerSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        ServerSocket::growing(socket).expect("a socket that sends")
    }

    fn stop(self) {
        self.poller.stop();
        self.dispatch.timers.stop();
        self.dispatch.queue.stop();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = clock::now();
    while !is_so() {
        assert!(clock::now() - began < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn nothing_waits(beat: &Beat) -> bool {
    let state = beat.state();
    state.playing == 0 && state.waiting.is_empty() && state.asleep.is_empty()
}

#[test]
fn who_stays_gets_all_and_nothing_is_left_waiting() {
    let rig = Rig::start();
    let server = Rig::server();
    let fixed = |ms| Coalesce::Fixed(Duration::from_millis(ms));
    let flows = [Coalesce::Auto, Coalesce::Auto, fixed(0), fixed(3)].map(|coalesce| rig.flow(coalesce));
    // More than take their turn in one run, in each lane.
    let mut crowd: Vec<_> = (0..800).map(|_| Member::tcp(&flows[0])).collect();
    let mut members: Vec<_> = thread::scope(|scope| {
        let crowds: Vec<_> = (1..)
            .zip(&flows)
            .map(|(seed, flow)| {
                let server = &server;
                scope.spawn(move || publish(flow, Dice(seed)));
                scope.spawn(move || come_and_go(flow, server, Dice(seed << 32)))
            })
            .collect();
        crowds.into_iter().map(|crowd| crowd.join().expect("no panic")).collect()
    });
    members[0].append(&mut crowd);
    let mut reservations = Vec::new();
    for (flow, mut members) in flows.iter().zip(members) {
        assert_eq!(flow.ring().head(), u64::from(STEPS));
        for member in &mut members {
            if let Place::Tcp(sink) = &member.place {
                sink.full.store(false, Relaxed);
                sink.pump(None);
            }
            wait_until("all packets", || member.has_all(u64::from(STEPS)));
            reservations.push(Arc::downgrade(&member.reservation));
        }
    }
    wait_until("reservations end", || reservations.iter().all(|place| place.strong_count() == 0));
    for beat in flows.iter().flat_map(|flow| [&flow.rhythm().datagrams, &flow.rhythm().streams]) {
        wait_until("a beat at rest", || nothing_waits(beat));
        wait_until("lanes without members end", || beat.lanes.load(Relaxed) == 0);
    }
    rig.stop();
}

/// A place that can not be given back.
struct Stuck;

impl Drop for Stuck {
    fn drop(&mut self) {
        panic!("a fault of one lane");
    }
}

#[test]
fn a_lane_that_panics_goes_on_and_so_does_the_beat() {
    let rig = Rig::start();
    let flows = [0, 1].map(|_| rig.flow(Coalesce::Auto));
    let server = Rig::server();
    let mut beside = Member::udp(&flows[0], &server);
    let gone = flows[0].subscribe_datagrams(
        Carriage::Udp,
        (&server, ([127, 0, 0, 1], 9).into()),
        0,
        Arc::new(Stuck),
        None,
    );
    let mut stays = Member::udp(&flows[1], &server);
    drop(gone);
    let faults = || rig.dispatch.timers.vitals().faults().find(|(part, _)| *part == "lane");
    wait_until("a fault", || faults() == Some(("lane", 1)));
    for number in 0..20 {
        let now = clock::now();
        for flow in &flows {
            flow.push([packet(number, 10)]);
            flow.tell();
            flow.rhythm().go(now);
        }
    }
    wait_until("all packets of the neighbour", || stays.has_all(20));
    wait_until("all packets that came after the fault", || beside.has_all(20));
    wait_until("a beat at rest", || nothing_waits(&flows[1].rhythm().datagrams));
    drop((beside, stays));
    wait_until("no lanes", || flows[1].rhythm().datagrams.lanes.load(Relaxed) == 0);
    rig.stop();
}
