//! A channel is opened, by a task of control: it may wait for others who change the line-up.

use std::sync::Arc;

use crate::event::Work;
use crate::wire::sdp::Presentation;

use super::steps::Upstream;

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
