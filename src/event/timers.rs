//! Timers: a task put on a queue at a given time. One timerfd for all of an agenda, no thread of its own.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::vitals::STANDS_STILL_AFTER;
use super::{
    Class, Event, Interest, Part, PollEventConsumer, PollKey, Poller, Task, TaskQueue, Vitals, clock, lock,
};

/// Pending timers of one class; their tasks go to that class's queue.
pub struct Timers {
    timer: TimerFd,
    agenda: Mutex<Agenda>,
    queue: Arc<TaskQueue>,
    class: Class,
    vitals: Arc<Vitals>,
    key: OnceLock<PollKey>,
}

/// Names one pending timer. In the order of when they are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    due: Instant,
    number: u64,
}

/// A pending timer that is dropped with this.
pub struct Alarm {
    timers: Arc<Timers>,
    timer: TimerId,
}

/// What is to be done when a timer is due.
enum Action {
    Push(Task),
    RunHere(Box<dyn FnOnce() + Send>),
}

#[derive(Default)]
struct Agenda {
    pending: BTreeMap<TimerId, Action>,
    next_number: u64,
    stopped: bool,
}

impl Alarm {
    /// When it is due.
    pub fn due(&self) -> Instant {
        self.timer.due
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.timers.cancel(self.timer);
    }
}

impl Timers {
    /// Registers the timer descriptor with the Poller.
    pub fn start(poller: &Poller, class: Class) -> io::Result<Arc<Self>> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let queue = poller.queue(class).clone();
        let (agenda, vitals, key) = (Mutex::default(), poller.vitals().clone(), OnceLock::new());
        let timers = Arc::new(Self { timer, agenda, queue, class, vitals, key });
        let part: Arc<dyn Part> = timers.clone();
        timers.vitals.look_at(Arc::downgrade(&part));
        let key = poller.register(class, timers.clone(), timers.clone())?;
        timers.key.get_or_init(|| key).enable(Interest::Read)?;
        Ok(timers)
    }

    /// Puts `task` on the queue when it is due. Stopped timers drop it.
    pub fn at(&self, due: Instant, task: Task) -> TimerId {
        self.add(due, Action::Push(task))
    }

    /// The same for as long as the alarm is kept.
    pub fn alarm(self: &Arc<Self>, due: Instant, task: Task) -> Alarm {
        Alarm { timer: self.at(due, task), timers: self.clone() }
    }

    /// Runs `work` when it is due on the timers' own PollTable thread, before tasks that are due later: for
    /// minor work that must be brief, as in `create_task`. Stopped timers drop it.
    pub fn run_here_at(&self, due: Instant, work: impl FnOnce() + Send + 'static) -> TimerId {
        self.add(due, Action::RunHere(Box::new(work)))
    }

    fn add(&self, due: Instant, action: Action) -> TimerId {
        let mut agenda = self.agenda();
        let id = TimerId { due, number: agenda.next_number };
        agenda.next_number += 1;
        if agenda.stopped {
            drop(agenda); // before the action: it may hold the last reference to something with a Drop of its own
            return id;
        }
        agenda.pending.insert(id, action);
        if agenda.pending.first_key_value().map(|(first, _)| *first) == Some(id) {
            self.set(id.due);
        }
        id
    }

    /// What its faults are told to, and those of whoever it works for.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Its descriptor, for others to be registered beside.
    pub fn key(&self) -> &PollKey {
        self.key.get().expect("registered when it was started")
    }

    /// Drops a timer. `false`: it has already fired.
    pub fn cancel(&self, id: TimerId) -> bool {
        let pending = self.agenda().pending.remove(&id);
        pending.is_some() // it goes outside the lock: it may hold the last reference to something with a Drop of its own
    }

    /// Drops all that wait and all that come: a task that holds its own timers would live for ever.
    pub fn stop(&self) {
        let mut agenda = self.agenda();
        agenda.stopped = true;
        let pending = mem::take(&mut agenda.pending);
        drop(agenda);
        drop(pending);
    }

    /// Timers that wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.agenda().pending.len()
    }

    /// Whether no timer waits.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn set(&self, at: Instant) {
        // Zero would disarm the timer.
        let delay = at.saturating_duration_since(clock::now()).max(Duration::from_nanos(1));
        if let Err(error) =
            self.timer.set(Expiration::OneShot(TimeSpec::from(delay)), TimerSetTimeFlags::empty())
        {
            self.vitals.give_up(format!("the timers of {} can not be set: {error}", self.class.name()));
        }
    }

    fn fire(&self) {
        for action in self.take_due() {
            match action {
                Action::Push(task) => self.queue.push(task),
                Action::RunHere(work) => {
                    if catch_unwind(AssertUnwindSafe(work)).is_err() {
                        self.vitals.fault("timer");
                    }
                }
            }
        }
    }

    fn take_due(&self) -> Vec<Action> {
        let now = clock::now();
        let mut agenda = self.agenda();
        let mut due = Vec::new();
        while let Some(first) = agenda.pending.first_entry() {
            if first.key().due > now {
                self.set(first.key().due);
                break;
            }
            due.push(first.remove());
        }
        due
    }

    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        lock(&self.agenda)
    }
}

