//! Session descriptions, as files: one by its name, or all of a directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::encoding::is_utf16;
use super::files::read_file;
use super::groups::{Remark, remark};
use super::legs;
use super::scalar;
use super::truth_channel::{ChannelConfig, ChannelSettings, DirectoryConfig, Origin, feeds_on};
use super::unreadable::why;
use crate::wire::sdp::{self, MAX_SDP_LEN, Presentation};

/// Files of one directory; those whose names come first.
pub(crate) const MOST_DESCRIPTIONS: usize = 1024;

/// What a file describes, which is called so in what is wrong with it.
pub(crate) fn described_by(file: &Path, called: &str) -> Result<Presentation, String> {
    let content = read_file(file, MAX_SDP_LEN as u64)
        .map_err(|error| format!("{called} can not be read: {}", why(file, &error)))?;
    if is_utf16(&content) {
        return Err(format!("{called}: it is UTF-16 text; save it as UTF-8"));
    }
    sdp::parse(&content).map_err(|wrong| format!("{called}: {wrong}"))
}

/// The descriptions in a directory, by the names of their files without `.sdp`. What is hidden is somebody's who is writing
/// it. Of too many those that are known stay. `true`: there are more than are taken.
pub(crate) fn descriptions_in(
    directory: &Path,
    is_known: impl Fn(&str) -> bool,
) -> io::Result<(BTreeMap<String, PathBuf>, bool)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        let is_one = file.extension() == Some(OsStr::new("sdp"));
        let name = file.file_stem().map(OsStr::to_string_lossy).filter(|name| !name.starts_with('.'));
        if let Some(name) = name.filter(|_| is_one) {
            found.push((!is_known(&name), name.into_owned(), file));
        }
    }
    let more = found.len() > MOST_DESCRIPTIONS;
    if more {
        found.sort();
        found.truncate(MOST_DESCRIPTIONS);
    }
    Ok((found.into_iter().map(|(_, name, file)| (name, file)).collect(), more))
}

impl DirectoryConfig {
    /// The channel that a file of the directory describes, and what is to be said of it. `Err`: it can not be one.
    pub(crate) fn channel(&self, stem: &str, file: &Path) -> Result<(ChannelConfig, Vec<String>), String> {
        let input = file.display().to_string();
        let prefix = self.prefix.as_ref().map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let name =
            scalar::channel_name(&format!("{prefix}{stem}")).map_err(|wrong| format!("{input}: {wrong}"))?;
        let presentation = described_by(file, &input)?;
        let settings = self.settings.clone();
        let remarks = remarks(&presentation, &settings).map_err(|wrong| format!("{input}: {wrong}"))?;
        let channel = ChannelConfig {
            name,
            input,
            file: None,
            presentation,
            origin: Origin::Groups,
            standby: None,
            settings,
            multicast_out: None,
        };
        Ok((channel, remarks))
    }
}

/// What is to be said of where a channel comes from; of many tracks alike it is said once. `Err`: nothing could be received.
pub(super) fn remarks(
    presentation: &Presentation,
    settings: &ChannelSettings,
) -> Result<Vec<String>, String> {
    let mut worse = Vec::new();
    legs::check_twins(presentation, settings)?;
    for (feed, interface) in feeds_on(presentation, settings) {
        match remark(feed.group, &feed.filter, interface) {
            Some(Remark::Wrong(wrong)) => return Err(wrong),
            Some(Remark::Worse(told)) if !worse.contains(&told) => worse.push(told),
            _ => {}
        }
    }
    Ok(worse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_directory_what_is_no_description_is_passed_over_and_no_more_are_taken_than_may_be() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["b.sdp", "a.sdp", ".hidden.sdp", "a.sdp~", "notes.txt", ".sdp", "sdp"] {
            fs::write(directory.path().join(name), "").expect("written");
        }
        let (found, more) = descriptions_in(directory.path(), |_| false).expect("read");
        assert_eq!((found.keys().map(String::as_str).collect::<Vec<_>>(), more), (vec!["a", "b"], false));
        (0..MOST_DESCRIPTIONS)
            .for_each(|n| fs::write(directory.path().join(format!("c{n}.sdp")), "").expect("written"));
        let (found, more) = descriptions_in(directory.path(), |name| name == "c999").expect("read");
        assert_eq!((found.len(), more), (MOST_DESCRIPTIONS, true));
        assert!(found.contains_key("a") && found.contains_key("c999") && !found.contains_key("c998"));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe.sdp");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.is_ok_and(|made| made.success()), "mkfifo of coreutils does as it is told");
        let told = described_by(&pipe, "pipe.sdp").expect_err("nobody writes to it");
        assert_eq!(told, "pipe.sdp can not be read: it is no file");
    }
}
