//! What `mirrorball check` finds on a machine, provoked one by one: the row, what to do, and the exit code.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Output;

use mirrorball::wire::recording::{Kind, RECORD_LEN};
use serde_json::Value;
use tempfile::TempDir;

use crate::advice::{allow, as_nobody, ended, nobody, nobody_runs_it};
use crate::vocabulary::{Group, Needs, Pictures, Plug, Setup, Tape, binary, in_a_network_of_its_own, skip};

const NEEDS: Needs = Needs { programs: &["ip"], route: false, ipv6: false };

#[test]
fn a_port_that_another_program_has_is_told_with_who_has_it() {
    let (tcp, udp) = taken();
    let at = tcp.local_addr().expect("bound");
    let source = udp.local_addr().expect("bound");
    let setup = Setup::new()
        .listening_on(&at.to_string())
        .channel_from("news", &format!("udp://{source}"))
        .channel("film", Group::fresh());
    let report = Checked::of(&setup.write());
    assert_eq!(report.code, Some(4), "{report:?}");
    let pid = format!("(pid {})", std::process::id());
    for (subject, remedy) in
        [(format!("TCP {at}"), "[rtsp] listen"), (format!("UDP {source}"), "at the source")]
    {
        let row = report.row("port", &subject);
        assert_eq!(row["state"], "fail", "{row}");
        assert!(row["found"].as_str().expect("a text").contains(&pid), "{row}");
        assert!(row["remedy"].as_str().expect("a text").contains(remedy), "{row}");
    }
    drop((tcp, udp));
    let report = Checked::of(&setup.write());
    assert_ne!(report.code, Some(4), "{report:?}");
    assert_eq!(report.row("port", &format!("TCP {at}"))["state"], "ok");
}

#[test]
fn ports_of_the_program_that_runs_are_its_own_and_it_is_not_disturbed() {
    let setup = Setup::new().at_known_addresses().channel("news", Group::fresh());
    let config = setup.write();
    let log = fs::File::create(config.with_file_name("log")).expect("a file");
    let mirrorball = setup.launch(binary(), log);
    mirrorball.expect_page("/ready", 200);
    let report = Checked::of(&config);
    assert_ne!(report.code, Some(4), "{report:?}");
    let pid = mirrorball.proc().file_name().expect("a directory").to_string_lossy().into_owned();
    let held = format!("held by the Mirrorball that runs (pid {pid})");
    for at in [mirrorball.rtsp, mirrorball.admin] {
        let row = report.row("port", &format!("TCP {at}"));
        assert_eq!(
            (row["state"].as_str(), row["found"].as_str()),
            (Some("ok"), Some(held.as_str())),
            "{row}"
        );
    }
    mirrorball.expect_page("/ready", 200);
}

#[test]
fn a_port_that_takes_a_privilege_is_told_to_who_has_none() {
    const STORY: &str = "a_port_that_takes_a_privilege_is_told_to_who_has_none";
    if !nobody_runs_it(STORY) {
        return;
    }
    in_a_network_of_its_own(STORY, &NEEDS, || {
        let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        if first.is_ok_and(|first| first.trim() != "1024") {
            return skip(STORY, "ports below 1024 take no privilege here");
        }
        let setup = Setup::new().listening_on("127.0.0.1:554");
        let config = setup.write();
        allow(config.parent().expect("it is in one"), 0o755);
        let output = ended(as_nobody(binary()).args(["check", "--json", "--config"]).arg(&config));
        let report = Checked::new(output);
        assert_eq!(report.code, Some(4), "{report:?}");
        let row = report.row("permission", "TCP 127.0.0.1:554");
        let found = format!("user {} may not listen on ports below 1024", nobody());
        assert_eq!(
            (row["state"].as_str(), row["found"].as_str()),
            (Some("fail"), Some(found.as_str())),
            "{row}"
        );
        assert!(row["remedy"].as_str().expect("a text").contains("CAP_NET_BIND_SERVICE"), "{row}");
    });
}

