//! A cgroup of a story's own, of version 2 or 1, which holds the memory of what runs in it below a limit.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::patience::eventually;

/// Where version 2 is, and version 1 keeps its controller of memory.
const ROOTS: [(&str, Names); 2] = [
    ("/sys/fs/cgroup", Names { limit: "memory.max", peak: "memory.peak", kills: "memory.events" }),
    (
        "/sys/fs/cgroup/memory",
        Names {
            limit: "memory.limit_in_bytes",
            peak: "memory.max_usage_in_bytes",
            kills: "memory.oom_control",
        },
    ),
];

#[derive(Clone, Copy)]
struct Names {
    limit: &'static str,
    peak: &'static str,
    kills: &'static str,
}

/// It is gone once what ran in it has ended.
pub struct Cgroup {
    path: PathBuf,
    names: Names,
}

impl Cgroup {
    /// With a limit on memory; swap counts as this machine has it.
    pub fn of_memory(bytes: usize) -> io::Result<Self> {
        let mut error = io::Error::from(io::ErrorKind::NotFound);
        for (root, names) in ROOTS {
            match Self::below(Path::new(root), names, bytes) {
                Ok(cgroup) => return Ok(cgroup),
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    fn below(root: &Path, names: Names, bytes: usize) -> io::Result<Self> {
        let path = root.join(format!("mirrorball-story-{}", std::process::id()));
        fs::create_dir(&path)?;
        let cgroup = Self { path, names };
        // A name that the kernel does not have here, as where memory is no controller of this tree, is not made by writing.
        fs::OpenOptions::new().write(true).open(cgroup.path.join(names.limit))?;
        fs::write(cgroup.path.join(names.limit), bytes.to_string())?;
        Ok(cgroup)
    }

    /// A command that, given a program's arguments, runs it in here.
    pub fn run(&self, program: &Command) -> Command {
        let mut shell = Command::new("sh");
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.path.display());
        shell.args(["-c", &enter]).arg(program.get_program());
        shell
    }

    /// The most that was held at once.
    pub fn peak_bytes(&self) -> Option<usize> {
        fs::read_to_string(self.path.join(self.names.peak)).ok()?.trim().parse().ok()
    }

    /// How many were killed for want of memory.
    pub fn kills(&self) -> u64 {
        let text = fs::read_to_string(self.path.join(self.names.kills)).expect("it is there");
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")).expect("Linux counts them");
        count.parse().expect("a number")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Whoever was in it may take a moment to be gone.
        if !std::thread::panicking() {
            eventually("the cgroup is empty", || fs::remove_dir(&self.path).ok());
        } else {
            let _ = fs::remove_dir(&self.path);
        }
    }
}
