//! Files and the disk that they are on, as far as more than one part here has to do with them.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, PosixFadviseAdvice, posix_fadvise};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

use crate::wire::recording::SegmentFile;

/// Who has a lock on that file has the directory.
const LOCK: &str = ".lock";

/// What no channel can be called.
const FILMS: &str = ".films";

/// A directory that no other process writes to, while this is kept.
pub(super) type Held = Flock<File>;

/// Where what is kept of a channel is: one directory, whatever is in its name.
pub(super) fn directory_of(root: &Path, channel: &str) -> PathBuf {
    root.join(channel.replace('/', "%2F"))
}

/// Whose directory has that name. `None`: it is no channel's.
pub(super) fn channel_of(directory: &str) -> Option<String> {
    (directory != FILMS).then(|| directory.replace("%2F", "/"))
}

/// Where indexes of films are kept.
pub(super) fn films_in(root: &Path) -> PathBuf {
    root.join(FILMS)
}

/// A file of a segment.
pub(super) fn of(directory: &Path, file: SegmentFile) -> PathBuf {
    directory.join(file.to_string())
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Has a directory for this process alone, which is made if it is not there. `None`: another one has it.
pub(super) fn hold(root: &Path) -> io::Result<Option<Held>> {
    fs::create_dir_all(root)?;
    let file = File::options().create(true).truncate(false).write(true).open(root.join(LOCK))?;
    give_to_owner(&file, &fs::metadata(root)?);
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(held)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Whether another process has a directory for itself. Who asks for it at this moment asks again.
pub fn is_held(root: &Path) -> io::Result<bool> {
    let file = match File::open(root.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(false),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// A file that was made in another one's place is read and written by whoever may read and write that one.
pub(super) fn hand_over(file: &File, like: &Metadata) -> io::Result<()> {
    give_to_owner(file, like);
    file.set_permissions(like.permissions())
}

/// What root makes is another user's, who is to go on with it.
fn give_to_owner(file: &File, like: &Metadata) {
    if geteuid().is_root() {
        // In a container there may be owners that nothing can be given to.
        let _ = fchown(file, Some(like.uid()), Some(like.gid()));
    }
}

/// How many bytes this program may still write where a directory is.
pub fn free(directory: &Path) -> io::Result<u64> {
    let about = statvfs(directory)?;
    // Their types differ between platforms.
    #[allow(clippy::unnecessary_cast)]
    Ok(about.blocks_available() as u64 * about.fragment_size() as u64)
}

/// What was written or read between there, or to the end where that is 0, is to go to the disk, and then out of memory: nobody reads
/// it again soon. What is not on the disk by now is only begun to be written, and stays until this is said of it again.
pub(super) fn drop_behind(file: impl AsFd, from: u64, to: u64) {
    let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
    // It is advice: where it is not taken nothing is worse than without it.
    let _ = posix_fadvise(file, from as i64, (to - from) as i64, advice);
}
