//! The terminal: keys, signals and answers come in, the screen goes out, and at the end it is as it was.

use std::io;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyEvent, KeyEventKind};
use ratatui::{DefaultTerminal, try_init, try_restore};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::Client;
use super::press::Wish;
use super::run::{Order, Outcome, ask_on};
use super::state::State;
use super::view::draw;

/// What may wait: keys of somebody who is fast, an answer.
const WAITING: usize = 64;

enum Event {
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// There will be no more keys, and why.
    NoKeys(io::Error),
    Came(Outcome),
    Stop,
}

/// Shows it until somebody leaves, or a signal asks for it.
///
/// # Errors
/// What is wrong with the terminal.
pub fn run(client: Client, has_colours: bool) -> Result<(), String> {
    let (sender, events) = bounded(WAITING);
    let (order, orders) = bounded(WAITING);
    let no_thread = |error: io::Error| format!("a thread can not start: {error}");
    let mut state = State::new(client.endpoint().to_string(), has_colours);
    heed_signals(sender.clone()).map_err(no_thread)?;
    // From here on a panic gives the terminal back before it is told of.
    let terminal = try_init().map_err(|error| {
        give_back();
        format!("the terminal can not be used: {error}; --once prints text")
    })?;
    let result = read_keys(sender.clone())
        .and_then(|()| ask_on(client, orders, sender, Event::Came))
        .map_err(no_thread)
        .and_then(|()| show(terminal, &mut state, &events, &order));
    give_back();
    result
}

/// As it was. One that is gone needs nothing more.
fn give_back() {
    let _ = try_restore();
}

fn show(
    mut terminal: DefaultTerminal,
    state: &mut State,
    events: &Receiver<Event>,
    order: &Sender<Order>,
) -> Result<(), String> {
    let lost = |error: io::Error| format!("the terminal is lost: {error}");
    loop {
        terminal.draw(|frame| draw(frame, state)).map_err(lost)?;
        let Ok(event) = events.recv() else { return Ok(()) };
        let wanted = state.wanted();
        match event {
            Event::Key(key) => match state.press(key) {
                Some(Wish::Quit) => return Ok(()),
                Some(Wish::End(session)) if order.try_send(Order::End(session)).is_err() => {
                    state.said = format!("Session {session} goes on: the program does not answer.");
                }
                Some(Wish::End(_)) | None => {}
            },
            Event::Resized => {}
            Event::NoKeys(error) => return Err(lost(error)),
            Event::Came(Outcome::Told(to, Ok(answer), is_a_second_later)) => {
                // What was asked before something else was chosen is not shown as that.
                match to == wanted {
                    true => state.take(&answer, is_a_second_later),
                    false => drop(order.try_send(Order::Ask(wanted.clone()))),
                }
            }
            Event::Came(Outcome::Told(_, Err(why), _)) => state.lose(why),
            Event::Came(Outcome::Ended(session, Ok(()))) => {
                state.said = format!("Session {session} is ended.")
            }
            Event::Came(Outcome::Ended(session, Err(why))) => {
                state.said = format!("Session {session} goes on: {why}");
            }
            Event::Stop => return Ok(()),
        }
        if state.wanted() != wanted {
            // Where so many wait, what comes of the last of them asks for it.
            let _ = order.try_send(Order::Ask(state.wanted()));
        }
    }
}

fn read_keys(to: Sender<Event>) -> io::Result<()> {
    let reading = move || {
        loop {
            let event = match event::read() {
                Ok(TerminalEvent::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key),
                Ok(TerminalEvent::Resize(..)) => Event::Resized,
                Ok(_) => continue,
                Err(error) => Event::NoKeys(error),
            };
            let is_last = matches!(event, Event::NoKeys(_));
            if to.send(event).is_err() || is_last {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".into()).spawn(reading).map(drop)
}

/// The first signal asks; a second one, where the terminal takes nothing any more, ends.
fn heed_signals(to: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let heeding = move || {
        for (before, signal) in signals.forever().enumerate() {
            if before > 0 || to.try_send(Event::Stop).is_err() {
                give_back();
                let _ = emulate_default_handler(signal);
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(heeding).map(drop)
}
