//! What is shown: a file, or a list of files.

use std::path::PathBuf;

/// Where it is, and whether it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// A film, or a playlist (M3U) of films.
    pub path: PathBuf,
    /// It begins again once it is over.
    pub goes_round: bool,
}

impl FileSource {
    /// Whether it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        let is = |name: &str| self.path.extension().is_some_and(|own| own.eq_ignore_ascii_case(name));
        is("m3u") || is("m3u8")
    }
}
