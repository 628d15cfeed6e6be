//! The Hearing: what comes to the groups that sessions are announced in, taken so much at a time, and what comes of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::event::{
    Class, Episode, Event, Follows, Interest, PollEventConsumer, Poller, Task, Timers, Work, clock, lock,
};
use crate::net::{Datagram, ReceiveBatch, ReceiveSocket, RouteAsker};
use crate::wire::sdp::Presentation;

use super::ear::Ear;
use super::herald::Herald;
use super::refusal::{AnnouncementStats, Refusal, Refused};
use super::table::{Besides, Change, Rules, Table};

/// Datagrams per `recvmmsg`, and batches per task: a flood goes to the queue's tail after this many.
const BATCH: usize = 16;
const BATCHES_PER_TASK: usize = 4;

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// Where announced sessions become channels.
pub trait LineUp: Besides + Send + Sync {
    /// There is this channel from now on, or it is described so.
    ///
    /// # Errors
    /// Why there is none, or it goes on as it was.
    fn put(&self, name: &str, presentation: &Presentation) -> Result<(), String>;

    /// There is none of that name any more. `false`: there was none.
    fn take(&self, name: &str) -> bool;
}

/// Where sessions are announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The groups, of either family.
    pub groups: Vec<IpAddr>,
    /// The interface to join them on; where the route leads if absent.
    pub interface: Option<String>,
}

/// Hears what is announced for as long as the program runs.
pub struct Hearing {
    places: Places,
    line_up: Arc<dyn LineUp>,
    poller: Arc<Poller>,
    /// Of IPv4, and of IPv6.
    ears: [Mutex<Ear>; 2],
    routes: Mutex<RouteAsker>,
    /// Held while its changes are made, so that they are made in order.
    table: Mutex<Table>,
    herald: Mutex<Herald>,
    deaf: Episode,
    stats: AnnouncementStats,
    /// What its channels were made by, by their names.
    kept: Mutex<BTreeMap<String, Kept>>,
    most_sessions: usize,
    this: Weak<Self>,
}

/// An announcement as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    sender: IpAddr,
    group: IpAddr,
    packet: Vec<u8>,
}

/// One socket's consumer.
struct Listener {
    hearing: Weak<Hearing>,
    socket: Arc<ReceiveSocket>,
    /// The kernel's count of what it had no room for; wraps.
    overflow: AtomicU32,
}

impl Hearing {
    /// Nothing is heard yet.
    pub fn new(rules: Rules, places: Places, line_up: Arc<dyn LineUp>, poller: Arc<Poller>) -> Arc<Self> {
        let now = clock::now();
        Arc::new_cyclic(|this| Self {
            places,
            line_up,
            poller,
            ears: Default::default(),
            routes: Mutex::default(),
            most_sessions: rules.sessions,
            table: Mutex::new(Table::new(rules, now)),
            herald: Mutex::new(Herald::new(now)),
            deaf: Episode::default(),
            stats: AnnouncementStats::default(),
            kept: Mutex::default(),
            this: this.clone(),
        })
    }

    /// Begins to hear.
    pub fn begin(self: &Arc<Self>, timers: &Arc<Timers>) {
        self.look();
        self.look_each_second(timers);
    }

    /// What became of all that was heard.
    pub fn stats(&self) -> &AnnouncementStats {
        &self.stats
    }

    /// Sessions that there may be.
    pub fn most_sessions(&self) -> usize {
        self.most_sessions
    }

    /// The announcements by which its channels are what they are.
    pub fn kept(&self) -> Vec<Kept> {
        lock(&self.kept).values().cloned().collect()
    }

    /// Takes announcements as if they came now, which another process has heard.
    pub fn take_over(&self, heard: Vec<Kept>) {
        let (now, mut table) = (clock::now(), self.table());
        for kept in heard {
            let taken = table.hear(&kept.packet, (kept.sender, kept.group), &*self.line_up, now);
            if let Ok(Some(change)) = taken {
                self.make(&mut table, &change, Some(kept.sender), now);
                self.keep(&change, Some(kept));
            }
        }
    }

    fn keep(&self, change: &Change, heard: Option<Kept>) {
        let mut kept = lock(&self.kept);
        match change {
            Change::New { name, .. } | Change::Changed { name, .. } => {
                kept.extend(heard.map(|heard| (name.clone(), heard)));
            }
            Change::Gone { name, .. } => drop(kept.remove(name)),
        }
    }

    /// Hears no more. The channels stay.
    pub fn stop(&self) {
        self.ears.iter().for_each(|ear| lock(ear).stop());
    }

    fn follow(&self, now: Instant) {
        let register = |socket: Arc<ReceiveSocket>| {
            let overflow = AtomicU32::new(0);
            let listener = Listener { hearing: self.this.clone(), socket: socket.clone(), overflow };
            self.poller.register(Class::Control, socket, Arc::new(listener))
        };
        let mut outcome = Ok(());
        for (ear, is_ipv6) in self.ears.iter().zip([false, true]) {
            let of_family = |group: &&IpAddr| group.is_ipv6() == is_ipv6;
            let groups: Vec<_> = self.places.groups.iter().filter(of_family).copied().collect();
            let (mut ear, mut routes) = (lock(ear), lock(&self.routes));
            let interface = self.places.interface.as_deref();
            let followed = ear.follow(&groups, interface, &mut routes, &register, now);
            outcome = followed.and(outcome);
        }
        // Some scopes lead nowhere on most machines. What has to be told is that all do.
        let is_deaf = self.ears.iter().all(|ear| !lock(ear).hears());
        if let Err(error) = outcome {
            if is_deaf && self.deaf.begins(now) {
                tracing::warn!(
                    "no announcement is heard: no group is joined, and it is tried again: {error}"
                );
            }
            tracing::debug!("a group of announcements is not joined: {error}");
        }
    }

