//! Descriptors in poll tables: when consumers hear of them, and what is left when they go.

mod ends;
mod events;
mod places;
mod priorities;

use super::*;
use crate::event::testing::in_a_process_of_its_own;
use crate::event::{Event, Task, Work, clock};
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
