//! How a household settles in: pairs first, then connections, then sessions, and only then is anybody heard.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::event::clock;
use crate::net::ServerPair;
use crate::relay::{GoesOn, LineFull, Track};

use super::super::access::{Account, Good};
use super::super::arrival::{Arrival, Place};
use super::super::attendance::{ConnectionParcel, Speaks};
use super::super::front_door::FrontDoor;
use super::super::http::Outgoing;
use super::super::journal::Story;
use super::super::media::{Grant, Interleaved, Multicast, OverUdp, Raw, Reservation, Way};
use super::super::refusal_watch::RefusalWatch;
use super::super::rtsp::{Costs, Home, Retransmission, Session, SessionParcel, TrackParcel};
use super::super::rtsp_connection::RtspConnection;
use super::super::rtsp_server::RtspServer;
use super::super::session_watch::SessionWatch;
use super::super::stats::{NOT_TAKEN_OVER, Transport};
use super::super::stream::{Output, Room};
use super::household::{Household, NotMoved, Numbered};

/// What was sent last elsewhere may be a little ahead of what has come here.
const BEHIND: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(2);

/// Why a session is not taken over, in the words of the log.
type Reason = &'static str;
const TOO_MUCH: Reason = "its connection has set up too much";
const NO_WAY: Reason = "its ports, or its group, can not be used";

/// A connection that has come.
enum Settled {
    Rtsp(Arc<RtspConnection>),
    Http(Arc<Outgoing>),
    /// By it a client speaks, and hears by another one.
    Half(Box<dyn FnOnce()>),
}

struct Settling<'d> {
    door: &'d FrontDoor,
    server: Arc<RtspServer>,
    now: Instant,
}

impl FrontDoor {
    /// Serves those who were served elsewhere, as they were; `descriptors` are the household's.
    pub fn settle(&self, household: &Household, descriptors: Vec<OwnedFd>) -> NotMoved {
        let settling = Settling { door: self, server: self.server().clone(), now: clock::now() };
        settling.wait_for_media(household);
        let (mut descriptors, mut lost) = (descriptors.into_iter(), NotMoved::default());
        for pair in &household.pairs {
            if let (Some(rtp), Some(rtcp)) = (descriptors.next(), descriptors.next()) {
                let sockets = ServerPair { rtp: rtp.into(), rtcp: rtcp.into(), port: pair.port };
                settling.adopt(pair.local, sockets);
            }
        }
        let connections: Vec<_> = household
            .connections
            .iter()
            .map(|parcel| settling.connection(parcel, descriptors.next()?.into()))
            .collect();
        let mut reasons = BTreeMap::<_, usize>::new();
        for parcel in &household.sessions {
            let connection = parcel.connection.map(|place| connections.get(place).and_then(Option::as_ref));
            let settled = match connection {
                Some(None) => Err("its connection is not taken on"),
                connection => settling.session(parcel, connection.flatten()),
            };
            if let Err(reason) = settled {
                *reasons.entry(reason).or_default() += 1;
                self.server().counters.session_ended(NOT_TAKEN_OVER);
            }
        }
        lost.sessions = reasons.values().sum();
        for (reason, sessions) in reasons {
            tracing::warn!(sessions, "viewers are not taken over, and have to come again: {reason}");
        }
        lost.connections = connections.iter().filter(|connection| connection.is_none()).count();
        // Who hears before who speaks.
        let (halves, whole): (Vec<_>, Vec<_>) =
            connections.into_iter().flatten().partition(|connection| matches!(connection, Settled::Half(_)));
        whole.into_iter().chain(halves).for_each(Settled::go_on);
        lost
    }
}

