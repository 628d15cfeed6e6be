//! Whether the parts move: asked each second; told to systemd, if that started the program, and judged by
//! main, which ends a program that stands still so that it is started again.
//!
//! Who asks may itself be held up by what stands still. So asking is a thread of its own, and main goes by what it
//! has said last.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sd_notify::NotifyState;

use crate::event::{Priority, Standstill, lock, spawn};

use super::admin::AdminSource;

/// From one question to the next.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// From one look of main at the answers to the next.
pub const LOOK: Duration = Duration::from_millis(250);
/// For how long the parts may stand still.
const PATIENCE: Duration = Duration::from_secs(10);
/// What systemd has to take the word that the program stops.
const GOODBYE: Duration = Duration::from_millis(200);
/// Signs of life in the time that systemd's watchdog waits for one.
const SIGNS: u32 = 4;

/// The thread that asks.
pub struct Watch {
    pulse: Arc<Pulse>,
    stop: Sender<()>,
    stopped: Receiver<()>,
}

/// What was answered.
#[derive(Default)]
struct Pulse {
    beats: AtomicU64,
    stands: Mutex<Option<Standstill>>,
}

/// What main makes of it.
#[derive(Debug, Default)]
pub struct Judge {
    beats: u64,
    looked_at: Option<Instant>,
    still: Duration,
}

impl Watch {
    /// Tells systemd that the program is ready, and watches from then on.
    ///
    /// # Errors
    /// The thread can not be started.
    pub fn start(source: Arc<dyn AdminSource>) -> io::Result<Self> {
        let watchdog = sd_notify::watchdog_enabled();
        Self::start_with(source, interval(watchdog), move |state| match state {
            NotifyState::Watchdog if watchdog.is_none() => Ok(()),
            _ => sd_notify::notify(&[state]),
        })
    }

    fn start_with(
        source: Arc<dyn AdminSource>,
        interval: Duration,
        notify: impl Fn(NotifyState<'_>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let pulse = Arc::<Pulse>::default();
        let (stop, stopping) = bounded::<()>(0);
        let (ended, stopped) = bounded(1);
        let beating = pulse.clone();
        spawn("watch".to_owned(), Priority::Usual, move || {
            tell(&notify, NotifyState::Ready);
            while let Err(RecvTimeoutError::Timeout) = stopping.recv_timeout(interval) {
                if beating.ask(&*source) {
                    // A sign of life that is lost is followed by others.
                    let _ = notify(NotifyState::Watchdog);
                }
            }
            tell(&notify, NotifyState::Stopping);
            drop(source);
            let _ = ended.send(());
        })?;
        Ok(Self { pulse, stop, stopped })
    }

    /// What to say of a program that stands still, once it has for too long, or for good.
    pub fn verdict(&self, judge: &mut Judge, now: Instant) -> Option<String> {
        let too_long = judge.look(self.pulse.beats.load(Relaxed), now);
        let stands = lock(&self.pulse.stands).clone();
        if !too_long && !stands.as_ref().is_some_and(|stands| stands.for_good) {
            return None;
        }
        Some(
            stands.map_or_else(|| "standing still: whoever is asked".to_owned(), |stands| stands.to_string()),
        )
    }

    /// Tells systemd that the program stops, and ends the thread, without waiting long for either.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.stopped.recv_timeout(GOODBYE);
    }
}

impl Pulse {
    /// Whether everything moves.
    fn ask(&self, source: &dyn AdminSource) -> bool {
        let stands = source.live().err();
        let moves = stands.is_none();
        if moves {
            self.beats.fetch_add(1, Relaxed);
        }
        let mut known = lock(&self.stands);
        if known.is_none()
            && let Some(reason) = &stands
        {
            tracing::error!("{reason}; if it stays so the program ends");
        }
        *known = stands;
        moves
    }
}

impl Judge {
    /// Whether there was no beat for too long. Only time that main itself was running counts: whoever was stopped or
    /// frozen with all the rest is given time to go on.
    fn look(&mut self, beats: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.looked_at.unwrap_or(now)).min(2 * ASK_EVERY);
        self.still = if beats == self.beats { self.still + passed } else { Duration::ZERO };
        (self.beats, self.looked_at) = (beats, Some(now));
        self.still >= PATIENCE
    }
}

fn interval(watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(ASK_EVERY, |watchdog| (watchdog / SIGNS).clamp(Duration::from_millis(1), ASK_EVERY))
}

