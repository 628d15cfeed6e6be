//! What a datagram that is not taken looks like, for the log: what to look for, and where.

use super::packetizer::MP2T;
use super::rtp::{self, NotRtp};
use super::transport_stream;

/// One that is no packet of a stream of RTP.
#[must_use]
pub fn instead_of_rtp(datagram: &[u8]) -> String {
    match rtp::check(datagram) {
        Ok(header) => format!(
            "RTP of payload type {}, which the channel does not have (forward error correction, or a second sender)",
            header.payload_type
        ),
        Err(NotRtp::Rtcp) => "RTCP, on the port of RTP without a=rtcp-mux".to_owned(),
        Err(_) if transport_stream::check(datagram).is_ok() => {
            "bare MPEG-TS, without RTP in front of it; write udp:// in place of rtp://".to_owned()
        }
        Err(reason) => format!("no RTP: {reason}"),
    }
}

/// One that is no bare transport stream.
#[must_use]
pub fn instead_of_ts(datagram: &[u8]) -> String {
    match (transport_stream::check(datagram), rtp::check(datagram)) {
        (Err(_), Ok(header)) if header.payload_type == MP2T.0 => {
            "MPEG-TS in RTP; write rtp:// in place of udp://".to_owned()
        }
        (Err(_), Ok(header)) => {
            format!("RTP of payload type {}, which is no transport stream", header.payload_type)
        }
        (Err(reason), Err(_)) => format!("no MPEG-TS: {reason}"),
        (Ok(()), _) => "MPEG-TS".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of RTP.
    fn rtp(second: u8) -> Vec<u8> {
        let mut packet = vec![0; 20];
        (packet[0], packet[1]) = (0x80, second);
        packet
    }

    fn ts() -> Vec<u8> {
        let mut packet = [0xff; 188];
        packet[0] = 0x47;
        packet.repeat(7)
    }

    #[test]
    fn what_is_no_rtp_of_ours_is_recognised() {
        for (datagram, told) in [
            (ts(), "bare MPEG-TS"),
            (rtp(96), "RTP of payload type 96"),
            (rtp(200), "RTCP"),
            (b"GET / HTTP/1.1".to_vec(), "no RTP: not RTP version 2"),
            (vec![], "no RTP: shorter"),
        ] {
            assert!(instead_of_rtp(&datagram).starts_with(told), "{told}");
        }
    }

    #[test]
    fn what_is_no_transport_stream_is_recognised() {
        let mut broken = ts();
        broken[188] = 0;
        for (datagram, told) in [
            (rtp(33), "MPEG-TS in RTP; write rtp://"),
            (rtp(96), "RTP of payload type 96"),
            (broken, "no MPEG-TS: a packet begins without"),
            (vec![0x47; 100], "no MPEG-TS: no whole packets"),
        ] {
            assert!(instead_of_ts(&datagram).starts_with(told), "{told}");
        }
    }
}
