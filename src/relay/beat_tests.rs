//! Beats whose lanes the test serves: when they begin, who takes part, and who is told.

use super::*;
use crate::event::{Class, Poller};
use std::sync::mpsc::{Receiver, Sender, channel};

const MS: Duration = Duration::from_millis(1);
const START: Duration = Duration::ZERO;
const LONGEST: Duration = Duration::from_millis(5);

/// A lane that says that it was run, and is served when the test says so.
struct Lane(&'static str, Sender<&'static str>);

impl Work for Lane {
    fn run(self: Arc<Self>) {
        self.1.send(self.0).expect("the test listens");
    }

    fn close(self: Arc<Self>) {}
}

/// Notes when its turn is.
#[derive(Default)]
struct Noted(Mutex<Vec<Instant>>);

impl Sleeper for Noted {
    fn wake_at(&self, due: Instant) {
        lock(&self.0).push(due);
    }
}

struct Rig {
    queue: Arc<TaskQueue>,
    poller: Arc<Poller>,
    busy: Arc<Busy>,
    beat: Arc<Beat>,
    ran: (Sender<&'static str>, Receiver<&'static str>),
    began: Instant,
}

impl Rig {
    /// The beat of a time to come: its timers do not fire while the test runs.
    fn new(coalesce: Coalesce) -> Self {
        let queue = TaskQueue::start("t-beat", 1).expect("a thread");
        let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Media).expect("a timer");
        let (busy, began) = (Busy::new(1, 0.5, || false), clock::now() + Duration::from_secs(3600));
        let beat = Beat::new(coalesce, LONGEST, queue.clone(), timers, busy.clone(), began);
        beat.add_lane();
        Self { queue, poller, busy, beat, ran: channel(), began }
    }

    fn wait(&self, name: &'static str) {
        self.beat.wait(Arc::new(Lane(name, self.ran.0.clone())));
    }

    fn go(&self, at: Duration) {
        self.beat.go(self.began + at);
    }

    /// A lane is served after so much work.
    fn served(&self, worked: Duration, at: Duration) {
        self.busy.add(worked);
        self.beat.served(false, self.began + at);
    }

    fn turn(&self, sleeper: &Arc<dyn Sleeper>, at: Duration) -> Option<Turn> {
        self.beat.turn(sleeper, self.began + at)
    }

    /// The lanes that were queued since the last look, in order.
    fn queued(&self) -> Vec<&'static str> {
        let (done, is_done) = channel();
        self.queue.push(Task::new("done", Arc::new(Lane("done", done))));
        is_done.recv().expect("the queue runs");
        self.ran.1.try_iter().collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.poller.stop();
        self.queue.stop();
    }
}

#[test]
fn where_there_is_little_to_do_each_packet_goes_as_it_comes() {
    let rig = Rig::new(Coalesce::Auto);
    for packet in 0..10 {
        let at = 2 * MS * packet;
        rig.wait("lane");
        rig.go(at);
        assert_eq!(rig.queued(), ["lane"]);
        rig.served(MS / 2, at + MS / 2);
    }
    assert_eq!(rig.beat.rested(), MS / 2, "as long as it worked, which was over long ago");
}

#[test]
fn where_there_is_much_the_rest_is_as_long_as_the_work() {
    let rig = Rig::new(Coalesce::Auto);
    rig.wait("lane");
    rig.go(START);
    rig.served(3 * MS, 3 * MS);
    rig.wait("lane");
    rig.go(4 * MS);
    rig.go(5 * MS);
    assert_eq!(rig.queued(), ["lane"], "it rests");
    rig.go(6 * MS);
    assert_eq!((rig.queued(), rig.beat.rested()), (vec!["lane"], 3 * MS));
    rig.served(20 * MS, 26 * MS);
    rig.wait("lane");
    rig.go(30 * MS);
    assert_eq!(rig.queued(), [""; 0]);
    rig.go(31 * MS);
    assert_eq!(rig.queued(), ["lane"], "no longer than the longest");
}

#[test]
fn work_of_other_beats_makes_the_rest_longer() {
    let rig = Rig::new(Coalesce::Auto);
    rig.wait("lane");
    rig.go(START);
    rig.busy.add(MS);
    rig.served(MS, MS);
    rig.wait("lane");
    rig.go(3 * MS);
    assert_eq!(rig.queued(), ["lane"]);
    rig.go(4 * MS);
    assert_eq!(rig.queued(), ["lane"]);
}

/// Who takes in what has arrived reads the clock before, and a beat may end meanwhile.
#[test]
fn what_was_taken_in_while_a_beat_ended_does_not_wait_for_the_alarm() {
    let rig = Rig::new(Coalesce::Fixed(Duration::ZERO));
    rig.wait("first");
    rig.go(START);
    rig.served(MS, 3 * MS);
    rig.wait("second");
    rig.go(2 * MS);
    assert_eq!(rig.queued(), ["first", "second"]);
}

