//! What was typed in `[admin]`.

use super::report::Report;
use super::section::{Number, SectionReader, Typed};

pub(super) struct TypedAdmin {
    pub(super) spoiled: bool,
    pub(super) listen: Typed<String>,
    pub(super) tokens: Typed<String>,
    pub(super) certificate: Typed<String>,
    pub(super) private_key: Typed<String>,
    pub(super) channels_file: Typed<String>,
    pub(super) previews: Typed<Number>,
}

impl TypedAdmin {
    pub(super) fn read(mut from: SectionReader<'_>, report: &mut Report<'_>) -> Self {
        let mut typed = Self {
            spoiled: false,
            listen: from.read("listen", report),
            tokens: from.read("tokens", report),
            certificate: from.read("certificate", report),
            private_key: from.read("private_key", report),
            channels_file: from.read("channels_file", report),
            previews: from.read("previews", report),
        };
        typed.spoiled = from.finish(report);
        typed
    }
}
