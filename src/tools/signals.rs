//! Signals: SIGINT and SIGTERM ask the program to stop, a second one ends it at once. Who serves reads its config again at
//! SIGHUP, drains at SIGUSR1, and hands over to a new process at SIGUSR2. No other that is sent to daemons by custom ends it.

use std::io;
use std::process;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::cli::EXIT_FAILURE;
use crate::ops::log;

/// Ends a program that writes to a log file beyond `ulimit -f`; signal-hook has no name for it.
const SIGXFSZ: i32 = nix::sys::signal::Signal::SIGXFSZ as i32;
/// Wishes that wait: one more of the same would change nothing.
const WISHES: usize = 8;

/// What a program that serves is asked for, beside to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To read its config again.
    Reload,
    /// To take nobody in any more, and to stop once all have left.
    Drain,
    /// To have another process of the program take over.
    Upgrade,
}

/// What signals ask for.
pub struct Requests {
    /// Receives once when the program is asked to stop.
    pub stop: Receiver<()>,
    /// Receives what it is asked for beside that.
    pub wishes: Receiver<Wish>,
}

/// Receives once when the program is asked to stop. A terminal that closes ends it, as is the custom, unless `nohup` started it.
pub fn stop_requests() -> io::Result<Receiver<()>> {
    listen(&[SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ], None)
}

/// What a program that serves is asked for. It goes on without a terminal.
pub fn requests() -> io::Result<Requests> {
    let (wanted, wishes) = bounded(WISHES);
    let stop = listen(&[SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ], Some(wanted))?;
    Ok(Requests { stop, wishes })
}

fn listen(signals: &[i32], wishes: Option<Sender<Wish>>) -> io::Result<Receiver<()>> {
    let mut signals = Signals::new(signals)?;
    let (sender, receiver) = bounded(1);
    thread::Builder::new().name("signals".into()).spawn(move || {
        obey(signals.forever(), &sender, wishes.as_ref(), || {
            log::flush();
            process::exit(i32::from(EXIT_FAILURE));
        });
    })?;
    Ok(receiver)
}

/// The first request asks, whoever hears it and however soon; each that follows ends.
fn obey(
    signals: impl Iterator<Item = i32>,
    stop: &Sender<()>,
    wishes: Option<&Sender<Wish>>,
    end: impl Fn(),
) {
    let mut before = false;
    let wish = |wish| {
        // As many wait as there is room for, and nobody who listens is as good.
        wishes.map(|wishes| wishes.try_send(wish)).is_some()
    };
    for signal in signals {
        match signal {
            SIGINT | SIGTERM if before => {
                tracing::warn!("asked to stop a second time: ending at once");
                end();
            }
            SIGINT | SIGTERM => {
                before = true;
                let _ = stop.try_send(()); // there is room for one, and nobody who listens is as good
            }
            SIGHUP if wish(Wish::Reload) => {}
            SIGUSR1 if wish(Wish::Drain) => {}
            SIGUSR2 if wish(Wish::Upgrade) => {}
            SIGUSR1 => tracing::warn!("SIGUSR1 is ignored: it means nothing here"),
            SIGUSR2 => tracing::warn!("SIGUSR2 is ignored: it means nothing here"),
            // A line of the log that was too much: one more would be too.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_second_request_ends_the_program_though_the_first_was_heard_and_no_other_signal_counts() {
        let ((sender, receiver), (wanted, wishes)) = (bounded(1), bounded(WISHES));
        let ended = Cell::new(0);
        let others = [SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ];
        obey(others.into_iter(), &sender, Some(&wanted), || ended.set(ended.get() + 1));
        assert!(receiver.try_recv().is_err() && ended.get() == 0);
        assert_eq!(wishes.try_iter().collect::<Vec<_>>(), [Wish::Reload, Wish::Drain, Wish::Upgrade]);
        let heard_each = [SIGTERM, SIGHUP, SIGINT].into_iter().inspect(|signal| match *signal {
            SIGHUP => receiver.try_recv().expect("the first asks"),
            _ => assert_eq!(ended.get(), 0),
        });
        obey(heard_each, &sender, Some(&wanted), || ended.set(ended.get() + 1));
        assert_eq!(ended.get(), 1);
        assert!(receiver.try_recv().is_err(), "one request to stop is enough");
    }

    #[test]
    fn a_storm_of_signals_waits_for_nobody() {
        let ((sender, _receiver), (wanted, wishes)) = (bounded(1), bounded(WISHES));
        obey([SIGHUP; 1000].into_iter(), &sender, Some(&wanted), || ());
        assert_eq!(wishes.try_iter().count(), WISHES);
    }
}
