//! The predecessor: starts its heir, and hands everything over once that could serve.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use std::{env, mem, thread};

use crossbeam_channel::{Receiver, Sender, bounded};
use sd_notify::NotifyState;

use crate::event::{Priority, clock, spawn};
use crate::net::Passage;

use super::super::doors::Doors;
use super::super::engine::Engine;
use super::heir::ENVIRONMENT;
use super::hold::Hold;
use super::words::{FORM, Watched, Word, hand, hear, out_of_turn, say};

/// What an heir has to be ready to serve: all of its start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// What tasks may take that run when all is to stand still; and those that wait for disks, for which nothing else waits.
const STANDS_WITHIN: Duration = Duration::from_secs(1);
const STORAGE_STANDS_WITHIN: Duration = Duration::from_millis(500);
/// What the heir has to take over, while nobody is served: less than a part may stand still.
const TAKES_WITHIN: Duration = Duration::from_secs(3);
/// What it has to take each message.
const HEARS_WITHIN: Duration = Duration::from_secs(3);
/// What an heir that has said no has to end by itself.
const SAYS_NO_WITHIN: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(10);
/// Something that has come no longer ago flows.
const FLOWS: Duration = Duration::from_secs(1);

/// What is handed over.
pub struct Estate {
    /// All that serves.
    pub engine: Arc<Engine>,
    /// Where clients come in.
    pub doors: Arc<Doors>,
    /// Where operators do, as the config has it.
    pub admin: (SocketAddr, TcpListener),
}

/// What stands still.
type Still = Vec<Hold>;

/// The upgrades of one process.
pub struct Upgrade {
    estate: Estate,
    /// As it was when this process began: what is there under this name by now may be newer.
    program: io::Result<PathBuf>,
    is_underway: AtomicBool,
    over: (Sender<()>, Receiver<()>),
}

impl Upgrade {
    /// Those of a process that has this to hand over.
    pub fn of(estate: Estate) -> Arc<Self> {
        let (is_underway, over) = (AtomicBool::new(false), bounded(1));
        Arc::new(Self { estate, program: env::current_exe(), is_underway, over })
    }

    /// Receives once everything was handed over: this process is to end at once, and to say goodbye to nobody.
    pub fn over(&self) -> &Receiver<()> {
        &self.over.1
    }

    /// Begins one, unless one is under way.
    pub fn begin(self: &Arc<Self>, why: &'static str) {
        if self.is_underway.swap(true, Relaxed) {
            return tracing::warn!("an upgrade is under way already ({why})");
        }
        let upgrade = self.clone();
        let begun = spawn("upgrade".to_owned(), Priority::Usual, move || {
            // The log has the panic, which is no reason not to serve on.
            let ran = catch_unwind(AssertUnwindSafe(|| upgrade.run(why)));
            match ran.unwrap_or_else(|_| Err("a fault of this program".to_owned())) {
                Ok(still) => {
                    mem::forget(still); // nothing runs here any more
                    let _ = upgrade.over.0.try_send(());
                    return;
                }
                Err(error) => tracing::error!("the upgrade has failed, and this program serves on: {error}"),
            }
            upgrade.is_underway.store(false, Relaxed);
        });
        if let Err(error) = begun {
            self.is_underway.store(false, Relaxed);
            tracing::error!(%error, "an upgrade can not begin: there is no thread for it");
        }
    }

