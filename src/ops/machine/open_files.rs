//! The limit on open files: raised as far as it goes, and what a config takes of it.

use std::fmt;
use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::super::config::Config;
use super::finding::{Area, Finding, State};
use crate::storage::MOST_FILMS;

/// What is open besides connections, groups, server ports and poll tables: sockets beside these ports, listeners, the
/// admin endpoint and its clients, timers, the log.
const REST: u64 = 970;
/// For each pair of server ports: the two, and one that asks for the sizes of paths.
const PER_PAIR: u64 = 3;
/// For each track: its groups' RTP and RTCP, where none shares a socket.
const PER_TRACK: u64 = 2;
/// For each poll table: its epoll and its eventfd.
const PER_TABLE: u64 = 2;
/// For each track of a channel that is recorded: its media and its index.
const PER_RECORDED_TRACK: u64 = 2;
/// For each who watches the past: media and index of two tracks.
const PER_PAST_VIEWER: u64 = 4;

/// A config that takes more than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    needed: u64,
    connections: u64,
    allowed: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, connections, allowed } = self;
        write!(
            f,
            "limits.connections = {connections} takes {needed} open files with all else, and a process may have \
             {allowed} here; set LimitNOFILE={needed} in the unit (`ulimit -Hn {needed}` by hand), or lower \
             limits.connections"
        )
    }
}

/// Raises the limit as far as it goes without privilege, and tells whether the config fits.
///
/// # Errors
/// The limit can not be read.
pub fn make_room(config: &Config) -> io::Result<Option<Shortage>> {
    let allowed = raise(0)?;
    Ok(shortage(config, allowed))
}

/// Whether the config would fit into a process that is started as this one was. Where the limit can not be read there is nothing to
/// say about it.
pub fn look(config: &Config) -> Option<Finding> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let new = |state, said: &str| Finding::new(Area::Limit, "open files", state, said);
    Some(match shortage(config, hard) {
        Some(shortage) => new(State::Warn, &shortage.to_string()),
        None => new(State::Ok, &format!("{} are taken at most, and {hard} allowed", needed(config))),
    })
}

/// Raises the limit to the hard one, and beyond where more is needed and the privilege is there. Returns what is
/// allowed then.
pub(crate) fn raise(needed: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Whether there is the privilege, trying tells best.
    for limit in [needed.max(hard), hard] {
        if limit > soft && setrlimit(Resource::RLIMIT_NOFILE, limit, limit.max(hard)).is_ok() {
            return Ok(limit);
        }
    }
    Ok(soft)
}

fn shortage(config: &Config, allowed: u64) -> Option<Shortage> {
    let (needed, connections) = (needed(config), config.limits.connections as u64);
    (needed > allowed).then_some(Shortage { needed, connections, allowed })
}

fn needed(config: &Config) -> u64 {
    let connections = config.limits.connections as u64;
    let tracks: u64 = config.channels.iter().map(|channel| channel.presentation.tracks.len() as u64).sum();
    let pairs = config.rtsp.udp_ports.rtp_ports().count() as u64;
    let registered = connections + PER_TRACK * tracks + PER_PAIR * pairs + REST;
    let tables = registered.div_ceil(config.engine.poll_table_entries as u64);
    registered + PER_TABLE * tables + of_storage(config)
}

/// Files of recordings, and of films.
fn of_storage(config: &Config) -> u64 {
    let Some(storage) = &config.storage else { return 0 };
    let recorded = config.channels.iter().filter(|channel| channel.settings.keep.is_some());
    let tracks: u64 = recorded.map(|channel| channel.presentation.tracks.len() as u64).sum();
    let films = if storage.libraries.is_empty() { 0 } else { MOST_FILMS as u64 };
    let viewers = if tracks > 0 { PER_PAST_VIEWER * storage.limits.viewers as u64 } else { 0 };
    PER_RECORDED_TRACK * tracks + viewers + films
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_config_fits_or_is_told_how_it_would() {
        let text =
            "[limits]\nconnections = 5000\n[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\n";
        let config = Config::parse(text, Path::new("mirrorball.toml")).expect("a right config");
        let told = shortage(&config, 4096).expect("5000 connections do not fit").to_string();
        // 6017 descriptors, in 24 tables of 256.
        for part in ["limits.connections = 5000", "LimitNOFILE=6065", "may have 4096", "ulimit -Hn 6065"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(shortage(&config, 6064).is_some());
        assert_eq!(shortage(&config, 6065), None);
        let wide =
            Config::parse(&format!("[rtsp]\nudp_ports = \"20000-29999\"\n{text}"), Path::new("wide.toml"));
        let told =
            shortage(&wide.expect("a right config"), 6065).expect("nor do 5000 pairs of ports").to_string();
        // 4985 pairs more, in 39 tables more.
        assert!(told.contains("LimitNOFILE=21136"), "{told}");
        let kept = "[storage]\ndirectory = \"/var/kept\"\nviewers = 100\n[[library]]\nname = \"films\"\ndirectory = \"/srv\"\n";
        let keeps = Config::parse(&format!("{kept}{text}record = \"2h\"\n"), Path::new("keeps.toml"));
        let told = shortage(&keeps.expect("a right config"), 6065).expect("nor do films").to_string();
        assert!(told.contains(&format!("LimitNOFILE={}", 6065 + 2 + 4 * 100 + 1024)), "{told}");
    }
}
