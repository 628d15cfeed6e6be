//! Where one message ends and the next begins in a connection's bytes (RFC 2326 sections 4 and 10.12).
//!
//! Stateless: the caller keeps the bytes, calls again with more of them, and drops what was consumed. It does not
//! know what the requests mean.

use std::ops::Range;

use rtsp_types::StatusCode;

use super::request::{Request, is_token_byte};

/// The largest request line and headers taken, in bytes. Players' heads have a few hundred.
pub const MAX_HEAD_LEN: usize = 16 * 1024;

/// The largest body taken, in bytes. Only keep-alives and parameters carry one.
pub const MAX_BODY_LEN: usize = 64 * 1024;

/// The most bytes that can be needed before a message is whole or refused: what a receive buffer has to hold.
pub const MAX_MESSAGE_LEN: usize = MAX_HEAD_LEN + MAX_BODY_LEN;

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

/// The first message in `buf` and how many bytes it took; `None` if more bytes are needed.
///
/// Looks at up to `MAX_HEAD_LEN` bytes on each call, so that a head sent byte by byte costs no more than the
/// system calls that brought it.
///
/// # Errors
/// When the bytes can no longer become a message, or are a request that must be refused.
pub fn next(buf: &[u8]) -> Result<Option<(Incoming, usize)>, Invalid> {
    let blank = buf.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let message = &buf[blank..];
    match message.first() {
        None if blank > 0 => Ok(Some((Incoming::Blank, blank))),
        None => Ok(None),
        Some(b'$') => Ok(interleaved(message, blank)),
        Some(_) => text(message, blank),
    }
}

/// The bytes before the payload of an interleaved frame: `$`, channel, length (RFC 2326 section 10.12).
#[inline]
#[must_use]
pub const fn interleaved_header(channel: u8, payload_len: u16) -> [u8; INTERLEAVED_HEADER_LEN] {
    let [high, low] = payload_len.to_be_bytes();
    [b'$', channel, high, low]
}

fn interleaved(message: &[u8], blank: usize) -> Option<(Incoming, usize)> {
    let [_, channel, high, low, rest @ ..] = message else { return None };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let start = blank + INTERLEAVED_HEADER_LEN;
    let payload = start..start + len;
    (rest.len() >= len).then_some((Incoming::Interleaved { channel: *channel, payload }, start + len))
}

fn text(message: &[u8], blank: usize) -> Result<Option<(Incoming, usize)>, Invalid> {
    check_first_line(message)?;
    let Some(head_len) = head_len(message) else {
        return if message.len() < MAX_HEAD_LEN { Ok(None) } else { Err(head_too_long(message)) };
    };
    let head = &message[..head_len];
    let len = head_len + body_len(head)?;
    let Some(body) = message.get(head_len..len) else { return Ok(None) };
    let consumed = blank + len;
    if starts_with_version(head) {
        return Ok(Some((Incoming::Response, consumed)));
    }
    match Request::parse(head, body) {
        Ok(request) => Ok(Some((Incoming::Request(request), consumed))),
        Err((status, context)) => {
            Err(Invalid { status, cseq: cseq_in(head), consumed: Some(consumed), context })
        }
    }
}

/// Refuses what is no text at its first bytes: a TLS hello or noise should not wait for a head to end.
fn check_first_line(message: &[u8]) -> Result<(), Invalid> {
    let line = message.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = &line[..line.len().min(MAX_HEAD_LEN)];
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r');
    if line.first().is_some_and(|first| is_token_byte(*first)) && !line.iter().any(is_control) {
        return Ok(());
    }
    Err(fatal(StatusCode::BadRequest, message, "not RTSP: the bytes are no request line"))
}

/// The length of request line and headers with the empty line that ends them, within `MAX_HEAD_LEN`.
/// Line ends are CRLF, or LF as hand-made clients send them.
fn head_len(message: &[u8]) -> Option<usize> {
    let window = &message[..message.len().min(MAX_HEAD_LEN)];
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

fn head_too_long(message: &[u8]) -> Invalid {
    let window = &message[..message.len().min(MAX_HEAD_LEN)];
    if window.contains(&b'\n') {
        fatal(StatusCode::BadRequest, message, "the headers do not end within 16 KiB")
    } else {
        fatal(StatusCode::RequestURITooLong, message, "the request line does not end within 16 KiB")
    }
}

/// What Content-Length says, 0 without one. Reads the bare lines, for it runs again with each part of a body.
fn body_len(head: &[u8]) -> Result<usize, Invalid> {
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
    number(digits)
        .filter(|len| *len <= MAX_BODY_LEN as u64)
        .map(|len| len as usize)
        .ok_or_else(|| fatal(StatusCode::RequestMessageBodyTooLarge, head, "the body is larger than 64 KiB"))
}

fn starts_with_version(head: &[u8]) -> bool {
    head.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"RTSP/"))
}

/// The message's end is unknown, so nothing after it can be read.
fn fatal(status: StatusCode, message: &[u8], context: &str) -> Invalid {
    let head = &message[..head_len(message).unwrap_or(message.len().min(MAX_HEAD_LEN))];
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
