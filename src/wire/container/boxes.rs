//! Boxes, one behind the other (ISO/IEC 14496-12 section 4.2): where each is, and its bytes where they are asked for.

use std::fmt;
use std::io;

use mp4_atom::Atom;

use super::read_at::{Part, ReadAt};

/// Bytes of a box's header, and of one that is longer than 4 GiB.
const HEADER_LEN: u64 = 8;
const LONG_HEADER_LEN: u64 = 16;
/// Boxes in a file: fragments of a picture each, of 12 hours at 50 a second.
const MOST_IN_FILE: u32 = 1 << 22;
/// Boxes in another.
const MOST_IN_BOX: u32 = 1 << 12;
/// Stands for a file.
const FILE: Kind = Kind(*b"file");

/// Why nothing can be played of a file.
#[derive(Debug, thiserror::Error)]
pub enum NoFilm {
    /// The file does not let itself be read.
    #[error("byte {at} can not be read: {error}")]
    Unreadable {
        /// Where.
        at: u64,
        /// What the system says.
        error: io::Error,
    },
    /// A box of it is wrong.
    #[error("its box `{kind}` at byte {at} {what}")]
    Wrong {
        /// Which one.
        kind: Kind,
        /// Where it begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It has no box that others can not do without.
    #[error("it has no box `{kind}`, which belongs to what begins at byte {at}")]
    Missing {
        /// Which one.
        kind: Kind,
        /// Where that begins.
        at: u64,
    },
    /// It has no track.
    #[error("it has no tracks")]
    Empty,
}

/// What a box or a coding is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub [u8; 4]);

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{self}`")
    }
}

/// Where a box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub kind: Kind,
    /// Where it begins.
    pub at: u64,
    /// Where what is in it begins.
    pub body: u64,
    /// Where what is behind it begins.
    pub end: u64,
}

impl Place {
    /// All of a file.
    pub(super) fn whole(file: &(impl ReadAt + ?Sized)) -> Self {
        Self { kind: FILE, at: 0, body: 0, end: file.size() }
    }

    pub(super) fn wrong(&self, what: &'static str) -> NoFilm {
        NoFilm::Wrong { kind: self.kind, at: self.at, what }
    }

    /// Without the first `len` bytes that are in it.
    pub(super) fn behind(self, len: u64) -> Self {
        Self { body: self.body.saturating_add(len).min(self.end), ..self }
    }

    fn len(&self) -> u64 {
        self.end.saturating_sub(self.body)
    }

    /// What is in it, of which there may be `most` bytes.
    pub(super) fn bytes(&self, file: &(impl ReadAt + ?Sized), most: usize) -> Result<Vec<u8>, NoFilm> {
        let len = usize::try_from(self.len()).unwrap_or(usize::MAX);
        if len > most {
            return Err(self.wrong("is longer than any that is read"));
        }
        if self.end > file.size() {
            return Err(self.wrong("is cut off"));
        }
        let mut bytes = vec![0; len];
        file.read_at(self.body, &mut bytes).map_err(|error| NoFilm::Unreadable { at: self.body, error })?;
        Ok(bytes)
    }

    /// The same, at its place.
    pub(super) fn part(&self, file: &(impl ReadAt + ?Sized), most: usize) -> Result<Part, NoFilm> {
        Ok(Part { at: self.body, bytes: self.bytes(file, most)? })
    }

    /// What a small box says, as the library reads it.
    pub(super) fn decode<T: Atom>(&self, file: &(impl ReadAt + ?Sized)) -> Result<T, NoFilm> {
        let bytes = self.bytes(file, 1 << 16)?;
        T::decode_body(&mut bytes.as_slice()).map_err(|_| self.wrong("does not say what it has to"))
    }

    /// The boxes that are in it.
    pub(super) fn boxes<'f, F: ReadAt + ?Sized>(&self, file: &'f F) -> Boxes<'f, F> {
        let left = if self.kind == FILE { MOST_IN_FILE } else { MOST_IN_BOX };
        Boxes { file, outer: *self, next: self.body, left }
    }

    /// The first of a kind that is in it.
    pub(super) fn find(&self, file: &(impl ReadAt + ?Sized), kind: &[u8; 4]) -> Result<Option<Self>, NoFilm> {
        self.boxes(file).find(|found| found.as_ref().map_or(true, |found| found.is(kind))).transpose()
    }

    /// The same, which has to be there.
    pub(super) fn need(&self, file: &(impl ReadAt + ?Sized), kind: &[u8; 4]) -> Result<Self, NoFilm> {
        self.find(file, kind)?.ok_or(NoFilm::Missing { kind: Kind(*kind), at: self.at })
    }

    pub(super) fn is(&self, kind: &[u8; 4]) -> bool {
        self.kind.0 == *kind
    }
}

/// The boxes of a box, none of which is longer than that, or of a file, of which the last one may be cut off.
pub(super) struct Boxes<'f, F: ?Sized> {
    file: &'f F,
    outer: Place,
    next: u64,
    left: u32,
}

impl<F: ReadAt + ?Sized> Iterator for Boxes<'_, F> {
    type Item = Result<Place, NoFilm>;

    fn next(&mut self) -> Option<Self::Item> {
        // A few bytes behind the last one are none: QuickTime ends lists with a zero.
        if self.outer.end.saturating_sub(self.next) < HEADER_LEN {
            return None;
        }
        let found = self.header();
        self.next = found.as_ref().map_or(self.outer.end, |found| found.end);
        Some(found)
    }
}

impl<F: ReadAt + ?Sized> Boxes<'_, F> {
    fn header(&mut self) -> Result<Place, NoFilm> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.outer.wrong("has too many others in it"))?;
        let at = self.next;
        let unreadable = |error| NoFilm::Unreadable { at, error };
        let mut word = [0; 8];
        self.file.read_at(at, &mut word).map_err(unreadable)?;
        let [a, b, c, d, kind @ ..] = word;
        let kind = Kind(kind);
        let (header, len) = match u64::from(u32::from_be_bytes([a, b, c, d])) {
            0 => (HEADER_LEN, self.outer.end - at),
            1 => {
                self.file.read_at(at + HEADER_LEN, &mut word).map_err(unreadable)?;
                (LONG_HEADER_LEN, u64::from_be_bytes(word))
            }
            len => (HEADER_LEN, len),
        };
        let most = if self.outer.kind == FILE { u64::MAX } else { self.outer.end };
        let end = at.saturating_add(len).min(most);
        let place = Place { kind, at, body: at + header, end };
        if end < place.body {
            return Err(place.wrong("is shorter than its header"));
        }
        Ok(place)
    }
}
