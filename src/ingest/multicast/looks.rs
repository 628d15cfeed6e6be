//! When it is looked whether all is joined where it belongs: each second what is to be joined or left, and anew where it belongs
//! as soon as the kernel tells of a change. Where it tells nothing, each second too.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::event::{
    Class, Event, Interest, PollEventConsumer, PollKey, Poller, Task, TimerId, Timers, Work, clock, lock,
};
use crate::net::{Changes, LinkEvents};

use super::joining::Pass;
use super::joinings::Joinings;
use super::network_watch::NetworkWatch;
use super::renewals::Renewals;
use super::wanted::Wanted;

/// Between two looks at what is to be joined or left.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What the kernel tells of is looked at so much later, all of it at once: changes come in swarms.
const REST: Duration = Duration::from_millis(50);
/// Between two looks at where everything belongs, though nothing was told of.
const ANEW_EVERY: Duration = Duration::from_secs(10);

/// The looks of one program's receivers, of which one is under way at a time.
pub(super) struct Looks {
    joinings: Arc<Joinings>,
    wanted: Arc<Wanted>,
    renewals: Arc<Renewals>,
    pub networks: NetworkWatch,
    timing: Mutex<Timing>,
    /// The look that is under way between two of its tasks.
    pass: Mutex<Option<Pass>>,
    ear: OnceLock<Arc<Ear>>,
}

#[derive(Default)]
struct Timing {
    has_begun: bool,
    /// The next one, unless it has begun.
    next: Option<TimerId>,
    /// Something was told of since this one began: when it is looked at.
    again: Option<Instant>,
    anew_at: Option<Instant>,
}

/// Hears the kernel. Its descriptor is not polled between what it hears and the look.
struct Ear {
    events: Arc<LinkEvents>,
    looks: Weak<Looks>,
    key: OnceLock<PollKey>,
}

impl Looks {
    pub fn new(joinings: Arc<Joinings>, wanted: Arc<Wanted>, renewals: Arc<Renewals>) -> Arc<Self> {
        Arc::new(Self {
            joinings,
            wanted,
            renewals,
            networks: NetworkWatch::default(),
            timing: Mutex::default(),
            pass: Mutex::default(),
            ear: OnceLock::new(),
        })
    }

    /// Looks from now on, unless it does.
    pub fn start(self: &Arc<Self>) {
        if mem::replace(&mut self.timing().has_begun, true) {
            return;
        }
        match Ear::open(self, &self.joinings.sockets.poller) {
            Ok(ear) => drop(self.ear.set(ear)),
            Err(error) => tracing::info!(
                %error,
                "the kernel tells of no changes of interfaces and routes; they are looked up each second"
            ),
        }
        self.look_at_networks(true);
        self.end();
    }

    /// Hears nothing more.
    pub fn stop(&self) {
        if let Some(key) = self.ear.get().and_then(|ear| ear.key.get()) {
            key.unregister();
        }
    }

    /// The next look is at where everything belongs.
    #[cfg(all(test, not(model)))]
    pub fn expect_change(&self) {
        self.timing().anew_at = None;
    }

    /// A look by then, at the latest.
    fn look_by(self: &Arc<Self>, at: Instant) {
        let mut timing = self.timing();
        match timing.next {
            Some(next) if self.timers().cancel(next) => self.set(&mut timing, at),
            // It is about to begin.
            Some(_) => {}
            None => timing.again = Some(at),
        }
    }

    /// A look begins. Whether it is at where everything belongs, and the interfaces that the network was away from.
    fn begin(&self) -> (bool, Vec<u32>) {
        let now = clock::now();
        // Before it is heard what was told: what is told from then on is looked at again.
        let next = self.timing().next.take();
        next.map(|next| self.timers().cancel(next));
        let changes = self.ear.get().and_then(|ear| ear.hear());
        let mut timing = self.timing();
        let is_old = timing.anew_at.is_none_or(|at| now >= at + ANEW_EVERY);
        let is_anew = is_old || changes.as_ref().is_none_or(|changes| changes.any);
        if is_anew {
            timing.anew_at = Some(now);
        }
        (is_anew, changes.map(|changes| changes.returned).unwrap_or_default())
    }

    /// It is over: the next one is due.
    fn end(self: &Arc<Self>) {
        let mut timing = self.timing();
        let at = timing.again.take().unwrap_or_else(|| clock::now() + LOOK_EVERY);
        self.set(&mut timing, at);
    }

