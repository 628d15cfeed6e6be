//! Where a session's viewer is reached, and whether.

use std::net::SocketAddr;
use std::time::Instant;

use super::super::media::{Followed, Learnt};
use super::session::Session;
use super::setup::Setup;
use super::state::Held;

impl Session {
    /// It has been learnt where the viewer takes a track: it goes there from here on.
    pub fn follow(&self, learnt: &Learnt, now: Instant) -> Option<Followed> {
        let (followed, told) = self.with(|held| {
            let Held { setups, story, .. } = held;
            let setup = setups.iter_mut().find(|setup| setup.track.number == learnt.client.track)?;
            let followed = setup.follow(learnt, story)?;
            let is_news = followed == Followed::Moves && setup.plays();
            let told =
                is_news.then(|| (story.clone(), held.setups.iter().map(|setup| setup.told()).collect()));
            Some((followed, told))
        })?;
        if let Some((story, ways)) = told {
            story.follow(ways, now);
        }
        Some(followed)
    }

    /// Whether it may yet be learnt that its viewer takes some of it elsewhere.
    pub fn is_looked_for(&self) -> bool {
        self.with(|held| held.setups.iter().any(Setup::is_looked_for))
    }

    /// Whether it is paused, and all of it goes beside its connection.
    pub fn waits_beside_connection(&self) -> bool {
        self.is_paused() && self.with(|held| !held.is_bound())
    }

    /// The viewer's host says that nobody listens at a track's port. `true`: it has said so again, without a sign of
    /// life in between, of all that was playing. What is said at one time counts once: packets of a moment may all come
    /// back, though the viewer has opened its port since. And where a NAT may have moved it, it is the NAT that says so at first.
    pub fn refuse(&self, track: usize, at: SocketAddr, now: Instant) -> bool {
        let last_sign = self.signs().last;
        let again = self.with(|held| {
            let setup = held.of_track(track).filter(|setup| setup.is_at(at) && setup.is_to_listen(now))?;
            let before = setup.refused_at.replace(now);
            Some(before.is_some_and(|before| before < now && last_sign < before))
        });
        again == Some(true) && self.lose(track)
    }
}
