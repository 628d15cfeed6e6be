//! Where one message ends and the next begins in a connection's bytes (RFC 2326 sections 4 and 10.12).
//!
//! Stateless: the caller keeps the bytes, calls again with more of them, and drops what was consumed. It does not
//! know what the requests mean.

use std::ops::Range;

use rtsp_types::StatusCode;

use super::request::{Request, is_token_byte};

/// How large a message may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Request or status line, headers and the empty line.
    pub head: usize,
    /// A request's URI.
    pub uri: usize,
    /// A body.
    pub body: usize,
    /// The payload of an interleaved frame.
    pub frame: usize,
}

/// What a server takes: players' heads have a few hundred bytes, only parameters have a body, and the frames are
/// reports.
pub const FROM_CLIENTS: Bounds = Bounds { head: 8 << 10, uri: 1 << 10, body: 4 << 10, frame: 4 << 10 };

/// What a client takes: descriptions and media.
pub const FROM_SERVERS: Bounds = Bounds { head: 16 << 10, uri: 16 << 10, body: 64 << 10, frame: 65_535 };

/// What else is in a request line: the method and the version.
const LINE_BYTES_BESIDES_URI: usize = 64;

/// Bytes before the payload of an interleaved frame.
pub const INTERLEAVED_HEADER_LEN: usize = 4;

/// One thing that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A request with its whole body.
    Request(Request),
    /// A packet in the connection, `$`-framed (RFC 2326 section 10.12).
    Interleaved {
        /// The channel that SETUP agreed on.
        channel: u8,
        /// Where its payload stands in the bytes given.
        payload: Range<usize>,
    },
    /// A response, all of the bytes taken. As a server we ask nothing, so it answers nothing; a client reads it
    /// with `Response::parse`.
    Response,
    /// A frame that is longer than is taken. It has no payload to see, and its length may reach past the bytes given:
    /// what is still to come of it is to be dropped.
    LongFrame,
    /// Line ends between messages, which some clients send to keep a connection alive.
    Blank,
}

/// Why the bytes are no message, and how to answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{context}")]
pub struct Invalid {
    /// The status to reply with.
    pub status: StatusCode,
    /// The CSeq to echo, where one could be found.
    pub cseq: Option<u32>,
    /// How many bytes to drop and carry on; `None` if the end of the message is unknown, so that the connection
    /// must be closed after the reply.
    pub consumed: Option<usize>,
    /// What is wrong, for the log.
    pub context: String,
}

impl Bounds {
    /// The most bytes that can be needed before a message is whole or refused: what a receive buffer has to hold.
    #[must_use]
    pub const fn message(&self) -> usize {
        let (text, frame) = (self.head + self.body, INTERLEAVED_HEADER_LEN + self.frame);
        if text > frame { text } else { frame }
    }
}

/// The first message in `buf` and how many bytes it took; `None` if more bytes are needed.
///
/// Looks at up to `bounds.head` bytes on each call, so that a head sent byte by byte costs no more than the
/// system calls that brought it.
///
/// # Errors
/// When the bytes can no longer become a message, or are a request that must be refused.
pub fn next(buf: &[u8], bounds: &Bounds) -> Result<Option<(Incoming, usize)>, Invalid> {
    let blank = buf.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    match buf.first() {
        None => Ok(None),
        Some(_) if blank > 0 => Ok(Some((Incoming::Blank, blank))),
        Some(b'$') => Ok(interleaved(buf, bounds)),
        Some(_) => text(buf, bounds),
    }
}

/// The bytes before the payload of an interleaved frame: `$`, channel, length (RFC 2326 section 10.12).
#[inline]
#[must_use]
pub const fn interleaved_header(channel: u8, payload_len: u16) -> [u8; INTERLEAVED_HEADER_LEN] {
    let [high, low] = payload_len.to_be_bytes();
    [b'$', channel, high, low]
}

fn interleaved(message: &[u8], bounds: &Bounds) -> Option<(Incoming, usize)> {
    let [_, channel, high, low, rest @ ..] = message else { return None };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let start = INTERLEAVED_HEADER_LEN;
    if len > bounds.frame {
        return Some((Incoming::LongFrame, start + len));
    }
    let payload = start..start + len;
    (rest.len() >= len).then_some((Incoming::Interleaved { channel: *channel, payload }, start + len))
}

