//! Many datagrams in one call, with what the kernel knows of each.
//!
//! A slot may be smaller than its datagram. The rest is then dropped uncopied, and the length is still told:
//! counting a load costs much less than reading it.

use std::io::{Error, ErrorKind, Result};
use std::mem;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// Room for the destination, the segment size and the arrival time, each with its header.
const CONTROL_BYTES: usize = 128;

/// Scratch space for receiving, used again and again.
pub struct Gather {
    slot_bytes: usize,
    room: Vec<u8>,
    controls: Vec<Control>,
    parts: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// One datagram, or one run of them if the socket takes whole runs.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// What fitted the slot.
    pub head: &'a [u8],
    /// The whole length.
    pub length: usize,
    /// The size of the run's datagrams but for the last; the whole length if it is no run.
    pub segment: usize,
    /// Where it was sent to, if asked for by [`want_destinations`].
    pub destination: Option<Ipv4Addr>,
    /// When it arrived, on the real-time clock, if asked for by [`want_arrival_times`].
    pub arrived_ns: Option<u64>,
}

impl Datagram<'_> {
    /// How many datagrams this is.
    pub fn count(&self) -> usize {
        self.length.div_ceil(self.segment.max(1)).max(1)
    }
}

impl Gather {
    /// Room for `slots` datagrams, of which the first `slot_bytes` are kept.
    pub fn new(slots: usize, slot_bytes: usize) -> Self {
        // SAFETY: mmsghdr is plain integers and pointers, for which zeros are valid.
        let empty: libc::mmsghdr = unsafe { mem::zeroed() };
        Self {
            slot_bytes,
            room: vec![0; slots * slot_bytes],
            controls: vec![Control([0; CONTROL_BYTES]); slots],
            parts: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; slots],
            messages: vec![empty; slots],
        }
    }

    /// How many datagrams a call gives at most.
    pub fn slots(&self) -> usize {
        self.messages.len()
    }

    /// Takes what is there without waiting; gives how many datagrams.
    pub fn receive(&mut self, socket: &impl AsFd) -> Result<usize> {
        self.load();
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: load() has just set every header to live room of self, within its bounds.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.messages.as_mut_ptr(),
                self.messages.len() as libc::c_uint,
                flags,
                ptr::null_mut(),
            )
        };
        match usize::try_from(count) {
            Ok(count) => Ok(count),
            Err(_) => match Error::last_os_error() {
                error if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
                error => Err(error),
            },
        }
    }

    /// The datagrams of the last call, which gave `count`.
    pub fn datagrams(&self, count: usize) -> impl Iterator<Item = Datagram<'_>> {
        self.room.chunks_exact(self.slot_bytes).zip(&self.messages).take(count).map(|(slot, message)| {
            let length = message.msg_len as usize;
            let head = &slot[..length.min(slot.len())];
            let mut datagram =
                Datagram { head, length, segment: length, destination: None, arrived_ns: None };
            read_control(&message.msg_hdr, &mut datagram);
            datagram
        })
    }

    fn load(&mut self) {
        let slots = self.room.chunks_exact_mut(self.slot_bytes);
        let parts = self.parts.iter_mut().zip(&mut self.controls);
        for (message, (slot, (part, control))) in self.messages.iter_mut().zip(slots.zip(parts)) {
            *part = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
    }
}

fn read_control(header: &libc::msghdr, datagram: &mut Datagram<'_>) {
    // SAFETY: the kernel wrote msg_control and its length; both belong to the Gather borrowed by the caller.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give headers that lie wholly within the buffer.
        let (level, kind, data) =
            unsafe { ((*control).cmsg_level, (*control).cmsg_type, libc::CMSG_DATA(control)) };
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                // SAFETY: UDP_GRO carries an int; reads are unaligned.
                let segment = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                datagram.segment = usize::try_from(segment).unwrap_or(datagram.length);
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: IP_PKTINFO carries an in_pktinfo; reads are unaligned.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                datagram.destination = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)));
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: SCM_TIMESTAMPNS carries a timespec; reads are unaligned.
                let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                datagram.arrived_ns = Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64);
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
}

/// Runs that crossed the link whole are given whole (UDP_GRO).
pub fn want_whole_runs(socket: &impl AsFd) -> Result<()> {
    switch_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Each datagram tells where it was sent to (IP_PKTINFO).
pub fn want_destinations(socket: &impl AsFd) -> Result<()> {
    switch_on(socket, libc::IPPROTO_IP, libc::IP_PKTINFO)
}

/// Each datagram tells when it arrived at the interface (SO_TIMESTAMPNS).
pub fn want_arrival_times(socket: &impl AsFd) -> Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)
}

/// A receive buffer beyond what the system allows to everyone, which needs CAP_NET_ADMIN (SO_RCVBUFFORCE).
pub fn force_receive_buffer(socket: &impl AsFd, bytes: usize) -> Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
}

fn switch_on(socket: &impl AsFd, level: libc::c_int, option: libc::c_int) -> Result<()> {
    set_option(socket, level, option, 1)
}

fn set_option(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> Result<()> {
    // SAFETY: the value is an int of the given size and outlives the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            ptr::from_ref(&value).cast(),
            mem::size_of_val(&value) as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
