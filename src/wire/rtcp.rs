//! RTCP compound packets: what of a source's is passed on, what a subscriber's say, and what we say ourselves
//! (RFC 3550 section 6).
//!
//! It knows neither addresses nor sessions, and changes nothing of what it passes on but its length.

use rtcp_types::prelude::*;
use rtcp_types::{Bye, Compound, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem, SenderReport};

const HEADER_LEN: usize = 4;
/// Reports kept of one datagram: what a single packet can carry. A subscriber reports on one or two sources.
const MAX_REPORTS: usize = 31;

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

/// What a subscriber's compound packet says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feedback {
    /// The subscriber's own SSRC, if it reports.
    pub sender_ssrc: Option<u32>,
    /// Its report blocks, at most 31.
    pub reports: Vec<Report>,
    /// Whether it leaves with a BYE.
    pub goodbye: bool,
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

/// Why a datagram is not an RTCP compound packet we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRtcp {
    /// A packet ends before its length field says.
    #[error("shorter than its packets' lengths")]
    Short,
    /// A packet's version is not 2.
    #[error("not RTCP version 2")]
    Version,
    /// The packet type is none of RTCP's (192 to 223, RFC 5761 section 4).
    #[error("not an RTCP packet type")]
    Type,
    /// Padding in another place than the end of the last packet (RFC 3550 section 6.4.1).
    #[error("padding before the last packet")]
    Padding,
    /// A source's compound packet does not start with a report (RFC 3550 section 6.1).
    #[error("does not start with a sender or receiver report")]
    Start,
    /// A report or BYE is smaller than its own counts demand.
    #[error("a report or BYE is smaller than its counts")]
    Malformed,
}

impl NotRtcp {
    /// All reasons, so that counters can be laid out once.
    pub const ALL: [Self; 6] =
        [Self::Short, Self::Version, Self::Type, Self::Padding, Self::Start, Self::Malformed];

    /// A stable word for this reason, for metric labels and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Version => "version",
            Self::Type => "type",
            Self::Padding => "padding",
            Self::Start => "start",
            Self::Malformed => "malformed",
        }
    }
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

/// Reads what a subscriber says. Any order of packets is taken, reduced-size RTCP included (RFC 5506), and types
/// that mean nothing to us (APP, XR, feedback messages) are passed over: a word from a subscriber is a sign of
/// life whatever else it says.
///
/// # Errors
/// When the datagram is not a well-formed sequence of RTCP packets.
pub fn feedback(datagram: &[u8]) -> Result<Feedback, NotRtcp> {
    let mut feedback = Feedback::default();
    for packet in packets(datagram)? {
        match packet_type(packet) {
            Bye::PACKET_TYPE => {
                Bye::parse(packet).map_err(|_| NotRtcp::Malformed)?;
                feedback.goodbye = true;
            }
            ReceiverReport::PACKET_TYPE => {
                let report = ReceiverReport::parse(packet).map_err(|_| NotRtcp::Malformed)?;
                feedback.add(report.ssrc(), report.report_blocks());
            }
            SenderReport::PACKET_TYPE => {
                let report = SenderReport::parse(packet).map_err(|_| NotRtcp::Malformed)?;
                feedback.add(report.ssrc(), report.report_blocks());
            }
            _ => {}
        }
    }
    Ok(feedback)
}

