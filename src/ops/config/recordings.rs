//! `[storage]`, and how much of each channel is kept there.

use std::path::Path;

use super::report::Report;
use super::storage::StorageConfig;
use super::typed_channel::TypedChannel;
use super::typed_storage::TypedStorage;
use super::within::{duration_within, number_within};
use crate::storage::{ArchiveLimits, Keep};

const LEAST_BYTES: usize = 1 << 20;
const MOST_BYTES: usize = 1 << 60;

/// `directory` is where relative paths begin.
pub(super) fn resolve(
    typed: &TypedStorage,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<StorageConfig> {
    let max_bytes =
        number_within(&typed.max_bytes, "[storage] max_bytes", LEAST_BYTES, LEAST_BYTES..=MOST_BYTES, report)
            as u64;
    let min_free =
        number_within(&typed.min_free_bytes, "[storage] min_free_bytes", 1 << 30, 0..=MOST_BYTES, report)
            as u64;
    let viewers = number_within(&typed.viewers, "[storage] viewers", 1000, 0..=100_000, report);
    let workers = number_within(&typed.workers, "[storage] workers", 2, 1..=64, report);
    let numbers =
        [&typed.max_bytes, &typed.min_free_bytes, &typed.viewers, &typed.workers].into_iter().flatten();
    let Some(path) = &typed.directory else {
        if let Some(offset) = numbers.map(|number| number.span().start).min().filter(|_| !typed.spoiled) {
            let useless = "[storage]: no directory, so nothing is kept; add directory = \"/var/lib/mirrorball/recordings\"";
            report.warn(offset, useless);
        }
        return None;
    };
    if path.get_ref().is_empty() {
        let wrong = "[storage] directory is empty; write one such as \"/var/lib/mirrorball/recordings\"";
        report.add(path.span().start, wrong);
    }
    let limits = ArchiveLimits { max_bytes: typed.max_bytes.as_ref().map(|_| max_bytes), min_free, viewers };
    Some(StorageConfig { directory: directory.join(path.get_ref()), limits, workers, libraries: Vec::new() })
}

/// How much of a channel is kept, if it is recorded.
pub(super) fn keep(typed: &TypedChannel, has_storage: bool, report: &mut Report<'_>) -> Option<Keep> {
    let named = |key: &str| format!("{} {key}", typed.place);
    let length = duration_within(&typed.record, &named("record"), "2h", ["10s", "8784h"], report);
    let bytes = number_within(
        &typed.record_bytes,
        &named("record_bytes"),
        LEAST_BYTES,
        LEAST_BYTES..=MOST_BYTES,
        report,
    );
    let Some(record) = &typed.record else {
        if let Some(key) = typed.record_bytes.as_ref().filter(|_| !typed.spoiled) {
            let useless = format!("{}: it is not recorded; add record = \"2h\"", named("record_bytes"));
            report.warn(key.span().start, useless);
        }
        return None;
    };
    if !has_storage {
        let wrong = format!(
            "{}: no [storage] directory says where; add one such as directory = \"/var/lib/mirrorball/recordings\"",
            named("record")
        );
        report.add(record.span().start, wrong);
    }
    Some(Keep { length, bytes: typed.record_bytes.as_ref().map(|_| bytes as u64) })
}
