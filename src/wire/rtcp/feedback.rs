//! What a subscriber says: how it hears us, under which SSRC, and that it leaves.

use rtcp_types::prelude::*;
use rtcp_types::{Bye, ReceiverReport, ReportBlock, SenderReport};

use super::compound::{NotRtcp, packet_type, packets};

/// Reports kept of one datagram: what a single packet can carry. A subscriber reports on one or two sources.
pub(super) const MAX_REPORTS: usize = 31;
/// Sources kept that a datagram says goodbye for.
const MAX_GOODBYES: usize = 31;
/// Packets of these types begin with their sender's SSRC: APP, feedback on transport and payload (RFC 4585), XR (RFC 3611).
const OF_A_SENDER: [u8; 4] = [204, 205, 206, 207];

/// What a subscriber's compound packet says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feedback {
    /// The subscriber's own SSRC: that of its first packet which has one.
    pub sender_ssrc: Option<u32>,
    /// Its report blocks, at most 31.
    pub reports: Vec<Report>,
    /// The sources that leave with a BYE, at most 31.
    pub goodbyes: Vec<u32>,
}

/// One report block (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// The source reported on.
    pub ssrc: u32,
    /// Loss since the previous report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in all; negative when duplicates outweigh loss.
    pub cumulative_lost: i32,
    /// Highest sequence number received, its wraps counted in the upper half.
    pub extended_highest_sequence: u32,
    /// Interarrival jitter in units of the RTP timestamps.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report received; 0 if none came.
    pub last_sender_report: u32,
    /// Delay since then in 1/65536 s.
    pub delay_since_last_sender_report: u32,
}

/// Reads what a subscriber says. Any order of packets is taken, reduced-size RTCP included (RFC 5506), and types
/// that mean nothing to us (APP, XR, feedback messages) are passed over but for whose they are.
///
/// # Errors
/// When the datagram is not a well-formed sequence of RTCP packets.
pub fn feedback(datagram: &[u8]) -> Result<Feedback, NotRtcp> {
    let mut feedback = Feedback::default();
    for packet in packets(datagram)? {
        match packet_type(packet) {
            Bye::PACKET_TYPE => {
                let bye = Bye::parse(packet).map_err(|_| NotRtcp::Malformed)?;
                let room = MAX_GOODBYES.saturating_sub(feedback.goodbyes.len());
                feedback.goodbyes.extend(bye.ssrcs().take(room));
            }
            ReceiverReport::PACKET_TYPE => {
                let report = ReceiverReport::parse(packet).map_err(|_| NotRtcp::Malformed)?;
                feedback.add(report.ssrc(), report.report_blocks());
            }
            SenderReport::PACKET_TYPE => {
                let report = SenderReport::parse(packet).map_err(|_| NotRtcp::Malformed)?;
                feedback.add(report.ssrc(), report.report_blocks());
            }
            other if OF_A_SENDER.contains(&other) => {
                if let Some(&ssrc) = packet.get(4..).and_then(<[u8]>::first_chunk) {
                    feedback.sender_ssrc.get_or_insert(u32::from_be_bytes(ssrc));
                }
            }
            _ => {}
        }
    }
    Ok(feedback)
}

/// Whether a datagram has a BYE in it, whole or not.
#[must_use]
pub fn says_goodbye(datagram: &[u8]) -> bool {
    packets(datagram).is_ok_and(|mut all| all.any(|packet| packet_type(packet) == Bye::PACKET_TYPE))
}

impl Feedback {
    /// Its report on a source.
    #[must_use]
    pub fn report_on(&self, source: Option<u32>) -> Option<Report> {
        self.reports.iter().find(|report| Some(report.ssrc) == source).copied()
    }

    fn add<'a>(&mut self, sender_ssrc: u32, blocks: impl Iterator<Item = ReportBlock<'a>>) {
        self.sender_ssrc.get_or_insert(sender_ssrc);
        let room = MAX_REPORTS.saturating_sub(self.reports.len());
        self.reports.extend(blocks.take(room).map(|block| Report {
            ssrc: block.ssrc(),
            fraction_lost: block.fraction_lost(),
            cumulative_lost: signed_24(block.cumulative_lost()),
            extended_highest_sequence: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last_sender_report: block.last_sender_report_timestamp(),
            delay_since_last_sender_report: block.delay_since_last_sender_report_timestamp(),
        }));
    }
}

/// Sign-extends a 24-bit number.
const fn signed_24(value: u32) -> i32 {
    (value << 8) as i32 >> 8
}
