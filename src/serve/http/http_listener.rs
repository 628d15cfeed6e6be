//! The HttpListener: who comes by it speaks HTTP, or is said to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::http::turned_away;

use super::super::arrival::{Arrival, Door};
use super::super::rtsp_server::RtspServer;
use super::super::saying::SpeaksHttp;
use super::http_connection::HttpConnection;
use super::request::{Answering, HttpService, Request};
use super::site::Site;
use super::tunnels::Tunnels;

/// What is served at an address where HTTP is spoken.
#[derive(Clone)]
pub enum Serves {
    Tunnels(Arc<Tunnels>),
    Site(Arc<Site>),
    /// Both, told apart by the cookie that joins the halves of a tunnel.
    Both(Arc<Tunnels>, Arc<Site>),
}

impl HttpService for Serves {
    fn serve(self: Arc<Self>, request: Request) -> Answering {
        match &*self {
            Self::Tunnels(tunnels) => tunnels.clone().serve(request),
            Self::Both(tunnels, _) if request.cookie().is_some() => tunnels.clone().serve(request),
            Self::Site(site) | Self::Both(_, site) => site.clone().serve(request),
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
        turned_away(retry_after_s, since_1970)
    }
}

impl SpeaksHttp for HttpListener {
    fn take_on(&self, arrival: Arrival, bytes: Vec<u8>) -> io::Result<()> {
        HttpConnection::open(&self.server, &self.service, arrival, bytes)
    }
}
