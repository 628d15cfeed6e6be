//! Part of the program stands still, and the rest does not know why.

use std::fs;
use std::path::Path;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A thread of the program that is held still. Whoever holds it has to take note of its death, as its process has not
/// ended before.
pub struct Still(Pid);

impl Still {
    /// Holds the thread of this name still, of the process with this directory in /proc.
    pub fn hold(process: &Path, name: &str) -> nix::Result<Self> {
        let still = Self(thread_of(process, name));
        ptrace::seize(still.0, ptrace::Options::empty())?;
        ptrace::interrupt(still.0)?;
        // Once it has stopped: until then it can not be let go.
        waitpid(still.0, Some(WaitPidFlag::__WALL))?;
        Ok(still)
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        let state = waitpid(self.0, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL));
        matches!(state, Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_))
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _ = ptrace::detach(self.0, None); // it may have died
    }
}

/// The thread of this name, of the process with this directory in /proc.
pub(super) fn thread_of(process: &Path, name: &str) -> Pid {
    let threads = fs::read_dir(process.join("task")).expect("it runs").flatten();
    let is_called = |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let thread = threads.map(|thread| thread.path()).find(|path| is_called(path)).expect("such a thread");
    let id = thread.file_name().and_then(|id| id.to_str()?.parse().ok()).expect("a number");
    Pid::from_raw(id)
}
