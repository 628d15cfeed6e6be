//! Text that leaves the program, by a thread of its own: nobody who has something to say waits for whoever
//! reads it. Knows neither the log nor what is said.
//!
//! ```text
//!  anyone ─▶ Outlet ─▶ a queue of 1024 pieces ─▶ Pump, which may block ─▶ stderr, stdout
//!                 └─ what has no room, or can not be written, is dropped and counted
//! ```
//!
//! The descriptor may be shared with other programs, so it is not made non-blocking.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::event::{Priority, clock, spawn};

/// Pieces that wait to be written.
pub(super) const PIECES: usize = 1024;
/// What is kept of one; the rest is cut off. A request's URL, which may be in it, is shorter.
const PIECE_BYTES: usize = 16 * 1024;

/// Where text goes, for any thread.
#[derive(Clone)]
pub struct Outlet {
    queue: Sender<Item>,
    lost: Arc<Lost>,
}

/// Pieces that were dropped, by reason.
#[derive(Debug, Default)]
pub struct Lost([AtomicU64; REASONS.len()]);

/// Why pieces are dropped: who reads does not keep up; no space, quota, or file size is left; nobody reads
/// any more; anything else.
pub const REASONS: [&str; 4] = ["backlog", "no_space", "closed", "error"];

const BACKLOG: usize = 0;
const NO_SPACE: usize = 1;
const CLOSED: usize = 2;
const ERROR: usize = 3;

enum Item {
    Text(Box<[u8]>),
    /// Someone waits until nothing else does.
    Mark(Sender<()>),
}

impl Outlet {
    /// Starts the thread. `tell` is given the number of pieces that were dropped, once writing succeeds again.
    ///
    /// # Errors
    /// The thread can not be started.
    pub fn start(name: &str, to: impl Write + Send + 'static, tell: fn(u64)) -> io::Result<Self> {
        let (queue, waiting) = bounded(PIECES);
        let lost = Arc::<Lost>::default();
        let pump = Pump {
            to,
            waiting,
            lost: lost.clone(),
            marks: Vec::new(),
            tell,
            told: 0,
            since_told: 0,
            fails: false,
            torn: false,
        };
        spawn(name.to_owned(), Priority::Low, move || pump.run())?;
        Ok(Self { queue, lost })
    }

    /// Says it. Never waits, and never fails: what can not be taken is counted.
    pub fn say(&self, text: &[u8]) {
        let kept = match text.get(..PIECE_BYTES) {
            Some(kept) => [&kept[..PIECE_BYTES - 1], b"\n"].concat(),
            None => text.to_vec(),
        };
        if self.queue.try_send(Item::Text(kept.into())).is_err() {
            self.lost.count(BACKLOG);
        }
    }

    /// Waits until what was said is written or dropped, for `patience` at most.
    pub fn flush(&self, patience: Duration) {
        let deadline = clock::now() + patience;
        let (done, wait) = bounded(1);
        if self.queue.send_deadline(Item::Mark(done), deadline).is_ok() {
            let _ = wait.recv_deadline(deadline);
        }
    }

    /// Pieces that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// What was dropped.
    pub fn lost(&self) -> &Lost {
        &self.lost
    }
}

impl Lost {
    /// By reason.
    pub fn each(&self) -> [(&'static str, u64); REASONS.len()] {
        std::array::from_fn(|index| (REASONS[index], self.0[index].load(Relaxed)))
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.0[CLOSED].load(Relaxed) > 0
    }

    fn count(&self, reason: usize) {
        self.0[reason].fetch_add(1, Relaxed);
    }

    fn total(&self) -> u64 {
        self.0.iter().map(|count| count.load(Relaxed)).sum()
    }
}

/// The thread's side.
struct Pump<W> {
    to: W,
    waiting: Receiver<Item>,
    lost: Arc<Lost>,
    marks: Vec<Sender<()>>,
    tell: fn(u64),
    told: u64,
    since_told: usize,
    fails: bool,
    /// The last piece was cut off in its midst.
    torn: bool,
}

impl<W: Write> Pump<W> {
    fn run(mut self) {
        while let Ok(item) = self.waiting.recv() {
            match item {
                Item::Text(text) => self.put(&text),
                Item::Mark(waits) => self.marks.push(waits),
            }
            if !self.fails {
                self.tell();
            }
            if self.waiting.is_empty() {
                for waits in self.marks.drain(..) {
                    let _ = waits.send(()); // who has waited for too long has gone
                }
            }
        }
    }

