//! All the receive sockets: which one a group is joined on, and joining again when the network was not ready, or
//! when an interface has gone and come back.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::event::{Poller, Task, Timers, Work, clock, lock};
use crate::net::{Group, InterfaceError, MembershipError, interface_index};
use crate::relay::{Busy, Channel, Track};

use super::intake::Intake;
use super::routes::{Kind, Route};
use super::rtp_receiver::{ReceiverStats, RtpReceiver};

/// Groups of one socket. Hundreds on one port spread over several, and with them over the media tables.
const GROUPS_PER_SOCKET: usize = 64;
/// Between two tries to join a group whose interface or route is missing.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The receive sockets of the program.
pub struct Receivers {
    poller: Arc<Poller>,
    timers: Arc<Timers>,
    busy: Arc<Busy>,
    state: Mutex<State>,
    this: Weak<Receivers>,
}

#[derive(Default)]
struct State {
    receivers: Vec<Arc<RtpReceiver>>,
    /// One for each media table that receives.
    intakes: Vec<Arc<Intake>>,
    joinings: Vec<Arc<Joining>>,
    memberships: Vec<(Group, Arc<RtpReceiver>, Arc<Track>)>,
    stopped: bool,
}

/// Why a track is not received.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The interface is not there.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
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
        Arc::new_cyclic(|this| Self { poller, timers, busy, state: Mutex::default(), this: this.clone() })
    }

    /// Receives all tracks of a channel. What can not be joined now is tried again every few seconds.
    pub fn receive(&self, channel: &Arc<Channel>, interface: Option<&str>) {
        for track in &channel.tracks {
            let joining = Arc::new(Joining {
                receivers: self.this.clone(),
                channel: channel.name.clone(),
                track: track.clone(),
                interface: interface.map(str::to_owned),
            });
            self.state().joinings.push(joining.clone());
            joining.attempt(true);
        }
    }

    /// Joins the groups of a silent channel again. A switch may have forgotten who listens; and where the interface
    /// has gone or was replaced, the kernel has forgotten it too.
    pub fn renew(&self, channel: &str) {
        let joinings = self.state().joinings.clone();
        joinings.into_iter().filter(|joining| joining.channel == channel).for_each(Joining::renew);
    }

    /// Every receiver's figures.
    pub fn stats(&self) -> Vec<ReceiverStats> {
        self.state().receivers.iter().map(|receiver| receiver.stats()).collect()
    }

    /// Leaves all groups and closes the sockets.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let memberships = mem::take(&mut state.memberships);
        let receivers = mem::take(&mut state.receivers);
        state.joinings.clear();
        let intakes = mem::take(&mut state.intakes);
        drop(state);
        for (group, receiver, track) in &memberships {
            receiver.leave(group);
            track.set_joined(false);
        }
        receivers.iter().for_each(|receiver| receiver.shut());
        intakes.iter().for_each(|intake| intake.stop());
    }

    fn open(&self, track: &Arc<Track>, interface: Option<&str>) -> Result<(), OpenError> {
        let interface = interface.map_or(Ok(0), interface_index)?;
        let description = &track.description;
        let group = Group { address: description.group, source: description.source, interface };
        self.join(description.port, group, Route { track: track.clone(), kind: Kind::Rtp })?;
        if !track.is_muxed() {
            self.join(description.rtcp_port, group, Route { track: track.clone(), kind: Kind::Rtcp })?;
        }
        track.set_joined(true);
        Ok(())
    }

    /// Joins the track's groups again where they are joined. `false`: their interface is another now, or none.
    fn join_again(&self, track: &Arc<Track>, interface: Option<&str>) -> bool {
        let index = interface.map_or(Ok(0), interface_index).ok();
        let state = self.state();
        let mine = || state.memberships.iter().filter(|(_, _, member)| Arc::ptr_eq(member, track));
        if mine().any(|(group, ..)| Some(group.interface) != index) {
            return false;
        }
        // The network hears of it when the last socket of this machine leaves, and the first one joins.
        mine().for_each(|(group, receiver, _)| receiver.leave_for_a_moment(group));
        mine().all(|(group, receiver, _)| receiver.join_again(group).is_ok())
    }

    /// Leaves the track's groups, and closes the sockets that no group is left on.
    fn leave(&self, track: &Arc<Track>) {
        let mut state = self.state();
        let memberships = mem::take(&mut state.memberships);
        let (left, kept): (Vec<_>, _) =
            memberships.into_iter().partition(|(_, _, member)| Arc::ptr_eq(member, track));
        state.memberships = kept;
        let unused = state.take_unused();
        drop(state);
        left.iter().for_each(|(group, receiver, _)| receiver.leave(group));
        unused.iter().for_each(|receiver| receiver.shut());
        track.set_joined(false);
    }

    /// Joins on the first socket of the port that takes the group, or on a further one: the kernel limits
    /// the memberships of a socket (net.ipv4.igmp_max_memberships).
    fn join(&self, port: u16, group: Group, route: Route) -> Result<(), OpenError> {
        let mut state = self.state();
        if state.stopped || state.has(port, &group, &route.track) {
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
                    state.memberships.push((group, receiver, route.track));
                    return Ok(());
                }
                Err(MembershipError::SocketFull { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let opened = state.intake(&self.poller, &self.busy);
        let opened =
            opened.and_then(|intake| RtpReceiver::open(port, ipv6, group.interface, &self.poller, intake));
        let receiver = opened.map_err(|error| OpenError::Socket { port, error })?;
        if let Err(error) = receiver.join(&group, route.clone()) {
            receiver.shut();
            return Err(error.into());
        }
        state.receivers.push(receiver.clone());
        state.memberships.push((group, receiver, route.track));
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

    fn take_unused(&mut self) -> Vec<Arc<RtpReceiver>> {
        let receivers = mem::take(&mut self.receivers);
        let (used, unused) = receivers.into_iter().partition(|receiver| {
            self.memberships.iter().any(|(_, member_of, _)| Arc::ptr_eq(member_of, receiver))
        });
        self.receivers = used;
        unused
    }

    fn has(&self, port: u16, group: &Group, track: &Arc<Track>) -> bool {
        self.memberships.iter().any(|(joined, receiver, member)| {
            joined == group && receiver.port == port && Arc::ptr_eq(member, track)
        })
    }
}

/// One track, and where it is to be received.
struct Joining {
    receivers: Weak<Receivers>,
    channel: String,
    track: Arc<Track>,
    interface: Option<String>,
}

impl Joining {
    fn renew(self: Arc<Self>) {
        let Some(receivers) = self.receivers.upgrade() else { return };
        if self.track.is_joined() && !receivers.join_again(&self.track, self.interface.as_deref()) {
            let (channel, track) = (&self.channel, self.track.number);
            tracing::warn!(
                channel,
                track,
                "the interface has gone or was replaced; joining again as soon as it is there"
            );
            receivers.leave(&self.track);
            self.attempt(false);
        }
    }

    fn attempt(self: Arc<Self>, first: bool) {
        let Some(receivers) = self.receivers.upgrade() else { return };
        match receivers.open(&self.track, self.interface.as_deref()) {
            Ok(()) => {
                let group = self.track.description.group;
                tracing::info!(channel = self.channel, track = self.track.number, %group, "joined");
            }
            Err(error) => {
                if first {
                    let retry_seconds = RETRY_AFTER.as_secs();
                    tracing::warn!(
                        channel = self.channel,
                        track = self.track.number,
                        retry_seconds,
                        "not received yet: {error}"
                    );
                }
                let again = Task::new("JoinAgain", self);
                receivers.timers.at(clock::now() + RETRY_AFTER, again);
            }
        }
    }
}

impl Work for Joining {
    fn run(self: Arc<Self>) {
        self.attempt(false);
    }

    fn close(self: Arc<Self>) {}
}

#[cfg(all(test, not(model)))]
#[path = "receivers_tests.rs"]
mod tests;