    /// Takes what a socket has. `false`: it fails.
    fn receive(&self, listener: &Listener, batch: &mut ReceiveBatch) -> bool {
        for _ in 0..BATCHES_PER_TASK {
            let received = match batch.receive(&listener.socket) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) => {
                    if self.deaf.begins(clock::now()) {
                        tracing::warn!(
                            "hearing announcements failed, and the socket is opened anew: {error}"
                        );
                    }
                    return false;
                }
            };
            let now = clock::now();
            batch.datagrams().for_each(|datagram| self.hear(&datagram, now));
            if let Some(total) = batch.datagrams().filter_map(|datagram| datagram.overflow).last() {
                let more = total.wrapping_sub(listener.overflow.swap(total, Relaxed));
                self.stats.refuse(Refusal::Queue, more.into());
            }
            if received < batch.capacity() {
                break;
            }
        }
        true
    }

    fn hear(&self, datagram: &Datagram<'_>, now: Instant) {
        let sender = datagram.source.ip().to_canonical();
        let mut table = self.table();
        self.poller.vitals().may_fault("announcements", String::new);
        let way = (sender, datagram.destination);
        let heard = match self.is_meant(datagram) {
            true => table.hear(datagram.payload, way, &*self.line_up, now),
            false => Err(Refusal::Place.into()),
        };
        if heard.as_ref().map_or_else(|Refused(refusal, _)| refusal.is_of_a_sender(), |_| true) {
            lock(self.ear_of(datagram)).has_heard(datagram.destination, now);
        }
        match heard {
            Ok(change) => {
                self.stats.taken.fetch_add(1, Relaxed);
                if let Some(change) = change {
                    self.make(&mut table, &change, Some(sender), now);
                    let (group, packet) = (datagram.destination, datagram.payload.to_vec());
                    self.keep(&change, Some(Kept { sender, group, packet }));
                }
                self.stats.sessions.store(table.served() as u64, Relaxed);
            }
            Err(Refused(refusal, why)) => {
                self.stats.refuse(refusal, 1);
                lock(&self.herald).tell_refused(refusal, why.as_deref(), sender, now);
            }
        }
    }

    /// Whether it came to a group that was joined, on the interface where it was: what is sent to this machine alone may
    /// come from anywhere.
    fn is_meant(&self, datagram: &Datagram<'_>) -> bool {
        lock(self.ear_of(datagram)).is_joined(datagram.destination, datagram.interface)
    }

    fn ear_of(&self, datagram: &Datagram<'_>) -> &Mutex<Ear> {
        &self.ears[usize::from(datagram.destination.is_ipv6())]
    }

    /// What can not be made stays owed, and is made with a later look. That is told once: by whose word it is, is known then.
    fn make(&self, table: &mut Table, change: &Change, sender: Option<IpAddr>, now: Instant) {
        let made = match change {
            Change::New { name, presentation } | Change::Changed { name, presentation } => {
                self.line_up.put(name, presentation).map(|()| {
                    table.settle(name);
                    true
                })
            }
            Change::Gone { name, .. } => Ok(self.line_up.take(name)),
        };
        let mut herald = lock(&self.herald);
        match (made, sender) {
            (Ok(true), _) => herald.tell(change, sender, now),
            (Err(why), Some(sender)) => herald.tell_not_served(&why, sender, now),
            _ => {}
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

impl Follows for Hearing {
    const TASK: &'static str = "FollowAnnouncements";

    fn look(&self) {
        let now = clock::now();
        self.follow(now);
        let mut table = self.table();
        let gone = table.let_go(now);
        for change in &gone {
            self.make(&mut table, change, None, now);
            self.keep(change, None);
        }
        let owed = table.owed();
        owed.iter().for_each(|change| self.make(&mut table, change, None, now));
        self.stats.sessions.store(table.served() as u64, Relaxed);
    }
}

impl Listener {
    fn resume(&self, hearing: &Hearing) {
        for ear in &hearing.ears {
            let key = lock(ear).key(&self.socket);
            key.into_iter().for_each(|key| key.resume(Interest::Read));
        }
    }
}

impl PollEventConsumer for Listener {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("HearAnnouncements", self))
    }

    fn close(self: Arc<Self>) {
        Work::close(self);
    }
}

impl Work for Listener {
    fn run(self: Arc<Self>) {
        let Some(hearing) = self.hearing.upgrade() else { return };
        if BUFFERS.with_borrow_mut(|batch| hearing.receive(&self, batch)) {
            return self.resume(&hearing);
        }
        // The next look opens another one.
        hearing.ears.iter().for_each(|ear| lock(ear).close(&self.socket));
    }

    fn close(self: Arc<Self>) {
        if let Some(hearing) = self.hearing.upgrade() {
            hearing.poller.vitals().fault("announcements");
            self.resume(&hearing);
        }
    }
}
