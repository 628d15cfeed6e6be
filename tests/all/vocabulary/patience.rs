//! Waiting for what must come, with a deadline. Nothing here waits longer than it has to.

use std::io::Write;
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;

/// How long anything may take that takes milliseconds on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match watch(PATIENCE, look) {
        Some(seen) => seen,
        None => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Whether something comes to pass within `patience`.
pub fn passes(patience: Duration, mut look: impl FnMut() -> bool) -> bool {
    watch(patience, || look().then_some(())).is_some()
}

fn watch<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = clock::now() + patience;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if clock::now() > deadline {
            return None;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// Whether the stories are told at full length (`CI=true`), and a missing program is a failure.
pub fn is_thorough() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Says something that is to be seen even when all is well.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