fn text(message: &[u8], bounds: &Bounds) -> Result<Option<(Incoming, usize)>, Invalid> {
    let window = &message[..message.len().min(bounds.head)];
    check_first_line(window, bounds)?;
    let Some(head_len) = head_len(window) else {
        return if message.len() < bounds.head { Ok(None) } else { Err(head_too_long(window)) };
    };
    let head = &message[..head_len];
    let len = head_len + body_len(head, bounds)?;
    let Some(body) = message.get(head_len..len) else { return Ok(None) };
    if starts_with_version(head) {
        return Ok(Some((Incoming::Response, len)));
    }
    match Request::parse(head, body, bounds.uri) {
        Ok(request) => Ok(Some((Incoming::Request(request), len))),
        Err((status, context)) => Err(Invalid { status, cseq: cseq_in(head), consumed: Some(len), context }),
    }
}

/// Refuses what is no text at its first bytes: a TLS hello or noise should not wait for a head to end. A line that is
/// too long does not wait either.
fn check_first_line(window: &[u8], bounds: &Bounds) -> Result<(), Invalid> {
    let longest = bounds.uri + LINE_BYTES_BESIDES_URI;
    let mut line = window.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_too_long = line.len() > longest && !starts_with_version(line);
    if is_too_long {
        line = &line[..longest]; // what follows may not have come yet
    }
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r');
    if !line.first().is_some_and(|first| is_token_byte(*first)) || line.iter().any(is_control) {
        return Err(fatal(StatusCode::BadRequest, window, "not RTSP: the bytes are no request line"));
    }
    if is_too_long {
        let context = format!("the request line has no end within {longest} bytes");
        return Err(fatal(StatusCode::RequestURITooLong, window, &context));
    }
    Ok(())
}

/// The length of request line and headers with the empty line that ends them. Line ends are CRLF, or LF as hand-made
/// clients send them.
fn head_len(window: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = window[from..].iter().position(|byte| *byte == b'\n') {
        let line_end = from + at + 1;
        match window[line_end..] {
            [b'\n', ..] => return Some(line_end + 1),
            [b'\r', b'\n', ..] => return Some(line_end + 2),
            _ => from = line_end,
        }
    }
    None
}

fn head_too_long(window: &[u8]) -> Invalid {
    let context = format!("the head has no end within {} bytes", window.len());
    fatal(StatusCode::BadRequest, window, &context)
}

/// What Content-Length says, 0 without one. Reads the bare lines, for it runs again with each part of a body.
fn body_len(head: &[u8], bounds: &Bounds) -> Result<usize, Invalid> {
    let mut found: Option<&[u8]> = None;
    for value in values_in(head, b"content-length") {
        if found.is_some_and(|first| first != value) {
            return Err(fatal(StatusCode::BadRequest, head, "two Content-Length headers disagree"));
        }
        found = Some(value);
    }
    let Some(digits) = found else { return Ok(0) };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(fatal(StatusCode::BadRequest, head, "Content-Length is not a number"));
    }
    let too_large = || {
        let context = format!("the body is larger than {} bytes", bounds.body);
        fatal(StatusCode::RequestMessageBodyTooLarge, head, &context)
    };
    number(digits).filter(|len| *len <= bounds.body as u64).map(|len| len as usize).ok_or_else(too_large)
}

fn starts_with_version(head: &[u8]) -> bool {
    head.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"RTSP/"))
}

/// The message's end is unknown, so nothing after it can be read.
fn fatal(status: StatusCode, window: &[u8], context: &str) -> Invalid {
    let head = &window[..head_len(window).unwrap_or(window.len())];
    Invalid { status, cseq: cseq_in(head), consumed: None, context: context.to_owned() }
}

fn cseq_in(head: &[u8]) -> Option<u32> {
    values_in(head, b"cseq").find_map(number).and_then(|cseq| u32::try_from(cseq).ok())
}

/// The values of a header in raw lines; `name` in lower case.
fn values_in<'a>(head: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).filter_map(move |line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon].trim_ascii_end().eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
