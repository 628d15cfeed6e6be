//! The front door: by which addresses clients come in, and what they find behind each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::arrival::Door;
use super::http::HttpListener;
use super::listener::Listener;
use super::rtsp_listener::RtspListener;
use super::rtsp_server::RtspServer;
use super::tls::TlsListener;

/// All that listens leads here, so that the halves of a tunnel find each other whichever way they came in.
pub struct FrontDoor {
    server: Arc<RtspServer>,
    rtsp: Arc<dyn Door>,
    http: Arc<dyn Door>,
}

impl FrontDoor {
    /// One of a server. Nobody comes in before it listens.
    pub fn new(server: Arc<RtspServer>) -> Self {
        let http = Arc::new(HttpListener::new(server.clone()));
        let rtsp = Arc::new(RtspListener::new(server.clone(), http.clone()));
        Self { server, rtsp, http }
    }

    /// Serves RTSP at an address, and the tunnel.
    ///
    /// # Errors
    /// When the address can not be listened on; so it is with the others.
    pub fn listen_rtsp(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        Listener::open(self.server.clone(), self.rtsp.clone(), address)
    }

    /// The same through TLS.
    pub fn listen_rtsps(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        let certificates = self.server.config.certificates.clone();
        let certificates = certificates.ok_or_else(|| io::Error::other("there is no certificate"))?;
        let door = TlsListener::new(self.server.clone(), certificates, self.rtsp.clone());
        Listener::open(self.server.clone(), Arc::new(door), address)
    }

    /// Serves the tunnel at an address.
    pub fn listen_http(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        Listener::open(self.server.clone(), self.http.clone(), address)
    }
}
