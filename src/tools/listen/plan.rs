//! What to listen to, as it was asked for. Joins nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::ops::config::{self, Interface, described_by};
use crate::wire::sdp::TrackDescription;
use crate::wire::source_url::{InvalidSourceUrl, SourceUrl};

/// What to listen to, where, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What to listen to.
    pub source: ListenSource,
    /// Where; by the kernel's route where absent.
    pub interface: Option<Interface>,
    /// For how long.
    pub length: Duration,
}

/// A source as a channel of the config has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenSource {
    /// A source string.
    Url(SourceUrl),
    /// A session description.
    File(PathBuf),
}

impl FromStr for ListenSource {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        match typed.parse() {
            Ok(url) => Ok(Self::Url(url)),
            Err(InvalidSourceUrl::NoScheme(_)) if Path::new(typed).exists() => Ok(Self::File(typed.into())),
            Err(error @ InvalidSourceUrl::NoScheme(_)) => {
                Err(format!("{error}; nor is it the path of an SDP file"))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl fmt::Display for ListenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::File(file) => file.display().fmt(f),
        }
    }
}

impl Plan {
    /// A plan, unless two interfaces are named, or what is named is none.
    pub fn new(source: ListenSource, interface: Option<&str>, length: Duration) -> Result<Self, String> {
        let by_source = match &source {
            ListenSource::Url(url) => url.interface.as_deref(),
            ListenSource::File(_) => None,
        };
        if let (Some(one), Some(other)) = (by_source, interface)
            && one != other
        {
            return Err(format!("the source names interface {one}, --interface {other}; leave one out"));
        }
        let interface = interface.or(by_source).map(config::interface).transpose()?;
        Ok(Self { source, interface, length })
    }

    /// The tracks of the source.
    pub fn tracks(&self) -> Result<Vec<TrackDescription>, String> {
        Ok(match &self.source {
            ListenSource::Url(url) => url.presentation("").tracks,
            ListenSource::File(file) => described_by(file, &file.display().to_string())?.tracks,
        })
    }
}
