//! All the receive sockets: which one a group is joined on. Once a second each track's interface is looked up anew,
//! and what is not joined there is.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{Class, Poller, Task, TaskQueue, Timers, Work, clock, lock};
use crate::net::{Group, MembershipError};
use crate::relay::{Busy, Channel, Track};

use super::intake::Intake;
use super::joining::{Joining, Pass};
use super::memberships::{Membership, Memberships};
use super::port_counts::{AllCounts, PortStats};
use super::routes::{Kind, Route};
use super::rtp_receiver::RtpReceiver;

/// Groups of one socket. Hundreds on one port spread over several, and with them over the media tables.
const GROUPS_PER_SOCKET: usize = 64;
/// Between two looks for interfaces and routes that come, go and move.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// The receive sockets of the program.
pub struct Receivers {
    poller: Arc<Poller>,
    timers: Arc<Timers>,
    busy: Arc<Busy>,
    state: Mutex<State>,
    counts: AllCounts,
    renewals: AtomicU64,
    this: Weak<Receivers>,
}

#[derive(Default)]
struct State {
    receivers: Vec<Arc<RtpReceiver>>,
    /// One for each media table that receives.
    intakes: Vec<Arc<Intake>>,
    joinings: Vec<Arc<Joining>>,
    memberships: Memberships,
    follows: bool,
    stopped: bool,
}

/// Why a track is not received.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The group was not joined.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// No socket for the port.
    #[error("receiving on UDP port {port} failed: {error}")]
    Socket {
        /// The port.
        port: u16,
        /// The kernel's answer.
        error: io::Error,
    },
}

impl Receivers {
    /// No receiver yet. `busy` is told of the time that receiving takes.
    pub fn new(poller: Arc<Poller>, timers: Arc<Timers>, busy: Arc<Busy>) -> Arc<Self> {
        let (state, counts, renewals) = (Mutex::default(), AllCounts::default(), AtomicU64::new(0));
        Arc::new_cyclic(|this| Self { poller, timers, busy, state, counts, renewals, this: this.clone() })
    }

    /// Receives all tracks of a channel. What can not be joined now is tried again every second.
    pub fn receive(&self, channel: &Arc<Channel>, interface: Option<&str>) {
        for track in &channel.tracks {
            let (channel, interface) = (channel.name.clone(), interface.map(str::to_owned));
            let told_joined = AtomicBool::new(false);
            let joining = Arc::new(Joining { channel, track: track.clone(), interface, told_joined });
            joining.begin(self);
            self.state().joinings.push(joining);
        }
        if !mem::replace(&mut self.state().follows, true) {
            self.follow_later();
        }
    }

    /// Joins the group of a silent track again, unless something of it comes, to whatever track. A switch may have
    /// forgotten who listens.
    pub fn renew(&self, track: &Arc<Track>, now: Instant) {
        let mut state = self.state();
        let (renewed, failed) = state.memberships.renew(track, now);
        let unused = state.take_unused(&failed);
        drop(state);
        self.renewals.fetch_add(u64::from(renewed), Relaxed);
        // The next look joins them, where they then belong.
        for lost in &failed {
            lost.receiver.leave(&lost.group);
            lost.track.set_joined(false);
        }
        unused.iter().for_each(|receiver| receiver.shut());
    }

