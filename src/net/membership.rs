//! Receive sockets: one port, many multicast groups, and nothing that was not asked for.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::address::RawAddress;
use super::buffers::{QueueFill, ask_to_receive, queue_fill};

/// A multicast group as it is joined: where, and from whom. Or an address of this machine, which takes no joining; unspecified,
/// it is any of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// Where packets are sent.
    pub address: IpAddr,
    /// The one sender to receive from (SSM, RFC 4607); any sender when absent.
    pub source: Option<IpAddr>,
    /// Where any sender is meant, those who are not.
    pub except: Vec<IpAddr>,
    /// The interface's index; 0 lets the kernel's route decide.
    pub interface: u32,
}

/// Why a group was not joined.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// This socket takes no more groups, or not this one beside those it has; another socket will.
    #[error("joining {group} failed: {error}{}", remedy(error))]
    SocketFull {
        /// The group.
        group: IpAddr,
        /// The kernel's answer.
        error: io::Error,
    },
    /// The interface or route is not there (yet).
    #[error("joining {group} failed: {error} (is the interface up, and is there a route for multicast?)")]
    Join {
        /// The group.
        group: IpAddr,
        /// The kernel's answer.
        error: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::ENOMEM) => {
            " (not even a fresh socket may join; raise sysctl net.ipv4.igmp_max_memberships, igmp_max_msf for many named sources, \
             and net.core.optmem_max)"
        }
        _ => "",
    }
}

/// A UDP socket bound to a port: of all addresses, to be joined to groups, or of one of this machine's.
#[derive(Debug)]
pub struct ReceiveSocket {
    socket: Socket,
}

impl ReceiveSocket {
    /// Binds the port of what is sent to `address`. Of groups only packets of those that are joined arrive (and stray unicast):
    /// IP_MULTICAST_ALL is off. Each datagram tells its destination, and drops in the kernel are counted.
    pub fn bind(port: u16, address: IpAddr) -> io::Result<Self> {
        Self::open(SocketAddr::new(bound_for(address), port), true)
    }

    /// The same, taking nothing from others: of a group what is sent to that group alone, of an address of this machine nothing
    /// where somebody has the port.
    pub fn bind_beside_others(port: u16, group: &Group) -> io::Result<Self> {
        let is_group = group.address.is_multicast();
        let at = match group.address {
            IpAddr::V6(address) if is_group => SocketAddrV6::new(address, port, 0, group.interface).into(),
            address => SocketAddr::new(address, port),
        };
        Self::open(at, is_group)
    }

    fn open(at: SocketAddr, is_shared: bool) -> io::Result<Self> {
        let ipv6 = at.is_ipv6();
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        socket.set_reuse_address(is_shared)?;
        if ipv6 {
            socket.set_only_v6(true)?;
            socket.set_multicast_all_v6(false)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            socket.set_multicast_all_v4(false)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        // Neighbours of a burst may come merged; a kernel before 5.0 does not offer it.
        let _ = setsockopt(&socket, sockopt::UdpGroSegment, &true);
        socket.bind(&at.into())?;
        Ok(Self { socket })
    }

    /// Asks for a receive buffer of `bytes` and returns what the kernel granted, in the same measure.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<usize> {
        ask_to_receive(&self.socket, bytes)
    }

    /// How full its queue is. `None`: the kernel does not tell.
    pub fn fill(&self) -> Option<QueueFill> {
        queue_fill(&self.socket)
    }

    /// Joins a group (RFC 3678 section 5, the protocol-independent calls).
    pub fn join(&self, group: &Group) -> Result<(), MembershipError> {
        if !group.address.is_multicast() {
            return Ok(());
        }
        let option = match group.source {
            Some(_) => libc::MCAST_JOIN_SOURCE_GROUP,
            None => libc::MCAST_JOIN_GROUP,
        };
        self.membership(group, group.source, option).map_err(|error| {
            let group = group.address;
            match error.raw_os_error() {
                Some(libc::ENOBUFS | libc::ENOMEM | libc::EADDRINUSE | libc::EINVAL) => {
                    MembershipError::SocketFull { group, error }
                }
                _ => MembershipError::Join { group, error },
            }
        })?;
        // Those beyond the kernel's limit (net.ipv4.igmp_max_msf) arrive, and are for the caller to tell apart.
        let block = |source: &IpAddr| self.membership(group, Some(*source), libc::MCAST_BLOCK_SOURCE).is_ok();
        let _ = group.except.iter().all(block);
        Ok(())
    }

    /// Leaves a group.
    pub fn leave(&self, group: &Group) -> io::Result<()> {
        if !group.address.is_multicast() {
            return Ok(());
        }
        let option = match group.source {
            Some(_) => libc::MCAST_LEAVE_SOURCE_GROUP,
            None => libc::MCAST_LEAVE_GROUP,
        };
        self.membership(group, group.source, option)
    }

    fn membership(&self, group: &Group, source: Option<IpAddr>, option: libc::c_int) -> io::Result<()> {
        let level = if group.address.is_ipv6() { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP };
        let gr_group = storage(group.address);
        match source {
            Some(source) => {
                let gsr_source = storage(source);
                let request = libc::group_source_req {
                    gsr_interface: group.interface,
                    gsr_group: gr_group,
                    gsr_source,
                };
                self.set(level, option, &request)
            }
            None => self.set(level, option, &libc::group_req { gr_interface: group.interface, gr_group }),
        }
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let size = mem::size_of::<T>() as libc::socklen_t;
        // SAFETY: `value` is a live, fully written plain C struct of `size` bytes, only read by the call.
        let result = unsafe {
            libc::setsockopt(self.socket.as_raw_fd(), level, option, (&raw const *value).cast(), size)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// The address that a socket is bound to for what is sent to another.
pub fn bound_for(address: IpAddr) -> IpAddr {
    if address.is_multicast() { any_beside(address) } else { address }
}

/// The unspecified address of the same family.
pub fn any_beside(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

impl AsFd for ReceiveSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

pub(super) fn storage(ip: IpAddr) -> libc::sockaddr_storage {
    let raw = RawAddress::new(SocketAddr::new(ip, 0));
    // SAFETY: sockaddr_storage is plain bytes, for which zeros are valid; it is larger than either
    // member of RawAddress and aligned for both, so the copy of `raw` stays within it.
    unsafe {
        let mut storage: libc::sockaddr_storage = mem::zeroed();
        (&raw mut storage).cast::<RawAddress>().write(raw);
        storage
    }
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
