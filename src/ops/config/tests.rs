//! Stories of configs: what an operator types, and what comes of it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const FILE: &str = "mirrorball.toml";

fn accepted(text: &str) -> Config {
    Config::parse(text, Path::new(FILE)).unwrap_or_else(|error| panic!("{error}"))
}

/// The errors of a config, one a line.
fn refused(text: &str) -> Vec<String> {
    let error = Config::parse(text, Path::new(FILE)).expect_err("a wrong config");
    error.to_string().lines().map(str::to_owned).collect()
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
    assert_eq!(config.rtsp.session_timeout, Duration::from_secs(60));
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
        unread_bytes_per_address: 4 << 20,
        egress_mbit_per_address: 1_000,
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
udp_ports = "0"
session_timeout = "30s"
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
connections_per_address = 6
unread_bytes_per_address = 70000
egress_mbit_per_address = 80
[[channel]]
name = "uk/news"
source = "rtp://10.1.1.1@232.9.9.1:5004"
interface = "eth0.100"
silent_after = "5s"
"#,
    );
    assert_eq!(config.rtsp.listen.len(), 2);
    assert_eq!(config.rtsp.udp_ports, UdpPorts::Any);
    assert_eq!(config.rtsp.session_timeout, Duration::from_secs(30));
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
        unread_bytes_per_address: 70_000,
        egress_mbit_per_address: 80,
    };
    assert_eq!(config.limits, limits);
    let [news] = &config.channels[..] else { panic!("one channel: {:?}", config.channels) };
    assert_eq!(news.name, "uk/news");
    assert_eq!(news.interface, Some(Interface::Name("eth0.100".into())));
    assert_eq!(news.silent_after, Duration::from_secs(5));
    assert_eq!(news.input, "rtp://10.1.1.1@232.9.9.1:5004");
    let [track] = &news.presentation.tracks[..] else { panic!("one track: {:?}", news.presentation) };
    assert_eq!((track.group, track.port), (IpAddr::from([232, 9, 9, 1]), 5004));
    assert_eq!(track.source, Some(IpAddr::from([10, 1, 1, 1])));
}

#[test]
fn an_error_says_file_line_key_and_remedy() {
    let errors = refused("[[channel]]\nname = \"news\"\n\nsource = \"rtp://10.0.0.1:5004\"\n");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("mirrorball.toml:4: channel \"news\": "), "{}", errors[0]);
    assert_says(&errors[0], &["rtp://10.0.0.1:5004", "not a multicast", "write", "224.0.0.0"]);
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
    assert_says(&errors[5], &["toml:10: channel \"news\": neither source nor sdp; write one"]);
}

#[test]
fn errors_of_syntax_have_their_lines() {
    let errors = refused("[rtsp]\nlisten = [\"0.0.0.0:8554\"\n[admin]\nlisten = oops\n");
    assert!(errors.iter().all(|line| line.contains("not TOML")), "{errors:#?}");
    let twice = refused("[admin]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n");
    assert_says(&twice[0], &["mirrorball.toml:3: not TOML: duplicate key"]);
}

#[test]
fn sections_are_tables_and_known() {
    assert_says(&refused("rtsp = 5")[0], &["toml:1: `rtsp` is not a table; write it as [rtsp]"]);
    assert_says(&refused("[rstp]")[0], &["unknown section or key `rstp`", "did you mean `rtsp`?"]);
    assert_says(&refused("verbose = true")[0], &["the sections are rtsp, admin, log, engine"]);
    assert_says(&refused("[channel]\nname = \"a\"")[0], &["toml:1:", "write [[channel]] in double brackets"]);
    assert_says(&refused("channel = [1]")[0], &["is not a table; write it as [[channel]]"]);
}

#[test]
fn a_list_says_which_of_its_values_is_wrong() {
    let errors =
        refused("[rtsp]\nlisten = [\n  \"0.0.0.0:8554\",\n  \"localhost:8554\",\n  \"0.0.0.0:8554\",\n]\n");
    assert_says(&errors[0], &["toml:4: [rtsp] listen: \"localhost:8554\" is not an address and port"]);
    assert_says(&errors[1], &["toml:5: [rtsp] listen: 0.0.0.0:8554 is there twice"]);
    assert_says(&refused("[rtsp]\nlisten = []")[0], &["toml:2:", "0 addresses; write 1 to 64"]);
}

#[test]
fn a_value_of_a_wrong_type_is_told_without_jargon() {
    let workers = refused("[engine]\nmedia_workers = \"two\"");
    assert_says(&workers[0], &["[engine] media_workers", "expected a whole number; write media_workers = 0"]);
    let listen = refused("[rtsp]\nlisten = \"0.0.0.0:8554\"");
    assert_says(&listen[0], &["[rtsp] listen", "expected a list; write listen = [\"0.0.0.0:8554\"]"]);
}

#[test]
fn a_timeout_is_whole_seconds_as_rtsp_has_it() {
    assert_says(&refused("[rtsp]\nsession_timeout = \"5500ms\"")[0], &["whole seconds", "write \"5s\""]);
    let silence = refused("[rtsp]\nsession_timeout = \"120s\"\nlongest_silence = \"119s\"");
    assert_says(&silence[0], &["toml:3: [rtsp] longest_silence", "below session_timeout", "write \"120s\""]);
    accepted("[rtsp]\nsession_timeout = \"120s\"\nlongest_silence = \"120s\"");
    assert_says(&refused("[rtsp]\nsession_timeout = \"1s\"")[0], &["out of bounds", "from 2s to 60min"]);
}

