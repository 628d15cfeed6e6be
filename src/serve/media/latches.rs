//! Latching (RFC 7362): at which ports a viewer behind a NAT is reached, learnt from what it sends to ours.
//!
//! A client names its own ports, and a NAT on the way gives it others. What it sends opens a way back through that, and
//! shows which they are; but whose it is, only its address tells. So of each address one alone is looked for at a pair,
//! and who comes beyond that is not, nor is the one who was: a stream is sent to nobody by a guess.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::net::with_port;

use super::super::stats::Port;
use super::taker::{Client, Learnt};

/// Below it are the ports of services that every host knows (RFC 6335), which are no viewer's.
pub const FIRST_CLIENT_PORT: u16 = 1024;
/// How long the newest port is waited for, from the first on that is heard from.
const DELAY: Duration = Duration::from_millis(500);

/// How a viewer's ports are learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Learning {
    /// They are those that it has named.
    Off,
    /// The first that it is heard from.
    #[default]
    Immediate,
    /// The one that it was heard from last, half a second after the first.
    Delayed,
}

/// What something that was heard means.
pub enum Hint {
    Nothing,
    /// It may be of one who is looked for; later will tell.
    Maybe,
    Learnt(Learnt),
}

/// Who is looked for at a pair.
#[derive(Default)]
pub struct Latches {
    by_address: HashMap<IpAddr, Wanted>,
}

enum Wanted {
    One(Latch),
    /// Too many to tell them apart, by their numbers.
    Crowd(Vec<u64>),
}

struct Latch {
    number: u64,
    client: Client,
    /// What the client has named.
    announced: [SocketAddr; 2],
    heard: [Heard; 2],
}

#[derive(Clone, Copy)]
enum Heard {
    Nothing,
    /// From there last.
    Newest {
        from: SocketAddr,
        since: Instant,
    },
    /// All that is wanted.
    Enough,
}

impl Learning {
    /// The names of all that there are.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Off, "off"), (Self::Immediate, "immediate"), (Self::Delayed, "delayed")];

    fn delay(self) -> Duration {
        if self == Self::Delayed { DELAY } else { Duration::ZERO }
    }
}

impl Latches {
    /// Looks for a client at the places that it has named, as the only one of its address; returns its number. `None`:
    /// another one is looked for there. Where the places are one, there is nothing but RTP.
    pub fn begin(&mut self, client: &Client, announced: [SocketAddr; 2]) -> Option<u64> {
        let address = announced[0].ip();
        if self.by_address.contains_key(&address) {
            return None;
        }
        let number = next_number();
        let of_rtcp = if announced[0] == announced[1] { Heard::Enough } else { Heard::Nothing };
        let latch = Latch { number, client: client.clone(), announced, heard: [Heard::Nothing, of_rtcp] };
        self.by_address.insert(address, Wanted::One(latch));
        Some(number)
    }

    /// One more of an address: nobody of it is looked for any more, until all of them have gone.
    pub fn crowd(&mut self, address: IpAddr) -> u64 {
        let number = next_number();
        match self.by_address.get_mut(&address) {
            Some(Wanted::Crowd(all)) => all.push(number),
            other => {
                let before = other.and_then(|wanted| wanted.number());
                let all = before.into_iter().chain([number]).collect();
                self.by_address.insert(address, Wanted::Crowd(all));
            }
        }
        number
    }

    pub fn is_crowd(&self, address: IpAddr) -> bool {
        matches!(self.by_address.get(&address), Some(Wanted::Crowd(_)))
    }

    /// One is gone.
    pub fn end(&mut self, address: IpAddr, number: u64) {
        let is_over = match self.by_address.get_mut(&address) {
            Some(Wanted::One(latch)) => latch.number == number,
            Some(Wanted::Crowd(all)) => {
                all.retain(|other| *other != number);
                all.is_empty()
            }
            None => false,
        };
        if is_over {
            self.by_address.remove(&address);
        }
    }

    /// Something has come to a port of ours. What comes from an address and port that is `known` for somebody's says
    /// nothing of anybody else.
    pub fn hear(
        &mut self,
        (port, from): (Port, SocketAddr),
        is_known: bool,
        learning: Learning,
        now: Instant,
    ) -> Hint {
        let Some(Wanted::One(latch)) = self.by_address.get_mut(&from.ip()) else { return Hint::Nothing };
        let announced = latch.announced[port as usize];
        if is_known && from != announced || from.port() < FIRST_CLIENT_PORT {
            return Hint::Nothing;
        }
        let heard = &mut latch.heard[port as usize];
        *heard = match *heard {
            Heard::Nothing => Heard::Newest { from, since: now },
            Heard::Newest { since, .. } => Heard::Newest { from, since },
            Heard::Enough => return Hint::Nothing,
        };
        match latch.settle(port, learning, now) {
            Some(learnt) => {
                self.forget_the_learnt(from.ip());
                Hint::Learnt(learnt)
            }
            None => Hint::Maybe,
        }
    }

    /// What is known by now, as it was waited for long enough.
    pub fn due(&mut self, learning: Learning, now: Instant) -> Vec<Learnt> {
        if learning != Learning::Delayed {
            return Vec::new(); // what is heard is known at once
        }
        let latches = self.by_address.values_mut().filter_map(|wanted| match wanted {
            Wanted::One(latch) => Some(latch),
            Wanted::Crowd(_) => None,
        });
        let of = |latch: &mut Latch| Port::ALL.map(|(port, _)| latch.settle(port, learning, now));
        let due: Vec<_> = latches.flat_map(of).flatten().collect();
        due.iter().for_each(|learnt| self.forget_the_learnt(learnt.at.ip()));
        due
    }

    /// Whether somebody is looked for by what comes to our RTP port.
    pub fn want_rtp(&self) -> bool {
        let wants_it = |wanted: &Wanted| match wanted {
            Wanted::One(latch) => !matches!(latch.heard[Port::Rtp as usize], Heard::Enough),
            Wanted::Crowd(_) => false,
        };
        self.by_address.values().any(wants_it)
    }

    fn forget_the_learnt(&mut self, address: IpAddr) {
        let is_learnt = |latch: &Latch| latch.heard.iter().all(|heard| matches!(heard, Heard::Enough));
        if matches!(self.by_address.get(&address), Some(Wanted::One(latch)) if is_learnt(latch)) {
            self.by_address.remove(&address);
        }
    }
}

/// Of a client that has tracks at several pairs, each is another one.
fn next_number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    NUMBERS.fetch_add(1, Relaxed)
}

impl Wanted {
    fn number(&self) -> Option<u64> {
        match self {
            Self::One(latch) => Some(latch.number),
            Self::Crowd(_) => None,
        }
    }
}

impl Latch {
    fn settle(&mut self, port: Port, learning: Learning, now: Instant) -> Option<Learnt> {
        let heard = &mut self.heard[port as usize];
        let Heard::Newest { from, since } = *heard else { return None };
        if now.saturating_duration_since(since) < learning.delay() {
            return None;
        }
        *heard = Heard::Enough;
        // The port is all that is taken from what came.
        let at = with_port(self.announced[port as usize], from.port());
        Some(Learnt { client: self.client.clone(), latch: self.number, port, at })
    }
}

#[cfg(all(test, not(model)))]
#[path = "latches_tests.rs"]
mod tests;
