//! Descriptors in poll tables: when consumers hear of them, and what is left when they go.

use super::*;
use crate::event::testing::{Holdings, in_a_process_of_its_own, niceness};
use crate::event::{Event, Task, Timers, Work, clock};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

/// What a consumer does with an event.
enum Does {
    /// Says so and leaves the descriptor suspended.
    Wait,
    /// Says so and polls on.
    PollOn,
    /// Says so from a task.
    Task,
    PanicAtOnce,
    PanicInTask,
    /// Waits for the signal, so that events gather meanwhile.
    Block(Mutex<Receiver<()>>),
    /// Takes the other descriptor out.
    Unregister(Arc<Mutex<Option<PollKey>>>),
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Event(&'static str),
    Ran(&'static str),
    Closed(&'static str),
}

struct Consumer {
    name: &'static str,
    does: Does,
    said: Sender<Said>,
}

impl Consumer {
    fn say(&self, what: Said) {
        self.said.send(what).expect("the test listens");
    }
}

impl PollEventConsumer for Consumer {
    fn create_task(self: Arc<Self>, event: Event) -> Option<Task> {
        self.say(Said::Event(self.name));
        match &self.does {
            Does::PollOn => {
                event.key.resume(Interest::Read);
                return None;
            }
            Does::PanicAtOnce => panic!("at once"),
            Does::Block(signal) => signal.lock().expect("one listener").recv().expect("a signal"),
            Does::Unregister(other) => other.lock().expect("set").as_ref().expect("set").unregister(),
            Does::Wait | Does::Task | Does::PanicInTask => {}
        }
        Some(Task::new("test", self))
    }

    fn close(self: Arc<Self>) {
        self.say(Said::Closed(self.name));
    }
}

impl Work for Consumer {
    fn run(self: Arc<Self>) {
        match self.does {
            Does::Task => self.say(Said::Ran(self.name)),
            Does::PanicInTask => panic!("in a task"),
            _ => {}
        }
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}

struct Rig {
    queue: Arc<TaskQueue>,
    poller: Arc<Poller>,
    sender: Sender<Said>,
    said: Receiver<Said>,
}

impl Rig {
    fn new(entries_per_table: usize) -> Self {
        Self::spread(entries_per_table, 1)
    }

    fn spread(entries_per_table: usize, media_tables: usize) -> Self {
        let queue = TaskQueue::start("t-poll", 1).expect("a thread");
        let poller = Poller::new(entries_per_table, media_tables, queue.clone(), queue.clone());
        let poller = poller.expect("a thread");
        let (sender, said) = channel();
        Self { queue, poller, sender, said }
    }

    fn register(&self, class: Class, name: &'static str, does: Does, ready: u32) -> PollKey {
        let consumer = Arc::new(Consumer { name, does, said: self.sender.clone() });
        self.poller.register(class, descriptor(ready), consumer).expect("room")
    }

    fn beside(&self, key: &PollKey) -> io::Result<PollKey> {
        let consumer = Arc::new(Consumer { name: "beside", does: Does::Wait, said: self.sender.clone() });
        self.poller.register_beside(key, descriptor(1), consumer)
    }

    /// A descriptor that is ready, not yet enabled.
    fn ready(&self, name: &'static str, does: Does) -> PollKey {
        self.register(Class::Media, name, does, 1)
    }

    fn idle(&self, class: Class) -> PollKey {
        self.register(class, "idle", Does::Wait, 0)
    }

    fn next(&self) -> Said {
        self.said.recv_timeout(Duration::from_secs(20)).expect("something is said")
    }

    /// Passes over what was said so far, also by an event that was being dispatched.
    fn forget_until_now(&self) {
        let sentinel = self.ready("now", Does::Wait);
        sentinel.enable(Interest::Read).expect("polled");
        while self.next() != Said::Event("now") {}
        sentinel.unregister();
    }

    /// The table has polled since: a fresh descriptor's event is the next thing said.
    fn expect_nothing_else(&self) {
        let sentinel = self.ready("sentinel", Does::Wait);
        sentinel.enable(Interest::Read).expect("polled");
        assert_eq!(self.next(), Said::Event("sentinel"));
        sentinel.unregister();
    }

    fn populations(&self, class: Class) -> Vec<usize> {
        let tables = self.poller.stats();
        tables.iter().filter(|table| table.class == class).map(|table| table.entries).collect()
    }

    fn stop(self) {
        self.poller.stop();
        self.queue.stop();
        drop(self.sender);
        assert_eq!(self.said.try_recv(), Err(TryRecvError::Disconnected), "all consumers are gone");
    }
}

/// A descriptor that is ready or, with 0, not.
fn descriptor(ready: u32) -> Arc<EventFd> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    Arc::new(EventFd::from_value_and_flags(ready, flags).expect("a descriptor"))
}

#[test]
fn tables_open_when_full_fill_evenly_and_retire_when_empty() {
    let rig = Rig::new(2);
    let keys: Vec<_> = (0..5).map(|_| rig.idle(Class::Media)).collect();
    assert_eq!(rig.populations(Class::Media), [2, 2, 1]);
    assert_eq!(rig.populations(Class::Control), [0; 0]);
    let _control = rig.idle(Class::Control);
    assert_eq!(rig.populations(Class::Control), [1], "classes share no table");

    keys[0].unregister();
    keys[1].unregister();
    keys[1].unregister();
    let mut left = rig.populations(Class::Media);
    left.sort_unstable();
    assert_eq!(left, [1, 2], "the empty table is gone");
    let _one_more = rig.idle(Class::Media);
    assert_eq!(rig.populations(Class::Media), [2, 2], "the least populated table gets it");

    keys[2..].iter().for_each(PollKey::unregister);
    assert_eq!(rig.populations(Class::Media).len(), 1, "the last of its class stays");
    rig.stop();
}

#[test]
fn media_gets_tables_of_its_own_before_it_shares_them() {
    let rig = Rig::spread(4, 3);
    let keys: Vec<_> = (0..5).map(|_| rig.idle(Class::Media)).collect();
    assert_eq!(rig.populations(Class::Media), [2, 2, 1]);
    let _control = [rig.idle(Class::Control), rig.idle(Class::Control)];
    assert_eq!(rig.populations(Class::Control), [2], "control shares at once");

    keys[2].unregister();
    assert_eq!(rig.populations(Class::Media), [2, 2, 0], "it stays for the next one");
    let _next = rig.idle(Class::Media);
    assert_eq!(rig.populations(Class::Media), [2, 2, 1]);
    let _more: Vec<_> = (0..7).map(|_| rig.idle(Class::Media)).collect();
    assert_eq!(rig.populations(Class::Media), [4, 4, 4]);
    rig.idle(Class::Media).unregister();
    assert_eq!(rig.populations(Class::Media), [4, 4, 4], "one more table opened, and is gone");
    rig.stop();
}

#[test]
fn a_descriptor_beside_another_one_is_in_its_table_though_that_is_full() {
    let rig = Rig::spread(1, 2);
    let (_other, socket) = (rig.idle(Class::Media), rig.idle(Class::Media));
    let timer = rig.beside(&socket).expect("its table is open");
    assert_eq!(rig.populations(Class::Media), [1, 2]);
    timer.enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("beside"));
    socket.unregister();
    timer.unregister();
    assert_eq!(rig.populations(Class::Media), [1, 0]);
    rig.stop();
}

#[test]
fn nothing_comes_beside_a_descriptor_whose_table_has_gone() {
    let rig = Rig::new(1);
    let (_stays, gone) = (rig.idle(Class::Media), rig.idle(Class::Media));
    gone.unregister();
    rig.beside(&gone).expect_err("its table is gone");
    assert_eq!(rig.populations(Class::Media), [1]);
    rig.stop();
}

#[test]
fn nothing_is_heard_before_enable() {
    let rig = Rig::new(8);
    let key = rig.ready("early", Does::Wait);
    rig.expect_nothing_else();
    key.enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("early"));
    rig.stop();
}

#[test]
fn a_descriptor_has_one_task_at_a_time() {
    let rig = Rig::new(8);
    let key = rig.ready("one", Does::Task);
    key.enable(Interest::Read).expect("polled");
    for _ in 0..3 {
        assert_eq!(rig.next(), Said::Event("one"));
        assert_eq!(rig.next(), Said::Ran("one"));
        rig.expect_nothing_else();
        key.resume(Interest::Read);
    }
    assert_eq!(rig.next(), Said::Event("one"));
    assert_eq!(rig.next(), Said::Ran("one"));
    rig.stop();
}

#[test]
fn a_consumer_that_is_done_at_once_is_polled_on() {
    let rig = Rig::new(8);
    let key = rig.ready("busy", Does::PollOn);
    key.enable(Interest::Read).expect("polled");
    for _ in 0..3 {
        assert_eq!(rig.next(), Said::Event("busy"));
    }
    key.unregister();
    rig.forget_until_now();
    rig.expect_nothing_else();
    rig.stop();
}

#[test]
fn an_event_of_a_descriptor_that_has_gone_is_dropped() {
    let rig = Rig::new(8);
    let (go, signal) = channel();
    let gate = rig.ready("gate", Does::Block(Mutex::new(signal)));
    gate.enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("gate"));
    // Both are ready by the table's next look; whichever comes first takes the other out.
    let slots: [Arc<Mutex<Option<PollKey>>>; 2] = Default::default();
    let [left, right] = ["left", "right"]
        .map(|name| rig.ready(name, Does::Unregister(slots[usize::from(name == "left")].clone())));
    *slots[0].lock().expect("free") = Some(left.clone());
    *slots[1].lock().expect("free") = Some(right.clone());
    left.enable(Interest::Read).expect("polled");
    right.enable(Interest::Read).expect("polled");
    go.send(()).expect("the gate waits");
    let first = rig.next();
    assert!(first == Said::Event("left") || first == Said::Event("right"), "{first:?}");
    rig.expect_nothing_else();
    assert_eq!(rig.populations(Class::Media), [2], "the gate and the one that was heard");
    [gate, left, right].iter().for_each(PollKey::unregister);
    slots.iter().for_each(|slot| *slot.lock().expect("free") = None);
    rig.stop();
}

