//! What was found on the machine: of what, how it is, and what to do. Knows not how it is shown.

use super::super::saying::found_and_remedy;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Of what kind it is.
    pub area: Area,
    /// Which one: an address, an interface, a setting.
    pub subject: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, where there is something.
    pub remedy: Option<String>,
}

/// What is looked at, in the order in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// The config, by itself.
    Config,
    /// Who may read what, and listen where.
    Permission,
    /// Addresses and ports that are listened on, and received on.
    Port,
    /// Interfaces that groups are joined on.
    Interface,
    /// Who asks a network for its groups, and in which protocol.
    Querier,
    /// Whether the kernel drops what named senders send.
    RpFilter,
    /// How many groups and senders a socket may join.
    Memberships,
    /// Other settings of the kernel.
    Sysctl,
    /// The limits of the process.
    Limit,
    /// The time of day, and until when the certificate is valid.
    Clock,
    /// Where recordings are, how much room there is, and what is kept of each channel.
    Storage,
}

/// How something is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// Worth knowing, or not to be known.
    Note,
    /// It works, but worse than it could.
    Warn,
    /// It does not work.
    Fail,
}

impl Area {
    /// As it is told.
    pub fn label(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Permission => "permission",
            Self::Port => "port",
            Self::Interface => "interface",
            Self::Querier => "querier",
            Self::RpFilter => "rp_filter",
            Self::Memberships => "memberships",
            Self::Sysctl => "sysctl",
            Self::Limit => "limit",
            Self::Clock => "clock",
            Self::Storage => "storage",
        }
    }
}

impl State {
    /// As it is told.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Finding {
    /// What is said of it may end in a remedy.
    pub fn new(area: Area, subject: impl Into<String>, state: State, said: &str) -> Self {
        let (found, remedy) = found_and_remedy(said);
        Self {
            area,
            subject: subject.into(),
            state,
            found: found.to_owned(),
            remedy: remedy.map(str::to_owned),
        }
    }
}
