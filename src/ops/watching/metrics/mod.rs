//! All metrics by name, read from the counters where the counting happens. `docs/metrics.md` explains each.

mod announcements;
mod channels;
mod config;
mod engine;
mod exposition;
mod families;
mod legs;
mod open_metrics;
mod previews;
mod program;
mod pulls;
mod repairs;
mod storage;
mod viewers;
mod visits;

use std::time::Instant;

use super::super::running::engine::Engine;
use exposition::exposition;
pub use exposition::{Accepts, Exposition};
use families::Families;
pub use visits::Visits;

/// The exposition as of `now`, in the form that is accepted, while so many are at the endpoint.
pub(in crate::ops) fn render(engine: &Engine, visits: Visits, now: Instant, accepts: Accepts) -> Exposition {
    let mut families = Families::default();
    engine::collect(engine, &mut families);
    channels::collect(engine, now, &mut families);
    legs::collect(engine, now, &mut families);
    pulls::collect(engine, &mut families);
    viewers::collect(engine, &mut families);
    announcements::collect(engine, &mut families);
    config::collect(engine, &mut families);
    previews::collect(engine, &mut families);
    storage::collect(engine, &mut families);
    visits::collect(visits, &mut families);
    program::collect(&mut families);
    exposition(&families.into_sorted(), accepts)
}
