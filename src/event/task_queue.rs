//! The TaskQueue: tasks in FIFO order over a fixed pool of named threads.
//!
//! Its depth is bounded by construction: a descriptor or a lane is in it at most once.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, mem};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::vitals::STANDS_STILL_AFTER;
use super::{Histogram, Part, Priority, Task, clock, lock, spawn};

/// A FIFO of tasks and the workers that run them.
pub struct TaskQueue {
    name: &'static str,
    sender: Sender<Item>,
    tallies: Vec<Arc<Mutex<Tally>>>,
    panics: Arc<AtomicU64>,
    paused_ns: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    yields: bool,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// Tells workers whether others are to go first.
pub type GivesWay = Arc<dyn Fn() -> bool + Send + Sync>;

/// How long a worker that gives way pauses until it asks again, and how often before one task.
const PAUSE: Duration = Duration::from_millis(1);
const MOST_PAUSES: usize = 10;
/// A task that has waited so long is run at once: others go first, and shut nobody out.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What a queue has done so far.
#[derive(Debug, Clone, Default)]
pub struct QueueStats {
    /// From push to the start of the run.
    pub wait: Histogram,
    /// From the start to the end of the run.
    pub run: Histogram,
    /// Tasks run, by kind.
    pub tasks: BTreeMap<&'static str, u64>,
    /// Tasks that panicked.
    pub panics: u64,
    /// Time that workers have paused, so that others could go first.
    pub paused: Duration,
}

enum Item {
    Run(Task, Instant),
    Stop,
}

/// Each worker counts for itself, so the lock is free but for a scrape.
#[derive(Clone, Default)]
struct Tally {
    /// Since when the worker has been at its task.
    at_work_since: Option<Instant>,
    wait: Histogram,
    run: Histogram,
    tasks: Vec<(&'static str, u64)>,
}

impl TaskQueue {
    /// Starts `workers` threads (at least one) named after the queue.
    pub fn start(name: &'static str, workers: usize) -> io::Result<Arc<Self>> {
        Self::start_at(Priority::Usual, name, workers, None)
    }

    /// A queue whose workers yield to the others': they run at a low priority, and pause before a task while `gives_way`
    /// says so. No task waits long for that, so that the queue is never shut out.
    pub fn start_low(name: &'static str, workers: usize, gives_way: GivesWay) -> io::Result<Arc<Self>> {
        Self::start_at(Priority::Low, name, workers, Some(gives_way))
    }

    fn start_at(
        priority: Priority,
        name: &'static str,
        workers: usize,
        gives_way: Option<GivesWay>,
    ) -> io::Result<Arc<Self>> {
        let (sender, receiver) = unbounded();
        let workers = workers.max(1);
        let queue = Arc::new(Self {
            name,
            sender,
            tallies: (0..workers).map(|_| Arc::default()).collect(),
            panics: Arc::default(),
            paused_ns: Arc::default(),
            stopped: Arc::default(),
            yields: gives_way.is_some(),
            workers: Mutex::default(),
        });
        for (index, tally) in queue.tallies.iter().enumerate() {
            let worker = Worker {
                receiver: receiver.clone(),
                tally: tally.clone(),
                panics: queue.panics.clone(),
                gives_way: gives_way.clone(),
                paused_ns: queue.paused_ns.clone(),
                stopped: queue.stopped.clone(),
                queue: name,
            };
            match spawn(format!("{name}-{index}"), priority, move || worker.work()) {
                Ok(handle) => lock(&queue.workers).push(handle),
                Err(error) => {
                    queue.stop();
                    return Err(error);
                }
            }
        }
        Ok(queue)
    }

    /// The queue's name, as metrics and threads carry it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Puts a task at the tail. A stopped queue drops it.
    pub fn push(&self, task: Task) {
        if !self.stopped.load(Relaxed) {
            // The receiver lives as long as a worker does; after that the queue is stopped.
            let _ = self.sender.send(Item::Run(task, clock::now()));
        }
    }

