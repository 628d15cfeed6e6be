//! Readiness of many descriptors.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::clock::timespec;

/// An epoll instance; each descriptor carries a token.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// Readable, reported again as long as it holds.
    pub const READABLE: u32 = libc::EPOLLIN as u32;
    /// Writable, or connected, reported again as long as it holds.
    pub const WRITABLE: u32 = libc::EPOLLOUT as u32;
    /// Reported once, until [`Epoll::rearm`].
    pub const ONCE: u32 = libc::EPOLLONESHOT as u32;

    /// An instance that reports up to `capacity` events a call.
    pub fn new(capacity: usize) -> Result<Self> {
        // SAFETY: a plain call; the result is checked below.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity.max(1)] })
    }

    /// Watches a descriptor.
    pub fn add(&self, watched: &impl AsFd, token: u64, interest: u32) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, watched, token, interest)
    }

    /// Changes what is watched, and arms a descriptor that reports once.
    pub fn rearm(&self, watched: &impl AsFd, token: u64, interest: u32) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, watched, token, interest)
    }

    /// Waits for events up to `timeout_ns`; gives their tokens. A signal ends it with none.
    pub fn wait(&mut self, timeout_ns: u64) -> Result<impl Iterator<Item = u64>> {
        let timeout = timespec(timeout_ns);
        // SAFETY: the array is valid for its length, the timespec outlives the call, no signal mask is set.
        let count = unsafe {
            libc::epoll_pwait2(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as libc::c_int,
                &timeout,
                ptr::null(),
            )
        };
        let count = match usize::try_from(count) {
            Ok(count) => count,
            Err(_) => match Error::last_os_error() {
                error if error.kind() == ErrorKind::Interrupted => 0,
                error => return Err(error),
            },
        };
        Ok(self.events[..count].iter().map(|event| event.u64))
    }

    fn control(&self, operation: libc::c_int, watched: &impl AsFd, token: u64, interest: u32) -> Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: token };
        let watched = watched.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open, and the event outlives the call.
        match unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, watched, &mut event) } {
            0 => Ok(()),
            _ => Err(Error::last_os_error()),
        }
    }
}
