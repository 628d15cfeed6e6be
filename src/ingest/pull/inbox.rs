//! What a server says, taken apart: frames, responses and requests. What is none of them is passed over, up to a bound.
//!
//! Servers send bytes between frames that nobody has asked for, and lengths that are wrong. Where a message should begin
//! and none does, the next one is looked for. It knows no session: which channels are meant it is told.

use std::mem;
use std::ops::Range;

use crate::wire::rtsp::framing::{self, FROM_SERVERS, INTERLEAVED_HEADER_LEN};
use crate::wire::rtsp::{Incoming, Reply, Request, Response};

use super::failure::Failure;

/// Bytes that are no message beyond those that are, before the server is given up.
const MOST_RUBBISH: usize = 64 << 10;
/// Where the place was lost a message of text is one only if its first line ends by here: what is no message is looked
/// over but a few times then.
const FIRST_LINE: usize = 256;
/// The shortest RTCP packet that says something; one of RTP has twelve.
const SHORTEST_PACKET: usize = 8;
/// How messages of text begin: a response, or a request that a server may make.
const WORDS: [&[u8]; 13] = [
    b"RTSP/",
    b"OPTIONS ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"ANNOUNCE ",
    b"REDIRECT ",
    b"TEARDOWN ",
    b"PLAY_NOTIFY ",
    b"DESCRIBE ",
    b"SETUP ",
    b"PLAY ",
    b"PAUSE ",
    b"RECORD ",
];

/// The bytes of one connection that are not understood yet.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// So many of them were taken.
    taken: usize,
    /// Where a message should have begun, none did.
    is_lost: bool,
    /// Bytes that were passed over, less those of messages since.
    rubbish_owed: usize,
    /// Bytes that were passed over.
    rubbish: u64,
    /// Bytes that were looked over to find where a message of text ends.
    #[cfg(test)]
    looked_over: usize,
}

/// One thing that a server said.
#[derive(Debug)]
pub(super) enum Heard {
    /// A frame, whose payload [`payload`](Inbox::payload) shows.
    Frame {
        channel: u8,
        payload: Range<usize>,
    },
    Response(Response),
    Request(Request),
    /// A request that can not be read, and how it is answered.
    BadRequest(Reply),
}

/// What the bytes begin with.
enum Start {
    /// More of them will tell.
    Unknown,
    Blank(usize),
    Frame {
        channel: u8,
        len: usize,
    },
    Text,
    Rubbish,
}

