//! Different packets to different destinations in one call, as the source needs for many groups.

use std::io::{Error, Result};
use std::mem;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd};

use super::fan_out::raw_address;

/// Messages that wait to be sent; their room is used again.
pub struct Scatter {
    names: Vec<libc::sockaddr_in>,
    packets: Vec<Vec<u8>>,
    count: usize,
}

impl Scatter {
    /// Room for `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        let anywhere = raw_address(&SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0));
        Self { names: vec![anywhere; capacity], packets: vec![Vec::new(); capacity], count: 0 }
    }

    /// Whether the next message has to wait for [`Scatter::send`].
    pub fn is_full(&self) -> bool {
        self.count == self.packets.len()
    }

    /// Adds a message that `write` writes into an empty buffer. It must not be full.
    pub fn push(&mut self, destination: &SocketAddrV4, write: impl FnOnce(&mut Vec<u8>)) {
        self.names[self.count] = raw_address(destination);
        let packet = &mut self.packets[self.count];
        packet.clear();
        write(packet);
        self.count += 1;
    }

    /// Sends all messages; gives how many the kernel took.
    pub fn send(&mut self, socket: &impl AsFd) -> Result<usize> {
        let count = mem::take(&mut self.count);
        let mut parts: Vec<libc::iovec> = self.packets[..count]
            .iter_mut()
            .map(|packet| libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: packet.len() })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = Vec::with_capacity(count);
        for (name, part) in self.names[..count].iter_mut().zip(&mut parts) {
            // SAFETY: mmsghdr is plain integers and pointers, for which zeros are valid.
            let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            message.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            messages.push(message);
        }
        let mut at = 0;
        while at < count {
            let rest = &mut messages[at..];
            // SAFETY: names, packets and parts live to the end of this function and do not move.
            let done = unsafe {
                libc::sendmmsg(socket.as_fd().as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
            };
            match usize::try_from(done) {
                Ok(done) => at += done,
                Err(_) => return Err(Error::last_os_error()),
            }
        }
        Ok(at)
    }
}
