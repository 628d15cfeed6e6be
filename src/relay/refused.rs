//! What of the datagrams to a track's group and ports was not taken, by reason.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::wire::rtcp::NotRtcp;
use crate::wire::rtp::NotRtp;
use crate::wire::transport_stream::NotTs;

/// A reading of what was not taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefusedTotals {
    /// Packets of payload types that the description does not offer.
    pub other_types: u64,
    not_rtp: [u64; NotRtp::ALL.len()],
    not_ts: [u64; NotTs::ALL.len()],
    not_rtcp: [u64; NotRtcp::ALL.len()],
}

#[derive(Debug, Default)]
pub(super) struct Refused {
    other_types: AtomicU64,
    not_rtp: [AtomicU64; NotRtp::ALL.len()],
    not_ts: [AtomicU64; NotTs::ALL.len()],
    not_rtcp: [AtomicU64; NotRtcp::ALL.len()],
}

impl Refused {
    pub fn other_type(&self) {
        self.other_types.fetch_add(1, Relaxed);
    }

    pub fn not_rtp(&self, reason: NotRtp) {
        count(&self.not_rtp, NotRtp::ALL.iter().position(|each| *each == reason));
    }

    pub fn not_ts(&self, reason: NotTs) {
        count(&self.not_ts, NotTs::ALL.iter().position(|each| *each == reason));
    }

    pub fn not_rtcp(&self, reason: NotRtcp) {
        count(&self.not_rtcp, NotRtcp::ALL.iter().position(|each| *each == reason));
    }

    pub fn read(&self) -> RefusedTotals {
        RefusedTotals {
            other_types: self.other_types.load(Relaxed),
            not_rtp: self.not_rtp.each_ref().map(|counter| counter.load(Relaxed)),
            not_ts: self.not_ts.each_ref().map(|counter| counter.load(Relaxed)),
            not_rtcp: self.not_rtcp.each_ref().map(|counter| counter.load(Relaxed)),
        }
    }
}

impl RefusedTotals {
    /// Datagrams on the port of media that were none, by reason.
    pub fn not_media(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let not_rtp = NotRtp::ALL.iter().map(NotRtp::reason).zip(self.not_rtp);
        not_rtp.chain(NotTs::ALL.into_iter().map(NotTs::reason).zip(self.not_ts))
    }

    /// Datagrams on the port of RTCP that were not RTCP, by reason.
    pub fn not_rtcp(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NotRtcp::ALL.iter().map(NotRtcp::reason).zip(self.not_rtcp)
    }
}

impl AddAssign for RefusedTotals {
    fn add_assign(&mut self, other: Self) {
        self.other_types += other.other_types;
        self.not_rtp.iter_mut().zip(other.not_rtp).for_each(|(sum, more)| *sum += more);
        self.not_ts.iter_mut().zip(other.not_ts).for_each(|(sum, more)| *sum += more);
        self.not_rtcp.iter_mut().zip(other.not_rtcp).for_each(|(sum, more)| *sum += more);
    }
}

fn count(counters: &[AtomicU64], place: Option<usize>) {
    if let Some(counter) = place.and_then(|place| counters.get(place)) {
        counter.fetch_add(1, Relaxed);
    }
}
