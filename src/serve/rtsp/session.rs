//! One viewer's session, which its connection, its reports and those who watch over it share.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{Alarm, lock};
use crate::net::{Progress, VANISHED_AFTER};
use crate::relay::{Carriage, Channel, Claim, Expected, Track};
use crate::storage::Deck;
use crate::wire::rtcp;

use super::super::access::{Beyond, Share};
use super::super::journal::Story;
use super::super::media::{Grant, Settling, Way};
use super::super::reporter::Said;
use super::super::stats::Counters;
use super::home::Home;
use super::life::Life;
use super::past::Past;
use super::patience::{Media, Signs};
use super::setup::{Costs, Quality, Setup};
use super::state::{Held, State};

/// What is no longer than this and no RTCP is there to open a way through a NAT, or to keep it open.
const PUNCH_BYTES: usize = 12;

/// One viewer of one channel.
pub struct Session {
    /// Unguessable: it is what entitles to control the session.
    pub id: String,
    /// What is watched.
    pub channel: Arc<Channel>,
    /// The viewer's address.
    pub peer: IpAddr,
    /// When it began.
    pub epoch: Instant,
    life: Life,
    pub(super) state: Mutex<State>,
}

impl Session {
    pub fn new(
        id: String,
        channel: Arc<Channel>,
        (peer, home): (IpAddr, &Arc<Home>),
        (place, story): (Share, Arc<Story>),
        now: Instant,
    ) -> Self {
        let held = Held::new(home, place, story);
        Self { id, channel, peer, epoch: now, life: Life::new(now), state: Mutex::new(State::Ready(held)) }
    }

    /// Its channel is received for its sake, until it ends.
    pub fn claim(&self, claim: Claim) {
        self.with(|held| held.claim = Some(claim));
    }

    /// What it watches is played by that, to its end or until that has come to what comes.
    pub fn plays_from(self: &Arc<Self>, deck: &Arc<Deck>) {
        self.with(|held| held.past = Past::of(deck.clone()));
        if deck.is_open() {
            self.joins_from(deck);
        }
    }

    /// A sign of life.
    pub fn touch(&self, now: Instant) {
        self.life.touch(now);
    }

    /// What it is judged by.
    pub fn signs(&self) -> Signs {
        Signs { last: self.life.last(), left_at: self.with(|held| held.whereabouts.left_at()) }
    }

    /// The connection that it belongs to, if it has one.
    pub fn home(&self) -> Option<Arc<Home>> {
        self.with(|held| held.whereabouts.home().cloned())
    }

    pub fn belongs_to(&self, home: &Arc<Home>) -> bool {
        self.with(|held| held.whereabouts.is_at(home))
    }

    /// A request for it has come by a connection. `true`: it belongs to that one now.
    pub fn move_to(&self, home: &Arc<Home>) -> bool {
        self.with(|held| {
            let is_new = !held.whereabouts.is_at(home);
            let moves = held.move_to(home);
            if is_new && moves {
                self.life.moves();
            }
            moves
        })
    }

    /// Its client has closed a connection. `false`: it belongs to that one, and ends with it.
    pub fn leave(&self, home: &Arc<Home>, now: Instant) -> bool {
        self.with(|held| held.leave(home, now))
    }

    /// Sets a track up, anew if it was before: then without a `way` it keeps its own. What plays goes on as it did until
    /// it [`changes over`](Self::change_over). `false`: it is not set up, and there is no way either; or the way goes by a
    /// connection that it does not belong to any more.
    pub fn set_up(
        &self,
        home: &Arc<Home>,
        (track, url): (&Arc<Track>, &str),
        way: Option<Box<dyn Way>>,
        costs: Costs,
    ) -> bool {
        let goes_by_home = way.as_ref().is_some_and(|way| way.grant().is_in_connection());
        self.with(|held| {
            if goes_by_home && !held.whereabouts.is_at(home) {
                return false;
            }
            match (held.of_track(track.number), way) {
                (Some(present), way) => present.renew(url.to_owned(), costs.memory, way),
                (None, Some(way)) => {
                    held.setups.reserve_exact(1); // most have a track or two
                    held.setups.push(Setup::new(track.clone(), url.to_owned(), way, costs));
                    held.setups.sort_by_key(|setup| setup.track.number);
                }
                (None, None) => return false,
            }
            true
        })
    }

