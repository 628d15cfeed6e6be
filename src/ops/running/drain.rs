//! Draining: nobody is taken in any more, who is there stays for a while, and then the program may stop.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::serve::RtspServer;

/// Of a server.
pub struct Drain {
    server: Arc<RtspServer>,
    /// How long those who are there may stay, where nothing else is said.
    timeout: Mutex<Duration>,
    /// When those who are left have to go, once it has begun.
    deadline: Mutex<Option<Instant>>,
}

impl Drain {
    /// One that has not begun.
    pub fn new(server: Arc<RtspServer>, timeout: Duration) -> Self {
        Self { server, timeout: Mutex::new(timeout), deadline: Mutex::default() }
    }

    /// Who is there may stay so long from now on, unless it has begun.
    pub(super) fn set_timeout(&self, timeout: Duration) {
        *lock(&self.timeout) = timeout;
    }

    /// Takes nobody in any more; who is there may stay so long, which is returned. A second time it changes how long.
    pub fn begin(&self, timeout: Option<Duration>, why: &str, now: Instant) -> Duration {
        let timeout = timeout.unwrap_or(*lock(&self.timeout));
        *lock(&self.deadline) = Some(now + timeout);
        self.server.drain(true);
        let sessions = self.server.sessions_now();
        tracing::warn!(
            sessions,
            "draining ({why}): nobody is taken in any more; the program stops once all have left, in {timeout:?} at the latest"
        );
        timeout
    }

    /// Takes everybody in again. `false`: it had not begun.
    pub fn cancel(&self) -> bool {
        let had_begun = lock(&self.deadline).take().is_some();
        if had_begun {
            self.server.drain(false);
            tracing::warn!("draining no longer: everybody is taken in again");
        }
        had_begun
    }

    /// When those who are left have to go, if it has begun.
    pub fn deadline(&self) -> Option<Instant> {
        *lock(&self.deadline)
    }

    /// Whether the program may stop: all have left, or the time is over, and who is left was told where to go on.
    pub fn is_over(&self, now: Instant) -> bool {
        let Some(deadline) = self.deadline() else { return false };
        match self.server.sessions_now() {
            0 => tracing::info!("drained: all have left"),
            _ if now < deadline => return false,
            sessions => {
                let sent_on = self.server.send_on();
                tracing::warn!(sessions, sent_on, "drained: the time is over for those who are left");
            }
        }
        true
    }
}
