//! Who is refused, in JSON: how many by reason, and who of them lately.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::super::super::running::engine::Engine;
use crate::serve::TurnedAway;

/// Counts of all so far, by reason; and those whose address begins with `client`, or all, as far as they are known still.
pub(super) fn told(engine: &Engine, client: Option<&str>, now: Instant) -> Value {
    let stats = engine.server.stats();
    let access = engine.server.access_stats();
    let is_meant = |known: &TurnedAway| client.is_none_or(|own| known.client.to_string().starts_with(own));
    let lately = engine.server.turned_away();
    let lately: Vec<_> =
        lately.iter().filter(|known| is_meant(known)).map(|known| turned_away(known, now)).collect();
    json!({
        "sessions": by_reason(stats.sessions_refused),
        "connections": by_reason(stats.connections_refused),
        "connections_cut": by_reason(stats.connections_cut),
        "handshakes": by_reason(stats.handshakes_failed),
        "logins": by_reason(access.failures),
        "access": by_reason(access.barred),
        "sessions_ended": by_reason(stats.sessions_ended),
        "lately": lately,
    })
}

fn turned_away(known: &TurnedAway, now: Instant) -> Value {
    let ago = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
    json!({
        "client": known.client.to_string(),
        "what": known.why.what,
        "status": Some(known.why.status).filter(|status| *status > 0),
        "reason": known.why.reason,
        "method": known.method,
        "asked": known.asked,
        "agent": known.agent,
        "times": known.times,
        "first_seconds_ago": ago(known.first),
        "last_seconds_ago": ago(known.last),
    })
}

fn by_reason(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Value {
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    Value::Object(some.map(|(reason, count)| (reason.to_owned(), count.into())).collect::<Map<_, _>>())
}
