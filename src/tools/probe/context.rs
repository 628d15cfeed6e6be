//! What a worker has for each of its subscribers in turn.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::epoll::Epoll;

use crate::net::ReceiveBatch;

use super::Plan;
use super::tally::Tally;
use super::udp_ports::UdpPorts;

/// What a worker lends its subscribers.
pub struct Context<'a> {
    /// What to probe.
    pub plan: &'a Plan,
    /// The server's address.
    pub server: SocketAddr,
    /// Where UDP sockets come from.
    pub ports: &'a UdpPorts,
    /// What the worker waits with.
    pub epoll: &'a Epoll,
    /// Room for datagrams.
    pub batch: ReceiveBatch,
    /// Room for a connection's bytes.
    pub scratch: Box<[u8]>,
    /// What is counted.
    pub tally: Tally,
    /// CLOCK_MONOTONIC.
    pub now: Duration,
}