impl Inbox {
    /// Takes in what one read brought. All that is whole is to be taken out before more is added: then no more waits than
    /// one message.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..mem::take(&mut self.taken));
        self.bytes.extend_from_slice(bytes);
    }

    /// The payload of the frame that came last.
    pub fn payload(&self, payload: Range<usize>) -> &[u8] {
        self.bytes.get(payload).unwrap_or_default()
    }

    /// Takes the next message that is whole. `Ok(None)`: there is none.
    ///
    /// # Errors
    /// When the server can not be understood any more.
    pub fn next(&mut self, is_ours: impl Fn(u8) -> bool) -> Result<Option<Heard>, Failure> {
        loop {
            let rest = &self.bytes[self.taken..];
            match start(rest, self.is_lost, &is_ours) {
                Start::Unknown => return Ok(None),
                Start::Blank(count) => self.taken += count,
                Start::Frame { channel, len } => {
                    let end = INTERLEAVED_HEADER_LEN + len;
                    if rest.len() < end {
                        return Ok(None);
                    }
                    let payload = self.taken + INTERLEAVED_HEADER_LEN..self.taken + end;
                    self.understood(end);
                    return Ok(Some(Heard::Frame { channel, payload }));
                }
                Start::Text => match self.text()? {
                    Text::Heard(heard) => return Ok(Some(heard)),
                    Text::Part => return Ok(None),
                    Text::Rubbish(count) => self.pass_over(count)?,
                },
                Start::Rubbish => self.pass_over(1)?,
            }
        }
    }

    /// Bytes that were passed over since this was asked last.
    pub fn take_rubbish(&mut self) -> u64 {
        mem::take(&mut self.rubbish)
    }

    /// Whether more of what came is no message than is.
    pub fn is_strange(&self) -> bool {
        self.rubbish_owed > 0
    }

    /// Bytes that wait.
    #[cfg(any(test, fuzzing))]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    fn text(&mut self) -> Result<Text, Failure> {
        let rest = &self.bytes[self.taken..];
        if self.is_lost {
            #[cfg(test)]
            (self.looked_over += rest.len().min(FIRST_LINE));
            match is_first_line(rest) {
                None => return Ok(Text::Part),
                Some(false) => return Ok(Text::Rubbish(1)),
                Some(true) => {}
            }
        }
        let looked_over = rest.len().min(FROM_SERVERS.head);
        #[cfg(test)]
        (self.looked_over += looked_over);
        match framing::next(rest, &FROM_SERVERS) {
            Ok(None) => Ok(Text::Part),
            Ok(Some((Incoming::Response, len))) => match Response::parse(&rest[..len]) {
                Ok(response) => {
                    self.understood(len);
                    Ok(Text::Heard(Heard::Response(response)))
                }
                Err(_) => Ok(Text::Rubbish(len)),
            },
            Ok(Some((Incoming::Request(request), len))) => {
                self.understood(len);
                Ok(Text::Heard(Heard::Request(request)))
            }
            Ok(Some((_, len))) => Ok(Text::Rubbish(len)), // it begins with a word
            Err(invalid) => match invalid.consumed {
                Some(len) => {
                    self.understood(len);
                    Ok(Text::Heard(Heard::BadRequest(Reply::new(invalid.status, invalid.cseq))))
                }
                // All of it, or what stands in it would be looked over again and again.
                None if self.is_lost => Ok(Text::Rubbish(looked_over)),
                None => Err(Failure::unreadable(invalid.context)),
            },
        }
    }

    fn understood(&mut self, len: usize) {
        self.taken += len;
        self.is_lost = false;
        self.rubbish_owed = self.rubbish_owed.saturating_sub(len);
    }

    fn pass_over(&mut self, count: usize) -> Result<(), Failure> {
        self.taken += count;
        self.is_lost = true;
        self.rubbish += count as u64;
        self.rubbish_owed += count;
        if self.rubbish_owed > MOST_RUBBISH {
            return Err(Failure::unreadable(format!("{MOST_RUBBISH} bytes more are no message than are")));
        }
        Ok(())
    }
}

enum Text {
    Heard(Heard),
    Part,
    Rubbish(usize),
}

fn start(rest: &[u8], is_lost: bool, is_ours: impl Fn(u8) -> bool) -> Start {
    match rest {
        [] => Start::Unknown,
        [b'\r' | b'\n', ..] if !is_lost => {
            Start::Blank(rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count())
        }
        [b'$', ..] => frame(rest, is_lost, is_ours),
        _ => word(rest),
    }
}

/// A frame that carries what its channel was set up for is believed. Another one is where a message follows it, for
/// servers send on channels that nobody has asked for; but not where the place was lost before.
fn frame(rest: &[u8], is_lost: bool, is_ours: impl Fn(u8) -> bool) -> Start {
    let &[_, channel, high, low, ref payload @ ..] = rest else { return Start::Unknown };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let may_be_packet = is_ours(channel) && len >= SHORTEST_PACKET;
    match payload.first() {
        None if may_be_packet => return Start::Unknown,
        // RTP and RTCP have one version.
        Some(first) if may_be_packet && first >> 6 == 2 => return Start::Frame { channel, len },
        _ if is_lost => return Start::Rubbish,
        _ => {}
    }
    match payload.get(len..) {
        None | Some([] | [b'\r']) => Start::Unknown,
        Some([b'$', ..] | [b'\r', b'\n', ..]) => Start::Frame { channel, len },
        Some(after) => match word(after) {
            Start::Rubbish => Start::Rubbish,
            _ => Start::Frame { channel, len },
        },
    }
}

fn word(rest: &[u8]) -> Start {
    let is_begun = |word: &&[u8]| word.iter().zip(rest).all(|(one, other)| one.eq_ignore_ascii_case(other));
    let begun = WORDS.iter().copied().filter(is_begun);
    match begun.map(|word| word.len() <= rest.len()).max() {
        Some(true) => Start::Text,
        Some(false) => Start::Unknown,
        None => Start::Rubbish,
    }
}

