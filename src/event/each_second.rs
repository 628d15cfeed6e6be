//! What is looked at once a second, for as long as it is there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::clock;
use super::task::{Task, Work};
use super::timers::Timers;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Something in the world that may change, and who follows it.
pub trait Follows: Send + Sync + Sized + 'static {
    /// The kind of task that does it.
    const TASK: &'static str;

    /// Looks whether it has changed.
    fn look(&self);

    /// Looks each second from now on.
    fn look_each_second(self: &Arc<Self>, timers: &Arc<Timers>) {
        let watch = EachSecond { follower: Arc::downgrade(self), timers: Arc::downgrade(timers) };
        Arc::new(watch).look_later();
    }
}

struct EachSecond<T> {
    follower: Weak<T>,
    timers: Weak<Timers>,
}

impl<T: Follows> EachSecond<T> {
    fn look_later(self: Arc<Self>) {
        if let Some(timers) = self.timers.upgrade() {
            timers.at(clock::now() + LOOK_EVERY, Task::new(T::TASK, self));
        }
    }
}

impl<T: Follows> Work for EachSecond<T> {
    fn run(self: Arc<Self>) {
        if let Some(follower) = self.follower.upgrade() {
            follower.look();
            self.look_later();
        }
    }

    /// A fault of one look is not the next one's.
    fn close(self: Arc<Self>) {
        if let Some(timers) = self.timers.upgrade() {
            timers.vitals().fault("watch");
        }
        self.look_later();
    }
}