impl Settling<'_> {
    /// Until everybody can go on, or it has lasted too long. Packets are numbered as they were by then.
    fn wait_for_media(&self, household: &Household) {
        let mut numbered: Vec<_> = household.numbered.iter().collect();
        let mut are_numbered = || {
            numbered.retain(|numbered| !self.is_numbered(numbered));
            numbered.is_empty()
        };
        while !are_numbered() && self.now.elapsed() < BEHIND {
            thread::sleep(LOOK);
        }
        let is_to_come = |session: &SessionParcel| {
            let Some(channel) = self.server.catalogue.find(&session.channel) else { return false };
            session.tracks.iter().any(|parcel| {
                let track = channel.track(parcel.number);
                let after = track.zip(parcel.last).map(|(track, last)| track.rtp.ring().goes_on_after(last));
                after == Some(GoesOn::ToCome)
            })
        };
        while household.sessions.iter().any(is_to_come) && self.now.elapsed() < BEHIND {
            thread::sleep(LOOK);
        }
    }

    /// Has a track numbered as it was. `false`: it can not be, yet.
    fn is_numbered(&self, Numbered { channel, track, signpost }: &Numbered) -> bool {
        let Some(channel) = self.server.catalogue.find(channel) else { return true };
        channel.tracks.iter().find(|own| own.number == *track).is_none_or(|track| track.number_by(signpost))
    }

    fn adopt(&self, local: SocketAddr, sockets: ServerPair) {
        let port = sockets.port;
        if let Err(error) = self.server.pairs.adopt(local, sockets) {
            tracing::warn!(%local, port, %error, "a server port pair could not be taken over");
        }
    }

    fn connection(&self, parcel: &ConnectionParcel, socket: TcpStream) -> Option<Settled> {
        let server = &self.server;
        let account = server.addresses.account(parcel.client.ip());
        let share = account.take_over(Good::Connections, 1);
        let transport = match parcel.speaks {
            Speaks::Rtsp | Speaks::Something => Transport::Tcp,
            Speaks::Http | Speaks::TunnelDown(_) | Speaks::TunnelUp(_) => Transport::Http,
        };
        let place = Place::new(share, server.counters.clone(), transport);
        let arrival = Arrival::new(Arc::new(socket), parcel.client, account, place).ok()?;
        let halves = self.door.halves();
        Some(match &parcel.speaks {
            Speaks::TunnelDown(cookie) => Settled::Rtsp(halves.move_down(cookie, arrival, parcel).ok()?),
            Speaks::TunnelUp(cookie) => Settled::Half(halves.move_up(cookie, arrival, parcel).ok()?),
            Speaks::Http => Settled::Http(Outgoing::moved(server, arrival, &parcel.unsent).ok()?),
            Speaks::Rtsp | Speaks::Something => {
                let http = self.door.speaks_http();
                Settled::Rtsp(RtspConnection::moved(server.clone(), arrival, parcel, http).ok()?)
            }
        })
    }

    fn session(&self, parcel: &SessionParcel, connection: Option<&Settled>) -> Result<(), Reason> {
        let (server, now) = (&self.server, self.now);
        let channel = server.catalogue.find(&parcel.channel).ok_or("its channel is not served")?;
        let home = connection.and_then(Settled::home).cloned().unwrap_or_default();
        let account = server.addresses.account(parcel.peer);
        let place = account.take_over(Good::Sessions, 1);
        let claim = channel.claim(now).map_err(|LineFull| "the line carries no more")?;
        let story = Story::moved(parcel.number, &server.teller, parcel.client, channel.clone());
        let began = now.checked_sub(Duration::from_millis(parcel.age_ms)).unwrap_or(now);
        let session = Session::new(parcel.id.clone(), channel, (parcel.peer, &home), (place, story), began);
        let session = Arc::new(session);
        session.claim(claim);
        session.touch(now);
        for track in &parcel.tracks {
            self.set_up(&session, (&home, connection), &account, track)?;
        }
        server.sessions.take_over(&session);
        connection.into_iter().for_each(|connection| connection.adopt(&session));
        session.go_on(parcel, now);
        if connection.is_some() {
            SessionWatch::start(server, &session, now);
        } else {
            session.leave(&home, now);
            SessionWatch::await_return(server, &session, now);
        }
        Ok(())
    }

    fn set_up(
        &self,
        session: &Arc<Session>,
        (home, connection): (&Arc<Home>, Option<&Settled>),
        account: &Arc<Account>,
        parcel: &TrackParcel,
    ) -> Result<(), Reason> {
        let own = session.channel.track(parcel.number);
        let track = own.ok_or("its channel has other tracks")?;
        let egress = account.take_over(Good::Egress, track.rtp.ring().bits_per_second());
        // One whose connection is gone takes none of anybody's.
        let alone = Room::default();
        let output = connection.and_then(Settled::output);
        let room = output.map_or(&alone, |output| &output.room);
        let memory = room.for_setup(parcel.url.len()).ok_or(TOO_MUCH)?;
        let way = self.way(session, track, connection, (parcel.grant, parcel.is_unsure)).ok_or(NO_WAY)?;
        session.set_up(home, (track, &parcel.url), Some(way), Costs { egress, memory });
        match (parcel.apart, parcel.rtx) {
            (Some(grant), Some(rtx)) => {
                let way = self.way(session, track, connection, (grant, false)).ok_or(NO_WAY)?;
                let memory = room.for_setup(0).ok_or(TOO_MUCH)?;
                session.set_up_again(track.number, rtx, Retransmission { way, memory });
            }
            (_, rtx) => session.repair_by(track.number, rtx),
        }
        Ok(())
    }

    /// The way that a viewer was granted for a track.
    fn way(
        &self,
        session: &Arc<Session>,
        track: &Arc<Track>,
        connection: Option<&Settled>,
        (grant, is_unsure): (Grant, bool),
    ) -> Option<Box<dyn Way>> {
        let reserve = |pair, announced, at| -> Option<Arc<Reservation>> {
            let owner = self.server.taker_of(session, track.number);
            RefusalWatch::start(&self.server, self.now);
            self.server.pairs.reserve_again(pair, (announced, at), is_unsure, &owner)
        };
        let marks = track.rtcp.marks();
        Some(match grant {
            Grant::Udp { local, client, at: (rtp, rtcp), server: (port, _) } => {
                Box::new(OverUdp::new(reserve((local, port), client, [rtp, rtcp])?, marks))
            }
            Grant::Raw { local, client, at, server } => {
                Box::new(Raw::new(reserve((local, server), (client, client), [at; 2])?))
            }
            Grant::Multicast { .. } => {
                let seat = self.server.out_groups.seat(&session.channel.name, track.number).ok()?;
                Box::new(Multicast::new(seat, marks))
            }
            Grant::Interleaved { channels } => {
                let output = connection?.output()?.clone();
                Box::new(Interleaved::new(output, channels, track.rtp.marks()))
            }
            Grant::Http => match connection? {
                Settled::Http(outgoing) => Box::new(outgoing.way(track)),
                Settled::Rtsp(_) | Settled::Half(_) => return None,
            },
        })
    }
}

