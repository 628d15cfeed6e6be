//! Playlists in files, as players write them (M3U): a path in each line, relative to where the list is.

use std::path::{Path, PathBuf};

/// Files of one list.
const MOST_FILES: usize = 10_000;

/// The files of a list that is in this directory. What begins with `#` is a remark.
pub(super) fn files(list: &str, directory: &Path) -> Vec<PathBuf> {
    let lines = list.trim_start_matches('\u{feff}').lines().map(str::trim);
    let paths = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    paths.take(MOST_FILES).map(|path| directory.join(path.strip_prefix("file://").unwrap_or(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_files_beside_it_or_elsewhere() {
        let list =
            "\u{feff}#EXTM3U\r\n#EXTINF:-1,One\r\n one two.ts \r\n\r\n../b/c.mp4\r\n/d.ts\nfile:///e f.ts";
        let named = ["/a/one two.ts", "/a/../b/c.mp4", "/d.ts", "/e f.ts"].map(PathBuf::from);
        assert_eq!(files(list, Path::new("/a")), named);
        assert_eq!(files(&"a.ts\n".repeat(MOST_FILES + 1), Path::new("/")).len(), MOST_FILES);
    }
}
