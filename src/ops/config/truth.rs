//! What is true: the values that the program runs by, all checked, all defaults filled in. Knows
//! nothing of files and text.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::operators::AdminConfig;
use super::report::Problem;
use super::storage::StorageConfig;
use super::truth_channel::{ChannelConfig, DirectoryConfig, Interface};
use crate::ingest::announce::Rules;
use crate::relay::Carriage;
use crate::serve::{KeyFiles, Learning, Networks, RepairAgents};
use crate::wire::rtsp::Redirect;

use super::super::log::log_format::LogFormat;

/// A checked config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How viewers reach the program.
    pub rtsp: RtspConfig,
    /// How streams are served over HTTP, if they are.
    pub http: Option<HttpConfig>,
    /// How operators reach it.
    pub admin: AdminConfig,
    /// How its log is written.
    pub log: LogConfig,
    /// How it spreads its work.
    pub engine: EngineConfig,
    /// How much of a track it remembers.
    pub ring: RingConfig,
    /// How much it takes on.
    pub limits: LimitsConfig,
    /// Who may watch, and from where.
    pub access: AccessConfig,
    /// Whose announcements are taken, if any are.
    pub sap: Option<SapConfig>,
    /// Where recordings are, if there are any.
    pub storage: Option<StorageConfig>,
    /// The channels in the order of the file; names are unique, and so are their tracks' sources.
    pub channels: Vec<ChannelConfig>,
    /// Directories of session descriptions, in the order of the file; none is there twice.
    pub directories: Vec<DirectoryConfig>,
    /// What works, but worse than was meant, in the order of the file.
    pub warnings: Vec<Problem>,
    /// The file that it was read from, if it was.
    pub file: Option<PathBuf>,
    /// The file that further channels are kept in, if there is one.
    pub channels_file: Option<PathBuf>,
    /// Which text it was, in short.
    pub revision: String,
}

/// `[rtsp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtspConfig {
    /// The addresses to accept RTSP connections on; at least one, none twice.
    pub listen: Vec<SocketAddr>,
    /// How it is served through TLS, if it is.
    pub tls: Option<TlsConfig>,
    /// The addresses to accept the two connections of a tunnel on, besides those above; none twice.
    pub http_listen: Vec<SocketAddr>,
    /// The server ports that media over UDP leaves from.
    pub udp_ports: UdpPorts,
    /// Nobody cuts media over UDP into fragments: what is too large for a path is dropped.
    pub dont_fragment: bool,
    /// How it is learnt at which ports viewers behind a NAT are.
    pub learn_ports: Learning,
    /// By what media may reach viewers; at least one, none twice.
    pub transports: Vec<Carriage>,
    /// How long a session lives without a sign of its viewer; whole seconds, as the Session header has it
    /// (RFC 2326, 12.37).
    pub session_timeout: Duration,
    /// How long one that plays does while its source is silent.
    pub longest_silence: Duration,
    /// How long one over UDP does once its client has closed its connection.
    pub close_grace: Duration,
    /// Who is known to ask again for what it has lost, and how it takes that.
    pub repair_agents: RepairAgents,
}

/// The keys of `[rtsp]` that are about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The addresses to accept connections of RTSP on; none twice, and none at all where TLS is for HTTP alone.
    pub listen: Vec<SocketAddr>,
    /// What is served with: a pair that was right when the config was read.
    pub files: KeyFiles,
    /// Until when it is valid, in seconds since 1970.
    pub expires: u64,
    /// Whether media may go in the clear to those who ask through TLS.
    pub clear_media: bool,
}

/// The pool of server port pairs: RTP on an even port, RTCP on the next (RFC 3550, 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpPorts {
    /// Any pair that is free.
    Any,
    /// The pairs from `first`, which is even, to `last`, which is odd.
    Range {
        /// The RTP port of the first pair.
        first: u16,
        /// The RTCP port of the last pair.
        last: u16,
    },
}

impl UdpPorts {
    /// The RTP ports of the pairs, lowest first; empty for [`UdpPorts::Any`].
    pub fn rtp_ports(self) -> impl Iterator<Item = u16> {
        let range = match self {
            Self::Any => None,
            Self::Range { first, last } => Some((first..last).step_by(2)),
        };
        range.into_iter().flatten()
    }

