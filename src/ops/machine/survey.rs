//! All that is looked at for a config on this machine.

use super::super::config::Config;
use super::finding::Finding;
use super::holders::Holders;
use super::receptions::receptions;
use super::{
    interfaces, kernel_limits, libraries, listening, memberships, open_files, permissions, querier,
    recordings, reverse_path, time_of_day, udp_ports,
};

/// What is found, area by area. Nothing is joined, listened on or changed for it, and nothing is waited for.
pub fn survey(config: &Config) -> Vec<Finding> {
    let (receptions, holders) = (receptions(config), Holders::now());
    let mut found = vec![permissions::look()];
    found.extend(listening::look(config, &holders));
    found.extend(udp_ports::look(config, &receptions, &holders));
    found.extend(interfaces::look(config, &receptions));
    found.extend(querier::look(&receptions));
    found.extend(reverse_path::look(&receptions));
    found.extend(memberships::look(&receptions));
    found.extend(kernel_limits::look(config.limits.sessions));
    found.extend(open_files::look(config));
    found.extend(time_of_day::look(config));
    found.extend(recordings::look(config));
    found.extend(libraries::look(config));
    found.sort_by_key(|finding| finding.area);
    found
}
