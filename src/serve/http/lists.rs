//! Lists of channels, as players and recorders read them; none has more than who asks may watch.

use std::time::Instant;

use serde_json::json;

use crate::wire::http::Resource;

use super::super::listing::Listing;
use super::asked::Asked;
use super::entries::{Entry, entries};
use super::refusal::Refusal;
use super::request::{Answer, Reply, reply};
use super::status;

/// Recorders ask for no more streams at once.
const MOST_TUNERS: usize = 16;

/// One of the lists.
pub(super) fn list(asked: &Asked<'_>, now: Instant) -> Result<Answer, Refusal> {
    let reply = match asked.place.resource {
        Resource::Discover => discover(asked),
        Resource::LineUpStatus => line_up_status(),
        Resource::Playlist => playlist(asked, &entries(asked, now)?),
        Resource::Status => status::page(asked, &entries(asked, now)?, now),
        _ => line_up(asked, &entries(asked, now)?),
    };
    Ok(Answer::Reply(reply))
}

/// The description of a channel: that of its group where it goes to one, else one that leads to RTSP.
pub(super) fn describe(asked: &Asked<'_>, name: &str, now: Instant) -> Result<Answer, Refusal> {
    asked.judge(name, now)?;
    let server = asked.server();
    let channel = server.catalogue.find(name).ok_or_else(Refusal::not_found)?;
    let group = server.out_groups.of(name).map(|out| (out.group, out.ttl));
    let description = channel.description(asked.request.client.local.ip(), group);
    let url = asked.rtsp_url(name).filter(|_| group.is_none());
    let body = match url {
        Some(url) => description.replace("a=control:*", &format!("a=control:{url}")),
        None => description.to_string(),
    };
    Ok(Answer::Reply(reply("application/sdp", body)))
}

fn playlist(asked: &Asked<'_>, entries: &[Entry]) -> Reply {
    let config = asked.presence.config();
    let guide = config.guide.as_deref();
    let mut text =
        guide.map_or_else(|| "#EXTM3U\n".to_owned(), |url| format!("#EXTM3U x-tvg-url=\"{url}\"\n"));
    for entry in entries {
        let Some(url) = entry.url(asked) else { continue };
        let Listing { number, logo, group, tvg_id, .. } = &entry.listing;
        let attributes = [
            ("tvg-id", Some(tvg_id.as_deref().unwrap_or(&entry.name).to_owned())),
            ("tvg-chno", number.map(|number| number.to_string())),
            ("tvg-name", Some(entry.title().to_owned())),
            ("tvg-logo", logo.clone()),
            ("group-title", group.clone()),
        ];
        let attributes: String = attributes
            .into_iter()
            .chain(catch_up(asked, entry, &url))
            .filter_map(|(key, value)| Some(format!(" {key}=\"{}\"", value?)))
            .collect();
        text.push_str(&format!("#EXTINF:-1{attributes},{}\n{url}\n", entry.title()));
    }
    reply("audio/x-mpegurl; charset=utf-8", text)
}

/// By what players find what was on.
fn catch_up<'k>(asked: &Asked<'_>, entry: &Entry, url: &str) -> [(&'k str, Option<String>); 3] {
    let days = entry.is_stream().then(|| asked.server().archive.get()?.days(&entry.name)).flatten();
    let more = if url.contains('?') { '&' } else { '?' };
    let source = format!("{url}{more}utc={{utc}}&utcend={{utcend}}&lutc={{lutc}}");
    [
        ("catchup", days.map(|_| "default".to_owned())),
        ("catchup-source", days.map(|_| source)),
        ("catchup-days", days.map(|days| days.to_string())),
    ]
}

fn discover(asked: &Asked<'_>) -> Reply {
    let (base, name) = (asked.base(), &asked.presence.config().name);
    let limits = asked.server().limits();
    let body = json!({
        "FriendlyName": name,
        "Manufacturer": "Mirrorball",
        "ModelNumber": "HDHR4-2US",
        "FirmwareName": "hdhomerun4_atsc",
        "FirmwareVersion": env!("CARGO_PKG_VERSION"),
        "DeviceID": device_id(name),
        "DeviceAuth": "",
        "BaseURL": base,
        "LineupURL": format!("{base}/lineup.json"),
        "TunerCount": limits.sessions.min(limits.sessions_per_address).min(MOST_TUNERS),
    });
    reply("application/json", body.to_string())
}

fn line_up_status() -> Reply {
    let body = json!({
        "ScanInProgress": 0, "ScanPossible": 1, "Source": "Cable", "SourceList": ["Cable"],
    });
    reply("application/json", body.to_string())
}

fn line_up(asked: &Asked<'_>, entries: &[Entry]) -> Reply {
    let streams = entries.iter().filter(|entry| entry.is_stream());
    let all: Vec<_> = streams
        .map(|entry| {
            json!({
                "GuideNumber": entry.number.to_string(),
                "GuideName": entry.title(),
                "URL": entry.url(asked),
            })
        })
        .collect();
    reply("application/json", json!(all).to_string())
}

/// Eight hexadecimal digits that are a name's each time; the last one checks the others, as those of HDHomeRun do.
fn device_id(name: &str) -> String {
    const CHECK: [u32; 16] = [0xa, 0x5, 0xf, 0x6, 0x7, 0xc, 0x1, 0xb, 0x9, 0x2, 0x8, 0xd, 0x4, 0x3, 0xe, 0x0];
    // FNV-1a, for it is the same with each release.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let id = 0x1000_0000 | hash & 0x0fff_fff0;
    let digit = |place: u32| id >> (4 * place) & 0xf;
    let looked_up = (1..=7).step_by(2).fold(0, |sum, place| sum ^ CHECK[digit(place) as usize]);
    let check = (2..=6).step_by(2).fold(looked_up, |sum, place| sum ^ digit(place));
    format!("{:08X}", id | check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_known_by_its_name() {
        assert_eq!(device_id("Mirrorball"), device_id("Mirrorball"));
        assert_ne!(device_id("Mirrorball"), device_id("Attic"));
        assert!(device_id("").starts_with('1') && device_id("").len() == 8);
    }
}