    /// Whether a port is one of the pairs'; of [`UdpPorts::Any`] none is.
    pub fn holds(self, port: u16) -> bool {
        matches!(self, Self::Range { first, last } if (first..=last).contains(&port))
    }
}

/// `[http]`, where something is served by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// The addresses to accept connections on; none twice.
    pub listen: Vec<SocketAddr>,
    /// Those to accept them on through TLS; none twice.
    pub tls_listen: Vec<SocketAddr>,
    /// Whether RTSP and HTTP are served at all ports of either.
    pub share_ports: bool,
    /// Groups that are served to who names them.
    pub open: Vec<IpNet>,
    /// How many of them at a time.
    pub open_channels: usize,
    /// The interface to join them on; `None` leaves it to the kernel's route.
    pub interface: Option<Interface>,
    /// How long they stay joined after the last who watched.
    pub linger: Duration,
    /// Where the site is to be found, in place of what clients call it.
    pub url: Option<String>,
    /// Where players find the programme.
    pub guide: Option<String>,
    /// That of times which players write by a clock on the wall.
    pub time_zone: TimeZone,
    /// What the site is called.
    pub name: String,
    /// What requests need in place of a login.
    pub tokens: Vec<String>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines look, unless the command line says it.
    pub format: LogFormat,
}

/// `[engine]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// How many descriptors a poll table holds.
    pub poll_table_entries: usize,
    /// Threads that forward media; at least 1.
    pub media_workers: usize,
    /// How much of the time, in percent, they are to be at work before packets wait to be sent together.
    pub busy_percent: usize,
    /// Threads that answer requests; at least 1.
    pub control_workers: usize,
}

/// `[ring]`: both bounds hold, whichever is met first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingConfig {
    /// The age at which a packet is forgotten.
    pub max_age: Duration,
    /// The most that one track remembers.
    pub max_bytes: usize,
}

/// `[limits]`: what goes beyond is refused and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// RTSP connections at a time.
    pub connections: usize,
    /// RTSP connections at a time from one client address.
    pub connections_per_address: usize,
    /// Sessions at a time.
    pub sessions: usize,
    /// Sessions at a time from one client address.
    pub sessions_per_address: usize,
    /// Sessions at a time of one channel, unless it says otherwise.
    pub sessions_per_channel: usize,
    /// Bytes of unfinished requests and unread replies of one client address.
    pub unread_bytes_per_address: usize,
    /// Media to all clients, in Mbit a second.
    pub egress_mbit: usize,
    /// What of that those take who are brought level, in Mbit a second.
    pub burst_mbit: usize,
    /// What those are sent again who have lost something, in Mbit a second.
    pub repair_mbit: usize,
    /// How often a second groups are joined and left on demand.
    pub membership_changes: usize,
    /// Groups that are joined at once, if that is limited.
    pub line_groups: Option<usize>,
    /// Media of the channels that are joined, in Mbit a second, if that is limited.
    pub line_mbit: Option<usize>,
    /// Media to one client address, in Mbit a second.
    pub egress_mbit_per_address: usize,
    /// Who is there may stay for so long once the program takes nobody in any more.
    pub drain_timeout: Duration,
    /// Where newcomers are sent who would be too many.
    pub redirect: Option<Redirect>,
    /// Where those of them are who come through TLS.
    pub redirect_tls: Option<Redirect>,
}

/// `[access]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessConfig {
    /// The file of users, if somebody has to log in.
    pub users: Option<PathBuf>,
    /// From where all channels may be watched.
    pub networks: Networks,
    /// How long a nonce is good without being used.
    pub nonce_lifetime: Duration,
    /// How often an address may fail to log in before it has to wait.
    pub failures_per_address: usize,
    /// For how long.
    pub failure_pause: Duration,
}

/// `[sap]`, where it has others' announcements taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SapConfig {
    /// Whose, and how many.
    pub rules: Rules,
    /// The groups that they come to.
    pub groups: Vec<IpAddr>,
    /// The interface to join those on, and those of what is announced; `None` leaves it to the kernel's route.
    pub interface: Option<Interface>,
    /// How long what is announced stays joined after the last who watched; always where absent.
    pub on_demand: Option<Duration>,
}
