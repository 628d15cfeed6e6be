//! Where clients come in: the addresses of the config, each with what is served there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::event::lock;
use crate::net;
use crate::serve::{FrontDoor, Listener, SiteConfig};

use super::super::config::Config;

/// All that is listened on.
pub struct Doors {
    front_door: FrontDoor,
    open: Mutex<Vec<Open>>,
    /// Sockets that were opened for these before this process began.
    kept: Mutex<Vec<(Place, TcpListener)>>,
}

/// An address as the config has it, and what is served there.
pub type Place = (SocketAddr, What);

/// An address that is listened on.
pub struct Open {
    /// As the config has it; its port may be 0.
    asked: SocketAddr,
    what: What,
    listener: Arc<Listener>,
}

/// What is served at an address, also in the words of an [upgrade](super::upgrade).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// RTSP.
    Rtsp,
    /// The same through TLS.
    Rtsps,
    /// RTSP over HTTP.
    Tunnels,
    /// A site.
    Http,
    /// The same through TLS.
    Https,
}

/// An address is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("listening on {address} for {purpose} failed: {error} ({})", remedy(error))]
pub struct NotListening {
    /// The address.
    pub address: SocketAddr,
    /// Who was to be reached there.
    pub purpose: &'static str,
    /// The kernel's answer.
    pub error: io::Error,
}

impl What {
    /// In the words of the log.
    fn purpose(self) -> &'static str {
        match self {
            Self::Rtsp => "RTSP",
            Self::Rtsps => "RTSP through TLS",
            Self::Tunnels => "RTSP over HTTP",
            Self::Http => "HTTP",
            Self::Https => "HTTP through TLS",
        }
    }
}

impl Doors {
    /// Nobody comes in yet. `kept` are sockets that were listened on before.
    pub fn new(front_door: FrontDoor, kept: Vec<(Place, TcpListener)>) -> Self {
        Self { front_door, open: Mutex::default(), kept: Mutex::new(kept) }
    }

    /// By which clients come in.
    pub fn front_door(&self) -> &FrontDoor {
        &self.front_door
    }

    /// The sockets that are listened on.
    pub fn sockets(&self) -> Vec<(Place, Arc<TcpListener>)> {
        let open = lock(&self.open);
        open.iter().filter_map(|open| Some(((open.asked, open.what), open.listener.socket().ok()?))).collect()
    }

