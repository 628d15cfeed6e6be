//! What the kernel is told of a message beside its bytes (control messages): how long its segments are, and what stands in
//! its IP header.
#![allow(unsafe_code)]

use std::mem;
use std::ptr;

use nix::libc;

/// The bits of the former TOS that are ECN's (RFC 3168); DSCP is above them.
const ECN_BITS: u8 = 2;

/// What the IP header of packets says; where it is absent, as the system has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The class of service (DSCP, RFC 2474), 0 to 63.
    pub dscp: Option<u8>,
    /// How many hops a packet may take (TTL, or hop limit), from 1.
    pub ttl: Option<u8>,
}

impl Marks {
    /// The octet that DSCP stands in: IPv4's TOS, IPv6's traffic class.
    pub(super) fn traffic_class(dscp: u8) -> u8 {
        dscp << ECN_BITS
    }
}

/// The control messages of what one sender sends, composed once.
pub struct Control {
    messages: Messages,
    /// How many of the marks there are.
    marks: usize,
}

/// As the kernel reads them, one after the other: a message of one packet begins with the marks.
#[repr(C)]
struct Messages {
    segment: Message<u16>,
    marks: [Message<libc::c_int>; 2],
}

/// One control message, of `CMSG_SPACE` bytes: the kernel aligns the next one to a long.
#[repr(C)]
struct Message<T> {
    head: libc::cmsghdr,
    value: T,
    _align: [libc::c_long; 0],
}

/// A part of the control messages: where it begins, and how long it is.
pub(super) type Part = (*mut libc::c_void, usize);

impl Control {
    /// Control messages for packets that say so, sent by a socket of this family.
    pub fn new(marks: Marks, is_ipv6: bool) -> Self {
        let (level, class, hops) = if is_ipv6 {
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, libc::IPV6_HOPLIMIT)
        } else {
            (libc::IPPROTO_IP, libc::IP_TOS, libc::IP_TTL)
        };
        let of_dscp = marks.dscp.map(|dscp| (class, Marks::traffic_class(dscp)));
        let of_ttl = marks.ttl.map(|ttl| (hops, ttl));
        let said = || of_dscp.into_iter().chain(of_ttl);
        let mut of_each = said().map(|(kind, value)| message(level, kind, value.into()));
        let mut mark = || of_each.next().unwrap_or_else(|| message(level, 0, 0));
        Self {
            messages: Messages {
                segment: message(libc::SOL_UDP, libc::UDP_SEGMENT, 0),
                marks: [mark(), mark()],
            },
            marks: said().count(),
        }
    }

    /// How long segments are from here on.
    pub(super) fn set_segment(&mut self, bytes: u16) {
        self.messages.segment.value = bytes;
    }

    /// How long segments are.
    pub(super) fn segment(&self) -> u16 {
        self.messages.segment.value
    }

    /// What is told of a message that the kernel cuts into segments.
    pub(super) fn of_segments(&self) -> Part {
        let begin = (&raw const self.messages).cast_mut().cast();
        (begin, mem::size_of::<Message<u16>>() + self.length_of_marks())
    }

    /// What is told of a message of one packet.
    pub(super) fn of_packet(&self) -> Part {
        if self.marks == 0 {
            return (ptr::null_mut(), 0);
        }
        ((&raw const self.messages.marks).cast_mut().cast(), self.length_of_marks())
    }

    fn length_of_marks(&self) -> usize {
        self.marks * mem::size_of::<Message<libc::c_int>>()
    }
}

fn message<T>(level: libc::c_int, kind: libc::c_int, value: T) -> Message<T> {
    // SAFETY: cmsghdr is plain integers, for which zeros are valid.
    let mut head: libc::cmsghdr = unsafe { mem::zeroed() };
    // SAFETY: CMSG_LEN only computes.
    head.cmsg_len = unsafe { libc::CMSG_LEN(mem::size_of::<T>() as libc::c_uint) } as _;
    head.cmsg_level = level;
    head.cmsg_type = kind;
    Message { head, value, _align: [] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_takes_the_space_that_the_kernel_expects() {
        // SAFETY: CMSG_SPACE only computes.
        let space = |bytes: usize| unsafe { libc::CMSG_SPACE(bytes as libc::c_uint) } as usize;
        assert_eq!(mem::size_of::<Message<u16>>(), space(2));
        assert_eq!(mem::size_of::<Message<libc::c_int>>(), space(4));
        assert_eq!(mem::size_of::<Messages>(), space(2) + 2 * space(4));
    }

    #[test]
    fn where_nothing_is_marked_a_packet_has_no_control_messages() {
        let length = |marks: Marks| {
            let control = Control::new(marks, false);
            (control.of_segments().1, control.of_packet().1)
        };
        let (one, two) = (mem::size_of::<Message<u16>>(), mem::size_of::<Message<libc::c_int>>());
        assert_eq!(length(Marks::default()), (one, 0));
        assert_eq!(length(Marks { dscp: Some(0), ttl: None }), (one + two, two), "0 is a mark, too");
        assert_eq!(length(Marks { dscp: Some(34), ttl: Some(8) }), (one + 2 * two, 2 * two));
    }
}