impl PollEventConsumer for Timers {
    fn create_task(self: Arc<Self>, event: Event) -> Option<Task> {
        // Non-blocking: a timer that was set anew meanwhile just has not expired yet.
        let _ = self.timer.wait();
        self.vitals.may_fault("timers", || self.class.name().to_owned());
        self.fire();
        event.key.resume(Interest::Read);
        None
    }

    fn close(self: Arc<Self>) {
        if let Some((first, _)) = self.agenda().pending.first_key_value() {
            self.set(first.due);
        }
        self.key().resume(Interest::Read);
    }
}

impl Part for Timers {
    fn stands_still(&self, now: Instant) -> Option<String> {
        let first = self.agenda().pending.first_key_value().map(|(first, _)| first.due);
        let is_overdue = first.is_some_and(|due| now.saturating_duration_since(due) > STANDS_STILL_AFTER);
        is_overdue.then(|| format!("the timers of {}", self.class.name()))
    }
}

impl AsFd for Timers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::Work;
    use std::sync::mpsc::{Sender, channel};

    struct Say(Sender<u32>, u32);

    impl Work for Say {
        fn run(self: Arc<Self>) {
            let _ = self.0.send(self.1);
        }

        fn close(self: Arc<Self>) {}
    }

    fn rig() -> (Arc<TaskQueue>, Arc<Poller>, Arc<Timers>) {
        let queue = TaskQueue::start("t-timers", 1).expect("a thread");
        let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Control).expect("a timer");
        (queue, poller, timers)
    }

    #[test]
    fn timers_fire_in_the_order_of_their_times() {
        let (queue, poller, timers) = rig();
        let (sender, said) = channel();
        let say = |number| Task::new("say", Arc::new(Say(sender.clone(), number)));
        let now = clock::now();
        let late = now + Duration::from_secs(3600);
        timers.at(late, say(9));
        timers.at(now + Duration::from_millis(30), say(3));
        timers.at(now + Duration::from_millis(20), say(2));
        let cancelled = timers.at(now + Duration::from_millis(10), say(8));
        timers.at(now, say(1));
        timers.cancel(cancelled);
        let heard: Vec<_> = (0..3).filter_map(|_| said.recv_timeout(Duration::from_secs(20)).ok()).collect();
        assert_eq!(heard, [1, 2, 3]);
        assert!(clock::now() >= now + Duration::from_millis(29), "none fires early");
        assert_eq!((timers.len(), timers.is_empty()), (1, false));
        poller.stop();
        queue.stop();
    }

    #[test]
    fn timers_of_one_time_fire_in_the_order_they_were_set() {
        let (queue, poller, timers) = rig();
        poller.stop();
        let (sender, said) = channel();
        let at = clock::now();
        for number in 0..5 {
            timers.at(at, Task::new("say", Arc::new(Say(sender.clone(), number))));
        }
        timers.fire();
        queue.stop();
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert!(timers.is_empty());
    }

    #[test]
    fn work_that_runs_here_comes_before_tasks_that_are_due_later() {
        let (queue, poller, timers) = rig();
        poller.stop();
        let (sender, said) = channel();
        let at = clock::now();
        timers.at(at, Task::new("say", Arc::new(Say(sender.clone(), 2))));
        timers.run_here_at(at - Duration::from_millis(2), || panic!("a fault of one is not the others'"));
        timers.run_here_at(at - Duration::from_millis(1), move || sender.send(1).expect("the test listens"));
        timers.fire();
        assert_eq!(said.try_iter().next(), Some(1), "it has run before anything else is queued");
        assert!(timers.vitals.faults().any(|counted| counted == ("timer", 1)), "and the fault is counted");
        queue.stop();
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn timers_that_fire_no_more_are_seen() {
        let (queue, poller, timers) = rig();
        poller.stop();
        let (sender, _said) = channel();
        let due = clock::now();
        timers.at(due, Task::new("say", Arc::new(Say(sender, 1))));
        assert_eq!(timers.stands_still(due + STANDS_STILL_AFTER), None, "it may be on its way");
        let later = due + 2 * STANDS_STILL_AFTER;
        assert_eq!(timers.stands_still(later).as_deref(), Some("the timers of control"));
        timers.fire();
        assert_eq!(timers.stands_still(later), None);
        queue.stop();
    }

    #[test]
    fn stopped_timers_keep_nothing() {
        let (queue, poller, timers) = rig();
        poller.stop();
        queue.stop();
        let (sender, said) = channel();
        let at = clock::now() + Duration::from_secs(3600);
        timers.at(at, Task::new("say", Arc::new(Say(sender.clone(), 1))));
        timers.stop();
        timers.at(at, Task::new("say", Arc::new(Say(sender, 2))));
        assert!(timers.is_empty());
        assert!(said.recv().is_err(), "nobody holds a task");
    }
}
