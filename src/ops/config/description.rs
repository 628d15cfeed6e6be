//! Session descriptions, as files.

use std::path::Path;

use super::encoding::is_utf16;
use super::load::read_bytes;
use super::unreadable::why;
use crate::wire::sdp::{self, MAX_SDP_LEN, Presentation};

/// What a file describes, which is called so in what is wrong with it.
pub(in crate::ops) fn described_by(file: &Path, called: &str) -> Result<Presentation, String> {
    let content = read_bytes(file, MAX_SDP_LEN as u64)
        .map_err(|error| format!("{called} can not be read: {}", why(file, &error)))?;
    if is_utf16(&content) {
        return Err(format!("{called}: it is UTF-16 text; save it as UTF-8"));
    }
    sdp::parse(&content).map_err(|wrong| format!("{called}: {wrong}"))
}
