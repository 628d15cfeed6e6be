//! Subscribers over UDP: registered at a server, or heard unasked.

use std::io::Result;

use crate::ledger::Ledger;
use crate::receive::{Options, View};
use crate::rtsp::{self, KeepAlive};
use crate::udp_sockets::UdpSockets;

/// All subscribers over UDP.
pub struct UdpView {
    sockets: UdpSockets,
    sessions: KeepAlive,
}

impl UdpView {
    /// Opens the sockets and registers all subscribers, if there is a server to register at.
    pub fn open(options: &Options) -> Result<Self> {
        let sockets = UdpSockets::open()?;
        let sessions = match options.rtsp {
            Some(server) => {
                let wanted =
                    rtsp::subscriptions(server, options.transport, options.subscribers, options.channels);
                rtsp::register(server, wanted, options.transport)?
            }
            None => Vec::new(),
        };
        Ok(Self { sockets, sessions: KeepAlive::new(sessions) })
    }
}

impl View for UdpView {
    fn drain(&mut self, now_ns: u64, ledger: &mut Ledger) -> Result<()> {
        self.sockets.drain(ledger)?;
        self.sessions.keep_alive(now_ns)
    }
}