#[test]
fn a_panic_closes_its_own_consumer_and_no_other() {
    for does in [Does::PanicAtOnce, Does::PanicInTask] {
        let rig = Rig::new(8);
        let neighbour = rig.ready("neighbour", Does::Task);
        rig.ready("faulty", does).enable(Interest::Read).expect("polled");
        assert_eq!(rig.next(), Said::Event("faulty"));
        assert_eq!(rig.next(), Said::Closed("faulty"));
        neighbour.enable(Interest::Read).expect("polled");
        assert_eq!(rig.next(), Said::Event("neighbour"));
        assert_eq!(rig.next(), Said::Ran("neighbour"));
        rig.stop();
    }
}

#[test]
fn a_table_that_hangs_is_seen_and_one_that_goes_on_is_forgiven() {
    let rig = Rig::new(8);
    let vitals = rig.poller.vitals();
    let (go, signal) = channel();
    rig.ready("gate", Does::Block(Mutex::new(signal))).enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("gate"));
    let called_at = clock::now();
    assert_eq!(vitals.check(called_at), Ok(()), "it was only called now");
    let why = vitals.check(called_at + Duration::from_secs(6)).expect_err("no answer");
    assert!(why.to_string().starts_with("standing still: poll table "), "{why}");
    go.send(()).expect("the gate waits");
    while vitals.check(called_at + Duration::from_secs(6)).is_err() {
        std::thread::yield_now();
    }
    rig.stop();
}

