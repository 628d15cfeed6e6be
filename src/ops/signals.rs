//! SIGINT and SIGTERM: the first asks the program to stop, a second one ends it at once.

use std::io;
use std::process;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::cli::EXIT_FAILURE;

/// Receives once when the program is asked to stop.
pub fn stop_requests() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, receiver) = bounded(1);
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if sender.try_send(()).is_err() {
                tracing::warn!("asked to stop a second time: ending at once");
                process::exit(i32::from(EXIT_FAILURE));
            }
        }
    })?;
    Ok(receiver)
}
