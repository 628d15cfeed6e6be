//! What was typed in `[storage]`.

use super::report::Report;
use super::section::{Number, SectionReader, Typed};

pub(super) struct TypedStorage {
    pub(super) spoiled: bool,
    pub(super) directory: Typed<String>,
    pub(super) max_bytes: Typed<Number>,
    pub(super) min_free_bytes: Typed<Number>,
    pub(super) viewers: Typed<Number>,
    pub(super) workers: Typed<Number>,
}

impl TypedStorage {
    pub(super) fn read(mut from: SectionReader<'_>, report: &mut Report<'_>) -> Self {
        let mut typed = Self {
            spoiled: false,
            directory: from.read("directory", report),
            max_bytes: from.read("max_bytes", report),
            min_free_bytes: from.read("min_free_bytes", report),
            viewers: from.read("viewers", report),
            workers: from.read("workers", report),
        };
        typed.spoiled = from.finish(report);
        typed
    }
}
