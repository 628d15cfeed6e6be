//! A file as it is read here: bytes at a place. What is behind it is not known.

use std::io;

/// Bytes that are read at a place.
pub trait ReadAt {
    /// How many there are.
    fn size(&self) -> u64;

    /// Fills all of `into` with what begins at `offset`.
    ///
    /// # Errors
    /// They can not be read, or there are fewer ([`io::ErrorKind::UnexpectedEof`]).
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let bytes = rest.and_then(|rest| rest.get(..into.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

/// Part of a file that was read at once. Places are those in the file.
pub(super) struct Part {
    pub at: u64,
    pub bytes: Vec<u8>,
}

impl ReadAt for Part {
    fn size(&self) -> u64 {
        self.at.saturating_add(self.bytes.size())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let offset = offset.checked_sub(self.at).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.bytes.read_at(offset, into)
    }
}
