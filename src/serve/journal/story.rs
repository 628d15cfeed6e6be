//! A viewer's Story: what its session was sent and missed, and what it said of that, for the log.
//!
//! Whatever may still send it a packet holds the story; once nobody does it is told.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::relay::{Account, Books, Channel, Sent};

use super::legible::legible;
use super::lines::{Begun, Course as What, Ended, Way, client_ports};
use super::teller::Teller;

/// One session's.
pub struct Story {
    number: u64,
    client: SocketAddr,
    channel: Arc<Channel>,
    teller: Arc<Teller>,
    accounts: Mutex<Accounts>,
    course: Mutex<Course>,
}

/// What was sent: of ways that are over, and of those that go on.
#[derive(Default)]
struct Accounts {
    closed: Sent,
    open: Vec<Arc<dyn Account>>,
}

#[derive(Default)]
struct Course {
    /// When it played first.
    began: Option<Instant>,
    /// Why it ended, and after how long.
    end: Option<(&'static str, Duration)>,
    /// Where packets went last, over UDP.
    client_ports: Option<String>,
    /// What the player calls itself.
    agent: Option<String>,
    /// By track.
    heard: Vec<(usize, Heard)>,
}

/// What there is to tell of a session that goes on, as far as the log tells it.
#[derive(Debug, Clone)]
pub struct SoFar {
    /// Its number in the log.
    pub session: u64,
    /// The viewer, at its RTSP connection.
    pub client: SocketAddr,
    /// When it played first.
    pub began: Option<Instant>,
    /// Where packets go, over UDP.
    pub client_ports: Option<String>,
    /// What the player calls itself.
    pub agent: Option<String>,
    /// What it was sent, and missed.
    pub sent: Sent,
    /// Packets that it reported as lost.
    pub lost: Option<i64>,
    /// As it reported last, the largest of its tracks.
    pub jitter_seconds: Option<f64>,
    /// The way there and back, likewise.
    pub round_trip: Option<Duration>,
}

/// What a viewer reports of a track (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    pub ssrc: u32,
    /// Packets lost in all, of this SSRC.
    pub lost: i32,
    pub jitter_seconds: Option<f64>,
    pub round_trip: Option<Duration>,
}

struct Heard {
    latest: Report,
    /// Lost of SSRCs that the source had before.
    lost_before: i64,
}

impl Story {
    pub fn new(teller: &Arc<Teller>, client: SocketAddr, channel: Arc<Channel>) -> Arc<Self> {
        Self::numbered(teller.number(), teller, client, channel)
    }

    /// That of a session which had its number already, elsewhere.
    pub fn moved(number: u64, teller: &Arc<Teller>, client: SocketAddr, channel: Arc<Channel>) -> Arc<Self> {
        teller.has_given(number);
        Self::numbered(number, teller, client, channel)
    }

    fn numbered(number: u64, teller: &Arc<Teller>, client: SocketAddr, channel: Arc<Channel>) -> Arc<Self> {
        Arc::new(Self {
            number,
            client,
            channel,
            teller: teller.clone(),
            accounts: Mutex::default(),
            course: Mutex::default(),
        })
    }

    /// The session plays, what was set up in these ways. It is told the first time.
    pub fn play(&self, ways: Vec<Way>, agent: Option<&str>, now: Instant) {
        let is_first = {
            let mut course = self.course();
            let is_first = course.began.is_none();
            course.began.get_or_insert(now);
            course.client_ports = client_ports(&ways);
            course.agent = agent.map(legible).or(course.agent.take());
            is_first
        };
        if is_first {
            self.teller.begin(&self.begun(What::Plays, ways, agent), now);
        }
    }

    /// It was told already that it plays, elsewhere, where it began at `epoch` or later and was `sent` this.
    pub fn go_on_from(&self, ways: &[Way], agent: Option<String>, (epoch, sent): (Instant, Sent)) {
        lock(&self.accounts).closed = sent;
        let mut course = self.course();
        (course.began, course.agent) = (Some(epoch), agent);
        course.client_ports = client_ports(ways);
    }

    /// It plays on in other ways.
    pub fn change(&self, ways: Vec<Way>, now: Instant) {
        self.go_on(What::Changes, ways, now);
    }

    /// It plays on at other ports, which were learnt.
    pub fn follow(&self, ways: Vec<Way>, now: Instant) {
        self.go_on(What::IsFollowed, ways, now);
    }

