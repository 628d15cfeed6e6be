//! What must hold for the bytes of any connection of a tunnel, however they are split. `super::wire` is the crate's wire
//! floor.

use super::wire::http::{Upstream, spoken};

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

/// What was said in a body, up to what is no base64, and whether that was its end.
fn outcome(body: &[u8], part: usize) -> (Vec<u8>, bool) {
    let (mut upstream, mut said) = (Upstream::default(), Vec::new());
    let is_base64 = body.chunks(part).all(|part| upstream.take(part, &mut said).is_ok());
    (said, is_base64)
}
