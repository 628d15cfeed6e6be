//! The PollTable: up to N descriptors, one epoll, one thread.
//!
//! The table's thread alone waits and dispatches. Entries come, are armed and go from any thread; the
//! wake-up descriptor carries what epoll has no call for: stop, and calls for a sign of life.

use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::entry::{Arm, EntryState, Interest};
use super::threads::Spawner;
use super::vitals::STANDS_STILL_AFTER;
use super::{Class, Event, Part, PollEventConsumer, PollKey, Poller, Task, TaskQueue, Vitals, Work, lock};

/// Events taken per wait. A longer list is served in turns, oldest first, so no descriptor starves.
const EVENTS_PER_WAIT: usize = 64;
/// The epoll datum of the wake-up descriptor; no slot ever has this number.
const WAKE: u64 = u64::MAX;

pub(super) struct PollTable {
    pub id: u32,
    pub class: Class,
    epoll: Epoll,
    wake: EventFd,
    slots: Mutex<Slots>,
    events: AtomicU64,
    queue: Arc<TaskQueue>,
    vitals: Arc<Vitals>,
    /// Since when the thread has not answered a call for a sign of life.
    called_at: Mutex<Option<Instant>>,
    pub poller: Weak<Poller>,
}

/// One descriptor and the consumer behind it.
pub(super) struct Entry {
    pub table: Arc<PollTable>,
    datum: u64,
    state: EntryState,
    /// Let go when the entry is unregistered: a consumer may keep its own key.
    parts: Mutex<Option<Parts>>,
}

#[derive(Clone)]
struct Parts {
    descriptor: Arc<dyn Descriptor>,
    consumer: Arc<dyn PollEventConsumer>,
}

/// A descriptor that stays open for as long as it is registered.
pub trait Descriptor: AsFd + Send + Sync + 'static {}
impl<T: AsFd + Send + Sync + 'static> Descriptor for T {}

/// Closes a consumer whose descriptor is polled no more.
struct Lost(Arc<dyn PollEventConsumer>);

impl Work for Lost {
    fn run(self: Arc<Self>) {
        self.0.clone().close();
    }

    fn close(self: Arc<Self>) {}
}

#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: usize,
    stopped: bool,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Arc<Entry>>,
}

impl PollTable {
    /// Creates the table and starts its thread.
    pub fn start(
        id: u32,
        class: Class,
        queue: Arc<TaskQueue>,
        vitals: Arc<Vitals>,
        poller: Weak<Poller>,
        spawner: &Spawner,
    ) -> io::Result<(Arc<Self>, JoinHandle<()>)> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let (slots, events) = (Mutex::default(), AtomicU64::new(0));
        let called_at = Mutex::default();
        let table =
            Arc::new(Self { id, class, epoll, wake, slots, events, queue, vitals, called_at, poller });
        let part: Arc<dyn Part> = table.clone();
        table.vitals.look_at(Arc::downgrade(&part));
        let runner = table.clone();
        let name = format!("poll-{}-{id}", class.name());
        Ok((table, spawner.spawn(name, class.priority(), move || runner.run())?))
    }

    pub fn live(&self) -> usize {
        self.slots().live
    }

    /// Whether it takes nothing more; so it is after an error of the kernel's too.
    pub fn has_stopped(&self) -> bool {
        self.slots().stopped
    }

    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Takes a slot. The descriptor is not polled before its entry is armed. `None`: the table has stopped.
    pub fn insert(
        self: &Arc<Self>,
        descriptor: Arc<dyn Descriptor>,
        consumer: Arc<dyn PollEventConsumer>,
    ) -> Option<Arc<Entry>> {
        let mut slots = self.slots();
        if slots.stopped {
            return None;
        }
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.slots.push(Slot::default());
            u32::try_from(slots.slots.len() - 1).expect("a table's capacity is far below 2^32")
        });
        let slot = &mut slots.slots[index as usize];
        let datum = u64::from(slot.generation) << 32 | u64::from(index);
        let parts = Mutex::new(Some(Parts { descriptor, consumer }));
        let entry = Arc::new(Entry { table: self.clone(), datum, state: EntryState::new(), parts });
        slot.entry = Some(entry.clone());
        slots.live += 1;
        Some(entry)
    }

    /// Frees the slot; events under its old datum are stale from here on. Returns how many are left.
    fn free(&self, datum: u64) -> usize {
        let mut slots = self.slots();
        let index = (datum & u64::from(u32::MAX)) as u32;
        let slot = &mut slots.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let entry = slot.entry.take();
        slots.free.push(index);
        slots.live -= 1;
        let left = slots.live;
        drop(slots);
        drop(entry); // its consumer may run code of its own as it goes
        left
    }

    /// Stops the thread after its current event and lets all entries go.
    pub fn stop(&self) {
        let entries = {
            let mut slots = self.slots();
            slots.stopped = true;
            slots.slots.iter().filter_map(|slot| slot.entry.clone()).collect::<Vec<_>>()
        };
        for entry in entries {
            entry.unregister();
        }
        // A full counter means that a wake-up is already on its way.
        let _ = self.wake.write(1);
    }

    /// The thread. A table whose thread has ended serves nobody: the program is to end as well.
    fn run(&self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.poll()));
        let why = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("epoll_wait failed: {error}"),
            Err(_) => "a fault of its thread".to_owned(),
        };
        self.vitals.give_up(format!("poll table {} ({}): {why}", self.id, self.class.name()));
        self.stop();
    }

    /// Dispatches events until the table is stopped.
    fn poll(&self) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_WAIT];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error),
            };
            self.vitals.may_fault("table", || self.id.to_string());
            for event in &events[..count] {
                if event.data() == WAKE {
                    self.answer(); // before it is asked: a stop that comes meanwhile has written, or is seen
                    if self.has_stopped() {
                        return Ok(());
                    }
                    continue;
                }
                self.events.fetch_add(1, Relaxed);
                if let Some(entry) = self.entry(event.data()) {
                    entry.dispatch(&self.queue);
                }
            }
        }
    }

    /// Gives a sign of life.
    fn answer(&self) {
        let _ = self.wake.read(); // non-blocking: a call that came twice is answered once
        *lock(&self.called_at) = None;
    }

    fn entry(&self, datum: u64) -> Option<Arc<Entry>> {
        let slots = self.slots();
        let slot = slots.slots.get((datum & u64::from(u32::MAX)) as usize)?;
        slot.entry.clone().filter(|entry| entry.datum == datum)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        lock(&self.slots)
    }
}