    /// Listens where a config says and nobody does yet; what is opened is kept once it is [taken](Self::take). Where one of ours that the
    /// config names no longer is in the way, as it has the same port, it makes way.
    ///
    /// # Errors
    /// Which address is not to be had; all is as it was then.
    pub fn open(&self, config: &Config) -> Result<Vec<Open>, NotListening> {
        let wanted: Vec<_> = self.wanted(config).collect();
        let (mut opened, mut made_way) = (Vec::<Open>::new(), Vec::new());
        for (asked, what) in wanted.iter().copied() {
            if self.find(asked, what).is_some() {
                continue;
            }
            let mut listening = self.listen(asked, what);
            if listening.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) {
                made_way.extend(self.make_way(asked, &wanted));
                listening = self.listen(asked, what);
            }
            match listening {
                Ok(listener) => opened.push(Open { asked, what, listener }),
                Err(error) => {
                    opened.iter().for_each(|open| open.listener.stop());
                    made_way.iter().for_each(|before| self.open_again(before));
                    return Err(NotListening { address: asked, purpose: what.purpose(), error });
                }
            }
        }
        Ok(opened)
    }

    /// Closes ours that have the port of an address, and are wanted no more.
    fn make_way(&self, asked: SocketAddr, wanted: &[(SocketAddr, What)]) -> Vec<Open> {
        let mut open = lock(&self.open);
        let is_in_the_way =
            |open: &mut Open| open.asked.port() == asked.port() && !wanted.contains(&(open.asked, open.what));
        let gone: Vec<_> = open.extract_if(.., is_in_the_way).collect();
        gone.iter().for_each(|gone| gone.listener.stop());
        gone
    }

    fn open_again(&self, Open { asked, what, .. }: &Open) {
        match self.listen(*asked, *what) {
            Ok(listener) => lock(&self.open).push(Open { asked: *asked, what: *what, listener }),
            Err(error) => {
                tracing::error!(address = %asked, %error, "what made way for it can not be listened on again")
            }
        }
    }

    /// Has these besides those that a config still names; the others are closed. Who has come by them stays.
    pub fn take(&self, opened: Vec<Open>, config: &Config) {
        let wanted: Vec<_> = self.wanted(config).collect();
        for Open { what, listener, .. } in &opened {
            let (address, channels) = (listener.address(), config.channels.len());
            tracing::info!(%address, channels, "serving {}", what.purpose());
        }
        lock(&self.kept).clear(); // nobody asks for them any more
        let mut open = lock(&self.open);
        open.retain(|Open { asked, what, listener }| {
            let stays = wanted.contains(&(*asked, *what));
            if !stays {
                listener.stop();
                tracing::info!(address = %listener.address(), "served no longer: {}", what.purpose());
            }
            stays
        });
        open.extend(opened);
    }

    /// The site presents itself so from now on.
    pub fn present(&self, site: SiteConfig) {
        self.front_door.present(site);
    }

    /// All that is listened on.
    pub fn listeners(&self) -> Vec<Arc<Listener>> {
        lock(&self.open).iter().map(|open| open.listener.clone()).collect()
    }

    /// Nobody comes in any more.
    pub fn close(&self) {
        self.listeners().iter().for_each(|listener| listener.stop());
    }

    fn find(&self, asked: SocketAddr, what: What) -> Option<Arc<Listener>> {
        let open = lock(&self.open);
        open.iter().find(|open| (open.asked, open.what) == (asked, what)).map(|open| open.listener.clone())
    }

    fn listen(&self, address: SocketAddr, what: What) -> io::Result<Arc<Listener>> {
        let kept = lock(&self.kept).extract_if(.., |(place, _)| *place == (address, what)).next();
        let socket = kept.map_or_else(|| net::listen(address), |(_, socket)| Ok(socket))?;
        match what {
            What::Rtsp => self.front_door.listen_rtsp(socket),
            What::Rtsps => self.front_door.listen_rtsps(socket),
            What::Tunnels => self.front_door.listen_tunnels(socket),
            What::Http => self.front_door.listen_http(socket),
            What::Https => self.front_door.listen_https(socket),
        }
    }

    /// Where what is to be served, as far as it can be: TLS and a site are there from the start, or not at all.
    fn wanted<'c>(&self, config: &'c Config) -> impl Iterator<Item = (SocketAddr, What)> + use<'c> {
        let (has_tls, has_site) = (self.front_door.has_tls(), self.front_door.has_site());
        let can_be = move |what: &What| {
            let is_secret = matches!(what, What::Rtsps | What::Https);
            let is_of_site = matches!(what, What::Http | What::Https);
            (has_tls || !is_secret) && (has_site || !is_of_site)
        };
        addresses(config).filter(move |(_, what)| can_be(what))
    }
}

/// Where what is served.
fn addresses(config: &Config) -> impl Iterator<Item = (SocketAddr, What)> {
    let Config { rtsp, http, .. } = config;
    let of_rtsp = [
        (Some(&rtsp.listen), What::Rtsp),
        (rtsp.tls.as_ref().map(|tls| &tls.listen), What::Rtsps),
        (Some(&rtsp.http_listen), What::Tunnels),
    ];
    let of_http = [
        (http.as_ref().map(|http| &http.listen), What::Http),
        (http.as_ref().map(|http| &http.tls_listen), What::Https),
    ];
    let each = |(list, what): (Option<&'_ Vec<SocketAddr>>, _)| {
        list.cloned().unwrap_or_default().into_iter().map(move |address| (address, what))
    };
    of_rtsp.into_iter().chain(of_http).flat_map(each)
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port; `ss -lntp` tells which",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE",
        _ if is_limit(error) => "see the limits on threads and open files: ulimit -u, ulimit -n",
        _ => "see the address in the config",
    }
}

fn is_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN))
}
