//! What comes on a connection: RTP in frames of `$`, and RTSP replies between them.
//!
//! It cuts bytes, and knows nothing of what they mean.

use std::io::{ErrorKind, Read, Result};

use crate::dialogue;

const READ_BYTES: usize = 256 << 10;
/// A connection's unfinished frame is below this; more is no frame.
const LARGEST_REST_BYTES: usize = 4 + 65_535;

/// One whole thing of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An RTP packet.
    Packet(&'a [u8]),
    /// An RTSP reply with its body.
    Reply(&'a [u8]),
    /// A frame that is no RTP: RTCP.
    Other,
    /// Out of step: frames cannot be told apart from here on.
    Junk,
}

/// Splits the first whole item off; `None` if there is none yet.
pub fn split(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    match *bytes {
        [b'$', channel, high, low, ref rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (packet, rest) = rest.split_at_checked(length)?;
            Some((if channel == 0 { Item::Packet(packet) } else { Item::Other }, rest))
        }
        [b'R', ..] => dialogue::split_reply(bytes).map(|(reply, rest)| (Item::Reply(reply), rest)),
        [] | [b'$', ..] => None,
        _ => Some((Item::Junk, &[])),
    }
}

/// What a read of a connection gave.
pub enum Came<'a> {
    /// These bytes, from an item's beginning on.
    Bytes(&'a [u8]),
    /// Nothing new.
    Nothing,
    /// The end.
    End,
}

/// Scratch space for reading, used for one connection after the other.
pub struct Room(Vec<u8>);

impl Room {
    /// Room for one read and what may be left of the one before.
    pub fn new() -> Self {
        Self(vec![0; LARGEST_REST_BYTES + READ_BYTES])
    }

    /// Reads once behind `rest`, what was left of the read before.
    pub fn read(&mut self, from: &mut impl Read, rest: &[u8]) -> Result<Came<'_>> {
        self.0[..rest.len()].copy_from_slice(rest);
        match from.read(&mut self.0[rest.len()..]) {
            Ok(0) => Ok(Came::End),
            Ok(count) => Ok(Came::Bytes(&self.0[..rest.len() + count])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Came::Nothing),
            Err(error) => Err(error),
        }
    }
}

/// What to keep of the bytes that are left, for the next read.
pub fn rest(left: &[u8]) -> Vec<u8> {
    if left.len() > LARGEST_REST_BYTES { Vec::new() } else { left.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_at_every_cut() {
        let stream = b"$\0\0\x02abRTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab$\x01\0\x01c$\0\0\x01d";
        for cut in 0..stream.len() {
            let mut kinds = String::new();
            let mut rest: Vec<u8> = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                let whole = [&rest, part].concat();
                let mut bytes = &whole[..];
                while let Some((item, behind)) = split(bytes) {
                    kinds.push(match item {
                        Item::Packet(_) => 'p',
                        Item::Reply(_) => 'r',
                        Item::Other => 'o',
                        Item::Junk => 'j',
                    });
                    bytes = behind;
                }
                rest = super::rest(bytes);
            }
            assert_eq!((kinds.as_str(), rest.len()), ("prop", 0), "cut at {cut}");
        }
        assert_eq!(split(b"junk"), Some((Item::Junk, &[][..])));
    }
}
