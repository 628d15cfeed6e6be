//! Channels, in JSON.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::super::running::engine::Engine;
use super::Problem;
use crate::relay::{Carriage, Channel, Track};

/// All of them, by name.
pub(super) fn all(engine: &Engine, now: Instant) -> Value {
    let known = engine.catalogue.channels();
    let mut all: Vec<_> = known.iter().map(|channel| of(engine, channel, now)).collect();
    let expected = engine.catalogue.expected_names();
    all.extend(expected.iter().map(|name| json!({ "name": name, "state": "expected", "tracks": [] })));
    all.into()
}

pub(super) fn one(engine: &Engine, name: &str, now: Instant) -> Result<Value, Problem> {
    let unknown =
        || Problem::new(404, format!("there is no channel {name:?}; /api/channels lists those there are"));
    engine.catalogue.find(name).map(|channel| of(engine, &channel, now)).ok_or_else(unknown)
}

fn of(engine: &Engine, channel: &Channel, now: Instant) -> Value {
    let tracks: Vec<_> = channel.tracks.iter().map(|track| of_track(track, now)).collect();
    let sum = |key: &str| tracks.iter().filter_map(|track| track[key].as_u64()).sum::<u64>();
    let viewers = Carriage::ALL.map(|(by, word)| (word.to_owned(), channel.audience.by(by).into()));
    let sent = |by| channel.tracks.iter().map(|track| track.rtp.sent(by).bytes).sum::<u64>();
    let (sessions, most) = engine.server.channel_sessions(&channel.name);
    json!({
        "name": channel.name,
        "title": channel.presentation().name,
        "state": state(channel, now),
        "bits_per_second": sum("bits_per_second"),
        "packets": sum("packets"),
        "lost": sum("lost"),
        "sent_bytes": Carriage::ALL.map(|(by, _)| sent(by)).iter().sum::<u64>(),
        "sessions": sessions,
        "session_limit": most,
        "viewers": Value::Object(viewers.into_iter().collect()),
        "tracks": tracks,
    })
}

/// What becomes of it, in the words of `mirrorball_track_state`.
fn state(channel: &Channel, now: Instant) -> &'static str {
    let is_joined = channel.tracks.iter().any(|track| track.is_joined());
    match (channel.demand.is_there(now), is_joined, channel.is_silent()) {
        (_, true, false) => "live",
        (_, true, true) => "stalled",
        (true, false, _) => "joining",
        (false, false, _) => "idle",
    }
}

fn of_track(track: &Track, now: Instant) -> Value {
    let stats = track.stats(now);
    json!({
        "track": track.number,
        "media": track.description.media,
        "encoding": track.description.encoding,
        "joined": stats.joined,
        "silent": stats.silent,
        "bits_per_second": track.rtp.ring().bits_per_second(),
        "packets": stats.reception.packets(),
        "lost": stats.reception.lost(),
        "jitter_ms": stats.reception.jitter_seconds().map(|jitter| jitter * 1000.0),
        "last_packet_seconds": stats.last_packet_age.map(|age| age.as_secs_f64()),
    })
}
