//! The RtspListener: who comes by it speaks RTSP, unless HTTP is what is heard first.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::rtsp::{Reply, StatusCode};

use super::arrival::{Arrival, Door};
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::saying::{Says, SpeaksHttp};

pub(super) struct RtspListener {
    server: Arc<RtspServer>,
    http: Arc<dyn SpeaksHttp>,
}

impl RtspListener {
    pub fn new(server: Arc<RtspServer>, http: Arc<dyn SpeaksHttp>) -> Self {
        Self { server, http }
    }
}

impl Door for RtspListener {
    fn lead_in(&self, arrival: Arrival) -> io::Result<()> {
        let (server, http) = (self.server.clone(), Some(self.http.clone()));
        RtspConnection::open(server, arrival, Says::Something(Vec::new()), http).map(drop)
    }

    fn turned_away(&self, retry_after_s: &str, since_1970: Duration) -> Vec<u8> {
        let reply = Reply::new(StatusCode::ServiceUnavailable, None).date(since_1970);
        reply.header("Retry-After", retry_after_s).to_bytes()
    }
}