    fn put(&mut self, text: &[u8]) {
        let written = self.write(text);
        self.since_told += 1;
        self.fails = written.is_err();
        if let Err(error) = written {
            self.lost.count(reason(&error));
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.torn {
            self.to.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let written = match self.to.write(rest) {
                Ok(0) => Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
                other => other,
            };
            self.torn = rest.len() < text.len();
            rest = &rest[written?..];
        }
        self.torn = false;
        Ok(())
    }

    /// Once nothing waits, or after a queue's length of pieces: who always lags is told now and then.
    fn tell(&mut self) {
        let lost = self.lost.total();
        if lost > self.told && (self.waiting.is_empty() || self.since_told >= PIECES) {
            let news = lost - self.told;
            (self.told, self.since_told) = (lost, 0);
            (self.tell)(news);
        }
    }
}

fn reason(error: &io::Error) -> usize {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => NO_SPACE,
        ErrorKind::BrokenPipe => CLOSED,
        _ => ERROR,
    }
}

/// Writes to a descriptor as it is: std's own handles are locked while they write, and whoever else used them
/// would wait as well.
pub struct Unlocked<F>(pub F);

impl<F: AsFd> Write for Unlocked<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match nix::unistd::write(&self.0, bytes) {
                // Another program that has it too made it non-blocking.
                Err(Errno::EAGAIN) => wait_for_room(self.0.as_fd())?,
                other => return Ok(other?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait_for_room(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    match poll(&mut [PollFd::new(descriptor, PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io::{BufRead, BufReader, Read};
    use std::sync::Mutex;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What writes answer, in turn, and what has come through.
    #[derive(Clone, Default)]
    struct Disk {
        answers: Arc<Mutex<VecDeque<io::Result<usize>>>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let answer = self.answers.lock().expect("no panic").pop_front();
            let taken = answer.unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.written.lock().expect("no panic").extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn losses(outlet: &Outlet) -> [u64; 4] {
        outlet.lost().each().map(|(_, count)| count)
    }

    #[test]
    fn what_can_not_be_written_is_counted_by_reason_and_the_next_line_stands_alone() {
        static TOLD: AtomicU64 = AtomicU64::new(0);
        let disk = Disk::default();
        disk.answers.lock().expect("no panic").extend([
            Err(ErrorKind::Interrupted.into()),
            Ok(3),
            Err(ErrorKind::StorageFull.into()),
            Err(ErrorKind::BrokenPipe.into()),
        ]);
        let outlet = Outlet::start("t-disk", disk.clone(), |lost| TOLD.store(lost, Relaxed));
        let outlet = outlet.expect("a thread");
        for line in ["one two\n", "nobody\n", "three\n"] {
            outlet.say(line.as_bytes());
        }
        outlet.flush(PATIENCE);
        assert_eq!(losses(&outlet), [0, 1, 1, 0]);
        assert_eq!(String::from_utf8_lossy(&disk.written.lock().expect("no panic")), "one\nthree\n");
        assert_eq!(TOLD.load(Relaxed), 2);
    }

    #[test]
    fn nobody_waits_for_a_reader_that_is_stuck_and_all_is_told_when_it_reads() {
        static TOLD: AtomicU64 = AtomicU64::new(0);
        let (reader, writer) = io::pipe().expect("a pipe");
        let outlet = Outlet::start("t-stuck", Unlocked(writer), |lost| TOLD.store(lost, Relaxed));
        let outlet = outlet.expect("a thread");
        let line = [&[b'x'; 1000][..], b"\n"].concat();
        let began = clock::now();
        let said = 2 * PIECES as u64;
        (0..said).for_each(|_| outlet.say(&line));
        outlet.flush(Duration::from_millis(50));
        assert!(began.elapsed() < PATIENCE / 2, "a flush is bounded");
        let [backlog, rest @ ..] = losses(&outlet);
        assert!(backlog > 0 && rest == [0; 3], "{backlog} and {rest:?}");
        let lines = BufReader::new(reader).lines().take((said - backlog) as usize);
        assert!(lines.map_while(Result::ok).all(|line| line.len() == 1000), "whole lines");
        outlet.flush(PATIENCE);
        assert_eq!(TOLD.load(Relaxed), backlog);
    }

    #[test]
    fn a_line_without_end_is_cut_off() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let outlet = Outlet::start("t-long", Unlocked(writer), |_| ()).expect("a thread");
        outlet.say(&[b'x'; 2 * PIECE_BYTES]);
        outlet.flush(PATIENCE);
        drop(outlet);
        let mut text = Vec::new();
        reader.read_to_end(&mut text).expect("the thread ends, and closes it");
        assert!(text.len() == PIECE_BYTES && text.ends_with(b"x\n"));
    }
}
