//! Who watches now, for operators: each session as the log would tell it; and who was refused lately.

use std::time::Duration;

use super::journal::{SoFar, TurnedAway};
use super::rtsp::{Course, Session, WatchedTrack};
use super::rtsp_server::RtspServer;
use super::stats::OPERATOR;
use crate::event::clock;

/// One session.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// What the log tells of it.
    pub told: SoFar,
    /// What is watched.
    pub channel: String,
    /// Whether it plays.
    pub state: &'static str,
    /// How long ago it was set up.
    pub age: Duration,
    /// Its tracks.
    pub tracks: Vec<WatchedTrack>,
}

impl RtspServer {
    /// All sessions, by their numbers.
    pub fn watchers(&self) -> Vec<Watcher> {
        let now = clock::now();
        // What those miss who stand still is counted when it is asked for.
        let channels = self.catalogue.channels();
        channels.iter().flat_map(|channel| &channel.tracks).for_each(|track| track.rtp.count_missed());
        let mut watchers: Vec<_> =
            self.sessions.all().iter().filter_map(|session| watcher(session, now)).collect();
        watchers.sort_by_key(|watcher| watcher.told.session);
        watchers
    }

    /// Who was refused lately, by address and reason; the last first.
    pub fn turned_away(&self) -> Vec<TurnedAway> {
        self.teller.turned_away()
    }

    /// Ends the session of a number, as an operator wants it. `false`: there is none.
    pub fn disconnect(&self, number: u64) -> bool {
        let is_meant =
            |session: &Session| session.course().is_some_and(|course| course.told.session == number);
        let session = self.sessions.all().into_iter().find(|session| is_meant(session));
        session.iter().for_each(|session| self.cut(session, OPERATOR, "an operator has ended it"));
        session.is_some()
    }
}

/// `None`: it has just ended.
fn watcher(session: &Session, now: std::time::Instant) -> Option<Watcher> {
    let Course { told, state, tracks } = session.course()?;
    let age = now.saturating_duration_since(session.epoch);
    Some(Watcher { told, channel: session.channel.name.clone(), state, age, tracks })
}
