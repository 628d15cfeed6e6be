//! The Poller: the one place that creates PollTables and places descriptors in them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::{fmt, mem};

use super::poll_table::{Descriptor, Entry, PollTable};
use super::threads::Spawner;
use super::{Class, Interest, Part, PollEventConsumer, TaskQueue, Vitals, lock};

/// Places descriptors in PollTables, creates tables and retires them.
pub struct Poller {
    entries_per_table: usize,
    /// Tables of media that open before descriptors share one, and stay.
    media_tables: usize,
    media: Arc<TaskQueue>,
    control: Arc<TaskQueue>,
    vitals: Arc<Vitals>,
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
    /// Descriptors it has room for.
    pub capacity: usize,
    /// Events since it was created.
    pub events: u64,
}

/// A registered descriptor. Clones name the same entry; dropping one changes nothing.
#[derive(Clone)]
pub struct PollKey(pub(super) Arc<Entry>);

impl Poller {
    /// Tasks of each class go to the queue of that class. The first `media_tables` descriptors of media get a table
    /// each, so that receiving is spread over cores. To be called from a thread at the usual priority, which the media
    /// tables' threads will have, whoever has them opened.
    pub fn new(
        entries_per_table: usize,
        media_tables: usize,
        media: Arc<TaskQueue>,
        control: Arc<TaskQueue>,
    ) -> io::Result<Arc<Self>> {
        let entries_per_table = entries_per_table.max(1);
        let spawner = Spawner::start()?;
        let vitals = Arc::<Vitals>::default();
        for queue in [&media, &control] {
            let part: Arc<dyn Part> = queue.clone();
            vitals.look_at(Arc::downgrade(&part));
        }
        Ok(Arc::new_cyclic(|this| Self {
            entries_per_table,
            media_tables: media_tables.max(1),
            media,
            control,
            vitals,
            tables: Mutex::default(),
            spawner,
            this: this.clone(),
        }))
    }

    /// Registers a descriptor in the least populated table of its class, in a new one if none has room or there are to
    /// be more. It is polled once the consumer enables it.
    ///
    /// Errors: no thread or descriptor for a new table, or the Poller has stopped.
    pub fn register(
        &self,
        class: Class,
        descriptor: Arc<dyn Descriptor>,
        consumer: Arc<dyn PollEventConsumer>,
    ) -> io::Result<PollKey> {
        let mut tables = self.tables();
        tables.check_running()?;
        let table = self.place(class, &mut tables)?;
        insert(&table, descriptor, consumer)
    }

    /// Registers a descriptor in the table of another one, so that one thread hears of both. The table may hold more
    /// than it has room for then.
    ///
    /// Errors: that table has stopped, as it may once the other descriptor is unregistered, or the Poller has.
    pub fn register_beside(
        &self,
        beside: &PollKey,
        descriptor: Arc<dyn Descriptor>,
        consumer: Arc<dyn PollEventConsumer>,
    ) -> io::Result<PollKey> {
        let tables = self.tables(); // no table retires meanwhile
        tables.check_running()?;
        insert(&beside.0.table, descriptor, consumer)
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

    /// Whether tables, queues and all else that stands on them move.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
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

    fn place(&self, class: Class, tables: &mut Tables) -> io::Result<Arc<PollTable>> {
        let open = tables.of_class(class).filter(|table| !table.has_stopped());
        let populated: Vec<_> = open.map(|table| (table.live(), table)).collect();
        let roomiest = populated.iter().min_by_key(|(live, _)| *live);
        let Some((live, table)) = roomiest.filter(|(live, _)| *live < self.entries_per_table) else {
            // Without descriptors for another table, a full one takes more: some are served late, and not never.
            let least_full = roomiest.map(|(_, table)| Arc::clone(table));
            return self.create_table(class, tables).or_else(|error| least_full.ok_or(error));
        };
        let (is_empty, shared) = (*live == 0, Arc::clone(table));
        if is_empty || populated.len() >= self.lasting_tables(class) {
            return Ok(shared);
        }
        // There is room after all.
        self.create_table(class, tables).or(Ok(shared))
    }

    /// How many tables of a class open before descriptors share one, and stay when they are empty.
    fn lasting_tables(&self, class: Class) -> usize {
        match class {
            Class::Media => self.media_tables,
            Class::Control => 1,
        }
    }

    fn create_table(&self, class: Class, tables: &mut Tables) -> io::Result<Arc<PollTable>> {
        tables.retired.retain(|thread| !thread.is_finished());
        let queue = self.queue(class).clone();
        let (table, thread) = PollTable::start(
            tables.next_id,
            class,
            queue,
            self.vitals.clone(),
            self.this.clone(),
            &self.spawner,
        )?;
        tables.next_id += 1;
        tables.live.push((table.clone(), thread));
        Ok(table)
    }

    /// Retires a table that has just become empty, unless it is one of those that stay. Its thread may be
    /// the caller, so it is joined later.
    pub(super) fn retire_if_empty(&self, empty: &PollTable) {
        let mut tables = self.tables();
        let is_spare = tables.of_class(empty.class).count() > self.lasting_tables(empty.class);
        let place = tables.live.iter().position(|(table, _)| table.id == empty.id);
        let Some(place) = place.filter(|_| is_spare && empty.live() == 0) else { return };
        let (table, thread) = tables.live.swap_remove(place);
        tables.retired.push(thread);
        table.stop();
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.tables)
    }
}

fn insert(
    table: &Arc<PollTable>,
    descriptor: Arc<dyn Descriptor>,
    consumer: Arc<dyn PollEventConsumer>,
) -> io::Result<PollKey> {
    let entry = table.insert(descriptor, consumer);
    entry.map(PollKey).ok_or_else(|| io::Error::other("the poll table has stopped"))
}

impl Tables {
    fn of_class(&self, class: Class) -> impl Iterator<Item = &Arc<PollTable>> {
        self.live.iter().map(|(table, _)| table).filter(move |table| table.class == class)
    }

    fn check_running(&self) -> io::Result<()> {
        if self.stopped { Err(io::Error::other("the poller has stopped")) } else { Ok(()) }
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
    ///
    /// Errors: the kernel polls no more descriptors (sysctl fs.epoll.max_user_watches), and this one is unregistered.
    pub fn enable(&self, interest: Interest) -> io::Result<()> {
        self.0.arm(interest).map(drop).inspect_err(|_| self.unregister())
    }

    /// Polls the descriptor again, for one event. Does nothing once it is unregistered. A consumer whose descriptor
    /// the kernel polls no more is closed, by a task.
    pub fn resume(&self, interest: Interest) {
        if let Err(error) = self.0.arm(interest) {
            self.0.lose(&error);
        }
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
mod tests;
