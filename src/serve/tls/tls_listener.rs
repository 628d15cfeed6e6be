//! The TlsListener: who comes by it shakes hands first, and is then led through another door.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::super::arrival::{Arrival, Door};
use super::super::certificates::Certificates;
use super::super::rtsp_server::RtspServer;
use super::handshake::Handshake;

pub struct TlsListener {
    server: Arc<RtspServer>,
    certificates: Arc<Certificates>,
    behind: Arc<dyn Door>,
}

impl TlsListener {
    pub fn new(server: Arc<RtspServer>, certificates: Arc<Certificates>, behind: Arc<dyn Door>) -> Self {
        Self { server, certificates, behind }
    }
}

impl Door for TlsListener {
    fn lead_in(&self, arrival: Arrival) -> io::Result<()> {
        Handshake::begin(&self.server, &self.certificates, arrival, self.behind.clone())
    }

    /// Nothing can be said before a handshake.
    fn turned_away(&self, _: &str, _: Duration) -> Vec<u8> {
        Vec::new()
    }
}
