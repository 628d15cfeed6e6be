//! What is known and chosen: answers and keys change it, and nothing else. Knows no terminal and no HTTP.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::Value;

use super::picker::Picker;
use super::told::{self, Channel, Session, Status};

/// Rates that are remembered of a channel, one for each second.
pub const MINUTE: usize = 60;

/// Which sessions are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of this channel.
    pub channel: Option<String>,
    /// Whose address begins so.
    pub client: Option<String>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: Value,
    pub channels: Value,
    pub sessions: Value,
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Channels,
    Sessions,
    Parts,
}

impl Pane {
    /// In the order of Tab.
    pub const ALL: [Self; 3] = [Self::Channels, Self::Sessions, Self::Parts];
}

/// What keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Looking on.
    Watching,
    /// Typing what rows have to hold.
    Filtering,
    /// Whether this session, of this client, is to end.
    Ending(u64, String),
    /// Reading what keys mean.
    Help,
}

/// How rows are sorted: by the most of it, and as they were told where it is the same.
type By<T> = (&'static str, fn(&T) -> u64);

const CHANNELS_BY: [By<Channel>; 4] = [
    ("name", |_| 0),
    ("rate", |channel| channel.rate),
    ("lost", |channel| channel.lost),
    ("viewers", Channel::audience),
];

const SESSIONS_BY: [By<Session>; 6] = [
    ("number", |_| 0),
    ("missed", |session| session.missed.unwrap_or_default()),
    ("behind", |session| session.behind.unwrap_or_default()),
    ("lost", |session| session.lost.unwrap_or_default()),
    ("jitter", |session| session.jitter_ms.map_or(0, |jitter| (jitter * 1000.0) as u64)),
    ("time", |session| session.seconds as u64),
];

/// All that the screen shows.
pub struct State {
    /// Where it comes from.
    pub url: String,
    /// Colours are wanted.
    pub has_colours: bool,
    /// None before the first answer.
    pub status: Option<Status>,
    pub channels: Vec<Channel>,
    pub sessions: Vec<Session>,
    /// Sessions that there are, of which those are a page.
    pub matching: u64,
    /// Why nothing is answered any more.
    pub away: Option<String>,
    pub pane: Pane,
    pub mode: Mode,
    /// What came of the last wish.
    pub said: String,
    /// The channel whose sessions are shown, or all.
    pub of: Option<String>,
    pub filters: [String; 3],
    sorts: [usize; 3],
    pub channel: Picker<String>,
    pub session: Picker<u64>,
    pub part: Picker<usize>,
}

impl State {
    /// Before the first answer.
    pub fn new(url: String, has_colours: bool) -> Self {
        Self {
            url,
            has_colours,
            status: None,
            channels: Vec::new(),
            sessions: Vec::new(),
            matching: 0,
            away: None,
            pane: Pane::Channels,
            mode: Mode::Watching,
            said: String::new(),
            of: None,
            filters: Default::default(),
            sorts: [0; 3],
            channel: Picker::default(),
            session: Picker::default(),
            part: Picker::default(),
        }
    }

    /// Takes what was answered to what is wanted. A second has passed since the last, or it came between two of them.
    pub fn take(&mut self, answer: &Answer, is_a_second_later: bool) {
        let mut minutes: HashMap<_, _> =
            self.channels.drain(..).map(|channel| (channel.name, channel.minute)).collect();
        self.channels = told::channels(&answer.channels);
        for channel in &mut self.channels {
            channel.minute = minutes.remove(&channel.name).unwrap_or_default();
            if is_a_second_later {
                if channel.minute.len() == MINUTE {
                    channel.minute.pop_front();
                }
                channel.minute.push_back(channel.rate);
            }
        }
        (self.sessions, self.matching) = told::sessions(&answer.sessions);
        self.status = Some(told::status(&answer.status));
        self.away = None;
        self.settle();
    }

    /// Nothing is answered, and why.
    pub fn lose(&mut self, why: String) {
        self.away = Some(why);
    }

    /// Which sessions are wanted now.
    pub fn wanted(&self) -> Wanted {
        let filter = self.filter(Pane::Sessions);
        let is_address = filter.contains(['.', ':'])
            && filter.chars().all(|c| c.is_ascii_hexdigit() || c == '.' || c == ':');
        Wanted { channel: self.of.clone(), client: is_address.then(|| filter.to_owned()) }
    }

    /// What rows of a table have to hold.
    pub fn filter(&self, pane: Pane) -> &str {
        &self.filters[pane as usize]
    }

    /// What a table is sorted by.
    pub fn sorted_by(&self, pane: Pane) -> Option<&'static str> {
        let by = self.sorts[pane as usize];
        match pane {
            Pane::Channels => Some(CHANNELS_BY[by].0),
            Pane::Sessions => Some(SESSIONS_BY[by].0),
            Pane::Parts => None,
        }
    }

    /// Sorts the table by something else.
    pub fn sort(&mut self) {
        let ways = match self.pane {
            Pane::Channels => CHANNELS_BY.len(),
            Pane::Sessions => SESSIONS_BY.len(),
            Pane::Parts => 1,
        };
        let by = &mut self.sorts[self.pane as usize];
        *by = (*by + 1) % ways;
    }

    /// The channels as they are shown.
    pub fn shown_channels(&self) -> Vec<&Channel> {
        let filter = self.filter(Pane::Channels).to_lowercase();
        let holds = |channel: &&Channel| {
            channel.name.to_lowercase().contains(&filter) || channel.state.contains(&filter)
        };
        sorted(self.channels.iter().filter(holds).collect(), &CHANNELS_BY, self.sorts[0])
    }

    /// The sessions as they are shown.
    pub fn shown_sessions(&self) -> Vec<&Session> {
        let filter = self.filter(Pane::Sessions).to_lowercase();
        let holds = |session: &&Session| {
            let Session { number, client, channel, by, agent, .. } = session;
            let texts = [client, channel, by, agent];
            texts.into_iter().any(|text| text.to_lowercase().contains(&filter))
                || number.to_string() == filter
        };
        sorted(self.sessions.iter().filter(holds).collect(), &SESSIONS_BY, self.sorts[1])
    }

    /// What rows are told from each other by.
    pub fn channel_names(&self) -> Vec<String> {
        self.shown_channels().iter().map(|channel| channel.name.clone()).collect()
    }

    /// The same of sessions.
    pub fn session_numbers(&self) -> Vec<u64> {
        self.shown_sessions().iter().map(|session| session.number).collect()
    }

    /// The same of limits, tables and queues.
    pub fn part_places(&self) -> Vec<usize> {
        (0..self.status.as_ref().map_or(0, |status| status.parts.len())).collect()
    }

    /// The rows are others now.
    pub fn settle(&mut self) {
        let (channels, sessions, parts) = (self.channel_names(), self.session_numbers(), self.part_places());
        self.channel.settle(&channels);
        self.session.settle(&sessions);
        self.part.settle(&parts);
    }
}

fn sorted<'r, T>(mut rows: Vec<&'r T>, ways: &[By<T>], way: usize) -> Vec<&'r T> {
    rows.sort_by_key(|row| Reverse(ways[way].1(row)));
    rows
}
