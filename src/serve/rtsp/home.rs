//! Where a session belongs: to the connection that asked for it last, or, once its client has closed that, to none for a
//! while. Connections that asked before stand for it as long as they are open.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::super::stream::Output;

/// Connections that are known to have asked for a session before.
const BEFORE: usize = 4;

/// A connection, as its sessions know it.
#[derive(Default)]
pub struct Home {
    /// What leaves by it; absent where there is no socket.
    pub output: Option<Arc<Output>>,
    sessions: AtomicUsize,
    closed: Closed,
}

/// When a connection was closed.
type Closed = Arc<OnceLock<Instant>>;

/// A session's place at a connection, for as long as this lives.
pub struct Stay(Arc<Home>);

/// Where a session is, and where it was.
pub struct Whereabouts {
    place: Place,
    /// Of connections that had asked for it before, the latest last.
    before: Vec<Closed>,
}

enum Place {
    At(Stay),
    /// Its connection was closed then, and none has asked for it since.
    Left(Instant),
}

impl Home {
    pub fn of(output: Arc<Output>) -> Arc<Self> {
        Arc::new(Self { output: Some(output), ..Self::default() })
    }

    /// It is closed.
    pub fn close(&self, now: Instant) {
        let _ = self.closed.set(now); // once
    }

    /// Whether no session belongs to it.
    pub fn is_empty(&self) -> bool {
        self.sessions.load(Relaxed) == 0
    }
}

impl Whereabouts {
    pub fn at(home: &Arc<Home>) -> Self {
        Self { place: Place::at(home), before: Vec::new() }
    }

    /// A connection has asked for it.
    pub fn move_to(&mut self, home: &Arc<Home>) {
        if let Place::At(Stay(own)) = &self.place {
            self.before.push(own.closed.clone());
        }
        self.before.retain(|closed| closed.get().is_none() && !Arc::ptr_eq(closed, &home.closed));
        let too_many = self.before.len().saturating_sub(BEFORE);
        self.before.drain(..too_many);
        self.place = Place::at(home);
    }

    /// Its connection was closed.
    pub fn leave(&mut self, now: Instant) {
        self.place = Place::Left(now);
    }

    pub fn home(&self) -> Option<&Arc<Home>> {
        match &self.place {
            Place::At(Stay(home)) => Some(home),
            Place::Left(_) => None,
        }
    }

    pub fn is_at(&self, home: &Arc<Home>) -> bool {
        self.home().is_some_and(|own| Arc::ptr_eq(own, home))
    }

    /// When the last of its connections was closed, if they all are.
    pub fn left_at(&self) -> Option<Instant> {
        let Place::Left(at) = &self.place else { return None };
        self.before.iter().try_fold(*at, |last, closed| Some(last.max(*closed.get()?)))
    }
}

impl Place {
    fn at(home: &Arc<Home>) -> Self {
        home.sessions.fetch_add(1, Relaxed);
        Self::At(Stay(home.clone()))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::time::Duration;

    #[test]
    fn whoever_asked_before_stands_for_it_until_the_last_is_closed() {
        let homes: Vec<_> = (0..BEFORE + 2).map(|_| Arc::<Home>::default()).collect();
        let began = clock::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut whereabouts = Whereabouts::at(&homes[0]);
        homes.iter().chain(&homes).for_each(|home| whereabouts.move_to(home));
        assert_eq!(whereabouts.before.len(), BEFORE, "so many are known");
        assert!(homes[..BEFORE + 1].iter().all(|home| home.is_empty()));
        homes[BEFORE + 1].close(at(1));
        whereabouts.leave(at(1));
        assert!(whereabouts.home().is_none());
        for (second, home) in (2..).zip(&homes[1..=BEFORE]) {
            assert_eq!(whereabouts.left_at(), None);
            home.close(at(second));
        }
        assert_eq!(whereabouts.left_at(), Some(at(5)));
        whereabouts.move_to(&homes[0]);
        assert_eq!(
            (whereabouts.left_at(), whereabouts.before.len()),
            (None, 0),
            "those that are closed are forgotten"
        );
    }
}
