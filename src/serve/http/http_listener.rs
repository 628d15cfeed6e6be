//! The HttpListener: who comes by it speaks HTTP, or is said to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::http::Answer;

use super::super::arrival::{Arrival, Door};
use super::super::rtsp_connection::SpeaksHttp;
use super::super::rtsp_server::RtspServer;
use super::http_connection::{HttpConnection, HttpService};
use super::tunnels::Tunnels;

const TURNED_AWAY: Answer = Answer { status: 503, text: "There are too many connections." };

pub struct HttpListener {
    server: Arc<RtspServer>,
    service: Arc<dyn HttpService>,
}

impl HttpListener {
    pub fn new(server: Arc<RtspServer>) -> Self {
        let service = Arc::new(Tunnels::new(server.clone()));
        Self { server, service }
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
