//! Silent sources: a timer per channel that is moved on by packets, and tells when they stop and return.

use std::sync::{Arc, Weak};

use crate::event::{Task, Timers, Work, clock};
use crate::relay::Channel;

/// Watches one channel for as long as the timers run.
pub struct SilenceWatch {
    channel: Arc<Channel>,
    timers: Weak<Timers>,
}

impl SilenceWatch {
    /// Starts to watch.
    pub fn start(channel: &Arc<Channel>, timers: &Arc<Timers>) {
        let watch = Arc::new(Self { channel: channel.clone(), timers: Arc::downgrade(timers) });
        timers.at(clock::now() + channel.silent_after, Task::new("SilenceWatch", watch));
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
        let Some(timers) = self.timers.upgrade() else { return };
        timers.at(deadline.unwrap_or(now + silent_after), Task::new("SilenceWatch", self.clone()));
    }

    fn close(self: Arc<Self>) {}
}
