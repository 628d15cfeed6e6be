//! All the receive sockets: which one a group is joined on.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::{Episode, Poller, lock};
use crate::net::{Group, MembershipError, ReceiveSocket, bound_for, interface_name};
use crate::relay::{Busy, Track};

use super::super::leg::Leg;
use super::super::merging::Sockets;
use super::change_pace::ChangePace;
use super::intake::{Intake, roomiest};
use super::memberships::{Membership, Memberships, groups_of};
use super::port_counts::AllCounts;
use super::routes::{Kind, Route};
use super::rtp_receiver::{OpenError, RtpReceiver};

/// Groups of one socket. Hundreds on one port spread over several, and with them over the media tables.
pub const GROUPS_PER_SOCKET: usize = 64;

/// The receive sockets of the program.
pub(super) struct SharedSockets {
    pub poller: Arc<Poller>,
    busy: Arc<Busy>,
    /// Held by who joins and leaves, over the system calls. Taken before `state`, which is never held over one: metrics
    /// and who only looks wait for no kernel.
    pub operations: Mutex<()>,
    state: Mutex<State>,
    pub counts: AllCounts,
    renewal_fails: Episode,
    /// Times that a silent group was joined again.
    pub renewals: AtomicU64,
    /// Groups that were joined on a socket; one that is there for another track already is none.
    pub joins: AtomicU64,
    /// Times that a leg was to be joined and could not be.
    pub join_failures: AtomicU64,
    /// How often groups are joined and left on demand.
    pub changes: ChangePace,
}

#[derive(Default)]
pub(super) struct State {
    pub receivers: Vec<Arc<RtpReceiver>>,
    /// One for each media table that receives.
    pub intakes: Vec<Arc<Intake>>,
    pub memberships: Memberships,
    stopped: bool,
}

impl SharedSockets {
    /// None yet. `busy` is told of the time that receiving takes. On demand, memberships change so many times a second.
    pub fn new(poller: Arc<Poller>, busy: Arc<Busy>, changes: usize) -> Arc<Self> {
        Arc::new(Self {
            poller,
            busy,
            operations: Mutex::default(),
            state: Mutex::default(),
            counts: AllCounts::default(),
            renewal_fails: Episode::default(),
            renewals: AtomicU64::new(0),
            joins: AtomicU64::new(0),
            join_failures: AtomicU64::new(0),
            changes: ChangePace::new(changes),
        })
    }

    /// Joins the groups of a silent leg again, unless something of them comes, to whatever track. A switch may have
    /// forgotten who listens.
    pub fn renew(&self, leg: &Arc<Leg>, now: Instant) {
        let _operations = lock(&self.operations);
        let together = self.state().memberships.due_together(leg, now);
        if together.is_empty() {
            return;
        }
        for joined in &together {
            joined.receiver.leave_for_a_moment(&joined.group);
        }
        let mut failed = Vec::new();
        for joined in together {
            if let Err(error) = joined.receiver.join_again(&joined.group) {
                failed.push(joined);
                if self.renewal_fails.begins(now) {
                    tracing::warn!("a silent group was left to be joined again, and is not yet: {error}");
                }
            }
        }
        self.renewals.fetch_add(1, Relaxed);
        self.give_up(&failed);
    }

    /// Leaves what did not come back to what it was. The next look joins it, where it then belongs. The caller holds `operations`.
    pub fn give_up(&self, lost: &[Membership]) {
        let left = self.state().memberships.take_out(lost);
        self.let_go(&left);
    }

    /// Joins nothing from now on, leaves all groups and closes the sockets.
    pub fn close(&self) {
        self.state().stopped = true;
        // What is being joined is joined, and left with the others.
        let _operations = lock(&self.operations);
        let mut state = self.state();
        let memberships = state.memberships.take_all();
        let receivers = mem::take(&mut state.receivers);
        let intakes = mem::take(&mut state.intakes);
        drop(state);
        for joined in &memberships {
            joined.receiver.leave(&joined.group, &joined.route);
            joined.route.leg.set_joined(false);
        }
        receivers.iter().for_each(|receiver| receiver.shut());
        intakes.iter().for_each(|intake| intake.stop());
    }

    /// Joins a leg's groups on an interface, as far as they are not.
    pub fn open(&self, leg: &Arc<Leg>, interface: u32) -> Result<(), OpenError> {
        let _operations = lock(&self.operations);
        let feed = &leg.feed;
        for group in groups_of(feed, interface) {
            self.join(feed.port, group.clone(), Route { leg: leg.clone(), kind: Kind::Media })?;
            if let Some(port) = feed.own_rtcp_port() {
                let of_reports = Group { address: feed.rtcp_group.unwrap_or(group.address), ..group };
                self.join(port, of_reports, Route { leg: leg.clone(), kind: Kind::Rtcp })?;
            }
        }
        leg.set_joined(true);
        Ok(())
    }

