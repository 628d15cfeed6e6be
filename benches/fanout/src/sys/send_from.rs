//! A datagram from one of many addresses of this machine, over a socket that is bound to none.

use std::io::{Error, Result};
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::fan_out::raw_address;

/// Room for an IP_PKTINFO and its header.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends one datagram whose source is `from`, at the socket's port.
pub fn send_from(socket: &impl AsFd, from: Ipv4Addr, to: &SocketAddrV4, packet: &[u8]) -> Result<()> {
    let mut name = raw_address(to);
    let mut part = libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
    let mut control = Control([0; 64]);
    let info = libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    // SAFETY: msghdr is plain integers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = ptr::from_mut(&mut name).cast();
    message.msg_namelen = mem::size_of_val(&name) as libc::socklen_t;
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE only computes a length.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(mem::size_of_val(&info) as u32) } as _;
    // SAFETY: msg_control is an aligned buffer larger than the header and the info that are written to it.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::IPPROTO_IP;
        (*header).cmsg_type = libc::IP_PKTINFO;
        (*header).cmsg_len = libc::CMSG_LEN(mem::size_of_val(&info) as u32) as _;
        libc::CMSG_DATA(header).cast::<libc::in_pktinfo>().write_unaligned(info);
    }
    // SAFETY: name, part, packet and control live to the end of this function; sendmsg writes to none of them.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &message, 0) };
    if sent < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