/// Whether bytes that begin with a word begin with the first line of a message. `None`: more of them will tell.
fn is_first_line(rest: &[u8]) -> Option<bool> {
    let window = &rest[..rest.len().min(FIRST_LINE)];
    let end = window.iter().position(|byte| *byte == b'\n');
    let line = window[..end.unwrap_or(window.len())].trim_ascii_end();
    let is_plain = line.iter().all(|byte| (b' '..=b'~').contains(byte));
    if !is_plain || end.is_none() {
        return (!is_plain || window.len() == FIRST_LINE).then_some(false);
    }
    let has_version = |text: &[u8]| {
        matches!(text, [r, t, s, p, b'/', digit, ..]
            if [*r, *t, *s, *p].eq_ignore_ascii_case(b"RTSP") && digit.is_ascii_digit())
    };
    let last = line.rsplit(|byte| *byte == b' ').next();
    Some(has_version(line) || last.is_some_and(has_version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPTIONS: &[u8] = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";
    const OK: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";

    fn frame(channel: u8, payload: &[u8]) -> Vec<u8> {
        [&[b'$', channel, 0, payload.len() as u8][..], payload].concat()
    }

    fn packet(number: u8) -> Vec<u8> {
        vec![0x80, 33, 0, number, 0, 0, 0, 0, 0, 0, 0, 7, number]
    }

    /// What is understood of bytes that come in parts of this length, where channels 0 and 1 are ours: numbers of packets,
    /// and letters of messages.
    fn heard(bytes: &[u8], part: usize) -> (String, u64) {
        let (mut inbox, mut heard) = (Inbox::default(), String::new());
        for part in bytes.chunks(part) {
            inbox.add(part);
            while let Some(message) = inbox.next(|channel| channel < 2).expect("understood") {
                heard += &match message {
                    Heard::Frame { channel, payload } => {
                        let payload = inbox.payload(payload);
                        format!("{channel}:{} ", payload.get(3).copied().unwrap_or_default())
                    }
                    Heard::Response(_) => "R ".to_owned(),
                    Heard::Request(_) => "Q ".to_owned(),
                    Heard::BadRequest(_) => "B ".to_owned(),
                };
            }
        }
        (heard, inbox.take_rubbish())
    }

    #[test]
    fn frames_and_messages_come_in_any_parts() {
        let bytes = [&frame(0, &packet(1))[..], OK, b"\r\n", &frame(1, &packet(2)), OPTIONS].concat();
        for part in 1..bytes.len() {
            assert_eq!(heard(&bytes, part), ("0:1 R 1:2 Q ".to_owned(), 0), "{part}");
        }
    }

    #[test]
    fn rubbish_between_frames_costs_nothing_but_itself() {
        for rubbish in [
            &b"abc"[..],
            b"\0\0\0",
            b"$",
            b"$\x09\xff\xff",
            b"$\x00\xff\xff\x00",
            b"RTSQ/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"$\x00\x00\x04abcdef",
        ] {
            let enough = frame(0, &packet(3)).repeat(5_000);
            let bytes = [&frame(0, &packet(1))[..], rubbish, &frame(0, &packet(2)), OK, &enough].concat();
            for part in [1, 7, bytes.len()] {
                let (heard, passed) = heard(&bytes, part);
                assert!(heard.starts_with("0:1 0:2 R 0:3 0:3 "), "{rubbish:?}: {}", &heard[..40]);
                assert!(passed > 0 && passed <= rubbish.len() as u64 + 8, "{rubbish:?}: {passed}");
            }
        }
    }

    #[test]
    fn who_speaks_something_else_is_strange_and_who_says_a_little_between_messages_is_not() {
        for (said, is_strange) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], true),
            (OK, false),
            (&[b"x", OK].concat(), false),
            (b"", false),
        ] {
            let mut inbox = Inbox::default();
            inbox.add(said);
            while let Ok(Some(_)) = inbox.next(|_| false) {}
            assert_eq!(inbox.is_strange(), is_strange, "{}", said.escape_ascii());
        }
    }

    #[test]
    fn frames_on_channels_that_are_not_ours_are_frames() {
        let bytes =
            [&frame(7, b"any")[..], &frame(9, &[]), &frame(0, b"odd"), &frame(0, &packet(1)), OK].concat();
        for part in [1, 5, bytes.len()] {
            assert_eq!(heard(&bytes, part), ("7:0 9:0 0:0 0:1 R ".to_owned(), 0));
        }
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let mut inbox = Inbox::default();
        inbox.add(&vec![b'x'; MOST_RUBBISH + 1]);
        assert!(matches!(inbox.next(|_| true), Err(Failure::Unreadable(_))));
        let mut inbox = Inbox::default();
        inbox.add(b"RTSP/1.0 200 OK\r\nContent-Length: 9999999\r\n\r\n");
        assert!(matches!(inbox.next(|_| true), Err(Failure::Unreadable(_))), "a body beyond the bound");
        let mut inbox = Inbox::default();
        inbox.add(b"OPTIONS * RTSP/1.0\r\nX\r\n\r\n");
        assert!(matches!(inbox.next(|_| true), Ok(Some(Heard::BadRequest(_)))));
    }

    /// Bytes that are looked over for one that came.
    fn effort(said: &[u8]) -> usize {
        let (mut inbox, mut came) = (Inbox::default(), 0);
        inbox.add(b"\0");
        for part in said.chunks(64 << 10) {
            inbox.add(part);
            came += part.len();
            loop {
                match inbox.next(|_| true) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return inbox.looked_over / came,
                }
            }
        }
        inbox.looked_over / came
    }

    #[test]
    fn what_is_no_message_is_looked_over_a_few_times_at_most() {
        for (rubbish, most) in [
            (&b"RTSP/"[..], 60),
            (b"RTSP/\n", 60),
            (b"RTSP/1\n", 60),
            (b"RTSP/1.0 200 OK\r\n", 30),
            (b"PLAY x RTSP/1.0\n", 30),
            (b"PLAY PLAY PLAY ", 60),
            (b"RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n", 30),
        ] {
            let effort = effort(&rubbish.repeat((256 << 10) / rubbish.len()));
            assert!(effort <= most, "{}: {effort}", rubbish.escape_ascii());
        }
    }

    #[test]
    fn one_message_does_not_make_up_for_much_rubbish() {
        let mut inbox = Inbox::default();
        let mut said = 0;
        let failed = loop {
            inbox.add(&[&vec![b'x'; 20_000][..], OK].concat());
            said += 1;
            match inbox.next(|_| true) {
                Ok(Some(Heard::Response(_))) => assert!(said < 9),
                other => break other,
            }
        };
        assert!(matches!(failed, Err(Failure::Unreadable(_))) && said == 4, "{said}");
    }

    #[test]
    fn where_the_place_was_lost_a_message_is_known_by_its_first_line() {
        for (first, is_one) in [
            (&b"RTSP/1.0 200 OK\r\n"[..], Some(true)),
            (b"OPTIONS * RTSP/1.0\n", Some(true)),
            (b"OPTIONS * HTTP/1.0\n", Some(false)),
            (b"RTSP/RTSP/\n", Some(false)),
            (b"RTSP/1.0 200 O", None),
            (b"RTSP/1.0 \x80", Some(false)),
        ] {
            assert_eq!(is_first_line(first), is_one, "{}", first.escape_ascii());
        }
        assert_eq!(is_first_line(&[b'x'; FIRST_LINE]), Some(false));
    }

    proptest! {
        #[test]
        fn no_more_waits_than_one_message(parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "RTSP/1.0 200 OK\r\nContent-Length: [0-9]{0,5}\r\n\r\n".prop_map(String::into_bytes),
                Just(b"$\x00\xff\xff\x80".to_vec()),
                Just(OK.to_vec()),
            ],
            0..400,
        )) {
            let mut inbox = Inbox::default();
            for part in parts {
                inbox.add(&part);
                while let Ok(Some(_)) = inbox.next(|channel| channel == 0) {}
                prop_assert!(inbox.len() <= FROM_SERVERS.message() + part.len() + 1);
            }
        }
    }
}
