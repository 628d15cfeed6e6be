//! What the API tells, out of JSON that may be anything: what is missing or of another kind is not known, and text is made
//! legible.

use std::collections::VecDeque;

use serde_json::Value;

use super::super::demo::grouped;
use super::super::probe::bits;
use crate::serve::legible;

/// So many lines of a refused config are shown.
const REFUSED_LINES: usize = 20;

/// The program.
#[derive(Debug, Default)]
pub struct Status {
    /// Version and revision.
    pub program: String,
    /// The config's revision.
    pub config: String,
    /// For how long it has run.
    pub uptime: f64,
    /// What is wrong, a line each.
    pub notices: Vec<String>,
    /// What is limited, tables and queues.
    pub parts: Vec<Part>,
}

/// A part, what is in it, and its room.
#[derive(Debug)]
pub struct Part {
    pub name: String,
    pub now: String,
    pub room: String,
}

/// A channel.
#[derive(Debug)]
pub struct Channel {
    pub name: String,
    pub state: String,
    /// Bits a second.
    pub rate: u64,
    pub lost: u64,
    /// By transport.
    pub viewers: Vec<(String, u64)>,
    /// The rates of the last minute, a second each; the newest is the last.
    pub minute: VecDeque<u64>,
}

impl Channel {
    /// Of all transports.
    pub fn audience(&self) -> u64 {
        self.viewers.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// A session.
#[derive(Debug)]
pub struct Session {
    pub number: u64,
    pub client: String,
    pub channel: String,
    /// The transport, and what becomes of it where it does not play.
    pub by: String,
    pub seconds: f64,
    /// Bytes that it was sent.
    pub sent: Option<u64>,
    pub missed: Option<u64>,
    pub behind: Option<u64>,
    pub lost: Option<u64>,
    pub jitter_ms: Option<f64>,
    pub agent: String,
}

/// `/api/status`.
pub fn status(told: &Value) -> Status {
    let config = &told["config"];
    Status {
        program: format!("{} ({})", text(&told["version"]), text(&told["revision"])),
        config: text(&config["revision"]),
        uptime: told["uptime_seconds"].as_f64().unwrap_or_default(),
        notices: notices(told, config),
        parts: parts(told),
    }
}

/// `/api/channels`.
pub fn channels(told: &Value) -> Vec<Channel> {
    list(&told["channels"]).iter().map(channel).collect()
}

/// `/api/sessions`: one page, and how many match.
pub fn sessions(told: &Value) -> (Vec<Session>, u64) {
    let sessions: Vec<_> = list(&told["sessions"]).iter().filter_map(session).collect();
    let matching = told["matching"].as_u64().unwrap_or(sessions.len() as u64);
    (sessions, matching)
}

fn notices(told: &Value, config: &Value) -> Vec<String> {
    let mut notices = Vec::new();
    if told["live"] == false {
        notices.push("A part of the program stands still: see /live.".to_owned());
    }
    if let Some(left) = told["draining_seconds_left"].as_f64() {
        notices.push(format!("Draining: nobody is taken in any more; {} are left.", span(left)));
    }
    if let Some(refused) = config["refused"].as_str() {
        notices.push("The config that was read last is refused, and the one before goes on:".to_owned());
        notices.extend(refused.lines().take(REFUSED_LINES).map(legible));
    }
    let waiting: Vec<_> = list(&config["waiting_for_a_start"]).iter().map(text).collect();
    if !waiting.is_empty() {
        notices.push(format!("Keys of the config that wait for the next start: {}", waiting.join("; ")));
    }
    notices
}

fn parts(told: &Value) -> Vec<Part> {
    let part = |name: String, now: String, room: String| Part { name, now, room };
    let counted = |name: &str, key: &str| {
        part(name.to_owned(), count(told[key]["now"].as_u64()), count(told[key]["limit"].as_u64()))
    };
    let egress = &told["egress_bits_per_second"];
    let mut parts = vec![
        counted("sessions", "sessions"),
        counted("connections", "connections"),
        part("media out".to_owned(), rate(number(&egress["now"])), rate(number(&egress["limit"]))),
    ];
    parts.extend(list(&told["tables"]).iter().map(|table| {
        let name = format!("poll table {} ({})", text(&table["table"]), text(&table["class"]));
        part(name, count(table["entries"].as_u64()), count(table["capacity"].as_u64()))
    }));
    parts.extend(list(&told["queues"]).iter().map(|queue| {
        let waiting = format!("{} waiting", count(queue["depth"].as_u64()));
        let workers = format!("{} workers", count(queue["workers"].as_u64()));
        part(format!("queue {}", text(&queue["queue"])), waiting, workers)
    }));
    parts
}

fn channel(told: &Value) -> Channel {
    let viewers = told["viewers"].as_object().into_iter().flatten();
    let viewers = viewers.map(|(by, count)| (legible(by), number(count))).filter(|(_, count)| *count > 0);
    Channel {
        name: text(&told["name"]),
        state: text(&told["state"]),
        rate: number(&told["bits_per_second"]),
        lost: number(&told["lost"]),
        viewers: viewers.collect(),
        minute: VecDeque::new(),
    }
}

/// One that has no number could not be told from others.
fn session(told: &Value) -> Option<Session> {
    let state = text(&told["state"]);
    let by = text(&told["transport"]);
    Some(Session {
        number: told["session"].as_u64()?,
        client: text(&told["client"]),
        channel: text(&told["channel"]),
        by: if state == "playing" { by } else { format!("{by}, {state}") },
        seconds: told["seconds"].as_f64().unwrap_or_default(),
        sent: told["bytes"].as_u64(),
        missed: told["missed"].as_u64(),
        behind: told["behind"].as_u64(),
        lost: told["lost"].as_u64(),
        jitter_ms: told["jitter_ms"].as_f64(),
        agent: text(&told["agent"]),
    })
}

fn list(told: &Value) -> &[Value] {
    told.as_array().map_or(&[], Vec::as_slice)
}

fn number(told: &Value) -> u64 {
    told.as_u64().unwrap_or_default()
}

fn text(told: &Value) -> String {
    match told {
        Value::String(text) => legible(text),
        Value::Number(number) => number.to_string(),
        _ => "–".to_owned(),
    }
}

/// A count, if it is known.
pub fn count(known: Option<u64>) -> String {
    known.map_or_else(|| "–".to_owned(), grouped)
}

/// Bytes, if they are known.
pub fn size(known: Option<u64>) -> String {
    known.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6))
}

/// Bits a second, if there are any.
pub fn rate(per_second: u64) -> String {
    if per_second == 0 { "–".to_owned() } else { bits(per_second as f64) }
}

/// A length of time.
pub fn span(seconds: f64) -> String {
    let all = seconds as u64; // what is below nothing is nothing
    match all {
        0..60 => format!("{all} s"),
        60..3600 => format!("{} min", all / 60),
        3600..86400 => format!("{} h {} min", all / 3600, all % 3600 / 60),
        _ => format!("{} d {} h", all / 86400, all % 86400 / 3600),
    }
}
