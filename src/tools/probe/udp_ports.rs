//! The probe's UDP sockets: a pair for each track of each subscriber, found one after another.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;

use crate::net::{ServerPair, bind_pair};

/// The first port tried: below it sources and servers have their usual ones.
pub const FIRST_PORT: u16 = 10_000;
/// How many pairs there are at most.
pub const PAIRS: u32 = (u16::MAX as u32 + 1 - FIRST_PORT as u32) / 2;
/// Asked for on each RTP socket, so that a burst fits while others are read; the kernel may grant less.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Finds free pairs, for all workers.
pub struct UdpPorts {
    any: SocketAddr,
    next: Mutex<u16>,
}

impl UdpPorts {
    /// None is taken yet.
    pub fn new(ipv6: bool) -> Self {
        let any = if ipv6 { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
        Self { any: (any, 0).into(), next: Mutex::new(FIRST_PORT) }
    }

    /// Opens the next free pair; from the first port again when the last was passed.
    pub fn open(&self) -> io::Result<ServerPair> {
        let pair = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let found = bind_pair(self.any, Some(*next..=u16::MAX), &[])
                .or_else(|_| bind_pair(self.any, Some(FIRST_PORT..=u16::MAX), &[]))?;
            *next = found.port.checked_add(2).unwrap_or(FIRST_PORT);
            found
        };
        if setsockopt(&pair.rtp, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
            SockRef::from(&pair.rtp).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        setsockopt(&pair.rtp, sockopt::RxqOvfl, &1)?;
        Ok(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_and_the_next_and_never_the_same() {
        let ports = UdpPorts::new(false);
        let (one, other) = (ports.open().expect("a pair"), ports.open().expect("another"));
        assert!(one.port % 2 == 0 && other.port % 2 == 0 && one.port != other.port);
        *ports.next.lock().expect("no panic") = u16::MAX;
        assert!(ports.open().expect("found from the start again").port >= FIRST_PORT);
    }
}
