//! What must hold for the bytes of any RTSP connection, however they are split. `super::wire` is the crate's
//! wire floor.

use super::wire::rtsp::framing::{self, FROM_CLIENTS, Incoming};

/// The first byte chooses the size of the parts in which the others arrive.
pub fn exercise(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let whole = outcomes(stream, stream.len().max(1));
    let parts = outcomes(stream, usize::from(*size).max(1));
    assert_eq!(whole, parts, "the same messages however the bytes arrive");
}

/// The messages of a stream that arrives in parts, as text, and the status that ended it.
pub fn outcomes(stream: &[u8], part: usize) -> Vec<String> {
    let mut outcomes = Vec::new();
    let (mut buf, mut to_drop) = (Vec::new(), 0);
    for part in stream.chunks(part) {
        let dropped = part.len().min(to_drop);
        to_drop -= dropped;
        buf.extend_from_slice(&part[dropped..]);
        loop {
            let consumed = match framing::next(&buf, &FROM_CLIENTS) {
                Ok(None) => break,
                Ok(Some((Incoming::Blank, consumed))) => consumed, // how they are grouped depends on the parts
                Ok(Some((Incoming::Interleaved { channel, payload }, consumed))) => {
                    assert_eq!(payload.end, consumed);
                    outcomes.push(format!("{channel}: {:?}", &buf[payload]));
                    consumed
                }
                Ok(Some((Incoming::LongFrame, consumed))) => {
                    outcomes.push("a long frame".to_owned());
                    to_drop = consumed.saturating_sub(buf.len());
                    consumed - to_drop
                }
                Ok(Some((other, consumed))) => {
                    outcomes.push(format!("{other:?}"));
                    consumed
                }
                Err(invalid) => {
                    outcomes.push(format!("{:?}", invalid.status));
                    match invalid.consumed {
                        Some(consumed) => consumed,
                        None => return outcomes,
                    }
                }
            };
            assert!(
                (1..=buf.len()).contains(&consumed),
                "every message takes bytes, and no more than there are"
            );
            buf.drain(..consumed);
        }
        assert!(buf.len() <= FROM_CLIENTS.message() + part.len(), "what waits is bounded");
    }
    outcomes
}
