//! Who waits for a channel to come is not heard meanwhile: the connection goes on as it comes, or once it was waited for long enough.

use std::sync::Arc;
use std::time::Instant;

use crate::event::Interest;
use crate::relay::{Call, Expected};

use super::rtsp_connection::{RtspConnection, State};
use super::saying::Says;

impl State {
    /// When it is over that something is waited for, at the latest.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        Some(self.conversation.wait()?.until)
    }

    /// Whether its own socket is not read meanwhile. What comes by a tunnel comes by another one.
    pub(super) fn is_kept_waiting(&self) -> bool {
        self.waits_until().is_some() && !matches!(self.says, Says::Nothing(_))
    }

    /// Has a call made when it is over; who calls is told with the state let go of.
    fn call(&mut self, call: Arc<Call>) -> Option<Calls> {
        let expected = self.conversation.wait()?.expected.clone();
        self.wake = Some(call.clone());
        Some(Calls { expected, call })
    }
}

/// Who calls, and what for.
struct Calls {
    expected: Arc<Expected>,
    call: Arc<Call>,
}

impl RtspConnection {
    /// Polls again for what the connection is to do next, as soon as it may do that.
    pub(super) fn go_on(self: &Arc<Self>, mut state: impl std::ops::DerefMut<Target = State>) {
        let interest = if state.holds_back { Interest::Write } else { Interest::Read };
        let connection = Arc::downgrade(self);
        let resume = move || connection.upgrade().into_iter().for_each(|own| own.resume(Interest::Write));
        let calls = if state.is_kept_waiting() { state.call(Call::new(resume)) } else { None };
        drop(state);
        match calls {
            Some(Calls { expected, call }) => expected.call(call),
            None => self.resume(interest),
        }
    }

    /// Has the other half of a tunnel told when the client may be heard further.
    pub(super) fn when_heard_again(&self, tell: impl FnOnce() + Send + 'static) {
        let call = Call::new(tell);
        let calls = self.state().call(call.clone());
        if let Some(Calls { expected, call }) = calls {
            return expected.call(call);
        }
        let told = call.clone();
        if !self.output.when_read(Box::new(move || told.make())) {
            call.make();
        }
    }
}
