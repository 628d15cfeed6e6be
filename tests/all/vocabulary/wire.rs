//! What this machine tells the network of the groups that it wants, as a switch hears it: IGMPv2 (RFC 2236), IGMPv3
//! (RFC 3376) and MLDv2 (RFC 3810).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mirrorball::event::clock;
use mirrorball::net::interface_index;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::network::Plug;

/// The far end of an interface's cable.
pub struct Wire {
    socket: OwnedFd,
    index: usize,
}

/// What was told of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Wanted,
    Left,
}

impl Wire {
    /// Listens from now on.
    pub fn of(plug: &Plug) -> Self {
        Self::open(&plug.far(), SockProtocol::EthAll)
    }

    /// The same at an interface that much is sent by: to what comes in there alone, over IPv4.
    pub fn into(name: &str) -> Self {
        Self::open(name, SockProtocol::EthIp)
    }

    fn open(name: &str, protocol: SockProtocol) -> Self {
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .expect("root may listen");
        let patience = TimeVal::milliseconds(20);
        setsockopt(&socket, sockopt::ReceiveTimeout, &patience).expect("a socket");
        let index = interface_index(name).expect("plugged in");
        Self { socket, index: index as usize }
    }

    /// What is told next of a group.
    pub fn next(&self, group: IpAddr, patience: Duration) -> Option<Told> {
        let deadline = clock::now() + patience;
        let mut frame = vec![0; 2048];
        while clock::now() < deadline {
            let Ok((length, from)) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut frame) else {
                continue;
            };
            if from.is_none_or(|from| from.ifindex() != self.index) {
                continue;
            }
            let told = records(&frame[..length]).into_iter().rev().find(|(of, _)| *of == group);
            if let Some((_, told)) = told {
                return Some(told);
            }
        }
        None
    }

    /// Waits until a group is told of.
    #[track_caller]
    pub fn expect(&self, group: IpAddr, told: Told, patience: Duration) {
        let deadline = clock::now() + patience;
        while let Some(heard) = self.next(group, deadline.saturating_duration_since(clock::now())) {
            if heard == told {
                return;
            }
        }
        panic!("{group} is not told to be {told:?} within {patience:?}");
    }

    /// Whatever is told of a group until then.
    pub fn all(&self, group: IpAddr, patience: Duration) -> Vec<Told> {
        let deadline = clock::now() + patience;
        let left = || deadline.saturating_duration_since(clock::now());
        std::iter::from_fn(|| self.next(group, left())).collect()
    }

    /// Waits until what is told of a group has been told as often as it is repeated.
    pub fn settle(&self, group: IpAddr) {
        while self.next(group, Duration::from_millis(1500)).is_some() {}
    }
}

/// The groups that a frame tells of.
fn records(frame: &[u8]) -> Vec<(IpAddr, Told)> {
    match frame.get(12..14) {
        Some([0x08, 0x00]) if frame.get(23) == Some(&2) => {
            let header = usize::from(frame[14] & 15) * 4;
            igmp(frame.get(14 + header..).unwrap_or_default())
        }
        // The router alert stands before ICMPv6.
        Some([0x86, 0xdd]) if frame.get(20) == Some(&0) && frame.get(54) == Some(&58) => {
            let options = (usize::from(frame[55]) + 1) * 8;
            mld(frame.get(54 + options..).unwrap_or_default())
        }
        _ => Vec::new(),
    }
}

fn igmp(message: &[u8]) -> Vec<(IpAddr, Told)> {
    match (message, message.get(4..8).and_then(|group| <[u8; 4]>::try_from(group).ok())) {
        ([0x16, ..], Some(group)) => vec![(Ipv4Addr::from(group).into(), Told::Wanted)],
        ([0x17, ..], Some(group)) => vec![(Ipv4Addr::from(group).into(), Told::Left)],
        ([0x22, ..], _) => {
            changes(message, 4, |group| Some(Ipv4Addr::from(<[u8; 4]>::try_from(group).ok()?).into()))
        }
        _ => Vec::new(),
    }
}

fn mld(message: &[u8]) -> Vec<(IpAddr, Told)> {
    if message.first() != Some(&143) {
        return Vec::new();
    }
    changes(message, 16, |group| Some(Ipv6Addr::from(<[u8; 16]>::try_from(group).ok()?).into()))
}

/// The group records of a report; both versions write them alike, but for the size of an address.
fn changes(report: &[u8], size: usize, address: fn(&[u8]) -> Option<IpAddr>) -> Vec<(IpAddr, Told)> {
    let mut found = Vec::new();
    let mut rest = report.get(8..).unwrap_or_default();
    while let [kind, auxiliary, high, low, after @ ..] = rest {
        let sources = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(group) = after.get(..size).and_then(address) else { break };
        let told = match kind {
            3 if sources == 0 => Told::Left,
            6 => Told::Left,
            _ => Told::Wanted,
        };
        found.push((group, told));
        let length = size * (1 + sources) + 4 * usize::from(*auxiliary);
        rest = after.get(length..).unwrap_or_default();
    }
    found
}
