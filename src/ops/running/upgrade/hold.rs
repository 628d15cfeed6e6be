//! A Hold: for as long as it lives no worker of a queue runs a task. Tasks gather meanwhile.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::event::{Task, TaskQueue, Work, lock};

/// The kind of its tasks.
pub const HOLD: &str = "Hold";

/// Of one queue.
pub(super) struct Hold(Arc<Gate>);

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Workers that wait here.
    waiting: usize,
    is_over: bool,
}

impl Hold {
    /// Waits until all workers do nothing, for so long at most. `None`: they do something longer, and go on.
    pub fn of(queue: &TaskQueue, patience: Duration) -> Option<Self> {
        let hold = Self(Arc::default());
        let workers = queue.workers();
        (0..workers).for_each(|_| queue.push(Task::new(HOLD, hold.0.clone())));
        let state = lock(&hold.0.state);
        let all_wait = hold.0.changed.wait_timeout_while(state, patience, |state| state.waiting < workers);
        let all_wait = all_wait.is_ok_and(|(state, _)| state.waiting == workers);
        all_wait.then_some(hold)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.0.state).is_over = true;
        self.0.changed.notify_all();
    }
}

impl Work for Gate {
    fn run(self: Arc<Self>) {
        let mut state = lock(&self.state);
        state.waiting += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.is_over));
    }

    fn close(self: Arc<Self>) {}
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crossbeam_channel::{Sender, unbounded};

    struct Say(Sender<()>);

    impl Work for Say {
        fn run(self: Arc<Self>) {
            let _ = self.0.send(());
        }

        fn close(self: Arc<Self>) {}
    }

    #[test]
    fn nothing_is_run_while_it_is_held_and_everything_after() {
        let queue = TaskQueue::start("held", 2).expect("threads");
        let (sender, said) = unbounded();
        let say = || queue.push(Task::new("Say", Arc::new(Say(sender.clone()))));
        let hold = Hold::of(&queue, Duration::from_secs(20)).expect("they have nothing to do");
        (0..3).for_each(|_| say());
        assert!(said.recv_timeout(Duration::from_millis(50)).is_err());
        assert!(
            Hold::of(&queue, Duration::from_millis(10)).is_none(),
            "they are held already, and this is over"
        );
        drop(hold);
        (0..3).for_each(|_| said.recv_timeout(Duration::from_secs(20)).expect("run"));
        queue.stop();
    }
}
