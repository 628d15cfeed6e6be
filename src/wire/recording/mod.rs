//! What is kept of a track, as bytes: the media in a format that other programs read, and an index beside it.
//!
//! ```text
//!  20261128T073719.250Z-1.ts       the packets of a transport stream, one after the other
//!  20261128T073719.250Z-2.rtpdump  RTP and RTCP as rtptools have them, of everything else
//!  20261128T073719.250Z-1.index    a record of 40 bytes for each packet: when it came, where it is, its header
//!  20261128T073719.250Z.sdp        what the tracks are, where they are not a transport stream
//! ```
//!
//! A segment is what was kept in one span of time, all tracks of it. The index can be made again of the media. It knows no file.

mod name;
mod rebuild;
mod record;
mod rtpdump;

pub use name::{Kind, SegmentFile, Stamp};
pub use rebuild::Rebuilt;
pub use record::{Header, RECORD_LEN, Record, WrongRecord};
pub use rtpdump::{DUMP_HEAD_LEN, PACKET_HEAD_LEN, dump_head, packet_head};

/// What the media of a track is kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The payloads of a transport stream.
    TransportStream,
    /// Whole packets, of RTP and RTCP.
    RtpDump,
}

impl Format {
    /// That of a track whose payloads are encoded so.
    #[must_use]
    pub fn of(encoding: Option<&str>) -> Self {
        let is_ts = encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("MP2T"));
        if is_ts { Self::TransportStream } else { Self::RtpDump }
    }
}
