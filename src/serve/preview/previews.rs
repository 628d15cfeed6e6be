//! All previews: who may have one, and what became of those who wanted one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::event::clock;
use crate::relay::{Catalogue, Channel, Claim};

use super::no_preview::NoPreview;
use super::seats::Seats;
use super::viewing::{Preview, ticks};

/// A channel that is pulled has to be there by then, and a picture to begin with: it may be as far off as the next one is.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Who may have one, and who had.
pub struct Previews {
    catalogue: Arc<Catalogue>,
    seats: Seats,
    began: AtomicU64,
    refused: [AtomicU64; NoPreview::REASONS.len()],
}

impl Previews {
    /// Of these channels, so many at a time.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, most: usize) -> Self {
        let refused = NoPreview::REASONS.map(|_| AtomicU64::new(0));
        Self { catalogue, seats: Seats::new(most), began: AtomicU64::new(0), refused }
    }

    /// Has a channel shown, once it is known how it is played. It runs as long as it is asked for more; within tokio's runtime.
    ///
    /// # Errors
    /// There is no such channel, browsers do not play it, or no more may be shown.
    pub async fn open(&self, name: &str) -> Result<Preview, NoPreview> {
        let opened = tokio::time::timeout(LONGEST_WAIT, self.begin(name)).await;
        let late = "no packet, or no picture that a decoder can start with";
        let opened = opened.unwrap_or(Err(NoPreview::Nothing(LONGEST_WAIT.as_secs(), late)));
        match &opened {
            Ok(_) => self.began.fetch_add(1, Relaxed),
            Err(why) => self.counter(why.reason()).map_or(0, |counter| counter.fetch_add(1, Relaxed)),
        };
        opened
    }

    /// So many may run from now on. Those that run go on.
    pub fn allow(&self, most: usize) {
        self.seats.allow(most);
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.seats.taken()
    }

    /// How many may.
    pub fn most(&self) -> usize {
        self.seats.most()
    }

    /// How many there were.
    pub fn began(&self) -> u64 {
        self.began.load(Relaxed)
    }

    /// How many were refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NoPreview::REASONS.into_iter().zip(self.refused.iter().map(|count| count.load(Relaxed)))
    }

    fn counter(&self, reason: &str) -> Option<&AtomicU64> {
        NoPreview::REASONS.iter().position(|own| *own == reason).map(|place| &self.refused[place])
    }

    async fn begin(&self, name: &str) -> Result<Preview, NoPreview> {
        // Before the channel: one that comes is found first, and then expected no more.
        let expected = self.catalogue.expected(name);
        let found = self.catalogue.find(name);
        if found.is_none() && expected.is_none() {
            return Err(NoPreview::NoChannel);
        }
        let seat = self.seats.take()?;
        let channel = match (found, expected) {
            (Some(channel), _) => channel,
            (None, Some(expected)) => {
                let _claim = Claim::on(&expected.demand);
                self.coming(name).await?
            }
            (None, None) => return Err(NoPreview::NoChannel),
        };
        let claim = channel.claim(clock::now()).map_err(|_| NoPreview::Line)?;
        let mut preview = Preview::new(channel, claim, seat)?;
        preview.begin().await?;
        Ok(preview)
    }

    /// A channel of which only the name is known, once it is there.
    async fn coming(&self, name: &str) -> Result<Arc<Channel>, NoPreview> {
        let mut ticks = ticks();
        loop {
            if let Some(channel) = self.catalogue.find(name) {
                return Ok(channel);
            }
            if self.catalogue.expected(name).is_none() {
                return self.catalogue.find(name).ok_or(NoPreview::NoChannel);
            }
            ticks.tick().await;
        }
    }
}
