//! Stories of configs: what an operator types, and what comes of it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::net::Marks;
use crate::relay::Carriage;
use crate::serve::{Learning, RepairAgents};
use crate::wire::rtsp::Redirect;
use crate::wire::sdp::Repairs;

mod access;
mod channels;
mod files;
mod libraries;
mod pairs;
mod pulled;
mod recordings;
mod sap;
mod shown;
mod syntax;
mod values;

const FILE: &str = "mirrorball.toml";

/// A pair, `edge.pem` and `edge.key`, that is valid until 2040.
pub(crate) fn write_pair(directory: &Path) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec!["edge".to_owned()]).expect("a name");
    parameters.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let certificate = parameters.self_signed(&key).expect("a certificate").pem();
    fs::write(directory.join("edge.pem"), certificate).expect("a file");
    fs::write(directory.join("edge.key"), key.serialize_pem()).expect("a file");
}

#[track_caller]
fn accepted(text: &str) -> Config {
    Config::parse(text, Path::new(FILE)).unwrap_or_else(|error| panic!("{error}"))
}

/// The errors of a config, and what would work but worse.
#[track_caller]
fn refused(text: &str) -> Vec<String> {
    match Config::parse(text, Path::new(FILE)) {
        Err(ConfigError::Invalid { problems, .. }) => {
            problems.iter().map(|problem| format!("{FILE}:{problem}")).collect()
        }
        other => panic!("{text} is not refused: {other:?}"),
    }
}

/// What works, but worse.
#[track_caller]
fn warned(text: &str) -> Vec<String> {
    accepted(text).warnings.iter().map(|problem| format!("{FILE}:{problem}")).collect()
}

#[track_caller]
fn assert_says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{line:?} lacks {part:?}");
    }
}

#[test]
fn an_empty_config_has_safe_defaults() {
    let config = accepted("");
    assert_eq!(config.rtsp.listen, ["0.0.0.0:8554".parse::<SocketAddr>().expect("an address")]);
    assert_eq!(config.rtsp.udp_ports, UdpPorts::Range { first: 6970, last: 6999 });
    assert!(!config.rtsp.dont_fragment, "many a firewall swallows what routers say of it");
    assert_eq!(config.rtsp.learn_ports, Learning::Immediate, "UDP needs no config");
    assert_eq!(config.rtsp.transports, Carriage::OF_RTSP);
    assert_eq!(config.rtsp.session_timeout, Duration::from_secs(60));
    assert_eq!(config.rtsp.close_grace, Duration::from_secs(10));
    assert_eq!(config.rtsp.repair_agents, RepairAgents::default());
    assert!(config.admin.listen.ip().is_loopback(), "operators' pages are not for the network");
    assert_eq!(config.engine.poll_table_entries, 256);
    assert!(config.engine.media_workers >= 1);
    assert_eq!(config.engine.control_workers, 2);
    assert_eq!(config.ring, RingConfig { max_age: Duration::from_secs(2), max_bytes: 8 << 20 });
    let limits = LimitsConfig {
        connections: 20_000,
        connections_per_address: 2_000,
        sessions: 20_000,
        sessions_per_address: 2_000,
        sessions_per_channel: 20_000,
        unread_bytes_per_address: 4 << 20,
        egress_mbit: 1_000_000,
        burst_mbit: 1_000,
        repair_mbit: 1_000,
        membership_changes: 10,
        line_groups: None,
        line_mbit: None,
        egress_mbit_per_address: 1_000,
        drain_timeout: Duration::from_secs(300),
        redirect: None,
        redirect_tls: None,
    };
    assert_eq!(config.limits, limits);
    assert!(config.channels.is_empty());
}

