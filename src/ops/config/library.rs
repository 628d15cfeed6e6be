//! Libraries: directories of films, each with a name that no channel has.

use std::collections::BTreeSet;
use std::path::Path;

use super::access::{Door, Watchers, rule};
use super::report::Report;
use super::scalar;
use super::storage::LibraryConfig;
use super::truth_channel::ChannelConfig;
use super::typed::TypedConfig;
use super::typed_library::TypedLibrary;
use super::within::parsed;

/// The most there may be.
const MOST_LIBRARIES: usize = 256;

/// The libraries that were meant. `directory` is where relative paths begin.
pub(super) fn resolve(
    typed: &TypedConfig,
    channels: &[ChannelConfig],
    door: &Door,
    directory: &Path,
    report: &mut Report<'_>,
) -> Vec<LibraryConfig> {
    if let Some(beyond) = typed.libraries.get(MOST_LIBRARIES) {
        report.add(
            beyond.offset,
            format!("{} libraries; write at most {MOST_LIBRARIES}", typed.libraries.len()),
        );
    }
    if let Some(first) =
        typed.libraries.first().filter(|_| typed.storage.directory.is_none() && !typed.storage.spoiled)
    {
        let wrong = "no [storage] directory says where their indexes are kept; add one such as directory = \"/var/lib/mirrorball/recordings\"";
        report.add(first.offset, format!("{}: {wrong}", first.place));
    }
    let mut names = BTreeSet::new();
    let mut resolve = |typed: &TypedLibrary| {
        let library = library(typed, door, directory, report)?;
        let offset = typed.name.as_ref().map_or(typed.offset, |name| name.span().start);
        let is_in = |channel: &&ChannelConfig| {
            channel.name.split('/').next().is_some_and(|first| first == library.name)
        };
        if !names.insert(library.name.clone()) {
            report.add(offset, format!("{}: another library has this name; write another", typed.place));
        } else if let Some(channel) = channels.iter().find(is_in) {
            let wrong = format!("the channel {:?} begins with this name; write another", channel.name);
            report.add(offset, format!("{}: {wrong}", typed.place));
        }
        Some(library)
    };
    typed.libraries.iter().take(MOST_LIBRARIES).filter_map(&mut resolve).collect()
}

fn library(
    typed: &TypedLibrary,
    door: &Door,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<LibraryConfig> {
    let TypedLibrary { place, users, public, allow, deny, .. } = typed;
    let missing =
        |key: &str, example: &str| format!("{place}: no {key}; write one such as {key} = {example}");
    if typed.name.is_none() && !typed.spoiled {
        report.add(typed.offset, missing("name", "\"films\""));
    }
    if typed.directory.is_none() && !typed.spoiled {
        report.add(typed.offset, missing("directory", "\"/srv/films\""));
    }
    let name = parsed(&typed.name, place, name, report);
    let files = parsed(&typed.directory, &format!("{place} directory"), path, report);
    let rule = rule(&Watchers { place, users, public, allow, deny }, door, report);
    Some(LibraryConfig { name: name?, directory: directory.join(files?), rule })
}

fn name(typed: &str) -> Result<String, String> {
    match scalar::channel_name(typed)? {
        name if name.contains('/') => {
            Err(format!("name {typed:?} has a \"/\"; write one word such as \"films\""))
        }
        name => Ok(name),
    }
}

fn path(typed: &str) -> Result<String, String> {
    if typed.is_empty() {
        Err("is empty; write one such as \"/srv/films\"".to_owned())
    } else {
        Ok(typed.to_owned())
    }
}
