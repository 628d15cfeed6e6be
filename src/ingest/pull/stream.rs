//! The connection to a server as bytes both ways, plain or through TLS. Nothing of it waits.
//!
//! One thread at a time reads and writes, so nothing of it is locked.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::ClientConnection;

use crate::net::connect;

/// Records that may pass without a byte for the user before others have their turn.
const EMPTY_RECORDS: usize = 16;

pub(super) struct Stream {
    socket: Arc<TcpStream>,
    tls: Option<Box<ClientConnection>>,
}

impl Stream {
    /// Begins to connect.
    pub fn connect(address: SocketAddr, tls: Option<ClientConnection>) -> io::Result<Self> {
        Ok(Self { socket: Arc::new(connect(address)?), tls: tls.map(Box::new) })
    }

    /// What is polled: for room to write until it is connected.
    pub fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// Whether it is connected by now. `Err`: it never will be.
    pub fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What has come, as far as there is room for it. `WouldBlock`: nothing; `InvalidData`: TLS is broken.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return (&*self.socket).read(into) };
        for _ in 0..EMPTY_RECORDS {
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The server went without a word.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                taken => return taken,
            }
            if tls.read_tls(&mut &*self.socket)? == 0 && tls.is_handshaking() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let processed = tls.process_new_packets();
            send(tls, &self.socket)?; // the handshake's answer, or the alert that says what is wrong
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Writes as much as is taken at once; through TLS that is kept here until the socket takes it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return (&*self.socket).write(bytes) };
        let count = tls.writer().write(bytes)?;
        send(tls, &self.socket)?;
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    /// Whether something that was written is not sent.
    pub fn holds_back(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Sends it.
    pub fn flush(&mut self) -> io::Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| send(tls, &self.socket))
    }

    /// Ends it, both ways.
    pub fn shut(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = send(tls, &self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Sends what is encrypted, as far as it is taken at once.
fn send(tls: &mut ClientConnection, mut socket: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut socket) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
