//! What the RTSP server is told, from the config.

use std::sync::Arc;

use crate::serve::{
    AccessConfig, Certificates, FailureLimits, Limits, Listing, OutGroup, Rule, ServerConfig, SiteConfig,
};

use super::super::config::{ChannelConfig, Config, HttpConfig, MulticastOut, RtspConfig, UdpPorts};

/// How the server is to serve.
pub(super) fn server_config(
    config: &Config,
    certificates: Option<Arc<Certificates>>,
    instance: &str,
) -> ServerConfig {
    let RtspConfig { udp_ports, dont_fragment, session_timeout, longest_silence, close_grace, .. } =
        config.rtsp;
    ServerConfig {
        udp_ports: match udp_ports {
            UdpPorts::Any => None,
            UdpPorts::Range { first, last } => Some(first..=last),
        },
        dont_fragment,
        learning: config.rtsp.learn_ports,
        transports: config.rtsp.transports.clone(),
        session_timeout,
        longest_silence,
        close_grace,
        repair_agents: Arc::new(config.rtsp.repair_agents.clone()),
        clear_media: config.rtsp.tls.as_ref().is_some_and(|tls| tls.clear_media),
        certificates,
        multicast_out: config.channels.iter().filter_map(out_group).collect(),
        channel_sessions: config.channels.iter().filter_map(most_sessions).collect(),
        listings: config.channels.iter().map(listing).collect(),
        limits: Limits {
            connections: config.limits.connections,
            connections_per_address: config.limits.connections_per_address,
            sessions: config.limits.sessions,
            sessions_per_address: config.limits.sessions_per_address,
            sessions_per_channel: config.limits.sessions_per_channel,
            unread_bytes_per_address: config.limits.unread_bytes_per_address,
            egress: config.limits.egress_mbit as u64 * 1_000_000,
            egress_per_address: config.limits.egress_mbit_per_address as u64 * 1_000_000,
        },
        redirect: config.limits.redirect.clone(),
        redirect_tls: config.limits.redirect_tls.clone(),
        instance: instance.to_owned(),
    }
}

/// Who is to be let in.
pub(in crate::ops) fn access_config(config: &Config) -> AccessConfig {
    let access = &config.access;
    let most = u32::try_from(access.failures_per_address).unwrap_or(u32::MAX);
    AccessConfig {
        users: access.users.clone(),
        networks: access.networks.clone(),
        failures: FailureLimits { most, pause: access.failure_pause },
        nonce_lifetime: access.nonce_lifetime,
        tokens: config.http.as_ref().map(|http| http.tokens.clone()).unwrap_or_default(),
        channels: rules(config).map(|(name, rule)| (name.clone(), rule.clone())).collect(),
    }
}

/// Those of channels and of libraries.
fn rules(config: &Config) -> impl Iterator<Item = (&String, &Rule)> {
    let libraries = config.storage.iter().flat_map(|storage| &storage.libraries);
    let channels = config.channels.iter().map(|channel| (&channel.name, &channel.settings.rule));
    channels.chain(libraries.map(|library| (&library.name, &library.rule)))
}

fn out_group(channel: &ChannelConfig) -> Option<(String, OutGroup)> {
    let MulticastOut { group, ttl, interface, is_announced } = channel.multicast_out.clone()?;
    let interface = interface.as_ref().map(ToString::to_string);
    Some((channel.name.clone(), OutGroup { group, ttl, interface, is_announced }))
}

fn most_sessions(channel: &ChannelConfig) -> Option<(String, usize)> {
    Some((channel.name.clone(), channel.settings.sessions?))
}

fn listing(channel: &ChannelConfig) -> (String, Listing) {
    (channel.name.clone(), channel.settings.listing.clone())
}

/// How the site presents itself.
pub(super) fn site_config(http: &HttpConfig) -> SiteConfig {
    let HttpConfig { url, name, guide, time_zone, .. } = http.clone();
    SiteConfig { url, name, guide, time_zone }
}
