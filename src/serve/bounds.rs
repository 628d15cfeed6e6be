//! What one connection can have us hold, whatever its client does: a sum, and its parts. The kernel's buffers are not ours.

use std::mem;

use super::http::HEAD_BYTES;
use super::rtsp::MAX_UNREAD_BYTES;
use super::rtsp_connection::RtspConnection;
use super::stream::{CUT_OFF_BYTES, Output, RECORD_BYTES, SETUP_BYTES};
use super::tls::HANDSHAKE_BYTES;

/// The longest reply without a description: RTP-Info names all that is set up, or Unsupported what a head may hold.
const REPLY_BYTES: usize = 14 << 10;

/// A packet that was begun, of the size that networks carry.
const PACKET_BYTES: usize = 1500;

/// The structures behind a connection: its own, two entries of poll tables, a timer, room for a batch of packets.
const STRUCTURE_BYTES: usize = mem::size_of::<RtspConnection>() + mem::size_of::<Output>() + (3 << 10);

/// What TLS adds: a record each way, one that was decrypted, and its keys and tables, as measured.
const TLS_BYTES: usize = 3 * (RECORD_BYTES + (2 << 10)) + (10 << 10);

/// A handshake that is under way holds what the client has said, and as much as we answer.
const _: () = assert!(2 * HANDSHAKE_BYTES < TLS_BYTES);

const _: () = assert!(
    TLS_BYTES <= 64 << 10,
    "what docs/operations.md promises beside that, of a connection through TLS"
);

/// The sum. A longer description, or packet, is the operator's, and comes on top.
const CONNECTION_BYTES: usize =
    MAX_UNREAD_BYTES + CUT_OFF_BYTES + REPLY_BYTES + SETUP_BYTES + PACKET_BYTES + STRUCTURE_BYTES;

const _: () = assert!(CONNECTION_BYTES <= 64 << 10, "what docs/operations.md promises");

/// Where it asks by HTTP, hyper holds a request, the head of the next one, and a table of headers.
const _: () = assert!(2 * HEAD_BYTES + (12 << 10) + STRUCTURE_BYTES <= CONNECTION_BYTES);

#[cfg(test)]
mod tests {
    use super::super::stream::TRACK_BYTES;
    use super::*;
    use crate::wire::rtsp::framing::FROM_CLIENTS;
    use crate::wire::rtsp::{Reply, RtpInfo, StatusCode};

    #[test]
    fn the_longest_replies_are_within_what_is_reckoned() {
        let tracks = SETUP_BYTES / (TRACK_BYTES + 16);
        let url = "u".repeat(SETUP_BYTES / tracks - TRACK_BYTES);
        let info = RtpInfo { url: &url, sequence: Some(u16::MAX), rtptime: Some(u32::MAX) };
        let reply = Reply::new(StatusCode::Ok, Some(u32::MAX)).session(&"s".repeat(24), u32::MAX);
        let many = reply.live_range().rtp_info(&vec![info; tracks]).to_bytes().len();
        let long = "u".repeat(FROM_CLIENTS.uri);
        let tracks = SETUP_BYTES / (TRACK_BYTES + long.len());
        let info = RtpInfo { url: &long, ..info };
        let large = Reply::new(StatusCode::Ok, Some(7)).rtp_info(&vec![info; tracks]).to_bytes().len();
        let echo = "x".repeat(FROM_CLIENTS.head);
        let echo = Reply::new(StatusCode::OptionNotSupported, Some(7)).header("Unsupported", &echo);
        for length in [many, large, echo.to_bytes().len()] {
            assert!(length <= REPLY_BYTES, "{length}");
        }
    }
}
