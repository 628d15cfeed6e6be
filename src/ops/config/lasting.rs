//! What lasts from one start to the next: keys of which a reload changes nothing, as what is made by them is made once.

use super::truth::{Config, HttpConfig, LimitsConfig, RtspConfig};

/// Whether two configs differ in a key.
type Differs = fn(&Config, &Config) -> bool;

const LASTING: &[(&str, Differs)] = &[
    ("[engine] poll_table_entries", |a, b| a.engine.poll_table_entries != b.engine.poll_table_entries),
    ("[engine] media_workers", |a, b| a.engine.media_workers != b.engine.media_workers),
    ("[engine] control_workers", |a, b| a.engine.control_workers != b.engine.control_workers),
    ("[engine] busy_percent", |a, b| a.engine.busy_percent != b.engine.busy_percent),
    ("[ring] max_age", |a, b| a.ring.max_age != b.ring.max_age),
    ("[ring] max_bytes", |a, b| a.ring.max_bytes != b.ring.max_bytes),
    ("[admin] listen", |a, b| a.admin.listen != b.admin.listen),
    ("[admin] certificate, private_key", |a, b| a.admin.tls != b.admin.tls),
    ("[sap]", |a, b| a.sap != b.sap),
    ("[storage], [[library]]", |a, b| a.storage != b.storage),
    ("[rtsp] udp_ports", |a, b| a.rtsp.udp_ports != b.rtsp.udp_ports),
    ("[rtsp] dont_fragment", |a, b| a.rtsp.dont_fragment != b.rtsp.dont_fragment),
    ("[rtsp] learn_ports", |a, b| a.rtsp.learn_ports != b.rtsp.learn_ports),
    ("[rtsp] certificate, private_key", |a, b| key_files(&a.rtsp) != key_files(&b.rtsp)),
    ("[http]", |a, b| a.http.is_some() != b.http.is_some()),
    ("[http] share_ports", |a, b| shares(a).zip(shares(b)).is_some_and(|(a, b)| a != b)),
    ("[http] open, open_channels, interface, linger", |a, b| open_groups(a) != open_groups(b)),
    ("[limits] burst_mbit", |a, b| a.limits.burst_mbit != b.limits.burst_mbit),
    ("[limits] repair_mbit", |a, b| a.limits.repair_mbit != b.limits.repair_mbit),
    ("[limits] membership_changes", |a, b| a.limits.membership_changes != b.limits.membership_changes),
    ("[limits] line_groups, line_mbit", |a, b| line(&a.limits) != line(&b.limits)),
    ("[access] nonce_lifetime", |a, b| a.access.nonce_lifetime != b.access.nonce_lifetime),
    ("[access] failures_per_address, failure_pause", |a, b| failures(a) != failures(b)),
];

/// The keys that are asked for otherwise than it was when the program was started.
#[must_use]
pub fn waiting(asked: &Config, started: &Config) -> Vec<&'static str> {
    let differing = LASTING.iter().filter(|(_, differs)| differs(asked, started));
    differing.map(|(key, _)| *key).collect()
}

fn key_files(rtsp: &RtspConfig) -> Option<&crate::serve::KeyFiles> {
    rtsp.tls.as_ref().map(|tls| &tls.files)
}

fn shares(config: &Config) -> Option<bool> {
    config.http.as_ref().map(|http| http.share_ports)
}

fn open_groups(config: &Config) -> Option<impl PartialEq> {
    let read =
        |http: &HttpConfig| (http.open.clone(), http.open_channels, http.interface.clone(), http.linger);
    // Nothing that is open is as good as no site.
    config.http.as_ref().map(read).filter(|(open, ..)| !open.is_empty())
}

fn line(limits: &LimitsConfig) -> [Option<usize>; 2] {
    [limits.line_groups, limits.line_mbit]
}

fn failures(config: &Config) -> impl PartialEq {
    (config.access.failures_per_address, config.access.failure_pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        let text = format!("{text}\n[[channel]]\nname = \"a\"\nsource = \"rtp://239.1.1.1:5004\"\n");
        Config::parse(&text, Path::new("test")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_waits_for_a_start_is_named_and_nothing_else() {
        let started = config("");
        let changed = [
            ("[engine]\nmedia_workers = 7\ncontrol_workers = 2\n", vec!["[engine] media_workers"]),
            ("[ring]\nmax_age = \"3s\"\n", vec!["[ring] max_age"]),
            ("[admin]\nlisten = \"127.0.0.1:9999\"\n", vec!["[admin] listen"]),
            ("[limits]\nline_groups = 8\nsessions = 9\n", vec!["[limits] line_groups, line_mbit"]),
            ("[access]\nfailure_pause = \"3s\"\n", vec!["[access] failures_per_address, failure_pause"]),
            ("[rtsp]\nsession_timeout = \"30s\"\ntransports = [\"tcp\"]\n", vec![]),
            ("[log]\nformat = \"json\"\n", vec![]),
        ];
        for (text, expected) in changed {
            assert_eq!(waiting(&config(text), &started), expected, "{text}");
        }
    }

    #[test]
    fn a_comment_is_no_change() {
        let (one, other) = (config("# one"), config("[rtsp]\nsession_timeout = \"60s\""));
        assert!(one.means_the_same(&other) && one.revision != other.revision);
        assert!(!one.means_the_same(&config("[limits]\nsessions = 9\n")));
    }
}
