//! What of a source's RTCP is passed on.

use rtcp_types::prelude::*;
use rtcp_types::{Bye, ReceiverReport, SenderReport};

use super::compound::{NotRtcp, packet_type, packets};

/// The part of a source's compound packet that subscribers may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reflectable<'a> {
    /// The bytes to pass on, untouched; a compound packet of its own.
    pub packet: &'a [u8],
    /// What its sender report says, if it starts with one.
    pub sender: Option<SenderTime>,
}

/// The clock pair of a sender report (RFC 3550 section 6.4.1): both stamps name the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderTime {
    /// The source that reports.
    pub ssrc: u32,
    /// NTP time: seconds since 1900 in the upper half, fractions of 1/2^32 s in the lower.
    pub ntp_timestamp: u64,
    /// The same instant in units of the RTP timestamps.
    pub rtp_timestamp: u32,
}

/// Tells which part of a source's datagram is passed on to subscribers: everything before a BYE. A source's BYE
/// must not end the viewers' sessions, for the source may come back. `None` when nothing is left.
///
/// A lone BYE is taken, and yields `None`; any other packet that does not start with a report is refused:
/// reduced-size RTCP (RFC 5506) needs an agreement that a file of SDP cannot make for our subscribers.
///
/// # Errors
/// When the datagram is not a well-formed compound packet.
pub fn reflectable(datagram: &[u8]) -> Result<Option<Reflectable<'_>>, NotRtcp> {
    let mut kept = 0;
    let mut ended = false;
    let mut sender = None;
    for packet in packets(datagram)? {
        match packet_type(packet) {
            Bye::PACKET_TYPE => ended = true,
            SenderReport::PACKET_TYPE => {
                let report = SenderReport::parse(packet).map_err(|_| NotRtcp::Malformed)?;
                sender = sender.or((kept == 0).then(|| SenderTime {
                    ssrc: report.ssrc(),
                    ntp_timestamp: report.ntp_timestamp(),
                    rtp_timestamp: report.rtp_timestamp(),
                }));
            }
            ReceiverReport::PACKET_TYPE => {
                ReceiverReport::parse(packet).map_err(|_| NotRtcp::Malformed)?;
            }
            _ if kept == 0 && !ended => return Err(NotRtcp::Start),
            _ => {}
        }
        if !ended {
            kept += packet.len();
        }
    }
    Ok((kept > 0).then(|| Reflectable { packet: &datagram[..kept], sender }))
}
