//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Mode, Pane, State};

/// Rows of a page.
const PAGE: isize = 10;
/// What a filter holds at most.
const FILTER_CHARACTERS: usize = 64;

/// What is to be done that no state does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To leave.
    Quit,
    /// To end a session.
    End(u64),
}

impl State {
    /// A key is pressed.
    pub fn press(&mut self, key: KeyEvent) -> Option<Wish> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && key.code == KeyCode::Char('c') {
            return Some(Wish::Quit);
        }
        if is_control || key.modifiers.contains(KeyModifiers::ALT) {
            return None;
        }
        self.said.clear();
        match self.mode.clone() {
            Mode::Watching => return self.watch(key.code),
            Mode::Filtering => self.type_filter(key.code),
            Mode::Help => self.mode = Mode::Watching,
            Mode::Ending(number, _) => {
                self.mode = Mode::Watching;
                if key.code == KeyCode::Char('y') {
                    self.said = format!("Session {number} is being ended …");
                    return Some(Wish::End(number));
                }
            }
        }
        None
    }

    fn watch(&mut self, key: KeyCode) -> Option<Wish> {
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Wish::Quit),
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filtering,
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(Pane::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(PAGE),
            KeyCode::PageUp => self.step(-PAGE),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::Char('s') => {
                self.sort();
                self.settle();
            }
            KeyCode::Enter if self.pane == Pane::Channels => {
                if let Some(name) = self.channel.chosen(&self.channel_names()) {
                    self.watch_sessions_of(Some(name));
                }
            }
            KeyCode::Char('a') => self.watch_sessions_of(None),
            KeyCode::Char('d') if self.pane == Pane::Sessions => self.ask_to_end(),
            KeyCode::Char('d') => self.said = "Tab leads to the sessions, of which one can be ended.".into(),
            _ => {}
        }
        None
    }

    fn turn(&mut self, by: usize) {
        self.pane = Pane::ALL[(self.pane as usize + by) % Pane::ALL.len()];
    }

    fn step(&mut self, by: isize) {
        match self.pane {
            Pane::Channels => self.channel.step(&self.channel_names(), by),
            Pane::Sessions => self.session.step(&self.session_numbers(), by),
            Pane::Parts => self.part.step(&self.part_places(), by),
        }
    }

    /// Until they are answered none are shown, as those that are known are others.
    fn watch_sessions_of(&mut self, channel: Option<String>) {
        self.pane = Pane::Sessions;
        if self.of != channel {
            (self.of, self.matching) = (channel, 0);
            self.sessions.clear();
        }
    }

    fn ask_to_end(&mut self) {
        let shown = self.shown_sessions();
        let place = self.session.place(&self.session_numbers());
        if let Some(session) = place.map(|place| shown[place]) {
            self.mode = Mode::Ending(session.number, session.client.clone());
        }
    }

    fn type_filter(&mut self, key: KeyCode) {
        let filter = &mut self.filters[self.pane as usize];
        match key {
            KeyCode::Enter => self.mode = Mode::Watching,
            KeyCode::Esc => {
                filter.clear();
                self.mode = Mode::Watching;
            }
            KeyCode::Backspace => drop(filter.pop()),
            KeyCode::Char(c) if filter.chars().count() < FILTER_CHARACTERS => filter.push(c),
            _ => {}
        }
        self.settle();
    }
}
