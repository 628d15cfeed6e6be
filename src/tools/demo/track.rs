//! One RTP track as it leaves: numbering, timestamps, and the sender reports that tie its clock to the wall clock.
//! It knows headers and counts, not what the payload shows, nor when anything is due.

use rtcp_types::{Bye, Compound, RtcpPacketWriterExt, Sdes, SdesChunk, SdesItem, SenderReport};
use rtp_rs::{RtpPacketBuilder, Seq};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::Duration;

/// The longest datagram sent, in bytes of UDP payload: fits any path, with room for tunnels.
pub const MAX_DATAGRAM_LEN: usize = 1400;
/// The RTP header, without CSRCs and extensions.
pub const RTP_HEADER_LEN: usize = 12;
/// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

/// The state of an RTP sender (RFC 3550): random beginnings, then counts that wrap.
pub struct RtpTrack {
    payload_type: u8,
    clock_rate: u32,
    ssrc: u32,
    sequence: Seq,
    first_timestamp: u32,
    packets: u32,
    octets: u32,
}

impl RtpTrack {
    /// A track with the given static or dynamic payload type and clock rate in Hz.
    pub fn new(payload_type: u8, clock_rate: u32) -> Self {
        Self {
            payload_type,
            clock_rate,
            ssrc: random() as u32,
            sequence: Seq::from(random() as u16),
            first_timestamp: random() as u32,
            packets: 0,
            octets: 0,
        }
    }

    /// Builds the next packet; `media_time` is counted from the programme's first frame. Returns its length in
    /// bytes, or an error when the payload does not fit `datagram`.
    pub fn packet(
        &mut self,
        media_time: Duration,
        marked: bool,
        payload: &[u8],
        datagram: &mut [u8],
    ) -> io::Result<usize> {
        let builder = RtpPacketBuilder::new()
            .payload_type(self.payload_type)
            .marked(marked)
            .sequence(self.sequence)
            .timestamp(self.timestamp(media_time))
            .ssrc(self.ssrc)
            .payload(payload);
        let len =
            builder.build_into(datagram).map_err(|error| io::Error::other(format!("RTP: {error:?}")))?;
        self.sequence = self.sequence.next();
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        Ok(len)
    }

    /// Builds a sender report with the CNAME (RFC 3550, sections 6.4.1 and 6.5), and a BYE when the track ends.
    /// `unix_time` and `media_time` are the same instant on the two clocks. Returns the length in bytes.
    pub fn report(
        &self,
        unix_time: Duration,
        media_time: Duration,
        cname: &str,
        ends: bool,
        datagram: &mut [u8],
    ) -> io::Result<usize> {
        let report = SenderReport::builder(self.ssrc)
            .ntp_timestamp(ntp_timestamp(unix_time))
            .rtp_timestamp(self.timestamp(media_time))
            .packet_count(self.packets)
            .octet_count(self.octets);
        let chunk = SdesChunk::builder(self.ssrc).add_item(SdesItem::builder(SdesItem::CNAME, cname));
        let mut compound =
            Compound::builder().add_packet(report).add_packet(Sdes::builder().add_chunk(chunk));
        if ends {
            compound = compound.add_packet(Bye::builder().add_source(self.ssrc));
        }
        compound.write_into(datagram).map_err(|error| io::Error::other(format!("RTCP: {error:?}")))
    }

    fn timestamp(&self, media_time: Duration) -> u32 {
        let ticks = media_time.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        self.first_timestamp.wrapping_add(ticks as u32)
    }
}

/// A number nobody can guess, for beginnings and names.
pub fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// 32 bits of seconds since 1900 (they wrap in 2036, as they should), 32 bits of fraction.
fn ntp_timestamp(unix_time: Duration) -> u64 {
    let seconds = (unix_time.as_secs() + NTP_UNIX_OFFSET_S) & 0xffff_ffff;
    let fraction = (u64::from(unix_time.subsec_nanos()) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtcp_types::Packet;
    use rtp_rs::RtpReader;

    #[test]
    fn numbers_run_on_across_their_wraps() {
        let mut track = RtpTrack::new(26, 90_000);
        track.sequence = Seq::from(0xffff);
        track.first_timestamp = u32::MAX - 100;
        let mut datagram = [0; MAX_DATAGRAM_LEN];
        let mut read = |media_time, marked| {
            let len = track.packet(media_time, marked, b"scan", &mut datagram).unwrap();
            let packet = RtpReader::new(&datagram[..len]).unwrap();
            assert_eq!((packet.payload_type(), packet.payload()), (26, &b"scan"[..]));
            (u16::from(packet.sequence_number()), packet.timestamp(), packet.mark())
        };
        assert_eq!(read(Duration::ZERO, false), (0xffff, u32::MAX - 100, false));
        assert_eq!(read(Duration::from_millis(40), true), (0, 3600 - 101, true));
    }

    #[test]
    fn a_report_ties_both_clocks_and_counts_what_was_sent() {
        let mut track = RtpTrack::new(97, 48_000);
        let mut datagram = [0; MAX_DATAGRAM_LEN];
        track.packet(Duration::ZERO, false, &[0; 960], &mut datagram).unwrap();
        let unix_time = Duration::from_millis(1_700_000_000_500);
        let len = track.report(unix_time, Duration::from_secs(2), "ball", true, &mut datagram).unwrap();
        let packets: Vec<_> = Compound::parse(&datagram[..len]).unwrap().map(Result::unwrap).collect();
        let [Packet::Sr(report), Packet::Sdes(sdes), Packet::Bye(bye)] = &packets[..] else {
            panic!("SR, SDES, BYE expected: {packets:?}");
        };
        assert_eq!(report.ntp_timestamp(), (1_700_000_000 + NTP_UNIX_OFFSET_S) << 32 | 0x8000_0000);
        assert_eq!(report.rtp_timestamp(), track.first_timestamp.wrapping_add(96_000));
        assert_eq!((report.packet_count(), report.octet_count()), (1, 960));
        let cname = sdes.chunks().next().unwrap().items().next().unwrap();
        assert_eq!((cname.type_(), cname.value()), (SdesItem::CNAME, &b"ball"[..]));
        assert!(bye.ssrcs().eq([report.ssrc()]));
    }

    #[test]
    fn a_payload_that_does_not_fit_is_an_error_and_takes_no_number() {
        let mut track = RtpTrack::new(97, 48_000);
        let before = track.sequence;
        assert!(track.packet(Duration::ZERO, false, &[0; 100], &mut [0; 50]).is_err());
        assert_eq!(track.sequence, before);
    }

    #[test]
    fn ntp_seconds_wrap_in_2036() {
        assert_eq!(ntp_timestamp(Duration::from_secs((1 << 32) - NTP_UNIX_OFFSET_S + 7)), 7 << 32);
    }
}
