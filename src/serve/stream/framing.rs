//! How packets look on a connection: behind RTSP's header of a channel, or the transport stream in them and nothing else.

use bytes::{Buf, Bytes};

use crate::relay::Framing;
use crate::wire::rtp;
use crate::wire::rtsp::framing::INTERLEAVED_HEADER_LEN;
use crate::wire::rtsp::interleaved_header;
use crate::wire::transport_stream::{self, PACKET_LEN};

/// What stands before each packet.
pub(super) const fn header_len(framing: Framing) -> usize {
    match framing {
        Framing::Channel(_) => INTERLEAVED_HEADER_LEN,
        Framing::TransportStream => 0,
    }
}

/// That of a body of this length, which a datagram has: no more than 16 bits can say. Of a framing without headers it is not sent.
pub(super) const fn header(framing: Framing, length: usize) -> [u8; INTERLEAVED_HEADER_LEN] {
    match framing {
        Framing::Channel(channel) => interleaved_header(channel, length as u16),
        Framing::TransportStream => [0; INTERLEAVED_HEADER_LEN],
    }
}

/// What follows it of a packet: where it lies, unless there is parity to leave out.
pub(super) fn body(framing: Framing, packet: &mut Bytes) {
    if framing != Framing::TransportStream {
        return;
    }
    let payload = payload(packet);
    if transport_stream::packet_len(payload).is_none_or(|length| length == PACKET_LEN) {
        let begin = payload.as_ptr() as usize - packet.as_ptr() as usize;
        let length = payload.len();
        packet.advance(begin);
        packet.truncate(length);
    } else {
        let mut copy = Vec::with_capacity(payload.len());
        append_packets(payload, &mut copy);
        *packet = Bytes::from(copy);
    }
}

/// Says in a framed packet that those before it were skipped, where the format has a place for that.
pub(super) fn tell_gap(framing: Framing, packet: &mut Bytes) {
    if framing == Framing::TransportStream {
        let mut copy = packet.to_vec();
        transport_stream::mark_discontinuous(&mut copy);
        *packet = Bytes::from(copy);
    }
}

/// Appends a packet, framed.
pub(super) fn append(framing: Framing, packet: &[u8], out: &mut Vec<u8>) {
    match framing {
        Framing::Channel(_) => {
            out.extend_from_slice(&header(framing, packet.len()));
            out.extend_from_slice(packet);
        }
        Framing::TransportStream => append_packets(payload(packet), out),
    }
}

fn append_packets(payload: &[u8], out: &mut Vec<u8>) {
    if payload.len().is_multiple_of(PACKET_LEN) {
        return out.extend_from_slice(payload);
    }
    transport_stream::packets(payload).for_each(|packet| out.extend_from_slice(&packet[..PACKET_LEN]));
}

/// The payload of an RTP packet, if it is whole packets of a transport stream; else what a reader would lose its place by is
/// left out.
fn payload(packet: &[u8]) -> &[u8] {
    let payload = rtp::check(packet).map_or(&[][..], |header| header.payload(packet));
    if transport_stream::check(payload).is_ok() { payload } else { &packet[..0] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(payload: &[u8]) -> Vec<u8> {
        [&[0x80, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7][..], payload].concat()
    }

    fn stream(count: usize, length: usize) -> Vec<u8> {
        let packet = |number: usize| [&[0x47][..], &vec![number as u8; length - 1]].concat();
        (0..count).flat_map(packet).collect()
    }

    /// Both ways of framing say the same.
    fn framed(packet: &[u8]) -> Vec<u8> {
        let mut all = b"before".to_vec();
        append(Framing::TransportStream, packet, &mut all);
        let mut alone = Bytes::copy_from_slice(packet);
        body(Framing::TransportStream, &mut alone);
        assert_eq!(all[6..], alone);
        all.split_off(6)
    }

    #[test]
    fn a_transport_stream_is_all_that_is_left_without_its_parity() {
        for count in [1, 7, 46] {
            assert!(framed(&rtp(&stream(count, 188))) == stream(count, 188), "{count}");
            let whole = framed(&rtp(&stream(count, 204)));
            let expected: Vec<_> =
                stream(count, 204).chunks(204).flat_map(|packet| packet[..188].to_vec()).collect();
            assert!(whole == expected, "{count}");
        }
        let extended =
            [&[0x90, 33, 0, 1][..], &[0; 8], &[0xbe, 0xde, 0, 1, 9, 9, 9, 9], &stream(2, 188)].concat();
        assert!(framed(&extended) == stream(2, 188));
    }

    #[test]
    fn nothing_is_left_of_what_is_no_transport_stream() {
        let mut unsynced = stream(7, 188);
        unsynced[188] = 0;
        for payload in [vec![], stream(1, 187), stream(1, 188)[1..].to_vec(), unsynced] {
            assert_eq!(framed(&rtp(&payload)), [0; 0]);
        }
        assert_eq!(framed(b"no RTP at all"), [0; 0]);
    }

    #[test]
    fn nothing_is_copied_where_there_is_no_parity() {
        let packet = Bytes::from(rtp(&stream(7, 188)));
        let mut payload = packet.clone();
        body(Framing::TransportStream, &mut payload);
        assert!(packet.as_ptr_range().contains(&payload.as_ptr()));
    }
}