#[test]
fn an_interface_that_is_not_there_or_down_is_told() {
    in_a_network_of_its_own("an interface that is not there, or down", &NEEDS, || {
        let studio = Plug { name: "studio", address: Ipv4Addr::new(10, 77, 0, 1) };
        let group = Group::fresh();
        let setup = Setup::new().channel_on("studio", "news", &format!("rtp://{group}"));
        let config = setup.write();
        let report = Checked::of(&config);
        assert_eq!(report.code, Some(4), "{report:?}");
        let row = report.row("interface", "not found");
        assert!(row["found"].as_str().expect("a text").contains("channel \"news\": not received"), "{row}");
        studio.plug_in();
        assert_eq!(Checked::of(&config).row("interface", "studio")["state"], "ok");
        studio.switch(false);
        let report = Checked::of(&config);
        let row = report.row("interface", "studio");
        assert_eq!((report.code, row["remedy"].as_str()), (Some(4), Some("ip link set studio up")), "{row}");
    });
}

#[test]
fn a_low_limit_of_memberships_is_a_note() {
    in_a_network_of_its_own("a low igmp_max_memberships", &NEEDS, || {
        let limit = "/proc/sys/net/ipv4/igmp_max_memberships";
        let news = Group::fresh();
        let setup = Setup::new()
            .channel("news", news)
            .channel_from("film", &format!("rtp://239.77.99.7:{}", news.0.port()));
        let config = setup.write();
        for (count, state) in [("1", "note"), ("2", "ok")] {
            fs::write(limit, count).expect("a setting of this network");
            let row = Checked::of(&config).row("memberships", "net.ipv4.igmp_max_memberships");
            assert_eq!(row["state"], state, "{row}");
            let remedy = row["remedy"].as_str();
            assert_eq!(
                remedy.is_some_and(|text| text.starts_with("set sysctl net.ipv4.igmp_max_")),
                count == "1"
            );
        }
    });
}

#[test]
fn users_that_may_not_be_read_are_an_error_with_its_place() {
    if !nobody_runs_it("users_that_may_not_be_read_are_an_error_with_its_place") {
        return;
    }
    let setup = Setup::new().section("access", "users = \"users\"").rtsp("lisen = 5");
    let config = setup.write();
    let directory = config.parent().expect("it is in one");
    let users = directory.join("users");
    fs::write(&users, "").expect("a file");
    allow(directory, 0o755);
    allow(&users, 0o000);
    let output = ended(as_nobody(binary()).args(["check", "--json", "--config"]).arg(&config));
    assert!(output.stderr.is_empty(), "{output:?}");
    let report = Checked::new(output);
    assert_eq!((report.code, &report.json["state"]), (Some(78), &"fail".into()), "{report:?}");
    let errors = report.json["errors"].as_array().expect("a list");
    let lines: Vec<_> =
        errors.iter().map(|error| (error["line"].as_u64(), error["column"].as_u64())).collect();
    assert_eq!(lines, [(Some(4), Some(1)), (Some(8), Some(9))], "all at once: {report:?}");
    let message = errors[1]["message"].as_str().expect("a text");
    assert!(message.contains(&format!("user {} may not read {}", nobody(), users.display())), "{message}");
    assert!(errors[1]["remedy"].as_str().expect("a text").contains("chown"), "{report:?}");
}

