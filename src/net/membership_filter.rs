//! The filter of a membership turned round for a moment, so that the kernel tells the network of the group anew, and in the mode that
//! it is back in: it looks at the mode as it writes the report, some milliseconds later (RFC 3376, 5.1; RFC 3810, 6.1). So the group
//! is not left, not even on the wire. By IGMPv2 and MLDv1, which know no filters, nothing is told.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

use super::membership::{Group, ReceiveSocket, storage};

/// linux/in.h
const MCAST_MSFILTER: libc::c_int = 48;
const MCAST_EXCLUDE: u32 = 0;
const MCAST_INCLUDE: u32 = 1;
/// What net.ipv6.mld_max_msf allows unless it was raised; of IPv4 it is 10.
const MOST_SOURCES: usize = 64;
/// Who never sends (RFC 5737, RFC 3849). A list of nobody would leave the group.
const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// struct group_filter, RFC 3678 section 5.2.
#[repr(C)]
struct Filter {
    interface: u32,
    group: libc::sockaddr_storage,
    mode: u32,
    count: u32,
    sources: [libc::sockaddr_storage; MOST_SOURCES],
}

/// A filter that is turned round, and as it was.
pub struct Turned(Box<Filter>);

/// Somebody here means any sender of a group, for a moment: where all others name theirs the network is told of these anew as that is
/// over, and the sockets that they come by are not touched.
pub fn mean_any(group: &Group) -> io::Result<()> {
    let any = Group { source: None, except: Vec::new(), ..group.clone() };
    // It leaves as it is closed, which is at once.
    ReceiveSocket::bind(0, group.address)?.join(&any).map_err(io::Error::other)
}

impl ReceiveSocket {
    /// Turns the filter of a group that is joined for any sender group round; [`turn_back`](Self::turn_back) is to follow at once. Meanwhile only packets of
    /// these come. Where it fails nothing was changed.
    pub fn turn(&self, group: &Group, senders: &[IpAddr]) -> io::Result<Turned> {
        let before = self.filter(group)?;
        let mut other = Box::new(Filter { count: 0, mode: MCAST_INCLUDE, ..*before });
        let nobody = if group.address.is_ipv4() { &NOBODY[..1] } else { &NOBODY[1..] };
        let senders = if senders.is_empty() { nobody } else { senders };
        for (place, sender) in other.sources.iter_mut().zip(senders) {
            *place = storage(*sender);
            other.count += 1;
        }
        self.set_filter(group, &other)?;
        Ok(Turned(before))
    }

    /// Turns it back. Where that fails the group is to be left, and joined again.
    pub fn turn_back(&self, group: &Group, turned: &Turned) -> io::Result<()> {
        self.set_filter(group, &turned.0)
    }

    fn filter(&self, group: &Group) -> io::Result<Box<Filter>> {
        let mut filter = Box::new(Filter {
            interface: group.interface,
            group: storage(group.address),
            mode: MCAST_EXCLUDE,
            count: MOST_SOURCES as u32,
            sources: [storage(group.address); MOST_SOURCES],
        });
        let mut length = mem::size_of::<Filter>() as libc::socklen_t;
        let (fd, level) = (self.as_fd().as_raw_fd(), level(group));
        // SAFETY: `filter` is a live plain C struct of `length` bytes whose `count` says how many sources there is room for, and
        // `length` a live integer; the call writes no more than that.
        let result = unsafe {
            libc::getsockopt(fd, level, MCAST_MSFILTER, (&raw mut *filter).cast(), &raw mut length)
        };
        match result {
            0 if filter.count as usize > MOST_SOURCES => Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
            0 => Ok(filter),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn set_filter(&self, group: &Group, filter: &Filter) -> io::Result<()> {
        let unused = MOST_SOURCES - filter.count as usize;
        let length = mem::size_of::<Filter>() - unused * mem::size_of::<libc::sockaddr_storage>();
        let (fd, level) = (self.as_fd().as_raw_fd(), level(group));
        // SAFETY: `filter` is a live, fully written plain C struct of `length` bytes or more, only read by the call.
        let result = unsafe {
            libc::setsockopt(
                fd,
                level,
                MCAST_MSFILTER,
                (&raw const *filter).cast(),
                length as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn level(group: &Group) -> libc::c_int {
    if group.address.is_ipv6() { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::interface_index;

    fn joined(address: &str, source: Option<&str>, except: &[&str]) -> (ReceiveSocket, Group) {
        let ip = |text: &str| text.parse().expect("an address");
        let group = Group {
            address: ip(address),
            source: source.map(ip),
            except: except.iter().map(|except| ip(except)).collect(),
            interface: interface_index("lo").expect("loopback"),
        };
        let socket = ReceiveSocket::bind(0, group.address).expect("a socket");
        socket.join(&group).expect("loopback takes groups");
        (socket, group)
    }

    fn mode(socket: &ReceiveSocket, group: &Group) -> (u32, u32) {
        let filter = socket.filter(group).expect("it is joined");
        (filter.mode, filter.count)
    }

    #[test]
    fn a_filter_is_turned_round_and_back_to_what_it_was() {
        let (exclude, include) = (MCAST_EXCLUDE, MCAST_INCLUDE);
        for (address, except, was, meanwhile) in [
            ("239.77.64.1", &[][..], (exclude, 0), (include, 2)),
            ("239.77.64.2", &["127.0.0.7"], (exclude, 1), (include, 2)),
        ] {
            let (socket, group) = joined(address, None, except);
            assert_eq!(mode(&socket, &group), was);
            let senders = ["127.0.0.8", "127.0.0.9"].map(|sender| sender.parse().expect("an address"));
            let turned = socket.turn(&group, &senders).expect("it is joined");
            assert_eq!(mode(&socket, &group), meanwhile);
            socket.turn_back(&group, &turned).expect("it was so");
            assert_eq!(mode(&socket, &group), was);
        }
    }

    #[test]
    fn what_others_are_joined_on_stays_as_it_is_while_any_is_meant() {
        let (socket, group) = joined("232.77.64.3", Some("127.0.0.7"), &[]);
        mean_any(&group).expect("loopback takes groups");
        assert_eq!(mode(&socket, &group), (MCAST_INCLUDE, 1));
    }

    #[test]
    fn a_group_of_which_nobody_is_known_is_not_left() {
        let (socket, group) = joined("239.77.64.4", None, &[]);
        let turned = socket.turn(&group, &[]).expect("it is joined");
        assert_eq!(mode(&socket, &group), (MCAST_INCLUDE, 1));
        socket.turn_back(&group, &turned).expect("it was so");
    }

    #[test]
    fn what_can_not_be_turned_stays_as_it_is() {
        let (socket, group) = joined("239.77.64.5", None, &[]);
        let many: Vec<IpAddr> = (0..64).map(|last| Ipv4Addr::new(127, 0, 1, last).into()).collect();
        // Unless net.ipv4.igmp_max_msf was raised.
        if socket.turn(&group, &many).is_err() {
            assert_eq!(mode(&socket, &group), (MCAST_EXCLUDE, 0));
        }
        let other = Group { address: "239.77.64.6".parse().expect("an address"), ..group };
        assert!(socket.turn(&other, &[]).is_err(), "it is not joined");
    }
}
