//! What an heir waits for before it takes over: that what is watched flows here too.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::event::clock;
use crate::relay::{Catalogue, Claim, Demand, Track};

use super::super::engine::Engine;
use super::words::Watched;

/// It has so long to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// And is gathered for so long: viewers who are brought level are behind.
const GATHERS: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);

/// A channel that is watched.
struct Awaited<'w> {
    watched: &'w Watched,
    /// It is received for its viewers' sake.
    claim: Option<Claim>,
    flows_since: Option<Instant>,
    is_over: bool,
}

/// Until all has come, as far as it does. Channels are wanted for as long as what is returned lives.
pub(super) fn await_media(watched: &[Watched], engine: &Engine) -> Vec<Claim> {
    let catalogue = &engine.catalogue;
    for Watched { name, .. } in watched.iter().filter(|watched| demand(catalogue, &watched.name).is_none()) {
        engine.open_groups.iter().for_each(|groups| groups.open_again(name));
    }
    let awaited = |watched| Awaited { watched, claim: None, flows_since: None, is_over: false };
    let (began, mut all) = (clock::now(), watched.iter().map(awaited).collect::<Vec<_>>());
    loop {
        let now = clock::now();
        all.iter_mut().filter(|one| !one.is_over).for_each(|one| one.look(catalogue, began, now));
        if all.iter().all(|one| one.is_over) {
            return all.into_iter().filter_map(|one| one.claim).collect();
        }
        thread::sleep(LOOK);
    }
}

impl Awaited<'_> {
    fn look(&mut self, catalogue: &Catalogue, began: Instant, now: Instant) {
        let Watched { name, flows } = self.watched;
        if self.claim.is_none() {
            self.claim = demand(catalogue, name).map(|demand| Claim::on(&demand));
        }
        let channel = catalogue.find(name);
        let has_come = |track: &Arc<Track>| track.rtp.ring().head() > 0;
        if self.flows_since.is_none()
            && channel.as_ref().is_some_and(|channel| channel.tracks.iter().any(has_come))
        {
            self.flows_since = Some(now);
        }
        self.is_over = match self.flows_since {
            Some(since) => now >= since + GATHERS,
            None => !flows && channel.is_some(),
        };
        if self.flows_since.is_none() && !self.is_over && now >= began + BEGINS_WITHIN {
            tracing::warn!(channel = name, "a channel that is watched has not come in time");
            self.is_over = true;
        }
    }
}

/// By whom a channel is wanted that is there, or to come.
fn demand(catalogue: &Catalogue, name: &str) -> Option<Arc<Demand>> {
    let channel = catalogue.find(name).map(|channel| channel.demand.clone());
    channel.or_else(|| catalogue.expected(name).map(|expected| expected.demand.clone()))
}
