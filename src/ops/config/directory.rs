//! Directories of session descriptions. What is wrong with a file is a warning: it may be mended while the program runs, and
//! the others are served.

use std::path::Path;

use toml::Spanned;

use super::description::{MOST_DESCRIPTIONS, descriptions_in};
use super::report::Report;
use super::scalar;
use super::section::Typed;
use super::truth_channel::{ChannelSettings, DirectoryConfig};
use super::typed_channel::TypedChannel;
use super::unreadable::why;
use super::within::parsed;

/// The directory that was meant; `before` are those above it. What has an error is noted.
pub(super) fn resolve_directory(
    typed: &TypedChannel,
    settings: ChannelSettings,
    before: &[DirectoryConfig],
    base: &Path,
    report: &mut Report<'_>,
) -> Option<DirectoryConfig> {
    let (key, place) = (typed.directory.as_ref()?, &typed.place);
    let span = |text: &Typed<String>| text.as_ref().map(Spanned::span);
    for (other, called) in [
        (span(&typed.source), "source"),
        (typed.sources.as_ref().map(Spanned::span), "sources"),
        (span(&typed.sdp), "sdp"),
        (span(&typed.multicast_out), "multicast_out"),
        (typed.number.as_ref().map(Spanned::span), "number"),
        (span(&typed.title), "title"),
        (span(&typed.logo), "logo"),
        (span(&typed.tvg_id), "tvg_id"),
    ] {
        if let Some(other) = other {
            let wrong =
                format!("{place}: {called} is of one channel, and a directory of many; leave one out");
            report.add(other.start, wrong);
        }
    }
    let prefix = parsed(&typed.name, place, scalar::channel_name, report);
    let path = base.join(key.get_ref());
    let shown = path.display();
    if before.iter().any(|before| before.path == path) {
        report.add(key.span().start, format!("{place}: directory {shown} is there twice; leave one out"));
    }
    let config = DirectoryConfig { path: path.clone(), prefix, settings };
    match descriptions_in(&path, |_| false) {
        Err(error) => {
            let wrong = format!("{place}: directory {shown} can not be read: {}", why(&path, &error));
            report.add(key.span().start, wrong);
        }
        Ok((files, more)) => {
            let wrong = files.iter().filter_map(|(stem, file)| config.channel(stem, file).err());
            wrong.for_each(|wrong| report.warn(key.span().start, format!("{place}: not served: {wrong}")));
            if more {
                let beyond = format!(
                    "{place}: {shown} holds over {MOST_DESCRIPTIONS} descriptions; the rest is not served"
                );
                report.warn(key.span().start, beyond);
            }
        }
    }
    Some(config)
}
