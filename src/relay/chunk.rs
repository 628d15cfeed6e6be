//! Packets are copied once, into chunks, so that neighbours in a stream are neighbours in memory and a run of them is one slice to the
//! kernel.

use bytes::{Bytes, BytesMut};

const CHUNK_BYTES: usize = 64 << 10;

/// The chunk of one stream that is being filled.
#[derive(Debug, Default)]
pub(super) struct Chunk(BytesMut);

impl Chunk {
    /// Keeps a packet, which is in two parts.
    pub fn keep(&mut self, [head, rest]: [&[u8]; 2]) -> Bytes {
        let length = head.len() + rest.len();
        if self.0.capacity() < length {
            self.0 = BytesMut::with_capacity(CHUNK_BYTES.max(length));
        }
        self.0.extend_from_slice(head);
        self.0.extend_from_slice(rest);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_lie_side_by_side_and_large_ones_have_room() {
        let mut chunk = Chunk::default();
        let [first, second] =
            [[&[1; 12][..], &[2; 1316]], [&[3; 12], &[4; 1316]]].map(|parts| chunk.keep(parts));
        assert_eq!((first.len(), &first[..13]), (1328, &[&[1; 12][..], &[2]].concat()[..]));
        assert_eq!(first.as_ptr().wrapping_add(1328), second.as_ptr());
        assert_eq!(chunk.keep([&[], &[5; 2 * CHUNK_BYTES]]).len(), 2 * CHUNK_BYTES);
    }
}
