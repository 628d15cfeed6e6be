//! All metrics by name, read from the counters where the counting happens. `docs/metrics.md` explains each.

mod announcements;
mod channels;
mod engine;
mod families;
mod legs;
mod previews;
mod program;
mod pulls;
mod repairs;
mod viewers;

use std::time::Instant;

use prometheus::TextEncoder;

use super::super::running::engine::Engine;
use families::Families;

/// The text exposition as of `now`.
pub(in crate::ops) fn render(engine: &Engine, now: Instant) -> Vec<u8> {
    let mut families = Families::default();
    engine::collect(engine, &mut families);
    channels::collect(engine, now, &mut families);
    legs::collect(engine, now, &mut families);
    pulls::collect(engine, &mut families);
    viewers::collect(engine, &mut families);
    announcements::collect(engine, &mut families);
    previews::collect(engine, &mut families);
    program::collect(&mut families);
    let text = TextEncoder::new().encode_to_string(&families.into_sorted());
    text.unwrap_or_else(|error| format!("# the metrics can not be rendered: {error}\n")).into_bytes()
}