    /// The viewer takes what it has lost of a track as a stream of its own, of this payload type; or as it was.
    pub fn repair_by(&self, track: usize, rtx: Option<u8>) {
        self.with(|held| held.of_track(track).into_iter().for_each(|setup| setup.repair_by(rtx)));
    }

    /// Has tracks that play go on by what they were granted last, which the viewer knows by now.
    pub fn change_over(&self, now: Instant) {
        let told = self.change(|held| {
            let Held { setups, story, .. } = held;
            let changed =
                setups.iter_mut().filter_map(|setup| setup.change_over(story, now).then_some(())).count();
            (changed > 0).then(|| (story.clone(), setups.iter().map(Setup::told).collect()))
        });
        if let Some((story, ways)) = told.flatten() {
            story.change(ways, now);
        }
    }

    /// How a track reaches the viewer, if it is set up.
    pub fn granted(&self, track: usize) -> Option<Grant> {
        self.with(|held| held.of_track(track).map(|setup| setup.grant()))
    }

    /// Whether the viewer takes a track at this address.
    pub fn is_at(&self, track: usize, address: SocketAddr) -> bool {
        self.with(|held| held.of_track(track).is_some_and(|setup| setup.is_at(address)))
    }

    pub fn has_ended(&self) -> bool {
        matches!(*lock(&self.state), State::Ended)
    }

    pub fn is_playing(&self) -> bool {
        matches!(*lock(&self.state), State::Playing(..))
    }

    pub fn is_paused(&self) -> bool {
        matches!(*lock(&self.state), State::Paused(_))
    }

    pub fn tracks(&self) -> usize {
        self.with(|held| held.setups.len())
    }

    /// Reckons what tracks that are to start take by how fast they are now.
    pub fn weigh(&self) -> Result<(), Beyond> {
        self.weigh_those(|setup| !setup.plays())
    }

    /// Reckons tracks of which nothing had come when they were weighed. Others stay as they were: who was let in is not
    /// sent away for a moment in which its stream is faster.
    pub fn weigh_what_has_come(&self) -> Result<(), Beyond> {
        self.weigh_those(|setup| setup.costs.egress.amount() == 0)
    }

    fn weigh_those(&self, which: impl Fn(&Setup) -> bool) -> Result<(), Beyond> {
        let mut state = lock(&self.state);
        let setups = state.held().into_iter().flat_map(|held| &mut held.setups);
        setups.filter(|setup| which(setup)).try_for_each(Setup::weigh)
    }

    /// Bits a second that are sent to it now.
    pub fn bits_per_second(&self) -> u64 {
        self.with(|held| held.playing().map(|setup| setup.track.rtp.ring().bits_per_second()).sum())
    }

    /// Whether an interleaved channel of the connection is this session's.
    pub fn uses_channel(&self, channel: u8) -> bool {
        self.with(|held| held.setups.iter().any(|setup| setup.uses_channel(channel)))
    }

    /// Stops the packets and keeps what was set up.
    pub fn pause(&self, now: Instant) {
        let waits = Arc::new(Settling(Expected::new(Arc::default())));
        lock(&self.state).pause(now, &waits);
    }

    /// Takes one track out.
    pub fn tear_down(&self, track: usize) {
        self.change(|held| {
            held.setups
                .extract_if(.., |setup| setup.track.number == track)
                .for_each(|mut setup| setup.stop());
        });
    }

    /// Remembers when it is looked at next, unless it is before that; where it has ended it is not.
    pub fn watched_by(&self, watch: Alarm) {
        let needless = self.with(|held| {
            let is_later = held.watch.as_ref().is_some_and(|own| own.due() <= watch.due());
            if is_later { Some(watch) } else { held.watch.replace(watch) }
        });
        drop(needless); // outside the lock
    }

    /// It is looked at now.
    pub fn looked_at(&self, now: Instant) {
        let over = self.with(|held| held.watch.take_if(|watch| watch.due() <= now));
        drop(over); // outside the lock
    }

    /// Gives everything back; returns the connection that it belonged to.
    pub fn end(&self, reason: &'static str, now: Instant) -> Option<Arc<Home>> {
        // A PLAY comes before, and is stopped, or after, and starts nothing. Outside the lock: reservations are given back.
        let mut state = lock(&self.state).end();
        let held = state.held()?;
        held.story.end(reason, self.epoch, now);
        held.stop();
        held.whereabouts.home().cloned()
    }