#[test]
fn a_recording_that_is_damaged_is_told_and_made_whole_while_nobody_records() {
    let recordings = TempDir::new().expect("a directory");
    let mut pictures = Pictures::every(20);
    let setup = Setup::new().channel("news", pictures.group()).channel_line("record = \"10min\"");
    let lines = format!("directory = \"{}\"\nmin_free_bytes = 0", recordings.path().display());
    let setup = setup.section("storage", &lines);
    let (config, root) = (setup.write(), recordings.path().display().to_string());
    let row = Checked::of(&config).row("storage", &root);
    assert_eq!((&row["state"], row["remedy"].is_null()), (&"ok".into(), true), "{row}");
    let mut mirrorball = setup.start();
    pictures.send(40);
    mirrorball.expect_metric("mirrorball_recorded_packets_total", &[("channel", "news")], 40.0);
    let tape = Tape::of(recordings.path(), "news");
    let index = tape.files(Kind::Index).remove(0);
    let other = recordings.path().join("old%2Fnews");
    fs::create_dir(&other).expect("a directory");
    for file in fs::read_dir(recordings.path().join("news")).expect("it is there").flatten() {
        fs::copy(file.path(), other.join(file.file_name())).expect("a copy");
    }
    let report = Checked::of(&config);
    assert_eq!(report.row("storage", &root)["state"], "note", "a program records there");
    let row = report.row("storage", "channel \"old/news\"");
    assert_eq!(row["state"], "note", "{row}");
    assert!(row["found"].as_str().expect("a text").starts_with("no longer recorded"), "{row}");

    let right = fs::read(&index).expect("it is there");
    let mut wrong = right.clone();
    wrong[20 * RECORD_LEN] ^= 1;
    fs::write(&index, &wrong).expect("it is writable");
    let rebuild =
        || Checked::new(ended(binary().args(["check", "--json", "--rebuild", "--config"]).arg(&config)));
    let report = rebuild();
    assert_eq!((report.code, fs::read(&index).expect("it is there") == wrong), (Some(4), true), "{report:?}");
    mirrorball.kill();
    let report = Checked::of(&config);
    let row = report.row("storage", "channel \"news\"");
    assert_eq!((report.code, &row["state"]), (Some(3), &"warn".into()), "{row}");
    assert!(row["remedy"].as_str().expect("a text").starts_with("mirrorball check --rebuild"), "{row}");
    let report = rebuild();
    let told = report.json["findings"].as_array().expect("a list").last().expect("a row").clone();
    assert!(told["found"].as_str().expect("a text").starts_with("1 made again: "), "{told}");
    assert_eq!(report.row("storage", "channel \"news\"")["state"], "ok");
    assert_eq!(tape.track(1).len(), 40, "each record is right");
    let about = fs::metadata(&index).expect("it is there");
    assert_eq!(
        about.mode() & 0o777,
        fs::metadata(tape.files(Kind::TransportStream).remove(0)).expect("it is there").mode() & 0o777
    );
}

#[test]
fn where_nothing_can_be_recorded_it_is_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let checked = |directory: &Path, more: &str| {
        let setup = Setup::new().channel("news", Group::fresh()).channel_line("record = \"10min\"");
        let lines = format!("directory = \"{}\"\n{more}", directory.display());
        Checked::of(&setup.section("storage", &lines).write())
    };
    let row = checked(file.path(), "").row("storage", &file.path().display().to_string());
    assert_eq!(row["state"], "fail", "{row}");
    let here = TempDir::new().expect("a directory");
    let more_than_there_is = 1u64 << 60;
    for (lines, state) in [("min_free_bytes = 0\nmax_bytes", "warn"), ("min_free_bytes", "fail")] {
        let row = checked(here.path(), &format!("{lines} = {more_than_there_is}")).row("storage", "room");
        assert_eq!(row["state"], state, "{row}");
    }
    assert!(fs::read_dir(here.path()).expect("it is there").next().is_none(), "nothing was made there");
}

#[test]
fn a_key_is_explained_without_a_config() {
    let output = ended(binary().args(["check", "--explain", "rtsp.close_grace"]));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("close_grace, a key of [rtsp]") && said.contains("  default   `\"10s\"`"),
        "{said}"
    );
    let output = ended(binary().args(["check", "--explain", "rtsp.close_grave"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && said.contains("did you mean `rtsp.close_grace`?"), "{said}");
}

/// A port of either transport that this process has.
fn taken() -> (TcpListener, UdpSocket) {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    (tcp, UdpSocket::bind("127.0.0.1:0").expect("a port"))
}

/// What `check --json` says.
#[derive(Debug)]
struct Checked {
    code: Option<i32>,
    json: Value,
}

impl Checked {
    fn of(config: &Path) -> Self {
        Self::new(ended(binary().args(["check", "--json", "--config"]).arg(config)))
    }

    #[track_caller]
    fn new(output: Output) -> Self {
        let code = output.status.code();
        let json: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(json["exit_code"].as_i64(), code.map(i64::from), "{json:#}");
        Self { code, json }
    }

    /// The finding of an area that is about something.
    #[track_caller]
    fn row(&self, area: &str, subject: &str) -> Value {
        let findings = self.json["findings"].as_array().expect("a list");
        let found = findings.iter().find(|row| row["area"] == area && row["subject"] == subject);
        found.unwrap_or_else(|| panic!("no finding of {area} {subject} in {:#}", self.json)).clone()
    }
}
