//! A track as metrics see it.

use std::time::Duration;

use crate::wire::reception::Reception;

use super::places::StartCounts;
use super::refused::RefusedTotals;

/// A track as metrics see it.
#[derive(Debug, Clone)]
pub struct TrackStats {
    /// What arrived, and what did not.
    pub reception: Reception,
    /// SSRCs that send its payload types: 0 before the first packet, 3 for more than two.
    pub senders: u8,
    /// Bytes of RTP packets received, headers included.
    pub bytes: u64,
    /// Packets without payload: no media, and no sign of a living source.
    pub empty: u64,
    /// Places where a decoder can start.
    pub starts: StartCounts,
    /// Bytes of packets in the ring.
    pub ring_bytes: usize,
    /// Since the packet came that viewers can start with; absent where there is none.
    pub start_age: Option<Duration>,
    /// Since the newest packet with payload; absent before the first.
    pub last_packet_age: Option<Duration>,
    /// Whether it is silent.
    pub silent: bool,
    /// Whether its groups are joined, of several feeds those of one at least.
    pub joined: bool,
    /// Datagrams to its group and ports that were not taken.
    pub refused: RefusedTotals,
}
