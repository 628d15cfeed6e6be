//! The front door: by which addresses clients come in, and what they find behind each.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use super::arrival::Door;
use super::http::{HttpListener, Serves, Site, SiteConfig, Tunnels};
use super::listener::Listener;
use super::rtsp_listener::RtspListener;
use super::rtsp_server::RtspServer;
use super::saying::SpeaksHttp;
use super::tls::TlsListener;

/// All that listens leads here, so that the halves of a tunnel find each other whichever way they came in.
pub struct FrontDoor {
    server: Arc<RtspServer>,
    site: Option<Arc<Site>>,
    rtsp: Arc<dyn Door>,
    tunnels: Arc<HttpListener>,
    halves: Arc<Tunnels>,
    http: Arc<dyn Door>,
}

impl FrontDoor {
    /// One of a server, and of its site if it has one. Nobody comes in before it listens. `shares`: whatever listens takes RTSP,
    /// its tunnels and what the site serves, as its first bytes tell.
    pub fn new(server: Arc<RtspServer>, site: Option<Arc<Site>>, shares: bool) -> Self {
        let tunnels = Arc::new(Tunnels::new(server.clone()));
        let halves = tunnels.clone();
        let door = |serves| Arc::new(HttpListener::new(server.clone(), serves));
        let (beside_rtsp, alone) = match site.clone() {
            Some(site) if shares => (Serves::Both(tunnels, site.clone()), Serves::Site(site)),
            Some(site) => (Serves::Tunnels(tunnels), Serves::Site(site)),
            None => (Serves::Tunnels(tunnels.clone()), Serves::Tunnels(tunnels)),
        };
        let tunnels = door(beside_rtsp);
        let rtsp: Arc<dyn Door> = Arc::new(RtspListener::new(server.clone(), tunnels.clone()));
        let http: Arc<dyn Door> = if shares { rtsp.clone() } else { door(alone) };
        Self { server, site, rtsp, tunnels, halves, http }
    }

    /// Whose it is.
    pub(super) fn server(&self) -> &Arc<RtspServer> {
        &self.server
    }

    /// Who takes on those that turn out to speak HTTP where RTSP is served.
    pub(super) fn speaks_http(&self) -> Arc<dyn SpeaksHttp> {
        self.tunnels.clone()
    }

    /// All tunnels, whichever way they came in.
    pub(super) fn halves(&self) -> &Tunnels {
        &self.halves
    }

    /// Whether it can serve through TLS, which is decided before anybody listens.
    pub fn has_tls(&self) -> bool {
        self.server.config().certificates.is_some()
    }

    /// The same of the site.
    pub fn has_site(&self) -> bool {
        self.site.is_some()
    }

    /// The site presents itself so from now on.
    pub fn present(&self, config: SiteConfig) {
        self.site.iter().for_each(|site| site.present(config.clone()));
    }

    /// Serves RTSP at a socket's address, and the tunnel.
    ///
    /// # Errors
    /// When the socket can not be polled; so it is with the others.
    pub fn listen_rtsp(&self, socket: TcpListener) -> io::Result<Arc<Listener>> {
        let listener = Listener::open(self.server.clone(), self.rtsp.clone(), socket)?;
        self.site.iter().for_each(|site| site.rtsp_is_at(listener.address().port(), false));
        Ok(listener)
    }

    /// The same through TLS.
    pub fn listen_rtsps(&self, socket: TcpListener) -> io::Result<Arc<Listener>> {
        let listener = self.listen_tls(socket, &self.rtsp)?;
        self.site.iter().for_each(|site| site.rtsp_is_at(listener.address().port(), true));
        Ok(listener)
    }

    /// Serves the tunnel at a socket's address.
    pub fn listen_tunnels(&self, socket: TcpListener) -> io::Result<Arc<Listener>> {
        Listener::open(self.server.clone(), self.tunnels.clone(), socket)
    }

    /// Serves the site at a socket's address.
    pub fn listen_http(&self, socket: TcpListener) -> io::Result<Arc<Listener>> {
        Listener::open(self.server.clone(), self.http.clone(), socket)
    }

    /// The same through TLS.
    pub fn listen_https(&self, socket: TcpListener) -> io::Result<Arc<Listener>> {
        self.listen_tls(socket, &self.http)
    }

    fn listen_tls(&self, socket: TcpListener, door: &Arc<dyn Door>) -> io::Result<Arc<Listener>> {
        let certificates = self.server.config().certificates.clone();
        let certificates = certificates.ok_or_else(|| io::Error::other("there is no certificate"))?;
        let door = TlsListener::new(self.server.clone(), certificates, door.clone());
        Listener::open(self.server.clone(), Arc::new(door), socket)
    }
}
