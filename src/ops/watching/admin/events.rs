//! What is going on, each second, for pages that are open: server-sent events (HTML, "Server-sent events"). It is put together once for all of
//! them, and not at all while there is none.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::super::api::Call;
use super::source::AdminSource;

/// Pages at a time.
const PAGES: usize = 32;
const EVERY: Duration = Duration::from_secs(1);

/// What all pages are told.
pub(super) struct Events {
    latest: watch::Sender<Bytes>,
    pages: Arc<AtomicUsize>,
    refused: AtomicU64,
}

/// What one page is told. Who reads slowly misses what was in between.
pub(super) struct Stream {
    next: Pin<Box<dyn Future<Output = Option<Told>> + Send + Sync>>,
    pages: Arc<AtomicUsize>,
}

/// What was told, and who is told what comes next.
type Told = (watch::Receiver<Bytes>, Bytes);

impl Events {
    pub fn new() -> Self {
        Self { latest: watch::Sender::new(Bytes::new()), pages: Arc::default(), refused: AtomicU64::new(0) }
    }

    /// Tells pages, for as long as it is polled.
    pub async fn tell(&self, source: &Arc<dyn AdminSource>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.latest.receiver_count() == 0 {
                continue;
            }
            let source = source.clone();
            let called = tokio::task::spawn_blocking(move || source.call(&Call::Overview)).await;
            if let Ok(Ok(overview)) = called {
                self.latest.send_replace(Bytes::from(format!("event: overview\ndata: {overview}\n\n")));
            }
        }
    }

    /// For one page more. `None`: there are as many as there may be.
    pub fn follow(&self) -> Option<Stream> {
        let next = |pages| (pages < PAGES).then_some(pages + 1);
        if self.pages.fetch_update(Relaxed, Relaxed, next).is_err() {
            self.refused.fetch_add(1, Relaxed);
            return None;
        }
        let mut receiver = self.latest.subscribe();
        receiver.mark_unchanged();
        Some(Stream { next: Box::pin(next_of(receiver)), pages: self.pages.clone() })
    }

    /// How many pages follow, how many may, and how many were refused.
    pub fn figures(&self) -> (usize, usize, u64) {
        (self.pages.load(Relaxed), PAGES, self.refused.load(Relaxed))
    }
}

async fn next_of(mut receiver: watch::Receiver<Bytes>) -> Option<Told> {
    receiver.changed().await.ok()?;
    let latest = receiver.borrow_and_update().clone();
    Some((receiver, latest))
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.next.as_mut().poll(context).map(|next| {
            let (receiver, latest) = next?;
            self.next = Box::pin(next_of(receiver));
            Some(Ok(Frame::data(latest)))
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.pages.fetch_sub(1, Relaxed);
    }
}
