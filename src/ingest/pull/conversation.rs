//! A conversation with one server, as its client: its bytes and the time go in, what is to be done comes out. Knows no
//! socket, no timer and no clock.
//!
//! ```text
//!  OPTIONS ─▶ DESCRIBE ─▶ Described … set_up ─▶ SETUP, of each track ─▶ PLAY ─▶ Playing … signs of life … leave ─▶ TEARDOWN ─▶ Over
//! ```
//!
//! Who leads it carries out all actions before it gives it more bytes.

use std::mem;
use std::time::{Duration, Instant};

use crate::wire::rtsp::{Answers, Url, Wish, interleaved_header};

use super::action::{Action, Way};
use super::inbox::{Heard, Inbox};
use super::silence::SilenceLimit;
use super::talk::Talk;

/// What came that was not meant for us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strays {
    /// Bytes between messages.
    pub rubbish_bytes: u64,
    /// Frames on channels that were not set up.
    pub frames: u64,
}

/// One server's.
pub struct Conversation {
    inbox: Inbox,
    talk: Talk,
    stray_frames: u64,
}

impl Conversation {
    /// Begins with a server that is connected to, about `url`: an answer is waited for so long, and media.
    #[must_use]
    pub fn new(url: &Url, login: Answers, waits: (Duration, SilenceLimit), now: Instant) -> Self {
        Self { inbox: Inbox::default(), talk: Talk::new(url, login, waits, now), stray_frames: 0 }
    }

    /// For whom the stream is asked for, one for another.
    pub fn comes_by(&mut self, via: String) {
        self.talk.comes_by(via);
    }

    /// Takes in what one read brought.
    pub fn hear(&mut self, bytes: &[u8], now: Instant) {
        if !self.talk.is_over() {
            self.inbox.add(bytes);
            self.talk.heard(now);
        }
    }

    /// A packet came by another way: the server lives.
    pub fn heard(&mut self, now: Instant) {
        self.talk.heard(now);
    }

    /// Media came by another way.
    pub fn media(&mut self, now: Instant) {
        self.talk.media(now);
    }

    /// Whether the server has wanted a hash of the password.
    #[must_use]
    pub fn wants_hash(&self) -> bool {
        self.talk.asking.wants_hash()
    }

    /// Whether the server has said more that is no RTSP than that is.
    #[must_use]
    pub fn is_strange(&self) -> bool {
        self.inbox.is_strange()
    }

    /// Whether media has come.
    #[must_use]
    pub fn has_media(&self) -> bool {
        self.talk.silence.is_broken()
    }

    /// What is to be done next. `None`: nothing before more comes, or time passes.
    pub fn poll(&mut self, now: Instant) -> Option<Action<'_>> {
        loop {
            if let Some(action) = self.talk.actions.pop_front() {
                return Some(action);
            }
            if self.talk.is_over() {
                return None;
            }
            match self.inbox.next(|channel| self.talk.carries(channel).is_some()) {
                Ok(None) => return None,
                Ok(Some(Heard::Frame { channel, payload })) => match self.talk.carries(channel) {
                    Some((track, is_rtcp)) => {
                        if !is_rtcp {
                            self.talk.media(now);
                        }
                        return Some(Action::Frame { track, is_rtcp, bytes: self.inbox.payload(payload) });
                    }
                    None => self.stray_frames += 1,
                },
                Ok(Some(Heard::Response(response))) => self.talk.answered(&response, now),
                Ok(Some(Heard::Request(request))) => self.talk.asked(&request),
                Ok(Some(Heard::BadRequest(reply))) => self.talk.reply(reply),
                Err(failure) => self.talk.fail(failure),
            }
        }
    }

    /// Sets the tracks up that were described, each as it is wished.
    pub fn set_up(&mut self, wishes: Vec<Wish>, now: Instant) {
        self.talk.set_up(wishes, now);
    }

    /// When [`pass`](Self::pass) is to be called if nothing comes before.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.talk.due()
    }

    /// Time has passed.
    pub fn pass(&mut self, now: Instant) {
        self.talk.pass(now);
    }

    /// Ends the session. It is over when the server has answered, or does not.
    pub fn leave(&mut self, now: Instant) {
        self.talk.leave(now);
    }

    /// A packet of ours as a frame of the connection: reports of a track that comes by it.
    #[must_use]
    pub fn framed(&self, track: usize, packet: &[u8]) -> Option<Vec<u8>> {
        let Some(Way::Channels(_, rtcp_channel)) = self.talk.ways.get(track).copied().flatten() else {
            return None;
        };
        let header = interleaved_header(rtcp_channel, u16::try_from(packet.len()).ok()?);
        Some([&header[..], packet].concat())
    }

    /// How often life is shown at least.
    #[must_use]
    pub fn shows_life_every(&self) -> Duration {
        self.talk.shows_life_every()
    }

    /// What came since this was asked last and was not meant for us.
    pub fn take_strays(&mut self) -> Strays {
        let frames = mem::take(&mut self.stray_frames);
        Strays { rubbish_bytes: self.inbox.take_rubbish(), frames }
    }

    /// Bytes that wait to be understood.
    #[cfg(any(test, fuzzing))]
    pub(super) fn unread(&self) -> usize {
        self.inbox.len()
    }
}
