//! A Screen: where what comes from files is shown.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use crate::wire::rtcp::{Counts, SenderTime};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// From where it comes: nobody has sent it.
pub const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Takes packets.
pub trait Screen: Send + Sync + 'static {
    /// One of a track, by its place from 0: its header, as it is read and as bytes, and its payload.
    fn show(&self, track: usize, header: (&RtpHeader, &[u8; FIXED_HEADER_LEN]), payload: &[u8], now: Instant);

    /// What time it is on a track, and what it has had.
    fn report(&self, track: usize, time: &SenderTime, counts: Counts, now: Instant);

    /// That was all for now of a track.
    fn pass_on(&self, track: usize, now: Instant);
}
