//! What becomes of a unit: payloads, or why there are none.

/// Bytes of a payload, if nothing else is said: with all headers of RTP, UDP and IPv6 less than an Ethernet frame takes.
pub const MOST: usize = 1400;
/// No payload is made to be smaller than that.
pub const LEAST: usize = 64;

/// One packet's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// What follows the RTP header.
    pub bytes: Vec<u8>,
    /// The header's marker.
    pub marker: bool,
    /// How much later than the unit its timestamp is, in ticks of the clock that is described.
    pub ticks: u32,
}

/// Why a unit can not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unpackable {
    /// A length in it leads behind its end.
    #[error("at byte {at} of the unit: {length} bytes are said to follow, and {left} do")]
    Cut {
        /// Where in the unit.
        at: usize,
        /// What is said.
        length: usize,
        /// What there is.
        left: usize,
    },
    /// There is nothing in it to be sent.
    #[error("nothing is in the unit")]
    Empty,
    /// It is larger than its format can say, and can not be cut.
    #[error("the unit has {bytes} bytes, and {most} are the most that its payload format takes")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
}
