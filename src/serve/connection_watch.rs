//! The ConnectionWatch: closes a connection that never asked for anything, that does not finish what it began to ask, or that
//! neither asks nor holds a session.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::event::{Task, Work, clock};

use super::rtsp_connection::{RtspConnection, State};
use super::saying::{Half, Says};
use super::stats::CutFor;

/// The timer of a connection.
struct ConnectionWatch(Weak<RtspConnection>);

impl RtspConnection {
    /// Has the watch look when the time is up, unless it looks before that already.
    pub(super) fn watch(self: &Arc<Self>, state: &mut State) {
        let (at, _) = self.time_is_up(state);
        if state.alarm.as_ref().is_none_or(|alarm| alarm.due() > at) {
            self.watch_at(state, at);
        }
    }

    fn watch_at(self: &Arc<Self>, state: &mut State, at: Instant) {
        let watch = Task::new("ConnectionWatch", Arc::new(ConnectionWatch(Arc::downgrade(self))));
        state.alarm = Some(self.server.timers.alarm(at, watch));
    }

    /// Whether something has come that we have not got round to, nor to anything else since the time was up: a client
    /// that is read and still asks for nothing has had its time.
    fn waits_for_us(&self, state: &State) -> bool {
        if state.excused_at.is_some_and(|reads| reads != state.reads) {
            return false;
        }
        let has_come = || self.stream.socket().peek(&mut [0]).is_ok_and(|bytes| bytes > 0);
        let own = self.waits.load(Relaxed) || (!state.holds_back && has_come());
        own || matches!(&state.says, Says::Nothing(Half { other: Some(other), .. }) if other.waits())
    }

    /// When the connection is to be closed if nothing changes, and why.
    fn time_is_up(&self, state: &State) -> (Instant, CutFor) {
        if let Some(until) = state.waits_until() {
            return (until, CutFor::Idle); // it is not, and goes on then
        }
        let timeouts = (self.server.message_timeout(), self.server.config().session_timeout);
        let (at, reason) = state.conversation.time_is_up(timeouts.0, timeouts.1);
        match &state.says {
            Says::Nothing(half) if !half.was_whole => (at, CutFor::HalfTunnel),
            _ => (at, reason),
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
        if state.waits_until().is_some_and(|until| until <= now)
            && let Some(wake) = state.wake.take()
        {
            connection.watch_at(&mut state, now + connection.server.message_timeout());
            drop(state);
            return wake.make(); // it goes on, and is watched by what it does then
        }
        state.conversation.lives_by_sessions(now);
        let (at, reason) = connection.time_is_up(&state);
        if at > now {
            state.excused_at = None;
            connection.watch_at(&mut state, at);
        } else if connection.waits_for_us(&state) {
            state.excused_at = Some(state.reads); // the delay is ours
            connection.watch_at(&mut state, now + connection.server.message_timeout());
        } else if state.conversation.is_over() {
            connection.close_now(&mut state); // it was hung up on, and has had time to read why
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
