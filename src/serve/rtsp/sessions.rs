//! All sessions by id, and how many there may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::lock;
use crate::relay::Channel;

use super::super::stats::{Counters, RefusedFor};
use super::home::Home;
use super::session::Session;

/// How many there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLimits {
    /// In all.
    pub all: usize,
    /// Of one channel.
    pub per_channel: usize,
    /// Of channels for which that is said otherwise, by their names.
    pub of_channels: HashMap<String, usize>,
}

/// The sessions of the server.
pub struct Sessions {
    limits: Mutex<SessionLimits>,
    counters: Arc<Counters>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<String, Arc<Session>>,
    /// How many each channel has that has any.
    of_channels: HashMap<String, usize>,
}

impl SessionLimits {
    /// How many a channel may have.
    pub fn of(&self, channel: &str) -> usize {
        self.of_channels.get(channel).copied().unwrap_or(self.per_channel)
    }
}

impl Sessions {
    pub fn new(limits: SessionLimits, counters: Arc<Counters>) -> Self {
        Self { limits: Mutex::new(limits), counters, table: Mutex::default() }
    }

    /// Adds a session, unless there are as many as there may be.
    pub fn add(&self, session: &Arc<Session>) -> Result<(), RefusedFor> {
        let mut table = self.table();
        table.has_room(&session.channel.name, &lock(&self.limits))?;
        table.add(session);
        Ok(())
    }

    /// Adds one that there was elsewhere, however many there may be by now.
    pub fn take_over(&self, session: &Arc<Session>) {
        self.table().add(session);
    }

    /// Whether a channel may have one more.
    pub fn has_room(&self, channel: &str) -> Result<(), RefusedFor> {
        self.table().has_room(channel, &lock(&self.limits))
    }

    /// How many a channel has, and how many it may have.
    pub fn of_channel(&self, channel: &str) -> (usize, usize) {
        (self.table().of_channel(channel), lock(&self.limits).of(channel))
    }

    /// There may be so many from now on, and of each channel for which nothing else is said. Those that there are go on.
    pub fn limit_all(&self, all: usize, per_channel: usize) {
        let limits = &mut *lock(&self.limits);
        (limits.all, limits.per_channel) = (all, per_channel);
    }

    /// A channel may have so many from now on, or as many as any.
    pub fn limit(&self, channel: &str, most: Option<usize>) {
        let of_channels = &mut lock(&self.limits).of_channels;
        match most {
            Some(most) => of_channels.insert(channel.to_owned(), most),
            None => of_channels.remove(channel),
        };
    }

    /// Ends a session, once; `reason` is what metrics count it under. It is counted before anybody sees that it is out.
    /// Returns the connection that it belonged to.
    pub fn end(&self, session: &Session, reason: &'static str, now: Instant) -> Option<Arc<Home>> {
        let mut table = self.table();
        table.remove(session)?;
        self.counters.session_ended(reason);
        drop(table);
        session.end(reason, now)
    }

    pub fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.table().by_id.get(id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Session>> {
        self.table().by_id.values().cloned().collect()
    }

    /// Those of a channel.
    pub fn watching(&self, channel: &Arc<Channel>) -> Vec<Arc<Session>> {
        let table = self.table();
        let own = table.by_id.values().filter(|session| Arc::ptr_eq(&session.channel, channel));
        own.cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.table().by_id.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

impl Table {
    fn add(&mut self, session: &Arc<Session>) {
        self.by_id.insert(session.id.clone(), session.clone());
        *self.of_channels.entry(session.channel.name.clone()).or_default() += 1;
    }

    fn of_channel(&self, channel: &str) -> usize {
        self.of_channels.get(channel).copied().unwrap_or(0)
    }

    fn has_room(&self, channel: &str, limits: &SessionLimits) -> Result<(), RefusedFor> {
        if self.by_id.len() >= limits.all {
            return Err(RefusedFor::Limit);
        }
        if self.of_channel(channel) >= limits.of(channel) { Err(RefusedFor::Channel) } else { Ok(()) }
    }

    fn remove(&mut self, session: &Session) -> Option<()> {
        self.by_id.remove(&session.id)?;
        let channel = &session.channel.name;
        if let Some(count) = self.of_channels.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                self.of_channels.remove(channel);
            }
        }
        Some(())
    }
}
