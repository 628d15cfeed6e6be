//! Channels that are pulled from other servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::{Config, ConfigError, accepted, assert_says, refused};
use crate::ingest::pull::{Pull, Transport};
use crate::ops::config::Origin;
use crate::wire::rtsp::Login;

fn channel(source: &str, lines: &str) -> String {
    format!("[[channel]]\nname = \"gate\"\nsource = \"{source}\"\n{lines}\n")
}

fn pulled(text: &str) -> Pull {
    of(accepted(text))
}

fn of(mut config: Config) -> Pull {
    match config.channels.remove(0).origin {
        Origin::Server(pull) => pull,
        other => panic!("it is pulled, not {other:?}"),
    }
}

#[test]
fn a_server_is_named_by_its_url_and_so_is_who_asks() {
    let pull = pulled(&channel("rtsp://anna:o%40pen@10.0.0.7:8554/uk/news?x=1", ""));
    assert_eq!(pull.url.as_str(), "rtsp://10.0.0.7:8554/uk/news?x=1", "without the login");
    assert_eq!(pull.login, Some(Login { user: "anna".into(), password: "o@pen".into() }));
    assert_eq!((pull.transport, pull.server().as_str()), (Transport::Tcp, "10.0.0.7:8554"));
    let pull = pulled(&channel("RTSP://camera.lan/live", "transport = \"udp\"\njoin = \"on-demand\""));
    assert_eq!((pull.login, pull.transport, pull.url.port()), (None, Transport::Udp, None));
    let channel = accepted(&channel("rtsp://anna:secret@camera.lan/live?key=secret", "")).channels.remove(0);
    assert_eq!(channel.input, "rtsp://camera.lan:554/live", "of it neither login nor query is told");
    assert!(channel.presentation.tracks.is_empty(), "the server will say");
}

#[test]
fn a_login_and_a_certificate_may_stand_in_files() {
    let directory = TempDir::new().expect("a directory");
    let load = |text: &str| {
        let file = directory.path().join("mirrorball.toml");
        fs::write(&file, text).expect("a file");
        Config::load(&file)
    };
    fs::write(directory.path().join("gate.login"), "anna:open sesame\n").expect("a file");
    let certified = rcgen::generate_simple_self_signed(vec!["gate".to_owned()]).expect("a certificate");
    fs::write(directory.path().join("gate.pem"), certified.cert.pem()).expect("a file");
    fs::write(directory.path().join("other"), "nothing").expect("a file");
    let good = load(&channel("rtsps://gate/live", "login = \"gate.login\"\ntls_ca = \"gate.pem\""));
    let pull = of(good.expect("it is right"));
    assert_eq!(pull.login, Some(Login { user: "anna".into(), password: "open sesame".into() }));
    assert!(pull.trust.is_some());
    let login = directory.path().join("gate.login");
    for (mode, notes) in [(0o644, 1), (0o640, 0), (0o600, 0)] {
        fs::set_permissions(&login, fs::Permissions::from_mode(mode)).expect("our own");
        let config = load(&channel("rtsp://gate/live", "login = \"gate.login\"")).expect("it is right");
        assert_eq!(config.warnings.len(), notes, "{mode:o}");
    }
    for (line, says) in [
        ("login = \"other\"", "write user:password in it, in one line"),
        ("login = \"absent\"", "can not be read"),
        ("tls_ca = \"other\"", "there is no certificate in it"),
        ("tls_ca = \"absent\"", "absent can not be read"),
    ] {
        let Err(ConfigError::Invalid { problems, .. }) = load(&channel("rtsps://gate/live", line)) else {
            panic!("{line} is not refused")
        };
        assert_says(&problems[0].to_string(), &["channel \"gate\"", says]);
    }
}

#[test]
fn what_would_do_nothing_is_refused() {
    for (source, line, says) in [
        ("rtp://239.9.9.1:5004", "transport = \"udp\"", "transport: it is not pulled from a server"),
        ("rtp://239.9.9.1:5004", "login = \"x\"", "login: it is not pulled from a server"),
        ("rtsp://gate/live", "transport = \"sctp\"", "is no transport; write \"tcp\""),
        ("rtsp://gate/live", "interface = \"eth0\"", "interface: no group is joined"),
        ("rtsp://gate/live", "renew = \"60s\"", "renew: no group is joined"),
        ("rtsp:///live", "", "it names no host; write rtsp://host:port/path"),
        ("rtsp://gate:99999/live", "", "write rtsp://host:port/path"),
        ("rtsp://anna:%0a@gate/live", "", "control characters"),
    ] {
        assert_says(&refused(&channel(source, line))[0], &["channel \"gate\"", says]);
    }
}

#[test]
fn no_error_tells_a_password() {
    let errors = refused(&channel("rtsp://anna:sesame@gate:99999/live", "login = \"absent\""));
    assert!(errors.iter().all(|error| !error.contains("sesame")), "{errors:#?}");
}
