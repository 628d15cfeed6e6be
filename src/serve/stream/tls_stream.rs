//! TLS on a connection, once its handshake is over (RFC 8446, RFC 5246).
//!
//! The session has a lock, for both directions change it. Who reads holds it for no system call, and no longer than a read of a few
//! KiB takes to be decrypted; who writes, of whom there is one at a time, holds it while the socket takes what was encrypted, and keeps
//! nobody waiting but the connection's own reader. What is written is encrypted one record at a time, as far as the socket takes it:
//! no more than a record waits here.

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use rustls::{ProtocolVersion, ServerConnection};

use crate::event::lock;

use super::bounds::READ_BYTES;
use super::writer::SLICES_PER_WRITE;

/// The most that a record carries.
pub const RECORD_BYTES: usize = 16 << 10;

/// Reads that may pass without a byte for the user before others have their turn.
const EMPTY_READS: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

pub struct TlsStream {
    socket: Arc<TcpStream>,
    session: Mutex<Session>,
}

struct Session {
    tls: ServerConnection,
    /// What has come and waits until all is taken that was decrypted before: the session takes in no more than a record then.
    rest: Vec<u8>,
    /// Nothing follows what is still to be sent.
    ends: bool,
}

impl TlsStream {
    /// On a connection that has shaken hands.
    pub fn new(socket: Arc<TcpStream>, mut tls: ServerConnection) -> Self {
        tls.set_buffer_limit(Some(RECORD_BYTES));
        Self { socket, session: Mutex::new(Session { tls, rest: Vec::new(), ends: false }) }
    }

    pub fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    pub fn has_more(&self) -> bool {
        let session = self.session();
        !session.rest.is_empty() || !session.tls.wants_read()
    }

    pub fn has_to_answer(&self) -> bool {
        self.session().tls.wants_write()
    }

    /// `InvalidData`: the client breaks the rules of TLS. `Unsupported`: it wants to shake hands again.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        for _ in 0..EMPTY_READS {
            match self.session().take_out(&self.socket, into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                taken => return taken,
            }
            let has_ended = SCRATCH.with_borrow_mut(|scratch| {
                let count = (&*self.socket).read(scratch)?;
                self.session().take_in(&self.socket, &scratch[..count])?;
                io::Result::Ok(count == 0)
            })?;
            if has_ended {
                return Ok(0);
            }
        }
        self.session().take_out(&self.socket, into) // what the last of them has completed
    }

    /// Sends what is encrypted, and the end if that is next.
    pub fn send(&self) -> io::Result<()> {
        let mut session = self.session();
        session.send(&self.socket)?;
        if session.ends {
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Nothing follows.
    pub fn end(&self) -> io::Result<()> {
        let mut session = self.session();
        session.tls.send_close_notify();
        session.ends = true;
        drop(session);
        self.send()
    }

    fn encrypt(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut session = self.session();
        session.send(&self.socket)?;
        let mut left = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let count = slices.len().min(left.len());
        left[..count].copy_from_slice(&slices[..count]);
        let (mut left, mut taken) = (&mut left[..count], 0);
        while !left.is_empty() {
            let count = session.tls.writer().write_vectored(left)?;
            if count == 0 {
                break;
            }
            taken += count;
            IoSlice::advance_slices(&mut left, count);
            match session.send(&self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                sent => sent?,
            }
        }
        Ok(taken)
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        lock(&self.session)
    }
}

impl Session {
    /// Hands out what is decrypted.
    fn take_out(&mut self, socket: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && !self.rest.is_empty() => {
                    let rest = mem::take(&mut self.rest);
                    self.take_in(socket, &rest)?;
                }
                taken => return taken,
            }
        }
    }

    /// Decrypts what has come.
    fn take_in(&mut self, socket: &TcpStream, bytes: &[u8]) -> io::Result<()> {
        self.decrypt(bytes).inspect_err(|_| {
            let _ = self.send(socket); // the alert that says why
        })
    }

    fn decrypt(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let had_to_answer = self.tls.wants_write();
        while !bytes.is_empty() {
            if !self.tls.wants_read() {
                self.rest = bytes.to_vec();
                break;
            }
            self.tls.read_tls(&mut bytes).map_err(invalid)?;
            self.tls.process_new_packets().map_err(invalid)?;
        }
        // In TLS 1.2 a server has nothing to say of its own but that.
        let is_old = self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_2);
        if is_old && !had_to_answer && self.tls.wants_write() {
            return Err(ErrorKind::Unsupported.into());
        }
        Ok(())
    }

    fn send(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut &*socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn invalid(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// `WouldBlock`: nothing was taken. What is taken is encrypted, and sent as soon as the socket takes it.
impl Write for &TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encrypt(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.encrypt(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(all(test, not(model)))]
#[path = "tls_stream_tests.rs"]
mod tests;
