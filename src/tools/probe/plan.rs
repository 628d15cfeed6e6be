//! What to probe, as it was asked for. Opens nothing.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;
use std::{fmt, io};

use crate::wire::rtsp::{Url, range, usual_port};

/// What to probe.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The stream.
    pub url: ProbeUrl,
    /// How many subscribers.
    pub subscribers: u32,
    /// How media comes.
    pub delivery: Delivery,
    /// Which tracks are set up.
    pub tracks: Tracks,
    /// How long to play once the last subscriber is set up.
    pub duration: Duration,
    /// Set-ups begun a second; without one, as fast as they are answered.
    pub rate: Option<u32>,
    /// How long one set-up may take.
    pub setup_timeout: Duration,
    /// What of it is played.
    pub course: Course,
}

/// What of a stream is played, as PLAY has it; what is not said is the server's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// From where, and up to where.
    pub range: Option<String>,
    /// How fast it is shown.
    pub scale: Option<String>,
    /// How fast it is delivered.
    pub speed: Option<String>,
    /// For how long it is paused, once it has played for a second.
    pub pause: Option<Duration>,
}

/// How media comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Delivery {
    /// Over UDP, to a port pair for each track of each subscriber.
    Udp,
    /// Interleaved in the RTSP connection.
    Tcp,
}

impl Delivery {
    /// As the report has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// Which tracks are set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tracks {
    /// Every RTP track of the description.
    All,
    /// Its first alone.
    First,
}

/// The URL of a stream: `rtsp://host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeUrl(Url);

/// Why a URL cannot be probed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is no URL.
    #[error("{0}; write rtsp://host:port/path")]
    Syntax(String),
    /// It is not RTSP's.
    #[error("{0}:// cannot be probed, only rtsp://; write rtsp://host:port/path")]
    Scheme(String),
    /// It names no host.
    #[error("it names no host; write rtsp://host:port/path")]
    NoHost,
}

impl FromStr for ProbeUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text).map_err(|error| InvalidUrl::Syntax(error.to_string()))?;
        match (url.scheme(), url.host_str()) {
            ("rtsp", Some(host)) if !host.is_empty() => Ok(Self(url)),
            ("rtsp", _) => Err(InvalidUrl::NoHost),
            (other, _) => Err(InvalidUrl::Scheme(other.to_owned())),
        }
    }
}

impl ProbeUrl {
    /// For requests.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The addresses of its host, one at least.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.0.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(host);
        let port = self.0.port().or_else(|| usual_port(self.0.scheme())).unwrap_or_default();
        let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
        if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
    }
}

impl fmt::Display for ProbeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A range, as it may be asked for.
///
/// # Errors
/// It is none.
pub fn range(typed: &str) -> Result<String, String> {
    let is_one = range::part(Some(typed)).is_ok() || range::asked(Some(typed)).is_ok();
    if is_one {
        Ok(typed.to_owned())
    } else {
        Err("write npt=12.5-, npt=12.5-60 or clock=20261128T073719Z-".to_owned())
    }
}

/// A scale: any number but 0.
///
/// # Errors
/// It is none.
pub fn scale(typed: &str) -> Result<String, String> {
    number(typed)
        .filter(|number| *number != 0.0)
        .map(|_| typed.to_owned())
        .ok_or_else(|| "write a number such as 4 or -2".to_owned())
}

/// A speed: a number above 0.
///
/// # Errors
/// It is none.
pub fn speed(typed: &str) -> Result<String, String> {
    number(typed)
        .filter(|number| *number > 0.0)
        .map(|_| typed.to_owned())
        .ok_or_else(|| "write a number above 0, such as 2".to_owned())
}

fn number(typed: &str) -> Option<f64> {
    typed.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_host_and_port() {
        let address =
            |text: &str| text.parse::<ProbeUrl>().expect(text).resolve().expect(text)[0].to_string();
        assert_eq!(address("rtsp://127.0.0.1:8554/news"), "127.0.0.1:8554");
        assert_eq!(address("rtsp://127.0.0.1/news"), "127.0.0.1:554");
        assert_eq!(address("rtsp://[::1]:8554"), "[::1]:8554");
    }

    #[test]
    fn errors_say_what_to_write() {
        for text in ["127.0.0.1:8554/news", "http://edge/news", "rtsp:///news", "rtsp:news", "news", ""] {
            let error = text.parse::<ProbeUrl>().expect_err(text).to_string();
            assert!(error.contains("write rtsp://host:port/path"), "{text}: {error}");
        }
    }
}
