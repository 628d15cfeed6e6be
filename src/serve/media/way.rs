//! A Way: how a track's packets reach a viewer. Knows not what carries them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::relay::{Alias, Carriage, Expected, Handover, Place, Sent, Track};
use crate::wire::rtsp::transport::{Profile, Transport};

use super::super::journal::{self, Story};
use super::port_pairs::Reservation;
use super::taker::Learnt;

/// How a track reaches a viewer, whether packets are on the way or not. Ends as it goes.
pub trait Way: Send {
    /// What the viewer was granted.
    fn grant(&self) -> Grant;

    /// Has packets sent: RTP and RTCP from these places on. They are a part of the viewer's `story`.
    fn start(&mut self, track: &Track, from: (Place, Place), story: &Arc<Story>);

    /// Has no more packets sent. Where others go on they are told how far these came.
    fn stop(&mut self, heirs: Option<&Heirs>);

    /// Sends RTCP of our own.
    fn say(&self, rtcp: &[u8]);

    /// What the viewer was sent of RTP since it began, and how many packets are there that it was not sent yet. `None`: it has not.
    fn progress(&self) -> Option<(Sent, u64)>;

    /// The number of the packet that its viewer is to get next, while packets are sent, as far as that is known. Nothing is being sent as
    /// it is asked for.
    fn settled(&self) -> Option<u64>;

    /// Its viewer asks for packets again so from now on, where it may.
    fn repair(&mut self, _: &Asks) {}

    /// Its viewer's places, where something else may be sent too.
    fn places(&self) -> Option<Arc<Reservation>> {
        None
    }

    /// Its viewer is there, as has been learnt: packets that are on the way go there from here on. `None`: it is not about
    /// this way.
    fn follow(&mut self, _: &Learnt, _: &Track, _: &Arc<Story>) -> Option<Followed> {
        None
    }

    /// Whether it may yet be learnt that its viewer is elsewhere.
    fn is_unsure(&self) -> bool {
        false
    }
}

/// What a viewer may ask for again, and how it has that.
#[derive(Clone, Default)]
pub struct Asks {
    /// The first packet that it was sent, by this way or one before.
    pub first: u64,
    /// By what numbers it has the packets, if not by their own.
    pub alias: Option<Alias>,
    /// Its SSRC, as far as its reports tell it.
    pub ssrc: Option<u32>,
    /// The way there and back, as they tell that.
    pub round_trip: Option<Duration>,
    /// The payload type under which it has it as a stream of its own; else it has it as it was.
    pub rtx: Option<u8>,
    /// Where that stream goes; else it goes with the track.
    pub apart: Option<Arc<Reservation>>,
}

/// What came of something that was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// The viewer is where it said.
    Stays,
    Moves,
}

/// What a viewer was granted for a track, in its own terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    Udp {
        /// Whom it connected to; of no port.
        local: SocketAddr,
        /// Where it said that it takes RTP and RTCP.
        client: (SocketAddr, SocketAddr),
        /// Where it does.
        at: (SocketAddr, SocketAddr),
        /// The ports that these come from.
        server: (u16, u16),
    },
    /// A transport stream without RTP.
    Raw {
        /// Whom it connected to; of no port.
        local: SocketAddr,
        /// Where it said that it takes it.
        client: SocketAddr,
        /// Where it does.
        at: SocketAddr,
        /// The port that it comes from.
        server: u16,
    },
    /// A group, its ports for RTP and RTCP, and how far packets go.
    Multicast { group: IpAddr, ports: (u16, u16), ttl: u8 },
    /// The connection's channels for RTP and RTCP.
    Interleaved { channels: (u8, u8) },
    /// The connection, which is an HTTP viewer's.
    Http,
}

/// Who goes on with RTP and RTCP.
pub struct Heirs {
    pub rtp: Arc<Handover>,
    pub rtcp: Arc<Handover>,
}

/// Over once nobody has this any more.
pub struct Settling(pub Arc<Expected>);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.be_over();
    }
}

impl Heirs {
    pub fn new() -> Self {
        Self { rtp: Handover::new(), rtcp: Handover::new() }
    }

    /// Is told how far RTP came, where nobody goes on yet. What waits for that is dropped then.
    pub fn ended_at(&self, waits: Arc<Settling>) -> Arc<OnceLock<u64>> {
        let (end, told) = (Arc::<OnceLock<u64>>::default(), Arc::downgrade(&self.rtp));
        let slot = end.clone();
        self.rtp.when_told(move || {
            let place = told.upgrade().and_then(|told| told.place());
            let _ = place.map(|place| slot.set(place.number)); // it is told once
            drop(waits);
        });
        end
    }

    /// Where they begin.
    pub fn places(&self) -> (Place, Place) {
        (Place::After(self.rtp.clone()), Place::After(self.rtcp.clone()))
    }
}

impl Grant {
    /// The channels of the connection that it goes by.
    pub fn channels(&self) -> Option<(u8, u8)> {
        match self {
            Self::Udp { .. } | Self::Raw { .. } | Self::Multicast { .. } | Self::Http => None,
            Self::Interleaved { channels } => Some(*channels),
        }
    }

    pub fn uses_channel(&self, channel: u8) -> bool {
        self.channels().is_some_and(|(rtp, rtcp)| [rtp, rtcp].contains(&channel))
    }

    pub fn carriage(&self) -> Carriage {
        match self {
            Self::Udp { .. } => Carriage::Udp,
            Self::Raw { .. } => Carriage::Raw,
            Self::Multicast { .. } => Carriage::Multicast,
            Self::Interleaved { .. } => Carriage::Tcp,
            Self::Http => Carriage::Http,
        }
    }

    /// Whether it goes by the connection of who asked for it.
    pub fn is_in_connection(&self) -> bool {
        Carriage::STREAMS.contains(&self.carriage())
    }

    /// Whether the viewer takes packets at this address.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        match self {
            Self::Udp { at: (rtp, rtcp), .. } => [*rtp, *rtcp].contains(&address),
            Self::Raw { at, .. } => *at == address,
            Self::Multicast { .. } | Self::Interleaved { .. } | Self::Http => false,
        }
    }

    /// The Transport header that grants it. Over HTTP there is none.
    pub fn header(&self, profile: Profile) -> String {
        match self {
            Self::Udp { client: (rtp, rtcp), server, .. } => {
                Transport::udp_reply(profile, (rtp.port(), rtcp.port()), *server)
            }
            Self::Raw { client, server, .. } => Transport::raw_reply(profile, client.port(), *server),
            Self::Multicast { group, ports, ttl } => {
                Transport::multicast_reply(profile, *group, *ports, *ttl)
            }
            Self::Interleaved { channels } => Transport::interleaved_reply(profile, *channels),
            Self::Http => String::new(),
        }
    }

    /// In the words of the log.
    pub fn told(&self) -> journal::Way {
        match self {
            Self::Udp { at: (rtp, rtcp), server, .. } => {
                journal::Way::Udp { client: (rtp.port(), rtcp.port()), server: *server }
            }
            Self::Raw { at, server, .. } => journal::Way::Raw { client: at.port(), server: *server },
            Self::Multicast { group, ports, .. } => journal::Way::Multicast { group: *group, ports: *ports },
            Self::Interleaved { channels } => journal::Way::Tcp { channels: *channels },
            Self::Http => journal::Way::Http,
        }
    }
}
