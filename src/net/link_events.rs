//! What the kernel tells of links, addresses, routes and rules as they change (rtnetlink's multicast groups).

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::libc;

/// What is told of. Routes may lead to next hops that change on their own.
const GROUPS: [libc::c_uint; 8] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_RULE,
    RTNLGRP_NEXTHOP,
];
const RTNLGRP_NEXTHOP: libc::c_uint = 32;
/// What is longer than any message of a link.
const MESSAGE_BYTES: usize = 16 << 10;
/// Messages taken at once; a swarm is gone through in turns.
const MOST_MESSAGES: usize = 1024;

/// A socket that hears of changes. Its descriptor is readable when there are some.
pub struct LinkEvents {
    socket: Socket,
    links: Mutex<Links>,
}

/// What was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Anything at all, if only that more was told than fits.
    pub any: bool,
    /// The interfaces whose network may have forgotten who listens: the link came up, or an address of IPv4 where there was none.
    /// Of IPv6 the kernel tells the network itself.
    pub returned: Vec<u32>,
}

/// Interfaces as they were told of last.
#[derive(Debug, Default)]
struct Links {
    up: HashSet<u32>,
    /// Each with its addresses.
    addressed: HashMap<u32, HashSet<Vec<u8>>>,
}

impl LinkEvents {
    /// Hears from now on. An error where the program may not (a sandbox without netlink).
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        GROUPS.iter().try_for_each(|group| match socket.add_membership(*group) {
            // A kernel without IPv6 or next hops has no such group.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            told => told,
        })?;
        Ok(Self { socket, links: Mutex::default() })
    }

    /// Takes what was told since the last time.
    pub fn take(&self) -> io::Result<Changes> {
        let mut changes = Changes::default();
        let mut links = self.links();
        let mut message = Vec::with_capacity(MESSAGE_BYTES);
        for _ in 0..MOST_MESSAGES {
            message.clear();
            match self.socket.recv(&mut message, 0) {
                Ok(_) => links.read(&message, &mut changes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // More was told than fits, and some of it is lost.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    changes.any = true;
                    changes.returned.extend(mem::take(&mut *links).up); // any of them may have been away
                }
                Err(error) => return Err(error),
            }
        }
        Ok(changes)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    fn read(&mut self, message: &[u8], changes: &mut Changes) {
        changes.any = true;
        let Ok(message) = NetlinkBuffer::new_checked(message) else { return };
        // Both begin with 4 bytes of no interest here, and the index (struct ifinfomsg, struct ifaddrmsg).
        let (kind, payload) = (message.message_type(), message.payload());
        let four = |at: usize| Some(u32::from_ne_bytes(payload.get(at..at + 4)?.try_into().ok()?));
        let family = payload.first().copied().map(i32::from);
        match kind {
            // What a bridge says of its ports is of another family.
            libc::RTM_NEWLINK | libc::RTM_DELLINK if family == Some(libc::AF_UNSPEC) => {
                let (Some(index), Some(flags)) = (four(4), four(8)) else { return };
                let is_up = kind == libc::RTM_NEWLINK && flags & libc::IFF_LOWER_UP as u32 != 0;
                if !is_up {
                    self.up.remove(&index);
                } else if self.up.insert(index) {
                    changes.returns(index);
                }
                if kind == libc::RTM_DELLINK {
                    self.addressed.remove(&index);
                }
            }
            libc::RTM_NEWADDR | libc::RTM_DELADDR if family == Some(libc::AF_INET) => {
                let Some(index) = four(4) else { return };
                let address = payload.get(8..).and_then(address).unwrap_or_default();
                let addresses = self.addressed.entry(index).or_default();
                if kind == libc::RTM_DELADDR {
                    addresses.remove(&address);
                } else if addresses.insert(address) && addresses.len() == 1 {
                    changes.returns(index);
                }
            }
            _ => {}
        }
    }
}

impl Changes {
    fn returns(&mut self, index: u32) {
        if !self.returned.contains(&index) {
            self.returned.push(index);
        }
    }
}

