//! Whether what is configured is served, as `/ready` tells it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::super::names::list;

/// Channels that are named; of more, the number is told.
const NAMED: usize = 20;

/// Whether the program serves: between its start and its stop.
#[derive(Debug, Default)]
pub struct Stage {
    open: AtomicBool,
    stopping: AtomicBool,
}

impl Stage {
    /// All addresses are listened on.
    pub fn open(&self) {
        self.open.store(true, Relaxed);
    }

    /// From here on it is not ready any more.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// What to answer, with an address that is not listened on, if there is one, and with all channels' names and whether
    /// all of a channel's groups are joined that are to be.
    ///
    /// # Errors
    /// Why nobody is to be sent here. One channel that can not be joined is no reason to take the others' viewers
    /// elsewhere: it is named, and no more.
    pub fn ready<'c>(
        &self,
        deaf: Option<SocketAddr>,
        channels: impl Iterator<Item = (&'c str, bool)>,
    ) -> Result<String, String> {
        if self.stopping.load(Relaxed) {
            return Err("stopping".to_owned());
        }
        if !self.open.load(Relaxed) {
            return Err("starting".to_owned());
        }
        if let Some(address) = deaf {
            return Err(format!("nobody can come to {address}, the log says why"));
        }
        let (mut joined, mut missing) = (0, Vec::new());
        for (name, is_joined) in channels {
            if is_joined { joined += 1 } else { missing.push(name) }
        }
        match (joined, missing.len()) {
            (_, 0) => Ok("ready\n".to_owned()),
            (0, _) => Err(format!("no channel is joined, the log says why: {}", list(&missing, NAMED))),
            _ => Ok(format!("ready\nnot joined, the log says why: {}\n", list(&missing, NAMED))),
        }
    }
}

/// What is said of channels whose servers are asked in vain. Whoever asks for them here waits, and is as well off as elsewhere.
pub fn not_pulled(names: &[&str]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("not pulled, the log says why: {}\n", list(names, NAMED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: [(&str, bool); 3] = [("news", true), ("uk/sport", false), ("radio", false)];

    fn serving() -> Stage {
        let stage = Stage::default();
        stage.open();
        stage
    }

    #[test]
    fn a_channel_that_is_not_joined_is_named_and_the_others_are_served() {
        let told = serving().ready(None, MIXED.into_iter()).expect("one is joined");
        assert_eq!(told, "ready\nnot joined, the log says why: uk/sport, radio\n");
        assert_eq!(serving().ready(None, MIXED.into_iter().take(1)).as_deref(), Ok("ready\n"));
        assert_eq!(
            serving().ready(None, [].into_iter()).as_deref(),
            Ok("ready\n"),
            "there is nothing to join"
        );
    }

    #[test]
    fn nobody_is_sent_here_while_no_channel_is_joined() {
        let refused = serving().ready(None, MIXED.into_iter().skip(1)).expect_err("none is joined");
        assert_eq!(refused, "no channel is joined, the log says why: uk/sport, radio");
        let names: Vec<_> = (0..25).map(|number| number.to_string()).collect();
        let refused = serving().ready(None, names.iter().map(|name| (name.as_str(), false)));
        assert!(refused.expect_err("none is joined").ends_with("18, 19 and 5 more"));
    }

    #[test]
    fn nobody_is_sent_here_while_an_address_is_not_listened_on() {
        let deaf = Some(([192, 0, 2, 1], 554).into());
        let refused = serving().ready(deaf, MIXED.into_iter()).expect_err("nobody would be heard");
        assert_eq!(refused, "nobody can come to 192.0.2.1:554, the log says why");
    }

    #[test]
    fn nobody_is_sent_here_before_the_start_is_over_nor_once_it_stops() {
        let stage = Stage::default();
        assert_eq!(stage.ready(None, MIXED.into_iter()), Err("starting".to_owned()));
        stage.open();
        stage.ready(None, MIXED.into_iter()).expect("it serves");
        stage.stop();
        assert_eq!(stage.ready(None, MIXED.into_iter()), Err("stopping".to_owned()));
    }
}
