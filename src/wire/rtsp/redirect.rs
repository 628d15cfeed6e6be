//! Where clients are sent instead (RFC 2326 section 11.3): another server, of which nothing is known but its URL.

use std::net::{IpAddr, SocketAddr};

/// The port of a URL without one: of `rtsp://`, and of `rtsps://` (RFC 7826 section 22.14). `None`: it is another scheme's.
#[must_use]
pub fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "rtsp" => Some(554),
        "rtsps" => Some(322),
        _ => None,
    }
}

/// Another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Scheme, host and port, as they were written.
    base: String,
    host: String,
    port: u16,
}

impl Redirect {
    /// Reads `rtsp://host:port`. `None`: it is something else, or more than that.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let base = url.strip_suffix('/').unwrap_or(url);
        let (host, port) = authority(base)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let is_alone = base.split_once("://")?.1 == authority_text(base)?;
        let is_right = !host.is_empty() && host.bytes().all(is_plain) && is_alone;
        is_right.then(|| Self { base: base.to_owned(), host, port })
    }

    /// Whether it is reached through TLS.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        scheme(&self.base) == Some("rtsps".to_owned())
    }

    /// Whether it is this server, as far as its address tells.
    #[must_use]
    pub fn is_at(&self, own: SocketAddr) -> bool {
        let ip = self.host.parse::<IpAddr>().ok();
        self.port == own.port() && ip.is_some_and(|ip| ip == own.ip().to_canonical())
    }

    /// Where a client that has asked for `uri` is sent. `None`: it would come back to where it is, by that name or address.
    #[must_use]
    pub fn location(&self, uri: &str, own: SocketAddr) -> Option<String> {
        let asked_here = authority(uri)
            .is_some_and(|(host, port)| host.eq_ignore_ascii_case(&self.host) && port == self.port);
        if asked_here || self.is_at(own) {
            return None;
        }
        let path = match uri.split_once("://") {
            Some((_, rest)) => rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]),
            None => uri,
        };
        Some(format!("{}/{}", self.base, path.trim_start_matches('/')))
    }
}

/// The host, without brackets, and the port of a URI.
fn authority(uri: &str) -> Option<(String, u16)> {
    let usual = usual_port(&scheme(uri)?)?;
    let text = authority_text(uri)?;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            (host, Some(port).filter(|port| !port.contains(':')))
        }
    };
    let port = port?;
    let port = if port.is_empty() { usual } else { port.parse().ok().filter(|port| *port > 0)? };
    Some((host.to_owned(), port))
}

fn scheme(uri: &str) -> Option<String> {
    Some(uri.split_once("://")?.0.to_ascii_lowercase())
}

/// What stands between the scheme and the path.
fn authority_text(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    Some(&rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_is_sent_with_the_path_that_it_asked_for() {
        let other = Redirect::parse("rtsp://other.example:8554/").expect("a server");
        let here = own("192.0.2.1:8554");
        for (asked, location) in [
            ("rtsp://edge/news", "rtsp://other.example:8554/news"),
            ("rtsp://edge:8554/uk/news/trackID=1?key=1", "rtsp://other.example:8554/uk/news/trackID=1?key=1"),
            ("/news", "rtsp://other.example:8554/news"),
            ("news", "rtsp://other.example:8554/news"),
        ] {
            assert_eq!(other.location(asked, here).as_deref(), Some(location));
        }
    }

    #[test]
    fn nobody_is_sent_to_where_it_is() {
        let here = own("192.0.2.1:8554");
        let by_name = Redirect::parse("rtsp://Edge:8554").expect("a server");
        assert_eq!(by_name.location("rtsp://edge:8554/news", here), None);
        assert!(by_name.location("rtsp://edge/news", here).is_some(), "another port is another server");
        let by_address = Redirect::parse("rtsp://192.0.2.1:8554").expect("a server");
        assert_eq!(by_address.location("rtsp://edge/news", here), None);
        assert_eq!(by_address.location("rtsp://edge/news", own("[::ffff:192.0.2.1]:8554")), None);
        assert!(by_address.location("rtsp://edge/news", own("192.0.2.1:554")).is_some());
        let v6 = Redirect::parse("rtsps://[2001:db8::1]").expect("a server");
        assert!(v6.is_at(own("[2001:db8::1]:322")));
        assert!(v6.is_secret() && !by_name.is_secret());
        assert!(Redirect::parse("RTSPS://edge").is_some_and(|other| other.is_secret()));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for wrong in [
            "",
            "other",
            "other:8554",
            "http://other",
            "rtsp://",
            "rtsp://:8554",
            "rtsp://other:0",
            "rtsp://other:x",
            "rtsp://other:70000",
            "rtsp://other/news",
            "rtsp://other/other",
            "rtsp://other?x",
            "rtsp://user@other",
            "rtsp://a b",
            "rtsp://2001:db8::1",
            "rtsp://[other]",
            "rtsp://[2001:db8::1]x",
        ] {
            assert_eq!(Redirect::parse(wrong), None, "{wrong}");
        }
    }
}
