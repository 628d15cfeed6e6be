//! The Puller: all streams that are pulled.

use std::sync::{Arc, Mutex};

use crate::event::{Class, Poller, Timers, lock};
use crate::relay::{Busy, Demand, Opens};

use super::figures::PullStats;
use super::names::Names;
use super::parts::{Parts, Pull};
use super::upstream::Upstream;

/// All streams.
pub struct Puller {
    parts: Arc<Parts>,
    upstreams: Mutex<Vec<Arc<Upstream>>>,
}

impl Puller {
    /// None is pulled yet. The timers are those of media; the instance is what this program is called among those that pull.
    pub fn new(
        poller: Arc<Poller>,
        timers: Arc<Timers>,
        busy: Arc<Busy>,
        opens: Arc<dyn Opens>,
        instance: String,
    ) -> Self {
        let (media, control) = (poller.queue(Class::Media).clone(), poller.queue(Class::Control).clone());
        let parts = Parts { poller, timers, media, control, busy, names: Names::default(), instance, opens };
        Self { parts: Arc::new(parts), upstreams: Mutex::default() }
    }

    /// Pulls a stream for as long as it is wanted.
    pub fn pull(&self, pull: Pull, demand: Arc<Demand>) {
        let upstream = Upstream::new(pull, demand.clone(), self.parts.clone());
        let weak = Arc::downgrade(&upstream);
        demand.on_begin(move || weak.upgrade().into_iter().for_each(|upstream| upstream.poke()));
        lock(&self.upstreams).push(upstream.clone());
        upstream.poke();
    }

    /// Pulls the stream of a channel no longer.
    pub fn leave(&self, channel: &str) {
        let mut upstreams = lock(&self.upstreams);
        let (left, others) = upstreams.drain(..).partition(|upstream| upstream.pull.name == channel);
        *upstreams = others;
        drop(upstreams);
        Vec::into_iter(left).for_each(|upstream| upstream.stop());
    }

    /// All streams as metrics see them.
    pub fn stats(&self) -> Vec<PullStats> {
        lock(&self.upstreams).iter().map(|upstream| upstream.stats()).collect()
    }

    /// Ends all sessions.
    pub fn stop(&self) {
        let upstreams = std::mem::take(&mut *lock(&self.upstreams));
        upstreams.iter().for_each(|upstream| upstream.stop());
        self.parts.names.stop();
    }
}
