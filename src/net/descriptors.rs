//! The descriptors of this process: how many there are and may be, and one that is held for when there is none.

use std::fs::{self, File};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// A descriptor held open for nothing, so that there is one when all others are taken.
#[derive(Debug)]
pub struct SpareDescriptor(Mutex<Option<File>>);

/// Whose turn it is to let a spare one go and take it, or to accept: nobody else takes it in between.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until nobody has a spare descriptor lent, and keeps it so while `accept` runs.
pub fn in_turn<T>(accept: impl FnOnce() -> T) -> T {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    accept()
}

/// Whether what can not be opened or read now may be in a moment.
pub fn is_passing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EIO | Errno::EINTR))
}

impl SpareDescriptor {
    /// Takes one, if there is one.
    pub fn new() -> Self {
        Self(Mutex::new(any()))
    }

    /// Lets it go while `borrow` runs, and takes one again. What `borrow` opens it has to close.
    pub fn lend<T>(&self, borrow: impl FnOnce() -> T) -> T {
        in_turn(|| {
            self.let_go();
            let returned = borrow();
            self.take();
            returned
        })
    }

    /// Lets it go for what `open` opens.
    pub fn give<T>(&self, open: impl FnOnce() -> T) -> T {
        in_turn(|| {
            self.let_go();
            open()
        })
    }

    /// Takes one again, in place of what `close` closes.
    pub fn take_back(&self, close: impl FnOnce()) {
        in_turn(|| {
            close();
            self.take();
        });
    }

    fn let_go(&self) {
        drop(self.state().take());
    }

    fn take(&self) {
        let mut spare = self.state();
        if spare.is_none() {
            *spare = any();
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SpareDescriptor {
    fn default() -> Self {
        Self::new()
    }
}

fn any() -> Option<File> {
    File::open("/dev/null").ok()
}

/// How many descriptors the process may have.
pub fn descriptor_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// How many it has.
pub fn open_descriptors() -> u64 {
    const OWN: &str = "/proc/self/fd";
    // Linux 6.2 tells the number as the directory's size, for which none is needed.
    let told = fs::metadata(OWN).map_or(0, |directory| directory.len());
    if told > 0 {
        return told;
    }
    // The one that lists them does not count; where there is none for that, all are taken.
    fs::read_dir(OWN).map_or_else(|_| descriptor_limit(), |list| list.count().saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_out_comes_again_and_what_is_not_there_does_not() {
        let of = |code: Errno| is_passing(&io::Error::from_raw_os_error(code as i32));
        assert!([Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM].into_iter().all(of));
        assert!(![Errno::ENOENT, Errno::EACCES].into_iter().any(of));
        assert!(!is_passing(&io::ErrorKind::InvalidData.into()));
    }

    #[test]
    fn descriptors_are_counted() {
        let some: Vec<_> = (0..50).map(|_| any().expect("a descriptor")).collect();
        let (open, limit) = (open_descriptors(), descriptor_limit());
        assert!((53..=limit).contains(&open), "{open} of {limit}, with {} of ours", some.len());
    }
}
