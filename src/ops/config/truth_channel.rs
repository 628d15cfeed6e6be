//! What is true of a channel: what it is, and how it is received and served.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::ingest::Redundancy;
use crate::ingest::pull::Pull;
use crate::net::Marks;
use crate::relay::{Coalesce, EnterAt, OfferRepair};
use crate::serve::{Listing, Rule};
use crate::storage::{FileSource, Keep};
use crate::wire::sdp::{Feed, Presentation, TrackDescription};

/// `[[channel]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The path of its URL, without the leading slash.
    pub name: String,
    /// What was named as its input, for messages: the source URL, or the path of the session description.
    pub input: String,
    /// The session description that it was read from, if it was.
    pub file: Option<PathBuf>,
    /// Its tracks, each with group, port and source: as its session description has it, or one MPEG
    /// transport stream in RTP for a source URL. Of what others describe none is known.
    pub presentation: Presentation,
    /// Who brings it.
    pub origin: Origin,
    /// What stands by for its sources, if something does.
    pub standby: Option<FileSource>,
    /// How it is received and served.
    pub settings: ChannelSettings,
    /// Where it goes by multicast, for those who ask.
    pub multicast_out: Option<MulticastOut>,
}

/// Who brings a channel, and describes it if nothing else does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// It is sent to groups.
    #[default]
    Groups,
    /// A server, which is asked.
    Server(Pull),
    /// It is in files.
    Files(FileSource),
}

/// A `[[channel]]` with a `directory`: each session description in it is a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// Where the descriptions are.
    pub path: PathBuf,
    /// What the names of its channels begin with, and a slash; nothing where absent.
    pub prefix: Option<String>,
    /// How all of them are received and served.
    pub settings: ChannelSettings,
}

/// How a channel is received and served, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSettings {
    /// The interface to join groups on; `None` leaves it to the kernel's route.
    pub interface: Option<Interface>,
    /// That of each leg, where they have one each.
    pub interfaces: Vec<Option<Interface>>,
    /// How several legs are one stream, where it comes by several.
    pub redundancy: Redundancy,
    /// How long its groups stay joined after the last who watched; always where absent.
    pub on_demand: Option<Duration>,
    /// How often the network is told of its groups again, whether or not it asks; never where absent.
    pub renew: Option<Duration>,
    /// How long its tracks may be without a packet before the channel counts as silent.
    pub silent_after: Duration,
    /// How long packets may wait to be sent together.
    pub coalesce: Coalesce,
    /// Where those begin who come.
    pub enter_at: EnterAt,
    /// What a viewer is sent again at most, in per cent of the stream's rate.
    pub repair_percent: u32,
    /// Who is offered to have it.
    pub offer_repair: OfferRepair,
    /// What the IP header of its packets says.
    pub marks: Marks,
    /// Who may watch it, and from where.
    pub rule: Rule,
    /// Sessions of it at a time, if that is said for it alone.
    pub sessions: Option<usize>,
    /// How it is listed.
    pub listing: Listing,
    /// How much of it is kept, if it is recorded.
    pub keep: Option<Keep>,
}

/// What holds where nothing is said.
impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            interface: None,
            interfaces: Vec::new(),
            redundancy: Redundancy::default(),
            on_demand: None,
            renew: None,
            silent_after: Duration::from_secs(2),
            coalesce: Coalesce::default(),
            enter_at: EnterAt::default(),
            repair_percent: 20,
            offer_repair: OfferRepair::Known,
            marks: Marks::default(),
            rule: Rule::default(),
            sessions: None,
            listing: Listing::default(),
            keep: None,
        }
    }
}

impl ChannelSettings {
    /// The interface of a leg, from 0.
    #[must_use]
    pub fn interface_of(&self, leg: usize) -> Option<&Interface> {
        self.interfaces.get(leg).unwrap_or(&self.interface).as_ref()
    }
}

impl ChannelConfig {
    /// Its feeds, each with the interface that it is received on.
    pub fn feeds(&self) -> impl Iterator<Item = (&Feed, Option<&Interface>)> {
        feeds_on(&self.presentation, &self.settings)
    }
}

/// The feeds of a presentation, each with the interface that it is received on.
pub(super) fn feeds_on<'c>(
    presentation: &'c Presentation,
    settings: &'c ChannelSettings,
) -> impl Iterator<Item = (&'c Feed, Option<&'c Interface>)> {
    let of_track = |track: &'c TrackDescription| track.feeds.iter().zip(0..);
    presentation.tracks.iter().flat_map(of_track).map(|(feed, leg)| (feed, settings.interface_of(leg)))
}

/// A group that a channel is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MulticastOut {
    /// The group, and the port of the first track's RTP; RTCP and further tracks follow.
    pub group: SocketAddr,
    /// How many routers packets may pass, and one.
    pub ttl: u8,
    /// By which interface; `None` leaves it to the kernel's route.
    pub interface: Option<Interface>,
    /// Whether it is announced, and sent whoever asks for it.
    pub is_announced: bool,
}

/// An interface, as its name or an address of it; which one that is, is found when it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Interface {
    /// A name such as `eth0`.
    Name(String),
    /// An address that the interface holds.
    Address(IpAddr),
}

impl std::fmt::Display for Interface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}
