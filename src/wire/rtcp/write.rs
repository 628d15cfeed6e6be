//! What we say ourselves.

use std::time::Duration;

use rtcp_types::prelude::*;
use rtcp_types::{Bye, Compound, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem, SenderReport};

use super::feedback::Report;
use super::reflect::SenderTime;
use super::rename::Counts;

/// Seconds from 1900, which NTP counts from, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// The farewell for `ssrc`: an empty receiver report and a BYE in one compound packet (RFC 3550 section 6.6).
/// A reason longer than 255 bytes is cut at a character.
#[must_use]
pub fn goodbye(ssrc: u32, reason: &str) -> Vec<u8> {
    let end = (0..=reason.len().min(255)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    let reason = &reason[..end];
    let compound = Compound::builder()
        .add_packet(ReceiverReport::builder(ssrc))
        .add_packet(Bye::builder().add_source(ssrc).reason(reason));
    let size = compound.calculate_size().expect("one source, no padding and at most 255 bytes of reason");
    let mut packet = vec![0; size];
    compound.write_into_unchecked(&mut packet);
    packet
}

/// A time since 1970 as reports have it (RFC 3550 section 4).
#[must_use]
pub fn ntp(unix: Duration) -> u64 {
    let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
    unix.as_secs().wrapping_add(NTP_EPOCH) << 32 | fraction
}

/// What a sender says of its stream, and how much of it it has sent: a report and its name in one compound packet
/// (RFC 3550 section 6.4.1). A name longer than 255 bytes is left out.
#[must_use]
pub fn sender_report(cname: &str, time: &SenderTime, Counts { packets, octets }: Counts) -> Vec<u8> {
    let sender = SenderReport::builder(time.ssrc)
        .ntp_timestamp(time.ntp_timestamp)
        .rtp_timestamp(time.rtp_timestamp)
        .packet_count(packets)
        .octet_count(octets);
    let mut chunk = SdesChunk::builder(time.ssrc);
    if cname.len() <= 255 {
        chunk = chunk.add_item(SdesItem::builder(SdesItem::CNAME, cname));
    }
    let compound = Compound::builder().add_packet(sender).add_packet(Sdes::builder().add_chunk(chunk));
    let size = compound.calculate_size().expect("no block, one name of at most 255 bytes");
    let mut packet = vec![0; size];
    compound.write_into_unchecked(&mut packet);
    packet
}

/// What a receiver says of one source, if it has heard one: a report and its name in one compound packet (RFC 3550
/// section 6.1).
/// A loss beyond 24 bits is capped, and a name longer than 255 bytes is left out.
#[must_use]
pub fn receiver_report(ssrc: u32, cname: &str, report: Option<&Report>) -> Vec<u8> {
    let block = |report: &Report| {
        ReportBlock::builder(report.ssrc)
            .fraction_lost(report.fraction_lost)
            .cumulative_lost(report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff)
            .extended_sequence_number(report.extended_highest_sequence)
            .interarrival_jitter(report.jitter)
            .last_sender_report_timestamp(report.last_sender_report)
            .delay_since_last_sender_report_timestamp(report.delay_since_last_sender_report)
    };
    let receiver = ReceiverReport::builder(ssrc);
    let receiver = match report {
        Some(report) => receiver.add_report_block(block(report)),
        None => receiver,
    };
    let mut chunk = SdesChunk::builder(ssrc);
    if cname.len() <= 255 {
        chunk = chunk.add_item(SdesItem::builder(SdesItem::CNAME, cname));
    }
    let compound = Compound::builder().add_packet(receiver).add_packet(Sdes::builder().add_chunk(chunk));
    let size = compound.calculate_size().expect("one block of 24-bit loss, one name of at most 255 bytes");
    let mut packet = vec![0; size];
    compound.write_into_unchecked(&mut packet);
    packet
}

#[cfg(test)]
mod tests {
    use super::super::reflectable;
    use super::*;

    #[test]
    fn a_sender_report_says_what_time_it_is() {
        let time = SenderTime { ssrc: 7, ntp_timestamp: 0x1234_5678_9abc_def0, rtp_timestamp: 90_000 };
        let packet = sender_report("a", &time, Counts { packets: 3, octets: 4000 });
        let read = reflectable(&packet).expect("RTCP").expect("something of it is passed on");
        assert_eq!((read.packet.len(), read.sender), (packet.len(), Some(time)));
        assert_eq!(ntp(Duration::from_millis(1500)), (NTP_EPOCH + 1) << 32 | 1 << 31);
    }
}