    fn run(&self, why: &str) -> Result<Still, String> {
        if self.estate.engine.drain.deadline().is_some() {
            return Err("this program is draining, and will end".to_owned());
        }
        let program = self.program.as_ref().map_err(|error| format!("its file is not known: {error}"))?;
        let (passage, end) =
            Passage::pair().map_err(|error| format!("there is no socket for it: {error}"))?;
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1)).env(ENVIRONMENT, OsString::from(end.as_raw_fd().to_string()));
        // Its watchdog is this one's, which goes by the process.
        command.env_remove("WATCHDOG_PID").stdin(Stdio::null());
        let mut heir =
            command.spawn().map_err(|error| format!("{} can not be started: {error}", program.display()))?;
        drop(end);
        tracing::info!(
            pid = heir.id(),
            "an upgrade begins ({why}): another process of this program is started"
        );
        let mut still = Still::default();
        let handed_over = self.hand_over(&passage, &heir, &mut still);
        handed_over.map_err(|error| {
            drop(passage);
            // Before anything moves here again: one that is late may serve already.
            let has_said_no = error.kind() == io::ErrorKind::UnexpectedEof;
            let patience = if has_said_no { SAYS_NO_WITHIN } else { Duration::ZERO };
            format!("process {}: {error}{}", heir.id(), end_of(&mut heir, patience))
        })?;
        Ok(still)
    }

    fn hand_over(&self, passage: &Passage, heir: &Child, still: &mut Still) -> io::Result<()> {
        self.greet(passage)?;
        expect(passage, STARTS_WITHIN, |word| matches!(word, Word::Ready).then_some(()))?;
        let Estate { engine, .. } = &self.estate;
        let (began, too_busy) =
            (clock::now(), || io::Error::other("this program is too busy to stand still"));
        // Who watches the past is sent nothing meanwhile; no disk that hangs keeps an upgrade from being made.
        let storage = engine.archive.as_ref().map(|archive| archive.queue());
        still.extend(storage.and_then(|queue| Hold::of(queue, STORAGE_STANDS_WITHIN)));
        for queue in [&engine.control, &engine.media] {
            still.push(Hold::of(queue, STANDS_WITHIN).ok_or_else(too_busy)?);
        }
        let removal = engine.server.pack();
        let sessions = removal.household.sessions();
        let descriptors: Vec<_> = removal.descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
        let viewers = Word::Viewers { household: removal.household, descriptors: descriptors.len() };
        say(passage, &viewers, &[], HEARS_WITHIN)?;
        hand(passage, &descriptors, HEARS_WITHIN)?;
        let lost = expect(passage, TAKES_WITHIN, |word| match word {
            Word::Taken { lost } => Some(*lost),
            _ => None,
        })?;
        // Whoever supervises is not to take this end for one. Nothing else can be done where it does not hear.
        let _ = sd_notify::notify(&[NotifyState::MainPid(heir.id())]);
        let gone = removal.left_behind + lost.sessions;
        let stood_ms = began.elapsed().as_millis() as u64;
        tracing::info!(pid = heir.id(), sessions, gone, stood_ms, "handed over; this process ends");
        Ok(())
    }

    fn greet(&self, passage: &Passage) -> io::Result<()> {
        let Estate { engine, doors, admin: (admin, socket) } = &self.estate;
        let listens = doors.sockets();
        let descriptors: Vec<BorrowedFd<'_>> =
            [socket.as_fd()].into_iter().chain(listens.iter().map(|(_, socket)| socket.as_fd())).collect();
        let now = clock::now();
        let is_kept = |name: &str| engine.archive.as_ref().is_some_and(|archive| archive.keeps(name));
        let is_watched = |name: &str| engine.server.channel_sessions(name).0 > 0 || is_kept(name);
        let watched = engine.catalogue.channels().into_iter().filter(|channel| is_watched(&channel.name));
        let watched = watched.map(|channel| {
            let flows = channel.tracks.iter().any(|track| track.rtp.ring().newest(now, FLOWS).is_some());
            Watched { name: channel.name.clone(), flows }
        });
        let listens = listens.iter().map(|(place, _)| *place).collect();
        let announced = engine.hearing.as_ref().map(|hearing| hearing.kept()).unwrap_or_default();
        let hello = Word::Hello { form: FORM, admin: *admin, listens, watched: watched.collect(), announced };
        say(passage, &hello, &descriptors, HEARS_WITHIN)
    }
}

/// The heir's next word, which is to be that.
fn expect<T>(passage: &Passage, patience: Duration, wanted: impl Fn(&Word) -> Option<T>) -> io::Result<T> {
    let (word, _) = hear(passage, patience)?;
    wanted(&word).ok_or_else(|| out_of_turn(&word))
}

/// Ends an heir that does not take over, and tells how it ended.
fn end_of(heir: &mut Child, patience: Duration) -> String {
    // Its exit code tells why.
    let began = clock::now();
    loop {
        match heir.try_wait() {
            Ok(Some(status)) => return format!(" ({status}; its own log says why)"),
            Ok(None) if began.elapsed() < patience => thread::sleep(LOOK),
            Ok(None) | Err(_) => break,
        }
    }
    let _ = heir.kill();
    let _ = heir.wait();
    " (it was ended)".to_owned()
}