#[test]
fn every_key_is_heeded() {
    let config = accepted(
        r#"
[rtsp]
listen = ["10.0.0.1:554", "[2001:db8::1]:554"]
http_listen = ["0.0.0.0:8080"]
udp_ports = "0"
dont_fragment = true
learn_ports = "delayed"
transports = ["tcp", "udp"]
session_timeout = "30s"
close_grace = "1500ms"
repair_agents = ["Box/ originals"]
[admin]
listen = "[::1]:9000"
[engine]
poll_table_entries = 64
media_workers = 3
busy_percent = 80
control_workers = 1
[ring]
max_age = "500ms"
max_bytes = 1048576
[limits]
connections = 10
sessions = 20
sessions_per_address = 5
sessions_per_channel = 15
connections_per_address = 6
unread_bytes_per_address = 70000
egress_mbit = 800
burst_mbit = 400
repair_mbit = 300
membership_changes = 3
line_groups = 2
line_mbit = 40
egress_mbit_per_address = 80
drain_timeout = "90s"
redirect = "rtsp://other.example:8554/"
redirect_tls = "rtsps://other.example:8322"
[[channel]]
name = "uk/news"
source = "rtp://10.1.1.1@232.9.9.1:5004"
interface = "eth0.100"
join = "on-demand"
linger = "30s"
renew = "60s"
silent_after = "5s"
sessions = 7
dscp = 34
ttl = 16
"#,
    );
    assert_eq!(config.rtsp.listen.len(), 2);
    assert_eq!(config.rtsp.http_listen, ["0.0.0.0:8080".parse::<SocketAddr>().expect("an address")]);
    assert_eq!(config.rtsp.tls, None);
    assert_eq!(config.rtsp.udp_ports, UdpPorts::Any);
    assert!(config.rtsp.dont_fragment);
    assert_eq!(config.rtsp.learn_ports, Learning::Delayed);
    assert_eq!(config.rtsp.transports, [Carriage::Tcp, Carriage::Udp]);
    assert_eq!(config.rtsp.session_timeout, Duration::from_secs(30));
    assert_eq!(config.rtsp.close_grace, Duration::from_millis(1500));
    assert_eq!(config.rtsp.repair_agents.0, [("Box/".to_owned(), Repairs::Originals)]);
    assert_eq!(config.admin.listen.port(), 9000);
    let engine =
        EngineConfig { poll_table_entries: 64, media_workers: 3, busy_percent: 80, control_workers: 1 };
    assert_eq!(config.engine, engine);
    assert_eq!(config.ring, RingConfig { max_age: Duration::from_millis(500), max_bytes: 1 << 20 });
    let limits = LimitsConfig {
        connections: 10,
        connections_per_address: 6,
        sessions: 20,
        sessions_per_address: 5,
        sessions_per_channel: 15,
        unread_bytes_per_address: 70_000,
        egress_mbit: 800,
        burst_mbit: 400,
        repair_mbit: 300,
        membership_changes: 3,
        line_groups: Some(2),
        line_mbit: Some(40),
        egress_mbit_per_address: 80,
        drain_timeout: Duration::from_secs(90),
        redirect: Redirect::parse("rtsp://other.example:8554"),
        redirect_tls: Redirect::parse("rtsps://other.example:8322"),
    };
    assert_eq!(config.limits, limits);
    let [news] = &config.channels[..] else { panic!("one channel: {:?}", config.channels) };
    assert_eq!(news.name, "uk/news");
    assert_eq!(news.settings.interface, Some(Interface::Name("eth0.100".into())));
    assert_eq!(news.settings.silent_after, Duration::from_secs(5));
    assert_eq!(news.settings.sessions, Some(7));
    assert_eq!(news.settings.on_demand, Some(Duration::from_secs(30)));
    assert_eq!(news.settings.renew, Some(Duration::from_secs(60)));
    assert_eq!(news.settings.marks, Marks { dscp: Some(34), ttl: Some(16) });
    assert_eq!(news.input, "rtp://10.1.1.1@232.9.9.1:5004");
    let [track] = &news.presentation.tracks[..] else { panic!("one track: {:?}", news.presentation) };
    let [feed] = &track.feeds[..] else { panic!("one feed: {track:?}") };
    assert_eq!((feed.group, feed.port), (IpAddr::from([232, 9, 9, 1]), 5004));
    assert_eq!(feed.filter.named(), [IpAddr::from([10, 1, 1, 1])]);
}

#[test]
fn an_error_says_file_line_key_and_remedy() {
    let errors = refused("[[channel]]\nname = \"news\"\n\nsource = \"rtp://239.9.9.1\"\n");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("mirrorball.toml:4: channel \"news\": "), "{}", errors[0]);
    assert_says(&errors[0], &["rtp://239.9.9.1", "the port is missing", "write rtp://239.9.9.1:port"]);
}

#[test]
fn all_errors_of_a_file_are_told_at_once_in_its_order() {
    let errors = refused(
        r#"[rtsp]
lisen = ["0.0.0.0:8554"]
udp_ports = "6971-6999"
session_timeout = 60
[engine]
poll_table_entries = 1
[[channel]]
name = "a b"
source = "rtp://239.9.9.1:5004"
[[channel]]
name = "news"
"#,
    );
    assert_eq!(errors.len(), 6, "{errors:#?}");
    assert_says(&errors[0], &["toml:2: [rtsp]: unknown key `lisen`", "did you mean `listen`?"]);
    assert_says(&errors[1], &["toml:3: [rtsp] udp_ports", "even"]);
    assert_says(&errors[2], &["toml:4: [rtsp] session_timeout", "write session_timeout = \"60s\""]);
    assert_says(&errors[3], &["toml:6: [engine] poll_table_entries: 1 is out of bounds; write 8 to 65536"]);
    assert_says(&errors[4], &["toml:8: [[channel]]", "name \"a b\"", "letters"]);
    assert_says(&errors[5], &["toml:10: channel \"news\": neither source nor sdp nor directory; write one"]);
}

#[test]
fn sections_are_tables_and_known() {
    assert_says(&refused("rtsp = 5")[0], &["toml:1: `rtsp` is not a table; write it as [rtsp]"]);
    assert_says(&refused("[rstp]")[0], &["unknown section or key `rstp`", "did you mean `rtsp`?"]);
    assert_says(&refused("verbose = true")[0], &["the sections are rtsp, http, admin, log, engine"]);
    assert_says(&refused("[channel]\nname = \"a\"")[0], &["toml:1:", "write [[channel]] in double brackets"]);
    assert_says(&refused("channel = [1]")[0], &["is not a table; write it as [[channel]]"]);
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(text in "\\PC{0,200}") {
        let _ = Config::parse(&text, Path::new(FILE));
    }

    #[test]
    fn any_value_of_any_key_gets_an_answer(
        section in 0..KEYS.len(),
        key in 0..8_usize,
        value in "(-?[0-9]{1,20}|\"[ -~&&[^\"\\\\]]{0,30}\"|\\[\"[a-z0-9:.]{0,20}\"\\]|true|\\{\\}|1\\.5|1979-05-27)",
    ) {
        let section = KEYS[section];
        let key = section.keys[key % section.keys.len()].name;
        let header = if section.repeated { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) };
        let text = format!("{header}\n{key} = {value}\n");
        if let Err(error) = Config::parse(&text, Path::new(FILE)) {
            prop_assert!(error.to_string().starts_with("mirrorball.toml:"));
        }
    }
}
