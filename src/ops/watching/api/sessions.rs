//! Who watches, in JSON.

use serde_json::{Value, json};

use super::{Filter, Problem};
use crate::serve::{WatchedTrack, Watcher};

/// The page that a filter asks for, of sessions in the order of their numbers.
pub(super) fn page(watchers: &[Watcher], filter: &Filter) -> Value {
    let is_meant = |watcher: &&Watcher| {
        let client = watcher.told.client.ip().to_string();
        let by = |transport: &String| watcher.tracks.iter().any(|track| track.by.label() == transport);
        filter.channel.as_ref().is_none_or(|channel| *channel == watcher.channel)
            && filter.client.as_ref().is_none_or(|own| client.starts_with(own))
            && filter.transport.as_ref().is_none_or(by)
    };
    let meant: Vec<_> = watchers.iter().filter(is_meant).collect();
    let mut rest = meant.iter().filter(|watcher| watcher.told.session > filter.after);
    let shown: Vec<_> = rest.by_ref().take(filter.limit).collect();
    let next = rest.next().and(shown.last()).map(|last| last.told.session);
    let sessions: Vec<_> = shown.into_iter().map(|watcher| of(watcher)).collect();
    json!({ "sessions": sessions, "matching": meant.len(), "next_after": next })
}

pub(super) fn one(watchers: &[Watcher], number: u64) -> Result<Value, Problem> {
    let found = watchers.iter().find(|watcher| watcher.told.session == number);
    found.map(of).ok_or_else(|| unknown(number))
}

pub(super) fn unknown(number: u64) -> Problem {
    Problem::new(
        404,
        format!("there is no session {number}, or there is none any more; the log has how it ended"),
    )
}

fn of(watcher: &Watcher) -> Value {
    let told = &watcher.told;
    let behind = watcher.tracks.iter().filter_map(|track| Some(track.progress?.1));
    json!({
        "session": told.session,
        "client": told.client.ip().to_string(),
        "port": told.client.port(),
        "channel": watcher.channel,
        "state": watcher.state,
        "seconds": watcher.age.as_secs_f64(),
        "transport": watcher.tracks.iter().map(|track| track.by).max().map(|by| by.label()),
        "client_ports": told.client_ports,
        "agent": told.agent,
        "packets": told.sent.packets,
        "bytes": told.sent.bytes,
        "missed": told.sent.missed,
        "behind": behind.reduce(|sum, packets| sum + packets),
        "lost": told.lost,
        "jitter_ms": told.jitter_seconds.map(|jitter| jitter * 1000.0),
        "round_trip_ms": told.round_trip.map(|way| way.as_secs_f64() * 1000.0),
        "tracks": watcher.tracks.iter().map(track).collect::<Vec<_>>(),
    })
}

fn track(track: &WatchedTrack) -> Value {
    let (sent, behind) = track.progress.unzip();
    json!({
        "track": track.number,
        "transport": track.by.label(),
        "packets": sent.map(|sent| sent.packets),
        "bytes": sent.map(|sent| sent.bytes),
        "missed": sent.map(|sent| sent.missed),
        "behind": behind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Carriage, Sent};
    use crate::serve::SoFar;
    use std::time::Duration;

    fn watcher(session: u64, client: &str, channel: &str, by: Carriage) -> Watcher {
        let client = format!("{client}:5000").parse().expect("an address");
        let told = SoFar {
            session,
            client,
            began: None,
            client_ports: None,
            agent: None,
            sent: Sent { packets: 10 * session, ..Sent::default() },
            lost: None,
            jitter_seconds: Some(0.002),
            round_trip: None,
        };
        let tracks = vec![WatchedTrack { number: 1, by, progress: None }];
        Watcher { told, channel: channel.to_owned(), state: "playing", age: Duration::from_secs(3), tracks }
    }

    #[test]
    fn pages_lead_through_all_that_match_and_nothing_else() {
        let all: Vec<_> = (1..=7)
            .map(|number| {
                let by = if number % 2 == 0 { Carriage::Tcp } else { Carriage::Udp };
                watcher(
                    number,
                    if number < 4 { "192.0.2.1" } else { "198.51.100.9" },
                    ["news", "sport"][number as usize % 2],
                    by,
                )
            })
            .collect();
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = page(&all, &Filter { after, limit: 3, ..Filter::default() });
            assert_eq!(page["matching"], 7);
            seen.extend(
                page["sessions"].as_array().expect("a list").iter().map(|one| one["session"].as_u64()),
            );
            match page["next_after"].as_u64() {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(seen, (1..=7).map(Some).collect::<Vec<_>>());
        let filter = Filter {
            transport: Some("tcp".to_owned()),
            client: Some("198.".to_owned()),
            ..Filter::default()
        };
        let found = page(&all, &filter);
        assert_eq!((&found["sessions"][0]["session"], &found["matching"]), (&json!(4), &json!(2)));
        assert_eq!(one(&all, 5).expect("it is there")["packets"], 50);
        assert_eq!(one(&all, 9).expect_err("it is not").status, 404);
    }
}
