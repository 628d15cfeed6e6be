//! Silent sources: a timer per channel that is moved on by packets, and tells when they stop and return. While
//! they are silent it has their groups joined again now and then: the network may have forgotten who listens.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::{Task, Timers, Work, clock, lock};
use crate::relay::Channel;

use super::receivers::Receivers;

/// Watches one channel for as long as the timers run.
pub struct SilenceWatch {
    channel: Arc<Channel>,
    receivers: Weak<Receivers>,
    timers: Weak<Timers>,
    /// When the groups were last joined again.
    renewed_at: Mutex<Option<Instant>>,
}

/// Between two times that a silent channel's groups are joined again.
const RENEW_EVERY: Duration = Duration::from_secs(10);

impl SilenceWatch {
    /// Starts to watch.
    pub fn start(channel: &Arc<Channel>, receivers: &Arc<Receivers>, timers: &Arc<Timers>) {
        let (channel, receivers) = (channel.clone(), Arc::downgrade(receivers));
        let silent_after = channel.silent_after;
        let timer = Arc::downgrade(timers);
        let watch = Arc::new(Self { channel, receivers, timers: timer, renewed_at: Mutex::default() });
        timers.at(clock::now() + silent_after, Task::new("SilenceWatch", watch));
    }

    fn renew(&self, now: Instant) {
        let mut renewed_at = lock(&self.renewed_at);
        if renewed_at.is_some_and(|at| now < at + RENEW_EVERY) {
            return;
        }
        *renewed_at = Some(now);
        drop(renewed_at);
        if let Some(receivers) = self.receivers.upgrade() {
            receivers.renew(&self.channel.name);
        }
    }
}

impl Work for SilenceWatch {
    fn run(self: Arc<Self>) {
        let now = clock::now();
        let silent_after = self.channel.silent_after;
        let deadline = self.channel.last_arrival().map(|at| at + silent_after).filter(|at| *at > now);
        let silent = deadline.is_none();
        let channel = &self.channel.name;
        match (self.channel.set_silent(silent), silent) {
            (false, true) => tracing::warn!(channel, "the source is silent; viewers stay connected"),
            (true, false) => tracing::info!(channel, "the source sends"),
            _ => {}
        }
        if silent {
            self.renew(now);
        }
        let Some(timers) = self.timers.upgrade() else { return };
        timers.at(deadline.unwrap_or(now + silent_after), Task::new("SilenceWatch", self.clone()));
    }

    fn close(self: Arc<Self>) {}
}