    /// Whether its workers pause so that others' go first.
    pub fn yields(&self) -> bool {
        self.yields
    }

    /// Tasks waiting now.
    pub fn depth(&self) -> usize {
        self.sender.len()
    }

    /// Threads that take them.
    pub fn workers(&self) -> usize {
        self.tallies.len()
    }

    /// What has been done so far, over all workers.
    pub fn stats(&self) -> QueueStats {
        let paused = Duration::from_nanos(self.paused_ns.load(Relaxed));
        let mut stats = QueueStats { panics: self.panics.load(Relaxed), paused, ..QueueStats::default() };
        for tally in &self.tallies {
            let tally = lock(tally).clone(); // a worker is not to wait for the rest
            stats.wait.merge(&tally.wait);
            stats.run.merge(&tally.run);
            for (kind, count) in &tally.tasks {
                *stats.tasks.entry(kind).or_default() += count;
            }
        }
        stats
    }

    /// Refuses new tasks, runs those that wait, and joins the workers. Not to be called from a worker.
    pub fn stop(&self) {
        self.stopped.store(true, Relaxed);
        let workers = mem::take(&mut *lock(&self.workers));
        for _ in &workers {
            let _ = self.sender.send(Item::Stop);
        }
        for worker in workers {
            let _ = worker.join();
        }
    }
}

impl Part for TaskQueue {
    fn stands_still(&self, now: Instant) -> Option<String> {
        let has_ended =
            !self.stopped.load(Relaxed) && lock(&self.workers).iter().any(JoinHandle::is_finished);
        let is_stuck = |tally: &Arc<Mutex<Tally>>| {
            let since = lock(tally).at_work_since;
            since.is_some_and(|since| now.saturating_duration_since(since) > STANDS_STILL_AFTER)
        };
        let stands = has_ended || self.tallies.iter().any(is_stuck);
        stands.then(|| format!("a worker of the {} queue", self.name))
    }
}

impl Drop for TaskQueue {
    fn drop(&mut self) {
        let workers = lock(&self.workers).len();
        for _ in 0..workers {
            let _ = self.sender.send(Item::Stop);
        }
    }
}

struct Worker {
    receiver: Receiver<Item>,
    tally: Arc<Mutex<Tally>>,
    panics: Arc<AtomicU64>,
    gives_way: Option<GivesWay>,
    paused_ns: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    queue: &'static str,
}

impl Worker {
    fn work(self) {
        while let Ok(Item::Run(task, queued_at)) = self.receiver.recv() {
            self.pause(queued_at);
            let started_at = clock::now();
            lock(&self.tally).at_work_since = Some(started_at);
            let Task { kind, work } = task;
            if catch_unwind(AssertUnwindSafe(|| work.clone().run())).is_err() {
                self.panics.fetch_add(1, Relaxed);
                tracing::error!(
                    queue = self.queue,
                    task = kind,
                    "a task panicked; what it belonged to is closed"
                );
                let _ = catch_unwind(AssertUnwindSafe(|| work.close()));
            }
            self.tally(kind, queued_at, started_at);
        }
    }

    /// Lets others go first, for a moment.
    fn pause(&self, queued_at: Instant) {
        let Some(gives_way) = &self.gives_way else { return };
        let may_wait = || clock::now().saturating_duration_since(queued_at) < LONGEST_WAIT;
        for _ in 0..MOST_PAUSES {
            if !gives_way() || !may_wait() || self.stopped.load(Relaxed) {
                return;
            }
            thread::sleep(PAUSE);
            self.paused_ns.fetch_add(PAUSE.as_nanos() as u64, Relaxed);
        }
    }

