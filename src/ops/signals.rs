//! SIGINT and SIGTERM: the first asks the program to stop, a second one ends it at once.

use std::io;
use std::process;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::cli::EXIT_FAILURE;

/// Receives once when the program is asked to stop.
pub fn stop_requests() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, receiver) = bounded(1);
    thread::Builder::new().name("signals".into()).spawn(move || {
        obey(signals.forever(), &sender, || process::exit(i32::from(EXIT_FAILURE)));
    })?;
    Ok(receiver)
}

/// The first signal asks, whoever hears it and however soon; each that follows ends.
fn obey(signals: impl Iterator, asked: &Sender<()>, end: impl Fn()) {
    for (before, _) in signals.enumerate() {
        if before == 0 {
            let _ = asked.try_send(()); // there is room for one, and nobody who listens is as good
        } else {
            tracing::warn!("asked to stop a second time: ending at once");
            end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_second_signal_ends_the_program_though_the_first_was_heard() {
        let (sender, receiver) = bounded(1);
        let ended = Cell::new(0);
        let heard_each = [1, 2].into_iter().inspect(|signal| {
            if *signal == 2 {
                receiver.try_recv().expect("the first asks");
            }
        });
        obey(heard_each, &sender, || ended.set(ended.get() + 1));
        assert_eq!(ended.get(), 1);
        assert!(receiver.try_recv().is_err(), "one request to stop is enough");
    }
}
