//! What predecessor and heir say to each other: JSON, one object a message, with descriptors beside it. Unknown fields are passed over.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ingest::announce::Kept;
use crate::net::{MOST_DESCRIPTORS, Passage};
use crate::serve::{Household, NotMoved};

use super::super::doors::Place;

/// Changes where an heir of another form would understand something else.
pub(super) const FORM: u32 = 1;

/// Of the other one.
const HAS_ENDED: &str = "it has ended";

/// One message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// From the predecessor: what it listens at, each with its descriptor, the admin endpoint first; what is watched; and what
    /// was announced to it.
    Hello { form: u32, admin: SocketAddr, listens: Vec<Place>, watched: Vec<Watched>, announced: Vec<Kept> },
    /// From the heir: it could serve.
    Ready,
    /// From the predecessor: everything of viewers, whose so many descriptors follow.
    Viewers { household: Household, descriptors: usize },
    /// Some of them.
    More,
    /// From the heir: it serves.
    Taken { lost: NotMoved },
}

/// A channel that has viewers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watched {
    pub name: String,
    /// Something has come of it just before.
    pub flows: bool,
}

/// Says something.
pub(super) fn say(
    passage: &Passage,
    word: &Word,
    descriptors: &[BorrowedFd<'_>],
    patience: Duration,
) -> io::Result<()> {
    passage.send(&serde_json::to_vec(word)?, descriptors, patience).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::UnexpectedEof, HAS_ENDED),
        _ => error,
    })
}

/// Has so many descriptors follow.
pub(super) fn hand(passage: &Passage, descriptors: &[BorrowedFd<'_>], patience: Duration) -> io::Result<()> {
    descriptors.chunks(MOST_DESCRIPTORS).try_for_each(|some| say(passage, &Word::More, some, patience))
}

/// Hears the next word.
pub(super) fn hear(passage: &Passage, patience: Duration) -> io::Result<(Word, Vec<OwnedFd>)> {
    let (bytes, descriptors) = passage.receive(patience).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::UnexpectedEof, HAS_ENDED),
        io::ErrorKind::WouldBlock => io::Error::other(format!("it has said nothing for {patience:?}")),
        _ => error,
    })?;
    Ok((serde_json::from_slice(&bytes)?, descriptors))
}

/// What was said was not what is said at that point.
pub(super) fn out_of_turn(word: &Word) -> io::Error {
    let name = match word {
        Word::Hello { .. } => "Hello",
        Word::Ready => "Ready",
        Word::Viewers { .. } => "Viewers",
        Word::More => "More",
        Word::Taken { .. } => "Taken",
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("it has said {name} out of turn"))
}
