//! What comes out of packets: one picture, or one frame of sound, and when it is shown or heard.

use super::pictures::Coded;
use super::sound_config::SoundConfig;

/// One picture or one frame of sound, by the clock of its stream, which wraps.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Picture {
        shown: u64,
        /// `None`: it is not told, and follows from the order.
        decoded: Option<u64>,
        coded: Coded,
    },
    Sound {
        heard: u64,
        frame: Vec<u8>,
        config: SoundConfig,
    },
    /// Pictures are missing here: none can be shown before one that a decoder can start with.
    Gap,
}
