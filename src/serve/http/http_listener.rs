//! The HttpListener: who comes by it speaks HTTP, or is said to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::http::{Answer, Head};

use super::super::arrival::{Arrival, Door};
use super::super::rtsp_connection::SpeaksHttp;
use super::super::rtsp_server::RtspServer;
use super::http_connection::{HttpConnection, HttpService, Rest};
use super::site::Site;
use super::tunnels::Tunnels;

const TURNED_AWAY: Answer = Answer { status: 503, text: "There are too many connections." };

/// What is served at an address where HTTP is spoken.
#[derive(Clone)]
pub enum Serves {
    Tunnels(Arc<Tunnels>),
    Site(Arc<Site>),
    /// Both, told apart by the cookie that joins the halves of a tunnel.
    Both(Arc<Tunnels>, Arc<Site>),
}

impl HttpService for Serves {
    fn serve(&self, head: Head, rest: Rest, arrival: Arrival) -> Result<(), (Arrival, Answer)> {
        match self {
            Self::Tunnels(tunnels) => tunnels.serve(head, rest, arrival),
            Self::Site(site) => site.serve(head, rest, arrival),
            Self::Both(tunnels, _) if head.cookie.is_some() => tunnels.serve(head, rest, arrival),
            Self::Both(_, site) => site.serve(head, rest, arrival),
        }
    }
}

pub struct HttpListener {
    server: Arc<RtspServer>,
    service: Arc<dyn HttpService>,
}

impl HttpListener {
    pub fn new(server: Arc<RtspServer>, serves: Serves) -> Self {
        Self { server, service: Arc::new(serves) }
    }
}

impl Door for HttpListener {
    fn lead_in(&self, arrival: Arrival) -> io::Result<()> {
        HttpConnection::open(&self.server, &self.service, arrival, Vec::new())
    }

    fn turned_away(&self, retry_after_s: &str, since_1970: Duration) -> Vec<u8> {
        TURNED_AWAY.to_bytes(since_1970, &[("Retry-After", retry_after_s)])
    }
}

impl SpeaksHttp for HttpListener {
    fn take_on(&self, arrival: Arrival, bytes: Vec<u8>) -> io::Result<()> {
        HttpConnection::open(&self.server, &self.service, arrival, bytes)
    }
}
