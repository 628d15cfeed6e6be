//! One RTSP request, and what its URI names.
//!
//! Lenient where clients are loose and the meaning is clear: line ends, case of names, spaces around values,
//! paths without a host. It knows neither sessions nor channels.

use rtsp_types::{Method, StatusCode};

use super::headers::Headers;
use super::percent::percent_decoded;

/// A request whose head was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method; one that RFC 2326 does not name is `Method::Extension`.
    pub method: Method,
    /// The URI as the client wrote it, without credentials: they come back in no reply, and in no log.
    pub uri: String,
    /// What the URI names.
    pub target: Target,
    /// The number to echo in the reply.
    pub cseq: u32,
    /// The body; empty for most.
    pub body: Vec<u8>,
    headers: Headers,
}

/// What a request's URI names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `*`, a URI without a path, or SAT>IP's `/stream=N`: the server as a whole, where the session says what is meant.
    Server,
    /// A channel, or one track of it.
    Channel {
        /// The path without slashes at its ends, percent-decoded, and without `.sdp`: `/news.sdp/` is `news`.
        name: String,
        /// N of a last part `trackID=N`.
        track: Option<u32>,
        /// The last part is `rtxID=N`: it is about what the track sends again.
        of_rtx: bool,
        /// What follows `?`, as written.
        query: Option<String>,
    },
}

impl Request {
    /// Reads a head (with its final empty line) and takes the body along. On failure, says which status to
    /// answer and why. The URI may have `max_uri` bytes.
    pub(super) fn parse(head: &[u8], body: &[u8], max_uri: usize) -> Result<Self, (StatusCode, String)> {
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let (method, uri) = request_line(lines.next().unwrap_or_default())?;
        if uri.len() > max_uri {
            return Err((StatusCode::RequestURITooLong, format!("the URI is longer than {max_uri} bytes")));
        }
        let headers = Headers::read(lines).map_err(bad_request)?;
        let uri = without_credentials(&uri);
        let target = Target::parse(&uri).map_err(bad_request)?;
        let mut request = Self { method, uri, target, cseq: 0, body: body.to_vec(), headers };
        let cseq = request.header("CSeq").ok_or_else(|| bad_request("there is no CSeq"))?;
        request.cseq = cseq.parse().map_err(|_| bad_request("the CSeq is not a number of 32 bits"))?;
        Ok(request)
    }

    /// The header of this name, whose case does not matter: the first one, or all of them where several are one list.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.value(name)
    }

    /// The session id without its parameters (RFC 2326 section 12.37).
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.header("Session").map(|value| value.split(';').next().unwrap_or_default().trim())
    }

    /// The URI that controls in a description are relative to: that of the channel, without query, and ending in `/`, so that
    /// `trackID=1` becomes a part of its own (RFC 2326 appendix C.1.1).
    #[must_use]
    pub fn content_base(&self) -> String {
        let path = self.uri.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let path = before_track(path).unwrap_or(path).trim_end_matches('/');
        format!("{}/", path.strip_suffix("/*").unwrap_or(path).trim_end_matches('/'))
    }
}

impl Target {
    /// What a URI names, which may have credentials.
    ///
    /// # Errors
    /// When it is no URI of ours.
    pub fn parse(uri: &str) -> Result<Self, &'static str> {
        let whole = path_of(uri)?.split('#').next().unwrap_or_default();
        let (path, query) = match whole.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (whole, None),
        };
        let path = percent_decoded(path)?;
        let (path, track) = split_track(&path);
        // A client that joins a relative control to a URI by hand appends it to the query.
        let (query, query_track) = query.map(split_track).map_or((None, None), |(q, track)| (Some(q), track));
        let control = track.or(query_track);
        // Some clients append the description's `control:*` as it stands.
        let path = path.trim_end_matches('/');
        let name = path.strip_suffix("/*").unwrap_or(path).trim_matches('/');
        let name = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
            Some((stem, suffix)) if suffix.eq_ignore_ascii_case(".sdp") && !stem.is_empty() => stem,
            _ => name,
        };
        if name.is_empty() || (track.is_none() && names_a_session(name)) {
            return Ok(Self::Server);
        }
        Ok(Self::Channel {
            name: name.to_owned(),
            track: control.map(|(number, _)| number),
            of_rtx: control.is_some_and(|(_, of_rtx)| of_rtx),
            query: query.map(str::to_owned),
        })
    }
}

fn request_line(line: &[u8]) -> Result<(Method, String), (StatusCode, String)> {
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    let parts = line
        .split_once(char::is_whitespace)
        .and_then(|(method, rest)| Some((method, rest.trim().rsplit_once(char::is_whitespace)?)));
    let Some((method, (uri, version))) = parts else {
        return Err(bad_request("the request line is not \"METHOD URI RTSP/1.0\""));
    };
    if !method.bytes().all(is_token_byte) {
        return Err(bad_request("the method is not a word"));
    }
    check_version(version)?;
    Ok((Method::from(method), uri.trim().to_owned()))
}

