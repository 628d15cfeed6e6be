//! Where the programme goes.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Where the programme goes. RTCP goes to the port above each, so ports are even.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgrammeConfig {
    /// Group and port of the picture.
    pub video: SocketAddrV4,
    /// Group and port of the tone.
    pub audio: SocketAddrV4,
    /// An address of the interface to send on.
    pub interface: Ipv4Addr,
}

impl Default for ProgrammeConfig {
    /// Two administratively scoped groups (RFC 2365) on the loopback interface.
    fn default() -> Self {
        Self {
            video: SocketAddrV4::new(Ipv4Addr::new(239, 255, 66, 1), 15004),
            audio: SocketAddrV4::new(Ipv4Addr::new(239, 255, 66, 2), 15008),
            interface: Ipv4Addr::LOCALHOST,
        }
    }
}
