//! The Site: what is served over HTTP beside tunnels. Channels and groups as transport streams, and lists of them.

use std::sync::Arc;

use hyper::Method;

use crate::event::clock;
use crate::relay::Channel;
use crate::wire::http::{Place, Resource};
use crate::wire::source_url::SourceUrl;

use super::super::rtsp_server::RtspServer;
use super::asked::Asked;
use super::presence::{Presence, SiteConfig};
use super::refusal::Refusal;
use super::request::{Answer, Answering, HttpService, Request};
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
    presence: Presence,
    groups: Option<Arc<dyn OpensGroups>>,
}

impl Site {
    /// One of a server; `groups` makes channels of those that are open.
    pub fn new(
        server: Arc<RtspServer>,
        config: SiteConfig,
        groups: Option<Arc<dyn OpensGroups>>,
    ) -> Arc<Self> {
        Arc::new(Self { server, presence: Presence::new(config), groups })
    }

    /// It presents itself so from now on.
    pub fn present(&self, config: SiteConfig) {
        self.presence.be(config);
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

    async fn answer(&self, request: &Request) -> Result<Answer, Refusal> {
        if !matches!(request.head.method, Method::GET | Method::HEAD) {
            return Err(Refusal::no_method("GET and HEAD are served here.", "GET, HEAD"));
        }
        let place = Place::parse(&request.target).map_err(|text| Refusal::of(400, text))?;
        let asked = Asked { presence: &self.presence, request, place };
        match &asked.place.resource {
            Resource::Channel(written) => viewing::watch(&asked, &self.name_of(written)).await,
            Resource::Group(source) => match self.channel_from(source) {
                Some(name) => viewing::watch(&asked, &name).await,
                None => self.open(&asked, source),
            },
            Resource::Description(name) => lists::describe(&asked, name, clock::now()),
            _ => lists::list(&asked, clock::now()),
        }
    }

    /// Has a group watched that no channel comes from.
    fn open(&self, asked: &Asked<'_>, source: &SourceUrl) -> Result<Answer, Refusal> {
        let Some((groups, name)) =
            self.groups.as_ref().and_then(|groups| Some((groups, groups.name(source)?)))
        else {
            let closed = "No channel comes from there, and groups are not open here: [http] open names those that are.";
            return Err(Refusal::of(403, closed));
        };
        asked.judge(&name, clock::now())?;
        if asked.is_head() {
            return Ok(viewing::that_it_is_there());
        }
        match groups.open(source) {
            Ok(channel) => viewing::begin(asked, channel),
            Err(NotOpened::Full) => Err(Refusal::of(503, "As many groups are open as there may be.")),
            Err(NotOpened::Barred) => Err(Refusal::of(403, "That group is not to be had.")),
        }
    }
}

impl HttpService for Site {
    fn serve(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move {
            let answer = self.answer(&request).await;
            answer.unwrap_or_else(|refusal| refusal.answer(&request))
        })
    }
}