fn tell(notify: &impl Fn(NotifyState<'_>) -> io::Result<()>, state: NotifyState<'_>) {
    if let Err(error) = notify(state.clone()) {
        tracing::warn!(%error, %state, "systemd can not be told; see NOTIFY_SOCKET");
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::metrics::{Accepts, Exposition};
    use super::*;
    use crate::event::clock;
    use crate::serve::Previews;
    use crossbeam_channel::unbounded;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    /// Whether it moves, and whether it ever will again.
    struct Source(AtomicBool, AtomicBool);

    impl AdminSource for Source {
        fn metrics(&self, _: Accepts) -> Exposition {
            Exposition { bytes: Vec::new(), content_type: "text/plain", encoding: None }
        }

        fn ready(&self) -> Result<String, String> {
            Ok(String::new())
        }

        fn live(&self) -> Result<(), Standstill> {
            let stands = Standstill { what: "poll-media-3".to_owned(), for_good: self.1.load(Relaxed) };
            if self.0.load(Relaxed) { Ok(()) } else { Err(stands) }
        }

        fn previews(&self) -> Arc<Previews> {
            Arc::new(Previews::new(Arc::default(), 0))
        }

        fn give_up(&self, _: &str) {
            self.1.store(true, Relaxed);
        }
    }

    #[test]
    fn a_sign_of_life_is_given_while_all_moves_and_not_while_something_stands_still() {
        const OFTEN: Duration = Duration::from_millis(2);
        let patience = Duration::from_secs(20);
        let source = Arc::new(Source(AtomicBool::new(true), AtomicBool::new(false)));
        let (sender, told) = unbounded();
        let watch = Watch::start_with(source.clone(), OFTEN, move |state| {
            sender.send(state.to_string()).map_err(io::Error::other)
        })
        .expect("a thread");
        let next = || told.recv_timeout(patience).expect("told");
        assert_eq!([next(), next(), next()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
        source.0.store(false, Relaxed);
        let deadline = clock::now() + patience;
        while lock(&watch.pulse.stands).is_none() {
            assert!(clock::now() < deadline, "it is noticed");
            thread::yield_now();
        }
        while told.try_recv().is_ok() {}
        told.recv_timeout(20 * OFTEN).expect_err("no sign of life while something stands still");
        let (mut judge, began) = (Judge::default(), clock::now());
        let mut verdicts = (0..=10).map(|second| watch.verdict(&mut judge, began + second * ASK_EVERY));
        // The first look sees the beats of before; ten seconds after it is ten seconds without one.
        assert!(verdicts.by_ref().take(10).all(|verdict| verdict.is_none()));
        assert_eq!(verdicts.next().flatten().as_deref(), Some("standing still: poll-media-3"));
        source.0.store(true, Relaxed);
        assert_eq!(next(), "WATCHDOG=1");
        source.give_up("for good");
        source.0.store(false, Relaxed);
        let verdict = || watch.verdict(&mut Judge::default(), clock::now());
        while verdict().is_none() {
            assert!(clock::now() < deadline + patience, "what is given up ends the program at once");
            thread::yield_now();
        }
        watch.stop();
        assert_eq!(told.iter().last().as_deref(), Some("STOPPING=1"));
    }

    #[test]
    fn a_machine_that_was_frozen_is_no_program_that_stands_still() {
        let (mut judge, began) = (Judge::default(), clock::now());
        assert!(!judge.look(5, began));
        assert!(!judge.look(5, began + Duration::from_secs(3600)));
        assert!(!judge.look(6, began + Duration::from_secs(3601)));
        let thawed = began + Duration::from_secs(3601);
        assert!((1..10).all(|second| !judge.look(6, thawed + second * ASK_EVERY)));
        assert!(judge.look(6, thawed + 10 * ASK_EVERY));
    }

    #[test]
    fn the_unit_waits_for_what_is_said_and_for_longer_than_main_does() {
        let unit = include_str!("../../../deploy/mirrorball.service");
        let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        assert_eq!(value("Type"), Some("notify"));
        assert_eq!(value("Restart"), Some("on-failure"), "which an exit with 1 is");
        let watchdog = value("WatchdogSec").and_then(|value| value.strip_suffix('s')?.parse().ok());
        let watchdog = Duration::from_secs(watchdog.expect("whole seconds"));
        assert!(watchdog > PATIENCE + 2 * ASK_EVERY, "a program that can, ends by itself, and says why");
    }

    #[test]
    fn systemd_hears_more_than_twice_in_the_time_that_its_watchdog_waits() {
        assert_eq!(interval(None), ASK_EVERY);
        assert_eq!(interval(Some(Duration::from_secs(30))), ASK_EVERY);
        assert_eq!(interval(Some(Duration::from_millis(200))), Duration::from_millis(50));
    }
}
