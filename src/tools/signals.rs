//! Signals: SIGINT and SIGTERM ask the program to stop, a second one ends it at once. No other that is sent to
//! daemons by custom ends it.

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

/// What a terminal that closes, or `systemctl reload`, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// Nothing: the program goes on without it.
    Ignored,
    /// What is the custom: the program ends, unless `nohup` started it.
    Usual,
}

/// Receives once when the program is asked to stop.
pub fn stop_requests(hang_up: HangUp) -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ])?;
    if hang_up == HangUp::Ignored {
        signals.add_signal(SIGHUP)?;
    }
    let (sender, receiver) = bounded(1);
    thread::Builder::new().name("signals".into()).spawn(move || {
        obey(signals.forever(), &sender, || {
            log::flush();
            process::exit(i32::from(EXIT_FAILURE));
        });
    })?;
    Ok(receiver)
}

/// The first request asks, whoever hears it and however soon; each that follows ends.
fn obey(signals: impl Iterator<Item = i32>, asked: &Sender<()>, end: impl Fn()) {
    let mut before = false;
    for signal in signals {
        match signal {
            SIGINT | SIGTERM if before => {
                tracing::warn!("asked to stop a second time: ending at once");
                end();
            }
            SIGINT | SIGTERM => {
                before = true;
                let _ = asked.try_send(()); // there is room for one, and nobody who listens is as good
            }
            SIGHUP => tracing::warn!("SIGHUP is ignored: the config is not re-read, restart to apply it"),
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
        let (sender, receiver) = bounded(1);
        let ended = Cell::new(0);
        let others = [SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ];
        obey(others.into_iter(), &sender, || ended.set(ended.get() + 1));
        assert!(receiver.try_recv().is_err() && ended.get() == 0);
        let heard_each = [SIGTERM, SIGHUP, SIGINT].into_iter().inspect(|signal| match *signal {
            SIGHUP => receiver.try_recv().expect("the first asks"),
            _ => assert_eq!(ended.get(), 0),
        });
        obey(heard_each, &sender, || ended.set(ended.get() + 1));
        assert_eq!(ended.get(), 1);
        assert!(receiver.try_recv().is_err(), "one request to stop is enough");
    }
}
