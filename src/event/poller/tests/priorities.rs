//! What the threads that poll, and that work, run at.

use super::*;
use crate::event::testing::niceness;

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
