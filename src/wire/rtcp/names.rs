//! What a source says of itself: reports, and the names that it has for its streams (RFC 3550 section 6.5).

use rtcp_types::prelude::*;
use rtcp_types::{Bye, Sdes, SdesItem, SenderReport};

use super::compound::{NotRtcp, packet_type, packets};

/// Names kept of one datagram: as many as one packet can carry.
const MAX_NAMES: usize = 31;

/// What one compound packet of a source says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceSays {
    /// Sender reports in it.
    pub sender_reports: u32,
    /// It says that a source leaves.
    pub is_goodbye: bool,
    /// Canonical names (CNAME) by SSRC, at most 31; text from outside.
    pub names: Vec<(u32, String)>,
}

/// Reads what a source says. What is not understood of a description is passed over.
///
/// # Errors
/// When the datagram is not a well-formed sequence of RTCP packets.
pub fn source_says(datagram: &[u8]) -> Result<SourceSays, NotRtcp> {
    let mut said = SourceSays::default();
    for packet in packets(datagram)? {
        match packet_type(packet) {
            SenderReport::PACKET_TYPE => said.sender_reports += 1,
            Bye::PACKET_TYPE => said.is_goodbye = true,
            Sdes::PACKET_TYPE => {
                let Ok(description) = Sdes::parse(packet) else { continue };
                let names = description.chunks().filter_map(|chunk| {
                    let name = chunk.items().find(|item| item.type_() == SdesItem::CNAME)?;
                    Some((chunk.ssrc(), String::from_utf8_lossy(name.value()).into_owned()))
                });
                let room = MAX_NAMES.saturating_sub(said.names.len());
                said.names.extend(names.take(room));
            }
            _ => {}
        }
    }
    Ok(said)
}