#[test]
fn a_stopped_poller_takes_nothing_and_ignores_old_keys() {
    let rig = Rig::new(8);
    let key = rig.ready("late", Does::Wait);
    rig.poller.stop();
    key.enable(Interest::Read).expect("polled");
    key.unregister();
    let consumer = Arc::new(Consumer { name: "late", does: Does::Wait, said: rig.sender.clone() });
    rig.poller.register(Class::Media, descriptor(0), consumer).expect_err("the poller has stopped");
    rig.beside(&key).expect_err("the poller has stopped");
    rig.stop();
}

#[test]
fn stop_gives_back_every_thread_and_descriptor() {
    in_a_process_of_its_own("event::poller::tests::stop_gives_back_every_thread_and_descriptor", || {
        let before = Holdings::now();
        let rig = Rig::new(2);
        let timers = Timers::start(&rig.poller, Class::Control).expect("a timer");
        let consumer = Arc::new(Consumer { name: "never", does: Does::Task, said: rig.sender.clone() });
        timers.at(clock::now() + Duration::from_secs(3600), Task::new("never", consumer));
        for _ in 0..9 {
            rig.ready("served", Does::Task).enable(Interest::Read).expect("polled");
        }
        let _first = rig.next();
        rig.poller.stop();
        timers.stop();
        rig.queue.stop();
        drop((rig, timers));
        before.expect_again();

        let dropped = Rig::new(2);
        let key = dropped.idle(Class::Media);
        drop(key);
        drop(dropped);
        before.expect_again();
    });
}

