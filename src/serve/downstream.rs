//! Of a tunnel, the half by which we speak, as the other half knows it.

use std::mem;
use std::sync::Arc;

use crate::event::clock;

use super::rtsp_connection::RtspConnection;
use super::saying::{Half, OtherHalf, Says};
use super::stats::CutFor;

/// What has become of what the client said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// There may be more.
    More,
    /// The client has to read first.
    HeldBack,
    /// The tunnel has ended.
    Gone,
}

impl RtspConnection {
    /// The tunnel is whole. Returns the half that this one follows, if there was one. `Err`: it has ended.
    pub(super) fn join(&self, other: Arc<dyn OtherHalf>) -> Result<Option<Arc<dyn OtherHalf>>, ()> {
        match &mut self.state().says {
            Says::Nothing(half) if !self.is_closed() => {
                half.was_whole = true;
                Ok(half.other.replace(other))
            }
            _ => Err(()),
        }
    }

    /// The client says no more by this one; another one may come.
    pub(super) fn part(&self, other: *const ()) {
        if let Says::Nothing(half) = &mut self.state().says
            && half.other.as_ref().is_some_and(|own| std::ptr::addr_eq(Arc::as_ptr(own), other))
        {
            half.other = None;
        }
    }

    /// Answers what the client says.
    pub(super) fn hear(self: &Arc<Self>, bytes: &[u8]) -> Heard {
        let (mut state, now) = (self.state(), clock::now());
        if self.is_closed() || !matches!(state.says, Says::Nothing(Half { other: Some(_), .. })) {
            return Heard::Gone;
        }
        state.reads += 1;
        state.conversation.add(bytes);
        // A read is no more than a few messages.
        let mut left = usize::MAX;
        self.answer_all(&mut state, &mut left, now);
        let unread = state.conversation.unread() + self.output.unread_bytes();
        if !state.may_hold(unread) {
            self.cut(&mut state, CutFor::UnreadBytes);
            return Heard::Gone;
        }
        self.watch(&mut state);
        let is_held_back = mem::take(&mut state.holds_back) || state.waits_until().is_some();
        if is_held_back { Heard::HeldBack } else { Heard::More }
    }
}
