//! The kernel tells the program something that is not so, which strace puts in its mouth.

use std::io::{self, BufRead, BufReader, Error};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::still::thread_of;

/// Who sees to it, until this is dropped.
pub struct Lie(Child);

impl Lie {
    /// The thread of this name, of the process with this directory in /proc, is told once that it has received more bytes than
    /// it has room for.
    ///
    /// # Errors
    /// strace is not there, or may not.
    pub fn tell(process: &Path, name: &str) -> io::Result<Self> {
        let thread = thread_of(process, name);
        let mut strace = Command::new("strace")
            .args(["--output=/dev/null", "--trace=recvfrom", "--inject=recvfrom:retval=1000000:when=1"])
            .arg(format!("--attach={thread}"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = strace.stderr.take().expect("piped");
        let (lie, mut said) = (Self(strace), String::new());
        BufReader::new(stderr).read_line(&mut said)?;
        if said.ends_with("attached\n") { Ok(lie) } else { Err(Error::other(said)) }
    }
}

impl Drop for Lie {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM); // it lets go of the thread
        let _ = self.0.wait();
    }
}