    /// Leaves the leg's groups on other interfaces than the one to keep, and closes the sockets that no group is
    /// left on.
    pub fn leave(&self, leg: &Arc<Leg>, keep: Option<u32>) {
        let _operations = lock(&self.operations);
        let left = self.state().memberships.take(leg, keep);
        self.let_go(&left);
    }

    /// Leaves the groups of sockets that only fail, and closes these: the look joins the groups on others.
    pub fn leave_failed(&self) {
        let _operations = lock(&self.operations);
        let left = self.state().memberships.take_failed();
        self.let_go(&left);
    }

    /// Leaves what was taken out, and closes the sockets that nothing is left on.
    fn let_go(&self, left: &[Membership]) {
        let unused = self.state().take_unused(left);
        for joined in left {
            joined.receiver.leave(&joined.group, &joined.route);
            joined.route.leg.set_joined(false);
        }
        unused.iter().for_each(|receiver| receiver.shut());
    }

    /// The interface that something of a leg is joined on.
    pub fn place_of(&self, leg: &Arc<Leg>) -> Option<u32> {
        self.state().memberships.interface_of(leg)
    }

    /// Its name.
    pub fn interface_of(&self, leg: &Arc<Leg>) -> Option<String> {
        interface_name(self.place_of(leg)?)
    }

    /// The interface that each leg is joined on.
    pub fn places(&self) -> HashMap<usize, u32> {
        self.state().memberships.interfaces()
    }

    /// Joins on the first socket of the port that takes the group, or on a further one: the kernel limits
    /// the memberships of a socket (net.ipv4.igmp_max_memberships). The caller holds `operations`.
    fn join(&self, port: u16, group: Group, route: Route) -> Result<(), OpenError> {
        let state = self.state();
        if state.stopped || state.memberships.has(port, &group, &route.leg) {
            return Ok(());
        }
        let mut shared = state.sockets_for(port, &group);
        drop(state);
        // Where something of the group comes already, all of it has to be told apart; room is no question then.
        shared.sort_by_key(|receiver| !receiver.has(&group));
        let is_taken = !group.address.is_multicast() && !shared.is_empty();
        for receiver in shared {
            match receiver.join(&group, &route) {
                Ok(is_new) => {
                    self.joins.fetch_add(u64::from(is_new), Relaxed);
                    self.state().memberships.add(group, receiver, route);
                    return Ok(());
                }
                Err(MembershipError::SocketFull { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if is_taken {
            return Err(OpenError::Taken(port)); // of two sockets on one address the kernel chooses one
        }
        let receiver = self.open_joined(port, &group, route.clone())?;
        self.joins.fetch_add(1, Relaxed);
        let mut state = self.state();
        state.receivers.push(receiver.clone());
        state.memberships.add(group, receiver, route);
        Ok(())
    }

    /// A further socket. It is joined before anything else: what can not be joined now opens one each second.
    fn open_joined(&self, port: u16, group: &Group, route: Route) -> Result<Arc<RtpReceiver>, OpenError> {
        let failed = |error| OpenError::Socket { port, error };
        let socket = ReceiveSocket::bind(port, group.address).map_err(failed)?;
        socket.join(group)?;
        let (number, intake) = self.intake().map_err(failed)?;
        let counts = self.counts.of(port);
        let receiver = RtpReceiver::open(port, socket, group, &route, number, counts).map_err(failed)?;
        intake.poll(&self.poller, receiver.clone()).map_err(failed)?;
        Ok(receiver)
    }

    /// The intake of one more socket: another one, while there are fewer than media workers, or that with the least.
    fn intake(&self) -> io::Result<(usize, Arc<Intake>)> {
        if self.state().intakes.len() < self.busy.workers() {
            let intake = Intake::open(&self.poller, self.busy.clone())?;
            self.state().intakes.push(intake);
        }
        let state = self.state();
        let number = roomiest(state.intakes.len(), &state.receivers);
        let found = number.and_then(|number| Some((number, state.intakes.get(number)?.clone())));
        found.ok_or_else(|| io::Error::other("no media table receives"))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Sockets for SharedSockets {
    fn take_in(&self, track: &Arc<Track>, done: &Arc<dyn Send + Sync>) {
        let state = self.state();
        let (intakes, receivers) = (state.intakes.clone(), state.memberships.receivers_of(track));
        drop(state);
        for receiver in receivers {
            if let Some(intake) = intakes.get(receiver.intake) {
                intake.take_in_of(receiver, done.clone());
            }
        }
    }
}

impl State {
    /// The sockets that a group may be joined on.
    fn sockets_for(&self, port: u16, group: &Group) -> Vec<Arc<RtpReceiver>> {
        let bound = bound_for(group.address);
        let shared = self.receivers.iter().filter(|receiver| {
            (receiver.port, receiver.bound, receiver.interface) == (port, bound, group.interface)
                && (receiver.groups() < GROUPS_PER_SOCKET
                    || receiver.has(group)
                    || !group.address.is_multicast())
        });
        shared.cloned().collect()
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
