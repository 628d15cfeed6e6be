//! The way to a server: its name is looked up, one of its addresses chosen, and a connection begun.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::{is_of_this_machine, plain};
use crate::wire::rtsp::Url;

use super::dice::random;
use super::failure::Failure;
use super::figures::PullState;
use super::journey::port;
use super::link::Link;
use super::names::Addresses;
use super::stream::Stream;
use super::upstream::{Stage, State, Upstream};

/// A host is looked up for no longer.
const FIND_WITHIN: Duration = Duration::from_secs(10);
/// One that is known from before.
const FIND_AGAIN_WITHIN: Duration = Duration::from_millis(500);

impl Upstream {
    /// Looks up where the server is.
    pub(super) fn find(self: &Arc<Self>, state: &mut State, now: Instant) {
        self.figures.is(PullState::Connecting);
        state.tried_at = now;
        let host = host(state.journey.at());
        let this = self.clone();
        let asked_before = state.hosts.late(&host);
        let found = asked_before.unwrap_or_else(|| self.parts.names.find(&host, move || this.poke()));
        let within = if state.hosts.knows(&host) { FIND_AGAIN_WITHIN } else { FIND_WITHIN };
        state.stage = Stage::Finding(found, now + within);
    }

    /// Goes where the host is now; where that is not known in time, where it was.
    pub(super) fn found(self: &Arc<Self>, state: &mut State, answer: Option<Addresses>, now: Instant) {
        let host = host(state.journey.at());
        match answer {
            Some(Ok(addresses)) => state.hosts.learn(&host, addresses),
            Some(Err(_)) if state.hosts.knows(&host) => {}
            None if state.hosts.knows(&host) => {
                if let Stage::Finding(found, _) = &state.stage {
                    state.hosts.wait_no_longer(&host, found.clone());
                }
            }
            Some(Err(error)) => return self.fail(state, &Failure::Connect(error), now),
            None => {
                let late = "its host's name is looked up, without an answer".to_owned();
                return self.fail(state, &Failure::Connect(late), now);
            }
        }
        self.link(state, &host, now);
    }

    /// Connects to one of the addresses, another one each time.
    fn link(self: &Arc<Self>, state: &mut State, host: &str, now: Instant) {
        let State { journey, hosts, .. } = state;
        let Some(ip) = hosts.next(host, |ip: &IpAddr| journey.may_be_at(*ip, is_of_this_machine)) else {
            let inside = journey.leads_inside();
            return self.fail(state, &inside, now);
        };
        let until = now + state.patience.to_connect(self.demand.is_claimed());
        let server = SocketAddr::new(ip, port(state.journey.at()));
        match self.connect(state.journey.at(), server, until) {
            Ok(link) => {
                state.links += 1;
                state.stage = Stage::Linked(Box::new(link));
            }
            Err(failure) => self.fail(state, &failure, now),
        }
    }

    fn connect(&self, url: &Url, server: SocketAddr, until: Instant) -> Result<Link, Failure> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let tls = match (url.scheme(), &self.pull.trust) {
            ("rtsps", Some(trust)) => Some(trust.session(host).map_err(Failure::Tls)?),
            ("rtsps", None) => return Err(Failure::Tls("nobody is trusted".to_owned())),
            _ => None,
        };
        let connect = |error: std::io::Error| Failure::Connect(plain(&error));
        let stream = Stream::connect(server, tls).map_err(connect)?;
        Link::open(stream, server, random() as u32, &self.parts.poller, self.this.clone(), until)
            .map_err(connect)
    }
}

/// As it is known by.
pub(super) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_ascii_lowercase()
}