    /// Times that a silent group was joined again.
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Relaxed)
    }

    /// What every port did not take.
    pub fn stats(&self) -> Vec<PortStats> {
        self.counts.read()
    }

    /// The ports of the sockets that there are.
    #[cfg(test)]
    pub(super) fn ports(&self) -> Vec<u16> {
        self.state().receivers.iter().map(|receiver| receiver.port).collect()
    }

    /// Leaves all groups and closes the sockets.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let memberships = state.memberships.take_all();
        let receivers = mem::take(&mut state.receivers);
        state.joinings.clear();
        let intakes = mem::take(&mut state.intakes);
        drop(state);
        for joined in &memberships {
            joined.receiver.leave(&joined.group);
            joined.track.set_joined(false);
        }
        receivers.iter().for_each(|receiver| receiver.shut());
        intakes.iter().for_each(|intake| intake.stop());
    }

    /// Joins a track's groups on an interface, as far as they are not.
    pub(super) fn open(&self, track: &Arc<Track>, interface: u32) -> Result<(), OpenError> {
        let description = &track.description;
        let group = Group { address: description.group, source: description.source, interface };
        self.join(description.port, group, Route { track: track.clone(), kind: Kind::Rtp })?;
        if !track.is_muxed() {
            self.join(description.rtcp_port, group, Route { track: track.clone(), kind: Kind::Rtcp })?;
        }
        track.set_joined(true);
        Ok(())
    }

    /// Leaves the track's groups on other interfaces than the one to keep, and closes the sockets that no group is
    /// left on.
    pub(super) fn leave(&self, track: &Arc<Track>, keep: Option<u32>) {
        let mut state = self.state();
        let left = state.memberships.take(track, keep);
        let unused = state.take_unused(&left);
        drop(state);
        if left.is_empty() {
            return;
        }
        left.iter().for_each(|joined| joined.receiver.leave(&joined.group));
        unused.iter().for_each(|receiver| receiver.shut());
        track.set_joined(false);
    }

    /// The queue of control tasks.
    pub(super) fn queue(&self) -> &Arc<TaskQueue> {
        self.poller.queue(Class::Control)
    }

    fn follow_later(&self) {
        if let Some(this) = self.this.upgrade() {
            self.timers.at(clock::now() + FOLLOW_EVERY, Task::new("FollowInterfaces", this));
        }
    }

    /// Joins on the first socket of the port that takes the group, or on a further one: the kernel limits
    /// the memberships of a socket (net.ipv4.igmp_max_memberships).
    fn join(&self, port: u16, group: Group, route: Route) -> Result<(), OpenError> {
        let mut state = self.state();
        if state.stopped || state.memberships.has(port, &group, &route.track) {
            return Ok(());
        }
        let ipv6 = group.address.is_ipv6();
        let shared = state.receivers.iter().filter(|receiver| {
            (receiver.port, receiver.ipv6, receiver.interface) == (port, ipv6, group.interface)
                && receiver.groups() < GROUPS_PER_SOCKET
        });
        for receiver in shared.cloned().collect::<Vec<_>>() {
            match receiver.join(&group, route.clone()) {
                Ok(()) => {
                    state.memberships.add(group, receiver, route.track);
                    return Ok(());
                }
                Err(MembershipError::SocketFull { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let opened = state.intake(&self.poller, &self.busy);
        let opened = opened.and_then(|intake| {
            RtpReceiver::open(port, ipv6, group.interface, &self.poller, intake, self.counts.of(port))
        });
        let receiver = opened.map_err(|error| OpenError::Socket { port, error })?;
        if let Err(error) = receiver.join(&group, route.clone()) {
            receiver.shut();
            return Err(error.into());
        }
        state.receivers.push(receiver.clone());
        state.memberships.add(group, receiver, route.track);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// The intake of one more socket: another one, while there are fewer than media workers, or that with the least.
    fn intake(&mut self, poller: &Poller, busy: &Arc<Busy>) -> io::Result<Arc<Intake>> {
        if self.intakes.len() < busy.workers() {
            self.intakes.push(Intake::open(poller, busy.clone())?);
        }
        // Streams are the work: sockets of reports are as many, and do little.
        let roomiest = self.intakes.iter().min_by_key(|intake| {
            let own = self.receivers.iter().filter(|receiver| receiver.is_of(intake));
            own.fold((0, 0), |(streams, sockets), receiver| (streams + receiver.streams(), sockets + 1))
        });
        roomiest.cloned().ok_or_else(|| io::Error::other("no media table receives"))
    }

    /// Takes out the receivers that nothing is left on, of those that this was left on.
    fn take_unused(&mut self, left: &[Membership]) -> Vec<Arc<RtpReceiver>> {
        let mut unused = Vec::<Arc<RtpReceiver>>::new();
        for receiver in left.iter().map(|left| &left.receiver) {
            let known = unused.iter().any(|unused| Arc::ptr_eq(unused, receiver));
            if !known && !self.memberships.use_receiver(receiver) {
                unused.push(receiver.clone());
            }
        }
        self.receivers.retain(|receiver| !unused.iter().any(|unused| Arc::ptr_eq(unused, receiver)));
        unused
    }
}

impl Work for Receivers {
    fn run(self: Arc<Self>) {
        let state = self.state();
        let joinings = state.joinings.clone();
        let mut pass = Pass::over(state.memberships.interfaces());
        drop(state);
        joinings.iter().for_each(|joining| joining.follow(&self, &mut pass));
        pass.tell();
        self.follow_later();
    }

    /// Joining goes on whatever happened to one group.
    fn close(self: Arc<Self>) {
        self.follow_later();
    }
}

#[cfg(all(test, not(model)))]
#[path = "receivers_tests.rs"]
mod tests;
