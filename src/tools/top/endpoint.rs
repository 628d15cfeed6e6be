//! Where a program that runs is asked: a URL without a login, as a token on a command line can be read by all users.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

/// The beginning of all that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Whether it is asked through TLS.
    pub(super) fn is_secret(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        const WRITE: &str = "write http://HOST:PORT or https://HOST:PORT";
        let uri: Uri = typed.parse().map_err(|error| format!("{error}; {WRITE}"))?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
        let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else {
            return Err(WRITE.to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("a login has no place in it, where all users can read it; write --token FILE".into());
        }
        if uri.query().is_some() {
            return Err(format!("it has a query; {WRITE}"));
        }
        Ok(Self(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_without_a_login() {
        for (typed, is) in [
            ("http://127.0.0.1:9469", "http://127.0.0.1:9469"),
            ("https://edge:9469/", "https://edge:9469"),
            ("http://[::1]:9469", "http://[::1]:9469"),
            ("https://all.example/edge7/", "https://all.example/edge7"),
        ] {
            assert_eq!(typed.parse::<Endpoint>().map(|url| url.to_string()).as_deref(), Ok(is));
        }
        for wrong in [
            "",
            "edge:9469",
            "127.0.0.1",
            "rtsp://edge/",
            "http://a:secret@edge",
            "http://edge/?q",
            "http://",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
