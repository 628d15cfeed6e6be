//! Where a stream can be entered: the places that a decoder can start at, and what it has to be told first.
//!
//! ```text
//!  payload ─▶ TransportStream: its programmes' video ─▶ Picture ─▶ Start
//!          ─▶ NalPackets: H.264, H.265 in RTP ─────────▶    │
//!          ─▶ JPEG, sound: each frame, each packet ──────────▶
//! ```
//!
//! It is fed one track's packets, in their order, and numbers them from 0. Whatever comes, what is kept is bounded, and so is how
//! often a byte is looked at.

mod nal_packets;
mod tables;
mod transport_stream;
pub(super) mod units;

use nal_packets::NalPackets;
use transport_stream::TransportStream;
use units::Codec;

/// Where a decoder can start, counted from the packet that tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// So many packets before.
    pub back: u64,
    /// A payload that goes before: tables of a transport stream, or parameter sets. `None`: nothing is missing there.
    pub prologue: Option<Vec<u8>>,
    /// So many packets from there on have the picture in them. `None`: it goes on; the place is told again once it is over.
    pub packets: Option<u64>,
}

/// The same by the packet's number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Start {
    number: u64,
    prologue: Option<Vec<u8>>,
    /// The packet that the next picture begins in.
    end: Option<u64>,
}

/// The starts of one track.
#[derive(Debug)]
pub struct Starts {
    format: Format,
    /// The number of the packet to come.
    next: u64,
}

#[derive(Debug)]
enum Format {
    TransportStream(Box<TransportStream>),
    Nal(NalPackets),
    /// JPEG (RFC 2435): every frame stands alone.
    Jpeg,
    /// Sound: every packet stands alone.
    Sound,
    /// Not known here.
    Other,
}

impl Starts {
    /// Of a medium (`audio`, `video`, …) with an encoding name, in any case, as in `a=rtpmap:`. `tells_parameters`: viewers know
    /// what its parameter sets are, by its description.
    #[must_use]
    pub fn of(media: &str, encoding: Option<&str>, tells_parameters: bool) -> Self {
        let encoding = encoding.map(str::to_ascii_uppercase);
        let format = match (encoding.as_deref(), media) {
            (Some("MP2T"), _) => Format::TransportStream(Box::default()),
            (Some("H264"), _) => Format::Nal(NalPackets::new(Codec::H264, !tells_parameters)),
            (Some("H265"), _) => Format::Nal(NalPackets::new(Codec::H265, !tells_parameters)),
            (Some("JPEG"), _) => Format::Jpeg,
            (_, "audio") => Format::Sound,
            _ => Format::Other,
        };
        Self { format, next: 0 }
    }

    /// Takes in the payload of the next packet. Returns the newest place where all of the stream can be entered, if that is
    /// another one now.
    #[inline]
    pub fn take(&mut self, timestamp: u32, payload: &[u8]) -> Option<Found> {
        let number = self.next;
        self.next += 1;
        let here = Start { number, ..Start::default() };
        let start = match &mut self.format {
            Format::TransportStream(stream) => stream.take(number, payload),
            Format::Nal(pictures) => pictures.take(number, timestamp, payload),
            Format::Jpeg => matches!(payload, [_, 0, 0, 0, ..]).then_some(here),
            Format::Sound => Some(here),
            Format::Other => None,
        };
        start.map(|Start { number: first, prologue, end }| Found {
            back: number - first,
            prologue,
            packets: end.map(|end| end - first),
        })
    }
}