    fn tally(&self, kind: &'static str, queued_at: Instant, started_at: Instant) {
        let ended_at = clock::now();
        let mut tally = lock(&self.tally);
        tally.at_work_since = None;
        tally.wait.observe(started_at.saturating_duration_since(queued_at));
        tally.run.observe(ended_at.saturating_duration_since(started_at));
        match tally.tasks.iter_mut().find(|(name, _)| *name == kind) {
            Some((_, count)) => *count += 1,
            None => tally.tasks.push((kind, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Say(mpsc::Sender<u32>, u32);

    impl Work for Say {
        fn run(self: Arc<Self>) {
            assert!(self.1 != 13, "thirteen");
            self.0.send(self.1).unwrap();
        }

        fn close(self: Arc<Self>) {
            self.0.send(1000 + self.1).unwrap();
        }
    }

    use crate::event::Work;

    #[test]
    fn tasks_run_in_order_and_a_panic_closes_only_its_own() {
        let queue = TaskQueue::start("t-order", 1).unwrap();
        let (sender, said) = mpsc::channel();
        for number in [11, 12, 13, 14] {
            queue.push(Task::new("say", Arc::new(Say(sender.clone(), number))));
        }
        queue.stop();
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [11, 12, 1013, 14]);
        let stats = queue.stats();
        assert_eq!((stats.panics, stats.tasks["say"], stats.run.count()), (1, 4, 4));
    }

    #[test]
    fn a_queue_that_gives_way_pauses_and_is_not_shut_out() {
        let queue = TaskQueue::start_low("t-low", 1, Arc::new(|| true)).unwrap();
        let (sender, said) = mpsc::channel();
        for number in [1, 2, 3] {
            queue.push(Task::new("say", Arc::new(Say(sender.clone(), number))));
        }
        let patience = Duration::from_secs(20);
        assert_eq!([(); 3].map(|()| said.recv_timeout(patience).ok()), [1, 2, 3].map(Some));
        assert!(queue.stats().paused >= PAUSE);
        queue.stop();
    }

    #[test]
    fn a_worker_that_is_stuck_is_seen() {
        struct Stuck(Mutex<mpsc::Receiver<()>>, mpsc::Sender<()>);
        impl Work for Stuck {
            fn run(self: Arc<Self>) {
                self.1.send(()).unwrap();
                lock(&self.0).recv().unwrap();
            }

            fn close(self: Arc<Self>) {}
        }
        let queue = TaskQueue::start("t-stuck", 2).unwrap();
        let ((free, stuck), (runs, running)) = (mpsc::channel(), mpsc::channel());
        let later = || clock::now() + 2 * STANDS_STILL_AFTER;
        assert_eq!(queue.stands_still(later()), None, "who has nothing to do is not stuck");
        queue.push(Task::new("stuck", Arc::new(Stuck(Mutex::new(stuck), runs))));
        running.recv().unwrap();
        assert_eq!(queue.stands_still(clock::now()), None);
        assert!(queue.stands_still(later()).is_some_and(|what| what.contains("t-stuck")));
        free.send(()).unwrap();
        queue.stop();
        assert_eq!(queue.stands_still(later()), None);
    }

    #[test]
    fn a_worker_that_has_ended_is_seen() {
        let queue = TaskQueue::start("t-ended", 1).unwrap();
        assert_eq!(queue.stands_still(clock::now()), None);
        let ended = thread::spawn(|| ());
        while !ended.is_finished() {
            thread::yield_now();
        }
        lock(&queue.workers).push(ended);
        assert!(queue.stands_still(clock::now()).is_some_and(|what| what.contains("t-ended")));
        queue.stop();
        assert_eq!(queue.stands_still(clock::now()), None, "who was asked to is meant to end");
    }

    #[test]
    fn stop_drains_what_waits_and_refuses_what_comes_after() {
        let queue = TaskQueue::start("t-drain", 3).unwrap();
        let (sender, said) = mpsc::channel();
        for number in 100..400 {
            queue.push(Task::new("say", Arc::new(Say(sender.clone(), number))));
        }
        queue.stop();
        queue.push(Task::new("say", Arc::new(Say(sender.clone(), 1))));
        let mut numbers = said.try_iter().collect::<Vec<_>>();
        numbers.sort_unstable();
        assert_eq!(numbers, (100..400).collect::<Vec<_>>());
        assert_eq!(queue.depth(), 0);
    }
}
