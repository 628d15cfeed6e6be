//! The front door: by which addresses clients come in, and what they find behind each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::arrival::Door;
use super::http::{HttpListener, Serves, Site, SiteConfig, Tunnels};
use super::listener::Listener;
use super::rtsp_listener::RtspListener;
use super::rtsp_server::RtspServer;
use super::tls::TlsListener;

/// All that listens leads here, so that the halves of a tunnel find each other whichever way they came in.
pub struct FrontDoor {
    server: Arc<RtspServer>,
    site: Option<Arc<Site>>,
    rtsp: Arc<dyn Door>,
    tunnels: Arc<dyn Door>,
    http: Arc<dyn Door>,
}

impl FrontDoor {
    /// One of a server, and of its site if it has one. Nobody comes in before it listens. `shares`: whatever listens takes RTSP,
    /// its tunnels and what the site serves, as its first bytes tell.
    pub fn new(server: Arc<RtspServer>, site: Option<Arc<Site>>, shares: bool) -> Self {
        let tunnels = Arc::new(Tunnels::new(server.clone()));
        let door = |serves| Arc::new(HttpListener::new(server.clone(), serves));
        let (beside_rtsp, alone) = match site.clone() {
            Some(site) if shares => (Serves::Both(tunnels, site.clone()), Serves::Site(site)),
            Some(site) => (Serves::Tunnels(tunnels), Serves::Site(site)),
            None => (Serves::Tunnels(tunnels.clone()), Serves::Tunnels(tunnels)),
        };
        let tunnels = door(beside_rtsp);
        let rtsp: Arc<dyn Door> = Arc::new(RtspListener::new(server.clone(), tunnels.clone()));
        let http = if shares { rtsp.clone() } else { door(alone) };
        Self { server, site, rtsp, tunnels, http }
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

    /// Serves RTSP at an address, and the tunnel.
    ///
    /// # Errors
    /// When the address can not be listened on; so it is with the others.
    pub fn listen_rtsp(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        let listener = Listener::open(self.server.clone(), self.rtsp.clone(), address)?;
        self.site.iter().for_each(|site| site.rtsp_is_at(listener.address().port(), false));
        Ok(listener)
    }

    /// The same through TLS.
    pub fn listen_rtsps(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        let listener = self.listen_tls(address, &self.rtsp)?;
        self.site.iter().for_each(|site| site.rtsp_is_at(listener.address().port(), true));
        Ok(listener)
    }

    /// Serves the tunnel at an address.
    pub fn listen_tunnels(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        Listener::open(self.server.clone(), self.tunnels.clone(), address)
    }

    /// Serves the site at an address.
    pub fn listen_http(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        Listener::open(self.server.clone(), self.http.clone(), address)
    }

    /// The same through TLS.
    pub fn listen_https(&self, address: SocketAddr) -> io::Result<Arc<Listener>> {
        self.listen_tls(address, &self.http)
    }

    fn listen_tls(&self, address: SocketAddr, door: &Arc<dyn Door>) -> io::Result<Arc<Listener>> {
        let certificates = self.server.config().certificates.clone();
        let certificates = certificates.ok_or_else(|| io::Error::other("there is no certificate"))?;
        let door = TlsListener::new(self.server.clone(), certificates, door.clone());
        Listener::open(self.server.clone(), Arc::new(door), address)
    }
}
