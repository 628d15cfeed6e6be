//! An Ear: one family's socket, joined to the groups that sessions are announced in, each where it is to be joined by now.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Interest, PollKey};
use crate::net::{Group, ReceiveSocket, RouteAsker, interface_index};
use crate::wire::sap::PORT;

/// A group where nothing is heard for so long is joined again: the network may have forgotten who listens.
const RENEW_AFTER: Duration = Duration::from_secs(125);

/// What comes at once of many senders, a thousand sessions and more.
const BUFFER_BYTES: usize = 1 << 20;

/// Where one family's groups are joined.
#[derive(Default)]
pub(super) struct Ear {
    open: Option<Open>,
    joined: Vec<Joined>,
    is_over: bool,
}

/// Has somebody read a socket once it is polled.
type Register<'a> = &'a dyn Fn(Arc<ReceiveSocket>) -> io::Result<PollKey>;

/// A group, the interface that it is joined on, and when that was, or something of others was heard there.
struct Joined {
    group: IpAddr,
    index: u32,
    fresh_at: Instant,
}

struct Open {
    socket: Arc<ReceiveSocket>,
    key: PollKey,
}

impl Ear {
    /// Joins the groups that are not joined, and leaves those that are to be joined elsewhere. What can not be is tried again
    /// with the next look.
    ///
    /// # Errors
    /// Of the last that can not be joined.
    pub fn follow(
        &mut self,
        groups: &[IpAddr],
        interface: Option<&str>,
        routes: &mut RouteAsker,
        register: Register<'_>,
        now: Instant,
    ) -> Result<(), String> {
        if self.is_over {
            return Ok(());
        }
        let mut outcome = Ok(());
        for group in groups {
            let followed = place_of(*group, interface, routes)
                .and_then(|index| self.follow_one(*group, index, register, now));
            outcome = followed.map_err(|error| format!("{group}: {error}")).and(outcome);
        }
        outcome
    }

    /// Whether any group is joined.
    pub fn hears(&self) -> bool {
        !self.joined.is_empty()
    }

    /// Whether a group is joined where this interface is.
    pub fn is_joined(&self, group: IpAddr, interface: u32) -> bool {
        self.joined.iter().any(|joined| joined.group == group && [0, interface].contains(&joined.index))
    }

    /// Something of others was heard there.
    pub fn has_heard(&mut self, group: IpAddr, now: Instant) {
        let joined = self.joined.iter_mut().find(|joined| joined.group == group);
        joined.into_iter().for_each(|joined| joined.fresh_at = now);
    }

    /// Closes the socket, if it is this one.
    pub fn close(&mut self, socket: &Arc<ReceiveSocket>) {
        if self.open.as_ref().is_some_and(|open| Arc::ptr_eq(&open.socket, socket)) {
            self.shut();
        }
    }

    /// Hears no more, for good.
    pub fn stop(&mut self) {
        self.is_over = true;
        self.shut();
    }

    fn shut(&mut self) {
        self.joined.clear();
        if let Some(open) = self.open.take() {
            open.key.unregister();
        }
    }

    /// The entry of this socket, while it is open.
    pub fn key(&self, socket: &Arc<ReceiveSocket>) -> Option<PollKey> {
        let open = self.open.as_ref().filter(|open| Arc::ptr_eq(&open.socket, socket))?;
        Some(open.key.clone())
    }

    fn follow_one(
        &mut self,
        group: IpAddr,
        index: u32,
        register: Register<'_>,
        now: Instant,
    ) -> Result<(), String> {
        let socket = self.socket(group, register).map_err(|error| error.to_string())?;
        if let Some(place) = self.joined.iter().position(|joined| joined.group == group) {
            let before = &self.joined[place];
            if before.index == index && now < before.fresh_at + RENEW_AFTER {
                return Ok(());
            }
            let before = self.joined.swap_remove(place);
            // What has gone with its interface can not be left.
            let _ = socket.leave(&joined_on(group, before.index));
        }
        socket.join(&joined_on(group, index)).map_err(|error| error.to_string())?;
        self.joined.push(Joined { group, index, fresh_at: now });
        Ok(())
    }

    fn socket(&mut self, group: IpAddr, register: Register<'_>) -> io::Result<Arc<ReceiveSocket>> {
        if let Some(open) = &self.open {
            return Ok(open.socket.clone());
        }
        let socket = Arc::new(ReceiveSocket::bind(PORT, group)?);
        socket.set_receive_buffer(BUFFER_BYTES)?;
        let key = register(socket.clone())?;
        // Not polled before it is found here.
        self.open = Some(Open { socket: socket.clone(), key: key.clone() });
        key.enable(Interest::Read).inspect_err(|_| self.open = None)?;
        Ok(socket)
    }
}

fn joined_on(group: IpAddr, interface: u32) -> Group {
    Group { address: group, source: None, except: Vec::new(), interface }
}

fn place_of(group: IpAddr, interface: Option<&str>, routes: &mut RouteAsker) -> Result<u32, String> {
    match interface {
        Some(name) => interface_index(name).map_err(|error| error.to_string()),
        None => routes.interface_towards(group).map_err(|error| error.to_string()),
    }
}