impl Settled {
    fn home(&self) -> Option<&Arc<Home>> {
        match self {
            Self::Rtsp(connection) => Some(&connection.home),
            Self::Http(outgoing) => Some(&outgoing.home),
            Self::Half(_) => None,
        }
    }

    fn output(&self) -> Option<&Arc<Output>> {
        match self {
            Self::Rtsp(connection) => Some(&connection.output),
            Self::Http(outgoing) => Some(&outgoing.output),
            Self::Half(_) => None,
        }
    }

    fn adopt(&self, session: &Arc<Session>) {
        match self {
            Self::Rtsp(connection) => connection.adopt(session),
            Self::Http(outgoing) => outgoing.carry(session),
            Self::Half(_) => {}
        }
    }

    fn go_on(self) {
        match self {
            Self::Rtsp(connection) => {
                if let Err(error) = connection.be_heard() {
                    tracing::warn!(client = %connection.peer, %error, "a connection that was taken over can not be polled");
                }
            }
            Self::Http(outgoing) => outgoing.attend(),
            Self::Half(joins) => joins(),
        }
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::super::tests::Rig;
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn session(number: u64, channel: &str, connection: Option<usize>) -> SessionParcel {
        let peer = IpAddr::from(Ipv4Addr::LOCALHOST);
        SessionParcel {
            id: format!("{number:024}"),
            number,
            channel: channel.to_owned(),
            peer,
            client: (peer, 4000).into(),
            agent: None,
            sent: Default::default(),
            age_ms: 1000,
            is_paused: false,
            connection,
            tracks: Vec::new(),
        }
    }

    #[test]
    fn what_can_not_be_taken_over_is_counted_and_all_else_is_whatever_the_limits_are() {
        let rig = Rig::with_connections(1);
        rig.server.sessions.limit_all(1, 1);
        let door = FrontDoor::new(rig.server.clone(), None, false);
        let sessions = vec![
            session(7, "news", None),
            session(8, "news", None),
            session(9, "absent", None),
            session(10, "news", Some(0)),
        ];
        let lost = door.settle(&Household { sessions, ..Household::default() }, Vec::new());
        assert_eq!(lost, NotMoved { sessions: 2, connections: 0 });
        assert_eq!(rig.server.stats().sessions_ended[NOT_TAKEN_OVER], 2);
        assert_eq!(rig.server.sessions_now(), 2, "of which there may be one");
        assert_eq!(rig.server.teller.number(), 9, "the log goes on behind those that it had");
        drop(door);
        rig.stop();
    }
}