    fn set(self: &Arc<Self>, timing: &mut Timing, at: Instant) {
        timing.next = Some(self.timers().at(at, self.task()));
    }

    /// Looks at the networks that groups are joined on, if it is time.
    fn look_at_networks(&self, has_changed: bool) {
        let Joinings { sockets, .. } = &*self.joinings;
        let networks = || sockets.state().memberships.networks();
        self.networks.look(has_changed, networks, || self.joinings.silent(), clock::now());
    }

    fn task(self: &Arc<Self>) -> Task {
        Task::new("FollowInterfaces", self.clone())
    }

    fn timers(&self) -> &Timers {
        &self.joinings.timers
    }

    fn timing(&self) -> MutexGuard<'_, Timing> {
        lock(&self.timing)
    }
}

impl Work for Looks {
    fn run(self: Arc<Self>) {
        let joinings = &self.joinings;
        let turn_ends = joinings.turn_ends();
        joinings.sockets.leave_failed();
        let under_way = lock(&self.pass).take();
        let mut pass = under_way.unwrap_or_else(|| {
            let (is_anew, returned) = self.begin();
            if !returned.is_empty() {
                self.renewals.renew_on(returned);
            }
            Pass::over(joinings.sockets.places(), is_anew)
        });
        while let Some(joining) = joinings.next() {
            self.timers().vitals().may_fault("follow", String::new);
            if joining.follow(&joinings.sockets, &mut pass) {
                self.wanted.want(&joining.channel);
            }
            if clock::now() >= turn_ends {
                *lock(&self.pass) = Some(pass);
                return joinings.queue().push(self.task());
            }
        }
        let is_anew = pass.is_anew;
        pass.tell();
        joinings.watch_legs(clock::now());
        self.look_at_networks(is_anew);
        self.end();
    }

    /// Joining goes on whatever happened to one group.
    fn close(self: Arc<Self>) {
        self.timers().vitals().fault("watch");
        self.timing().anew_at = None; // what is behind it has not been looked at
        self.end();
    }
}

impl Ear {
    fn open(looks: &Arc<Looks>, poller: &Poller) -> io::Result<Arc<Self>> {
        let events = Arc::new(LinkEvents::open()?);
        let ear =
            Arc::new(Self { events: events.clone(), looks: Arc::downgrade(looks), key: OnceLock::new() });
        let key = poller.register(Class::Control, events, ear.clone())?;
        ear.key.get_or_init(|| key).enable(Interest::Read)?;
        Ok(ear)
    }

    /// What was told of since the last time, and listens on. `None`: it hears nothing any more.
    fn hear(&self) -> Option<Changes> {
        let key = self.key.get()?;
        match self.events.take() {
            Ok(changes) => {
                key.resume(Interest::Read);
                Some(changes)
            }
            Err(error) => {
                tracing::debug!(%error, "the kernel's changes can not be heard");
                None
            }
        }
    }
}

impl PollEventConsumer for Ear {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        if let Some(looks) = self.looks.upgrade() {
            looks.look_by(clock::now() + REST);
        }
        None
    }

    /// The next look listens on.
    fn close(self: Arc<Self>) {}
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::TaskQueue;
    use crate::ingest::Receivers;
    use crate::relay::Busy;

    #[test]
    fn one_look_is_to_come_sooner_after_a_change_and_again_after_one_under_way() {
        let queue = TaskQueue::start("t-looks", 1).expect("a thread");
        let poller = Poller::new(64, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Control).expect("a timer");
        let busy = Busy::new(1, 0.5, || false);
        let receivers = Receivers::new(poller.clone(), timers.clone(), busy, 10);
        poller.stop(); // no timer fires
        let (looks, later) = (&receivers.looks, clock::now() + Duration::from_secs(3600));
        let waits = || (timers.len(), looks.timing().again);
        looks.end();
        assert_eq!(waits(), (1, None));
        looks.look_by(later);
        assert_eq!(waits(), (1, None), "in place of the other one");
        assert!(looks.begin().0, "the kernel is not heard");
        assert!(looks.begin().0, "so each time");
        looks.look_by(later);
        assert_eq!(waits(), (0, Some(later)), "it is under way");
        looks.end();
        assert_eq!(waits(), (1, None));
        timers.stop();
        queue.stop();
    }
}
