//! The program, in JSON.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::super::release;
use super::super::super::running::engine::Engine;
use super::super::super::running::reloads::Last;
use crate::event::{Class, TableStats, TaskQueue};
use crate::net::descriptor_limit;

/// The program, its config, its tables and queues.
pub(super) fn status(engine: &Engine, now: Instant) -> Value {
    let Last { revision, at, refused, waiting } = engine.reloads.last();
    let draining =
        engine.drain.deadline().map(|deadline| deadline.saturating_duration_since(now).as_secs_f64());
    let limits = engine.server.limits();
    let stats = engine.server.stats();
    let tables: Vec<_> = engine.poller.stats().iter().map(of_table).collect();
    let queues = [Class::Media, Class::Control].map(|class| of_queue(engine.poller.queue(class)));
    json!({
        "version": release::VERSION,
        "revision": release::REVISION,
        "uptime_seconds": now.saturating_duration_since(engine.started_at).as_secs_f64(),
        "live": engine.live().is_ok(),
        "draining_seconds_left": draining,
        "config": {
            "revision": revision,
            "read_at": at.as_secs_f64(),
            "refused": refused,
            "waiting_for_a_start": waiting,
        },
        "sessions": { "now": stats.sessions, "limit": limits.sessions },
        "connections": { "now": stats.all_connections(), "limit": limits.connections },
        "egress_bits_per_second": { "now": engine.server.egress(), "limit": limits.egress },
        "descriptor_limit": descriptor_limit(),
        "tables": tables,
        "queues": queues,
    })
}

fn of_table(table: &TableStats) -> Value {
    json!({
        "table": table.id,
        "class": table.class.name(),
        "entries": table.entries,
        "capacity": table.capacity,
        "events": table.events,
    })
}

fn of_queue(queue: &TaskQueue) -> Value {
    json!({ "queue": queue.name(), "depth": queue.depth(), "workers": queue.workers() })
}
