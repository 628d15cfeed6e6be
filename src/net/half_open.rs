//! Connections that somebody has begun to open, from an address that has not answered yet and may be another one's.
#![allow(unsafe_code)] // in the expansion of nix's macros

use std::fs;
use std::io;
use std::os::fd::AsFd;

use nix::libc;
use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};

/// How often the kernel answers again; it takes no less from a program.
const AGAIN: i32 = 1;
/// How often it does by itself.
const SETTING: &str = "/proc/sys/net/ipv4/tcp_synack_retries";

// Of a socket that listens it is not about SYNs, but about the answers to them.
sockopt_impl!(SynCount, SetOnly, libc::IPPROTO_TCP, libc::TCP_SYNCNT, i32);

/// Has the kernel answer each SYN twice at most, and give it up after three seconds: five times more, over a minute, is what
/// whoever forges addresses would have sent to others. A client whose answer was lost asks again by itself.
pub fn answer_few_times<S: AsFd>(listener: &S) -> io::Result<()> {
    let own = fs::read_to_string(SETTING).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if own.is_some_and(|own| own <= AGAIN) {
        return Ok(()); // an operator who wants less
    }
    Ok(setsockopt(listener, SynCount, &AGAIN)?)
}
