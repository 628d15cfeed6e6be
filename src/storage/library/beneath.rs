//! A file of a library: opened by a path that a viewer names, which leads nowhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// Opens a file of a directory for reading. What is no plain path down from there, or no file, is not found; nor is what a link leads to.
pub(super) fn open(directory: &File, path: &str) -> io::Result<File> {
    let not_found = || io::Error::from(io::ErrorKind::NotFound);
    let path = Path::new(OsStr::from_bytes(path.as_bytes()));
    let is_plain = |component: Component<'_>| match component {
        Component::Normal(name) => !name.as_bytes().starts_with(b"."),
        _ => false,
    };
    if path.as_os_str().is_empty() || !path.components().all(is_plain) {
        return Err(not_found());
    }
    // Non-blocking, as a named pipe would wait for a writer.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    let file = File::from(openat2(directory, path, how).map_err(|errno| match errno {
        // It leads elsewhere, or can not be a path.
        Errno::ELOOP | Errno::EXDEV | Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::EINVAL => not_found(),
        errno => errno.into(),
    })?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_found()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    #[test]
    fn what_is_there_is_opened_and_no_path_leads_out() {
        let root = TempDir::new().expect("a directory");
        let library = root.path().join("films");
        fs::create_dir_all(library.join("a b")).expect("made");
        fs::write(library.join("a b/c.ts"), "film").expect("written");
        fs::write(library.join(".hidden"), "no").expect("written");
        fs::write(root.path().join("secret"), "no").expect("written");
        symlink(root.path().join("secret"), library.join("link")).expect("linked");
        symlink(root.path(), library.join("up")).expect("linked");
        nix::unistd::mkfifo(&library.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        let directory = File::open(&library).expect("it is there");
        let mut read = String::new();
        open(&directory, "a b/c.ts").expect("it is there").read_to_string(&mut read).expect("read");
        assert_eq!(read, "film");
        for path in [
            "",
            ".",
            "..",
            "../secret",
            "a b/../../secret",
            "/etc/passwd",
            "link",
            "up/secret",
            "a b",
            "nothing",
            ".hidden",
            "pipe",
            "a b/c.ts/",
            "a b//c.ts",
            "a\0b",
            "./a b/c.ts",
        ] {
            let found = open(&directory, path).map(drop);
            let is_plain = ["a b/c.ts/", "a b//c.ts"].contains(&path);
            assert!(found.is_err() || is_plain, "{path:?}");
        }
    }
}
