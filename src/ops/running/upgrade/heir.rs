//! The heir: starts as any process of the program does, and takes over what its predecessor has.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use std::{env, mem, thread};

use crate::event::clock;
use crate::net::Passage;
use crate::relay::{Catalogue, Claim, Demand};
use crate::serve::{Household, NotMoved};

use super::super::doors::What;
use super::words::{FORM, Watched, Word, hear, out_of_turn, say};

/// Under this name the heir is told the number of the descriptor by which it is spoken to.
pub(super) const ENVIRONMENT: &str = "MIRRORBALL_TAKES_OVER_BY";

/// What its predecessor has to say each word.
const HEARS_WITHIN: Duration = Duration::from_secs(10);
/// What is watched has so long to come.
const FLOWS_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(5);

/// Of a predecessor that runs.
#[derive(Debug)]
pub struct Heir {
    passage: Passage,
    admin: Option<(SocketAddr, TcpListener)>,
    listeners: Vec<((SocketAddr, What), TcpListener)>,
    watched: Vec<Watched>,
}

/// Everything of viewers, which this process has from now on.
pub struct Succession {
    passage: Passage,
    /// Channels are wanted for its sake, until the viewers themselves want them.
    _claims: Vec<Claim>,
    /// In words.
    pub household: Household,
    /// Its own.
    pub descriptors: Vec<OwnedFd>,
}

/// Nothing is taken over.
#[derive(Debug, thiserror::Error)]
#[error("taking over from the process that started this one has failed: {0}")]
pub struct NoHeir(#[source] pub io::Error);

impl Heir {
    /// That which the environment tells of, if it does.
    ///
    /// # Errors
    /// It tells of none that there is, or of one that is of another form.
    pub fn of_environment() -> Result<Option<Self>, NoHeir> {
        let Some(number) = env::var_os(ENVIRONMENT) else { return Ok(None) };
        let number = number.to_str().and_then(|number| number.parse().ok());
        let of_nobody =
            || io::Error::other(format!("{ENVIRONMENT} is set, and names no socket of another one"));
        let passage = number.and_then(|number| Passage::inherited(number).ok()).ok_or_else(of_nobody);
        Ok(Some(Self::greeted(passage.map_err(NoHeir)?).map_err(NoHeir)?))
    }

    fn greeted(passage: Passage) -> io::Result<Self> {
        let (word, descriptors) = hear(&passage, HEARS_WITHIN)?;
        let Word::Hello { form, admin, listens, watched } = word else { return Err(out_of_turn(&word)) };
        if form != FORM {
            return Err(io::Error::other(format!(
                "it hands over by form {form}, and this one takes form {FORM}"
            )));
        }
        let mut sockets = descriptors.into_iter().map(TcpListener::from);
        let admin = sockets.next().map(|socket| (admin, socket));
        Ok(Self { passage, admin, listeners: listens.into_iter().zip(sockets).collect(), watched })
    }

    /// What operators are answered by, if this is still to be at that address.
    pub fn take_admin(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.admin.take().filter(|(asked, _)| *asked == address).map(|(_, socket)| socket)
    }

    /// What clients come in by.
    pub fn take_listeners(&mut self) -> Vec<((SocketAddr, What), TcpListener)> {
        mem::take(&mut self.listeners)
    }

    /// Has what is watched come, tells the predecessor that it could be served from here, and takes its viewers over.
    pub fn take_over(self, catalogue: &Catalogue) -> Result<Succession, NoHeir> {
        let claims = self.await_media(catalogue);
        let Self { passage, .. } = self;
        let take = || {
            say(&passage, &Word::Ready, &[], HEARS_WITHIN)?;
            let (word, _) = hear(&passage, HEARS_WITHIN)?;
            let Word::Viewers { household, descriptors: count } = word else {
                return Err(out_of_turn(&word));
            };
            let mut descriptors = Vec::new();
            while descriptors.len() < count {
                let (word, more) = hear(&passage, HEARS_WITHIN)?;
                if !matches!(word, Word::More) || more.is_empty() {
                    return Err(out_of_turn(&word));
                }
                descriptors.extend(more);
            }
            Ok((household, descriptors))
        };
        let (household, descriptors) = take().map_err(NoHeir)?;
        Ok(Succession { passage, _claims: claims, household, descriptors })
    }

    /// Until what is watched flows here too, as far as it does, or it has lasted too long. Channels are wanted for as long as what is
    /// returned lives.
    fn await_media(&self, catalogue: &Catalogue) -> Vec<Claim> {
        let (began, mut claims) = (clock::now(), Vec::new());
        let mut left: VecDeque<_> = self.watched.iter().map(|watched| (watched, false)).collect();
        while let Some((watched, mut is_claimed)) = left.pop_front() {
            let channel = catalogue.find(&watched.name);
            if !is_claimed && let Some(demand) = demand(catalogue, &watched.name) {
                claims.push(Claim::on(&demand));
                is_claimed = true;
            }
            let is_there = channel.is_some_and(|channel| {
                !watched.flows || channel.tracks.iter().any(|track| track.rtp.ring().head() > 0)
            });
            if is_there {
                continue;
            }
            if began.elapsed() > FLOWS_WITHIN {
                tracing::warn!(channel = watched.name, "a channel that is watched has not come in time");
                continue;
            }
            left.push_back((watched, is_claimed));
            thread::sleep(LOOK);
        }
        claims
    }
}

/// By whom a channel is wanted that is there, or to come.
fn demand(catalogue: &Catalogue, name: &str) -> Option<Arc<Demand>> {
    let channel = catalogue.find(name).map(|channel| channel.demand.clone());
    channel.or_else(|| catalogue.expected(name).map(|expected| expected.demand.clone()))
}

impl Succession {
    /// Tells the predecessor that it is needed no more.
    pub fn taken(self, lost: NotMoved) -> Result<(), NoHeir> {
        say(&self.passage, &Word::Taken { lost }, &[], HEARS_WITHIN).map_err(NoHeir)
    }
}
