//! Channels that are shown from files: `source = "file:///…"`, alone or as what stands by for others, and the key that is about it.

use toml::Spanned;

use super::report::Report;
use super::typed_channel::TypedChannel;
use crate::storage::FileSource;
use crate::wire::rtsp::Url;

/// Whether a source is a file.
pub(super) fn is_file(source: &str) -> bool {
    source.split_once(':').is_some_and(|(scheme, _)| scheme.trim().eq_ignore_ascii_case("file"))
}

/// What a source says that is one.
pub(super) fn file(text: &str, typed: &TypedChannel) -> Result<FileSource, String> {
    let remedy = "write file:///srv/films/news.ts, the path from the root on";
    let wrong = |what: &str| format!("source {text:?}: {what}; {remedy}");
    let url = Url::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
    let path = url.to_file_path().map_err(|()| wrong("it is no file of this machine"))?;
    if text.trim().ends_with('/') || path.file_name().is_none() {
        return Err(wrong("it names a directory"));
    }
    let goes_round = typed.goes_round.as_ref().is_none_or(|typed| *typed.get_ref());
    Ok(FileSource { path, goes_round })
}

/// Keys that are about groups, or about files, of a channel that has none.
pub(super) fn note_useless(typed: &TypedChannel, has_groups: bool, has_files: bool, report: &mut Report<'_>) {
    let of_groups = [("interface", &typed.interface), ("renew", &typed.renew)];
    for (key, typed_key) in of_groups.into_iter().filter(|_| !has_groups) {
        if let Some(key_typed) = typed_key {
            let wrong = format!("{} {key}: no group is joined; leave it out", typed.place);
            report.add(key_typed.span().start, wrong);
        }
    }
    if let Some(span) = typed.goes_round.as_ref().map(Spanned::span).filter(|_| !has_files && !typed.spoiled)
    {
        let wrong = format!(
            "{} loop: it is not shown from files; leave it out, or write source = \"file:///…\"",
            typed.place
        );
        report.add(span.start, wrong);
    }
}

/// Films have indexes, which are kept.
pub(super) fn check_storage(typed: &TypedChannel, has_storage: bool, report: &mut Report<'_>) {
    if !has_storage {
        let wrong = "no [storage] directory says where indexes of files are kept; add one such as directory = \
                     \"/var/lib/mirrorball/recordings\"";
        report.add(typed.input_offset(), format!("{}: {wrong}", typed.place));
    }
}
