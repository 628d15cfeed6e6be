//! Where recordings are, and how much of each channel is kept.

use std::path::PathBuf;
use std::time::Duration;

use super::{accepted, assert_says, refused, warned};
use crate::storage::{ArchiveLimits, Keep};

const NEWS: &str = "[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\n";

#[test]
fn nothing_is_kept_unless_it_is_said() {
    let config = accepted(NEWS);
    assert_eq!((config.storage, config.channels[0].settings.keep), (None, None));
}

#[test]
fn each_key_is_heeded() {
    let storage = "[storage]\ndirectory = \"kept\"\nmax_bytes = 3_000_000_000\nmin_free_bytes = 7\nviewers = 9\nworkers = 5\n";
    let config = accepted(&format!("{storage}{NEWS}record = \"2h\"\nrecord_bytes = 2_000_000\n"));
    let storage = config.storage.expect("it is said");
    assert_eq!(storage.limits, ArchiveLimits { max_bytes: Some(3_000_000_000), min_free: 7, viewers: 9 });
    assert_eq!((storage.workers, storage.directory.file_name()), (5, PathBuf::from("kept").file_name()));
    let keep = Keep { length: Duration::from_secs(7200), bytes: Some(2_000_000) };
    assert_eq!(config.channels[0].settings.keep, Some(keep));
}

#[test]
fn who_says_where_alone_has_defaults_for_the_rest() {
    let config = accepted(&format!("[storage]\ndirectory = \"/var/kept\"\n{NEWS}record = \"10s\"\n"));
    let storage = config.storage.expect("it is said");
    assert_eq!(storage.directory, PathBuf::from("/var/kept"));
    assert_eq!(storage.limits, ArchiveLimits { max_bytes: None, min_free: 1 << 30, viewers: 1000 });
    assert_eq!(config.channels[0].settings.keep.and_then(|keep| keep.bytes), None);
}

#[test]
fn what_can_not_be_kept_is_refused_and_what_is_useless_remarked() {
    let problems = refused(&format!("{NEWS}record = \"2h\"\n"));
    assert_says(
        &problems[0],
        &["toml:4", "record: no [storage] directory says where", "add one such as directory"],
    );
    let problems = refused(&format!("[storage]\ndirectory = \"\"\nworkers = 0\n{NEWS}record = \"1s\"\n"));
    assert_says(&problems[0], &["toml:2", "directory is empty"]);
    assert_says(&problems[1], &["toml:3", "workers: 0 is out of bounds; write 1 to 64"]);
    assert_says(&problems[2], &["toml:7", "record: \"1s\" is out of bounds", "10s to 8784h"]);
    let warnings = warned(&format!("[storage]\nmax_bytes = 2_000_000\n{NEWS}record_bytes = 2_000_000\n"));
    assert_says(&warnings[0], &["toml:2", "no directory, so nothing is kept"]);
    assert_says(&warnings[1], &["toml:6", "record_bytes: it is not recorded; add record"]);
}
