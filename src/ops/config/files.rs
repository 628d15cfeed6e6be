//! Files that a config is, or names; of any of them so much at most.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

/// What is in `file`, which may have at most `limit_bytes`.
pub(super) fn read_bytes(file: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    read_to_limit(File::open(file)?, limit_bytes)
}

/// The same of what is to be a file, and not something that is waited for.
pub(super) fn read_file(file: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(file)?;
    let about = opened.metadata()?;
    if !about.is_file() && !about.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    read_to_limit(opened, limit_bytes)
}

fn read_to_limit(file: File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit_bytes {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has over {limit_bytes} bytes")));
    }
    Ok(content)
}
