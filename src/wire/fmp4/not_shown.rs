//! What of a channel browsers do not play, in words for whoever asked to see it.

use std::fmt;

/// Why a channel is not shown, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotShown {
    /// A picture, or sound, that is coded in a way that browsers do not decode.
    Coded(String),
    /// It is encrypted.
    Encrypted,
    /// It has neither picture nor sound.
    Nothing,
    /// The picture is coded in another way than it was when this began.
    Changed,
}

impl NotShown {
    /// Of an encoding by its name.
    pub(super) fn coded(what: &str, name: &str) -> Self {
        Self::Coded(format!("{what} in {}", spoken(name)))
    }
}

/// The names of RTP (RFC 3551 and others) that are not as one says them.
fn spoken(name: &str) -> &str {
    match name.to_ascii_uppercase().as_str() {
        "MPV" => "MPEG-2 video",
        "MPA" => "MPEG audio (MP2)",
        "JPEG" => "JPEG",
        "AC3" => "AC-3",
        "EAC3" => "E-AC-3",
        "MP4V-ES" => "MPEG-4 video",
        "PCMU" | "PCMA" | "L16" | "L24" => "PCM",
        "MP4A-LATM" | "MPEG4-GENERIC" => "AAC of a kind that is not read here",
        "" => "an unknown coding",
        _ => name,
    }
}

impl fmt::Display for NotShown {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coded(what) => {
                write!(text, "{what}, which is not played here: H.264, H.265 and AAC are")
            }
            Self::Encrypted => text.write_str("it is encrypted"),
            Self::Nothing => text.write_str("it carries neither picture nor sound"),
            Self::Changed => text.write_str("picture and sound are coded in another way now"),
        }
    }
}
