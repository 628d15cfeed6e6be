//! What lists of channels have of each.

use std::sync::Arc;
use std::time::Instant;

use crate::relay::Channel;
use crate::wire::http::path_of;
use crate::wire::rtsp::percent_encoded;

use super::super::listing::Listing;
use super::asked::Asked;
use super::refusal::Refusal;

/// Channels without a number of their own have those from here on, by their names.
const UNNUMBERED_FROM: u32 = 1001;

/// A channel, as it is listed.
pub(super) struct Entry {
    pub name: String,
    /// Absent while only its name is known.
    pub channel: Option<Arc<Channel>>,
    pub listing: Listing,
    pub number: u32,
}

impl Entry {
    pub fn title(&self) -> &str {
        self.listing.title.as_deref().unwrap_or(&self.name)
    }

    /// Whether it goes over HTTP.
    pub fn is_stream(&self) -> bool {
        let tracks = self.channel.as_ref().map(|channel| channel.tracks.as_slice());
        matches!(tracks, Some([only]) if only.description.is_transport_stream())
    }

    pub fn url(&self, asked: &Asked<'_>) -> Option<String> {
        if !self.is_stream() {
            return asked.rtsp_url(&self.name);
        }
        let token = asked.place.token.as_deref().map(|token| format!("?token={}", percent_encoded(token)));
        Some(format!("{}{}.ts{}", asked.base(), path_of(&self.name), token.unwrap_or_default()))
    }
}

/// The channels that who asks may watch, by their numbers and then their names.
pub(super) fn entries(asked: &Asked<'_>, now: Instant) -> Result<Vec<Entry>, Refusal> {
    let server = asked.server();
    let mut all: Vec<_> = server
        .catalogue
        .channels()
        .into_iter()
        .map(|channel| (channel.name.clone(), Some(channel)))
        .collect();
    all.extend(server.catalogue.expected_names().into_iter().map(|name| (name, None)));
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.dedup_by(|(one, _), (other, _)| one == other);
    let names: Vec<_> = all.iter().map(|(name, _)| name.clone()).collect();
    let visible = asked.visible(&names, now)?;
    let mut unnumbered = UNNUMBERED_FROM..;
    let entry = |(name, channel): (String, _)| {
        let listing = server.listing(&name);
        let number = listing.number.unwrap_or_else(|| unnumbered.next().unwrap_or_default());
        Entry { name, channel, listing, number }
    };
    // All of them are numbered, so that a number does not depend on who asks.
    let mut entries: Vec<_> = all.into_iter().map(entry).zip(visible).collect();
    entries.retain(|(_, is_visible)| *is_visible);
    entries.sort_by_key(|(entry, _)| entry.number);
    Ok(entries.into_iter().map(|(entry, _)| entry).collect())
}
