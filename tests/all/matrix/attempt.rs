//! One client at work, and what came of it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::players::programme::{FRAME_BYTES, picture_of};
use crate::vocabulary::passes;

/// How many pictures of the programme prove that a client plays: a second of it.
pub const WANTED: usize = 25;
/// How many a client is told to play, where it can be told.
pub const ASKED: &str = "30";
const PATIENCE: Duration = Duration::from_secs(40);
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    Plays,
    /// The program said no, and the client took it for that.
    Refused,
    /// It has no such carriage.
    CanNot,
    /// It has, and did not play: what it said.
    Fails(String),
}

impl Outcome {
    /// In the table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Plays => "plays",
            Self::Refused => "refused",
            Self::CanNot => "–",
            Self::Fails(_) => "fails",
        }
    }
}

/// A client about to play.
pub struct Attempt {
    run: Box<dyn FnOnce() -> Result<Ended, String>>,
    yields: Yields,
}

/// How a client ended, and what it said.
struct Ended {
    success: bool,
    said: String,
}

/// What it leaves behind.
pub enum Yields {
    /// Pictures, one behind another.
    Pictures(PathBuf),
    /// What has to be decoded first.
    Film(PathBuf),
    /// It says how many pictures it decoded.
    Count,
    /// Nothing, for it comes to send.
    Refusal,
}

impl Attempt {
    /// A program that ends by itself, and keeps what it says here.
    pub fn by(command: Command, log: PathBuf, yields: Yields) -> Self {
        Self::until(|| false, command, log, yields)
    }

    /// A program that has to be told when it is enough.
    pub fn until(
        is_enough: impl Fn() -> bool + 'static,
        mut command: Command,
        log: PathBuf,
        yields: Yields,
    ) -> Self {
        let run = move || {
            let said = |file: &Path| tail(&String::from_utf8_lossy(&fs::read(file).unwrap_or_default()));
            let out = File::create(&log).map_err(|error| error.to_string())?;
            let err = out.try_clone().map_err(|error| error.to_string())?;
            let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
            let (mut child, mut enough) = (child.map_err(|error| error.to_string())?, false);
            let mut status = None;
            passes(PATIENCE, || {
                status = child.try_wait().ok().flatten();
                enough = is_enough();
                status.is_some() || enough
            });
            let Some(status) = status.or_else(|| stop(&mut child)) else {
                return Err(format!("had to be killed\n{}", said(&log)));
            };
            Ok(Ended { success: status.success(), said: said(&log) })
        };
        Self { run: Box::new(run), yields }
    }

    /// What is no program.
    pub fn of(play: impl FnOnce() -> Result<(), String> + 'static, yields: Yields) -> Self {
        let run = || play().map(|()| Ended { success: true, said: String::new() });
        Self { run: Box::new(run), yields }
    }

    /// Plays, and looks for what was sent in what it left behind.
    pub fn make(self, sent: &HashSet<&[u8]>) -> Outcome {
        let ended = match (self.run)() {
            Ok(ended) => ended,
            Err(why) => return Outcome::Fails(why),
        };
        let pictures = match &self.yields {
            Yields::Pictures(file) => fs::read(file).unwrap_or_default(),
            Yields::Film(file) => picture_of(file),
            Yields::Count | Yields::Refusal => Vec::new(),
        };
        let all = pictures.chunks_exact(FRAME_BYTES);
        let count = match &self.yields {
            Yields::Count => ended.said.lines().find_map(|line| line.trim().parse().ok()).unwrap_or(0),
            Yields::Refusal if !ended.success => return Outcome::Refused,
            _ => all.clone().filter(|picture| sent.contains(picture)).count(),
        };
        if count >= WANTED {
            return Outcome::Plays;
        }
        let (of, said) = (all.count(), ended.said);
        Outcome::Fails(format!("{count} pictures of the programme among {of}\n{said}"))
    }
}

/// Asks a program to end; one that does not is killed.
fn stop(child: &mut Child) -> Option<ExitStatus> {
    let id = i32::try_from(child.id()).expect("process ids are small");
    let _ = kill(Pid::from_raw(id), Signal::SIGINT);
    let mut status = None;
    passes(ENDS_WITHIN, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    status
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
