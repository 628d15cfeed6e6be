//! An Ear: one family's socket, joined to the groups that sessions are announced in, each where it is to be joined by now.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Interest, PollKey};
use crate::net::{Group, ReceiveSocket, RouteAsker, interface_index};
use crate::wire::sap::PORT;

/// Where nothing is heard for so long, the network may have forgotten who listens: all is joined again.
const RENEW_AFTER: Duration = Duration::from_secs(125);

/// Where one family's groups are joined.
#[derive(Default)]
pub(super) struct Ear {
    open: Option<Open>,
    joined: Vec<(IpAddr, u32)>,
    /// Something was heard, or all was joined.
    fresh_at: Option<Instant>,
    is_over: bool,
}

/// Has somebody read a socket once it is polled.
type Register<'a> = &'a dyn Fn(Arc<ReceiveSocket>) -> io::Result<PollKey>;

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
        self.forget_if_silent(now);
        let mut outcome = Ok(());
        for group in groups {
            let followed = place_of(*group, interface, routes)
                .and_then(|index| self.follow_one(*group, index, register));
            outcome = followed.map_err(|error| format!("{group}: {error}")).and(outcome);
        }
        outcome
    }

    /// The groups that are joined, and on which interface.
    pub fn joined(&self) -> &[(IpAddr, u32)] {
        &self.joined
    }

    /// Something was heard.
    pub fn has_heard(&mut self, now: Instant) {
        self.fresh_at = Some(now);
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

    fn follow_one(&mut self, group: IpAddr, index: u32, register: Register<'_>) -> Result<(), String> {
        let socket = self.socket(group, register).map_err(|error| error.to_string())?;
        let place = self.joined.iter().position(|(joined, _)| *joined == group);
        if place.is_some_and(|place| self.joined[place].1 == index) {
            return Ok(());
        }
        if let Some(place) = place {
            let (_, before) = self.joined.swap_remove(place);
            // What has gone with its interface can not be left.
            let _ = socket.leave(&joined_on(group, before));
        }
        socket.join(&joined_on(group, index)).map_err(|error| error.to_string())?;
        self.joined.push((group, index));
        Ok(())
    }

    fn socket(&mut self, group: IpAddr, register: Register<'_>) -> io::Result<Arc<ReceiveSocket>> {
        if let Some(open) = &self.open {
            return Ok(open.socket.clone());
        }
        let socket = Arc::new(ReceiveSocket::bind(PORT, group)?);
        let key = register(socket.clone())?;
        // Not polled before it is found here.
        self.open = Some(Open { socket: socket.clone(), key: key.clone() });
        key.enable(Interest::Read).inspect_err(|_| self.open = None)?;
        Ok(socket)
    }

    /// Leaves all, for it to be joined again.
    fn forget_if_silent(&mut self, now: Instant) {
        let fresh_at = *self.fresh_at.get_or_insert(now);
        let Some(open) = self.open.as_ref().filter(|_| now >= fresh_at + RENEW_AFTER) else { return };
        for (group, index) in self.joined.drain(..) {
            let _ = open.socket.leave(&joined_on(group, index));
        }
        self.fresh_at = Some(now);
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
