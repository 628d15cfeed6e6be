//! What must hold for any datagram on the RTP port. `super::wire` is the crate's wire floor.

use super::wire::rtp;

pub fn exercise(datagram: &[u8]) {
    match rtp::check(datagram) {
        Ok(header) => {
            assert!((12..=datagram.len()).contains(&header.header_len));
            assert!(header.payload_type < 128);
        }
        Err(error) => assert!(!error.reason().is_empty()),
    }
}
