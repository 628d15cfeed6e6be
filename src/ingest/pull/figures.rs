//! What is counted of one stream that is pulled.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use super::conversation::Strays;
use super::failure::Failure;

/// Where a stream that is pulled is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PullState {
    /// Nobody wants it.
    Idle,
    /// Its server is reached for, or asked.
    Connecting,
    /// It comes.
    Playing,
    /// It has failed, and is asked for again.
    Waiting,
}

impl PullState {
    /// All of them, with their labels.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Idle, "idle"),
        (Self::Connecting, "connecting"),
        (Self::Playing, "playing"),
        (Self::Waiting, "waiting"),
    ];
}

/// The figures of one.
#[derive(Default)]
pub(super) struct Figures {
    state: AtomicU8,
    connects: AtomicU64,
    redirects: AtomicU64,
    failures: [AtomicU64; Failure::REASONS.len()],
    rubbish_bytes: AtomicU64,
    stray_frames: AtomicU64,
    stray_datagrams: AtomicU64,
}

/// A stream that is pulled, as metrics see it.
#[derive(Debug, Clone)]
pub struct PullStats {
    /// The channel.
    pub channel: String,
    /// Where it is.
    pub state: PullState,
    /// Connections that were made.
    pub connects: u64,
    /// Redirects that were followed.
    pub redirects: u64,
    /// Failures by reason.
    pub failures: Vec<(&'static str, u64)>,
    /// Bytes between messages that were none.
    pub rubbish_bytes: u64,
    /// Frames on channels that were not set up.
    pub stray_frames: u64,
    /// Datagrams to its ports that others sent.
    pub stray_datagrams: u64,
}

impl PullStats {
    /// Whether it is wanted, and was asked for in vain.
    #[must_use]
    pub fn is_in_vain(&self) -> bool {
        let has_failed = self.failures.iter().any(|(_, count)| *count > 0);
        has_failed && matches!(self.state, PullState::Connecting | PullState::Waiting)
    }
}

impl Figures {
    pub fn is(&self, state: PullState) {
        self.state.store(state as u8, Relaxed);
    }

    pub fn connected(&self) {
        self.connects.fetch_add(1, Relaxed);
    }

    pub fn redirected(&self) {
        self.redirects.fetch_add(1, Relaxed);
    }

    pub fn failed(&self, failure: &Failure) {
        let place = Failure::REASONS.iter().position(|reason| *reason == failure.reason());
        place.and_then(|place| self.failures.get(place)).into_iter().for_each(|count| {
            count.fetch_add(1, Relaxed);
        });
    }

    pub fn strays(&self, strays: Strays) {
        self.rubbish_bytes.fetch_add(strays.rubbish_bytes, Relaxed);
        self.stray_frames.fetch_add(strays.frames, Relaxed);
    }

    pub fn stray_datagram(&self) {
        self.stray_datagrams.fetch_add(1, Relaxed);
    }

    pub fn read(&self, channel: &str) -> PullStats {
        let state = self.state.load(Relaxed);
        let states = PullState::ALL.iter().map(|(state, _)| *state);
        let counts = self.failures.iter().map(|count| count.load(Relaxed));
        PullStats {
            channel: channel.to_owned(),
            state: states.into_iter().find(|known| *known as u8 == state).unwrap_or(PullState::Idle),
            connects: self.connects.load(Relaxed),
            redirects: self.redirects.load(Relaxed),
            failures: Failure::REASONS.into_iter().zip(counts).collect(),
            rubbish_bytes: self.rubbish_bytes.load(Relaxed),
            stray_frames: self.stray_frames.load(Relaxed),
            stray_datagrams: self.stray_datagrams.load(Relaxed),
        }
    }
}
