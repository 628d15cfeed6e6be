//! One run of packets to many destinations, at the least that the kernel asks for it.
//!
//! Addresses and message headers are written once, at the start. A run changes one iovec and one control
//! message, which all headers share. This is the floor that a relay is measured against.

use std::io::{Error, ErrorKind, Result};
use std::mem;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// The kernel takes no more messages a call (UIO_MAXIOV).
const MESSAGES_PER_CALL: usize = 1024;

/// The message headers of a fixed set of destinations.
pub struct FanOut {
    messages: Vec<libc::mmsghdr>,
    _names: Box<[libc::sockaddr_in]>,
    run: Box<libc::iovec>,
    control: Box<SegmentControl>,
    segmented: bool,
}

/// The control message that holds the segment size, padded as the kernel wants it.
#[repr(C)]
struct SegmentControl {
    head: libc::cmsghdr,
    segment: u16,
    _padding: [u8; 6],
}

/// What a call to [`FanOut::send`] did, in datagrams and system calls.
#[derive(Default, Clone, Copy)]
pub struct Sent {
    /// Messages that the kernel took; with segmentation each is several datagrams.
    pub messages: u64,
    /// Messages that it refused.
    pub refused: u64,
}

// SAFETY: all its pointers are to what it owns.
unsafe impl Send for FanOut {}

impl FanOut {
    /// Prepares headers for these destinations.
    pub fn new(destinations: &[SocketAddrV4]) -> Self {
        let mut names: Box<[_]> = destinations.iter().map(raw_address).collect();
        let mut run = Box::new(libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 });
        let control = Box::new(SegmentControl::new());
        let messages = names
            .iter_mut()
            .map(|name| {
                // SAFETY: mmsghdr is plain integers and pointers, for which zeros are valid.
                let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
                message.msg_hdr.msg_name = ptr::from_mut(name).cast();
                message.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
                message.msg_hdr.msg_iov = &mut *run;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        Self { messages, _names: names, run, control, segmented: false }
    }

    /// Whether there is no destination.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Sends `run` to everyone: cut into datagrams of `segment` bytes, the last possibly smaller.
    pub fn send(&mut self, socket: &impl AsFd, run: &[u8], segment: u16) -> Result<Sent> {
        self.run.iov_base = run.as_ptr().cast_mut().cast();
        self.run.iov_len = run.len();
        self.control.segment = segment;
        self.segment(run.len() > usize::from(segment));
        let (mut sent, mut at) = (Sent::default(), 0);
        while at < self.messages.len() {
            let rest = &mut self.messages[at..];
            let count = rest.len().min(MESSAGES_PER_CALL) as libc::c_uint;
            // SAFETY: names, iovec and control message are owned by self and do not move; the run is
            // borrowed for the whole call, and sending only reads it.
            let done = unsafe { libc::sendmmsg(socket.as_fd().as_raw_fd(), rest.as_mut_ptr(), count, 0) };
            match usize::try_from(done) {
                Ok(done) => {
                    sent.messages += done as u64;
                    at += done;
                }
                Err(_) => match Error::last_os_error() {
                    error if error.kind() == ErrorKind::Interrupted => {}
                    error if error.kind() == ErrorKind::InvalidInput => return Err(error),
                    _ => {
                        sent.refused += 1;
                        at += 1;
                    }
                },
            }
        }
        Ok(sent)
    }

    /// Headers point to the control message only while runs are longer than a packet.
    fn segment(&mut self, segmented: bool) {
        if self.segmented == segmented {
            return;
        }
        self.segmented = segmented;
        for message in &mut self.messages {
            let header = &mut message.msg_hdr;
            header.msg_control =
                if segmented { ptr::from_mut(&mut *self.control).cast() } else { ptr::null_mut() };
            header.msg_controllen = if segmented { mem::size_of::<SegmentControl>() } else { 0 };
        }
    }
}

impl SegmentControl {
    fn new() -> Self {
        // SAFETY: cmsghdr is plain integers, for which zeros are valid.
        let mut head: libc::cmsghdr = unsafe { mem::zeroed() };
        // SAFETY: CMSG_LEN only computes.
        head.cmsg_len = unsafe { libc::CMSG_LEN(mem::size_of::<u16>() as libc::c_uint) } as _;
        head.cmsg_level = libc::SOL_UDP;
        head.cmsg_type = libc::UDP_SEGMENT;
        Self { head, segment: 0, _padding: [0; 6] }
    }
}

pub(super) fn raw_address(address: &SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}