impl Feedback {
    fn add<'a>(&mut self, sender_ssrc: u32, blocks: impl Iterator<Item = ReportBlock<'a>>) {
        self.sender_ssrc = Some(sender_ssrc);
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

/// What a receiver says of one source: a report and its name in one compound packet (RFC 3550 section 6.1).
/// A loss beyond 24 bits is capped, and a name longer than 255 bytes is left out.
#[must_use]
pub fn receiver_report(ssrc: u32, cname: &str, report: &Report) -> Vec<u8> {
    let block = ReportBlock::builder(report.ssrc)
        .fraction_lost(report.fraction_lost)
        .cumulative_lost(report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff)
        .extended_sequence_number(report.extended_highest_sequence)
        .interarrival_jitter(report.jitter)
        .last_sender_report_timestamp(report.last_sender_report)
        .delay_since_last_sender_report_timestamp(report.delay_since_last_sender_report);
    let mut chunk = SdesChunk::builder(ssrc);
    if cname.len() <= 255 {
        chunk = chunk.add_item(SdesItem::builder(SdesItem::CNAME, cname));
    }
    let compound = Compound::builder()
        .add_packet(ReceiverReport::builder(ssrc).add_report_block(block))
        .add_packet(Sdes::builder().add_chunk(chunk));
    let size = compound.calculate_size().expect("one block of 24-bit loss, one name of at most 255 bytes");
    let mut packet = vec![0; size];
    compound.write_into_unchecked(&mut packet);
    packet
}

fn packet_type(packet: &[u8]) -> u8 {
    packet[1] // `packets` yields no packet without its header
}

/// The compound packet's parts, all checked before the first is given out. `rtcp_types::Compound` is not used
/// for reading: it stops at the first packet whose inside it cannot read, a mangled XR or APP for one.
fn packets(datagram: &[u8]) -> Result<impl Iterator<Item = &[u8]>, NotRtcp> {
    let mut rest = datagram;
    loop {
        let len = packet_len(rest)?;
        if len == rest.len() {
            return Ok(Packets(datagram));
        }
        if rest[0] & 0x20 != 0 {
            return Err(NotRtcp::Padding);
        }
        rest = &rest[len..];
    }
}

struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (packet, rest) = self.0.split_at_checked(packet_len(self.0).ok()?)?;
        self.0 = rest;
        Some(packet)
    }
}

/// The length in bytes of the packet that `rest` starts with, header included.
fn packet_len(rest: &[u8]) -> Result<usize, NotRtcp> {
    let [first, packet_type, high, low, ..] = *rest else { return Err(NotRtcp::Short) };
    if first >> 6 != 2 {
        return Err(NotRtcp::Version);
    }
    if !(192..=223).contains(&packet_type) {
        return Err(NotRtcp::Type);
    }
    let len = HEADER_LEN + 4 * usize::from(u16::from_be_bytes([high, low]));
    if len > rest.len() { Err(NotRtcp::Short) } else { Ok(len) }
}

