//! Channels that are wanted on demand and wait to be joined: one after the other, by one task for all of them.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, Weak};

use crate::event::{Task, Work, clock, lock};
use crate::relay::Channel;

use super::joining::Pass;
use super::joinings::Joinings;

/// Who waits for his turn.
#[derive(Default)]
struct Waiting(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    channels: VecDeque<Weak<Channel>>,
    /// A task is queued, or runs, or a timer will queue it.
    is_seen_to: bool,
}

impl Waiting {
    /// One more, unless it waits already. `true`: a task is to see to it.
    fn add(&self, channel: &Arc<Channel>) -> bool {
        let mut queue = lock(&self.0);
        let channel = Arc::downgrade(channel);
        if !queue.channels.iter().any(|waits| waits.ptr_eq(&channel)) {
            queue.channels.push_back(channel);
        }
        !mem::replace(&mut queue.is_seen_to, true)
    }

    /// The first of them. `None`: nobody waits, and the task is over.
    fn next(&self) -> Option<Arc<Channel>> {
        let mut queue = lock(&self.0);
        while let Some(first) = queue.channels.pop_front() {
            if let Some(first) = first.upgrade() {
                return Some(first);
            }
        }
        queue.is_seen_to = false;
        None
    }

    fn put_back(&self, channel: &Arc<Channel>) {
        lock(&self.0).channels.push_front(Arc::downgrade(channel));
    }

    /// The task has failed; those who wait are seen to with the next who comes.
    fn give_up(&self) {
        lock(&self.0).is_seen_to = false;
    }
}

/// Sees to those who wait.
pub(super) struct Wanted {
    joinings: Arc<Joinings>,
    waiting: Waiting,
}

impl Wanted {
    pub fn new(joinings: Arc<Joinings>) -> Arc<Self> {
        Arc::new(Self { joinings, waiting: Waiting::default() })
    }

    /// Joins a channel as often as it begins to be wanted.
    pub fn follow(self: &Arc<Self>, channel: &Arc<Channel>) {
        let (this, wanted) = (Arc::downgrade(self), Arc::downgrade(channel));
        channel.demand.on_begin(move || {
            let both = this.upgrade().zip(wanted.upgrade());
            both.into_iter().for_each(|(this, wanted)| this.want(&wanted));
        });
    }

    /// Has a channel joined that is wanted on demand, as soon as it is its turn.
    pub fn want(self: &Arc<Self>, channel: &Arc<Channel>) {
        if self.waiting.add(channel) {
            self.joinings.queue().push(Task::new("Join", self.clone()));
        }
    }
}

impl Work for Wanted {
    fn run(self: Arc<Self>) {
        let Self { joinings, waiting } = &*self;
        let (turn_ends, mut pass) = (joinings.turn_ends(), Pass::default());
        while let Some(channel) = waiting.next() {
            let own = joinings.of(&channel);
            let left_over = if channel.needs_room() { joinings.left_over() } else { Vec::new() };
            let left =
                left_over.iter().try_for_each(|joining| joining.make_way(&joinings.sockets, &mut pass));
            let joined = left
                .and_then(|()| own.iter().try_for_each(|joining| joining.want(&joinings.sockets, &mut pass)));
            if let Err(at) = joined {
                waiting.put_back(&channel);
                joinings.timers.at(at, Task::new("Join", self.clone()));
                break;
            }
            if clock::now() >= turn_ends {
                joinings.queue().push(Task::new("Join", self.clone()));
                break;
            }
        }
        pass.tell();
    }

    /// The next look asks again for what is not joined.
    fn close(self: Arc<Self>) {
        self.waiting.give_up();
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::relay::rig;
    use crate::wire::sdp;
    use std::net::Ipv4Addr;

    #[test]
    fn each_waits_once_in_the_order_of_coming_and_one_task_sees_to_all() {
        let group = Ipv4Addr::new(239, 77, 62, 1).into();
        let channel = |name: &str| rig::channel(name, sdp::mpegts(name, group, 5004, None));
        let [first, second, gone] = ["first", "second", "gone"].map(channel);
        let waiting = Waiting::default();
        assert_eq!(
            [&first, &gone, &second, &first].map(|channel| waiting.add(channel)),
            [true, false, false, false]
        );
        drop(gone);
        let next = || waiting.next().map(|channel| channel.name.clone());
        assert_eq!(next().as_deref(), Some("first"));
        waiting.put_back(&first);
        assert_eq!([next(), next(), next()].map(|name| name.unwrap_or_default()), ["first", "second", ""]);
        assert!(waiting.add(&second), "the task is over");
    }
}