    fn go_on(&self, what: What, ways: Vec<Way>, now: Instant) {
        self.course().client_ports = client_ports(&ways);
        self.teller.change(&self.begun(what, ways, None), now);
    }

    fn begun<'a>(&'a self, what: What, ways: Vec<Way>, agent: Option<&'a str>) -> Begun<'a> {
        let over_tcp = ways.iter().any(|way| matches!(way, Way::Tcp { .. } | Way::Http));
        let (client, session, channel) = (self.client, self.number, self.channel.name.as_str());
        Begun { client, over_tcp, session, channel, ways, agent, what }
    }

    /// The viewer reports on a track.
    pub fn hear(&self, track: usize, report: Report) {
        let mut course = self.course();
        match course.heard.iter_mut().find(|(number, _)| *number == track) {
            Some((_, heard)) => heard.add(report),
            None => course.heard.push((track, Heard { latest: report, lost_before: 0 })),
        }
    }

    /// The session ends, which was set up at `epoch`. The last packets may still be under way.
    pub fn end(&self, reason: &'static str, epoch: Instant, now: Instant) {
        let mut course = self.course();
        let since = course.began.unwrap_or(epoch);
        course.end.get_or_insert((reason, now.saturating_duration_since(since)));
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        lock(&self.course)
    }

    /// What there is to tell of it now.
    pub fn so_far(&self) -> SoFar {
        let course = self.course();
        SoFar {
            session: self.number,
            client: self.client,
            began: course.began,
            client_ports: course.client_ports.clone(),
            agent: course.agent.clone(),
            sent: lock(&self.accounts).sent(),
            lost: course.lost(),
            jitter_seconds: course.jitter_seconds(),
            round_trip: course.round_trip(),
        }
    }
}

impl Course {
    fn lost(&self) -> Option<i64> {
        self.heard.iter().map(|(_, heard)| heard.lost()).reduce(|sum, lost| sum + lost)
    }

    fn jitter_seconds(&self) -> Option<f64> {
        self.heard.iter().filter_map(|(_, heard)| heard.latest.jitter_seconds).reduce(f64::max)
    }

    fn round_trip(&self) -> Option<Duration> {
        self.heard.iter().filter_map(|(_, heard)| heard.latest.round_trip).max()
    }
}

impl Books for Story {
    fn open(&self, account: Arc<dyn Account>) {
        let mut accounts = lock(&self.accounts);
        accounts.close_those_that_are_over();
        accounts.open.push(account);
    }
}

impl Accounts {
    /// One that nobody else has any more stays as it is.
    fn close_those_that_are_over(&mut self) {
        let over = self.open.extract_if(.., |account| Arc::strong_count(account) == 1);
        self.closed = over.fold(self.closed, |sum, account| sum.plus(account.sent()));
    }

    fn sent(&self) -> Sent {
        self.open.iter().fold(self.closed, |sum, account| sum.plus(account.sent()))
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let course = mem::take(&mut *self.course());
        // One that was refused has none.
        let Some((reason, lasted)) = course.end else { return };
        let Sent { packets, bytes, missed } = lock(&self.accounts).sent();
        self.teller.end(Ended {
            client: self.client,
            reason,
            packets,
            bytes,
            missed,
            lost: course.lost(),
            session: self.number,
            channel: self.channel.clone(),
            has_played: course.began.is_some(),
            jitter_seconds: course.jitter_seconds(),
            round_trip: course.round_trip(),
            client_ports: course.client_ports,
            lasted,
        });
    }
}

impl Heard {
    fn add(&mut self, report: Report) {
        if report.ssrc != self.latest.ssrc {
            self.lost_before += i64::from(self.latest.lost);
        }
        let round_trip = report.round_trip.or(self.latest.round_trip);
        self.latest = Report { round_trip, ..report };
    }

    fn lost(&self) -> i64 {
        self.lost_before + i64::from(self.latest.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_of_one_ssrc_is_added_to_what_is_lost_of_the_next() {
        let report = |ssrc, lost| Report { ssrc, lost, jitter_seconds: None, round_trip: None };
        let known = Report { round_trip: Some(Duration::from_millis(3)), ..report(1, 5) };
        let mut heard = Heard { latest: known, lost_before: 0 };
        [report(1, 7), report(2, 0), report(2, -2)].into_iter().for_each(|report| heard.add(report));
        assert_eq!(heard.lost(), 7 - 2);
        assert_eq!(heard.latest.round_trip, Some(Duration::from_millis(3)), "as it was last known");
    }
}