#[test]
fn a_limit_of_an_address_is_within_bounds() {
    for (key, bounds) in [
        ("connections_per_address", "1 to 1000000"),
        ("unread_bytes_per_address", "65536 to 1073741824"),
        ("egress_mbit_per_address", "1 to 1000000"),
    ] {
        let wrong = format!("toml:2: [limits] {key}: 0 is out of bounds; write {bounds}");
        assert_says(&refused(&format!("[limits]\n{key} = 0"))[0], &[&wrong]);
    }
}

#[test]
fn channels_are_told_apart_by_name_and_by_source() {
    let channel =
        |name: &str, source: &str| format!("[[channel]]\nname = \"{name}\"\nsource = \"{source}\"\n");
    let same_port = channel("a", "rtp://239.9.9.1:5004") + &channel("b", "rtp://239.9.9.2:5004");
    assert_eq!(accepted(&same_port).channels.len(), 2);
    let same_name = channel("a", "rtp://239.9.9.1:5004") + &channel("a", "rtp://239.9.9.2:5004");
    assert_says(&refused(&same_name)[0], &["toml:5: channel \"a\": the name is line 2's already"]);
    let same_source = channel("a", "rtp://239.9.9.1:5004") + &channel("b", "rtp://239.9.9.1:5004");
    assert_says(
        &refused(&same_source)[0],
        &["toml:6: channel \"b\": 239.9.9.1:5004 is taken by channel \"a\" in line 3"],
    );
}

#[test]
fn a_channel_has_one_input() {
    let both = "[[channel]]\nname = \"a\"\nsource = \"rtp://239.9.9.1:5004\"\nsdp = \"a.sdp\"\n";
    assert_says(&refused(both)[0], &["toml:4: channel \"a\": both source and sdp; leave one out"]);
    let nameless = "[[channel]]\nsource = \"rtp://239.9.9.1:5004\"\n";
    assert_says(&refused(nameless)[0], &["toml:1: [[channel]]: no name; write one such as"]);
    let slip = refused("[[channel]]\nname = \"a\"\nsorce = \"rtp://239.9.9.1:5004\"\n");
    assert_eq!(slip.len(), 1, "one slip is one error: {slip:#?}");
    assert_says(&slip[0], &["toml:3: channel \"a\": unknown key `sorce`; did you mean `source`?"]);
}

/// A directory with a config that names `radio.sdp`, and that file.
fn with_sdp(sdp: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join(FILE);
    std::fs::write(&config, "[[channel]]\nname = \"radio\"\nsdp = \"radio.sdp\"\n").expect("a file");
    std::fs::write(directory.path().join("radio.sdp"), sdp).expect("a file");
    (directory, config)
}

#[test]
fn an_sdp_file_is_found_beside_the_config() {
    let (_directory, config) = with_sdp(
        "v=0\no=- 0 0 IN IP4 10.0.0.1\ns=Radio\nc=IN IP4 239.9.9.3/16\nt=0 0\nm=audio 5006 RTP/AVP 97\n\
         a=rtpmap:97 L16/48000/2\nm=audio 5008 RTP/AVP 0\n",
    );
    let config = Config::load(&config).unwrap_or_else(|error| panic!("{error}"));
    let ports: Vec<_> = config.channels[0].presentation.tracks.iter().map(|track| track.port).collect();
    assert_eq!(ports, [5006, 5008]);
    assert!(config.channels[0].input.ends_with("/radio.sdp"));
}

#[test]
fn a_wrong_sdp_file_is_named_with_its_line() {
    let (_directory, config) =
        with_sdp("v=0\no=- 0 0 IN IP4 10.0.0.1\ns=Radio\nt=0 0\nm=audio 5006 RTP/AVP 97\n");
    let error = Config::load(&config).expect_err("no group").to_string();
    assert_says(&error, &["mirrorball.toml:3: channel \"radio\": sdp ", "radio.sdp\": line 5: "]);
    let missing = refused("[[channel]]\nname = \"a\"\nsdp = \"nowhere/a.sdp\"\n");
    assert_says(&missing[0], &["toml:3: channel \"a\": sdp \"nowhere/a.sdp\" cannot be read: No such file"]);
}

#[test]
fn an_interface_is_named_once() {
    let channel = |source: &str, interface: &str| {
        format!("[[channel]]\nname = \"a\"\nsource = \"{source}\"\ninterface = \"{interface}\"\n")
    };
    let in_url = "[[channel]]\nname = \"a\"\nsource = \"rtp://eth1@239.9.9.1:5004\"\n";
    assert_eq!(accepted(in_url).channels[0].interface, Some(Interface::Name("eth1".into())));
    let agreeing = accepted(&channel("rtp://eth1@239.9.9.1:5004", "eth1"));
    assert_eq!(agreeing.channels[0].interface, Some(Interface::Name("eth1".into())));
    let errors = refused(&channel("rtp://eth1@239.9.9.1:5004", "eth0"));
    assert_says(&errors[0], &["the source names interface eth1, the key eth0; leave one out"]);
    assert_says(
        &refused(&channel("rtp://239.9.9.1:5004", "eth 0"))[0],
        &["channel \"a\" interface", "ip -brief"],
    );
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_so() {
    let error = Config::load(Path::new("/nonexistent/mirrorball.toml")).expect_err("no such file");
    assert_says(&error.to_string(), &["/nonexistent/mirrorball.toml: cannot be read", "--config FILE"]);
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
