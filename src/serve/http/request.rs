//! A request of HTTP whose head was read, who asks, and what it may be answered.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use hyper::Method;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;

use crate::event::clock;

use super::super::access::{Account, Share};
use super::super::arrival::Arrival;
use super::super::guard::Acquaintance;
use super::super::journal::{Refused, Why};
use super::super::rtsp_server::RtspServer;
use super::super::stream::ByteStream;

/// Words of the log.
const NOT_SERVED: &str = "request over HTTP refused";

/// What requests over HTTP lead to.
pub(super) trait HttpService: Send + Sync {
    /// What a request is answered; its connection counts it.
    fn serve(self: Arc<Self>, request: Request) -> Answering;
}

/// An answer that may have to be waited for.
pub(super) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(super) enum Answer {
    /// This, after which the client may ask for more.
    Reply(Reply),
    /// The connection is another's from here, who says 200 by it.
    LeadOn(LeadOn),
}

/// Dropped where the client has gone meanwhile.
pub(super) type LeadOn = Box<dyn FnOnce(Arrival, Rest) + Send>;

pub(super) type Reply = hyper::Response<String>;

/// What has come of a client and is not read, as a part of what its address may have us hold.
pub(super) struct Rest {
    pub bytes: Vec<u8>,
    pub share: Share,
}

/// Who asks by one connection.
pub(super) struct Client {
    pub server: Arc<RtspServer>,
    pub peer: SocketAddr,
    /// Our address, as the client reached it.
    pub local: SocketAddr,
    pub account: Arc<Account>,
    pub stream: ByteStream,
    /// Who has logged in by it.
    pub known: Mutex<Acquaintance>,
}

pub(super) struct Request {
    pub client: Arc<Client>,
    pub head: Parts,
    /// What is asked for, as written.
    pub target: String,
}

impl Client {
    /// Tells the log of a request that is answered so.
    pub fn tell(&self, status: u16, reason: &'static str, request: Option<&Request>) {
        let why = Why { what: NOT_SERVED, status, reason };
        let method = request.map(Request::label);
        // Its query may have a token in it.
        let asked = request.map(|request| request.target.split(['?', '#']).next().unwrap_or_default());
        let agent = request.and_then(|request| request.header("User-Agent"));
        self.server.teller.refuse(&Refused { client: self.peer, why, method, asked, agent }, clock::now());
    }
}

impl Request {
    pub fn new(client: Arc<Client>, head: Parts) -> Self {
        let target = head.uri.to_string();
        Self { client, head, target }
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.head.headers.get(name)?.as_bytes()).ok().map(str::trim)
    }

    /// What joins the halves of a tunnel.
    pub fn cookie(&self) -> Option<&str> {
        self.header("x-sessioncookie").filter(|cookie| !cookie.is_empty())
    }

    /// Its method's word, in metrics and the log.
    pub fn label(&self) -> &'static str {
        match self.head.method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            _ => "other",
        }
    }
}

/// What was asked for, of this media type. Caches and proxies are told to keep nothing of it.
pub(super) fn reply(kind: &'static str, body: String) -> Reply {
    let mut reply = Reply::new(body);
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