#[test]
fn a_beat_is_over_when_all_are_served_and_takes_no_one_in_meanwhile() {
    let rig = Rig::new(Coalesce::Fixed(Duration::ZERO));
    rig.wait("first");
    rig.wait("second");
    rig.go(START);
    rig.wait("third");
    rig.go(MS);
    rig.served(MS, 2 * MS);
    rig.go(2 * MS);
    assert_eq!(rig.queued(), ["first", "second"]);
    rig.served(MS, 3 * MS);
    assert_eq!(rig.queued(), ["third"], "at once, as the rest is none");
}

#[test]
fn a_lane_that_goes_on_keeps_nobody_waiting_and_rests_when_it_is_done() {
    let rig = Rig::new(Coalesce::Auto);
    rig.wait("long");
    rig.wait("short");
    rig.go(START);
    let sleeper: Arc<dyn Sleeper> = Arc::new(Noted::default());
    assert_eq!(rig.turn(&sleeper, MS), Some(Turn::At(rig.began + 2 * MS)), "the second takes more along");
    rig.busy.add(MS);
    rig.beat.served(true, rig.began + MS);
    assert_eq!(rig.turn(&sleeper, MS), Some(Turn::Told));
    rig.served(MS, 2 * MS);
    assert_eq!(
        rig.turn(&sleeper, 3 * MS),
        Some(Turn::At(rig.began + 8 * MS)),
        "for others than the long one"
    );
    rig.wait("short");
    rig.go(4 * MS);
    assert_eq!(rig.queued(), ["long", "short", "short"], "the long one is still at it");
    rig.served(3 * MS, 7 * MS);
    rig.busy.add(MS);
    rig.beat.overhang_served(rig.began + 8 * MS);
    rig.wait("long");
    rig.go(11 * MS);
    assert_eq!(rig.queued(), [""; 0]);
    rig.go(12 * MS);
    assert_eq!(rig.queued(), ["long"], "4 ms of work since 4 ms");
}

#[test]
fn a_fixed_rest_begins_at_the_end_and_who_comes_later_goes_at_once() {
    let rig = Rig::new(Coalesce::Fixed(2 * MS));
    rig.wait("lane");
    rig.go(10 * MS);
    rig.wait("lane");
    rig.served(5 * MS, 15 * MS);
    rig.go(16 * MS);
    assert_eq!(rig.queued(), ["lane"]);
    rig.go(17 * MS);
    assert_eq!((rig.queued(), rig.beat.rested()), (vec!["lane"], 2 * MS));
    rig.served(MS, 18 * MS);
    rig.wait("lane");
    rig.go(30 * MS);
    assert_eq!(rig.queued(), ["lane"]);
}

#[test]
fn who_has_a_message_full_does_not_rest() {
    for coalesce in [Coalesce::Auto, Coalesce::Fixed(4 * MS)] {
        let rig = Rig::new(coalesce);
        rig.wait("lane");
        rig.go(4 * MS);
        rig.wait("lane");
        rig.beat.skip_rest();
        rig.served(9 * MS, 9 * MS);
        assert_eq!(rig.queued(), ["lane", "lane"], "at once");
        rig.wait("lane");
        rig.served(9 * MS, 19 * MS);
        rig.go(20 * MS);
        assert_eq!(rig.queued(), [""; 0], "and then it rests again");
    }
}

#[test]
fn who_sleeps_is_told_once_when_the_next_turn_is() {
    let rig = Rig::new(Coalesce::Auto);
    let noted = Arc::new(Noted::default());
    let sleeper: Arc<dyn Sleeper> = noted.clone();
    assert_eq!(rig.turn(&sleeper, MS), Some(Turn::At(rig.began)), "which is now");
    rig.wait("lane");
    rig.go(START);
    assert_eq!(rig.turn(&sleeper, MS), Some(Turn::Told));
    assert_eq!(rig.turn(&sleeper, MS), Some(Turn::Told));
    rig.served(2 * MS, 2 * MS);
    assert_eq!(*lock(&noted.0), [rig.began + 4 * MS]);
    assert_eq!(rig.turn(&sleeper, MS), Some(Turn::At(rig.began + 4 * MS)));
    assert!(Turn::At(rig.began) < Turn::At(rig.began + MS) && Turn::At(rig.began) < Turn::Told);
}

#[test]
fn without_lanes_nobody_wants_anything() {
    let rig = Rig::new(Coalesce::Auto);
    let sleeper: Arc<dyn Sleeper> = Arc::new(Noted::default());
    rig.beat.remove_lane();
    assert_eq!(rig.turn(&sleeper, MS), None);
}

#[test]
fn a_stopped_beat_holds_nobody() {
    let rig = Rig::new(Coalesce::Auto);
    let lane: Arc<dyn Work> = Arc::new(Lane("lane", rig.ran.0.clone()));
    rig.beat.wait(lane.clone());
    rig.beat.stop();
    rig.beat.wait(lane.clone());
    rig.go(START);
    assert_eq!(Arc::strong_count(&lane), 1);
}