/// The address among the attributes of a message about one (struct rtattr).
fn address(mut attributes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let [first, second, third, fourth, ..] = *attributes else { return None };
        let (length, kind) = (u16::from_ne_bytes([first, second]), u16::from_ne_bytes([third, fourth]));
        let value = attributes.get(4..usize::from(length))?;
        if kind == libc::IFA_LOCAL {
            return Some(value.to_vec());
        }
        attributes = attributes.get(usize::from(length).next_multiple_of(4)..)?;
    }
}

impl AsFd for LinkEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UP: u32 = libc::IFF_LOWER_UP as u32;

    fn message(kind: u16, family: i32, words: &[u32]) -> Vec<u8> {
        let mut message = (20 + 4 * words.len() as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend([family as u8, 0, 0, 0]);
        words.iter().for_each(|word| message.extend(word.to_ne_bytes()));
        message
    }

    fn returned(links: &mut Links, messages: &[Vec<u8>]) -> usize {
        let mut changes = Changes::default();
        messages.iter().for_each(|message| links.read(message, &mut changes));
        assert!(changes.any);
        assert!(changes.returned.iter().all(|index| *index == 7));
        changes.returned.len()
    }

    #[test]
    fn a_link_returns_when_it_comes_up_and_not_while_it_is() {
        let link = |is_up| message(libc::RTM_NEWLINK, libc::AF_UNSPEC, &[7, if is_up { UP | 1 } else { 1 }]);
        let (links, gone) = (&mut Links::default(), message(libc::RTM_DELLINK, libc::AF_UNSPEC, &[7, UP]));
        assert_eq!(returned(links, &[link(true)]), 1, "as far as is known");
        assert_eq!(returned(links, &[link(true)]), 0);
        assert_eq!(returned(links, &[link(false), link(true)]), 1, "within one look");
        let port = message(libc::RTM_DELLINK, libc::AF_BRIDGE, &[7, UP]);
        assert_eq!(returned(links, &[port, link(true)]), 0, "it left a bridge");
        assert_eq!(returned(links, &[gone]), 0);
        assert_eq!(returned(links, &[link(true)]), 1);
    }

    #[test]
    fn an_interface_returns_with_its_address() {
        let address = |kind| message(kind, libc::AF_INET, &[7]);
        let links = &mut Links::default();
        returned(links, &[address(libc::RTM_NEWADDR)]);
        assert_eq!(returned(links, &[address(libc::RTM_NEWADDR)]), 0, "it is good for longer");
        let both = [address(libc::RTM_DELADDR), address(libc::RTM_NEWADDR)];
        assert_eq!(returned(links, &both), 1);
        assert_eq!(returned(links, &[message(libc::RTM_NEWADDR, libc::AF_INET6, &[8])]), 0);
    }

    #[test]
    fn of_several_addresses_one_may_go_and_return_alone() {
        let local = u32::from(libc::IFA_LOCAL) << 16 | 8; // its length, on machines of this order of bytes
        let address = |kind, address| message(kind, libc::AF_INET, &[7, local.to_le(), address]);
        let links = &mut Links::default();
        assert_eq!(returned(links, &[address(libc::RTM_NEWADDR, 1), address(libc::RTM_NEWADDR, 2)]), 1);
        assert_eq!(returned(links, &[address(libc::RTM_DELADDR, 2), address(libc::RTM_NEWADDR, 2)]), 0);
        assert_eq!(returned(links, &[address(libc::RTM_DELADDR, 2), address(libc::RTM_DELADDR, 1)]), 0);
        assert_eq!(returned(links, &[address(libc::RTM_NEWADDR, 2)]), 1);
    }

    #[test]
    fn nothing_is_told_while_nothing_changes() {
        let events = LinkEvents::open().expect("netlink");
        events.take().expect("whatever has changed");
        assert_eq!(events.take().expect("nothing"), Changes::default());
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_a_change(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            Links::default().read(&bytes, &mut Changes::default());
        }
    }
}
