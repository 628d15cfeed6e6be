//! Receiving in batches: `recvmmsg`, with each datagram's source and destination.
//!
//! Where a socket takes merged datagrams (UDP_GRO), neighbours of one size from one sender arrive as one message,
//! and are taken apart here.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::time::Duration;

use nix::libc;

use super::address::{RawAddress, from_in_addr};

/// Room for one datagram: the largest that UDP can carry. Pages that no datagram reaches stay untouched.
const SLOT_BYTES: usize = 1 << 16;
/// From slot to slot; a little more than a power of two, so that the slots' first lines fall in different
/// sets of the cache.
const SLOT_STRIDE: usize = SLOT_BYTES + 1536;
/// Room for the control messages of one datagram: destination and drop count, of either family.
const CONTROL_BYTES: usize = 128;

/// Buffers for one batch of datagrams, used again and again.
pub struct ReceiveBatch {
    // Vectors that never grow: a box may not move while somebody points into it.
    payload: Vec<u8>,
    sources: Vec<RawAddress>,
    controls: Vec<Control>,
    slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

// SAFETY: the raw pointers in `slices` and `headers` point into the vectors beside them, whose contents
// never move; they are used only through `&mut self`.
unsafe impl Send for ReceiveBatch {}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// One datagram of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Its payload.
    pub payload: &'a [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// The address it was sent to: a group, or an address of this machine.
    pub destination: IpAddr,
    /// The index of the interface that it arrived on; 0 where the socket does not tell.
    pub interface: u32,
    /// How many datagrams the kernel has dropped from this socket's full queue since it was opened
    /// (SO_RXQ_OVFL; wraps). Absent while there was none.
    pub overflow: Option<u32>,
    /// When the kernel received it, by the wall clock since 1970 (SO_TIMESTAMPNS). Absent where the socket
    /// was not asked for it.
    pub received_at: Option<Duration>,
}

impl ReceiveBatch {
    /// Room for `slots` datagrams.
    pub fn new(slots: usize) -> Self {
        let mut payload = vec![0; slots * SLOT_STRIDE];
        let mut sources = vec![RawAddress::EMPTY; slots];
        let mut controls = vec![Control([0; CONTROL_BYTES]); slots];
        let base = payload.as_mut_ptr();
        let mut slices: Vec<_> = (0..slots)
            .map(|slot| libc::iovec {
                iov_base: base.wrapping_add(slot * SLOT_STRIDE).cast(),
                iov_len: SLOT_BYTES,
            })
            .collect();
        let (names, parts) = (sources.as_mut_ptr(), slices.as_mut_ptr());
        let details = controls.as_mut_ptr();
        let headers = (0..slots).map(|slot| {
            // SAFETY: mmsghdr is plain integers and pointers, for which zeros are valid.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = names.wrapping_add(slot).cast();
            header.msg_hdr.msg_iov = parts.wrapping_add(slot);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = details.wrapping_add(slot).cast();
            header
        });
        let headers = headers.collect();
        Self { payload, sources, controls, slices, headers, received: 0 }
    }

    /// Takes what has arrived, at most a batch; returns how many. `WouldBlock` when there is nothing.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.received = 0;
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = mem::size_of::<RawAddress>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _; // C libraries differ in the type
        }
        // SAFETY: every header points at live buffers of the stated sizes which `&mut self` keeps to us.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// How many datagrams a batch holds at most.
    pub fn capacity(&self) -> usize {
        self.slices.len()
    }

    /// The datagrams of the last `receive`, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        (0..self.received).filter_map(|slot| self.message(slot)).flat_map(|(merged, size)| {
            let count = merged.payload.len().div_ceil(size).max(1);
            (0..count).map(move |place| {
                let end = merged.payload.len().min((place + 1) * size);
                Datagram { payload: &merged.payload[place * size..end], ..merged }
            })
        })
    }

    /// One message, and the size of the datagrams that it was merged from; the last may be smaller.
    fn message(&self, slot: usize) -> Option<(Datagram<'_>, usize)> {
        let header = &self.headers[slot];
        let length = (header.msg_len as usize).min(SLOT_BYTES);
        let payload = &self.payload[slot * SLOT_STRIDE..][..length];
        let source = self.sources[slot].to_socket_addr()?;
        let (mut destination, mut overflow, mut received_at) = (None, None, None);
        let (mut size, mut interface) = (SLOT_BYTES, 0);
        let controls: usize = header.msg_hdr.msg_controllen as _;
        debug_assert!(controls <= self.controls[slot].0.len());
        // SAFETY: the kernel wrote `msg_controllen` bytes of well-formed control messages into the slot's
        // own aligned buffer; CMSG_FIRSTHDR and CMSG_NXTHDR stay within them, and each payload is read
        // unaligned as the type that its level and kind stand for.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
            while let Some(head) = message.as_ref() {
                let data = libc::CMSG_DATA(message);
                match (head.cmsg_level, head.cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                        destination = Some(IpAddr::V4(from_in_addr(info.ipi_addr)));
                        interface = info.ipi_ifindex.cast_unsigned();
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                        destination = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                        interface = info.ipi6_ifindex;
                    }
                    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                        overflow = Some(data.cast::<u32>().read_unaligned());
                    }
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        received_at = since_1970(data.cast::<libc::timespec>().read_unaligned());
                    }
                    (libc::SOL_UDP, libc::UDP_GRO) => {
                        size = data.cast::<libc::c_int>().read_unaligned().max(1) as usize;
                    }
                    _ => {}
                }
                message = libc::CMSG_NXTHDR(&raw const header.msg_hdr, message);
            }
        }
        let destination = destination?;
        Some((Datagram { payload, source, destination, interface, overflow, received_at }, size))
    }
}

fn since_1970(time: libc::timespec) -> Option<Duration> {
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
