//! What a client has sent and nobody has read: messages are taken out, and what is not whole waits. Knows no socket.

use std::time::{Duration, Instant};

use crate::wire::rtsp::framing::{self, FROM_CLIENTS};
use crate::wire::rtsp::{Incoming, Invalid};

use super::super::stream::READ_BYTES;

/// What waits at most: all but a byte of the longest message, and what the read that came on top of it brought.
pub const MAX_UNREAD_BYTES: usize = FROM_CLIENTS.message() + READ_BYTES;

/// A message has this long to come, from its first byte to its last, however it trickles in.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The unread bytes of one connection.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// How much of them has been taken out.
    taken: usize,
    /// Bytes to come that nobody wants: the rest of a frame that is too long.
    unwanted: usize,
    /// When the first byte of what is not whole came.
    began: Option<Instant>,
    /// After a message whose end is unknown, or the last one that is answered, nothing more can be read.
    deaf: bool,
}

impl Inbox {
    /// Takes in what one read brought.
    pub fn add(&mut self, bytes: &[u8]) {
        let unwanted = bytes.len().min(self.unwanted);
        self.unwanted -= unwanted;
        if !self.deaf {
            self.bytes.extend_from_slice(&bytes[unwanted..]);
        }
    }

    /// The next message, with the bytes that it begins.
    pub fn next(&mut self) -> Result<Option<(Incoming, &[u8])>, Invalid> {
        if self.deaf {
            return Ok(None);
        }
        let rest = &self.bytes[self.taken..];
        match framing::next(rest, &FROM_CLIENTS) {
            Ok(None) => Ok(None),
            Ok(Some((incoming, length))) => {
                self.unwanted = length.saturating_sub(rest.len());
                self.taken += length - self.unwanted;
                self.began = None;
                Ok(Some((incoming, rest)))
            }
            Err(invalid) => {
                self.deaf = invalid.consumed.is_none();
                self.taken += invalid.consumed.unwrap_or(rest.len());
                self.began = None;
                Err(invalid)
            }
        }
    }

    /// To be called when all is taken out that is to be now. A client that asks for nothing more holds no buffer.
    pub fn settle(&mut self, now: Instant) {
        if self.taken > 0 {
            self.bytes = self.bytes[self.taken..].to_vec();
            self.taken = 0;
        } else {
            self.bytes.shrink_to_fit();
        }
        let is_whole = self.bytes.is_empty() && self.unwanted == 0 && !self.deaf;
        self.began = if is_whole { None } else { self.began.or(Some(now)) };
    }

    /// What is left to be read, and how much is to come that nobody wants.
    pub fn rest(&self) -> (Vec<u8>, usize) {
        (self.bytes[self.taken..].to_vec(), self.unwanted)
    }

    /// The same of one whose client was read elsewhere before.
    pub fn begin_with(&mut self, bytes: &[u8], unwanted: usize) {
        self.bytes = bytes.to_vec();
        self.unwanted = unwanted;
    }

    /// It is not the client who keeps the rest from being read.
    pub fn excuse(&mut self) {
        self.began = None;
    }

    /// Nothing more is to be read.
    pub fn deafen(&mut self) {
        self.deaf = true;
    }

    pub fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// When a message that is not whole was begun, or the bytes were that can be none.
    pub fn began(&self) -> Option<Instant> {
        self.began
    }

    /// Bytes that it holds.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use proptest::prelude::*;

    const OPTIONS: &[u8] = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";

    fn messages(inbox: &mut Inbox, now: Instant) -> usize {
        let mut count = 0;
        while let Ok(Some(_)) = inbox.next() {
            count += 1;
        }
        inbox.settle(now);
        count
    }

    #[test]
    fn a_message_that_trickles_in_began_with_its_first_byte() {
        let (mut inbox, start) = (Inbox::default(), clock::now());
        for (place, byte) in OPTIONS.iter().enumerate() {
            let now = start + Duration::from_secs(place as u64);
            inbox.add(&[*byte]);
            let is_last = place + 1 == OPTIONS.len();
            assert_eq!(messages(&mut inbox, now), usize::from(is_last));
            assert_eq!(inbox.began(), (!is_last).then_some(start));
        }
        let later = start + Duration::from_secs(100);
        inbox.add(&[OPTIONS, b"OPT"].concat());
        assert_eq!(messages(&mut inbox, later), 1);
        assert_eq!(inbox.began(), Some(later), "the next one begins anew");
    }

    #[test]
    fn who_asks_for_nothing_holds_nothing() {
        let mut inbox = Inbox::default();
        inbox.add(&OPTIONS.repeat(50));
        assert_eq!(messages(&mut inbox, clock::now()), 50);
        assert_eq!((inbox.len(), inbox.bytes.capacity()), (0, 0));
    }

    #[test]
    fn of_a_frame_that_is_too_long_nothing_is_kept() {
        let (mut inbox, now) = (Inbox::default(), clock::now());
        inbox.add(b"$\x00\xff\xff");
        assert!(matches!(inbox.next(), Ok(Some((Incoming::LongFrame, _)))));
        inbox.settle(now);
        assert_eq!(inbox.began(), Some(now), "it has to come to an end too");
        for _ in 0..15 {
            inbox.add(&[b'x'; 4096]);
            assert_eq!((messages(&mut inbox, now), inbox.len()), (0, 0));
        }
        inbox.add(&[&[b'x'; 4095][..], OPTIONS].concat());
        assert_eq!(messages(&mut inbox, now), 1);
        assert_eq!(inbox.began(), None);
    }

    #[test]
    fn what_can_be_no_message_is_not_kept_and_runs_out_of_time() {
        let (mut inbox, now) = (Inbox::default(), clock::now());
        inbox.add(b"\x16\x03\x01 a hello of TLS");
        assert!(inbox.next().is_err());
        inbox.settle(now);
        inbox.add(&[b'x'; 4096]);
        assert_eq!((messages(&mut inbox, now + MESSAGE_TIMEOUT), inbox.len()), (0, 0));
        assert_eq!(inbox.began(), Some(now));
    }

    proptest! {
        /// However hostile, and however it comes: what waits is within its bound, capacity and all.
        #[test]
        fn what_waits_is_bounded(
            parts in prop::collection::vec((0..6usize, 1..=READ_BYTES), 0..40),
        ) {
            let kinds: [&[u8]; 6] = [b"x", b"$\0\x0f\xff", b"OPTIONS rtsp://e/", b"X: y\r\n", OPTIONS, b"\r\n"];
            let (mut inbox, now) = (Inbox::default(), clock::now());
            for (kind, length) in parts {
                let part: Vec<u8> = kinds[kind].iter().copied().cycle().take(length).collect();
                inbox.add(&part);
                while inbox.next().map_or(true, |message| message.is_some()) {}
                inbox.settle(now);
                prop_assert!(inbox.bytes.capacity() <= MAX_UNREAD_BYTES, "{}", inbox.bytes.capacity());
            }
        }
    }
}
