//! The Site: what is served over HTTP beside tunnels. Channels and groups as transport streams, and lists of them.

use std::sync::Arc;
use std::time::Instant;

use crate::event::clock;
use crate::relay::Channel;
use crate::wire::http::{Answer, Head, Method, Place, Resource};
use crate::wire::source_url::SourceUrl;

use super::super::arrival::Arrival;
use super::super::rtsp_server::RtspServer;
use super::asked::{Asked, Refusal};
use super::http_connection::{HttpService, Rest};
use super::outgoing::Outgoing;
use super::presence::{Presence, SiteConfig};
use super::{lists, viewing};

/// Who makes channels of groups that are asked for.
pub trait OpensGroups: Send + Sync {
    /// The channel of a group, for somebody who will watch it at once, and what it is called.
    ///
    /// # Errors
    /// Why there is none.
    fn open(&self, source: &SourceUrl) -> Result<Arc<Channel>, NotOpened>;

    /// What its channel is called, whether or not there is one; `None`: there may not be.
    fn name(&self, source: &SourceUrl) -> Option<String>;
}

/// Why a group is no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// There are as many as there may be.
    Full,
    /// It would come back in, or is taken otherwise.
    Barred,
}

/// What a server serves so.
pub struct Site {
    server: Arc<RtspServer>,
    presence: Arc<Presence>,
    groups: Option<Arc<dyn OpensGroups>>,
}

impl Site {
    /// One of a server; `groups` makes channels of those that are open.
    pub fn new(
        server: Arc<RtspServer>,
        config: SiteConfig,
        groups: Option<Arc<dyn OpensGroups>>,
    ) -> Arc<Self> {
        Arc::new(Self { server, presence: Arc::new(Presence::new(config)), groups })
    }

    /// RTSP is served at this port too.
    pub fn rtsp_is_at(&self, port: u16, is_secret: bool) {
        self.presence.rtsp_is_at(port, is_secret);
    }

    /// What a channel is called that is asked for so.
    fn name_of(&self, written: &str) -> String {
        let is_there = |name: &str| {
            let catalogue = &self.server.catalogue;
            catalogue.expected(name).is_some() || catalogue.find(name).is_some()
        };
        let shorter = written.strip_suffix(".ts").filter(|_| !is_there(written));
        shorter.unwrap_or(written).to_owned()
    }

    /// The channel that comes from a group.
    fn channel_from(&self, source: &SourceUrl) -> Option<String> {
        let is_from = |channel: &Arc<Channel>| {
            let presentation = channel.presentation();
            presentation.tracks.iter().flat_map(|track| &track.feeds).any(|feed| {
                let is_same = (feed.group, feed.port) == (source.group, source.port);
                is_same && (source.filter.named().is_empty() || source.filter == feed.filter)
            })
        };
        self.server.catalogue.channels().into_iter().find(is_from).map(|channel| channel.name.clone())
    }

    fn answer(&self, asked: Asked) {
        let now = clock::now();
        if !matches!(asked.head.method, Method::Get | Method::Head) {
            return asked
                .refuse(Refusal::of(405, "GET and HEAD are served here.").header("Allow", "GET, HEAD"));
        }
        match &asked.place.resource {
            Resource::Channel(written) => {
                let name = self.name_of(written);
                viewing::watch(asked, name, now);
            }
            Resource::Group(source) => {
                let source = source.clone();
                self.watch_group(asked, &source, now);
            }
            Resource::Description(written) => {
                let name = written.clone();
                lists::describe(&asked, &name, now);
            }
            _ => lists::list(&asked, now),
        }
    }

    fn watch_group(&self, asked: Asked, source: &SourceUrl, now: Instant) {
        if let Some(name) = self.channel_from(source) {
            return viewing::watch(asked, name, now);
        }
        let Some((groups, name)) =
            self.groups.as_ref().and_then(|groups| Some((groups, groups.name(source)?)))
        else {
            let closed = "No channel comes from there, and groups are not open here: [http] open names those that are.";
            return asked.refuse(Refusal::of(403, closed));
        };
        if let Err(refusal) = asked.judge(&name, now) {
            return asked.refuse(refusal);
        }
        if asked.is_head() {
            return viewing::say_that_it_is_there(&asked);
        }
        match groups.open(source) {
            Ok(channel) => viewing::begin(&asked, channel, now),
            Err(NotOpened::Full) => {
                asked.refuse(Refusal::of(503, "As many groups are open as there may be."))
            }
            Err(NotOpened::Barred) => asked.refuse(Refusal::of(403, "That group is not to be had.")),
        }
    }
}

impl HttpService for Site {
    fn serve(&self, head: Head, rest: Rest, arrival: Arrival) -> Result<(), (Arrival, Answer)> {
        drop(rest); // a body that nobody asked for
        let place = match Place::parse(&head.target) {
            Ok(place) => place,
            Err(text) => return Err((arrival, Answer { status: 400, text })),
        };
        let peer = arrival.peer;
        match Outgoing::of(&self.server, arrival) {
            Ok(out) => self.answer(Asked { presence: self.presence.clone(), out, head, place }),
            Err(error) => tracing::debug!(%peer, %error, "a client of HTTP could not be served"),
        }
        Ok(())
    }
}
