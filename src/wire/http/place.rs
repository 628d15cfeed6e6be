//! What the target of a request names: a channel, a group as udpxy has it, or one of the lists.

use super::super::rtsp::{percent_decoded, percent_encoded};
use super::super::source_url::SourceUrl;
use super::past::Past;

/// What there is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `/playlist.m3u`: all channels, for players.
    Playlist,
    /// `/discover.json`: what a HDHomeRun says of itself.
    Discover,
    /// `/lineup.json`: its channels.
    LineUp,
    /// `/lineup_status.json`: that it has found them.
    LineUpStatus,
    /// `/status`: how it goes, to be looked at.
    Status,
    /// `/NAME.sdp`: how a channel is described.
    Description(String),
    /// `/NAME` or `/NAME.ts`: a channel, by what was written.
    Channel(String),
    /// `/udp/239.9.9.1:5004` or `/rtp/…`: what is sent there.
    Group(Box<SourceUrl>),
}

/// A target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it names.
    pub resource: Resource,
    /// What `token=` in its query says.
    pub token: Option<String>,
    /// Its query says `login`: the client has one, and is to be asked for it.
    pub has_login: bool,
    /// What of the past its query asks for.
    pub past: Option<Past>,
}

impl Place {
    /// What a target is about, which may be a path or a whole URL.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(target: &str) -> Result<Self, &'static str> {
        let whole = match target.split_once("://").filter(|_| !target.starts_with('/')) {
            Some((_, rest)) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
            None => target,
        };
        let whole = whole.split('#').next().unwrap_or_default();
        let (path, query) = whole.split_once('?').unwrap_or((whole, ""));
        let path = percent_decoded(path)?;
        let words = || query.split('&').map(|word| word.split_once('=').unwrap_or((word, "")));
        let token = words().find(|(key, _)| *key == "token").map(|(_, token)| percent_decoded(token));
        Ok(Self {
            resource: Resource::of(path.trim_matches('/')),
            token: token.transpose()?,
            has_login: words().any(|(key, _)| key == "login"),
            past: Past::parse(words())?,
        })
    }
}

impl Resource {
    fn of(path: &str) -> Self {
        match path {
            "playlist.m3u" => return Self::Playlist,
            "discover.json" => return Self::Discover,
            "lineup.json" => return Self::LineUp,
            "lineup_status.json" => return Self::LineUpStatus,
            "status" => return Self::Status,
            _ => {}
        }
        if let Some(name) = path.strip_suffix(".sdp") {
            return Self::Description(name.to_owned());
        }
        let group = path.split_once('/').and_then(|(scheme, group)| {
            // udpxy finds out itself whether it is RTP that comes.
            let scheme = match scheme {
                "udp" => "auto",
                "rtp" => "rtp",
                _ => return None,
            };
            format!("{scheme}://{group}").parse().ok()
        });
        group.map_or_else(|| Self::Channel(path.to_owned()), |group| Self::Group(Box::new(group)))
    }
}

/// The path by which a channel of that name is asked for.
#[must_use]
pub fn path_of(channel: &str) -> String {
    format!("/{}", percent_encoded(channel))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resource(target: &str) -> Resource {
        Place::parse(target).unwrap_or_else(|wrong| panic!("{target}: {wrong}")).resource
    }

    #[test]
    fn channels_lists_and_groups_are_told_apart() {
        let channel = |name: &str| Resource::Channel(name.to_owned());
        for (target, is) in [
            ("/news", channel("news")),
            ("/news.ts?fccip=1.2.3.4", channel("news.ts")),
            ("/sap/a%20b/", channel("sap/a b")),
            ("http://edge:8080/news", channel("news")),
            ("http://edge", channel("")),
            ("/news.sdp", Resource::Description("news".to_owned())),
            ("/playlist.m3u?token=x", Resource::Playlist),
            ("/discover.json", Resource::Discover),
            ("/lineup.json", Resource::LineUp),
            ("/lineup_status.json", Resource::LineUpStatus),
            ("/status/", Resource::Status),
            ("/status.ts", channel("status.ts")),
            ("/udp/news", channel("udp/news")),
            ("/udp/239.9.9.1", channel("udp/239.9.9.1")),
        ] {
            assert_eq!(resource(target), is, "{target}");
        }
    }

    #[test]
    fn a_group_is_written_as_udpxy_and_players_do() {
        for (target, url) in [
            ("/udp/239.9.9.1:5004", "auto://239.9.9.1:5004"),
            ("/udp/239.9.9.1:5004/", "auto://239.9.9.1:5004"),
            ("/rtp/@239.9.9.1:5004?fcc=x", "rtp://239.9.9.1:5004"),
            ("/rtp/192.0.2.7@239.9.9.1:5004", "rtp://192.0.2.7@239.9.9.1:5004"),
            ("/udp/eth1%40239.9.9.1:5004", "auto://eth1@239.9.9.1:5004"),
            ("/udp/[ff05::1]:5004", "auto://[ff05::1]:5004"),
        ] {
            assert_eq!(resource(target), Resource::Group(Box::new(url.parse().expect("right"))), "{target}");
        }
    }

    #[test]
    fn of_a_query_the_token_counts_and_what_players_add_does_not() {
        let place = Place::parse("/news?a=b&token=s%2Fx&login&utc").expect("right");
        assert_eq!((place.token.as_deref(), place.has_login), (Some("s/x"), true));
        assert_eq!(Place::parse("/news?tokens=x").expect("right").token, None);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for wrong in ["/%", "/%zz", "/a%00", "/%ff", "/news?token=%0a"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_channel_is_called_it_is_found_by_its_path(name in "[^/[:cntrl:]]([^[:cntrl:]]*[^/[:cntrl:]])?") {
            let Resource::Channel(found) = resource(&(path_of(&name) + ".ts")) else { return Ok(()) };
            prop_assert_eq!(found, name + ".ts");
        }
    }
}
