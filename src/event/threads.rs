//! Threads: what priority each runs at, and who starts them.
//!
//! A new thread runs at the priority of the one that starts it, and without privilege it can not be raised. So
//! whatever is started while the program runs is started by the Spawner, which was there before anything was lowered.

use std::io;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::lock;
use crate::net::lower_priority;

/// What a thread runs at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// As the program was started: media.
    Usual,
    /// Yields to that, and is never shut out: control.
    Low,
}

/// Starts a thread; one of [`Priority::Low`] lowers itself before anything else. Not for [`Priority::Usual`] from a
/// thread that may be lowered.
pub fn spawn(
    name: String,
    priority: Priority,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(move || {
        if priority == Priority::Low
            && let Err(error) = lower_priority()
        {
            tracing::warn!(%error, "a thread runs at the usual priority: media does not come before its work");
        }
        run();
    })
}

/// A thread that does nothing but start others, on behalf of any. It ends when this is dropped.
pub(super) struct Spawner(Mutex<Option<Running>>);

struct Running {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

struct Order {
    name: String,
    priority: Priority,
    run: Box<dyn FnOnce() + Send>,
    started: Sender<io::Result<JoinHandle<()>>>,
}

impl Spawner {
    /// To be called from a thread at the usual priority, which is the spawner's too.
    pub fn start() -> io::Result<Self> {
        let (orders, received) = unbounded();
        let thread = spawn("spawner".to_owned(), Priority::Usual, move || serve(&received))?;
        Ok(Self(Mutex::new(Some(Running { orders, thread }))))
    }

    /// Has a thread started, and waits until it is.
    pub fn spawn(
        &self,
        name: String,
        priority: Priority,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (started, answer) = bounded(1);
        let order = Order { name, priority, run: Box::new(run), started };
        let stopped = || io::Error::other("the spawner has stopped");
        let orders = lock(&self.0).as_ref().ok_or_else(stopped)?.orders.clone();
        orders.send(order).map_err(|_| stopped())?;
        answer.recv().map_err(|_| stopped())?
    }

    /// Ends the thread and joins it.
    pub fn stop(&self) {
        let running = lock(&self.0).take();
        if let Some(Running { orders, thread }) = running {
            drop(orders);
            let _ = thread.join();
        }
    }
}

fn serve(orders: &Receiver<Order>) {
    for Order { name, priority, run, started } in orders {
        let _ = started.send(spawn(name, priority, run));
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::testing::{Holdings, in_a_process_of_its_own, niceness};

    /// What a thread that `start` starts runs at.
    fn niceness_of(start: impl FnOnce(Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>) -> i32 {
        let (sender, receiver) = bounded(1);
        let tell = Box::new(move || sender.send(niceness()).expect("the test listens"));
        start(tell).expect("a thread").join().expect("no panic");
        receiver.recv().expect("told")
    }

    #[test]
    fn what_a_lowered_thread_orders_runs_at_the_usual_priority() {
        let usual = niceness();
        let spawner = Spawner::start().expect("a thread");
        let low = spawn("t-low".to_owned(), Priority::Low, move || {
            assert!(niceness() > usual, "lowered");
            let of = |priority| niceness_of(|run| spawner.spawn("t-ordered".to_owned(), priority, run));
            assert_eq!(of(Priority::Usual), usual);
            assert_eq!(of(Priority::Low), niceness());
            assert!(niceness_of(|run| spawn("t-own".to_owned(), Priority::Usual, run)) > usual, "inherited");
        });
        low.expect("a thread").join().expect("all of it holds");
    }

    #[test]
    fn a_spawner_ends_when_it_is_stopped_or_dropped() {
        in_a_process_of_its_own(
            "event::threads::tests::a_spawner_ends_when_it_is_stopped_or_dropped",
            || {
                let before = Holdings::now();
                let stopped = Spawner::start().expect("a thread");
                stopped.stop();
                stopped.spawn("t-late".to_owned(), Priority::Usual, || ()).expect_err("it has stopped");
                drop(Spawner::start().expect("a thread"));
                before.expect_again();
            },
        );
    }
}