impl Part for PollTable {
    /// Calls the thread, which answers as soon as it is through with what it does.
    fn stands_still(&self, now: Instant) -> Option<String> {
        if self.has_stopped() {
            return None;
        }
        let called_at = *lock(&self.called_at).get_or_insert_with(|| {
            let _ = self.wake.write(1); // a full counter means that a wake-up is already on its way
            now
        });
        let waits = now.saturating_duration_since(called_at) > STANDS_STILL_AFTER;
        waits.then(|| format!("poll table {} ({})", self.id, self.class.name()))
    }
}

impl Entry {
    /// Polls the descriptor for one event of `interest`.
    pub fn arm(&self, interest: Interest) -> io::Result<bool> {
        Ok(self.state.arm(interest, |how| self.tell(how))?)
    }

    /// The kernel polls it no more.
    pub fn lose(&self, error: &io::Error) {
        self.table.vitals.unpolled(error);
        if let Some(parts) = self.parts() {
            self.table.queue.push(Task::new("Lost", Arc::new(Lost(parts.consumer))));
        }
    }

    /// `Some(entries left in the table)` if it was still registered.
    pub fn unregister(&self) -> Option<usize> {
        let forget = || {
            if let Some(parts) = self.parts() {
                // The descriptor is open and known: nothing can fail that would need an answer.
                let _ = self.table.epoll.delete(parts.descriptor.as_fd());
            }
        };
        self.state.remove(forget).then(|| {
            let left = self.table.free(self.datum);
            let parts = lock(&self.parts).take();
            drop(parts); // outside the lock: a consumer may run code of its own as it goes
            left
        })
    }

    fn dispatch(self: Arc<Self>, queue: &TaskQueue) {
        if !self.state.suspend() {
            return;
        }
        let event = Event { key: PollKey(self.clone()) };
        let Some(Parts { consumer, .. }) = self.parts() else { return };
        match catch_unwind(AssertUnwindSafe(|| consumer.clone().create_task(event))) {
            Ok(Some(task)) => queue.push(task),
            Ok(None) => {}
            Err(_) => {
                self.table.vitals.fault("create_task");
                let _ = catch_unwind(AssertUnwindSafe(|| consumer.close()));
            }
        }
    }

    fn tell(&self, how: Arm) -> nix::Result<()> {
        let (Arm::Add(interest) | Arm::Modify(interest)) = how;
        let flags = match interest {
            Interest::Read => EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP,
            Interest::Write => EpollFlags::EPOLLOUT,
        };
        let mut event = EpollEvent::new(flags | EpollFlags::EPOLLONESHOT, self.datum);
        let parts = self.parts().ok_or(Errno::EBADF)?;
        match how {
            Arm::Add(_) => self.table.epoll.add(parts.descriptor.as_fd(), event),
            Arm::Modify(_) => self.table.epoll.modify(parts.descriptor.as_fd(), &mut event),
        }
    }

    fn parts(&self) -> Option<Parts> {
        lock(&self.parts).clone()
    }
}