/// Says what the thread that hears of an event runs at, and then what the thread that runs the task does.
struct Thermometer(Sender<(&'static str, i32)>);

impl Thermometer {
    fn read(&self, place: &'static str) {
        self.0.send((place, niceness())).expect("the test listens");
    }
}

impl PollEventConsumer for Thermometer {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.read("table");
        Some(Task::new("test", self))
    }

    fn close(self: Arc<Self>) {}
}

impl Work for Thermometer {
    fn run(self: Arc<Self>) {
        self.read("worker");
    }

    fn close(self: Arc<Self>) {}
}

/// Has the first table of a class opened.
struct Opener(Arc<Poller>, Class, Sender<(&'static str, i32)>);

impl Work for Opener {
    fn run(self: Arc<Self>) {
        let thermometer = Arc::new(Thermometer(self.2.clone()));
        self.0
            .register(self.1, descriptor(1), thermometer)
            .expect("room")
            .enable(Interest::Read)
            .expect("polled");
    }

    fn close(self: Arc<Self>) {}
}

#[test]
fn control_runs_low_and_what_it_opens_for_media_does_not() {
    let usual = niceness();
    let media = TaskQueue::start("t-media", 1).expect("a thread");
    let control = TaskQueue::start_low("t-control", 1, Arc::new(|| false)).expect("a thread");
    let poller = Poller::new(8, 1, media.clone(), control.clone()).expect("a thread");
    let (sender, readings) = channel();
    let readings_of = |class| {
        control.push(Task::new("test", Arc::new(Opener(poller.clone(), class, sender.clone()))));
        [(); 2].map(|()| readings.recv_timeout(Duration::from_secs(20)).expect("a reading"))
    };
    assert_eq!(readings_of(Class::Media), [("table", usual), ("worker", usual)]);
    for (place, niceness) in readings_of(Class::Control) {
        assert!(niceness > usual, "{place} of control runs at {niceness}, others at {usual}");
    }
    poller.stop();
    control.stop();
    media.stop();
}

#[test]
fn without_descriptors_for_another_table_a_full_one_takes_more() {
    let name = "event::poller::tests::without_descriptors_for_another_table_a_full_one_takes_more";
    in_a_process_of_its_own(name, || {
        let rig = Rig::new(1);
        rig.idle(Class::Media);
        let consumer = || Arc::new(Consumer { name: "more", does: Does::Wait, said: rig.sender.clone() });
        let [more, other] = [descriptor(1), descriptor(1)];
        let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        let key = rig.poller.register(Class::Media, more, consumer()).expect("a place, if a full one");
        assert!(rig.poller.register(Class::Control, other, consumer()).is_err(), "there is no such table");
        drop(taken);
        key.enable(Interest::Read).expect("polled");
        assert_eq!((rig.next(), rig.populations(Class::Media)), (Said::Event("more"), vec![2]));
        rig.stop();
    });
}