/// Sign-extends a 24-bit number.
const fn signed_24(value: u32) -> i32 {
    (value << 8) as i32 >> 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fuzz;
    use proptest::prelude::*;
    use rtcp_types::App;

    const SSRC: u32 = 0xcafe_f00d;

    fn write(packet: &impl RtcpPacketWriter) -> Vec<u8> {
        let mut bytes = vec![0; packet.calculate_size().expect("a valid packet")];
        packet.write_into_unchecked(&mut bytes);
        bytes
    }

    fn sender_report() -> Vec<u8> {
        write(&SenderReport::builder(SSRC).ntp_timestamp(0x0123_4567_89ab_cdef).rtp_timestamp(90_000))
    }

    fn description() -> Vec<u8> {
        let name = SdesItem::builder(SdesItem::CNAME, "source");
        write(&Sdes::builder().add_chunk(SdesChunk::builder(SSRC).add_item(name)))
    }

    fn bye() -> Vec<u8> {
        write(&Bye::builder().add_source(SSRC))
    }

    const TIME: SenderTime =
        SenderTime { ssrc: SSRC, ntp_timestamp: 0x0123_4567_89ab_cdef, rtp_timestamp: 90_000 };

    #[test]
    fn a_senders_report_passes_whole() {
        let datagram = [sender_report(), description()].concat();
        let passed = reflectable(&datagram).expect("valid").expect("something to pass");
        assert_eq!(passed, Reflectable { packet: &datagram, sender: Some(TIME) });
    }

    #[test]
    fn a_bye_and_what_follows_it_stay_here() {
        let datagram = [sender_report(), description(), bye(), description()].concat();
        let passed = reflectable(&datagram).expect("valid").expect("something to pass");
        assert_eq!(passed.packet, [sender_report(), description()].concat());
        assert_eq!(passed.sender, Some(TIME));
        assert_eq!(reflectable(&bye()), Ok(None));
    }

    #[test]
    fn a_receivers_report_is_read_back() {
        for cumulative_lost in [0, 7, -7, 0x7f_ffff, -0x80_0000] {
            let report = Report {
                ssrc: SSRC,
                fraction_lost: 255,
                cumulative_lost,
                extended_highest_sequence: 0x0001_ffff,
                jitter: 9,
                last_sender_report: 0x4567_89ab,
                delay_since_last_sender_report: 65_536,
            };
            let packet = receiver_report(5, "viewer@home", &report);
            let expected = Feedback { sender_ssrc: Some(5), reports: vec![report], goodbye: false };
            assert_eq!(feedback(&packet), Ok(expected));
        }
        let far = Report { cumulative_lost: i32::MAX, ..Report::default() };
        let read = feedback(&receiver_report(5, &"n".repeat(300), &far)).expect("well formed");
        assert_eq!(read.reports[0].cumulative_lost, 0x7f_ffff, "more than 24 bits is capped");
    }

    #[test]
    fn a_receiver_report_may_come_first_and_gives_no_time() {
        let datagram = [write(&ReceiverReport::builder(SSRC)), description()].concat();
        let passed = reflectable(&datagram).expect("valid").expect("something to pass");
        assert_eq!(passed, Reflectable { packet: &datagram, sender: None });
    }

    #[test]
    fn refusals_of_a_source_have_their_reasons() {
        let mut padded_first = [sender_report(), description()].concat();
        padded_first[0] |= 0x20;
        let mut truncated = sender_report();
        truncated.pop();
        let mut miscounted = sender_report();
        miscounted[0] |= 1;
        for (datagram, reason) in [
            (description(), "start"),
            (padded_first, "padding"),
            (truncated, "short"),
            (miscounted, "malformed"),
            (vec![], "short"),
            (vec![0x80, 33, 0, 0], "type"),
            (vec![0x40, 200, 0, 0], "version"),
        ] {
            assert_eq!(reflectable(&datagram).expect_err(reason).reason(), reason);
        }
    }

    #[test]
    fn a_subscribers_report_is_read() {
        let block = ReportBlock::builder(SSRC)
            .fraction_lost(64)
            .cumulative_lost(0x00ff_fffe)
            .extended_sequence_number(0x0002_0001)
            .interarrival_jitter(123)
            .last_sender_report_timestamp(7)
            .delay_since_last_sender_report_timestamp(8);
        let datagram = write(&ReceiverReport::builder(42).add_report_block(block));
        let said = feedback(&datagram).expect("valid");
        let report = Report {
            ssrc: SSRC,
            fraction_lost: 64,
            cumulative_lost: -2,
            extended_highest_sequence: 0x0002_0001,
            jitter: 123,
            last_sender_report: 7,
            delay_since_last_sender_report: 8,
        };
        assert_eq!(said, Feedback { sender_ssrc: Some(42), reports: vec![report], goodbye: false });
    }

    #[test]
    fn unknown_and_mangled_extras_are_passed_over() {
        let mangled_nack = [0x9f, 205, 0, 1, 1, 2, 3, 4];
        let extended_report = [0x80, 207, 0, 2, 0, 0, 0, 1, 99, 0, 0xff, 0xff];
        let datagram = [
            write(&ReceiverReport::builder(42)),
            write(&App::builder(42, "live")),
            mangled_nack.to_vec(),
            extended_report.to_vec(),
            bye(),
        ]
        .concat();
        let said = feedback(&datagram).expect("valid");
        assert_eq!(said, Feedback { sender_ssrc: Some(42), reports: vec![], goodbye: true });
    }

    #[test]
    fn reports_are_bounded() {
        let mut report = ReceiverReport::builder(42);
        for ssrc in 0..20 {
            report = report.add_report_block(ReportBlock::builder(ssrc));
        }
        assert_eq!(feedback(&write(&report).repeat(10)).expect("valid").reports.len(), MAX_REPORTS);
    }

    #[test]
    fn our_goodbye_is_a_compound_packet_that_others_understand() {
        for reason in ["", "shutting down", &"ü".repeat(200)] {
            let packet = goodbye(SSRC, reason);
            let parts: Vec<_> = Compound::parse(&packet).expect("lengths").collect();
            assert!(matches!(&parts[0], Ok(rtcp_types::Packet::Rr(report)) if report.ssrc() == SSRC));
            let Ok(rtcp_types::Packet::Bye(bye)) = &parts[1] else { panic!("no BYE in {parts:?}") };
            assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [SSRC]);
            assert!(feedback(&packet).expect("valid").goodbye);
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz::rtcp::exercise(&datagram);
        }

        /// Well-formed outside, anything inside.
        #[test]
        fn hostile_packets_never_panic(
            packets in prop::collection::vec((0x80..=0xbfu8, 198..=210u8, prop::collection::vec(any::<u32>(), 0..20)), 0..5),
        ) {
            let mut datagram = Vec::new();
            for (first, packet_type, words) in packets {
                datagram.extend([first, packet_type, 0, words.len() as u8]);
                datagram.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            }
            fuzz::rtcp::exercise(&datagram);
        }
    }
}