fn check_version(version: &str) -> Result<(), (StatusCode, String)> {
    let number = version.get(..5).filter(|name| name.eq_ignore_ascii_case("RTSP/")).map(|_| &version[5..]);
    match number {
        Some("1.0") => Ok(()),
        Some(other) if other.starts_with(|c: char| c.is_ascii_digit()) => {
            Err((StatusCode::RTSPVersionNotSupported, format!("version {other} is not spoken here, 1.0 is")))
        }
        _ => Err(bad_request("the request line does not end in RTSP/1.0")),
    }
}

/// `rtsp://user:word@host/` is `rtsp://host/`.
fn without_credentials(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://").filter(|_| !uri.starts_with('/')) else {
        return uri.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// What follows scheme and host, with the slash. `*` names nothing; a path alone is taken as it is.
fn path_of(uri: &str) -> Result<&str, &'static str> {
    if uri == "*" {
        return Ok("");
    }
    let Some((scheme, rest)) = uri.split_once("://").filter(|_| !uri.starts_with('/')) else {
        return Ok(uri);
    };
    if !["rtsp", "rtsps", "rtspu"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err("the URI is neither rtsp:// nor rtsps://");
    }
    Ok(rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]))
}

/// SAT>IP's `stream=N`, by which VLC asks for a session that was set up by another name. No channel has such a name.
fn names_a_session(name: &str) -> bool {
    let number = name.strip_prefix("stream=");
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Splits `…/trackID=N` off the end, or `…/rtxID=N`, and tells which it was.
fn split_track(text: &str) -> (&str, Option<(u32, bool)>) {
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let found = trimmed.rsplit_once('/').and_then(|(before, last)| {
        let (key, number) = last.split_once('=')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let of_rtx = key.eq_ignore_ascii_case("rtxID");
        let is_control = of_rtx || key.eq_ignore_ascii_case("trackID");
        (is_control && is_number).then_some((before, (number.parse().ok()?, of_rtx)))
    });
    found.map_or((text, None), |(before, track)| (before, Some(track)))
}

/// What comes before `…/trackID=N`, however that is escaped.
fn before_track(path: &str) -> Option<&str> {
    let mut slashes = path.char_indices().filter(|(at, c)| {
        *c == '/' || path.get(*at..at + 3).is_some_and(|three| three.eq_ignore_ascii_case("%2F"))
    });
    let (at, _) = slashes.next_back()?;
    let last = percent_decoded(&path[at..]).ok()?;
    split_track(&last).1.map(|_| &path[..at])
}

/// Whether a byte may stand in a token: a method or a header's name (RFC 2326 section 15.1).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn bad_request(context: &str) -> (StatusCode, String) {
    (StatusCode::BadRequest, context.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str) -> Target {
        Target::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}"))
    }

    #[test]
    fn what_a_track_sends_again_has_a_control_of_its_own() {
        for uri in ["rtsp://edge/news/rtxID=2", "rtsp://edge/news.sdp/RTXid=2/", "rtsp://edge/news?x/rtxID=2"]
        {
            let Target::Channel { name, track, of_rtx, .. } = target(uri) else { panic!("{uri}") };
            assert_eq!((name.as_str(), track, of_rtx), ("news", Some(2), true), "{uri}");
        }
        let Target::Channel { name, track, of_rtx, .. } = target("rtsp://edge/rtxID=x") else { panic!() };
        assert_eq!((name.as_str(), track, of_rtx), ("rtxID=x", None, false));
    }

    fn channel(name: &str, track: Option<u32>, query: Option<&str>) -> Target {
        Target::Channel { name: name.into(), track, of_rtx: false, query: query.map(str::to_owned) }
    }

    #[test]
    fn all_ways_to_name_a_channel() {
        for uri in [
            "rtsp://edge:8554/news",
            "rtsp://edge:8554/news/",
            "rtsp://edge/news.sdp",
            "rtsp://edge/news.SDP/",
            "RTSPS://user:word@[2001:db8::1]:8322/news",
            "rtsp://edge/n%65ws",
            "rtsp://edge//news",
            "rtsp://edge/news/*",
            "rtsp://edge/news/*/",
            "/news",
            "news",
            "rtsp://edge/news#now",
        ] {
            assert_eq!(target(uri), channel("news", None, None), "{uri}");
        }
        assert_eq!(target("rtsp://edge/tv/news%201"), channel("tv/news 1", None, None));
        assert_eq!(target("/news?from=rtsp://x"), channel("news", None, Some("from=rtsp://x")));
    }

    #[test]
    fn a_track_is_the_last_part() {
        for uri in ["rtsp://edge/news/trackID=2", "rtsp://edge/news.sdp/trackid=2/", "/news/trackID%3D2"] {
            assert_eq!(target(uri), channel("news", Some(2), None), "{uri}");
        }
        assert_eq!(target("rtsp://edge/news?key=1/trackID=2"), channel("news", Some(2), Some("key=1")));
        for name in ["news/trackID=", "news/trackID=two", "news/trackID=99999999999"] {
            assert_eq!(target(name), channel(name, None, None));
        }
    }

    fn request(text: &str) -> Request {
        Request::parse(text.as_bytes(), b"", 1024).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn credentials_in_a_uri_are_forgotten() {
        for (written, kept) in [
            ("rtsp://user:word@edge/news", "rtsp://edge/news"),
            ("rtsp://a@b:c@[2001:db8::1]:8554/news?x=y@z", "rtsp://[2001:db8::1]:8554/news?x=y@z"),
            ("rtsp://edge/news@9", "rtsp://edge/news@9"),
            ("rtsp://user@edge", "rtsp://edge"),
            ("*", "*"),
        ] {
            assert_eq!(request(&format!("OPTIONS {written} RTSP/1.0\r\nCSeq: 1\r\n\r\n")).uri, kept);
        }
    }

    #[test]
    fn the_base_of_a_track_is_its_channels() {
        for uri in [
            "rtsp://edge/news",
            "rtsp://edge/news/*",
            "rtsp://edge/news/trackID=2",
            "rtsp://edge/news/trackID=2/?key=1",
            "rtsp://edge/news/trackID%3D2",
            "rtsp://edge/news%2ftrackid%3d2//",
            "rtsp://edge/news/*/trackID=2",
        ] {
            let described = request(&format!("DESCRIBE {uri} RTSP/1.0\r\nCSeq: 1\r\n\r\n"));
            assert_eq!(described.content_base(), "rtsp://edge/news/", "{uri}");
        }
        // Whatever a client makes of it, the base and what is relative to it name what was described.
        for uri in
            ["/", "*", "rtsp://edge", "rtsp://edge/a%2Fb", "rtsp://edge/a/*/b", "rtsp://edge/a/trackID=x"]
        {
            let described = request(&format!("DESCRIBE {uri} RTSP/1.0\r\nCSeq: 1\r\n\r\n"));
            if let Target::Channel { name, .. } = &described.target {
                assert_eq!(target(&described.content_base()), channel(name, None, None), "{uri}");
                let track = target(&(described.content_base() + "trackID=1"));
                assert_eq!(track, channel(name, Some(1), None), "{uri}");
            }
        }
    }

    #[test]
    fn a_value_may_begin_on_the_next_line() {
        let folded = "SETUP /news RTSP/1.0\r\nCSeq:\r\n 4\r\nTransport: RTP/AVP;\n\tunicast\n\n";
        let request = request(folded);
        assert_eq!((request.cseq, request.header("Transport")), (4, Some("RTP/AVP; unicast")));
    }

    #[test]
    fn several_headers_of_a_name_are_one_list() {
        let twice = "SETUP /news RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/FOO\r\nCSeq: 2\r\ntransport: RTP/AVP/TCP\r\n\r\n";
        let request = request(twice);
        assert_eq!(request.header("Transport"), Some("RTP/AVP/FOO, RTP/AVP/TCP"));
        assert_eq!(request.cseq, 1, "no list: the first counts");
    }

    #[test]
    fn the_server_is_named_by_a_star_or_by_nothing() {
        for uri in ["*", "rtsp://edge:8554", "rtsp://edge/", "/"] {
            assert_eq!(target(uri), Target::Server, "{uri}");
        }
        assert_eq!(target(".sdp"), channel(".sdp", None, None));
    }

    #[test]
    fn a_session_is_named_as_sat_ip_has_it() {
        for uri in ["rtsp://edge:8554/stream=0", "rtsp://edge/stream=12/", "/stream=7?src=1"] {
            assert_eq!(target(uri), Target::Server, "{uri}");
        }
        for name in ["stream=", "stream=one", "news/stream=0", "stream"] {
            assert_eq!(target(&format!("rtsp://edge/{name}")), channel(name, None, None));
        }
    }

    #[test]
    fn what_is_no_uri_of_ours_is_refused() {
        for uri in ["http://edge/news", "rtsp://edge/news%", "rtsp://edge/%0a", "rtsp://edge/%ff"] {
            assert!(Target::parse(uri).is_err(), "{uri}");
        }
    }
}
