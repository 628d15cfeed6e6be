//! The ConnectionWatch: closes a connection that never asked for anything, that does not finish what it began to
//! ask, or that neither asks nor holds a session.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::event::{Task, TimerId, Work, clock};

use super::inbox::MESSAGE_TIMEOUT;
use super::rtsp_connection::{RtspConnection, State};
use super::stats::CutFor;

/// The timer of a connection.
pub(super) struct ConnectionWatch(pub Weak<RtspConnection>);

/// When it will look, for one that may have to look sooner.
pub(super) struct Alarm {
    timer: TimerId,
    at: Instant,
}

impl RtspConnection {
    /// Has the watch look when the time is up, unless it looks before that already.
    pub(super) fn watch(self: &Arc<Self>, state: &mut State) {
        let (at, _) = self.time_is_up(state);
        if let Some(alarm) = &state.alarm {
            if alarm.at <= at {
                return;
            }
            self.server.timers.cancel(alarm.timer);
        }
        self.watch_at(state, at);
    }

    fn watch_at(self: &Arc<Self>, state: &mut State, at: Instant) {
        let watch = Arc::new(ConnectionWatch(Arc::downgrade(self)));
        let timer = self.server.timers.at(at, Task::new("ConnectionWatch", watch));
        state.alarm = Some(Alarm { timer, at });
    }

    /// No watch is needed any more.
    pub(super) fn end_watch(&self, state: &mut State) {
        if let Some(Alarm { timer, .. }) = state.alarm.take() {
            self.server.timers.cancel(timer);
        }
    }

    fn message_timeout(&self) -> Duration {
        MESSAGE_TIMEOUT.min(self.server.config.session_timeout)
    }

    /// When the connection is to be closed if nothing changes, and why.
    fn time_is_up(&self, state: &State) -> (Instant, CutFor) {
        let (session_timeout, message_timeout) = (self.server.config.session_timeout, self.message_timeout());
        match (state.inbox.began(), state.has_asked) {
            (Some(began), _) => (began + message_timeout, CutFor::Unfinished),
            (None, false) => (state.last_sign + message_timeout, CutFor::Silent),
            (None, true) => (state.last_sign + session_timeout, CutFor::Idle),
        }
    }
}

impl Work for ConnectionWatch {
    fn run(self: Arc<Self>) {
        let Some(connection) = self.0.upgrade() else { return };
        connection.server.poller.vitals().may_fault("connection watch", || connection.peer.to_string());
        let now = clock::now();
        let mut state = connection.state();
        if connection.closed.load(Relaxed) {
            return;
        }
        state.alarm = None;
        state.forget_ended();
        if !state.sessions.is_empty() {
            state.last_sign = now;
        }
        let (at, reason) = connection.time_is_up(&state);
        if at > now {
            connection.watch_at(&mut state, at);
        } else if connection.waits.load(Relaxed) {
            connection.watch_at(&mut state, now + connection.message_timeout()); // the delay is ours
        } else {
            connection.cut(&mut state, reason);
        }
    }

    /// Nobody would watch over the connection any more.
    fn close(self: Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.close_now(&mut connection.state());
        }
    }
}
