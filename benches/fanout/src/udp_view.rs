//! Subscribers over UDP: registered at a server, or heard unasked.

use std::io::Result;

use crate::ledger::Ledger;
use crate::losses::{Losses, Lossy};
use crate::receive::{Options, View};
use crate::rtsp::{self, KeepAlive};
use crate::udp_sockets::UdpSockets;

/// All subscribers over UDP.
pub struct UdpView {
    sockets: UdpSockets,
    sessions: KeepAlive,
    losses: Option<Losses>,
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
        let (sessions, rtcp) = (KeepAlive::new(sessions), sockets.rtcp()?);
        let lossy = options.rtsp.filter(|_| options.lose > 0.0);
        let losses = lossy.map(|server| {
            let per_mille = (options.lose * 10.0).round() as u64;
            Losses::new(per_mille, *server.ip(), rtcp, sessions.server_rtcp_ports())
        });
        Ok(Self { sockets, sessions, losses })
    }
}

impl View for UdpView {
    fn drain(&mut self, now_ns: u64, ledger: &mut Ledger) -> Result<()> {
        match &mut self.losses {
            Some(losses) => {
                self.sockets.drain(&mut Lossy(losses, ledger))?;
                losses.ask(now_ns)?;
            }
            None => self.sockets.drain(ledger)?,
        }
        self.sessions.keep_alive(now_ns)
    }

    fn losses(&self) -> Option<&Losses> {
        self.losses.as_ref()
    }
}
