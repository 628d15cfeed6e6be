//! All the receive sockets: which one a group is joined on, and trying again when the network is not ready.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::event::{Poller, Task, Timers, Work, clock};
use crate::net::{Group, InterfaceError, MembershipError, interface_index};
use crate::relay::{Channel, Track};

use super::routes::{Kind, Route};
use super::rtp_receiver::{ReceiverStats, RtpReceiver};

/// Between two tries to join a group whose interface or route is missing.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The receive sockets of the program.
pub struct Receivers {
    poller: Arc<Poller>,
    timers: Arc<Timers>,
    media_timers: Arc<Timers>,
    state: Mutex<State>,
    this: Weak<Receivers>,
}

#[derive(Default)]
struct State {
    receivers: Vec<Arc<RtpReceiver>>,
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
    /// No receiver yet. `media_timers` time the receiving, `timers` all else.
    pub fn new(poller: Arc<Poller>, timers: Arc<Timers>, media_timers: Arc<Timers>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            poller,
            timers,
            media_timers,
            state: Mutex::default(),
            this: this.clone(),
        })
    }

    /// Receives all tracks of a channel. What can not be joined now is tried again every few seconds.
    pub fn receive(&self, channel: &Arc<Channel>, interface: Option<&str>) {
        for track in &channel.tracks {
            let opening = Arc::new(Opening {
                receivers: self.this.clone(),
                channel: channel.name.clone(),
                track: track.clone(),
                interface: interface.map(str::to_owned),
            });
            opening.attempt(true);
        }
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
        drop(state);
        for (group, receiver, track) in &memberships {
            receiver.leave(group);
            track.set_joined(false);
        }
        receivers.iter().for_each(|receiver| receiver.shut());
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

    /// Joins on the first socket of the port that takes the group, or on a further one: the kernel limits
    /// the memberships of a socket (net.ipv4.igmp_max_memberships).
    fn join(&self, port: u16, group: Group, route: Route) -> Result<(), OpenError> {
        let mut state = self.state();
        if state.stopped || state.has(port, &group, &route.track) {
            return Ok(());
        }
        let ipv6 = group.address.is_ipv6();
        let shared = state.receivers.iter().filter(|receiver| {
            receiver.port == port && receiver.ipv6 == ipv6 && receiver.interface == group.interface
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
        let receiver =
            RtpReceiver::open(port, ipv6, group.interface, &self.poller, self.media_timers.clone())
                .map_err(|error| OpenError::Socket { port, error })?;
        if let Err(error) = receiver.join(&group, route.clone()) {
            receiver.shut();
            return Err(error.into());
        }
        state.receivers.push(receiver.clone());
        state.memberships.push((group, receiver, route.track));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn has(&self, port: u16, group: &Group, track: &Arc<Track>) -> bool {
        self.memberships.iter().any(|(joined, receiver, member)| {
            joined == group && receiver.port == port && Arc::ptr_eq(member, track)
        })
    }
}

/// One track on its way to being received.
struct Opening {
    receivers: Weak<Receivers>,
    channel: String,
    track: Arc<Track>,
    interface: Option<String>,
}

impl Opening {
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

impl Work for Opening {
    fn run(self: Arc<Self>) {
        self.attempt(false);
    }

    fn close(self: Arc<Self>) {}
}

#[cfg(all(test, not(model)))]
#[path = "receivers_tests.rs"]
mod tests;
