//! Places in a ring where one can start.

use bytes::Bytes;

/// Where a decoder can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPoint {
    /// The packet's number.
    pub number: u64,
    /// A packet of ours that goes before: numbered one less, and of the same time.
    pub prologue: Option<Bytes>,
    /// The number of the packet that the next picture begins in. `None`: the one that starts there goes on.
    pub end: Option<u64>,
}

/// How many places to start there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartCounts {
    /// That came.
    pub came: u64,
    /// That had to go before the next one came, for the bytes did not suffice.
    pub lost: u64,
}

/// Where a new subscriber starts: a packet that is really there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingStart {
    /// Its number in the ring.
    pub number: u64,
    /// Its RTP sequence number.
    pub sequence: u16,
    /// Its RTP timestamp.
    pub timestamp: u32,
}
