//! The time of day is set by an hour, forth and back, while the program serves (libfaketime).
//!
//! What the kernel stamps goes on as it was, as no clock of this machine is touched. That stamps from before a step are not
//! believed after it is told where they are read, in `ingest::arrivals`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use http_auth::{PasswordClient, PasswordParams};
use mirrorball::event::clock;
use mirrorball::serve::{Scope, Users, write_users};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::vocabulary::{
    Connection, Crowd, Mirrorball, Over, Reply, Setup, Source, Viewer, binary, eventually, sender_report,
    skip,
};

const HOUR: i64 = 3600;

fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").ok()?.flatten();
    places.map(|place| place.path().join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file())
}

/// What it takes for the time of day to be this machine's, some seconds on or back.
struct TimeOfDay {
    file: PathBuf,
    _directory: TempDir,
}

impl TimeOfDay {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let time = Self { file: directory.path().join("time"), _directory: directory };
        time.set(0);
        time
    }

    fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&new, &self.file))
            .expect("a file");
    }
}

/// Someone who logs in once, and goes on with the nonce of then.
struct Guest {
    connection: Connection,
    login: PasswordClient,
    url: String,
}

impl Guest {
    fn of(mirrorball: &Mirrorball) -> Self {
        let (mut connection, url) = (Connection::open(mirrorball.rtsp), mirrorball.url("news"));
        let challenge = connection.request("DESCRIBE", &url, &[]).expect(401);
        let login = PasswordClient::try_from(challenge.all("WWW-Authenticate")[0]).expect("a challenge");
        Self { connection, login, url }
    }

    fn describes(&mut self) -> Reply {
        let (username, password, uri) = ("anna", "opensesame", self.url.as_str());
        let params = PasswordParams { username, password, uri, method: "DESCRIBE", body: Some(&[]) };
        let answer = self.login.respond(&params).expect("an answer");
        self.connection.request("DESCRIBE", &self.url, &[("Authorization", &answer)])
    }
}

/// By how much a time of day that the program tells is ahead of this machine's.
fn ahead(told: &str) -> i64 {
    let told = httpdate::parse_http_date(told).expect("a date");
    let told = told.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    told - clock::unix_now().as_secs() as i64
}

fn is_near(seconds: i64, step: i64) -> bool {
    (seconds - step).abs() < 60
}

#[test]
fn a_time_of_day_that_is_set_by_an_hour_costs_nobody_anything() {
    let Some(library) = library() else {
        return skip(
            "a_time_of_day_that_is_set_by_an_hour_costs_nobody_anything",
            "faketime is not installed",
        );
    };
    let time = TimeOfDay::new();
    let mut command = binary();
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &time.file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1");
    let mut users = Users::of_realm("Mirrorball").expect("a realm");
    assert_eq!(users.set("anna", "opensesame", Some(Scope::All)), Ok(true));
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("users");
    write_users(&file, &users).expect("a file");
    let (news, open) = (Source::new(), Source::new());
    let programme = open.programme;
    let mirrorball = Setup::new()
        .rtsp("session_timeout = \"10s\"")
        .through_tls()
        .section("access", &format!("users = \"{}\"\nnonce_lifetime = \"60s\"", file.display()))
        .channel("news", news.group)
        .channel("open", open.group)
        .channel_line("public = true")
        .start_by(command);
    let expires = mirrorball.metric("mirrorball_certificate_expiry_seconds", &[]);
    let report = sender_report(open.ssrc, 1000);
    let reports = Source::to(open.group);
    let mut hears = Viewer::playing(&mirrorball, "open", Over::Tcp);
    let crowd =
        Crowd::of([Over::Udp, Over::Tcp].map(|over| (Viewer::playing(&mirrorball, "open", over), programme)));
    let beam = open.beam(200);
    crowd.expect_all_past(programme, 100);
    let mut guest = Guest::of(&mirrorball);
    guest.describes().expect(200);
    let before = mirrorball.config();
    for (place, step) in [HOUR, 0, -HOUR, HOUR].into_iter().enumerate() {
        time.set(step);
        let date = || Connection::open(mirrorball.rtsp).request("OPTIONS", "*", &[]);
        let told = date().header("Date").expect("a date").to_owned();
        assert!(is_near(ahead(&told), step), "the story needs a step of {step} s: {told}");
        // Nonces, sessions and all that waits go by the time that passes.
        assert_eq!(guest.describes().status, 200, "a nonce of before the step of {step} s");
        guest = Guest::of(&mirrorball);
        guest.describes().expect(200);
        crowd.expect_all_past(programme, beam.sent() + 200);
        // Who comes now is served as anybody.
        Viewer::playing(&mirrorball, "open", Over::Udp).stamp();
        reports.send_rtcp(&report);
        let has_come =
            || hears.rtcp_within(Duration::from_millis(200)).filter(|came| came.starts_with(&report[..16]));
        eventually("the source's report, with its time", has_come);
        hears.report();
        // The log, and what says when something was, are told the new time.
        let last = mirrorball.lines_logged("and changes nothing");
        mirrorball.signal(Signal::SIGHUP);
        let lines = mirrorball.expect_logged("and changes nothing", last + 1);
        let hour = |at: &str| at.get(11..13).map(str::to_owned);
        let expected = clock::unix_now().as_secs() as i64 + step;
        let hours = [expected - 60, expected + 60].map(|at| format!("{:02}", at / HOUR % 24));
        let told = hour(lines.last().expect("a line"));
        assert!(hours.iter().any(|hour| Some(hour) == told.as_ref()), "{lines:?} at {hours:?}");
        mirrorball.reload(&format!("{before}[limits]\nsessions = {}\n", 900 + place));
        let at = mirrorball.metric("mirrorball_config_last_reload_timestamp_seconds", &[]) as i64;
        assert!(is_near(at - clock::unix_now().as_secs() as i64, step), "{at} after {step} s");
        let expiry = mirrorball.metric("mirrorball_certificate_expiry_seconds", &[]);
        assert_eq!(expiry, expires, "a date is no time that is left");
        mirrorball.expect_page("/live", 200);
    }
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "timeout")], 0.0);
    assert_eq!(mirrorball.metric("mirrorball_channel_late_total", &[]), 0.0);
    crowd.expect_flawless();
    beam.stop();
}
