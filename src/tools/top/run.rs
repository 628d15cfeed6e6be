//! Asking: once, or each second by a thread of its own.

use std::io;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::event::clock;

use super::Client;
use super::plain::snapshot;
use super::state::{Answer, State, Wanted};

/// Between two questions.
const EACH: Duration = Duration::from_secs(1);

/// What is to be asked.
#[derive(Debug)]
pub enum Order {
    /// For these sessions, from now on.
    Ask(Wanted),
    /// For the end of one.
    End(u64),
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// An answer to this, or none; a second has passed since the last, or less.
    Told(Wanted, Result<Answer, String>, bool),
    /// That session has ended, or has not.
    Ended(u64, Result<(), String>),
}

/// What there is to show, as text.
///
/// # Errors
/// Why there is none.
pub fn once(client: &Client) -> Result<String, String> {
    let mut state = State::new(client.endpoint().to_string(), false);
    let answer = client.ask(&state.wanted()).map_err(|why| format!("{}: {why}", client.endpoint()))?;
    state.take(&answer, true);
    Ok(snapshot(&state))
}

/// Asks each second, and at once for what is ordered, until nobody orders or listens any more.
pub fn ask_on<E: Send + 'static>(
    client: Client,
    orders: Receiver<Order>,
    told: Sender<E>,
    event: fn(Outcome) -> E,
) -> io::Result<()> {
    let asking = move || {
        let (mut wanted, mut due, mut is_other) = (Wanted::default(), clock::now(), false);
        loop {
            // Of many orders that wait, the last is asked for.
            let outcome = match orders.recv_deadline(if is_other { clock::now() } else { due }) {
                Ok(Order::End(session)) => Outcome::Ended(session, client.end(session)),
                Ok(Order::Ask(other)) => {
                    (wanted, is_other) = (other, true);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let is_due = due <= clock::now();
                    let answer = client.ask(&wanted);
                    if is_due {
                        // No burst after one that took long.
                        due = (due + EACH).max(clock::now());
                    }
                    is_other = false;
                    Outcome::Told(wanted.clone(), answer, is_due)
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if told.send(event(outcome)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("asks".into()).spawn(asking).map(drop)
}
