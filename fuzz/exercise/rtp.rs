//! What must hold for any datagram on the RTP port. `super::wire` is the crate's wire floor.

use super::wire::rtp;
use super::wire::rtx::Rtx;

pub fn exercise(datagram: &[u8]) {
    match rtp::check(datagram) {
        Ok(header) => {
            assert!((12..=datagram.len()).contains(&header.header_len));
            assert!(header.payload_type < 128);
            let again = Rtx::new(97, Some(7), 9).packet(datagram).expect("what is RTP can be sent again");
            let of_again = rtp::check(&again).expect("which is RTP too");
            assert_eq!((of_again.ssrc, of_again.sequence, of_again.payload_type), (7, 9, 97));
            assert_eq!((of_again.timestamp, of_again.header_len), (header.timestamp, header.header_len));
            let (number, payload) = of_again.payload(&again).split_at(2);
            assert_eq!((number, payload), (&header.sequence.to_be_bytes()[..], header.payload(datagram)));
        }
        Err(error) => assert!(!error.reason().is_empty()),
    }
}
