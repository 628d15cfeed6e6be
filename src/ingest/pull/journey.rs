//! Where a stream is asked for: the URL of the config, or where its server leads from there.

use std::net::IpAddr;

use crate::wire::rtsp::{Answers, Login, Url, usual_port, without_login};

use super::failure::{self, Failure};
use super::reach::may_lead;

/// So many redirects are followed.
const MOST: usize = 5;

/// From the URL of the config to where the stream is.
#[derive(Debug, Clone)]
pub struct Journey {
    begins: Url,
    login: Option<Login>,
    /// Whether the first server has wanted a hash of the password.
    pub wants_hash: bool,
    /// Where the server has led, one after another.
    stations: Vec<Url>,
    /// Who has led to the last of them.
    led_by: Option<IpAddr>,
}

impl Journey {
    /// At its beginning. User and password are given to no other server.
    #[must_use]
    pub fn new(begins: &Url, login: Option<Login>) -> Self {
        let begins = without_login(begins);
        Self { begins, login, wants_hash: false, stations: Vec::new(), led_by: None }
    }

    /// Where the stream is asked for now.
    #[must_use]
    pub fn at(&self) -> &Url {
        self.stations.last().unwrap_or(&self.begins)
    }

    /// How it is asked there who asks. The nonce of ours is another one on each connection.
    #[must_use]
    pub fn answers(&self, cnonce: String) -> Answers {
        Answers::new(self.login().cloned(), cnonce).to_one_that_wants_a_hash(self.wants_hash)
    }

    fn login(&self) -> Option<&Login> {
        let is_at_home = place(self.at()) == place(&self.begins);
        self.login.as_ref().filter(|_| is_at_home)
    }

    /// Back to the beginning: a server that was led to may have gone.
    pub fn begin_again(&mut self) {
        self.stations.clear();
        self.led_by = None;
    }

    /// Whether it may be asked for at an address, which its host's name has led to. `is_ours` tells those of this machine.
    #[must_use]
    pub fn may_be_at(&self, address: IpAddr, is_ours: impl Fn(IpAddr) -> bool) -> bool {
        self.led_by.is_none_or(|by| may_lead(by, address, is_ours))
    }

    /// What it fails with that may be asked for at none of its addresses.
    #[must_use]
    pub fn leads_inside(&self) -> Failure {
        let place = failure::place(self.at().as_str());
        Failure::Redirect(place, "it leads to this machine, or into a network that its server is not in")
    }

    /// Goes where a server leads that was found at an address.
    ///
    /// # Errors
    /// When that is not where a stream can be, or leads round and round.
    pub fn follow(&mut self, location: &str, by: IpAddr) -> Result<(), Failure> {
        let refuse = |why| Err(Failure::Redirect(failure::place(location), why));
        let Ok(to) = self.at().join(location.trim()).map(|to| without_login(&to)) else {
            return refuse("it is no URL");
        };
        let has_host = to.host_str().is_some_and(|host| !host.is_empty());
        match (self.at().scheme(), to.scheme()) {
            _ if !has_host => return refuse("it names no host"),
            ("rtsps", "rtsp") => return refuse("it leads out of TLS"),
            (_, "rtsp" | "rtsps") => {}
            _ => return refuse("it is not RTSP"),
        }
        if to == self.begins || self.stations.contains(&to) {
            return refuse("it leads in a circle");
        }
        if self.stations.len() == MOST {
            return refuse("it is one too many");
        }
        self.stations.push(to);
        self.led_by = Some(by);
        Ok(())
    }
}

/// Scheme, host and port.
fn place(url: &Url) -> (&str, Option<String>, u16) {
    let host = url.host_str().map(str::to_ascii_lowercase);
    (url.scheme(), host, port(url))
}

/// The port to connect to.
#[must_use]
pub fn port(url: &Url) -> u16 {
    url.port().or_else(|| usual_port(url.scheme())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::{Had, NoUse};
    use std::net::Ipv4Addr;

    const AT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

    fn journey(url: &str) -> Journey {
        let login = Login { user: "anna".into(), password: "x".into() };
        Journey::new(&Url::parse(url).expect("a URL"), Some(login))
    }

    #[test]
    fn a_stream_is_followed_and_the_login_stays_at_home() {
        let mut journey = journey("rtsp://anna:x@Edge/news");
        assert_eq!((journey.at().as_str(), journey.login().is_some()), ("rtsp://Edge/news", true));
        for (location, at, at_home) in [
            ("rtsp://edge:554/other", "rtsp://edge:554/other", true),
            ("/third", "rtsp://edge:554/third", true),
            ("rtsp://bob:y@edge:8554/news", "rtsp://edge:8554/news", false),
            ("rtsps://edge/news", "rtsps://edge/news", false),
        ] {
            journey.follow(location, AT).expect(location);
            assert_eq!((journey.at().as_str(), journey.login().is_some()), (at, at_home));
        }
        journey.begin_again();
        assert_eq!(journey.at().as_str(), "rtsp://Edge/news");
    }

    #[test]
    fn what_the_server_has_wanted_is_known_on_the_next_connection() {
        let mut journey = journey("rtsp://edge/news");
        let basic = |journey: &Journey| journey.answers("c".into()).challenged("Basic realm=a", Had::None);
        assert_eq!(basic(&journey), Ok(()));
        journey.wants_hash = true;
        journey.begin_again();
        assert_eq!(basic(&journey), Err(NoUse::InClear));
    }

    #[test]
    fn whoever_is_led_to_is_in_the_world_and_the_config_says_who_is_asked() {
        let (mut journey, inside) = (journey("rtsp://edge/news"), IpAddr::from([10, 0, 0, 1]));
        assert!(journey.may_be_at(inside, |_| false), "the config says so");
        journey.follow("rtsp://inside/news", AT).expect("followed");
        assert!(!journey.may_be_at(inside, |_| false) && journey.may_be_at(AT, |_| false));
        assert_eq!(
            journey.leads_inside().to_string(),
            "the redirect to rtsp://inside is not followed: it leads to this machine, or into a network that its server is not in"
        );
        journey.begin_again();
        assert!(journey.may_be_at(inside, |_| false));
    }

    #[test]
    fn circles_strangers_and_long_ways_are_not_followed() {
        let why = |journey: &mut Journey, location: &str| match journey.follow(location, AT) {
            Err(Failure::Redirect(_, why)) => why,
            other => panic!("{location}: {other:?}"),
        };
        let mut one = journey("rtsps://edge/news");
        for (location, reason) in [
            ("rtsps://edge/news", "it leads in a circle"),
            ("rtsp://edge/news", "it leads out of TLS"),
            ("http://edge/news", "it is not RTSP"),
            ("rtsps:///news", "it names no host"),
            ("rtsps://[x/", "it is no URL"),
        ] {
            assert_eq!(why(&mut one, location), reason, "{location}");
        }
        let mut two = journey("rtsp://edge/0");
        (1..=MOST).for_each(|station| two.follow(&format!("/{station}"), AT).expect("followed"));
        assert_eq!(why(&mut two, "/3"), "it leads in a circle");
        assert_eq!(why(&mut two, "/9"), "it is one too many");
        assert_eq!(port(&Url::parse("rtsps://edge").expect("a URL")), 322);
    }
}
