//! The Poller: the one place that creates PollTables and places descriptors in them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::{fmt, mem};

use super::poll_table::{Descriptor, Entry, PollTable};
use super::threads::Spawner;
use super::{Class, Interest, PollEventConsumer, TaskQueue, lock};

/// Places descriptors in PollTables, creates tables and retires them.
pub struct Poller {
    entries_per_table: usize,
    media: Arc<TaskQueue>,
    control: Arc<TaskQueue>,
    tables: Mutex<Tables>,
    spawner: Spawner,
    this: Weak<Poller>,
}

#[derive(Default)]
struct Tables {
    live: Vec<(Arc<PollTable>, JoinHandle<()>)>,
    retired: Vec<JoinHandle<()>>,
    next_id: u32,
    stopped: bool,
}

/// One table as metrics see it.
#[derive(Debug, Clone)]
pub struct TableStats {
    /// Unique for the life of the Poller.
    pub id: u32,
    /// The table's class.
    pub class: Class,
    /// Descriptors in it.
    pub entries: usize,
    /// Descriptors it may hold.
    pub capacity: usize,
    /// Events since it was created.
    pub events: u64,
}

/// A registered descriptor. Clones name the same entry; dropping one changes nothing.
#[derive(Clone)]
pub struct PollKey(pub(super) Arc<Entry>);

impl Poller {
    /// Tasks of each class go to the queue of that class. To be called from a thread at the usual priority, which
    /// the media tables' threads will have, whoever has them opened.
    pub fn new(
        entries_per_table: usize,
        media: Arc<TaskQueue>,
        control: Arc<TaskQueue>,
    ) -> io::Result<Arc<Self>> {
        let entries_per_table = entries_per_table.max(1);
        let spawner = Spawner::start()?;
        Ok(Arc::new_cyclic(|this| Self {
            entries_per_table,
            media,
            control,
            tables: Mutex::default(),
            spawner,
            this: this.clone(),
        }))
    }

    /// Registers a descriptor in the least populated table of its class, in a new one if none has room.
    /// It is polled once the consumer enables it.
    ///
    /// Errors: no thread or descriptor for a new table, or the Poller has stopped.
    pub fn register(
        &self,
        class: Class,
        descriptor: Arc<dyn Descriptor>,
        consumer: Arc<dyn PollEventConsumer>,
    ) -> io::Result<PollKey> {
        let mut tables = self.tables();
        if tables.stopped {
            return Err(io::Error::other("the poller has stopped"));
        }
        let candidates = tables
            .live
            .iter()
            .map(|(table, _)| table)
            .filter(|table| table.class == class && !table.has_stopped());
        let roomiest = candidates.map(|table| (table.live(), table)).min_by_key(|(live, _)| *live);
        let table = match roomiest {
            Some((live, table)) if live < self.entries_per_table => table.clone(),
            _ => self.create_table(class, &mut tables)?,
        };
        let entry = table.insert(descriptor, consumer);
        entry.map(PollKey).ok_or_else(|| io::Error::other("the poll table has stopped"))
    }

    /// The tables as they are now.
    pub fn stats(&self) -> Vec<TableStats> {
        let tables = self.tables();
        let stats = tables.live.iter().map(|(table, _)| TableStats {
            id: table.id,
            class: table.class,
            entries: table.live(),
            capacity: self.entries_per_table,
            events: table.events(),
        });
        stats.collect()
    }

    /// The queue that runs the tasks of a class.
    pub fn queue(&self, class: Class) -> &Arc<TaskQueue> {
        match class {
            Class::Media => &self.media,
            Class::Control => &self.control,
        }
    }

    /// Unregisters everything and joins the threads. Not to be called from a table's thread.
    pub fn stop(&self) {
        let (live, retired) = {
            let mut tables = self.tables();
            tables.stopped = true;
            (mem::take(&mut tables.live), mem::take(&mut tables.retired))
        };
        for (table, _) in &live {
            table.stop();
        }
        for thread in live.into_iter().map(|(_, thread)| thread).chain(retired) {
            let _ = thread.join();
        }
        self.spawner.stop();
    }

    fn create_table(&self, class: Class, tables: &mut Tables) -> io::Result<Arc<PollTable>> {
        tables.retired.retain(|thread| !thread.is_finished());
        let queue = self.queue(class).clone();
        let (table, thread) =
            PollTable::start(tables.next_id, class, queue, self.this.clone(), &self.spawner)?;
        tables.next_id += 1;
        tables.live.push((table.clone(), thread));
        Ok(table)
    }

    /// Retires a table that has just become empty, unless it is the only one of its class. Its thread
    /// may be the caller, so it is joined later.
    pub(super) fn retire_if_empty(&self, empty: &PollTable) {
        let mut tables = self.tables();
        let of_class = tables.live.iter().filter(|(table, _)| table.class == empty.class).count();
        let place = tables.live.iter().position(|(table, _)| table.id == empty.id);
        let Some(place) = place.filter(|_| of_class > 1 && empty.live() == 0) else { return };
        let (table, thread) = tables.live.swap_remove(place);
        tables.retired.push(thread);
        table.stop();
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.tables)
    }
}

impl Drop for Poller {
    /// Ends the threads of one that was not stopped. It joins none: the last reference may go on any of them.
    fn drop(&mut self) {
        for (table, _) in &self.tables().live {
            table.stop();
        }
    }
}

impl PollKey {
    /// Polls the registered descriptor for the first time. Does nothing once it is unregistered.
    pub fn enable(&self, interest: Interest) {
        self.resume(interest);
    }

    /// Polls the descriptor again, for one event. Does nothing once it is unregistered.
    pub fn resume(&self, interest: Interest) {
        if let Err(error) = self.0.arm(interest) {
            tracing::error!(%error, "a descriptor can not be polled (see sysctl fs.epoll.max_user_watches)");
        }
    }

    /// Called from `create_task`, for the descriptor of its event: it stays suspended until the consumer
    /// resumes it, though `None` is returned.
    pub fn hold(&self) {
        self.0.hold();
    }

    /// Takes the descriptor out. No task is created for it from here on; one in flight goes on.
    pub fn unregister(&self) {
        if self.0.unregister() == Some(0)
            && let Some(poller) = self.0.table.poller.upgrade()
        {
            poller.retire_if_empty(&self.0.table);
        }
    }
}

impl fmt::Debug for PollKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PollKey({}:{})", self.0.table.class.name(), self.0.table.id)
    }
}

#[cfg(all(test, not(model)))]
#[path = "poller_tests.rs"]
mod tests;
