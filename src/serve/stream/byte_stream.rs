//! A connection as bytes both ways, whatever carries them: plain TCP, or TLS on it. Knows no protocol above.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use crate::relay::Batch;

use super::bounds::READ_BYTES;
use super::tls_stream::TlsStream;
use super::writer::{Posted, Writer, Written};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Clones are the same connection. One thread at a time reads, and one writes.
#[derive(Clone)]
pub enum ByteStream {
    Plain(Arc<TcpStream>),
    Tls(Arc<TlsStream>),
}

impl ByteStream {
    /// What is polled, and asked how far the client has come.
    pub fn socket(&self) -> &Arc<TcpStream> {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket(),
        }
    }

    /// Whether nobody on the way can read it.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// What has come, as far as there is room for it. Never waits.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => (&**socket).read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }

    /// The same, behind what has come before: up to [`READ_BYTES`].
    pub fn read_more(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            let count = self.read(scratch)?;
            bytes.extend_from_slice(&scratch[..count]);
            Ok(count)
        })
    }

    /// Whether something has come of which the kernel knows no more, so that polling would not tell of it.
    pub fn has_more(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.has_more(),
        }
    }

    /// Whether reading has made for an answer, as TLS may without its user.
    pub fn has_to_answer(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.has_to_answer(),
        }
    }

    /// Writes as much as is taken at once, which may not be out before a flush. For who has no [`Output`](super::Output).
    pub fn write_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => (&**socket).write_vectored(slices),
            Self::Tls(stream) => (&**stream).write_vectored(slices),
        }
    }

    /// Sends what was taken, and that answer, as far as it goes out at once.
    pub fn flush(&self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(stream) => stream.send(),
        }
    }

    /// Writes what is due, and ends the stream behind the last of it. `WouldBlock`: there is more than it takes now.
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        posted: &Posted,
        batch: Option<&Batch<'_>>,
    ) -> io::Result<()> {
        match self {
            Self::Plain(socket) => {
                if writer.write(&mut &**socket, posted, batch)? == Written::AllThereIs {
                    let _ = socket.shutdown(Shutdown::Write);
                }
                Ok(())
            }
            Self::Tls(stream) => match writer.write(&mut &**stream, posted, batch)? {
                Written::AllDue => stream.send(),
                Written::AllThereIs => stream.end(),
            },
        }
    }

    /// Ends it at once, both ways.
    pub fn shut(&self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }
}