    /// A datagram from the viewer's address about a track. `true`: the viewer has said goodbye to all that was playing.
    pub fn hear(&self, track: usize, datagram: &[u8], counters: &Counters, now: Instant) -> bool {
        let feedback = match rtcp::feedback(datagram) {
            Ok(feedback) => feedback,
            Err(_) if datagram.len() <= PUNCH_BYTES => return false,
            Err(not_rtcp) => {
                counters.rtcp_refused(not_rtcp.reason());
                return false;
            }
        };
        let says_goodbye = self.with(|held| {
            let Held { setups, story, .. } = held;
            let setup = setups.iter_mut().find(|setup| setup.track.number == track)?;
            let said = match setup.reporter.hear(&feedback, setup.ssrc()) {
                Ok(said) => said,
                Err(not_theirs) => {
                    counters.rtcp_refused(not_theirs.reason());
                    return None;
                }
            };
            counters.rtcp_report();
            self.touch(now);
            let report = match said {
                Said::Alive(report) => report,
                Said::Goodbye => feedback.report_on(setup.ssrc()),
            };
            if let Some(report) = report {
                story.hear(track, setup.hear(&report, now));
            }
            Some(said == Said::Goodbye && setup.plays())
        });
        says_goodbye == Some(true) && self.lose(track)
    }

    /// A track's viewer is gone. `true`: so it is from all others; else they play on without this one.
    pub(super) fn lose(&self, track: usize) -> bool {
        let others_play = self.change(|held| {
            let others_play = held.playing().any(|setup| setup.track.number != track);
            if others_play && let Some(setup) = held.of_track(track) {
                setup.stop();
            }
            others_play
        });
        others_play == Some(false)
    }

    /// Whether a track goes by its connection, or will.
    #[cfg(any(all(test, not(model)), fuzzing))]
    pub fn is_bound(&self) -> bool {
        self.with(|held| held.is_bound())
    }

    /// What the session is sent.
    pub fn media(&self, now: Instant) -> Media {
        match &*lock(&self.state) {
            State::Playing(held, _) => {
                let flows = held.playing().filter_map(|setup| setup.track.signs.flows_since(now));
                flows.min().map_or(Media::Silent, |since| Media::Flows { since })
            }
            State::Ready(_) | State::Paused(_) | State::Ended => Media::Stopped,
        }
    }

    /// Whether the connection is to be looked at for signs of life: packets go by it, where what arrives is acknowledged,
    /// or the viewer has no RTCP to say that it is there.
    pub fn lives_by_connection(&self) -> bool {
        self.with(|held| held.carriages().any(|by| Carriage::STREAMS.contains(&by))) || self.is_mute()
    }

    /// Whether what plays is without RTCP.
    fn is_mute(&self) -> bool {
        self.with(|held| held.carriages().max().is_some_and(Carriage::is_mute))
    }

    /// Takes what its connection shows for a sign of life; of one without RTCP for this long at most. `false`: what is under
    /// way is answered by nobody any more.
    pub fn take_progress(&self, progress: Progress, longest: Duration, now: Instant) -> bool {
        self.life.take(&progress, self.is_mute().then_some(longest), now);
        !(progress.in_flight && progress.last_answer_age >= VANISHED_AFTER)
    }

    /// The track whose RTCP an interleaved channel carries.
    pub fn track_of_channel(&self, channel: u8) -> Option<usize> {
        self.with(|held| {
            let setup = held.setups.iter().find(|setup| setup.uses_channel(channel))?;
            Some(setup.track.number)
        })
    }

    /// Tells the viewer that the tracks end (RFC 3550 section 6.6).
    pub fn say_goodbye(&self, reason: &str) {
        self.with(|held| {
            // Players wait for the one of each track: of a film a track may have had nothing there.
            let unheard = held.past.deck.as_ref().map(|_| getrandom::u32().unwrap_or(1));
            held.setups.iter().for_each(|setup| setup.say_goodbye(reason, unheard));
        });
    }

    /// The latest report of each track that has one.
    pub fn qualities(&self) -> Vec<Quality> {
        self.with(|held| held.setups.iter().filter_map(|setup| setup.quality).collect())
    }

    /// What there is to say of what it holds, and nothing once it has ended.
    pub(super) fn with<T: Default>(&self, say: impl FnOnce(&mut Held) -> T) -> T {
        lock(&self.state).held().map(say).unwrap_or_default()
    }

    /// Does what may start or stop tracks. `None`: it has ended, and nothing is done.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> Option<T> {
        let mut state = lock(&self.state);
        let done = change(state.held()?);
        state.settle(&self.channel);
        Some(done)
    }
}
