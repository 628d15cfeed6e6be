//! A channel is opened, by a task of control: it may wait for others who change the line-up.

use std::sync::Arc;

use crate::event::{Work, clock};
use crate::relay::Channel;
use crate::wire::sdp::Presentation;

use super::failure::Failure;
use super::upstream::{Stage, Upstream};

/// The kind of the task.
pub const OPEN: &str = "PullOpen";

pub(super) struct Opening {
    upstream: Arc<Upstream>,
    presentation: Presentation,
}

impl Opening {
    pub fn new(upstream: Arc<Upstream>, presentation: Presentation) -> Arc<Self> {
        Arc::new(Self { upstream, presentation })
    }
}

impl Upstream {
    /// The channel that was made of what was described.
    pub(super) fn opened(self: &Arc<Self>, channel: Option<Arc<Channel>>) {
        let mut state = self.state();
        let made_for = state.opening.take();
        if state.stopped {
            return drop(state); // before the channel
        }
        let is_current = made_for == Some(state.links) && matches!(state.stage, Stage::Linked(_));
        if channel.is_none() && is_current {
            let none = Failure::Description("no channel can be made of it".to_owned());
            self.fail(&mut state, &none, clock::now());
        }
        state.channel = channel.or(state.channel.take());
        drop(state);
        self.poke();
    }
}

impl Work for Opening {
    fn run(self: Arc<Self>) {
        let Self { upstream, presentation } = &*self;
        let channel = upstream.parts.opens.open(&upstream.pull.name, presentation.clone(), &upstream.demand);
        upstream.opened(channel);
    }

    fn close(self: Arc<Self>) {
        self.upstream.opened(None);
    }
}
