//! Files that can not be read, or not as text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Config, FILE, assert_says, refused, write_pair};

/// A directory with a config that names `radio.sdp`, and that file.
fn with_sdp(sdp: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join(FILE);
    fs::write(&config, "[[channel]]\nname = \"radio\"\nsdp = \"radio.sdp\"\n").expect("a file");
    fs::write(directory.path().join("radio.sdp"), sdp).expect("a file");
    (directory, config)
}

#[test]
fn an_sdp_file_is_found_beside_the_config() {
    let (_directory, config) = with_sdp(
        "v=0\no=- 0 0 IN IP4 10.0.0.1\ns=Radio\nc=IN IP4 239.9.9.3/16\nt=0 0\nm=audio 5006 RTP/AVP 97\n\
         a=rtpmap:97 L16/48000/2\nm=audio 5008 RTP/AVP 0\n",
    );
    let config = Config::load(&config).unwrap_or_else(|error| panic!("{error}"));
    let ports: Vec<_> =
        config.channels[0].presentation.tracks.iter().map(|track| track.feeds[0].port).collect();
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
    assert_says(
        &missing[0],
        &["toml:3: channel \"a\": sdp \"nowhere/a.sdp\" can not be read: there is no directory nowhere"],
    );
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_so() {
    let error = Config::load(Path::new("/nonexistent/mirrorball.toml")).expect_err("no such file");
    assert_says(
        &error.to_string(),
        &[
            "/nonexistent/mirrorball.toml: can not be read: there is no directory /nonexistent",
            "--config FILE",
        ],
    );
}

/// What is said of a config with these bytes.
fn said_of(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join(FILE);
    fs::write(&config, bytes).expect("a file");
    Config::load(&config).expect_err("not UTF-8").to_string()
}

#[test]
fn a_byte_that_is_not_utf8_is_told_with_its_place_and_so_is_all_else() {
    let said =
        said_of(b"[rtsp]\n# f\xfcr alle\nlisten = \"0.0.0.0:8554\"\n[[channel]]\nname = \"Caf\xe9\"\n");
    assert_says(
        &said,
        &["mirrorball.toml:2:4: byte 0xFC is not UTF-8 (in Latin-1 it is ü); save the file as UTF-8\n"],
    );
    assert_says(&said, &["    # f?r alle\n       ^\n", "toml:3: [rtsp] listen", "toml:5:12: byte 0xE9"]);
    assert!(!said.contains("Caf?\" holds"), "no value is judged that was not read: {said}");
}

#[test]
fn utf16_is_told_and_so_is_all_else() {
    let units = "\u{feff}[rtsp]\r\nlisten = oops\r\n".encode_utf16();
    let little: Vec<u8> = units.clone().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        let said = said_of(&bytes);
        assert_says(
            &said,
            &["toml:1:1: this is UTF-16 text", "save the file as UTF-8", "toml:2:10: a text stands in"],
        );
    }
    let text: Vec<u8> = "v=0\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (directory, config) = with_sdp("");
    fs::write(directory.path().join("radio.sdp"), text).expect("a file");
    let said = Config::load(&config).expect_err("UTF-16").to_string();
    assert_says(&said, &["radio.sdp\": it is UTF-16 text; save it as UTF-8"]);
    assert_says(&said_of(b"\x7fELF\x02\x01\0\0"), &["it is no text"]);
}

#[test]
fn a_directory_is_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let said = Config::load(directory.path()).expect_err("a directory").to_string();
    assert_says(&said, &["can not be read: it is a directory; name the file in it"]);
    fs::write(directory.path().join("is"), "").expect("a file");
    let said = Config::load(&directory.path().join("is/mirrorball.toml")).expect_err("a file").to_string();
    assert_says(&said, &["a part of its path is a file"]);
    let said = &refused("[[channel]]\nname = \"a\"\nsdp = \"/tmp\"\n")[0];
    assert_says(said, &["toml:3: channel \"a\": sdp \"/tmp\" can not be read: it is a directory"]);
}

#[test]
fn a_pair_is_read_where_the_config_is_and_what_is_wrong_is_told_at_its_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name);
    write_pair(directory.path());
    let text =
        "[rtsp]\ntls_listen = [\"[::]:8322\"]\ncertificate = \"edge.pem\"\nprivate_key = \"edge.key\"\n";
    fs::write(file("mirrorball.toml"), text).expect("a file");
    let load = |mode: u32| {
        fs::set_permissions(file("edge.key"), fs::Permissions::from_mode(mode)).expect("our own");
        Config::load(&file("mirrorball.toml"))
    };
    let tls = load(0o600).expect("a pair").rtsp.tls.expect("served");
    assert_eq!((tls.files.certificate, tls.clear_media), (file("edge.pem"), false));
    let exposed = load(0o644).expect_err("everybody may read it").to_string();
    assert_says(&exposed, &["toml:4: [rtsp] private_key: everybody may read ", "chmod o-rwx "]);
}

#[test]
fn a_directory_has_settings_for_all_its_channels_and_its_wrong_files_are_notes() {
    let directory = tempfile::tempdir().expect("a directory");
    let sessions = directory.path().join("sessions");
    fs::create_dir(&sessions).expect("made");
    let sdp = "v=0\no=- 0 0 IN IP4 10.0.0.1\ns=a\nc=IN IP4 239.9.9.3/16\nt=0 0\nm=audio 5006 RTP/AVP 0\n";
    fs::write(sessions.join("right.sdp"), sdp).expect("a file");
    fs::write(sessions.join("wrong.sdp"), "v=0\nm=audio\n").expect("a file");
    fs::write(sessions.join("wr ong.sdp"), sdp).expect("a file");
    let file = directory.path().join(FILE);
    let load = |lines: &str| {
        fs::write(&file, format!("[[channel]]\n{lines}\n")).expect("a file");
        Config::load(&file).map_err(|error| error.to_string())
    };
    let config = load("name = \"studio\"\ndirectory = \"sessions\"\nsessions = 7").expect("right");
    let [studio] = config.directories.as_slice() else { panic!("one directory") };
    assert_eq!((studio.prefix.as_deref(), studio.settings.sessions), (Some("studio"), Some(7)));
    let told: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_says(
        &told.join("\n"),
        &["3: channel \"studio\": not served: ", "wrong.sdp: ", "\"studio/wr ong\" holds ' '"],
    );
    let (channel, _) = studio.channel("right", &sessions.join("right.sdp")).expect("right");
    assert_eq!((channel.name.as_str(), channel.settings.sessions), ("studio/right", Some(7)));
    for (lines, says) in [
        ("directory = \"nowhere\"", "directory "),
        ("directory = \"sessions\"\nsdp = \"a.sdp\"", "sdp is of one channel, and a directory of many"),
        ("directory = \"sessions\"\nmulticast_out = \"239.2.2.2:5000\"", "multicast_out is of one channel"),
        ("directory = \"sessions\"\n[[channel]]\ndirectory = \"sessions\"", "is there twice"),
    ] {
        assert_says(&load(lines).expect_err(lines), &[says]);
    }
}
