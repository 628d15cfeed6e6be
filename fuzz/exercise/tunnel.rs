//! What must hold for the bytes of any connection of a tunnel, however they are split. `super::wire` is the crate's wire
//! floor.

use super::wire::http::{HEAD_BYTES, Head, Upstream, spoken};

/// The first byte chooses the size of the parts in which the others arrive.
pub fn exercise(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let whole = outcome(stream, stream.len().max(1));
    let parts = outcome(stream, usize::from(*size).max(1));
    assert_eq!(whole, parts, "the same however the bytes arrive");
    let first = &stream[..stream.len().min(8)];
    let decided = (0..=first.len()).filter_map(|end| spoken(&first[..end]));
    assert!(decided.into_iter().all(|is| Some(is) == spoken(first)), "what is decided stays so");
}

/// The head or why it is none, and what was said behind it, up to what is no base64.
fn outcome(stream: &[u8], part: usize) -> String {
    let (mut buf, mut head) = (Vec::new(), None);
    let (mut upstream, mut said) = (Upstream::default(), Vec::new());
    for part in stream.chunks(part) {
        buf.extend_from_slice(part);
        if head.is_none() {
            match Head::read(&buf) {
                Ok(None) => {
                    assert!(buf.len() < HEAD_BYTES, "what waits is bounded");
                    continue;
                }
                Ok(Some((read, length))) => {
                    assert!((1..=HEAD_BYTES).contains(&length));
                    head = Some(read);
                    buf.drain(..length);
                }
                Err(wrong) => return wrong.to_string(),
            }
        }
        let result = upstream.take(&buf, &mut said);
        buf.clear();
        if result.is_err() {
            return format!("{head:?} {said:?} not base64");
        }
    }
    format!("{head:?} {said:?}")
}
