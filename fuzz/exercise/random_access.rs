//! What must hold for whatever a stream is made of: where it can be started with. `super::wire` is the crate's wire floor.

use super::wire::random_access::Starts;

/// The bytes are datagrams of one size, 7 packets of a transport stream or less; the first byte says which.
pub fn exercise(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let size = match size % 4 {
        0 => 188 * 7,
        1 => 188,
        2 => 204 * 2,
        _ => 40,
    };
    for (media, encoding) in
        [("video", "MP2T"), ("video", "H264"), ("video", "H265"), ("video", "JPEG"), ("audio", "L16")]
    {
        let mut starts = Starts::of(media, Some(encoding), false);
        for (number, datagram) in stream.chunks(size).enumerate() {
            // Packets of a picture share a timestamp.
            if let Some(found) = starts.take(number as u32 / 3, datagram) {
                assert!(found.back <= number as u64);
                assert!(found.prologue.is_none_or(|bytes| !bytes.is_empty() && bytes.len() <= 7 * 188));
            }
        }
    }
}
