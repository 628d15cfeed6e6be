//! The heir: starts as any process of the program does, and takes over what its predecessor has.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;
use std::{env, mem};

use crate::ingest::announce::Kept;
use crate::net::Passage;
use crate::relay::Claim;
use crate::serve::{Household, NotMoved};

use super::super::doors::Place;
use super::super::engine::Engine;
use super::awaited::await_media;
use super::words::{FORM, Watched, Word, hear, out_of_turn, say};

/// Under this name the heir is told the number of the descriptor by which it is spoken to.
pub(super) const ENVIRONMENT: &str = "MIRRORBALL_TAKES_OVER_BY";

/// What its predecessor has to say each word.
const HEARS_WITHIN: Duration = Duration::from_secs(10);

/// Of a predecessor that runs.
#[derive(Debug)]
pub struct Heir {
    passage: Passage,
    admin: Option<(SocketAddr, TcpListener)>,
    listeners: Vec<(Place, TcpListener)>,
    watched: Vec<Watched>,
    announced: Vec<Kept>,
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
        let Word::Hello { form, admin, listens, watched, announced } = word else {
            return Err(out_of_turn(&word));
        };
        if form != FORM {
            return Err(io::Error::other(format!(
                "it hands over by form {form}, and this one takes form {FORM}"
            )));
        }
        let mut sockets = descriptors.into_iter().map(TcpListener::from);
        let admin = sockets.next().map(|socket| (admin, socket));
        let listeners = listens.into_iter().zip(sockets).collect();
        Ok(Self { passage, admin, listeners, watched, announced })
    }

    /// What operators are answered by, if this is still to be at that address.
    pub fn take_admin(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.admin.take().filter(|(asked, _)| *asked == address).map(|(_, socket)| socket)
    }

    /// What clients come in by.
    pub fn take_listeners(&mut self) -> Vec<(Place, TcpListener)> {
        mem::take(&mut self.listeners)
    }

    /// Has what is watched come, tells the predecessor that it could be served from here, and takes its viewers over.
    pub fn take_over(mut self, engine: &Engine) -> Result<Succession, NoHeir> {
        if let Some(hearing) = &engine.hearing {
            hearing.take_over(mem::take(&mut self.announced));
        }
        let claims = await_media(&self.watched, engine);
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
}

impl Succession {
    /// Tells the predecessor that it is needed no more.
    pub fn taken(self, lost: NotMoved) -> Result<(), NoHeir> {
        say(&self.passage, &Word::Taken { lost }, &[], HEARS_WITHIN).map_err(NoHeir)
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::super::doors::What;
    use super::*;
    use std::net::Ipv4Addr;
    use std::os::fd::AsFd;

    /// What an heir makes of such a greeting.
    fn greeted(form: u32) -> io::Result<Heir> {
        let (own, end) = Passage::pair().expect("sockets");
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let admin = socket.local_addr().expect("bound");
        let listens = vec![(admin, What::Rtsp)];
        let hello = Word::Hello { form, admin, listens, watched: Vec::new(), announced: Vec::new() };
        say(&own, &hello, &[socket.as_fd(), socket.as_fd()], HEARS_WITHIN).expect("taken");
        Heir::greeted(Passage::of(end))
    }

    #[test]
    fn it_has_what_was_listened_on_where_that_is_still_wanted() {
        let mut heir = greeted(FORM).expect("it is understood");
        let [((asked, what), socket)] = &heir.take_listeners()[..] else { panic!("one") };
        assert_eq!((Some(*asked), *what), (socket.local_addr().ok(), What::Rtsp));
        assert!(heir.take_admin((Ipv4Addr::LOCALHOST, 1).into()).is_none(), "it is elsewhere by now");
    }

    #[test]
    fn one_of_another_form_is_not_understood_and_both_are_named() {
        let error = greeted(FORM + 1).expect_err("of another form").to_string();
        assert_eq!(error, "it hands over by form 2, and this one takes form 1");
    }

    #[test]
    fn what_a_newer_one_says_besides_is_passed_over() {
        let said = r#"{"Taken":{"lost":{"sessions":3,"connections":0,"reasons":["x"]},"more":7}}"#;
        let word = serde_json::from_str(said).expect("it is understood");
        assert!(matches!(word, Word::Taken { lost: NotMoved { sessions: 3, .. } }));
    }
}
