//! The room that there is for connections. Who has asked for nothing yet makes way for who comes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::event::lock;

/// For so many at a time.
pub(super) struct Room {
    places: usize,
    permits: Arc<Semaphore>,
    made_way: AtomicU64,
    guests: Mutex<VecDeque<(Arc<Guest>, AbortHandle)>>,
}

/// A connection, as long as it takes room.
pub(super) struct Guest {
    has_asked: AtomicBool,
    is_streaming: AtomicBool,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Room {
    pub fn new(places: usize) -> Self {
        let (made_way, guests) = Default::default();
        Self { places, permits: Arc::new(Semaphore::new(places)), made_way, guests }
    }

    /// A place for one more. Where there is none, who has waited longest without asking is closed; where all have asked, it waits
    /// until one is done.
    pub async fn take(&self) -> Arc<Guest> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.make_way();
                self.permits.clone().acquire_owned().await.ok()
            }
        };
        let (has_asked, is_streaming) = Default::default();
        Arc::new(Guest { has_asked, is_streaming, permit: Mutex::new(permit) })
    }

    /// A guest is served by a task.
    pub fn seat(&self, guest: Arc<Guest>, task: AbortHandle) {
        let mut guests = lock(&self.guests);
        guests.retain(|(_, task)| !task.is_finished());
        guests.push_back((guest, task));
    }

    /// Until all are done who are no streams.
    pub async fn empty(&self) {
        let _ = self.permits.acquire_many(u32::try_from(self.places).unwrap_or(u32::MAX)).await;
    }

    /// How many are in, how many may be, and how many have made way.
    pub fn figures(&self) -> (usize, usize, u64) {
        let taken = self.places.saturating_sub(self.permits.available_permits());
        (taken, self.places, self.made_way.load(Relaxed))
    }

    fn make_way(&self) {
        let mut guests = lock(&self.guests);
        guests.retain(|(_, task)| !task.is_finished());
        let idle = guests.iter().position(|(guest, _)| !guest.has_asked.load(Relaxed));
        if let Some((_, task)) = idle.and_then(|place| guests.remove(place)) {
            task.abort();
            self.made_way.fetch_add(1, Relaxed);
        }
    }
}

impl Guest {
    /// It has asked for something, and is answered.
    pub fn ask(&self) {
        self.has_asked.store(true, Relaxed);
    }

    /// Its answer has no end: it takes no room from those who come and go.
    pub fn stream(&self) {
        self.is_streaming.store(true, Relaxed);
        lock(&self.permit).take();
    }

    pub fn is_streaming(&self) -> bool {
        self.is_streaming.load(Relaxed)
    }
}
