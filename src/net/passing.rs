//! A Passage: by which one process hands messages and open descriptors to another of this machine, over a Unix stream socket.
//!
//! ```text
//!  message: length (4 bytes, big endian), descriptors (4 bytes) with them attached │ the bytes
//! ```
#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::cmsg_space;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Descriptors of one message; the kernel takes 253 (`SCM_MAX_FD`).
pub const MOST_DESCRIPTORS: usize = 200;
/// Bytes of one message: what a crowd of viewers leaves behind is less.
const MOST_BYTES: usize = 256 << 20;
const HEAD_BYTES: usize = 8;

/// One end of it.
#[derive(Debug)]
pub struct Passage(UnixStream);

impl Passage {
    /// Both ends, of which the second outlives the start of another program.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, other) = UnixStream::pair()?;
        fcntl(&other, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok((Self(own), other.into()))
    }

    /// The other end, of a pair that was made here.
    pub fn of(end: OwnedFd) -> Self {
        Self(end.into())
    }

    /// The end that this process was started with, which no program has that is started from here.
    ///
    /// # Errors
    /// It is no socket of that kind.
    pub fn inherited(number: RawFd) -> io::Result<Self> {
        if number <= 2 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: whether it is open is what the call tells; nobody else in this process knows of it.
        let flags = fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_GETFD)?;
        // SAFETY: it is open, and was handed to this process for it to own.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::from_bits_retain(flags) | FdFlag::FD_CLOEXEC))?;
        let stream = UnixStream::from(descriptor);
        stream.peer_addr()?; // of no other kind of descriptor
        Ok(Self(stream))
    }

    /// Sends a message. Waits for the other end to take it, for so long at each step.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>], patience: Duration) -> io::Result<()> {
        if bytes.len() > MOST_BYTES || descriptors.len() > MOST_DESCRIPTORS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.set_write_timeout(Some(patience))?;
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&(bytes.len() as u32).to_be_bytes());
        head[4..].copy_from_slice(&(descriptors.len() as u32).to_be_bytes());
        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let attached = if numbers.is_empty() { &[][..] } else { &rights };
        let sent = sendmsg::<()>(
            self.0.as_raw_fd(),
            &[IoSlice::new(&head)],
            attached,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        (&self.0).write_all(&head[sent..])?;
        (&self.0).write_all(bytes)
    }

    /// The next message. Waits for it, and for each part of it, for so long.
    ///
    /// # Errors
    /// `UnexpectedEof`: the other end is gone; `WouldBlock`: nothing has come in time.
    pub fn receive(&self, patience: Duration) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        self.0.set_read_timeout(Some(patience))?;
        let (mut head, mut descriptors) = ([0; HEAD_BYTES], Vec::new());
        let count = self.receive_head(&mut head, &mut descriptors)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (&self.0).read_exact(&mut head[count..])?;
        let number = |part: &[u8]| part.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let (length, expected) = (number(&head[..4]), number(&head[4..]));
        if length > MOST_BYTES || expected != descriptors.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is not whole"));
        }
        let mut bytes = vec![0; length];
        (&self.0).read_exact(&mut bytes)?;
        Ok((bytes, descriptors))
    }

    fn receive_head(&self, head: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = cmsg_space!([RawFd; MOST_DESCRIPTORS]);
        let mut parts = [IoSliceMut::new(head)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(self.0.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        for message in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = message {
                // SAFETY: the kernel has just opened them for this process.
                descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        Ok(received.bytes)
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::fs::File;
    use std::net::{Ipv4Addr, UdpSocket};

    const SOON: Duration = Duration::from_secs(5);

    fn ends() -> (Passage, Passage) {
        let (own, other) = Passage::pair().expect("sockets");
        (own, Passage::of(other))
    }

    #[test]
    fn what_is_handed_over_comes_whole_and_open() {
        let (own, other) = ends();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        own.send(b"one", &[], SOON).expect("taken");
        own.send(b"", &[socket.as_fd(), socket.as_fd()], SOON).expect("taken");
        assert_eq!(
            other.receive(SOON).map(|(bytes, descriptors)| (bytes, descriptors.len())).ok(),
            Some((b"one".to_vec(), 0))
        );
        let (bytes, mut descriptors) = other.receive(SOON).expect("two");
        assert_eq!((bytes.len(), descriptors.len()), (0, 2));
        let address = socket.local_addr().expect("bound");
        drop(socket);
        let same = UdpSocket::from(descriptors.remove(0));
        assert_eq!(same.local_addr().ok(), Some(address), "it is open though the first end is closed");
        drop(own);
        assert_eq!(
            other.receive(SOON).map_err(|error| error.kind()).err(),
            Some(io::ErrorKind::UnexpectedEof)
        );
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for_for_ever() {
        let (_own, other) = ends();
        let patience = Duration::from_millis(20);
        assert_eq!(
            other.receive(patience).map_err(|error| error.kind()).err(),
            Some(io::ErrorKind::WouldBlock)
        );
    }

    #[test]
    fn what_is_no_passage_is_refused() {
        let file = File::open("/dev/null").expect("it is there");
        let number = OwnedFd::from(file);
        assert!(Passage::inherited(std::os::fd::IntoRawFd::into_raw_fd(number)).is_err());
        assert!(Passage::inherited(9999).is_err() && Passage::inherited(1).is_err());
    }
}
