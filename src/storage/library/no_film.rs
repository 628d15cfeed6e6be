//! Why a file is not played.

use std::io;

use crate::wire::container;
use crate::wire::stored::{NoIndex, NoWav};

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum NoFilm {
    #[error("it can not be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("as a transport stream it can not be played: {0}")]
    NoIndex(#[from] NoIndex),
    #[error("as an MP4 or QuickTime file it can not be played: {0}")]
    NoBoxes(#[from] container::NoFilm),
    #[error("as a WAVE file it can not be played: {0}")]
    NoWave(#[from] NoWav),
    #[error("none of its tracks can be played: {0}")]
    NoTrack(String),
}
