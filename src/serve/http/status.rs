//! `/status`: how it goes, to be looked at by people, as udpxy has it. No client is named.

use std::time::Instant;

use crate::relay::{Carriage, Channel};

use super::asked::Asked;
use super::entries::Entry;
use super::request::{Reply, reply};

pub(super) fn page(asked: &Asked<'_>, entries: &[Entry], now: Instant) -> Reply {
    let name = escaped(&asked.presence.config().name);
    let rows: String = entries.iter().map(|entry| row(entry, now)).collect();
    let viewers: usize = entries.iter().filter_map(|entry| entry.channel.as_deref()).map(viewers).sum();
    let heads: String = Carriage::ALL.iter().map(|(_, label)| format!("<th>{label}</th>")).collect();
    let (channels, version) = (entries.len(), env!("CARGO_PKG_VERSION"));
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title>\n\
         <meta http-equiv=\"refresh\" content=\"10\">\n\
         <style>body{{font-family:sans-serif}}td,th{{padding:.1em .8em;text-align:right}}td:first-child{{text-align:left}}</style>\n\
         </head><body><h1>{name}</h1>\n<p>Mirrorball {version}: {viewers} viewers, {channels} channels. \
         <a href=\"playlist.m3u\">playlist.m3u</a></p>\n\
         <table><tr><th>channel</th><th>state</th><th>kbit/s</th>{heads}</tr>\n{rows}</table></body></html>\n"
    );
    reply("text/html; charset=utf-8", page)
}

fn row(entry: &Entry, now: Instant) -> String {
    let name = escaped(entry.title());
    let Some(channel) = entry.channel.as_deref() else {
        return format!("<tr><td>{name}</td><td>not asked for</td></tr>\n");
    };
    let state = match (channel.demand.is_there(now), channel.is_silent()) {
        (false, _) => "idle",
        (true, true) => "silent",
        (true, false) => "live",
    };
    let bits: u64 = channel.tracks.iter().map(|track| track.rtp.ring().bits_per_second()).sum();
    let kbit = if state == "live" { bits / 1000 } else { 0 };
    let by = |(by, _): &(Carriage, _)| format!("<td>{}</td>", channel.audience.by(*by));
    let viewers: String = Carriage::ALL.iter().map(by).collect();
    format!("<tr><td>{name}</td><td>{state}</td><td>{kbit}</td>{viewers}</tr>\n")
}

fn viewers(channel: &Channel) -> usize {
    Carriage::ALL.iter().map(|(by, _)| channel.audience.by(*by)).sum()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
